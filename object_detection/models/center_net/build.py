"""The `center_net` section of a config -> CenterNet."""
from object_detection.config import fields as config_fields
from object_detection.config import label_map
from object_detection.layers import feature_extractors
from object_detection.models import build_parts as parts
from object_detection.models import resizers
from object_detection.models.center_net import tasks
from object_detection.models.center_net.losses import PenaltyReducedFocal, l1
from object_detection.models.center_net.model import CenterNet
from object_detection.utils.errors import UserError

# What a zoo tarball's keypoint_label_map_path (PATH_TO_BE_CONFIGURED) stood for
COCO_PERSON = '/m/01g317'
COCO_KEYPOINTS = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder',
                  'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee',
                  'right_knee', 'left_ankle', 'right_ankle')


def build(config):
    """CenterNet of a CenterNet message; UserError with everything in it that is not supported."""
    if findings := [*config_fields.refused(config, 'center_net'), *_unsupported(config)]:
        raise UserError(findings)
    resizer = resizers.build(config.image_resizer)
    if resizer.size is None:
        raise UserError('image_resizer of a center_net model must give all pictures one size: use fixed_shape_resizer, '
                        'or keep_aspect_ratio_resizer with pad_to_max_dimension: true')
    boxes = _boxes(config.object_detection_task) if config.HasField('object_detection_task') else None
    all_tasks = tasks.Tasks(_center(config.object_center_params), boxes, _keypoints(config))
    return CenterNet(config.num_classes, resizer, _feature_extractor(config.feature_extractor), all_tasks,
                     config.use_depthwise)


def _unsupported(config):
    """Messages about fields that do not fit."""
    if config.num_classes < 1:
        yield f'center_net.num_classes is {config.num_classes}; it must be at least 1'
    if not (config.HasField('object_detection_task') or config.keypoint_estimation_task):
        yield 'center_net has neither object_detection_task nor keypoint_estimation_task; add one'
    for index, task in enumerate(config.keypoint_estimation_task):
        place = f'keypoint_estimation_task[{index}]'
        if task.candidate_ranking_mode not in tasks.RANKINGS:
            yield (f'center_net.{place}.candidate_ranking_mode is "{task.candidate_ranking_mode}"; supported: '
                   f'{", ".join(tasks.RANKINGS)}')
        elif task.candidate_ranking_mode in tasks.RANKINGS[2:] and not config.HasField('object_detection_task'):
            yield (f'center_net.{place}.candidate_ranking_mode "{task.candidate_ranking_mode}" needs boxes: add '
                   'object_detection_task')


def _feature_extractor(section):
    if section.type not in feature_extractors.CENTER_NET:
        raise UserError(f'feature_extractor.type is "{section.type}"; supported for center_net: '
                        f'{", ".join(feature_extractors.CENTER_NET)}')
    options = {name: getattr(section, name) for name in (
        'depth_multiplier', 'use_separable_conv', 'upsampling_interpolation', 'use_depthwise')}
    if not section.use_separable_conv:  # then the type says it
        del options['use_separable_conv']
    return feature_extractors.CENTER_NET[section.type](
        channel_means=section.channel_means, channel_stds=section.channel_stds, bgr_ordering=section.bgr_ordering,
        **options)


def _center(section):
    return tasks.ObjectCenter(
        loss=_heatmap_loss(section.classification_loss, 'object_center_params'),
        loss_weight=section.object_center_loss_weight, bias=section.heatmap_bias_init,
        min_iou=section.min_box_overlap_iou, max_detections=section.max_box_predictions,
        peak_kernel=section.peak_max_pool_kernel_size, head=_head(section, 'center_head_params'))


def _boxes(section):
    return tasks.Boxes(
        loss=_localization_loss(section.localization_loss, 'object_detection_task'),
        scale_weight=section.task_loss_weight * section.scale_loss_weight,
        offset_weight=section.task_loss_weight * section.offset_loss_weight,
        scale_head=_head(section, 'scale_head_params'), offset_head=_head(section, 'offset_head_params'))


def _keypoints(config):
    """A tasks.Keypoints for each keypoint_estimation_task."""
    made = tuple(_keypoint_task(section, _keypoint_class(config.keypoint_label_map_path, section))
                 for section in config.keypoint_estimation_task)
    for what, values in (('task_name', [task.name for task in made]), ('class', [task.class_id for task in made]),
                         ('keypoint', [index for task in made for index in task.indices])):
        if repeated := sorted({value for value in values if values.count(value) > 1}):
            raise UserError(f'keypoint_estimation_task: more than one has {what} {", ".join(map(str, repeated))}')
    return made


def _keypoint_task(section, item):
    std_dev = dict.fromkeys(item.keypoints, 1.) | dict(section.keypoint_label_to_std)
    if unknown := sorted(set(std_dev) - set(item.keypoints)):
        raise UserError(f'keypoint_estimation_task "{section.task_name}": keypoint_label_to_std has '
                        f'{", ".join(unknown)}, which class {item.name} of keypoint_label_map_path does not have')
    weight = section.task_loss_weight
    return tasks.Keypoints(
        name=section.task_name, class_id=item.id - 1, indices=tuple(item.keypoints.values()),
        std_dev=tuple(std_dev[label] for label in item.keypoints),
        heatmap_loss=_heatmap_loss(section.loss.classification_loss, 'keypoint_estimation_task.loss'),
        loss=_localization_loss(section.loss.localization_loss, 'keypoint_estimation_task.loss'),
        heatmap_weight=weight * section.keypoint_heatmap_loss_weight,
        offset_weight=weight * section.keypoint_offset_loss_weight,
        regression_weight=weight * section.keypoint_regression_loss_weight,
        bias=section.heatmap_bias_init, offset_radius=section.offset_peak_radius,
        per_keypoint_offset=section.per_keypoint_offset, score_threshold=section.keypoint_candidate_score_threshold,
        num_candidates=section.num_candidates_per_keypoint, peak_kernel=section.peak_max_pool_kernel_size,
        unmatched_score=section.unmatched_keypoint_score, search_scale=section.candidate_search_scale,
        ranking=section.candidate_ranking_mode, clip=section.clip_out_of_frame_keypoints,
        rescore=section.rescore_instances,
        **{name: getattr(section, name) for name in ('box_scale', 'score_distance_offset', 'score_distance_multiplier',
                                                     'std_dev_multiplier', 'rescoring_threshold')},
        heatmap_head=_head(section, 'heatmap_head_params'), offset_head=_head(section, 'offset_head_params'),
        regression_head=_head(section, 'regress_head_params'))


def _keypoint_class(path, section):
    """The label map's item of the class that has the keypoints."""
    unconfigured = not path or path.startswith('PATH_TO_BE_CONFIGURED')
    if (unconfigured and section.keypoint_class_name == COCO_PERSON
            and set(section.keypoint_label_to_std) <= set(COCO_KEYPOINTS)):
        return label_map.Item(1, COCO_PERSON, 'person', {label: number for number, label in enumerate(COCO_KEYPOINTS)})
    if unconfigured:
        raise UserError('center_net.keypoint_label_map_path is not set; it must name a label map whose class '
                        f'"{section.keypoint_class_name}" has keypoints {{ id: 0 label: "..." }}')
    items = label_map.load(path).items
    for item in items:
        if item.name == section.keypoint_class_name and item.keypoints:
            return item
    known = ', '.join(item.name for item in items if item.keypoints) or 'none'
    raise UserError(f'keypoint_estimation_task "{section.task_name}": keypoint_class_name is '
                    f'"{section.keypoint_class_name}"; classes with keypoints in {path}: {known}')


def _head(section, field):
    if not section.HasField(field):
        return tasks.Head()
    head = getattr(section, field)
    if len(head.num_filters) != len(head.kernel_sizes):
        raise UserError(f'{field} has {len(head.num_filters)} num_filters and {len(head.kernel_sizes)} kernel_sizes; '
                        'there must be one of each for a layer')
    return tasks.Head(tuple(head.num_filters), tuple(head.kernel_sizes))


def _heatmap_loss(section, place):
    kind = section.WhichOneof('classification_loss')
    if kind != 'penalty_reduced_logistic_focal_loss':
        raise UserError(f'{place}.classification_loss holds {kind or "nothing"}; supported for center_net: '
                        'penalty_reduced_logistic_focal_loss')
    return PenaltyReducedFocal(section.penalty_reduced_logistic_focal_loss.alpha,
                               section.penalty_reduced_logistic_focal_loss.beta)


def _localization_loss(section, place):
    kind = section.WhichOneof('localization_loss')
    if kind == 'l1_localization_loss':
        return l1
    if kind in ('weighted_smooth_l1', 'weighted_l2'):
        return parts.localization_loss(section)
    raise UserError(f'{place}.localization_loss holds {kind or "nothing"}; supported for center_net: '
                    'l1_localization_loss, weighted_smooth_l1, weighted_l2')
