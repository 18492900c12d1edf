"""The elementary operations of AutoAugment for object detection (see autoaugment.py).

image: uint8 [H, W, 3]. boxes: float32 [N, 4], ymin, xmin, ymax, xmax, normalized. Amounts: float32 scalars. Numbers are
truncated where the reference truncates them, because the policies were learned with exactly these operations. Pixels
that move in from outside are gray.
"""
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

GRAY = 128
_MIN_SIDE = 0.05  # normalized: a box that was moved out of the image keeps this


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretch each channel to 0..255."""
    low, high = (tf.cast(reduce(image, [0, 1]), tf.float32) for reduce in (tf.reduce_min, tf.reduce_max))
    scale = 255 / (high - low)
    stretched = tf.clip_by_value(tf.cast(image, tf.float32) * scale - low * scale, 0.0, 255.0)
    return tf.where(high > low, tf.cast(stretched, tf.uint8), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Equalize the histogram of each channel."""
    values = tf.cast(tf.reshape(image, [-1, 3]), tf.int32)
    counts = tf.math.bincount(tf.transpose(values), minlength=256, maxlength=256, axis=-1)
    brightest = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    step = (tf.reduce_sum(counts, 1) - tf.gather(counts, brightest, batch_dims=1)) // 255
    step = step[:, tf.newaxis]
    ranks = (tf.cumsum(counts, axis=1, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(ranks, 255), tf.range(256))
    equal = tf.gather(table, tf.transpose(values), batch_dims=1)
    return tf.cast(tf.reshape(tf.transpose(equal), tf.shape(image)), tf.uint8)


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keep the upper `bits` bits of each value, at least one."""
    shift = tf.cast(tf.minimum(8 - bits, 7), tf.uint8)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(image, shift), shift)


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Invert values at or above the threshold."""
    return tf.where(image < tf.cast(threshold, tf.uint8), image, 255 - image)


def solarize_add(image: tf.Tensor, addition: tf.Tensor) -> tf.Tensor:
    """Add to values below 128."""
    added = tf.minimum(tf.cast(image, tf.int32) + tf.cast(addition, tf.int32), 255)
    return tf.where(image < 128, tf.cast(added, tf.uint8), image)


def color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale the saturation: 0 gives a gray image, 1 the same image."""
    return _blend(tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image)), image, factor)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale the distance from one gray value: as in the reference number of pixels / 256, so white for most images."""
    size = tf.shape(image)
    value = tf.minimum(tf.cast(size[0] * size[1], tf.float32) / 256, 255.0)
    return _blend(tf.fill(size, tf.cast(value, tf.uint8)), image, factor)


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale all values: 0 gives a black image, 1 the same image."""
    return _blend(tf.zeros_like(image), image, factor)


def sharpness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scale the distance from a smoothed image: 0 gives that one, 1 the same image. The outermost pixels stay."""
    kernel = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32, [3, 3, 1, 1]) / 13
    smooth = tf.nn.depthwise_conv2d(tf.cast(image, tf.float32)[tf.newaxis], tf.tile(kernel, [1, 1, 3, 1]),
                                    [1, 1, 1, 1], 'SAME')[0]
    smooth = tf.cast(tf.clip_by_value(smooth, 0.0, 255.0), tf.uint8)
    rows, columns = (_within(tf.shape(image)[axis], 1, tf.shape(image)[axis] - 1) for axis in range(2))
    return _blend(tf.where((rows[:, tf.newaxis] & columns)[..., tf.newaxis], smooth, image), image, factor)


def cutout(image: tf.Tensor, center: Sequence[tf.Tensor] | tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
    """Gray out the pixels within `reach` (int32 [2], height and width) of `center` (int32 [2], row and column)."""
    rows, columns = (_within(tf.shape(image)[axis], center[axis] - reach[axis], center[axis] + reach[axis])
                     for axis in range(2))
    return tf.where((rows[:, tf.newaxis] & columns)[..., tf.newaxis], tf.constant(GRAY, tf.uint8), image)


def rotate(image: tf.Tensor, boxes: tf.Tensor, degrees: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rotate counter-clockwise around the center; a box becomes the one around its rotated corners."""
    radians = degrees * (math.pi / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    height, width = _size(image)
    x_offset = ((width - 1) - (cos * (width - 1) - sin * (height - 1))) / 2
    y_offset = ((height - 1) - (sin * (width - 1) + cos * (height - 1))) / 2
    rotated = _transform(image, [cos, -sin, x_offset, sin, cos, y_offset])
    y, x = _corners(boxes - 0.5, height, width)
    moved_y, moved_x = (tf.cast(tf.cast(c, tf.int32), tf.float32) for c in (cos * y - sin * x, sin * y + cos * x))
    return rotated, _around(moved_y + height / 2, moved_x + width / 2, height, width)


def shear(image: tf.Tensor, boxes: tf.Tensor, level: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Move row i to the left (axis 1), or column i up (axis 0), by level * i pixels."""
    matrix = [1., 0., 0., level, 1., 0.] if axis == 0 else [1., level, 0., 0., 1., 0.]
    height, width = _size(image)
    y, x = _corners(boxes, height, width)
    y, x = (y - level * x, x) if axis == 0 else (y, x - level * y)
    y, x = (tf.cast(tf.cast(c, tf.int32), tf.float32) for c in (y, x))
    return _transform(image, matrix), _around(y, x, height, width)


def translate(image: tf.Tensor, boxes: tf.Tensor, pixels: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Move the content up (axis 0) or to the left (axis 1) by this many pixels."""
    height, width = _size(image)
    shift_y, shift_x = (pixels, 0.) if axis == 0 else (0., pixels)
    y, x = _corners(boxes, height, width)
    return (_transform(image, [1., 0., shift_x, 0., 1., shift_y]), _around(y - shift_y, x - shift_x, height, width))


def in_boxes(image: tf.Tensor, boxes: tf.Tensor, visits: tf.Tensor,
             change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Change the pixels inside boxes, one box after the other because they may overlap.

    Args:
        visits: int32 [M], indices of the boxes, in this order.
        change: function (pixels uint8 [h, w, 3], index of the box) -> pixels of the same shape.
    """
    size = tf.shape(image)[:2]
    corners = tf.cast(boxes * tf.tile(tf.cast(size, tf.float32), [2]), tf.int32)
    corners = tf.clip_by_value(corners, 0, tf.tile(size - 1, [2]))

    def visit(number, image):
        top, left, bottom, right = tf.unstack(corners[visits[number]])
        content = change(image[top:bottom + 1, left:right + 1], visits[number])
        border = [[top, size[0] - 1 - bottom], [left, size[1] - 1 - right]]
        inside = tf.pad(tf.ones(tf.shape(content)[:2], tf.bool), border)[..., tf.newaxis]
        return number + 1, tf.ensure_shape(tf.where(inside, tf.pad(content, [*border, [0, 0]]), image), image.shape)

    return tf.while_loop(lambda number, _: number < tf.size(visits), visit, (0, image))[1]


def _blend(one, other, factor):
    """Return one + factor * (other - one) as uint8, clipped."""
    one, other = tf.cast(one, tf.float32), tf.cast(other, tf.float32)
    return tf.cast(tf.clip_by_value(one + factor * (other - one), 0.0, 255.0), tf.uint8)


def _within(length, start, end):
    """Return bool [length], true from start to before end."""
    position = tf.range(length)
    return (position >= start) & (position < end)


def _transform(image, matrix):
    """Take pixel (x, y) of the result from (a x + b y + c, d x + e y + f) of the image; matrix: [a, b, c, d, e, f]."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis], transforms=tf.stack([*matrix, 0., 0.])[tf.newaxis],
        output_shape=tf.shape(image)[:2], fill_value=float(GRAY), interpolation='NEAREST', fill_mode='CONSTANT')[0]


def _size(image):
    return tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))


def _corners(boxes, height, width):
    """Return y and x (float32 [N, 4] each) of the corners of boxes in whole pixels."""
    pixels = tf.cast(boxes * tf.stack([height, width, height, width]), tf.int32)
    ymin, xmin, ymax, xmax = tf.unstack(tf.cast(pixels, tf.float32), num=4, axis=1)
    return tf.stack([ymin, ymin, ymax, ymax], 1), tf.stack([xmin, xmax, xmin, xmax], 1)


def _around(y, x, height, width):
    """Return the boxes [N, 4] around corners (y, x [N, 4], pixels), normalized, clipped, and none without area."""
    y, x = y / height, x / width
    low, high = (tf.clip_by_value(tf.stack([reduce(y, 1), reduce(x, 1)], 1), 0.0, 1.0)
                 for reduce in (tf.reduce_min, tf.reduce_max))
    flat = low == high
    high = tf.where(flat, tf.maximum(high, _MIN_SIDE), high)
    low = tf.where(flat, tf.minimum(low, 1 - _MIN_SIDE), low)
    return tf.concat([low, high], 1)
