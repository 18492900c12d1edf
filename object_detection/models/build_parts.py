"""Build the parts that several architectures share from their sections of a config.

The sections must have passed config/checks.
"""
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message

from object_detection import protos
from object_detection.boxes import anchors, coders, matchers, nms, ops
from object_detection.models import losses
from object_detection.models.hyperparams import enum_name

SIMILARITIES = {'iou_similarity': ops.iou, 'ioa_similarity': ops.ioa,
                'neg_sq_dist_similarity': lambda boxes, anchors: -ops.squared_distance(boxes, anchors)}
SCORES = {'IDENTITY': tf.identity, 'SIGMOID': tf.sigmoid, 'SOFTMAX': tf.nn.softmax}
LOCALIZATION_LOSSES = {'weighted_l2': losses.l2, 'weighted_iou': losses.iou, 'weighted_giou': losses.giou}


def changed(section: Message, *names: str) -> dict[str, Any]:
    """Return {name: value} of the fields that differ from their default: keywords of a constructor with the same
    defaults, which need not have the others."""
    fields = section.DESCRIPTOR.fields_by_name
    return {name: getattr(section, name) for name in names if getattr(section, name) != fields[name].default_value}


def fpn(section: protos.SsdFeatureExtractor | protos.FasterRcnnFeatureExtractor) -> dict[str, int]:
    """Return the keywords of a feature extractor with a feature pyramid; none without an fpn section."""
    if not section.HasField('fpn'):
        return {}
    return {'fpn_min_level': section.fpn.min_level, 'fpn_max_level': section.fpn.max_level,
            'additional_layer_depth': section.fpn.additional_layer_depth}


def anchor_generator(config: protos.AnchorGenerator) -> anchors.AnchorGenerator:
    kind = config.WhichOneof('anchor_generator_oneof')
    section = getattr(config, kind)
    if kind == 'multiscale_anchor_generator':
        return anchors.MultiscaleGrid(section.min_level, section.max_level, section.anchor_scale, section.aspect_ratios,
                                      section.scales_per_octave, section.normalize_coordinates)
    if kind == 'ssd_anchor_generator':
        return anchors.SsdGrid(
            section.num_layers, section.min_scale, section.max_scale, section.scales, section.aspect_ratios,
            section.interpolated_scale_aspect_ratio, section.reduce_boxes_in_lowest_layer,
            (section.base_anchor_height, section.base_anchor_width),
            list(zip(section.height_stride, section.width_stride)),
            list(zip(section.height_offset, section.width_offset)))
    if kind == 'grid_anchor_generator':
        return anchors.Grid(section.scales, section.aspect_ratios, (section.height, section.width),
                            (section.height_stride, section.width_stride),
                            (section.height_offset, section.width_offset))
    grids = section.anchor_grid
    return anchors.FlexibleGrid([g.base_sizes for g in grids], [g.aspect_ratios for g in grids],
                                [(g.height_stride, g.width_stride) for g in grids],
                                [(g.height_offset, g.width_offset) for g in grids], section.normalize_coordinates)


def box_coder(config: protos.BoxCoder) -> coders.FasterRcnnCoder | coders.MeanStddevCoder:
    if config.HasField('mean_stddev_box_coder'):
        return coders.MeanStddevCoder(config.mean_stddev_box_coder.stddev)
    section = config.faster_rcnn_box_coder
    return coders.FasterRcnnCoder((section.y_scale, section.x_scale, section.height_scale, section.width_scale))


def matcher(config: protos.Matcher) -> matchers.ArgmaxMatcher:
    section = config.argmax_matcher
    return matchers.ArgmaxMatcher(None if section.ignore_thresholds else section.matched_threshold,
                                  section.unmatched_threshold, section.negatives_lower_than_unmatched,
                                  section.force_match_for_each_row)


def non_max_suppression(config: protos.BatchNonMaxSuppression) -> nms.NonMaxSuppression:
    return nms.NonMaxSuppression(
        config.score_threshold, config.iou_threshold, config.max_detections_per_class, config.max_total_detections,
        config.soft_nms_sigma, config.use_class_agnostic_nms, config.change_coordinate_frame)


def similarity(config: protos.RegionSimilarityCalculator) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a function of groundtruth boxes float32 [..., N, 4] and anchors [..., A, 4] -> [..., N, A]."""
    return SIMILARITIES[config.WhichOneof('region_similarity')]


def classification_loss(config: protos.ClassificationLoss) -> Callable[..., tf.Tensor]:
    """Return a classification loss of models/losses.py."""
    kind = config.WhichOneof('classification_loss')
    section = getattr(config, kind)
    if kind == 'weighted_sigmoid_focal':
        return losses.Focal(section.gamma, section.alpha if section.HasField('alpha') else None)
    if kind == 'weighted_sigmoid':
        return losses.sigmoid
    if kind == 'bootstrapped_sigmoid':
        return losses.BootstrappedSigmoid(section.alpha, section.hard_bootstrap)
    return losses.Softmax(section.logit_scale, targets_are_logits=kind == 'weighted_logits_softmax')


def localization_loss(config: protos.LocalizationLoss) -> Callable[..., tf.Tensor]:
    """Return a localization loss of models/losses.py."""
    kind = config.WhichOneof('localization_loss')
    if kind == 'weighted_smooth_l1':
        return losses.SmoothL1(config.weighted_smooth_l1.delta)
    return LOCALIZATION_LOSSES[kind]


def hard_example_miner(owner: protos.Loss | protos.FasterRcnn, classification_weight: float,
                       localization_weight: float) -> losses.HardExampleMiner | None:
    """Return the hard_example_miner of a section, None if it has none. The weights are those of its losses."""
    if not owner.HasField('hard_example_miner'):
        return None
    config = owner.hard_example_miner
    weights = {'BOTH': (classification_weight, localization_weight), 'CLASSIFICATION': (1., 0.),
               'LOCALIZATION': (0., 1.)}[enum_name(config, 'loss_type')]
    return losses.HardExampleMiner(
        config.num_hard_examples if config.num_hard_examples > 0 else None, config.iou_threshold, *weights,
        config.max_negatives_per_positive if config.max_negatives_per_positive > 0 else None,
        config.min_negatives_per_image)


def score_converter(config: protos.PostProcessing) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function of logits -> scores of the same shape, which divides by logit_scale first."""
    convert, scale = SCORES[enum_name(config, 'score_converter')], 1. / config.logit_scale
    return convert if scale == 1. else lambda logits: convert(logits * scale)
