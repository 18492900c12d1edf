"""Operations on boxes, masks, groundtruth, and feature maps, under the reference's names.

    masks = ops.reframe_box_masks_to_image_masks(output['detection_masks'], output['detection_boxes'], height, width)

Boxes are (ymin, xmin, ymax, xmax). Google's notebook of TensorFlow 1 sets `ops.tf = tf.compat.v1`; that changes nothing
here.
"""
import math
from collections import namedtuple
from numbers import Integral
from typing import Any, NoReturn

import tensorflow as tf

from object_detection import absent
from object_detection.boxes import ops as box_ops
from object_detection.core import standard_fields
from object_detection.utils import shape_utils

Tensors = dict[str, tf.Tensor]

EqualizationLossConfig = namedtuple('EqualizationLossConfig', ['weight', 'exclude_prefixes'])

_FIELDS = standard_fields.InputDataFields
_OF_OBJECTS = (_FIELDS.groundtruth_boxes, _FIELDS.groundtruth_classes, _FIELDS.groundtruth_confidences,
               _FIELDS.groundtruth_keypoints, _FIELDS.groundtruth_keypoint_visibilities,
               _FIELDS.groundtruth_instance_masks)
_MAY_BE_EMPTY = (_FIELDS.groundtruth_is_crowd, _FIELDS.groundtruth_area, _FIELDS.groundtruth_difficult,
                 _FIELDS.groundtruth_label_types)


# Masks and boxes

def reframe_box_masks_to_image_masks(box_masks: tf.Tensor, boxes: tf.Tensor, image_height: int, image_width: int,
                                     resize_method: str = 'bilinear') -> tf.Tensor:
    """Paste masks that each fill their box into images.

    Args:
        box_masks: [N, h, w].
        boxes: float32 [N, 4], normalized.
        resize_method: 'bilinear' or 'nearest'; masks of uint8 are always resized by the latter.
    Returns:
        [N, image_height, image_width], of the type of box_masks, 0 outside the box.
    """
    box_masks = tf.convert_to_tensor(box_masks)
    method = 'nearest' if box_masks.dtype == tf.uint8 else resize_method

    def paste() -> tf.Tensor:
        pasted = tf.image.crop_and_resize(box_masks[..., tf.newaxis], reframe_image_corners_relative_to_boxes(boxes),
                                          tf.range(tf.shape(box_masks)[0]), [image_height, image_width], method=method)
        return tf.cast(pasted, box_masks.dtype)

    pasted = tf.cond(tf.shape(box_masks)[0] > 0, paste,
                     lambda: tf.zeros([0, image_height, image_width, 1], box_masks.dtype))
    return tf.squeeze(pasted, [3])


def reframe_image_corners_relative_to_boxes(boxes: tf.Tensor) -> tf.Tensor:
    """Return the image, (0, 0, 1, 1), in the coordinates of each box, where the box is (0, 0, 1, 1): [N, 4]."""
    return box_ops.image_relative_to(boxes)


def normalized_to_image_coordinates(normalized_boxes: tf.Tensor, image_shape: tf.Tensor, parallel_iterations: int = 32
                                    ) -> tf.Tensor:
    """Return boxes [B, N, 4] in pixels.

    Args:
        normalized_boxes: [B, N, 4].
        image_shape: [4], (batch, height, width, channels).
        parallel_iterations: without effect.
    """
    height, width = tf.cast(image_shape[1], normalized_boxes.dtype), tf.cast(image_shape[2], normalized_boxes.dtype)
    return box_ops.scale(normalized_boxes, height, width)


def center_to_corner_coordinate(input_tensor: tf.Tensor) -> tf.Tensor:
    """Return boxes [N, 4] for (y center, x center, height, width) [..., 4]; [4] for a single one."""
    return tf.squeeze(box_ops.from_center_and_size(*tf.unstack(tf.reshape(input_tensor, [-1, 4]), axis=1)))


def giou(boxes1: tf.Tensor, boxes2: tf.Tensor) -> tf.Tensor:
    """Return the generalized intersection over union [N] of boxes1 [N, 4] with boxes2 [N, 4], box by box."""
    return box_ops.paired_giou(boxes1, boxes2)


def dense_to_sparse_boxes(dense_locations: tf.Tensor, dense_num_boxes: tf.Tensor, num_classes: int
                          ) -> tuple[tf.Tensor, tf.Tensor]:
    """Return boxes that are sorted by class without the padding at their end, and their classes.

    Args:
        dense_locations: [max_num_boxes, 4].
        dense_num_boxes: int32 [num_classes], the number of boxes of each class.
    Returns:
        [N, 4] and int32 [N], from 0.
    """
    classes = tf.repeat(tf.range(num_classes), dense_num_boxes[:num_classes])
    return dense_locations[:tf.reduce_sum(dense_num_boxes)], classes


def merge_boxes_with_multiple_labels(boxes: tf.Tensor, classes: tf.Tensor, confidences: tf.Tensor, num_classes: int,
                                     quantization_bins: int = 10000
                                     ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Merge boxes at the same place into one with several classes.

    Args:
        boxes: float32 [N, 4], normalized.
        classes: int [N], from 0.
        confidences: float32 [N].
        quantization_bins: coordinates that differ by less than about 1 / quantization_bins are the same.
    Returns:
        boxes: float32 [M, 4].
        classes: int32 [M, num_classes], 1 for each of its classes.
        confidences: float32 [M, num_classes].
        indices: int32 [M], of the boxes that stand for the merged ones.
    """
    count = tf.shape(boxes)[0]
    checks = [shape_utils.assert_shape_equal_along_first_dimension([count], [tf.shape(classes)[0]]),
              shape_utils.assert_shape_equal_along_first_dimension([count], [tf.shape(confidences)[0]]),
              tf.debugging.assert_equal(tf.shape(boxes)[1], 4), shape_utils.assert_box_normalized(boxes)]
    with tf.control_dependencies([check for check in checks if check is not None]):
        quantized = tf.cast(boxes * (quantization_bins - 1), tf.int64)
    places = tf.reduce_sum(quantized * [quantization_bins ** power for power in range(4)], 1)
    _, groups = tf.unique(places)
    merged = tf.math.unsorted_segment_min(tf.range(count), groups, tf.reduce_max(tf.pad(groups + 1, [[0, 1]])))
    entries = tf.stack([groups, tf.cast(classes, tf.int32)], 1)
    shape = [tf.shape(merged)[0], num_classes]
    one_hot = tf.tensor_scatter_nd_update(tf.zeros(shape, tf.int32), entries, tf.ones([count], tf.int32))
    scores = tf.tensor_scatter_nd_update(tf.zeros(shape), entries, confidences)
    return tf.reshape(tf.gather(boxes, merged), [-1, 4]), one_hot, scores, merged


def fpn_feature_levels(num_levels: int, unit_scale_index: int, image_ratio: float, boxes: tf.Tensor) -> tf.Tensor:
    """Choose the feature map of each box by its size: one level coarser per octave (Lin et al. 2017).

    Args:
        num_levels: number of feature maps, finest first.
        unit_scale_index: the map for a box of the size of the pretraining images.
        image_ratio: size of the image relative to them.
        boxes: float [B, N, 4], normalized.
    Returns:
        int32 [B, N].
    """
    assert 0 <= unit_scale_index < num_levels, f'`unit_scale_index` must be in [0, {num_levels})'
    sizes = tf.sqrt(tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], -1)) * image_ratio
    octaves = tf.math.log(sizes) // tf.constant(math.log(2.), boxes.dtype)
    return tf.clip_by_value(tf.cast(octaves, tf.int32) + unit_scale_index, 0, num_levels - 1)


# Groundtruth: dicts of tensors with the names of standard_fields.InputDataFields

def retain_groundtruth(tensor_dict: Tensors, valid_indices: tf.Tensor) -> Tensors:
    """Return groundtruth with the objects at these indices, int [M] or [M, 1], only.

    Raises:
        ValueError: there are no groundtruth_boxes, or valid_indices has another shape.
    """
    if valid_indices.shape.rank != 1 and valid_indices.shape[1:] != [1]:
        raise ValueError(f'The shape of valid_indices is invalid: {valid_indices.shape}; it must be [M] or [M, 1].')
    if _FIELDS.groundtruth_boxes not in tensor_dict:
        raise ValueError(f'{_FIELDS.groundtruth_boxes} not present in input tensor dict.')
    indices = tf.reshape(valid_indices, [-1])
    count = tf.maximum(tf.shape(tensor_dict[_FIELDS.groundtruth_boxes])[0], 1)

    def retained(name: str, values: tf.Tensor) -> tf.Tensor:
        if name in _OF_OBJECTS:
            return tf.gather(values, indices)
        if name in _MAY_BE_EMPTY:  # the decoder gives an empty tensor where the record has no such feature
            return tf.reshape(tf.gather(tf.reshape(values, [count, -1]), indices), [-1])
        return values

    return {name: retained(name, values) for name, values in tensor_dict.items()}


def retain_groundtruth_with_positive_classes(tensor_dict: Tensors) -> Tensors:
    """Return groundtruth without objects of class 0 and below; ValueError without groundtruth_classes."""
    return _with_classes_above(0, tensor_dict)


def filter_unrecognized_classes(tensor_dict: Tensors) -> Tensors:
    """Return groundtruth without objects of class -1, which the label map lacks; ValueError without classes."""
    return _with_classes_above(-1, tensor_dict)


def _with_classes_above(lowest: int, tensor_dict: Tensors) -> Tensors:
    if _FIELDS.groundtruth_classes not in tensor_dict:
        raise ValueError('`groundtruth classes` not in tensor_dict.')
    return retain_groundtruth(tensor_dict, tf.where(tf.greater(tensor_dict[_FIELDS.groundtruth_classes], lowest)))


def filter_groundtruth_with_crowd_boxes(tensor_dict: Tensors) -> Tensors:
    """Return groundtruth without crowds, where it says which objects are."""
    if _FIELDS.groundtruth_is_crowd not in tensor_dict:
        return tensor_dict
    return retain_groundtruth(tensor_dict, tf.where(tf.logical_not(tensor_dict[_FIELDS.groundtruth_is_crowd])))


def filter_groundtruth_with_nan_box_coordinates(tensor_dict: Tensors) -> Tensors:
    """Return groundtruth without objects whose box has a NaN."""
    broken = tf.reduce_any(tf.math.is_nan(tensor_dict[_FIELDS.groundtruth_boxes]), 1)
    return retain_groundtruth(tensor_dict, tf.where(tf.logical_not(broken)))


def replace_nan_groundtruth_label_scores_with_ones(label_scores: tf.Tensor) -> tf.Tensor:
    """Return scores, float32, with 1 for NaN."""
    return tf.where(tf.math.is_nan(label_scores), tf.ones_like(label_scores), label_scores)


def tile_context_tensors(tensor_dict: Tensors) -> Tensors:
    """Repeat, in place, what belongs to a whole sequence for each of its frames; `image` is [frames, ...]."""
    frames = tf.shape(tensor_dict[_FIELDS.image])[0]
    for name, values in tensor_dict.items():
        if name not in standard_fields.SEQUENCE_FIELDS:
            tensor_dict[name] = tf.repeat(values[tf.newaxis], frames, 0)
    return tensor_dict


def decode_image(tensor_dict: Tensors) -> Tensors:
    """Decode, in place, `image` from a picture file's bytes to uint8 [H, W, 3]."""
    image = tf.io.decode_image(tensor_dict[_FIELDS.image], channels=3, expand_animations=False)
    tensor_dict[_FIELDS.image] = tf.ensure_shape(image, [None, None, 3])
    return tensor_dict


# Feature maps and vectors

def fixed_padding(inputs: tf.Tensor, kernel_size: int, rate: int = 1) -> tf.Tensor:
    """Pad images [B, H, W, C] with zeros for a convolution, whatever their size; the odd pixel goes to the end."""
    total = (kernel_size - 1) * rate
    pads = [total // 2, total - total // 2]
    return tf.pad(inputs, [[0, 0], pads, pads, [0, 0]])


def pad_to_multiple(tensor: tf.Tensor, multiple: int) -> tf.Tensor:
    """Pad images [B, H, W, C] with zeros at the end until H and W are multiples of a number."""
    _, height, width, _ = shape_utils.combined_static_and_dynamic_shape(tensor)
    return tf.pad(tensor, [[0, 0], [0, -height % multiple], [0, -width % multiple], [0, 0]])


def nearest_neighbor_upsampling(input_tensor: tf.Tensor, scale: int | None = None, height_scale: int | None = None,
                                width_scale: int | None = None, name: str = 'nearest_neighbor_upsampling') -> tf.Tensor:
    """Repeat the pixels of images [B, H, W, C].

    Args:
        scale: times in both directions.
        height_scale, width_scale: instead of scale.
    Raises:
        ValueError: a direction has no scale.
    """
    if not scale and (height_scale is None or width_scale is None):
        raise ValueError('Provide either `scale` or `height_scale` and `width_scale`.')
    with tf.name_scope(name):
        rows = tf.repeat(input_tensor, scale if height_scale is None else height_scale, 1)
        return tf.repeat(rows, scale if width_scale is None else width_scale, 2)


def padded_one_hot_encoding(indices: tf.Tensor, depth: int, left_pad: int) -> tf.Tensor | None:
    """Return one-hot vectors behind columns of zeros.

    Args:
        indices: int [N].
        depth: length of the one-hot vectors.
        left_pad: number of columns before them.
    Returns:
        float32 [N, left_pad + depth]; None if depth is 0.
    Raises:
        ValueError: the rank is not 1, or a number is negative or no integer.
    """
    for name, value in (('depth', depth), ('left_pad', left_pad)):
        if not isinstance(value, Integral) or value < 0:
            raise ValueError(f'`{name}` must be a non-negative integer, not {value}.')
    if depth == 0:
        return None
    if indices.shape.rank != 1:
        raise ValueError(f'`indices` must have rank 1, but has rank={indices.shape.rank}')
    return tf.pad(tf.one_hot(tf.cast(indices, tf.int64), depth), [[0, 0], [left_pad, 0]])


def indices_to_dense_vector(indices: tf.Tensor, size: Any, indices_value: float = 1., default_value: float = 0,
                            dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Return a vector [size] that is indices_value, [] or [N], at indices, int [N], and default_value elsewhere."""
    default, values = tf.ones([size], dtype) * default_value, tf.ones_like(indices, dtype) * indices_value
    return tf.tensor_scatter_nd_update(default, tf.cast(indices, tf.int32)[:, tf.newaxis], values)


def gather_with_padding_values(input_tensor: tf.Tensor, indices: tf.Tensor, padding_value: tf.Tensor) -> tf.Tensor:
    """Return the rows of input_tensor [M, ...] at these indices, int [L]; padding_value [...] where an index is -1."""
    return tf.gather(tf.concat([padding_value[tf.newaxis], input_tensor], 0), indices + 1)


def matmul_gather_on_zeroth_axis(params: tf.Tensor, indices: tf.Tensor, scope: str | None = None) -> tf.Tensor:
    """Return the rows of params [M, ...] at these indices; TPUs, for which it multiplied matrices, are not supported.
    """
    return tf.gather(params, indices, name=scope)


def meshgrid(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return two grids of shape [*shape of y, *shape of x]: x repeated along the first axes, y along the last."""
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    shape = tf.concat([tf.shape(y), tf.shape(x)], 0)
    columns = tf.reshape(y, expanded_shape(tf.shape(y), tf.rank(y), tf.rank(x)))
    return tf.broadcast_to(x, shape), tf.broadcast_to(columns, shape)


def expanded_shape(orig_shape: tf.Tensor, start_dim: Any, num_dims: Any) -> tf.Tensor:
    """Return a shape, int32 [N], with num_dims ones inserted before its start_dim-th entry."""
    ones = tf.ones(tf.reshape(num_dims, [1]), tf.int32)
    return tf.concat([orig_shape[:start_dim], ones, orig_shape[start_dim:]], 0)


def reduce_sum_trailing_dimensions(tensor: tf.Tensor, ndims: int) -> tf.Tensor:
    """Return the sums over all dimensions behind the first `ndims`."""
    return tf.reduce_sum(tensor, list(range(ndims, tensor.shape.rank)))


def bfloat16_to_float32_nested(input_nested: Any) -> Any:
    """Return nested dicts and lists with their bfloat16 tensors as float32; tuples become lists."""
    if isinstance(input_nested, dict):
        return {name: bfloat16_to_float32_nested(value) for name, value in input_nested.items()}
    if isinstance(input_nested, (list, tuple)):
        return [bfloat16_to_float32_nested(value) for value in input_nested]
    is_bfloat16 = isinstance(input_nested, tf.Tensor) and input_nested.dtype == tf.bfloat16
    return tf.cast(input_nested, tf.float32) if is_bfloat16 else input_nested


_R_FCN = 'R-FCN is not supported'
_CROPS = 'use object_detection.models.faster_rcnn.regions'
_ABSENT = {'position_sensitive_crop_regions': _R_FCN, 'batch_position_sensitive_crop_regions': _R_FCN,
           'matmul_crop_and_resize': _CROPS, 'native_crop_and_resize': _CROPS, 'multilevel_roi_align': _CROPS,
           'normalize_to_target': 'it makes variables of TensorFlow 1'}


def __getattr__(name: str) -> NoReturn:
    absent.explain_name(__name__, name, _ABSENT)
