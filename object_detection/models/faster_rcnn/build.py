"""Build a FasterRCNN from the faster_rcnn section of a config."""
import dataclasses

from object_detection import protos
from object_detection.boxes import nms
from object_detection.boxes.coders import FasterRcnnCoder
from object_detection.boxes.matchers import ArgmaxMatcher
from object_detection.boxes.samplers import BalancedSampler
from object_detection.boxes.targets import TargetAssigner
from object_detection.layers import feature_extractors
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor, RPNFeatures
from object_detection.layers.heads.mask_rcnn import MaskHead, MaskRCNNBoxPredictor
from object_detection.models import build_parts as parts
from object_detection.models import losses, resizers
from object_detection.models.faster_rcnn.model import FasterRCNN
from object_detection.models.faster_rcnn.regions import RegionPooling
from object_detection.models.faster_rcnn.rpn import FirstStage
from object_detection.models.faster_rcnn.second_stage import SecondStage

CODER = FasterRcnnCoder((10., 10., 5., 5.))  # fixed in the reference


def build(config: protos.FasterRcnn) -> FasterRCNN:
    """Build the model of a faster_rcnn section."""
    pooling = RegionPooling(config.initial_crop_size, config.maxpool_kernel_size, config.maxpool_stride,
                            clamp=config.use_matmul_crop_and_resize)
    extractor = _feature_extractor(config.feature_extractor, pooling.size)
    generator = parts.anchor_generator(config.first_stage_anchor_generator)
    rpn_hyperparams = parts.hyperparams(config.first_stage_box_predictor_conv_hyperparams)
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


def _feature_extractor(section, region_size):
    freeze = not section.batch_norm_trainable
    keywords = parts.changed(section, 'override_base_feature_extractor_hyperparams', 'pad_to_multiple')
    keywords |= parts.fpn(section)
    if section.HasField('conv_hyperparams'):
        keywords['conv_hyperparams'] = parts.hyperparams(section.conv_hyperparams, freeze)
    return feature_extractors.FASTER_RCNN[section.type](region_size=region_size, freeze_batchnorm=freeze, **keywords)


def _first_stage(config, generator):
    most = config.first_stage_max_proposals
    return FirstStage(
        anchors=generator, assigner=TargetAssigner(ArgmaxMatcher(.7, .3, force_match_for_each_row=True), CODER),
        sampler=BalancedSampler(config.first_stage_minibatch_size, config.first_stage_positive_balance_fraction),
        non_max_suppression=nms.NonMaxSuppression(
            config.first_stage_nms_score_threshold, config.first_stage_nms_iou_threshold, max_per_class=most,
            max_total=most, change_frame=False),
        localization_weight=config.first_stage_localization_loss_weight,
        objectness_weight=config.first_stage_objectness_loss_weight, clip_anchors=config.clip_anchors_to_image)


def _second_stage(config):
    weights = config.second_stage_classification_loss_weight, config.second_stage_localization_loss_weight
    loss = config.second_stage_classification_loss
    miner = parts.hard_example_miner(config, *weights)
    non_max_suppression = parts.non_max_suppression(config.second_stage_post_processing.batch_non_max_suppression)
    return SecondStage(
        assigner=TargetAssigner(ArgmaxMatcher(.5, .5), CODER),
        sampler=None if miner else BalancedSampler(config.second_stage_batch_size,
                                                   config.second_stage_balance_fraction),
        non_max_suppression=dataclasses.replace(non_max_suppression, change_frame=True),
        score_converter=parts.score_converter(config.second_stage_post_processing),
        classification=parts.classification_loss(loss) if loss.WhichOneof('classification_loss') else losses.Softmax(),
        classification_weight=weights[0], localization_weight=weights[1],
        hard_example_miner=miner)


def _box_predictor(config, extractor, region_size):
    section = config.second_stage_box_predictor.mask_rcnn_box_predictor
    head = None
    if config.number_of_stages == 3:
        side = extractor.region_side(region_size)
        head = MaskHead(
            extractor.region_channels, (side, side), config.num_classes, parts.hyperparams(section.conv_hyperparams),
            (section.mask_height, section.mask_width), section.mask_prediction_num_conv_layers,
            section.mask_prediction_conv_depth, section.masks_are_class_agnostic, section.convolve_then_upsample_masks)
    return MaskRCNNBoxPredictor(
        extractor.region_channels, config.num_classes, parts.hyperparams(section.fc_hyperparams),
        section.share_box_across_classes, 1. - section.dropout_keep_probability if section.use_dropout else 0., head)
