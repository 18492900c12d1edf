"""The `faster_rcnn` section of a config -> FasterRCNN."""
import dataclasses

from object_detection.boxes import nms
from object_detection.boxes.coders import FasterRcnnCoder
from object_detection.boxes.matchers import ArgmaxMatcher
from object_detection.boxes.samplers import BalancedSampler
from object_detection.boxes.targets import TargetAssigner
from object_detection.config import fields as config_fields
from object_detection.layers import feature_extractors
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor, RPNFeatures
from object_detection.layers.heads.mask_rcnn import MaskHead, MaskRCNNBoxPredictor
from object_detection.models import build_parts as parts
from object_detection.models import hyperparams, losses, resizers
from object_detection.models.faster_rcnn.model import FasterRCNN
from object_detection.models.faster_rcnn.regions import RegionPooling
from object_detection.models.faster_rcnn.rpn import FirstStage
from object_detection.models.faster_rcnn.second_stage import SecondStage
from object_detection.utils.errors import UserError

CODER = FasterRcnnCoder((10., 10., 5., 5.))  # no field of the config says otherwise


def build(config):
    """FasterRCNN of a FasterRcnn message; UserError with everything in it that is not supported."""
    if findings := [*config_fields.refused(config, 'faster_rcnn'),
                    *(f'faster_rcnn.{finding}' for finding in _unsupported(config))]:
        raise UserError(findings)
    pooling = RegionPooling(config.initial_crop_size, config.maxpool_kernel_size, config.maxpool_stride,
                            clamp=config.use_matmul_crop_and_resize)
    extractor = _feature_extractor(config.feature_extractor, pooling.size)
    generator = parts.anchor_generator_for(
        len(extractor.channels), config.first_stage_anchor_generator, 'first_stage_anchor_generator',
        'fpn.min_level or max_level' if len(extractor.channels) > 1 else None)
    rpn_hyperparams = hyperparams.read(config.first_stage_box_predictor_conv_hyperparams)
    depth = config.first_stage_box_predictor_depth
    return FasterRCNN(
        num_classes=config.num_classes, resizer=resizers.build(config.image_resizer), feature_extractor=extractor,
        rpn_features=RPNFeatures(extractor.channels[0], rpn_hyperparams, depth,
                                 config.first_stage_box_predictor_kernel_size, config.first_stage_atrous_rate),
        rpn_predictor=ConvolutionalBoxPredictor([depth] * len(extractor.channels), 2, generator.per_location,
                                                rpn_hyperparams),
        first_stage=_first_stage(config, generator), second_stage=_second_stage(config), pooling=pooling,
        box_predictor=_box_predictor(config, extractor, pooling.size),
        mask_weight=config.second_stage_mask_prediction_loss_weight if config.number_of_stages == 3 else None)


def _unsupported(config):
    """Messages about fields that do not fit."""
    box_predictor = config.second_stage_box_predictor
    kind = box_predictor.WhichOneof('box_predictor_oneof')
    if config.num_classes < 1:
        yield f'num_classes is {config.num_classes}; it must be at least 1'
    if config.number_of_stages not in (2, 3):
        yield f'number_of_stages is {config.number_of_stages}; supported: 2 (boxes), 3 (boxes and masks)'
    if kind != 'mask_rcnn_box_predictor':
        yield f'second_stage_box_predictor holds {kind or "nothing"}; supported: mask_rcnn_box_predictor'
    elif config.number_of_stages == 3 and not box_predictor.mask_rcnn_box_predictor.predict_instance_masks:
        yield ('number_of_stages is 3, but second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks '
               'is not set; without masks there are 2 stages')
    if config.second_stage_batch_size > config.first_stage_max_proposals:
        yield (f'second_stage_batch_size is {config.second_stage_batch_size}, more than first_stage_max_proposals, '
               f'{config.first_stage_max_proposals}')
    for field in ('initial_crop_size', 'maxpool_kernel_size', 'maxpool_stride'):
        if getattr(config, field) < 1:
            yield f'{field} is {getattr(config, field)}; it must be at least 1'
    if config.maxpool_kernel_size > config.initial_crop_size:
        yield (f'maxpool_kernel_size is {config.maxpool_kernel_size}, more than initial_crop_size, '
               f'{config.initial_crop_size}')
    if config.feature_extractor.first_stage_features_stride != 16:
        yield ('feature_extractor.first_stage_features_stride is '
               f'{config.feature_extractor.first_stage_features_stride}; supported: 16')
    kind = config.first_stage_anchor_generator.WhichOneof('anchor_generator_oneof')
    if kind == 'ssd_anchor_generator':
        yield 'first_stage_anchor_generator holds ssd_anchor_generator; use grid_anchor_generator'
    elif kind and getattr(getattr(config.first_stage_anchor_generator, kind), 'normalize_coordinates', False):
        yield (f'first_stage_anchor_generator.{kind}.normalize_coordinates is true; it must be false: proposals are in '
               'pixels')


def _feature_extractor(section, region_size):
    if section.type not in feature_extractors.FASTER_RCNN:
        raise UserError(f'feature_extractor.type is "{section.type}"; supported for faster_rcnn: '
                        f'{", ".join(feature_extractors.FASTER_RCNN)}')
    freeze = not section.batch_norm_trainable
    keywords = {name: getattr(section, name) for name in (
        'override_base_feature_extractor_hyperparams', 'pad_to_multiple')}
    if section.HasField('conv_hyperparams'):
        keywords['conv_hyperparams'] = hyperparams.read(section.conv_hyperparams, freeze)
    if section.HasField('fpn'):
        keywords |= {'fpn_min_level': section.fpn.min_level, 'fpn_max_level': section.fpn.max_level,
                     'additional_layer_depth': section.fpn.additional_layer_depth}
    return feature_extractors.FASTER_RCNN[section.type](region_size=region_size, freeze_batchnorm=freeze, **keywords)


def _first_stage(config, generator):
    most = config.first_stage_max_proposals
    if not 0 <= config.first_stage_nms_iou_threshold <= 1:
        raise UserError(f'first_stage_nms_iou_threshold is {config.first_stage_nms_iou_threshold:g}; allowed: 0 to 1')
    return FirstStage(
        anchors=generator, assigner=TargetAssigner(ArgmaxMatcher(.7, .3, force_match_for_each_row=True), CODER),
        sampler=_sampler(config, 'first_stage_minibatch_size', 'first_stage_positive_balance_fraction'),
        non_max_suppression=nms.NonMaxSuppression(
            config.first_stage_nms_score_threshold, config.first_stage_nms_iou_threshold, max_per_class=most,
            max_total=most, change_frame=False),
        localization_weight=config.first_stage_localization_loss_weight,
        objectness_weight=config.first_stage_objectness_loss_weight, clip_anchors=config.clip_anchors_to_image)


def _second_stage(config):
    mines = config.HasField('hard_example_miner')
    weights = config.second_stage_classification_loss_weight, config.second_stage_localization_loss_weight
    loss = config.second_stage_classification_loss
    suppression = parts.suppression(config.second_stage_post_processing.batch_non_max_suppression)
    return SecondStage(
        assigner=TargetAssigner(ArgmaxMatcher(.5, .5), CODER),
        sampler=None if mines else _sampler(config, 'second_stage_batch_size', 'second_stage_balance_fraction'),
        non_max_suppression=dataclasses.replace(suppression, change_frame=True),
        score_converter=parts.score_converter(config.second_stage_post_processing),
        classification=parts.classification_loss(loss) if loss.WhichOneof('classification_loss') else losses.Softmax(),
        classification_weight=weights[0], localization_weight=weights[1],
        hard_example_miner=parts.hard_example_miner(config.hard_example_miner, *weights) if mines else None)


def _sampler(config, size_field, fraction_field):
    size, fraction = getattr(config, size_field), getattr(config, fraction_field)
    findings = [f'{size_field} is {size}; it must be at least 1'] if size < 1 else []
    findings += [f'{fraction_field} is {fraction:g}; allowed: 0 to 1'] if not 0 <= fraction <= 1 else []
    if findings:
        raise UserError(findings)
    return BalancedSampler(size, fraction)


def _box_predictor(config, extractor, region_size):
    section = config.second_stage_box_predictor.mask_rcnn_box_predictor
    head = None
    if config.number_of_stages == 3:
        side = extractor.region_side(region_size)
        head = MaskHead(
            extractor.region_channels, (side, side), config.num_classes, hyperparams.read(section.conv_hyperparams),
            (section.mask_height, section.mask_width), section.mask_prediction_num_conv_layers,
            section.mask_prediction_conv_depth, section.masks_are_class_agnostic, section.convolve_then_upsample_masks)
    return MaskRCNNBoxPredictor(
        extractor.region_channels, config.num_classes, hyperparams.read(section.fc_hyperparams),
        section.share_box_across_classes, 1. - section.dropout_keep_probability if section.use_dropout else 0., head)
