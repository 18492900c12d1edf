"""Models of model_builder.build, called as the reference's are: golden numbers, groundtruth lists, checkpoints."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.builders import model_builder
from object_detection.config import pipeline
from object_detection.core import learning_phase
from object_detection.models import build
from tests.support import model_parity, parity, tiny

FASTER_RCNN, CENTER_NET = 'faster_rcnn_resnet50_v1', 'centernet_mobilenetv2_fpn'
ARGUMENTS = {'groundtruth_boxes': 'groundtruth_boxes_list', 'groundtruth_classes': 'groundtruth_classes_list',
             'groundtruth_weights': 'groundtruth_weights_list', 'groundtruth_keypoints': 'groundtruth_keypoints_list',
             'groundtruth_instance_masks': 'groundtruth_masks_list'}


@pytest.fixture(autouse=True)
def phase():
    """Every test starts with the learning phase of a fresh program."""
    learning_phase.set_training(False)
    yield
    learning_phase.set_training(False)


def loss_of_lists(model, predictions, shapes, groundtruth):
    """Give the groundtruth in lists, the first image's without the last box."""
    model.provide_groundtruth(**{ARGUMENTS[name]: tf.unstack(values) for name, values in groundtruth.items()
                                 if name in ARGUMENTS})
    return model.loss(predictions, shapes)


@pytest.mark.parametrize('name', [
    *map(parity.case, ('ssd_mobilenet_v2_fpnlite', FASTER_RCNN, CENTER_NET)),
    *(parity.case(name, pytest.mark.slow) for name in (
        'mask_rcnn_inception_resnet_v2', 'centernet_resnet50_v1_fpn_kpts', 'efficientdet_d0'))])
def test_predictions_detections_and_losses_equal_the_reference(name):
    comparison = model_parity.compare(name, make=lambda config: model_builder.build(config, is_training=False),
                                      loss=loss_of_lists)
    assert comparison.failures() == []


def tiny_model(tmp_path, is_training=True, **fields):
    config = pipeline.read(tiny.write(tmp_path)).model
    for field, value in fields.items():
        setattr(config.ssd, field, value)
    return model_builder.build(config, is_training)


def predictions_of(model, count=2):
    images = np.random.default_rng(3).integers(0, 256, (count, 60, 80, 3))
    inputs, shapes = model.preprocess(images)
    return model.predict(inputs, shapes), shapes


BOXES = [[[.1, .2, .5, .6], [.3, .3, .9, .8]], [[.5, .1, .8, .4]]]


def test_lists_of_different_lengths_equal_a_padded_batch(tmp_path):
    """One image with two boxes, one with one, and weights; then the same boxes without weights, which are 1."""
    model = tiny_model(tmp_path)
    detector = model._adapted.detector
    predictions, shapes = predictions_of(model)
    classes = [[0, 1], [1]]
    padded = {'num_groundtruth_boxes': tf.constant([2, 1]),
              'groundtruth_boxes': tf.constant([BOXES[0], [*BOXES[1], [0.] * 4]]),
              'groundtruth_classes': tf.one_hot([classes[0], [*classes[1], -1]], 2),
              'groundtruth_weights': tf.constant([[1., .5], [.25, 0.]])}
    boxes, labels = [tf.constant(one) for one in BOXES], [tf.one_hot(one, 2) for one in classes]
    model.provide_groundtruth(boxes, labels, groundtruth_weights_list=[tf.constant([1., .5]), tf.constant([.25])])
    given, expected = model.loss(predictions, shapes), detector.loss(predictions, shapes, padded)
    assert given.keys() == {'Loss/localization_loss', 'Loss/classification_loss'}
    for name, value in expected.items():
        np.testing.assert_allclose(given[name], value, rtol=1e-6)
        assert value > 0

    other = tiny_model(tmp_path)
    other.set_weights(model.get_weights())
    other.provide_groundtruth(boxes, labels)
    padded['groundtruth_weights'] = tf.constant([[1., 1.], [1., 0.]])
    for name, value in detector.loss(predictions, shapes, padded).items():
        np.testing.assert_allclose(other.loss(predictions, shapes)[name], value, rtol=1e-6)


def test_images_without_boxes(tmp_path):
    model = tiny_model(tmp_path)
    predictions, shapes = predictions_of(model)
    model.provide_groundtruth([tf.zeros([0, 4])] * 2, [tf.zeros([0, 2])] * 2)
    losses = model.loss(predictions, shapes)
    assert losses['Loss/localization_loss'] == 0 and losses['Loss/classification_loss'] > 0


def test_a_training_step_of_the_few_shot_notebook(tmp_path):
    """Lists of images and boxes go into a tf.function; variables are chosen by name; a Keras optimizer moves them."""
    learning_phase.set_training(True)
    model = tiny_model(tmp_path, num_classes=1, freeze_batchnorm=True)
    prefixes = tuple(f'WeightSharedConvolutionalBoxPredictor/WeightSharedConvolutional{kind}Head'
                     for kind in ('Box', 'Class'))
    chosen = [v for v in model.trainable_variables if v.name.startswith(prefixes)]
    assert len(chosen) == 6  # two depthwise and two pointwise kernels, two biases
    for variable in model.trainable_variables:
        if 'kernel' in variable.name:
            variable.assign(variable * 8.)  # the initial ones let so little through that no kernel would move
    import keras  # what tf.keras is in a program of people's own
    optimizer = keras.optimizers.SGD(learning_rate=.1, momentum=.9)

    @tf.function
    def step(images, boxes, classes):
        shapes = tf.constant(2 * [[64, 64, 3]], tf.int32)
        model.provide_groundtruth(groundtruth_boxes_list=boxes, groundtruth_classes_list=classes)
        with tf.GradientTape() as tape:
            inputs = tf.concat([model.preprocess(image)[0] for image in images], 0)
            losses = model.loss(model.predict(inputs, shapes), shapes)
            total = losses['Loss/localization_loss'] + losses['Loss/classification_loss']
        optimizer.apply_gradients(zip(tape.gradient(total, chosen), chosen))
        return total

    random = np.random.default_rng(5)
    images = [tf.constant(random.uniform(0, 255, (1, 40 + i, 50, 3)), tf.float32) for i in range(2)]
    boxes, classes = [tf.constant(one) for one in BOXES], [tf.ones([len(one), 1]) for one in BOXES]
    before = {id(v): v.numpy() for v in model.variables}
    loss, gradients = _loss_and_gradients(model._adapted.detector, images, boxes, classes, chosen)
    assert float(step(images, boxes, classes)) == pytest.approx(float(loss), rel=1e-5)
    for variable, gradient in zip(chosen, gradients):
        np.testing.assert_allclose(variable, before[id(variable)] - .1 * gradient, atol=1e-6)
    for _ in range(20):
        last = step(images, boxes, classes)
    assert last < loss
    moved = [v for v in model.variables if (v.numpy() != before[id(v)]).any()]
    assert {v.name for v in moved} == {v.name for v in chosen}


def _loss_and_gradients(detector, images, boxes, classes, variables):
    """The same from the detector itself."""
    inputs = tf.concat([detector.preprocess(image)[0] for image in images], 0)
    shapes, groundtruth = tf.constant(2 * [[64, 64, 3]]), {
        'num_groundtruth_boxes': tf.constant([2, 1]), 'groundtruth_weights': tf.constant([[1., 1.], [1., 0.]]),
        'groundtruth_boxes': tf.stack([boxes[0], tf.pad(boxes[1], [[0, 1], [0, 0]])]),
        'groundtruth_classes': tf.stack([classes[0], tf.pad(classes[1], [[0, 1], [0, 0]])])}
    with tf.GradientTape() as tape:
        total = tf.add_n(list(detector.loss(detector.predict(inputs, shapes, training=True), shapes,
                                            groundtruth).values()))
    return total, tape.gradient(total, variables)


def test_the_parts_of_a_checkpoint_that_the_few_shot_notebook_restores(tmp_path):
    pretrained, model = tiny_model(tmp_path), tiny_model(tmp_path, num_classes=1)
    path = tf.train.Checkpoint(model=pretrained).save(str(tmp_path / 'ckpt'))
    box_predictor = tf.train.Checkpoint(
        _base_tower_layers_for_heads=model._box_predictor._base_tower_layers_for_heads,
        _box_prediction_head=model._box_predictor._box_prediction_head)
    part = tf.train.Checkpoint(_feature_extractor=model._feature_extractor, _box_predictor=box_predictor)
    tf.train.Checkpoint(model=part).restore(path).expect_partial().assert_existing_objects_matched()
    theirs, ours = checkpoints.keys(pretrained), checkpoints.keys(model)
    assert theirs.keys() == ours.keys()
    for key, variable in ours.items():
        if '_class_predictor_layers' in key:
            assert variable.shape != theirs[key].shape or 'depthwise' in key
        else:
            np.testing.assert_array_equal(variable, theirs[key], err_msg=key)


def test_checkpoints_are_those_of_the_detector(tmp_path):
    model = tiny_model(tmp_path)
    tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(tmp_path / 'saved'), 1).save()
    detector = build.build(pipeline.read(tmp_path / 'pipeline.config').model, seed=1)
    assert checkpoints.restore_model(detector, checkpoints.load(tmp_path / 'saved')) is None
    for key, variable in checkpoints.keys(detector).items():
        np.testing.assert_array_equal(variable, checkpoints.keys(model)[key])


def test_batch_norm_trains_if_the_model_and_the_learning_phase_do(tmp_path):
    def moved(is_training, phase):
        model = tiny_model(tmp_path, is_training)
        learning_phase.set_training(phase)
        before = [v.numpy() for v in model.non_trainable_variables]
        predictions_of(model)
        return any((v.numpy() != b).any() for v, b in zip(model.non_trainable_variables, before))

    assert [moved(*case) for case in ((True, True), (True, False), (False, True), (False, False))] == [
        True, False, False, False]


def test_faster_rcnn_samples_proposals_in_training():
    config = pipeline.read(parity.config_path(FASTER_RCNN)).model
    config.faster_rcnn.image_resizer.fixed_shape_resizer.height = 96
    config.faster_rcnn.image_resizer.fixed_shape_resizer.width = 96
    config.faster_rcnn.second_stage_batch_size, config.faster_rcnn.first_stage_max_proposals = 8, 20
    model = model_builder.build(config, is_training=True)
    inputs, shapes = model.preprocess(np.zeros((2, 50, 50, 3)))
    with pytest.raises(RuntimeError, match='Groundtruth tensor boxes has not been provided'):
        model.predict(inputs, shapes)
    model.provide_groundtruth([tf.constant(boxes) for boxes in BOXES],
                              [tf.one_hot([0] * len(boxes), config.faster_rcnn.num_classes) for boxes in BOXES])
    predictions = model.predict(inputs, shapes)
    assert predictions['proposal_boxes'].shape == (2, 8, 4)
    assert predictions['class_predictions_with_background'].shape == (16, 91)  # stacked, as in the reference
    assert all(np.isfinite(loss) for loss in model.loss(predictions, shapes).values())
    model._is_training = False
    detections = model.postprocess(model.predict(inputs, shapes), shapes)
    assert detections['raw_detection_boxes'].shape == (2, 20, 4)


def test_center_net_has_the_stride_and_types_of_the_reference():
    model = model_builder.build(pipeline.read(parity.config_path(CENTER_NET)).model, is_training=False)
    assert type(model).__name__ == 'CenterNetMetaArch' and model._stride == 4
    detections = model(tf.zeros([1, 100, 120, 3]))
    assert detections['detection_classes'].dtype == detections['num_detections'].dtype == tf.int32


def test_a_model_is_an_argument_of_a_tf_function(tmp_path):
    model = tiny_model(tmp_path, is_training=False)

    @tf.function
    def detect(image, detection_model):
        inputs, shapes = detection_model.preprocess(image)
        return detection_model.postprocess(detection_model.predict(inputs, shapes), shapes)

    image = tf.constant(np.random.default_rng(0).uniform(0, 255, (1, 30, 40, 3)), tf.float32)
    for name, value in detect(image, model).items():
        np.testing.assert_allclose(value, model.call(image)[name], atol=1e-5)


def test_restore_from_objects(tmp_path):
    model = tiny_model(tmp_path)
    assert model.restore_from_objects('full') == {'model': model}
    assert model.restore_from_objects()['model']._feature_extractor is model._feature_extractor
    backbone = model._feature_extractor.classification_backbone
    assert model.restore_from_objects(fine_tune_checkpoint_type='classification') == {'feature_extractor': backbone}
    with pytest.raises(ValueError, match="fine_tune_checkpoint_type is 'all', which SSDMetaArch"):
        model.restore_from_objects('all')


def test_side_inputs_are_refused(tmp_path):
    model = tiny_model(tmp_path)
    with pytest.raises(TypeError, match=r'SSDMetaArch.predict takes no context_features'):
        model.predict(*model.preprocess(np.zeros((1, 9, 9, 3))), context_features=1)


def test_weights(tmp_path):
    model = tiny_model(tmp_path)
    weights = model.get_weights()
    assert len(weights) == len(model.trainable_weights) + len(model.non_trainable_weights)
    model.set_weights([value + 1 for value in weights])
    np.testing.assert_allclose(model.get_weights()[0], weights[0] + 1)
    with pytest.raises(ValueError, match='got 1 arrays for'):
        model.set_weights(weights[:1])


def test_keras_3_gets_a_learning_phase():
    """Not in this process, which has TensorFlow without Keras (utils/environment.py)."""
    code = '''if True:
        import tensorflow as tf
        from object_detection.builders import model_builder
        from object_detection.core import learning_phase
        before = learning_phase.is_training(), tf.keras.backend.learning_phase()
        tf.keras.backend.set_learning_phase(True)
        print(*before, learning_phase.is_training(), tf.keras.backend.learning_phase())'''
    environment = {name: value for name, value in os.environ.items() if name != 'TF_USE_LEGACY_KERAS'}
    done = subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2], env=environment, text=True,
                          capture_output=True, check=True)
    assert done.stdout.split() == ['False', '0', 'True', '1']
