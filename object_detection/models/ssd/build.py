"""The `ssd` section of a config -> SSD."""
from object_detection.boxes.targets import TargetAssigner
from object_detection.config import fields as config_fields
from object_detection.layers import feature_extractors
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor
from object_detection.layers.heads.weight_shared import WeightSharedBoxPredictor
from object_detection.models import build_parts as parts
from object_detection.models import hyperparams, resizers
from object_detection.models.hyperparams import enum_name
from object_detection.models.ssd.model import SSD, SsdLoss
from object_detection.utils.errors import UserError


def build(config):
    """SSD of an Ssd message; UserError with everything in it that is not supported."""
    if findings := [*config_fields.refused(config, 'ssd'), *_unsupported(config)]:
        raise UserError(findings)
    resizer = resizers.build(config.image_resizer)
    if resizer.size is None:
        raise UserError('image_resizer of an ssd model must give all pictures one size: use fixed_shape_resizer, or '
                        'keep_aspect_ratio_resizer with pad_to_max_dimension: true')
    extractor = _feature_extractor(config)
    generator = parts.anchor_generator_for(
        len(extractor.channels), config.anchor_generator, 'anchor_generator',
        f'{extractor.pyramid}.min_level or max_level' if extractor.pyramid else 'num_layers')
    return SSD(
        num_classes=config.num_classes, resizer=resizer, feature_extractor=extractor,
        box_predictor=_box_predictor(config, extractor.channels, generator.per_location), anchors=generator,
        target_assigner=TargetAssigner(
            parts.matcher(config.matcher), parts.box_coder(config.box_coder),
            parts.similarity(config.similarity_calculator), config.negative_class_weight),
        loss=_loss(config), score_converter=parts.score_converter(config.post_processing),
        non_max_suppression=parts.suppression(config.post_processing.batch_non_max_suppression),
        background_class=config.add_background_class)


def _unsupported(config):
    """Messages about fields that do not fit."""
    if config.num_classes < 1:
        yield f'ssd.num_classes is {config.num_classes}; it must be at least 1'
    section = config.feature_extractor
    constructor = feature_extractors.SSD.get(section.type)
    chosen = section.WhichOneof('feature_pyramid_oneof')
    pyramid = getattr(getattr(constructor, 'func', constructor), 'pyramid', None)
    if constructor and chosen not in (None, pyramid):
        yield (f'ssd.feature_extractor.{chosen} does not belong to type "{section.type}"; remove it' +
               (f' or use {pyramid}' if pyramid else ''))
    if constructor and pyramid and section.HasField('num_layers'):
        yield (f'ssd.feature_extractor.num_layers does not belong to type "{section.type}"; remove it, {pyramid} '
               '{ min_level max_level } says how many feature maps there are')


def _feature_extractor(config):
    section = config.feature_extractor
    if section.type not in feature_extractors.SSD:
        raise UserError(f'feature_extractor.type is "{section.type}"; supported for ssd: '
                        f'{", ".join(feature_extractors.SSD)}')
    keywords = {name: getattr(section, name) for name in (
        'depth_multiplier', 'min_depth', 'pad_to_multiple', 'use_explicit_padding', 'use_depthwise',
        'override_base_feature_extractor_hyperparams')}
    keywords |= {name: getattr(section, name) for name in ('num_layers',) if section.HasField(name)}
    if section.HasField('fpn'):
        keywords |= {'fpn_min_level': section.fpn.min_level, 'fpn_max_level': section.fpn.max_level,
                     'additional_layer_depth': section.fpn.additional_layer_depth}
    if section.HasField('bifpn'):
        keywords |= {f'bifpn_{name}': getattr(section.bifpn, name) for name in (
            'min_level', 'max_level', 'num_iterations', 'num_filters', 'combine_method')}
    return feature_extractors.SSD[section.type](
        hyperparams.read(section.conv_hyperparams, config.freeze_batchnorm),
        freeze_batchnorm=config.freeze_batchnorm, **keywords)


def _box_predictor(config, channels, anchors_per_location):
    kind = config.box_predictor.WhichOneof('box_predictor_oneof')
    section = getattr(config.box_predictor, kind) if kind else None
    if kind not in ('convolutional_box_predictor', 'weight_shared_convolutional_box_predictor'):
        raise UserError(f'box_predictor holds {kind or "nothing"}; supported for ssd: convolutional_box_predictor, '
                        'weight_shared_convolutional_box_predictor')
    clip = section.box_encodings_clip_range
    keywords = {
        'in_channels': channels, 'num_class_slots': config.num_classes + bool(config.add_background_class),
        'hyperparams': hyperparams.read(section.conv_hyperparams, config.freeze_batchnorm),
        'box_encodings_clip_range': (clip.min, clip.max) if section.HasField('box_encodings_clip_range') else None,
        'dropout_rate': 1. - section.dropout_keep_probability if section.use_dropout else 0.,
        **{name: getattr(section, name) for name in (
            'kernel_size', 'num_layers_before_predictor', 'class_prediction_bias_init', 'use_depthwise')}}
    if kind == 'convolutional_box_predictor':
        return ConvolutionalBoxPredictor(anchors_per_location=anchors_per_location, min_depth=section.min_depth,
                                         max_depth=section.max_depth, **keywords)
    if len(set(anchors_per_location)) > 1:
        raise UserError(f'{kind} needs the same number of anchors at each location of all feature maps; '
                        f'anchor_generator gives {anchors_per_location}')
    return WeightSharedBoxPredictor(
        anchors_per_location=anchors_per_location[0],
        sigmoid_scores=enum_name(section, 'score_converter') == 'SIGMOID',
        **{name: getattr(section, name) for name in (
            'depth', 'share_prediction_tower', 'apply_conv_hyperparams_pointwise', 'apply_conv_hyperparams_to_heads')},
        **keywords)


def _loss(config):
    section = config.loss
    return SsdLoss(
        parts.classification_loss(section.classification_loss), parts.localization_loss(section.localization_loss),
        section.classification_weight, section.localization_weight, config.normalize_loss_by_num_matches,
        config.normalize_loc_loss_by_codesize, config.encode_background_as_zeros,
        _hard_example_miner(section) if section.HasField('hard_example_miner') else None)


def _hard_example_miner(config):
    if config.classification_loss.WhichOneof('classification_loss') == 'weighted_sigmoid_focal':
        raise UserError('loss.hard_example_miner does not go with weighted_sigmoid_focal, which weighs examples by '
                        'itself; remove one of them')
    return parts.hard_example_miner(config.hard_example_miner, config.classification_weight,
                                    config.localization_weight)
