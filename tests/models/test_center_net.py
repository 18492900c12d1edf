"""CenterNet built from a config: checkpoint keys of all types, losses and detections in many settings compared with the
reference (tests/golden/center_net.json), and mistakes in the config."""
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.config import pipeline
from object_detection.layers.feature_extractors import CENTER_NET
from object_detection.models import build
from tests.golden import fixture
from tests.golden import make_center_net as made
from tests.support import parity

GOLDEN = json.loads((parity.HERE / 'center_net.json').read_text())
LARGE = ('hourglass_52', 'hourglass_104', 'resnet_v2_101', 'resnet_v1_101_fpn', 'resnet_v1_34_fpn')
BOXES = made.CENTER % '' + made.BOXES
POSE = made.TASK % ('pose', 'person', '')


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / 'labels.pbtxt'
    path.write_text(made.LABELS)
    return path


def center_net(kind='hourglass_10', num_classes=3, tasks=BOXES, label_map=''):
    text = made.model_text(kind, num_classes, tasks, label_map)
    return build.build(text_format.Parse(text, protos.DetectionModel()))


def shapes(model):
    return {key: list(variable.shape) for key, variable in parity.variables_by_key(model=model).items()}


@pytest.mark.parametrize('kind', [pytest.param(kind, marks=pytest.mark.slow) if kind in LARGE else kind
                                  for kind in made.TYPES])
def test_keys_equal_the_reference(kind):
    assert fixture.digest(shapes(center_net(kind))) == GOLDEN['types'][kind]


@pytest.mark.parametrize('kind', made.NETWORKS)
def test_predictions_equal_the_reference(kind):
    model = center_net(kind)
    for key, variable in parity.variables_by_key(model=model).items():
        variable.assign(parity.fixture.weight(key, variable.shape))
    logits = model.predict(*model.preprocess(made.picture()))['object_center'][-1]
    expected = np.array(GOLDEN['networks'][kind])
    np.testing.assert_allclose(np.ravel(logits)[::61], expected, atol=1e-4 * np.abs(expected).max())


def test_every_type_is_compared():
    assert {kind.partition(' ')[0] for kind in made.TYPES} | {'mobilenet_v2_fpn_sep_conv'} == set(CENTER_NET)


def test_sep_conv_follows_from_the_type():
    separable = shapes(center_net('mobilenet_v2_fpn_sep_conv'))
    assert fixture.digest(separable) == GOLDEN['types']['mobilenet_v2_fpn use_separable_conv: true']
    assert shapes(center_net('mobilenet_v2_fpn_sep_conv use_separable_conv: false')) == separable


@pytest.mark.parametrize('mode', made.MODES)
def test_losses_and_detections_equal_the_reference(mode, labels):
    golden = GOLDEN['modes'][mode]
    model = center_net('hourglass_10', golden['num_classes'], golden['tasks'], labels)
    predictions = {name: [tf.constant(value)] for name, value in made.maps(golden['shapes']).items()}
    boxes, classes, weights, keypoints = made.groundtruth(golden['num_classes'])
    losses = model.loss(predictions, tf.constant(made.SHAPES), {
        'groundtruth_boxes': tf.constant(boxes), 'groundtruth_classes': tf.one_hot(classes, golden['num_classes']),
        'groundtruth_weights': tf.constant(weights), 'groundtruth_keypoints': tf.constant(keypoints),
        'num_groundtruth_boxes': tf.constant([4, 2])})
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(golden['losses'], rel=1e-5)
    detections = model.postprocess(predictions, tf.constant(made.SHAPES))
    assert set(detections) == set(golden['detections'])
    for name, expected in golden['detections'].items():
        np.testing.assert_allclose(detections[name], expected, atol=2e-5, err_msg=name)


def test_four_calls_of_a_whole_model(labels):
    model = center_net('hourglass_10', 2, BOXES + POSE, labels)
    inputs, true_shapes = model.preprocess(tf.fill([2, 30, 40, 3], 100.))
    assert inputs.shape == (2, 128, 128, 3)
    np.testing.assert_array_equal(true_shapes, [[128, 128, 3]] * 2)
    predictions = model.predict(inputs, true_shapes, training=True)
    assert predictions['object_center'][0].shape == (2, 32, 32, 2)
    assert predictions['pose/keypoint/regression'][0].shape == (2, 32, 32, 6)
    np.testing.assert_allclose(tf.reduce_mean(predictions['object_center'][0]), -2.19, atol=.5)
    detections = model.postprocess(predictions, true_shapes)
    assert detections['detection_keypoints'].shape == (2, 6, 3, 2)
    assert model.regularization_losses() == []


def test_each_type_normalizes_images_in_its_own_way():
    images = tf.reshape(tf.constant([10., 20., 30.]), [1, 1, 1, 3])

    def normalize(kind, **options):
        model = CENTER_NET[kind](**options)
        return model.normalize(images).numpy().ravel()
    np.testing.assert_allclose(normalize('hourglass_10', channel_means=(1., 2., 3.), channel_stds=(2., 2., 2.),
                                         bgr_ordering=True), [14.5, 9., 3.5])
    np.testing.assert_allclose(normalize('mobilenet_v2_fpn'), np.array([10., 20., 30.]) / 127.5 - 1., rtol=1e-6)
    np.testing.assert_allclose(normalize('resnet_v1_18_fpn'), [30. - 103.939, 20. - 116.779, 10. - 123.68], rtol=1e-6)


def test_a_model_learns_one_image(labels):
    model = center_net('hourglass_10', 2, BOXES + POSE, labels)
    picture = np.zeros((1, 64, 64, 3), np.float32)
    picture[0, 16:48, 24:40] = 1.
    corners = [[.25, .375], [.75, .375], [.75, .625]]
    groundtruth = {'groundtruth_boxes': tf.constant([[[.25, .375, .75, .625]]]),
                   'groundtruth_classes': tf.constant([[[1., 0.]]]), 'groundtruth_weights': tf.ones([1, 1]),
                   'groundtruth_keypoints': tf.constant([[[*corners, [0., 0.], [0., 0.]]]]),
                   'num_groundtruth_boxes': tf.constant([1])}
    true_shapes = tf.constant([[64, 64, 3]])
    variables = model.trainable_variables
    moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in variables]

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            losses = model.loss(model.predict(picture, true_shapes, training=True), true_shapes, groundtruth)
            total = tf.add_n(list(losses.values()))
        for variable, (first, second), gradient in zip(variables, moments, tape.gradient(total, variables)):
            first.assign(.9 * first + .1 * gradient)
            second.assign(.9 * second + .1 * gradient * gradient)
            variable.assign_sub(.003 * first / (tf.sqrt(second) + 1e-7))
        return total
    before, *_, after = [float(step()) for _ in range(80)]
    assert after < .15 * before
    detections = model.postprocess(model.predict(picture, true_shapes, training=True), true_shapes)
    assert detections['detection_classes'][0, 0] == 0.
    np.testing.assert_allclose(detections['detection_boxes'][0, 0], [.25, .375, .75, .625], atol=.05)
    np.testing.assert_allclose(detections['detection_keypoints'][0, 0], corners, atol=.1)


@pytest.mark.parametrize('name', ['centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8',
                                  'zoo_centernet_mobilenetv2_fpn_od'])
def test_released_configs_build_untouched(name):
    model = build.build(pipeline.read(parity.HERE / 'configs' / f'{name}.config').model)
    if 'kpts' in name:  # keypoint_label_map_path: "PATH_TO_BE_CONFIGURED" stands for the label map of COCO
        assert len(model._tasks.keypoints[0].indices) == 17
        assert model._tasks.keypoints[0].std_dev[0] == pytest.approx(.26)


def test_restore_map():
    model = center_net('resnet_v1_18_fpn')
    extractor = model._feature_extractor
    assert model.restore_map('classification') == {'feature_extractor': extractor._base_model}
    assert model.restore_map('full') == {'model': model}
    for kind in ('detection', 'fine_tune'):
        assert model.restore_map(kind)['model']._feature_extractor is extractor
    with pytest.raises(KeyError, match='classifier'):
        model.restore_map('classifier')
    with pytest.raises(KeyError, match='classification'):
        center_net().restore_map('classification')  # there is no classifier with this backbone


def test_image_size_that_does_not_fit():
    with pytest.raises(ValueError, match=r'100x128 does not fit .* multiples of 32'):
        CENTER_NET['mobilenet_v2_fpn']().feature_maps(tf.zeros([1, 100, 128, 3]))


def test_the_digest_reads_keys_and_shapes():
    assert fixture.digest({'b': (1, 2), 'a': [3]}) == {
        'count': 2, 'sha256': hashlib.sha256(b'a [3]\nb [1, 2]').hexdigest()}


def test_golden_is_whole():
    assert Path(made.__file__).with_name('center_net.json').stat().st_size < 100_000


def test_keys_of_a_released_checkpoint():
    model = build.build(pipeline.read(parity.HERE / 'centernet_mobilenetv2_fpn.config').model)
    assert fixture.digest(shapes(model)) == parity.released('centernet_mobilenetv2_fpn_od')
