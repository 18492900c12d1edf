"""Sections of a config that several architectures share, read: anchors, coding, matching, suppression, losses.

Each function takes the message and raises UserError for what is not supported.
"""
import tensorflow as tf

from object_detection.boxes import anchors, coders, matchers, nms, ops
from object_detection.models import losses
from object_detection.models.hyperparams import enum_name
from object_detection.utils.errors import UserError

SIMILARITIES = {'iou_similarity': ops.iou, 'ioa_similarity': ops.ioa,
                'neg_sq_dist_similarity': lambda boxes, anchors: -ops.squared_distance(boxes, anchors)}

SCORES = {'IDENTITY': tf.identity, 'SIGMOID': tf.sigmoid, 'SOFTMAX': tf.nn.softmax}

OTHER_MAPS = {  # how anchors get to be for more or fewer feature maps
    'multiscale_anchor_generator': 'change multiscale_anchor_generator.min_level or max_level',
    'ssd_anchor_generator': 'change ssd_anchor_generator.num_layers, or the number of its scales if it has any',
    'grid_anchor_generator': 'use multiscale_anchor_generator',
    'flexible_grid_anchor_generator': 'give flexible_grid_anchor_generator one anchor_grid for each'}


def anchor_generator(config):
    """Of boxes/anchors.py, for an AnchorGenerator message."""
    kind = config.WhichOneof('anchor_generator_oneof')
    section = getattr(config, kind) if kind else None
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
    if kind == 'flexible_grid_anchor_generator':
        grids = section.anchor_grid
        return anchors.FlexibleGrid([g.base_sizes for g in grids], [g.aspect_ratios for g in grids],
                                    [(g.height_stride, g.width_stride) for g in grids],
                                    [(g.height_offset, g.width_offset) for g in grids], section.normalize_coordinates)
    raise UserError('anchor_generator is empty; choose multiscale_anchor_generator or ssd_anchor_generator')


def anchor_generator_for(maps, config, field, changed_by=None):
    """As anchor_generator, of the message called `field`, for the feature maps of a feature extractor.

    Args:
        maps: their number. changed_by: the fields of feature_extractor, if any, that decide about it.
    """
    generator = anchor_generator(config)
    if len(generator.per_location) != maps:
        raise UserError(f'{field} is for {len(generator.per_location)} feature maps; feature_extractor has {maps}; '
                        f'make them equal: {OTHER_MAPS[config.WhichOneof("anchor_generator_oneof")]}' +
                        (f'; or change feature_extractor.{changed_by}' if changed_by else ''))
    return generator


def box_coder(config):
    """Of boxes/coders.py, for a BoxCoder message."""
    kind = config.WhichOneof('box_coder_oneof')
    section = getattr(config, kind) if kind else None
    if kind == 'faster_rcnn_box_coder':
        return coders.FasterRcnnCoder((section.y_scale, section.x_scale, section.height_scale, section.width_scale))
    if kind == 'mean_stddev_box_coder':
        return coders.MeanStddevCoder(section.stddev)
    raise UserError(f'box_coder holds {kind or "nothing"}; supported: faster_rcnn_box_coder, mean_stddev_box_coder')


def matcher(config):
    """Of boxes/matchers.py, for a Matcher message."""
    section = config.argmax_matcher
    if config.WhichOneof('matcher_oneof') != 'argmax_matcher':
        raise UserError(f'matcher holds {config.WhichOneof("matcher_oneof") or "nothing"}; supported: argmax_matcher')
    if section.ignore_thresholds:
        return matchers.ArgmaxMatcher(None, None, force_match_for_each_row=section.force_match_for_each_row)
    if section.unmatched_threshold > section.matched_threshold:
        raise UserError(f'argmax_matcher.unmatched_threshold is {section.unmatched_threshold:g}, more than '
                        f'matched_threshold, {section.matched_threshold:g}')
    return matchers.ArgmaxMatcher(section.matched_threshold, section.unmatched_threshold,
                                  section.negatives_lower_than_unmatched, section.force_match_for_each_row)


def suppression(config):
    """boxes.nms.NonMaxSuppression of a BatchNonMaxSuppression message. Fields that choose another way to the same
    result (use_static_shapes, use_partitioned_nms, use_cpu_nms) are passed over."""
    findings = []
    if not 0 <= config.iou_threshold <= 1:
        findings.append(f'iou_threshold is {config.iou_threshold:g}; allowed: 0 to 1')
    if config.max_detections_per_class > config.max_total_detections:
        findings.append(f'max_detections_per_class is {config.max_detections_per_class}, more than '
                        f'max_total_detections, {config.max_total_detections}')
    if config.soft_nms_sigma < 0 or (config.soft_nms_sigma and config.use_hard_nms):
        findings.append(f'soft_nms_sigma is {config.soft_nms_sigma:g}; allowed: at least 0, and 0 with use_hard_nms')
    if config.use_class_agnostic_nms and config.max_classes_per_detection > 1:
        findings.append(f'max_classes_per_detection is {config.max_classes_per_detection}; allowed: 1')
    if findings:
        raise UserError([f'batch_non_max_suppression: {finding}' for finding in findings])
    return nms.NonMaxSuppression(
        config.score_threshold, config.iou_threshold, config.max_detections_per_class, config.max_total_detections,
        config.soft_nms_sigma, config.use_class_agnostic_nms, config.change_coordinate_frame)


def similarity(config):
    """Function of groundtruth boxes and anchors, for a RegionSimilarityCalculator message."""
    return _choice(SIMILARITIES, config)


def classification_loss(config):
    """Of models/losses.py, for a ClassificationLoss message."""
    kind = config.WhichOneof('classification_loss')
    section = getattr(config, kind) if kind else None
    if kind == 'weighted_sigmoid_focal':
        return losses.Focal(section.gamma, section.alpha if section.HasField('alpha') else None)
    if kind == 'weighted_sigmoid':
        return losses.sigmoid
    if kind in ('weighted_softmax', 'weighted_logits_softmax'):
        return losses.Softmax(section.logit_scale, targets_are_logits=kind == 'weighted_logits_softmax')
    if kind == 'bootstrapped_sigmoid':
        return losses.BootstrappedSigmoid(section.alpha, section.hard_bootstrap)
    raise UserError(f'loss.classification_loss holds {kind or "nothing"}; supported: weighted_sigmoid_focal, '
                    'weighted_sigmoid, weighted_softmax, weighted_logits_softmax, bootstrapped_sigmoid')


def localization_loss(config):
    """Of models/losses.py, for a LocalizationLoss message."""
    kind = config.WhichOneof('localization_loss')
    if kind == 'weighted_smooth_l1':
        return losses.SmoothL1(config.weighted_smooth_l1.delta)
    return _choice({'weighted_l2': losses.l2, 'weighted_iou': losses.iou, 'weighted_giou': losses.giou}, config,
                   'weighted_smooth_l1')


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


def _choice(values, config, *others):
    """The value for the one kind chosen in a message of a single oneof."""
    kind = config.WhichOneof(config.DESCRIPTOR.oneofs[0].name)
    if kind not in values:
        raise UserError(f'{config.DESCRIPTOR.name} holds {kind or "nothing"}; supported: '
                        f'{", ".join([*others, *values])}')
    return values[kind]
