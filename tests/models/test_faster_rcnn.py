"""The four calls of Faster R-CNN and Mask R-CNN, by hand."""
import math

import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes import anchors
from object_detection.boxes.samplers import BalancedSampler
from object_detection.models import losses, resizers
from object_detection.models.faster_rcnn.rpn import dynamic_anchors
from object_detection.utils.errors import UserError
from tests.support import parity
from tests.support.faster_rcnn import BOTTOM_RIGHT, TOP_LEFT, TOP_RIGHT, Head, groundtruth_of, losses_of, model, predict

SCORES = np.exp([0., 2., 1.]) / np.exp([0., 2., 1.]).sum()  # of the head's logits
LN2 = math.log(2.)


def test_padding_is_normalized_too():
    detector = model(resizer=resizers.KeepAspectRatio(16, 16, pad=True))
    inputs, shapes = detector.preprocess(tf.fill([2, 8, 16, 3], 200.))
    np.testing.assert_array_equal(shapes, [[8, 16, 3]] * 2)
    np.testing.assert_allclose(inputs[:, :8], 2.)
    np.testing.assert_allclose(inputs[:, 8:], 0.)


def test_proposals_are_the_best_anchors():
    detector = model()
    detector._first_stage_box_predictor.logits[3].assign([0., 2.])
    detector._first_stage_box_predictor.logits[1].assign([0., 1.])
    detector._first_stage_box_predictor.encodings[1].assign([.5, 0., 0., math.log(.5)])  # lower, and half as wide
    predictions, _ = predict(detector, batch=2)
    np.testing.assert_array_equal(predictions['num_proposals'], [4, 4])
    expected = [[8, 8, 16, 16], [4, 10, 12, 14], [0, 0, 8, 8], [8, 0, 16, 8], [0] * 4, [0] * 4]
    np.testing.assert_allclose(predictions['proposal_boxes'], [expected] * 2)
    np.testing.assert_allclose(predictions['proposal_boxes_normalized'], np.array([expected] * 2) / 16)
    np.testing.assert_array_equal(predictions['image_shape'], [2, 16, 16, 3])
    assert predictions['refined_box_encodings'].shape == [2, 6, 1, 4]
    assert predictions['class_predictions_with_background'].shape == [2, 6, 3]


def test_proposals_are_clipped_to_the_image():
    detector = model(resizer=resizers.KeepAspectRatio(16, 16, pad=True))
    inputs, shapes = detector.preprocess(tf.fill([1, 6, 12, 3], 200.))
    np.testing.assert_array_equal(shapes, [[8, 16, 3]])
    predictions = detector.predict(inputs, shapes)
    np.testing.assert_array_equal(predictions['num_proposals'], [2])
    detections = detector.postprocess(predictions, shapes)
    np.testing.assert_allclose(detections['detection_boxes'][0, :2], [[0., 0., 1., .5], [0., .5, 1., 1.]])
    np.testing.assert_allclose(detections['raw_detection_boxes'][0, :2], [[0., 0., 1., .5], [0., .5, 1., 1.]])


def test_detections_with_boxes_shared_by_the_classes():
    detector = model()
    detector._first_stage_box_predictor.logits[3].assign([0., 2.])
    detector._mask_rcnn_box_predictor.encodings.assign([[0., 0., math.log(.5), 0.]])
    detections = detector.postprocess(*predict(detector))
    np.testing.assert_allclose(detections['detection_scores'], [[SCORES[1]] * 3], rtol=1e-6)
    np.testing.assert_array_equal(detections['detection_classes'], [[0., 0., 0.]])
    np.testing.assert_array_equal(detections['num_detections'], [3.])
    np.testing.assert_array_equal(detections['detection_anchor_indices'], [[0, 1, 2]])
    np.testing.assert_allclose(detections['detection_boxes'][0, :2], [[.625, .5, .875, 1.], [.125, 0., .375, .5]])
    np.testing.assert_allclose(detections['detection_multiclass_scores'], [[SCORES] * 3], rtol=1e-6)
    assert detections['raw_detection_boxes'].shape == [1, 6, 4]
    assert detections['raw_detection_scores'].shape == [1, 6, 3]


def test_detections_with_a_box_for_each_class():
    detector = model(Head(boxes=2))
    detector._mask_rcnn_box_predictor.encodings[1].assign([0., 0., 0., math.log(.5)])
    detector._mask_rcnn_box_predictor.logits.assign([0., 1., 2.])
    detector._first_stage_box_predictor.logits[0].assign([0., 2.])
    detections = detector.postprocess(*predict(detector))
    np.testing.assert_array_equal(detections['detection_classes'], [[1., 1., 1.]])
    np.testing.assert_array_equal(detections['detection_anchor_indices'], [[0, 1, 2]])
    np.testing.assert_allclose(detections['detection_boxes'][0, 0], [0., .125, .5, .375])
    np.testing.assert_allclose(detections['raw_detection_boxes'][0, 0], [0., .125, .5, .375])  # of class 1


def test_losses():
    detector = model()
    detector._first_stage_box_predictor.encodings[0].assign([.1, -.1, .2, 0.])
    values = losses_of(detector, groundtruth_of([TOP_LEFT], [1]))
    assert values['RPNLoss/objectness_loss'] == pytest.approx(LN2)  # of all four anchors
    assert values['RPNLoss/localization_loss'] == pytest.approx(.5 * (.01 + .01 + .04) / 4)
    log_scores = np.log(SCORES)
    assert values['BoxClassifierLoss/classification_loss'] == pytest.approx(-(log_scores[2] + 3 * log_scores[0]) / 4)
    # the first proposal has its center at (4.8, 3.2), is 8 e**.2 high, 8 wide, and clipped to the image
    height, width = 4.8 + 4 * math.exp(.2), 7.2
    target = np.array([(4 - height / 2) / height, (4 - width / 2) / width, math.log(8 / height), math.log(8 / width)])
    assert values['BoxClassifierLoss/localization_loss'] == pytest.approx(.5 * (target ** 2).sum() / 4, rel=1e-5)


def test_losses_without_objects():
    detector = model(mask_weight=1.)
    groundtruth = groundtruth_of([], [], batch=2)
    with tf.GradientTape() as tape:
        total = tf.add_n(list(detector.loss(*predict(detector, 2, training=True, groundtruth=groundtruth),
                                            groundtruth).values()))
    assert float(total) == pytest.approx(LN2 - math.log(SCORES[0]))
    for gradient in tape.gradient(total, detector.trainable_variables, unconnected_gradients='zero'):
        assert np.isfinite(gradient).all()


def test_losses_without_proposals():
    detector = model(mask_weight=1.)
    detector._first_stage_box_predictor.encodings.assign([[100., 0., 0., 0.]] * 4)  # far below the image
    values = losses_of(detector, groundtruth_of([TOP_LEFT], [1]))
    assert values['BoxClassifierLoss/classification_loss'] == 0. == values['BoxClassifierLoss/localization_loss']
    assert values['BoxClassifierLoss/mask_loss'] == 0.


@pytest.mark.parametrize('clip', [True, False])
def test_size_unknown_while_tracing(clip):
    """Gives the same numbers as a size that is known while tracing."""
    groundtruth = groundtruth_of([TOP_LEFT], [1])
    detector = model(resizer=resizers.KeepAspectRatio(16, 32), scales=(1., .7), clip_anchors=clip, minibatch=3,
                     sampler=BalancedSampler(4, .25))

    def run(images):
        inputs, shapes = detector.preprocess(images)
        predictions = detector.predict(inputs, shapes, training=True, groundtruth=groundtruth)
        return {**predictions, **detector.loss(predictions, shapes, groundtruth)}

    images = tf.random.stateless_uniform([1, 16, 16, 3], [0, 1], 0., 255.)
    expected = run(images)
    found = tf.function(run, autograph=False, input_signature=[tf.TensorSpec([1, None, None, 3])])(images)
    assert found['proposal_boxes'].shape == [1, 4, 4]
    for name, value in expected.items():
        tf.nest.map_structure(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-5),
                              found[name], value)


def test_anchors_of_a_size_unknown_while_tracing():
    for generator, sizes in ((anchors.Grid((.5, 1.), (1., 2.), stride=(16, 8), offset=(3, 0)), [(4, 7)]),
                             (anchors.MultiscaleGrid(2, 4, normalize=False), [(9, 5), (5, 3), (3, 2)])):
        found = dynamic_anchors(generator, [tf.unstack(tf.constant(size)) for size in sizes])
        np.testing.assert_allclose(found, generator.generate(sizes, None), atol=1e-4)


def test_training_samples_the_proposals():
    detector = model(sampler=BalancedSampler(2, .5))
    groundtruth = groundtruth_of([BOTTOM_RIGHT], [0])
    drawn = set()
    for step in range(10):
        detector._first_stage_box_predictor.logits[0].assign([0., step / 10])
        predictions, _ = predict(detector, training=True, groundtruth=groundtruth)
        again, _ = predict(detector, training=True, groundtruth=groundtruth)
        np.testing.assert_array_equal(predictions['proposal_boxes'], again['proposal_boxes'])
        np.testing.assert_array_equal(predictions['num_proposals'], [2])
        positive, negative = predictions['proposal_boxes'][0].numpy().tolist()
        assert positive == [8., 8., 16., 16.]
        drawn.add(tuple(negative))
    assert drawn == {(0., 0., 8., 8.), (0., 8., 8., 16.), (8., 0., 16., 8.)}
    few, _ = predict(model(sampler=BalancedSampler(6, .5)), training=True, groundtruth=groundtruth)
    np.testing.assert_array_equal(few['num_proposals'], [4])
    np.testing.assert_array_equal(few['proposal_boxes'][0, 4:], np.zeros((2, 4)))


def test_no_gradient_from_the_second_stage_to_the_first_in_training():
    detector, groundtruth = model(), groundtruth_of([TOP_LEFT], [1])
    for training, moves in ((True, False), (False, True)):
        with tf.GradientTape() as tape:
            loss = detector.loss(*predict(detector, training=training, groundtruth=groundtruth), groundtruth)
        gradient = tape.gradient(loss['Loss/BoxClassifierLoss/localization_loss'],
                                 detector._first_stage_box_predictor.encodings)
        assert (gradient is not None) == moves


def test_anchors_over_the_edge_are_dropped_or_clipped():
    groundtruth = groundtruth_of([TOP_LEFT], [1])
    for clip, training, count in ((False, True, 4), (True, True, 8), (False, False, 8)):
        predictions, _ = predict(model(scales=(1., 2.), clip_anchors=clip), training=training, groundtruth=groundtruth)
        anchors = predictions['anchors'].numpy()
        assert len(anchors) == predictions['rpn_box_encodings'].shape[1] == count
        assert anchors.min() == 0. and anchors.max() == 16.
        if count == 8:
            np.testing.assert_array_equal(anchors[:2], [[0., 0., 8., 8.], [0., 0., 12., 12.]])
    with pytest.raises(UserError, match='no anchor lies within an image of 16x16; set clip_anchors_to_image: true'):
        predict(model(scales=(2.,), clip_anchors=False), training=True, groundtruth=groundtruth)


def test_rpn_loss_is_the_mean_over_its_sample():
    detector = model(minibatch=2)
    detector._first_stage_box_predictor.logits.assign([[1., 0.]] * 4)
    loss = losses_of(detector, groundtruth_of([TOP_LEFT], [1]))
    softplus = math.log1p(math.e)  # one positive and any of the negatives
    assert loss['RPNLoss/objectness_loss'] == pytest.approx((softplus + softplus - 1.) / 2)


def test_hard_example_mining():
    miner = losses.HardExampleMiner(num_hard_examples=1, localization_weight=0.)
    loss = losses_of(model(hard_example_miner=miner), groundtruth_of([TOP_LEFT], [0]))
    assert loss['BoxClassifierLoss/classification_loss'] == pytest.approx(-math.log(SCORES[0]) / 4)  # of a background


def test_detection_masks_are_of_the_detected_class():
    detector = model(mask_weight=1.)
    detector._mask_rcnn_box_predictor.mask_logits[0].assign([[1., 2.], [3., 4.]])
    predictions, shapes = predict(detector, batch=2)
    detections = detector.postprocess(predictions, shapes)
    assert predictions['mask_predictions'].shape == [2, 3, 2, 2, 2]
    np.testing.assert_allclose(detections['detection_masks'], np.tile(
        1 / (1 + np.exp([[-1., -2.], [-3., -4.]])), (2, 3, 1, 1)), rtol=1e-6)
    assert detections['detection_boxes'].shape == [2, 3, 4] and 'rpn_box_encodings' not in detections


def test_mask_loss():
    detector = model(mask_weight=4.)
    logits = np.array([[1., 2.], [-3., -4.]])
    detector._mask_rcnn_box_predictor.mask_logits[1].assign(logits)
    groundtruth = groundtruth_of([TOP_LEFT, TOP_RIGHT], [1, 0])
    # The target is 1 in the upper left pixel, 1/2 in the upper right one, which is half a pixel outside, and 0 in the
    # lower ones. The other object is of class 0, whose mask logits are all 0.
    expected = ((np.log1p(np.exp(-np.abs(logits))).sum() + .5 * 2.) / 4 + LN2) / 2 * 4
    assert losses_of(detector, groundtruth)['BoxClassifierLoss/mask_loss'] == pytest.approx(expected)
    loss = detector.loss(*predict(detector, training=True, groundtruth=groundtruth), groundtruth)
    assert float(loss['Loss/BoxClassifierLoss/mask_loss']) == pytest.approx(expected)


FIRST = math.log1p(math.exp(-2.)) + 1. / 4  # of logits 2, 2, -2, -2 for targets 1, 1/2, 0, 0 (see test_mask_loss)


@pytest.mark.parametrize(('known', 'expected'), [
    ([1., 1.], (FIRST + LN2) / 2), ([1., 0.], FIRST), ([0., 1.], LN2), ([0., 0.], 0.)])
def test_mask_loss_is_the_mean_over_the_objects_whose_mask_is_known(known, expected):
    detector = model(mask_weight=1.)
    detector._mask_rcnn_box_predictor.mask_logits[1].assign([[2., 2.], [-2., -2.]])
    groundtruth = groundtruth_of([TOP_LEFT, TOP_RIGHT], [1, 0])
    groundtruth['groundtruth_instance_mask_weights'] = tf.constant([[*known, 0., 0.]])
    for training in (False, True):
        loss = detector.loss(*predict(detector, training=training, groundtruth=groundtruth), groundtruth)
        assert float(loss['Loss/BoxClassifierLoss/mask_loss']) == pytest.approx(expected)


def test_restore_map():
    detector = model()
    keys = {kind: set(parity.variables_by_key(**detector.restore_map(kind))) for kind in (
        'classification', 'detection', 'full')}
    layers = {f'layer_with_weights-{i}/{name}' for i in (0, 1) for name in ('kernel', 'bias')}
    assert keys['classification'] == {f'feature_extractor/{layer}' for layer in layers}
    halves = {f'model/_feature_extractor_for_{half}_features/layer_with_weights-0/{name}'
              for half in ('proposal', 'box_classifier') for name in ('kernel', 'bias')}
    assert keys['detection'] == halves < keys['full']
    assert 'model/_first_stage_box_predictor/encodings' in keys['full']
    with pytest.raises(KeyError, match='fine_tune'):
        detector.restore_map('fine_tune')
    kernel = detector._feature_extractor_for_proposal_features.first_layers(1)[0].kernel
    assert float(detector.regularization_losses()[0]) == pytest.approx(float(tf.reduce_sum(kernel ** 2)))
