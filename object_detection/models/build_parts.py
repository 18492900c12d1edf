"""Sections of a config that several architectures share, read: anchors, coding, matching, suppression, losses.

Each function takes the message, in a config that has passed config/checks.
"""
import tensorflow as tf

from object_detection.boxes import anchors, coders, matchers, nms, ops
from object_detection.models import losses
from object_detection.models.hyperparams import enum_name

SIMILARITIES = {'iou_similarity': ops.iou, 'ioa_similarity': ops.ioa,
                'neg_sq_dist_similarity': lambda boxes, anchors: -ops.squared_distance(boxes, anchors)}

SCORES = {'IDENTITY': tf.identity, 'SIGMOID': tf.sigmoid, 'SOFTMAX': tf.nn.softmax}


def changed(config, *names):
    """{name: value} of the fields that differ from their default: keywords of a constructor with the same defaults."""
    defaults = config.DESCRIPTOR.fields_by_name
    return {name: getattr(config, name) for name in names if getattr(config, name) != defaults[name].default_value}


def anchor_generator(config):
    """Of boxes/anchors.py, for an AnchorGenerator message."""
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


def box_coder(config):
    """Of boxes/coders.py, for a BoxCoder message."""
    if config.HasField('mean_stddev_box_coder'):
        return coders.MeanStddevCoder(config.mean_stddev_box_coder.stddev)
    section = config.faster_rcnn_box_coder
    return coders.FasterRcnnCoder((section.y_scale, section.x_scale, section.height_scale, section.width_scale))


def matcher(config):
    """Of boxes/matchers.py, for a Matcher message."""
    section = config.argmax_matcher
    thresholds = (None, None) if section.ignore_thresholds else (section.matched_threshold, section.unmatched_threshold)
    return matchers.ArgmaxMatcher(*thresholds, section.negatives_lower_than_unmatched, section.force_match_for_each_row)


def suppression(config):
    """boxes.nms.NonMaxSuppression of a BatchNonMaxSuppression message. Fields that choose another way to the same
    result (use_static_shapes, use_partitioned_nms, use_cpu_nms) are passed over."""
    return nms.NonMaxSuppression(
        config.score_threshold, config.iou_threshold, config.max_detections_per_class, config.max_total_detections,
        config.soft_nms_sigma, config.use_class_agnostic_nms, config.change_coordinate_frame)


def similarity(config):
    """Function of groundtruth boxes and anchors, for a RegionSimilarityCalculator message."""
    return SIMILARITIES[config.WhichOneof('region_similarity')]


def classification_loss(config):
    """Of models/losses.py, for a ClassificationLoss message."""
    kind = config.WhichOneof('classification_loss')
    section = getattr(config, kind)
    if kind == 'weighted_sigmoid_focal':
        return losses.Focal(section.gamma, section.alpha if section.HasField('alpha') else None)
    if kind == 'weighted_sigmoid':
        return losses.sigmoid
    if kind == 'bootstrapped_sigmoid':
        return losses.BootstrappedSigmoid(section.alpha, section.hard_bootstrap)
    return losses.Softmax(section.logit_scale, targets_are_logits=kind == 'weighted_logits_softmax')


def localization_loss(config):
    """Of models/losses.py, for a LocalizationLoss message."""
    kind = config.WhichOneof('localization_loss')
    if kind == 'weighted_smooth_l1':
        return losses.SmoothL1(config.weighted_smooth_l1.delta)
    return {'weighted_l2': losses.l2, 'weighted_iou': losses.iou, 'weighted_giou': losses.giou}[kind]


def hard_example_miner(config, classification_weight, localization_weight):
    """losses.HardExampleMiner of a HardExampleMiner message, for losses with these weights."""
    weights = {'BOTH': (classification_weight, localization_weight), 'CLASSIFICATION': (1., 0.),
               'LOCALIZATION': (0., 1.)}[enum_name(config, 'loss_type')]
    return losses.HardExampleMiner(
        config.num_hard_examples if config.num_hard_examples > 0 else None, config.iou_threshold, *weights,
        config.max_negatives_per_positive if config.max_negatives_per_positive > 0 else None,
        config.min_negatives_per_image)


def score_converter(config):
    """Function of logits, for a PostProcessing message: they are divided by logit_scale first."""
    convert, scale = SCORES[enum_name(config, 'score_converter')], 1. / config.logit_scale
    return convert if scale == 1. else lambda logits: convert(logits * scale)
