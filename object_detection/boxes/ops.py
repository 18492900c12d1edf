"""Arithmetic on boxes: float tensors [..., 4] of ymin, xmin, ymax, xmax, in any unit.

`...` stands for leading dimensions, which broadcast where a function takes two tensors.
"""
import tensorflow as tf


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Return the areas [...] of boxes [..., 4]. A side may be negative."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return (ymax - ymin) * (xmax - xmin)


def center_and_size(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return y center, x center, height and width, each [...], of boxes [..., 4]."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    height, width = ymax - ymin, xmax - xmin
    return ymin + height / 2., xmin + width / 2., height, width


def from_center_and_size(ycenter: tf.Tensor, xcenter: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Return boxes [..., 4] from four tensors [...]."""
    return tf.stack([ycenter - height / 2., xcenter - width / 2., ycenter + height / 2., xcenter + width / 2.], -1)


def intersection(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the intersection areas [..., N, M] of all pairs of a [..., N, 4] and b [..., M, 4]."""
    return paired_intersection(a[..., :, tf.newaxis, :], b[..., tf.newaxis, :, :])


def paired_intersection(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the intersection areas [...] of a [..., 4] with b [..., 4], box by box."""
    ymin_a, xmin_a, ymax_a, xmax_a = tf.unstack(a, axis=-1)
    ymin_b, xmin_b, ymax_b, xmax_b = tf.unstack(b, axis=-1)
    height = tf.nn.relu(tf.minimum(ymax_a, ymax_b) - tf.maximum(ymin_a, ymin_b))
    width = tf.nn.relu(tf.minimum(xmax_a, xmax_b) - tf.maximum(xmin_a, xmin_b))
    return height * width


def iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the intersection over union [..., N, M] of all pairs of a [..., N, 4] and b [..., M, 4].

    It is 0 where the union is empty.
    """
    return _over_union(intersection(a, b), area(a)[..., :, tf.newaxis], area(b)[..., tf.newaxis, :])


def paired_iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the intersection over union [...] of a [..., 4] with b [..., 4], box by box."""
    return _over_union(paired_intersection(a, b), area(a), area(b))


def _over_union(shared, area_a, area_b):
    return tf.math.divide_no_nan(shared, area_a + area_b - shared)


def paired_giou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the generalized IoU [...] of a [..., 4] with b [..., 4], box by box (Rezatofighi et al. 2019).

    It is the IoU minus the share of the enclosing box that neither box covers; 0 if the enclosing box is empty.
    """
    ymin_a, xmin_a, ymax_a, xmax_a = tf.unstack(a, axis=-1)
    ymin_b, xmin_b, ymax_b, xmax_b = tf.unstack(b, axis=-1)
    shared = paired_intersection(a, b)
    union = area(a) + area(b) - shared
    overlap = tf.math.divide_no_nan(shared, union)
    enclosing = (tf.maximum(ymax_a, ymax_b) - tf.minimum(ymin_a, ymin_b)) * (
        tf.maximum(xmax_a, xmax_b) - tf.minimum(xmin_a, xmin_b))
    divisor = tf.where(enclosing > 0., enclosing, 1.)
    return overlap - tf.where(enclosing > 0., (enclosing - union) / divisor, overlap)


def ioa(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the intersection over the area of b, [..., N, M], of all pairs of a [..., N, 4] and b [..., M, 4]."""
    return intersection(a, b) / area(b)[..., tf.newaxis, :]


def squared_distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the squared distance [..., N, M] of all pairs of a [..., N, 4] and b [..., M, 4] as points in 4-D."""
    return (tf.reduce_sum(a * a, -1, keepdims=True) + tf.reduce_sum(b * b, -1)[..., tf.newaxis, :]
            - 2. * tf.matmul(a, b, transpose_b=True))


def clip(boxes: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Clip boxes [..., N, 4] to window [..., 4]. Boxes outside it end up without area."""
    low, high = (tf.concat([corner, corner], -1)[..., tf.newaxis, :] for corner in (window[..., :2], window[..., 2:]))
    return tf.maximum(tf.minimum(boxes, high), low)


def change_frame(boxes: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Return boxes [..., N, 4] relative to window [..., 4], whose corners become (0, 0) and (1, 1)."""
    origin = tf.concat([window[..., :2], window[..., :2]], -1)
    scale = 1. / (window[..., 2:] - window[..., :2])
    return (boxes - origin[..., tf.newaxis, :]) * tf.concat([scale, scale], -1)[..., tf.newaxis, :]


def image_relative_to(boxes: tf.Tensor) -> tf.Tensor:
    """Return the image, (0, 0, 1, 1), in the coordinates of normalized boxes [..., 4], which are (0, 0, 1, 1) there.

    Sides below 1e-4 count as 1e-4.
    """
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    height, width = tf.maximum(ymax - ymin, 1e-4), tf.maximum(xmax - xmin, 1e-4)
    return tf.stack([-ymin / height, -xmin / width, (1. - ymin) / height, (1. - xmin) / width], -1)


def scale(boxes: tf.Tensor, y_scale: tf.Tensor | float, x_scale: tf.Tensor | float) -> tf.Tensor:
    """Multiply the y coordinates of boxes [..., 4] by y_scale and the x coordinates by x_scale (scalars)."""
    return boxes * tf.cast(tf.stack([y_scale, x_scale, y_scale, x_scale]), boxes.dtype)
