"""From a decoded record to what models take; object_detection.inputs offers these functions too.

    def transform(example):
        example = inputs.transform_input_data(example, model.preprocess, resizer, num_classes=3)
        return inputs.pad_input_data_to_static_shapes(example, 100, num_classes=3, spatial_image_shape=[640, 640])

    dataset = dataset_builder.build(reader, batch_size=8, transform_input_data_fn=transform)

inputs.train_input does this for the models of this package, in one call.
"""
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.utils import ops, shape_utils

Example = dict[str, tf.Tensor]  # by the names of InputDataFields

_OF_OBJECTS = {  # entries with one value per object
    Fields.groundtruth_difficult, Fields.groundtruth_instance_mask_weights, Fields.groundtruth_is_crowd,
    Fields.groundtruth_group_of, Fields.groundtruth_area, Fields.groundtruth_weights, Fields.groundtruth_label_types,
    Fields.groundtruth_label_weights, Fields.groundtruth_dp_num_points, Fields.groundtruth_track_ids}
_OF_KEYPOINTS = {
    Fields.groundtruth_keypoints, Fields.groundtruth_keypoint_visibilities, Fields.groundtruth_keypoint_weights,
    Fields.groundtruth_keypoint_depths, Fields.groundtruth_keypoint_depth_weights}
_OF_CLASSES = {  # entries about a whole image
    Fields.groundtruth_image_classes, Fields.groundtruth_image_confidences, Fields.groundtruth_labeled_classes,
    Fields.groundtruth_verified_neg_classes, Fields.groundtruth_not_exhaustive_classes}
_IMAGES = {Fields.image, Fields.original_image, Fields.image_additional_channels}
_AS_THEY_ARE = {
    Fields.original_image_spatial_shape, Fields.source_id, Fields.filename, Fields.key, Fields.num_groundtruth_boxes,
    Fields.true_image_shape, Fields.context_feature_length, Fields.is_annotated}


def transform_input_data(tensor_dict: Example,
                         model_preprocess_fn: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
                         image_resizer_fn: Callable[..., list[tf.Tensor]], num_classes: int,
                         data_augmentation_fn: Callable[[Example], Example] | None = None,
                         merge_multiple_boxes: bool = False, retain_original_image: bool = False,
                         use_multiclass_scores: bool = False, use_bfloat16: bool = False,
                         retain_original_image_additional_channels: bool = False,
                         keypoint_type_weight: Sequence[float] | None = None,
                         image_classes_field_map_empty_to_ones: bool = True) -> Example:
    """Return an example as models take it: augmented, preprocessed, resized, its classes one-hot.

    Args:
        tensor_dict: as TfExampleDecoder.decode returns it. Objects with NaN in their box, and those of a class below
            0, are left out.
        model_preprocess_fn: `preprocess` of a model.
        image_resizer_fn: fn(image [H, W, C], masks or None) -> list, from image_resizer_builder.
        data_augmentation_fn: fn(example) -> example, before the model's preprocessing.
        merge_multiple_boxes: make equal boxes one box with several classes.
        retain_original_image: add original_image, uint8 [h, w, 3], resized only.
        use_multiclass_scores: take multiclass_scores, where there are any, for the classes.
        use_bfloat16: return image, masks, and context features as bfloat16.
        retain_original_image_additional_channels: keep image_additional_channels, uint8, resized. They are part of
            the image in any case.
        keypoint_type_weight: weight of each keypoint that is visible; None for 1.
        image_classes_field_map_empty_to_ones: no groundtruth_image_classes mean all, not none.
    Returns:
        tensor_dict with these changes, and
            image: [h, w, C], preprocessed; true_image_shape: int32 [3], without padding.
            groundtruth_boxes: float32 [N, 4], groundtruth_keypoints: normalized to the padded image.
            groundtruth_classes, groundtruth_confidences: float32 [N, num_classes].
            groundtruth_keypoint_weights: float32 [N, K], if there are keypoints.
            groundtruth_instance_masks: [N, h, w].
            classes of the image: float32 [num_classes], 1 for each.
            num_groundtruth_boxes: int32.
    Raises:
        KeyError: groundtruth_labeled_classes and groundtruth_image_classes are both there.
        tf.errors.InvalidArgumentError: a box ends before it begins.
    """
    if Fields.groundtruth_labeled_classes in tensor_dict and Fields.groundtruth_image_classes in tensor_dict:
        raise KeyError('groundtruth_labeled_classes and groundtruth_image_classes are both there; only one may be.')
    example = dict(tensor_dict)
    for field, all_if_empty in (
            (Fields.groundtruth_labeled_classes, True),
            (Fields.groundtruth_image_classes, image_classes_field_map_empty_to_ones),
            (Fields.groundtruth_verified_neg_classes, False), (Fields.groundtruth_not_exhaustive_classes, False)):
        if field in example:
            known = tf.boolean_mask(example[field], example[field] > -1)
            example[field] = convert_labeled_classes_to_k_hot(known, num_classes, all_if_empty)
    if Fields.multiclass_scores in example:
        example[Fields.multiclass_scores] = _scores_or_classes(example, num_classes)
    if Fields.groundtruth_boxes in example:
        example = ops.filter_unrecognized_classes(ops.filter_groundtruth_with_nan_box_coordinates(example))
    if retain_original_image:
        example[Fields.original_image] = tf.cast(image_resizer_fn(example[Fields.image], None)[0], tf.uint8)
    if Fields.image_additional_channels in example:
        channels = example[Fields.image_additional_channels]
        example[Fields.image] = tf.concat([example[Fields.image], channels], 2)
        if retain_original_image_additional_channels:
            example[Fields.image_additional_channels] = tf.cast(image_resizer_fn(channels, None)[0], tf.uint8)
    if data_augmentation_fn is not None:
        example = data_augmentation_fn(example)

    image = example[Fields.image]
    images, shapes = model_preprocess_fn(tf.cast(image, tf.float32)[tf.newaxis])
    example |= {Fields.image: images[0], Fields.true_image_shape: shapes[0]}
    example = _in_padded_image(example, tf.cast(tf.shape(images)[1:3] / shapes[0, :2], tf.float32))
    if Fields.groundtruth_keypoints in example:
        example |= _visibilities(example, keypoint_type_weight)
    if Fields.groundtruth_instance_masks in example:
        example[Fields.groundtruth_instance_masks] = image_resizer_fn(
            image, example[Fields.groundtruth_instance_masks])[1]
    if use_bfloat16:
        for field in (Fields.image, Fields.groundtruth_instance_masks, Fields.context_features):
            if field in example:
                example[field] = tf.cast(example[field], tf.bfloat16)
    return _encode_classes(example, num_classes, use_multiclass_scores, merge_multiple_boxes)


def convert_labeled_classes_to_k_hot(groundtruth_labeled_classes: tf.Tensor, num_classes: int,
                                     map_empty_to_ones: bool = False) -> tf.Tensor:
    """Return float32 [num_classes]: 1 for each of the class ids, which count from 1.

    Args:
        map_empty_to_ones: return ones if there is no class id.
    """
    labeled = tf.one_hot(groundtruth_labeled_classes - 1, num_classes, True, False, dtype=tf.bool)
    labeled = tf.reduce_any(labeled, 0)
    return tf.cast(labeled | (map_empty_to_ones & (tf.size(groundtruth_labeled_classes) == 0)), tf.float32)


def assert_or_prune_invalid_boxes(boxes: tf.Tensor) -> tf.Tensor:
    """Return the boxes [N, 4]; InvalidArgumentError where ymax < ymin or xmax < xmin. Nothing is ever pruned."""
    valid = tf.reduce_all(boxes[:, 2:] >= boxes[:, :2])
    with tf.control_dependencies([tf.debugging.Assert(valid, ['a box ends before it begins', boxes])]):
        return tf.identity(boxes)


def pad_input_data_to_static_shapes(tensor_dict: Example, max_num_boxes: int, num_classes: int,
                                    spatial_image_shape: Sequence[int] | None = None,
                                    max_num_context_features: int | None = None,
                                    context_feature_length: int | None = None, max_dp_points: int = 336) -> Example:
    """Return an example, each entry cut or padded with zeros to a static shape, so that examples can be batched.

    Args:
        tensor_dict: from transform_input_data.
        spatial_image_shape: [height, width] of images and masks; None or [-1, -1] to leave them.
        max_num_context_features, context_feature_length: of context_features.
        max_dp_points: of DensePose, of an object.
    Raises:
        ValueError: image_additional_channels are not part of the image, or max_num_context_features is missing.
        KeyError: an entry has none of the names that are known.
    """
    if Fields.context_features in tensor_dict and max_num_context_features is None:
        raise ValueError('max_num_context_features must be given, since there are context_features.')
    _check_channels(tensor_dict)
    height, width = (None, None) if not spatial_image_shape or list(spatial_image_shape) == [-1, -1] else (
        spatial_image_shape)

    def padded_shape(field: str, own: Sequence[int | None]) -> list[int | None]:
        shapes: dict[str, list[Any]] = {
                  Fields.groundtruth_boxes: [max_num_boxes, 4],
                  Fields.groundtruth_classes: [max_num_boxes, num_classes],
                  Fields.groundtruth_confidences: [max_num_boxes, num_classes],
                  Fields.groundtruth_instance_masks: [max_num_boxes, height, width],
                  Fields.groundtruth_dp_part_ids: [max_num_boxes, max_dp_points],
                  Fields.groundtruth_dp_surface_coords: [max_num_boxes, max_dp_points, 4],
                  Fields.context_features: [max_num_context_features, context_feature_length],
                  Fields.context_features_image_id_list: [max_num_context_features]}
        for fields, shape in ((_OF_OBJECTS, [max_num_boxes]), (_OF_KEYPOINTS, [max_num_boxes, *own[1:]]),
                              (_OF_CLASSES, [num_classes]), (_IMAGES, [height, width, *own[2:]]),
                              (_AS_THEY_ARE, list(own))):
            shapes |= dict.fromkeys(fields, shape)
        return shapes[field]

    padded = {field: shape_utils.pad_or_clip_nd(value, padded_shape(field, tf.convert_to_tensor(value).shape.as_list()))
              for field, value in tensor_dict.items()}
    if Fields.num_groundtruth_boxes in padded:
        padded[Fields.num_groundtruth_boxes] = tf.minimum(padded[Fields.num_groundtruth_boxes], max_num_boxes)
    if Fields.context_features in tensor_dict:
        padded[Fields.valid_context_size] = tf.shape(tensor_dict[Fields.context_features])[0]
    return padded


def _scores_or_classes(example: Example, num_classes: int) -> tf.Tensor:
    """Return multiclass_scores as [N, num_classes]; the classes one-hot where a record has no scores."""
    scores, classes = example[Fields.multiclass_scores], example[Fields.groundtruth_classes]
    return tf.cond(tf.size(scores) > 0, lambda: tf.reshape(scores, [tf.shape(classes)[0], num_classes]),
                   lambda: tf.one_hot(classes - 1, num_classes))


def _in_padded_image(example: Example, size: tf.Tensor) -> Example:
    """Normalize coordinates to the padded image, whose size is a multiple (float32 [2]) of that without padding."""
    moved = dict(example)
    if Fields.groundtruth_boxes in example:
        moved[Fields.groundtruth_boxes] = assert_or_prune_invalid_boxes(
            example[Fields.groundtruth_boxes] / tf.tile(size, [2]))
    if Fields.groundtruth_keypoints in example:
        moved[Fields.groundtruth_keypoints] = example[Fields.groundtruth_keypoints] / size
    if Fields.groundtruth_dp_surface_coords in example:
        moved[Fields.groundtruth_dp_surface_coords] = (
            example[Fields.groundtruth_dp_surface_coords] / tf.concat([size, [1., 1.]], 0))
    return moved


def _visibilities(example: Example, keypoint_type_weight: Any) -> Example:
    points = example[Fields.groundtruth_keypoints]
    visible = example.get(Fields.groundtruth_keypoint_visibilities, tf.ones_like(points[:, :, 0], tf.bool))
    weights = 1. if keypoint_type_weight is None else tf.constant(keypoint_type_weight, tf.float32)
    return {Fields.groundtruth_keypoint_visibilities: visible,
            Fields.groundtruth_keypoint_weights: weights * tf.cast(visible, tf.float32)}


def _encode_classes(example: Example, num_classes: int, use_multiclass_scores: bool, merge: bool) -> Example:
    """Return the example with classes and confidences [N, num_classes], and the number of its boxes."""
    classes, scores = example[Fields.groundtruth_classes] - 1, example.pop(Fields.multiclass_scores, None)
    encoded = scores if use_multiclass_scores else tf.one_hot(classes, num_classes)
    confidences = example.get(Fields.groundtruth_confidences)
    example |= {Fields.groundtruth_classes: encoded, Fields.groundtruth_confidences: (
        encoded if confidences is None else confidences[:, tf.newaxis] * encoded)}
    if merge:
        boxes, encoded, merged, _ = ops.merge_boxes_with_multiple_labels(
            example[Fields.groundtruth_boxes], classes,
            tf.ones_like(classes, tf.float32) if confidences is None else confidences, num_classes)
        example |= {Fields.groundtruth_boxes: boxes, Fields.groundtruth_classes: tf.cast(encoded, tf.float32),
                    Fields.groundtruth_confidences: merged}
    if Fields.groundtruth_boxes in example:
        example[Fields.num_groundtruth_boxes] = tf.shape(example[Fields.groundtruth_boxes])[0]
    return example


def _check_channels(example: Example) -> None:
    if Fields.image_additional_channels in example:
        added = example[Fields.image_additional_channels].shape[2]
        channels = example[Fields.image].shape[2] if Fields.image in example else 3
        original = example[Fields.original_image].shape[2] if Fields.original_image in example else None
        if added >= channels or original == channels:
            raise ValueError('Image must be already concatenated with additional channels.')
