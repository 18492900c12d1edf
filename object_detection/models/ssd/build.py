"""Build an SSD from the ssd section of a config."""
from object_detection import protos
from object_detection.boxes.targets import TargetAssigner
from object_detection.layers import feature_extractors
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor
from object_detection.layers.heads.weight_shared import WeightSharedBoxPredictor
from object_detection.models import build_parts as parts
from object_detection.models import resizers
from object_detection.models.ssd.model import SSD, LossSettings


def build(config: protos.Ssd) -> SSD:
    """Build the model of an ssd section."""
    extractor, generator = _feature_extractor(config), parts.anchor_generator(config.anchor_generator)
    return SSD(
        num_classes=config.num_classes, resizer=resizers.build(config.image_resizer), feature_extractor=extractor,
        box_predictor=_box_predictor(config, extractor.channels, generator.per_location), anchors=generator,
        target_assigner=TargetAssigner(
            parts.matcher(config.matcher), parts.box_coder(config.box_coder),
            parts.similarity(config.similarity_calculator), config.negative_class_weight),
        loss=_loss(config), score_converter=parts.score_converter(config.post_processing),
        non_max_suppression=parts.non_max_suppression(config.post_processing.batch_non_max_suppression),
        background_class=config.add_background_class)


def _feature_extractor(config):
    section = config.feature_extractor
    keywords = parts.changed(section, 'depth_multiplier', 'min_depth', 'pad_to_multiple', 'use_explicit_padding',
                             'use_depthwise', 'override_base_feature_extractor_hyperparams', 'num_layers')
    keywords |= parts.fpn(section)
    if section.HasField('bifpn'):
        keywords |= {f'bifpn_{name}': getattr(section.bifpn, name) for name in (
            'min_level', 'max_level', 'num_iterations', 'num_filters', 'combine_method')}
    return feature_extractors.SSD[section.type](
        parts.hyperparams(section.conv_hyperparams, config.freeze_batchnorm),
        freeze_batchnorm=config.freeze_batchnorm, **keywords)


def _box_predictor(config, channels, anchors_per_location):
    kind = config.box_predictor.WhichOneof('box_predictor_oneof')
    section = getattr(config.box_predictor, kind)
    clip = section.box_encodings_clip_range
    keywords = {
        'in_channels': channels, 'num_class_slots': config.num_classes + bool(config.add_background_class),
        'hyperparams': parts.hyperparams(section.conv_hyperparams, config.freeze_batchnorm),
        'box_encodings_clip_range': (clip.min, clip.max) if section.HasField('box_encodings_clip_range') else None,
        'dropout_rate': 1. - section.dropout_keep_probability if section.use_dropout else 0.,
        **{name: getattr(section, name) for name in (
            'kernel_size', 'num_layers_before_predictor', 'class_prediction_bias_init', 'use_depthwise')}}
    if kind == 'convolutional_box_predictor':
        return ConvolutionalBoxPredictor(anchors_per_location=anchors_per_location, min_depth=section.min_depth,
                                         max_depth=section.max_depth, **keywords)
    return WeightSharedBoxPredictor(
        anchors_per_location=anchors_per_location[0],
        sigmoid_scores=protos.enum_name(section, 'score_converter') == 'SIGMOID',
        **{name: getattr(section, name) for name in (
            'depth', 'share_prediction_tower', 'apply_conv_hyperparams_pointwise', 'apply_conv_hyperparams_to_heads')},
        **keywords)


def _loss(config):
    section, weights = config.loss, (config.loss.classification_weight, config.loss.localization_weight)
    return LossSettings(
        parts.classification_loss(section.classification_loss), parts.localization_loss(section.localization_loss),
        *weights, config.normalize_loss_by_num_matches, config.normalize_loc_loss_by_codesize,
        config.encode_background_as_zeros, parts.hard_example_miner(section, *weights))
