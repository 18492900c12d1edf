"""The four calls of SSD, with a network of a few variables so that results can be computed by hand."""
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.boxes import anchors, coders, matchers, nms, targets
from object_detection.layers import core
from object_detection.models import build_parts, losses, resizers
from object_detection.models.ssd.model import SSD, LossSettings


class Extractor(tf.Module):
    """The feature maps are the image, subsampled by 8 and 16."""

    def __init__(self):
        super().__init__()
        self.classification_backbone = core.Conv2D(3, 1, 1, regularizer=core.L2(2.))

    def normalize(self, images):
        return images / 100.

    def feature_maps(self, inputs, training):
        return [inputs[:, ::8, ::8], inputs[:, ::16, ::16]]


class Predictor(tf.Module):
    """Predicts its variables for every image: encodings [A, 4] and logits [A, classes]."""

    def __init__(self, num_anchors, classes):
        super().__init__()
        self.encodings = tf.Variable(tf.zeros([num_anchors, 4]))
        self.logits = tf.Variable(tf.zeros([num_anchors, classes]))

    def __call__(self, maps, training):
        batch = tf.shape(maps[0])[0]
        return {'box_encodings': tf.tile(self.encodings[tf.newaxis], [batch, 1, 1]),
                'class_predictions_with_background': tf.tile(self.logits[tf.newaxis], [batch, 1, 1])}


def model(resizer=None, background_class=True, score_converter=tf.sigmoid, **loss):
    """SSD for images of 16 x 16, with four anchors of 8 x 8 pixels side by side and one of 16 x 16."""
    loss = {'classification': losses.sigmoid, 'localization': losses.SmoothL1()} | loss
    return SSD(
        num_classes=2, resizer=resizer or resizers.FixedShape(16, 16), feature_extractor=Extractor(),
        box_predictor=Predictor(5, 2 + background_class), anchors=anchors.MultiscaleGrid(3, 4, 1., [1.], 1),
        target_assigner=targets.TargetAssigner(matchers.ArgmaxMatcher(force_match_for_each_row=True),
                                               coders.FasterRcnnCoder((1., 1., 1., 1.))),
        loss=LossSettings(**loss), score_converter=score_converter,
        non_max_suppression=nms.NonMaxSuppression(.1, .5, max_total=3), background_class=background_class)


def groundtruth_of(boxes, classes, weights=None):
    """Return the groundtruth of one image, padded to four boxes."""
    count = len(boxes)
    padded = np.zeros((1, 4, 4), np.float32)
    padded[0, :count] = np.reshape(boxes, (count, 4))
    labels = np.zeros((1, 4, 2), np.float32)
    labels[0, range(count), classes] = 1.
    return {'groundtruth_boxes': tf.constant(padded), 'groundtruth_classes': tf.constant(labels),
            'groundtruth_weights': tf.constant([[*(weights or [1.] * count), *[0.] * (4 - count)]]),
            'num_groundtruth_boxes': tf.constant([count])}


def predict(ssd, batch=1):
    inputs, shapes = ssd.preprocess(tf.fill([batch, 16, 16, 3], 200.))
    return ssd.predict(inputs, shapes), shapes


def loss_of(ssd, *groundtruth):
    loss = ssd.loss(*predict(ssd), groundtruth_of(*groundtruth))
    return [float(loss[f'Loss/{kind}_loss']) for kind in ('classification', 'localization')]


def test_padding_is_filled_after_normalization():
    ssd = model(resizers.KeepAspectRatio(16, 16, pad=True, value=(1., 2., 3.)))
    inputs, shapes = ssd.preprocess(tf.fill([2, 8, 16, 3], 200.))
    np.testing.assert_array_equal(shapes, [[8, 16, 3]] * 2)
    np.testing.assert_allclose(inputs[:, :8], 2.)
    np.testing.assert_allclose(inputs[:, 8:], tf.broadcast_to([1., 2., 3.], [2, 8, 16, 3]))


def test_preprocess_pads_with_zeros_what_normalize_would_fill():
    ssd = model(resizers.KeepAspectRatio(16, 16, pad=True))
    images = tf.random.stateless_uniform([2, 9, 32, 3], [0, 1], maxval=255.)
    inputs, shapes = ssd.preprocess(images)
    resized, expected_shapes = ssd.resizer.batch(images)
    np.testing.assert_array_equal(shapes, expected_shapes)
    np.testing.assert_array_equal(inputs, ssd.normalize(resized, expected_shapes))


def test_normalize_fills_the_padding_of_each_image():
    ssd = model(resizers.KeepAspectRatio(16, 16, pad=True))
    inputs = ssd.normalize(tf.fill([2, 16, 16, 3], 100.), tf.constant([[16, 4, 3], [2, 16, 3]]))
    assert tf.reduce_sum(inputs, [1, 2, 3]).numpy().tolist() == [16 * 4 * 3, 2 * 16 * 3]


def test_predictions():
    predictions, _ = predict(model(), batch=2)
    assert predictions['anchors'].shape == (5, 4) and predictions['final_anchors'].shape == (2, 5, 4)
    np.testing.assert_allclose(predictions['anchors'], [
        [0, 0, .5, .5], [0, .5, .5, 1], [.5, 0, 1, .5], [.5, .5, 1, 1], [0, 0, 1, 1]])
    assert [x.shape[1] for x in predictions['feature_maps']] == [2, 1]


def test_detections_by_hand():
    ssd = model()
    logits = np.full((5, 3), -9., np.float32)
    logits[1, 2], logits[3, 1], logits[4, 1] = 2., 1., 0.
    ssd._box_predictor.logits.assign(logits)
    ssd._box_predictor.encodings[3].assign([0., 0., np.log(2.), 0.])  # twice as high, 1/4 of it below the image
    detections = ssd.postprocess(*predict(ssd))
    assert detections['num_detections'].numpy().tolist() == [3.]
    np.testing.assert_array_equal(detections['detection_anchor_indices'], [[1, 3, 4]])
    np.testing.assert_array_equal(detections['detection_classes'], [[1., 0., 0.]])
    np.testing.assert_allclose(detections['detection_scores'], tf.sigmoid([[2., 1., 0.]]))
    np.testing.assert_allclose(detections['detection_boxes'],
                               [[[0, .5, .5, 1], [.25, .5, 1, 1], [0, 0, 1, 1]]], atol=1e-6)
    np.testing.assert_allclose(detections['raw_detection_boxes'][0, 3], [.25, .5, 1.25, 1], atol=1e-6)
    np.testing.assert_allclose(detections['raw_detection_scores'][0], tf.sigmoid(logits), rtol=1e-6)
    np.testing.assert_allclose(detections['detection_multiclass_scores'][0, 1], tf.sigmoid(logits[3]), rtol=1e-6)


def test_detections_are_normalized_to_the_image_without_padding():
    ssd = model(resizers.KeepAspectRatio(16, 16, pad=True), background_class=False)
    ssd._box_predictor.logits.assign([[-9., -9.], [3., -9.], [4., -9.], [-9., -9.], [-9., -9.]])
    inputs, shapes = ssd.preprocess(tf.zeros([1, 8, 16, 3]))
    detections = ssd.postprocess(ssd.predict(inputs, shapes), shapes)
    assert detections['num_detections'].numpy().tolist() == [1.]  # anchor 2 is in the padding
    np.testing.assert_allclose(detections['detection_boxes'][0, 0], [0., .5, 1., 1.])
    np.testing.assert_array_equal(detections['detection_boxes'][0, 1:], np.zeros((2, 4)))
    np.testing.assert_array_equal(detections['detection_multiclass_scores'][0, 1:], np.zeros((2, 2)))


def test_no_detections():
    ssd = model()
    ssd._box_predictor.logits.assign(tf.fill([5, 3], -9.))
    detections = ssd.postprocess(*predict(ssd, batch=2))
    assert detections['num_detections'].numpy().tolist() == [0., 0.] and not detections['detection_boxes'].numpy().any()


@pytest.mark.parametrize(('text', 'scores'), [
    ('', [0., np.log(2.), np.log(5.)]), ('score_converter: SIGMOID', [1 / 2, 2 / 3, 5 / 6]),
    ('score_converter: SOFTMAX', [1 / 8, 2 / 8, 5 / 8]),
    ('score_converter: SOFTMAX logit_scale: 0.5', [1 / 30, 4 / 30, 25 / 30])])
def test_score_converters(text, scores):
    ssd = model(score_converter=build_parts.score_converter(text_format.Parse(text, protos.PostProcessing())))
    ssd._box_predictor.logits.assign(tf.tile([[0., np.log(2.), np.log(5.)]], [5, 1]))
    np.testing.assert_allclose(ssd.postprocess(*predict(ssd))['raw_detection_scores'][0, 0], scores, rtol=1e-6)


def test_loss_by_hand():
    """Box 0 is anchor 0; box 1 is anchor 3 shifted by half its size. Logits are 0, so each class costs log 2."""
    boxes, log2 = [[0., 0., .5, .5], [.75, .5, 1.25, 1.]], np.log(2.)
    assert loss_of(model(), boxes, [0, 1]) == pytest.approx([5 * 3 * log2 / 2, .5 * .5 ** 2 / 2])
    assert loss_of(model(normalize_by_matches=False), boxes, [0, 1]) == pytest.approx([15 * log2, .125])
    assert loss_of(model(normalize_localization_by_code_size=True, classification_weight=2., localization_weight=4.),
                   boxes, [0, 1]) == pytest.approx([15 * log2, .125 / 2])
    assert loss_of(model(), boxes, [0, 1], [1., .5]) == pytest.approx([4.5 * 3 * log2 / 1.5, .0625 / 1.5])
    assert loss_of(model(background_class=False), boxes, [0, 1]) == pytest.approx([5 * 2 * log2 / 2, .0625])


def test_background_as_zeros_or_as_a_class():
    for as_zeros, expected in ((True, np.log1p(np.e)), (False, np.log1p(np.e) - 1.)):
        ssd = model(encode_background_as_zeros=as_zeros)
        logits = np.full((5, 3), -40., np.float32)
        logits[:, 0] = 1.
        ssd._box_predictor.logits.assign(logits)
        assert loss_of(ssd, [], []) == pytest.approx([5 * expected, 0.], rel=1e-5)


def test_loss_without_groundtruth():
    assert loss_of(model(), [], []) == pytest.approx([15 * np.log(2.), 0.])


def test_a_box_without_positive_size_has_no_localization_loss_and_no_nan():
    ssd = model()
    with tf.GradientTape() as tape:
        loss = ssd.loss(*predict(ssd), groundtruth_of([[.5, .5, .25, .75]], [0]))
    # Anchor 0 is shifted by 1/4 and 3/4 of its size and half as wide; the logarithm of a negative height is dropped.
    assert loss['Loss/localization_loss'].numpy() == pytest.approx((.25 ** 2 + .75 ** 2 + np.log(2) ** 2) / 2)
    assert np.isfinite(tape.gradient(loss['Loss/localization_loss'], ssd._box_predictor.encodings)).all()


def test_hard_example_mining():
    ssd = model(hard_example_miner=losses.HardExampleMiner(1, .5, 1., 0.))
    ssd._box_predictor.logits[2].assign([3., 0., 0.])
    assert loss_of(ssd, [], []) == pytest.approx([np.log1p(np.exp(3.)) + 2 * np.log(2.), 0.])


def test_regularization_and_restore_map():
    ssd = model()
    ssd._feature_extractor.classification_backbone.kernel.assign(tf.ones([1, 1, 3, 1]))
    assert [float(term) for term in ssd.regularization_losses()] == [3.]
    assert ssd.restore_map('classification') == {'feature_extractor': ssd._feature_extractor.classification_backbone}
    assert ssd.restore_map('detection')['model']._feature_extractor is ssd._feature_extractor
    assert ssd.restore_map('full') == {'model': ssd}
    with pytest.raises(KeyError, match='fine_tune'):
        ssd.restore_map('fine_tune')
