"""What training loops of people's own use of the TF2 Object Detection API's model_lib: batches to groundtruth lists."""
from typing import Any

import tensorflow as tf

from object_detection.builders import input_functions, model_builder
from object_detection.core.model import DetectionModel
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.utils import config_util

MODEL_BUILD_UTIL_MAP = {
    'get_configs_from_pipeline_file': config_util.get_configs_from_pipeline_file,
    'create_pipeline_proto_from_configs': config_util.create_pipeline_proto_from_configs,
    'merge_external_params_with_configs': config_util.merge_external_params_with_configs,
    'create_train_input_fn': input_functions.create_train_input_fn,
    'create_eval_input_fn': input_functions.create_eval_input_fn,
    'detection_model_fn_base': model_builder.build}

_PER_BOX = (Fields.groundtruth_boxes, Fields.groundtruth_classes, Fields.groundtruth_weights, Fields.groundtruth_area,
            Fields.groundtruth_is_crowd, Fields.groundtruth_difficult, Fields.groundtruth_group_of,
            Fields.groundtruth_instance_masks, Fields.groundtruth_instance_mask_weights, Fields.groundtruth_keypoints,
            Fields.groundtruth_keypoint_visibilities, Fields.groundtruth_keypoint_depths,
            Fields.groundtruth_keypoint_depth_weights, Fields.groundtruth_dp_num_points,
            Fields.groundtruth_dp_part_ids, Fields.groundtruth_dp_surface_coords, Fields.groundtruth_track_ids)
_ARGUMENTS = {  # argument of provide_groundtruth: field of the labels
    'groundtruth_boxes_list': Fields.groundtruth_boxes, 'groundtruth_classes_list': Fields.groundtruth_classes,
    'groundtruth_masks_list': Fields.groundtruth_instance_masks,
    'groundtruth_mask_weights_list': Fields.groundtruth_instance_mask_weights,
    'groundtruth_keypoints_list': Fields.groundtruth_keypoints,
    'groundtruth_keypoint_visibilities_list': Fields.groundtruth_keypoint_visibilities,
    'groundtruth_keypoint_depths_list': Fields.groundtruth_keypoint_depths,
    'groundtruth_keypoint_depth_weights_list': Fields.groundtruth_keypoint_depth_weights,
    'groundtruth_dp_num_points_list': Fields.groundtruth_dp_num_points,
    'groundtruth_dp_part_ids_list': Fields.groundtruth_dp_part_ids,
    'groundtruth_dp_surface_coords_list': Fields.groundtruth_dp_surface_coords,
    'groundtruth_track_ids_list': Fields.groundtruth_track_ids,
    'groundtruth_weights_list': Fields.groundtruth_weights,
    'groundtruth_confidences_list': Fields.groundtruth_confidences,
    'groundtruth_is_crowd_list': Fields.groundtruth_is_crowd, 'groundtruth_group_of_list': Fields.groundtruth_group_of,
    'groundtruth_area_list': Fields.groundtruth_area,
    'groundtruth_labeled_classes': Fields.groundtruth_labeled_classes,
    'groundtruth_verified_neg_classes': Fields.groundtruth_verified_neg_classes,
    'groundtruth_not_exhaustive_classes': Fields.groundtruth_not_exhaustive_classes,
    'groundtruth_image_classes': Fields.groundtruth_image_classes}


@tf.autograph.experimental.do_not_convert
def unstack_batch(tensor_dict: dict[str, tf.Tensor], unpad_groundtruth_tensors: bool = True
                  ) -> dict[str, list[tf.Tensor]]:
    """Split batched tensors into lists with one tensor per image.

    Args:
        tensor_dict: {name: [B, ...]}, such as the labels of inputs.train_input.
        unpad_groundtruth_tensors: cut [M, ...] of each image, M boxes with padding, to its num_groundtruth_boxes.
    Raises:
        ValueError: that is asked for, and there is no num_groundtruth_boxes.
    """
    lists = {name: tf.unstack(tensor) for name, tensor in tensor_dict.items()}
    if not unpad_groundtruth_tensors:
        return lists
    if Fields.num_groundtruth_boxes not in lists:
        raise ValueError(f'`num_groundtruth_boxes` not found in tensor_dict. Keys available: {list(lists)}')
    counts = lists[Fields.num_groundtruth_boxes]
    return {**lists, **{name: [tensor[:count] for count, tensor in zip(counts, lists[name])]
                        for name in _PER_BOX if name in lists}}


@tf.autograph.experimental.do_not_convert
def provide_groundtruth(model: DetectionModel, labels: dict[str, list[tf.Tensor]], training_step: Any = None) -> None:
    """Give labels, as unstack_batch returns them, to a model."""
    arguments: dict[str, Any] = {argument: labels.get(field) for argument, field in _ARGUMENTS.items()}
    model.provide_groundtruth(**arguments, training_step=training_step)
