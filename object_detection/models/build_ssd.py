"""The `ssd` section of a config -> SSD."""
from object_detection.boxes import anchors, coders, matchers, nms, ops, targets
from object_detection.layers import feature_extractors
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor
from object_detection.layers.heads.weight_shared import WeightSharedBoxPredictor
from object_detection.models import hyperparams, losses, resizers
from object_detection.models.ssd import SSD, SsdLoss
from utils.errors import UserError

SIMILARITIES = {'iou_similarity': ops.iou, 'ioa_similarity': ops.ioa,
                'neg_sq_dist_similarity': lambda boxes, anchors: -ops.squared_distance(boxes, anchors)}


def build(config):
    """SSD of an Ssd message; UserError with everything in it that is not supported."""
    if findings := list(_unsupported(config)):
        raise UserError(findings)
    resizer = resizers.build(config.image_resizer)
    if resizer.size is None:
        raise UserError('image_resizer of an ssd model must give all pictures one size: use fixed_shape_resizer, or '
                        'keep_aspect_ratio_resizer with pad_to_max_dimension: true')
    generator = anchor_generator(config.anchor_generator)
    extractor = _feature_extractor(config)
    return SSD(
        num_classes=config.num_classes, resizer=resizer, feature_extractor=extractor,
        box_predictor=_box_predictor(config, extractor.channels, generator.per_location), anchors=generator,
        target_assigner=targets.TargetAssigner(
            matcher(config.matcher), box_coder(config.box_coder), _choice(SIMILARITIES, config.similarity_calculator),
            config.negative_class_weight),
        loss=_loss(config), score_converter=_enum_name(config.post_processing, 'score_converter'),
        suppression=suppression(config.post_processing.batch_non_max_suppression),
        logit_scale=config.post_processing.logit_scale, background_class=config.add_background_class)


def _unsupported(config):
    """Messages about fields that would change the numbers and that nothing here computes."""
    if config.num_classes < 1:
        yield f'ssd.num_classes is {config.num_classes}; it must be at least 1'
    wrong = {'explicit_background_class': config.explicit_background_class,
             'use_confidences_as_targets': config.use_confidences_as_targets,
             'loss.random_example_sampler': config.loss.HasField('random_example_sampler'),
             'loss.expected_loss_weights': config.loss.expected_loss_weights,
             'post_processing.calibration_config': config.post_processing.HasField('calibration_config')}
    for field, is_set in wrong.items():
        if is_set:
            yield f'ssd.{field} is not supported; remove it'


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
        anchors_per_location=anchors_per_location[0], sigmoid_scores=_enum_name(section, 'score_converter') == 'SIGMOID',
        **{name: getattr(section, name) for name in (
            'depth', 'share_prediction_tower', 'apply_conv_hyperparams_pointwise', 'apply_conv_hyperparams_to_heads')},
        **keywords)


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
    if config.use_combined_nms:
        findings.append('use_combined_nms is not supported; remove it')
    if config.use_class_agnostic_nms and config.max_classes_per_detection > 1:
        findings.append(f'max_classes_per_detection is {config.max_classes_per_detection}; allowed: 1')
    if findings:
        raise UserError([f'batch_non_max_suppression: {finding}' for finding in findings])
    return nms.NonMaxSuppression(
        config.score_threshold, config.iou_threshold, config.max_detections_per_class, config.max_total_detections,
        config.soft_nms_sigma, config.use_class_agnostic_nms, config.change_coordinate_frame)


def _loss(config):
    section = config.loss
    return SsdLoss(
        classification_loss(section.classification_loss), localization_loss(section.localization_loss),
        section.classification_weight, section.localization_weight, config.normalize_loss_by_num_matches,
        config.normalize_loc_loss_by_codesize, config.encode_background_as_zeros,
        _hard_example_miner(section) if section.HasField('hard_example_miner') else None)


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


def _hard_example_miner(config):
    section = config.hard_example_miner
    if config.classification_loss.WhichOneof('classification_loss') == 'weighted_sigmoid_focal':
        raise UserError('loss.hard_example_miner does not go with weighted_sigmoid_focal, which weighs examples by '
                        'itself; remove one of them')
    kind = _enum_name(section, 'loss_type')
    weights = {'BOTH': (config.classification_weight, config.localization_weight), 'CLASSIFICATION': (1., 0.),
               'LOCALIZATION': (0., 1.)}[kind]
    return losses.HardExampleMiner(section.num_hard_examples if section.num_hard_examples > 0 else None,
                                   section.iou_threshold, *weights,
                                   section.max_negatives_per_positive if section.max_negatives_per_positive > 0 else
                                   None, section.min_negatives_per_image)


def _choice(values, config, *others):
    """The value for the one kind chosen in a message of a single oneof."""
    kind = config.WhichOneof(config.DESCRIPTOR.oneofs[0].name)
    if kind not in values:
        raise UserError(f'{config.DESCRIPTOR.name} holds {kind or "nothing"}; supported: '
                        f'{", ".join([*others, *values])}')
    return values[kind]


def _enum_name(message, field):
    return message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name
