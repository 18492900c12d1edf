"""Build the parts that several architectures share from their sections of a config.

The sections must have passed config/checks.
"""
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message

from object_detection import protos
from object_detection.boxes import anchors, coders, matchers, nms, ops
from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams
from object_detection.models import losses

SIMILARITIES = {'iou_similarity': ops.iou, 'ioa_similarity': ops.ioa,
                'neg_sq_dist_similarity': lambda boxes, anchors: -ops.squared_distance(boxes, anchors)}
SCORES = {'IDENTITY': tf.identity, 'SIGMOID': tf.sigmoid, 'SOFTMAX': tf.nn.softmax}
# {kind: function of its section that returns the loss}
CLASSIFICATION_LOSSES: dict[str, Callable[[Any], Callable[..., tf.Tensor]]] = {
    'weighted_sigmoid_focal': lambda loss: losses.Focal(loss.gamma, loss.alpha if loss.HasField('alpha') else None),
    'weighted_sigmoid': lambda loss: losses.sigmoid,
    'bootstrapped_sigmoid': lambda loss: losses.BootstrappedSigmoid(loss.alpha, loss.hard_bootstrap),
    'weighted_softmax': lambda loss: losses.Softmax(loss.logit_scale),
    'weighted_logits_softmax': lambda loss: losses.Softmax(loss.logit_scale, targets_are_logits=True)}
LOCALIZATION_LOSSES: dict[str, Callable[[Any], Callable[..., tf.Tensor]]] = {
    'weighted_smooth_l1': lambda loss: losses.SmoothL1(loss.delta), 'weighted_l2': lambda loss: losses.l2,
    'weighted_iou': lambda loss: losses.iou, 'weighted_giou': lambda loss: losses.giou}
ACTIVATIONS = {'NONE': None, 'RELU': tf.nn.relu, 'RELU_6': tf.nn.relu6, 'SWISH': core.swish}
KERAS_INITIALIZERS = {'zeros': initializers.zeros, 'ones': initializers.ones, **{
    f'{name}_{kind}': initializers.variance_scaling(scale, mode, uniform=kind == 'uniform')
    for name, scale, mode in (('glorot', 1., 'fan_avg'), ('he', 2., 'fan_in'), ('lecun', 1., 'fan_in'))
    for kind in ('normal', 'uniform')}}


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


def hyperparams(message: protos.Hyperparams, freeze_batchnorm: bool = False) -> Hyperparams:
    """Return the settings of conv_hyperparams or fc_hyperparams.

    Args:
        freeze_batchnorm: keep the moments of BatchNorm in training, as batch_norm { train: false } does.
    """
    return Hyperparams(initializer=_initializer(message.initializer), regularizer=_regularizer(message.regularizer),
                       activation=ACTIVATIONS[protos.enum_name(message, 'activation')],
                       batch_norm=_batch_norm(message, freeze_batchnorm), force_use_bias=message.force_use_bias)


def _initializer(message):
    kind = message.WhichOneof('initializer_oneof')
    if kind is None:
        return initializers.glorot_uniform
    value = getattr(message, kind)
    if kind == 'truncated_normal_initializer':
        return initializers.truncated_normal(value.stddev, value.mean)
    if kind == 'random_normal_initializer':
        return initializers.random_normal(value.stddev, value.mean)
    if kind == 'variance_scaling_initializer':
        return initializers.variance_scaling(value.factor, protos.enum_name(value, 'mode').lower(), value.uniform)
    return KERAS_INITIALIZERS[value]


def _regularizer(message):
    kind = message.WhichOneof('regularizer_oneof')
    if kind is None:
        return None
    return {'l1_regularizer': core.L1, 'l2_regularizer': core.L2}[kind](getattr(message, kind).weight)


def _batch_norm(message, freeze_batchnorm):
    kind = message.WhichOneof('normalizer_oneof')
    if kind is None:
        return None
    value = getattr(message, kind)
    return {'momentum': value.decay, 'epsilon': value.epsilon, 'center': value.center, 'scale': value.scale,
            'frozen': freeze_batchnorm or not value.train}


def anchor_generator(config: protos.AnchorGenerator) -> anchors.AnchorGenerator:
    """Return the anchor generator of a section."""
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
    if kind != 'flexible_grid_anchor_generator':
        raise KeyError(kind)
    grids = section.anchor_grid
    return anchors.FlexibleGrid([g.base_sizes for g in grids], [g.aspect_ratios for g in grids],
                                [(g.height_stride, g.width_stride) for g in grids],
                                [(g.height_offset, g.width_offset) for g in grids], section.normalize_coordinates)


def box_coder(config: protos.BoxCoder) -> coders.FasterRcnnCoder | coders.MeanStddevCoder:
    """Return the box coder of a section."""
    kind = config.WhichOneof('box_coder_oneof')
    section = getattr(config, kind)
    if kind == 'mean_stddev_box_coder':
        return coders.MeanStddevCoder(section.stddev)
    if kind != 'faster_rcnn_box_coder':
        raise KeyError(kind)
    return coders.FasterRcnnCoder((section.y_scale, section.x_scale, section.height_scale, section.width_scale))


def matcher(config: protos.Matcher) -> matchers.ArgmaxMatcher:
    """Return the matcher of a section."""
    section = config.argmax_matcher
    return matchers.ArgmaxMatcher(None if section.ignore_thresholds else section.matched_threshold,
                                  section.unmatched_threshold, section.negatives_lower_than_unmatched,
                                  section.force_match_for_each_row)


def non_max_suppression(config: protos.BatchNonMaxSuppression) -> nms.NonMaxSuppression:
    """Return the non-max suppression of a section."""
    return nms.NonMaxSuppression(
        config.score_threshold, config.iou_threshold, config.max_detections_per_class, config.max_total_detections,
        config.soft_nms_sigma, config.use_class_agnostic_nms, config.change_coordinate_frame)


def similarity(config: protos.RegionSimilarityCalculator) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a function of groundtruth boxes float32 [..., N, 4] and anchors [..., A, 4] -> [..., N, A]."""
    return SIMILARITIES[config.WhichOneof('region_similarity')]


def classification_loss(config: protos.ClassificationLoss) -> Callable[..., tf.Tensor]:
    """Return a classification loss of models/losses.py."""
    kind = config.WhichOneof('classification_loss')
    return CLASSIFICATION_LOSSES[kind](getattr(config, kind))


def localization_loss(config: protos.LocalizationLoss) -> Callable[..., tf.Tensor]:
    """Return a localization loss of models/losses.py."""
    kind = config.WhichOneof('localization_loss')
    return LOCALIZATION_LOSSES[kind](getattr(config, kind))


def hard_example_miner(owner: protos.Loss | protos.FasterRcnn, classification_weight: float,
                       localization_weight: float) -> losses.HardExampleMiner | None:
    """Return the hard_example_miner of a section, None if it has none. The weights are those of its losses."""
    if not owner.HasField('hard_example_miner'):
        return None
    config = owner.hard_example_miner
    weights = {'BOTH': (classification_weight, localization_weight), 'CLASSIFICATION': (1., 0.),
               'LOCALIZATION': (0., 1.)}[protos.enum_name(config, 'loss_type')]
    return losses.HardExampleMiner(
        config.num_hard_examples if config.num_hard_examples > 0 else None, config.iou_threshold, *weights,
        config.max_negatives_per_positive if config.max_negatives_per_positive > 0 else None,
        config.min_negatives_per_image)


def score_converter(config: protos.PostProcessing) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function of logits -> scores of the same shape, which divides by logit_scale first."""
    convert, scale = SCORES[protos.enum_name(config, 'score_converter')], 1. / config.logit_scale
    return convert if scale == 1. else lambda logits: convert(logits * scale)
