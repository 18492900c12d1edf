import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.boxes import anchors, coders, nms
from object_detection.config import pipeline
from object_detection.config.checks import model as model_rules
from object_detection.models import build, build_parts, losses
from tests.support import parity

SSD = parity.HERE / 'ssd_mobilenet_v2.config'


def small(changes=''):
    """The model section of SSD MobileNetV2, narrow, with changes."""
    narrow = 'ssd { feature_extractor { depth_multiplier: .1 } num_classes: 3 }'
    merged = pipeline.override(pipeline.read(SSD), f'model {{ {narrow} }} model {{ ssd {{ {changes} }} }}')
    return merged.model


def test_the_seed_decides_the_start_values():
    one, again, other = (build.build(small(), seed).trainable_variables for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other))


def test_what_the_config_says_reaches_the_model():
    model = build.build(small('box_coder { faster_rcnn_box_coder { y_scale: 7 height_scale: 1 } }'
                              'loss { classification_weight: 2 } add_background_class: false '
                              'post_processing { score_converter: SOFTMAX logit_scale: 3 }'))
    codes = model._target_assigner.coder.encode(tf.constant([[1., 0., 3., 2.]]), tf.constant([[0., 0., 2., 2.]]))
    np.testing.assert_allclose(codes, [[3.5, 0., 0., 0.]], atol=1e-6)
    settings = model._loss_settings
    assert settings.classification_weight == 2. and settings.classification == losses.Focal(2., .75)
    assert settings.normalize_localization_by_code_size and settings.encode_background_as_zeros
    assert model.non_max_suppression == nms.NonMaxSuppression(np.float32(1e-8), np.float32(.6))
    inputs, shapes = model.preprocess(tf.zeros([1, 50, 40, 3]))
    predictions = model.predict(inputs, shapes)
    assert predictions['class_predictions_with_background'].shape[-1] == 3
    assert model.postprocess(predictions, shapes)['detection_multiclass_scores'].shape == (1, 100, 3)


def read(kind, text):
    return text_format.Parse(text, getattr(protos, kind)())


@pytest.mark.parametrize('kind', model_rules.CLASSIFICATION)
def test_classification_losses(kind):
    message = protos.ClassificationLoss()
    getattr(message, kind).SetInParent()
    loss = build_parts.classification_loss(message)
    assert loss(tf.zeros([1, 2, 3]), tf.one_hot([[0, 1]], 3), tf.ones([1, 2])) is not None


@pytest.mark.parametrize(('kind', 'expected'), [
    ('weighted_smooth_l1', losses.SmoothL1(1.)), ('weighted_l2', losses.l2), ('weighted_iou', losses.iou),
    ('weighted_giou', losses.giou)])
def test_localization_losses(kind, expected):
    assert kind in model_rules.LOCALIZATION
    assert build_parts.localization_loss(read('LocalizationLoss', f'{kind} {{}}')) == expected


def test_parts():
    grid = build_parts.anchor_generator(read('AnchorGenerator', 'flexible_grid_anchor_generator { anchor_grid { '
                                             'base_sizes: 4 aspect_ratios: 1 height_stride: 8 width_stride: 8 } }'))
    np.testing.assert_allclose(grid.generate([(1, 1)], (8, 8)), [[-.25, -.25, .25, .25]])
    grid = build_parts.anchor_generator(read('AnchorGenerator', 'grid_anchor_generator { scales: 1 aspect_ratios: 1 }'))
    assert isinstance(grid, anchors.Grid) and grid.per_location == [1]
    assert isinstance(build_parts.box_coder(read('BoxCoder', 'mean_stddev_box_coder {}')), coders.MeanStddevCoder)
    assert build_parts.classification_loss(read('ClassificationLoss', 'weighted_sigmoid {}')) is losses.sigmoid
    assert build_parts.localization_loss(read('LocalizationLoss', 'weighted_giou {}')) is losses.giou
    config = read('BatchNonMaxSuppression', 'soft_nms_sigma: .5 use_class_agnostic_nms: true')
    assert build_parts.non_max_suppression(config) == nms.NonMaxSuppression(
        soft_sigma=.5, class_agnostic=True, iou_threshold=np.float32(.6))
