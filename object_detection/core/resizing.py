"""Resize one image and its masks; core.preprocessor offers these functions, too.

Each takes an image [H, W, C] and masks [N, H, W] or None, and returns a list: the image, the masks if there are any,
and (height, width, C), int32 [3], of the image without padding. As in the reference, the kernels are those of
TensorFlow 1, and masks are resized by nearest neighbor.
"""
from collections.abc import Sequence

import tensorflow as tf

_METHOD = tf.compat.v1.image.ResizeMethod
Method = int | str  # one of tf.image.ResizeMethod, of TensorFlow 1 or 2


def resize_image(image: tf.Tensor, masks: tf.Tensor | None = None, new_height: int = 600, new_width: int = 1024,
                 method: Method = _METHOD.BILINEAR, align_corners: bool = False) -> list[tf.Tensor]:
    """Resize to new_height x new_width."""
    return _resize(image, masks, tf.stack([new_height, new_width]), method, align_corners)


def resize_to_range(image: tf.Tensor, masks: tf.Tensor | None = None, min_dimension: int | None = None,
                    max_dimension: int | None = None, method: Method = _METHOD.BILINEAR, align_corners: bool = False,
                    pad_to_max_dimension: bool = False, per_channel_pad_value: Sequence[float] = (0, 0, 0)
                    ) -> list[tf.Tensor]:
    """Resize so that the shorter side becomes min_dimension, or the longer one max_dimension if it would be longer.

    Args:
        pad_to_max_dimension: pad at the bottom and right to a square of max_dimension.
        per_channel_pad_value: the color of the padding.
    Raises:
        ValueError: the image is not [H, W, C], or per_channel_pad_value has not one number for each channel.
    """
    image = _checked(image)
    if image.shape.is_fully_defined():
        landscape = image.shape[0] < image.shape[1]
        size = [min_dimension, max_dimension] if landscape else [max_dimension, min_dimension]
    else:
        size = tf.where(tf.shape(image)[0] < tf.shape(image)[1], [min_dimension, max_dimension],
                        [max_dimension, min_dimension])
    resized = tf.compat.v1.image.resize(image, size, method, align_corners, preserve_aspect_ratio=True)
    shape = tf.constant(resized.shape.as_list()) if resized.shape.is_fully_defined() else tf.shape(resized)
    result = [resized]
    if masks is not None:
        result.append(_nearest(masks, shape[:2], align_corners))
    if pad_to_max_dimension:
        if len(per_channel_pad_value) != image.shape[2]:
            raise ValueError('Number of channels must be equal to the length of per-channel pad value.')
        rows, columns = [0, max_dimension - shape[0]], [0, max_dimension - shape[1]]
        color = tf.constant(per_channel_pad_value, resized.dtype)
        square = tf.pad(resized - color, [rows, columns, [0, 0]]) + color
        result[0] = tf.ensure_shape(square, [max_dimension, max_dimension, image.shape[2]])
        result[1:] = [tf.ensure_shape(tf.pad(part, [[0, 0], rows, columns]), [None, max_dimension, max_dimension])
                      for part in result[1:]]
    return [*result, shape]


def resize_to_min_dimension(image: tf.Tensor, masks: tf.Tensor | None = None, min_dimension: int = 600,
                            method: Method = _METHOD.BILINEAR) -> list[tf.Tensor]:
    """Enlarge an image whose shorter side is below min_dimension until it is not, with the corner pixels aligned."""
    image = _checked(image)
    shorter = tf.reduce_min(tf.shape(image)[:2])
    return _scale(image, masks, tf.maximum(shorter, min_dimension), shorter, method)


def resize_to_max_dimension(image: tf.Tensor, masks: tf.Tensor | None = None, max_dimension: int = 600,
                            method: Method = _METHOD.BILINEAR) -> list[tf.Tensor]:
    """Shrink an image whose longer side is above max_dimension until it is not, with the corner pixels aligned."""
    image = _checked(image)
    longer = tf.reduce_max(tf.shape(image)[:2])
    return _scale(image, masks, tf.minimum(longer, max_dimension), longer, method)


def resize_pad_to_multiple(image: tf.Tensor, masks: tf.Tensor | None = None, multiple: int = 1) -> list[tf.Tensor]:
    """Pad with zeros at the bottom and right to multiples of a number of pixels."""
    image = _checked(image)
    rows, columns = ([0, -tf.shape(image)[axis] % multiple] for axis in (0, 1))
    result = [tf.pad(image, [rows, columns, [0, 0]])]
    if masks is not None:
        result.append(tf.pad(masks, [[0, 0], rows, columns]))
    return [*result, tf.shape(image)]


def _checked(image: tf.Tensor) -> tf.Tensor:
    image = tf.convert_to_tensor(image)
    if image.shape.rank != 3:
        raise ValueError('Image should be 3D tensor')
    return image


def _scale(image: tf.Tensor, masks: tf.Tensor | None, length: tf.Tensor, of: tf.Tensor, method: Method
           ) -> list[tf.Tensor]:
    size = tf.cast(tf.cast(tf.shape(image)[:2], tf.float32) * tf.cast(length / of, tf.float32), tf.int32)
    return _resize(image, masks, size, method, align_corners=True)


def _resize(image: tf.Tensor, masks: tf.Tensor | None, size: tf.Tensor, method: Method, align_corners: bool
            ) -> list[tf.Tensor]:
    result = [tf.compat.v1.image.resize(image, size, method, align_corners)]
    if masks is not None:
        result.append(_nearest(masks, size, align_corners))
    return [*result, tf.concat([size, tf.shape(image)[2:]], 0)]


def _nearest(masks: tf.Tensor, size: tf.Tensor, align_corners: bool) -> tf.Tensor:
    nearest = _METHOD.NEAREST_NEIGHBOR
    return tf.compat.v1.image.resize(masks[..., tf.newaxis], size, nearest, align_corners)[..., 0]
