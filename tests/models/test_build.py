import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.boxes import anchors, coders, nms
from object_detection.config import pipeline as config
from object_detection.models import build, build_parts, losses
from object_detection.utils.errors import UserError
from tests.support import parity

SSD = parity.HERE / 'ssd_mobilenet_v2.config'


def small(changes=''):
    """The model section of SSD MobileNetV2, narrow, with changes."""
    narrow = 'ssd { feature_extractor { depth_multiplier: .1 } num_classes: 3 }'
    merged = config.override(config.read(SSD), f'model {{ {narrow} }} model {{ ssd {{ {changes} }} }}')
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
    assert model._loss.classification_weight == 2. and model._loss.classification == losses.Focal(2., .75)
    assert model._loss.normalize_localization_by_code_size and model._loss.encode_background_as_zeros
    assert model._non_max_suppression == nms.NonMaxSuppression(np.float32(1e-8), np.float32(.6))
    inputs, shapes = model.preprocess(tf.zeros([1, 50, 40, 3]))
    predictions = model.predict(inputs, shapes)
    assert predictions['class_predictions_with_background'].shape[-1] == 3
    assert model.postprocess(predictions, shapes)['detection_multiclass_scores'].shape == (1, 100, 3)


@pytest.mark.parametrize(('changes', 'message'), [
    ('num_classes: 0', 'num_classes is 0'),
    ('feature_extractor { type: "ssd_inception_v2" }', '"ssd_inception_v2"; supported for ssd: ssd_efficientnet-b0'),
    ('image_resizer { keep_aspect_ratio_resizer {} }', 'one size: use fixed_shape_resizer'),
    ('loss { random_example_sampler {} } explicit_background_class: true',
     'random_example_sampler is not supported.*\n.*explicit_background_class is not supported'),
    ('loss { hard_example_miner {} }', 'does not go with weighted_sigmoid_focal'),
    ('loss { classification_loss { weighted_dice_classification_loss {} } }', 'supported: weighted_sigmoid_focal'),
    ('loss { localization_loss { l1_localization_loss {} } }', 'supported: weighted_smooth_l1, weighted_l2'),
    ('matcher { bipartite_matcher {} }', 'matcher holds bipartite_matcher; supported: argmax_matcher'),
    ('matcher { argmax_matcher { unmatched_threshold: .7 } }', 'unmatched_threshold is 0.7, more than'),
    ('box_coder { keypoint_box_coder {} }', 'box_coder holds keypoint_box_coder; supported'),
    ('similarity_calculator { thresholded_iou_similarity {} }', 'thresholded_iou_similarity; supported: iou'),
    ('box_predictor { rfcn_box_predictor {} }', 'box_predictor holds rfcn_box_predictor; supported for ssd'),
    ('post_processing { batch_non_max_suppression { iou_threshold: 2 max_detections_per_class: 200 } }',
     'iou_threshold is 2.*\n.*max_detections_per_class is 200'),
    ('post_processing { batch_non_max_suppression { use_combined_nms: true } }', 'use_combined_nms is not supported'),
    ('feature_extractor { fpn {} }', r'feature_extractor\.fpn does not belong to type "ssd_mobilenet_v2_keras"; r'),
    ('feature_extractor { type: "ssd_mobilenet_v2_fpn_keras" bifpn {} }', 'bifpn does not belong .* or use fpn'),
    ('feature_extractor { type: "ssd_mobilenet_v2_fpn_keras" num_layers: 4 }', 'num_layers does not belong to type'),
])
def test_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        build.build(small(changes))


GRID, MULTISCALE = 'ssd_anchor_generator', 'multiscale_anchor_generator'


@pytest.mark.parametrize(('name', 'changes', 'levels', 'maps', 'advice'), [
    ('ssd_mobilenet_v2', f'anchor_generator {{ {GRID} {{ num_layers: 5 }} }}', 5, 6,
     f'{GRID}.num_layers, or the number of its scales if it has any; or change feature_extractor.num_layers'),
    ('ssd_mobilenet_v2', 'feature_extractor { num_layers: 4 }', 6, 4, f'{GRID}.num_layers, or'),
    ('ssd_mobilenet_v2', f'anchor_generator {{ {GRID} {{ scales: [.2, .5, .9] }} }}', 3, 6, f'{GRID}.num_layers, or'),
    ('ssd_mobilenet_v2_fpnlite', 'feature_extractor { fpn { max_level: 6 } }', 5, 4,
     f'{MULTISCALE}.min_level or max_level; or change feature_extractor.fpn.min_level or max_level'),
    ('efficientdet_d0', f'anchor_generator {{ {MULTISCALE} {{ min_level: 2 }} }}', 6, 5,
     f'{MULTISCALE}.min_level or max_level; or change feature_extractor.bifpn.min_level or max_level'),
])
def test_anchors_are_for_the_feature_maps_that_there_are(name, changes, levels, maps, advice):
    changed = config.override(config.read(parity.HERE / f'{name}.config'), f'model {{ ssd {{ {changes} }} }}')
    with pytest.raises(UserError) as error:
        build.build(changed.model)
    assert str(error.value).startswith(f'anchor_generator is for {levels} feature maps; feature_extractor has {maps}; '
                                       f'make them equal: change {advice}')


@pytest.mark.parametrize(('text', 'held'), [('', 'nothing'), ('model { experimental_model {} }', 'experimental_model')])
def test_other_architectures_answer_with_one_line(text, held):
    with pytest.raises(UserError, match=f'the model section holds {held}; supported: ssd') as error:
        build.build(config.parse(text).model)
    assert len(error.value.findings) == 1


def read(kind, text):
    return text_format.Parse(text, getattr(protos, kind)())


def test_parts():
    grid = build_parts.anchor_generator(read('AnchorGenerator', 'flexible_grid_anchor_generator { anchor_grid { '
                                             'base_sizes: 4 aspect_ratios: 1 height_stride: 8 width_stride: 8 } }'))
    np.testing.assert_allclose(grid.generate([(1, 1)], (8, 8)), [[-.25, -.25, .25, .25]])
    grid = build_parts.anchor_generator(read('AnchorGenerator', 'grid_anchor_generator { scales: 1 aspect_ratios: 1 }'))
    assert isinstance(grid, anchors.Grid) and grid.per_location == [1]
    assert isinstance(build_parts.box_coder(read('BoxCoder', 'mean_stddev_box_coder {}')), coders.MeanStddevCoder)
    assert build_parts.classification_loss(read('ClassificationLoss', 'weighted_sigmoid {}')) is losses.sigmoid
    assert build_parts.localization_loss(read('LocalizationLoss', 'weighted_giou {}')) is losses.giou
    assert build_parts.suppression(read('BatchNonMaxSuppression', 'soft_nms_sigma: .5 use_class_agnostic_nms: true')) \
        == nms.NonMaxSuppression(soft_sigma=.5, class_agnostic=True, iou_threshold=np.float32(.6))
