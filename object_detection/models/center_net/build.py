"""Build a CenterNet from the center_net section of a config."""
from object_detection import protos
from object_detection.config import label_map
from object_detection.layers import feature_extractors
from object_detection.models import build_parts as parts
from object_detection.models import resizers
from object_detection.models.center_net import tasks
from object_detection.models.center_net.losses import PenaltyReducedFocal, l1
from object_detection.models.center_net.model import CenterNet


def build(config: protos.CenterNet) -> CenterNet:
    """Build the model of a center_net section."""
    boxes = _boxes(config.object_detection_task) if config.HasField('object_detection_task') else None
    keypoints = tuple(_keypoint_task(config, section) for section in config.keypoint_estimation_task)
    all_tasks = tasks.Tasks(_center(config.object_center_params), boxes, keypoints)
    return CenterNet(config.num_classes, resizers.build(config.image_resizer),
                     _feature_extractor(config.feature_extractor), all_tasks, config.use_depthwise)


def _feature_extractor(section):
    options = parts.changed(section, 'depth_multiplier', 'use_separable_conv', 'upsampling_interpolation',
                            'use_depthwise')
    return feature_extractors.CENTER_NET[section.type](
        channel_means=section.channel_means, channel_stds=section.channel_stds, bgr_ordering=section.bgr_ordering,
        **options)


def _center(section):
    return tasks.ObjectCenter(
        loss=_heatmap_loss(section.classification_loss), loss_weight=section.object_center_loss_weight,
        bias=section.heatmap_bias_init, min_iou=section.min_box_overlap_iou, max_detections=section.max_box_predictions,
        peak_kernel=section.peak_max_pool_kernel_size, head=_head(section, 'center_head_params'))


def _boxes(section):
    return tasks.Boxes(
        loss=_localization_loss(section.localization_loss),
        scale_weight=section.task_loss_weight * section.scale_loss_weight,
        offset_weight=section.task_loss_weight * section.offset_loss_weight,
        scale_head=_head(section, 'scale_head_params'), offset_head=_head(section, 'offset_head_params'))


def _keypoint_task(config, section):
    item = label_map.keypoint_class(config.keypoint_label_map_path, section.keypoint_class_name,
                                    section.keypoint_label_to_std)
    std_dev = dict.fromkeys(item.keypoints, 1.) | dict(section.keypoint_label_to_std)
    weight = section.task_loss_weight
    return tasks.Keypoints(
        name=section.task_name, class_id=item.id - 1, indices=tuple(item.keypoints.values()),
        std_dev=tuple(std_dev[label] for label in item.keypoints),
        heatmap_loss=_heatmap_loss(section.loss.classification_loss),
        loss=_localization_loss(section.loss.localization_loss),
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


def _head(section, field):
    if not section.HasField(field):
        return tasks.Head()
    return tasks.Head(tuple(getattr(section, field).num_filters), tuple(getattr(section, field).kernel_sizes))


def _heatmap_loss(section):
    loss = section.penalty_reduced_logistic_focal_loss
    return PenaltyReducedFocal(loss.alpha, loss.beta)


def _localization_loss(section):
    return l1 if section.HasField('l1_localization_loss') else parts.localization_loss(section)
