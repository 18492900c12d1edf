"""Arithmetic on boxes: float tensors [..., 4] of ymin, xmin, ymax, xmax, in whatever unit they come in."""
import tensorflow as tf


def area(boxes):
    """Areas [...] of boxes [..., 4]; negative sides count as they are."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return (ymax - ymin) * (xmax - xmin)


def center_and_size(boxes):
    """(y center, x center, height, width), each [...], of boxes [..., 4]."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    height, width = ymax - ymin, xmax - xmin
    return ymin + height / 2., xmin + width / 2., height, width


def from_center_and_size(ycenter, xcenter, height, width):
    """Boxes [..., 4] from four tensors [...]."""
    return tf.stack([ycenter - height / 2., xcenter - width / 2., ycenter + height / 2., xcenter + width / 2.], -1)


def intersection(a, b):
    """Shared areas [..., N, M] of every box of a [..., N, 4] with every box of b [..., M, 4]."""
    return paired_intersection(a[..., :, tf.newaxis, :], b[..., tf.newaxis, :, :])


def paired_intersection(a, b):
    """Shared areas [...] of a [..., 4] with b [..., 4], box by box (shapes may broadcast)."""
    ymin_a, xmin_a, ymax_a, xmax_a = tf.unstack(a, axis=-1)
    ymin_b, xmin_b, ymax_b, xmax_b = tf.unstack(b, axis=-1)
    height = tf.nn.relu(tf.minimum(ymax_a, ymax_b) - tf.maximum(ymin_a, ymin_b))
    width = tf.nn.relu(tf.minimum(xmax_a, xmax_b) - tf.maximum(xmin_a, xmin_b))
    return height * width


def iou(a, b):
    """Intersection over union [..., N, M] of a [..., N, 4] and b [..., M, 4]; 0 where they do not meet."""
    return _over_union(intersection(a, b), area(a)[..., :, tf.newaxis], area(b)[..., tf.newaxis, :])


def paired_iou(a, b):
    """Intersection over union [...] of a [..., 4] with b [..., 4], box by box."""
    return _over_union(paired_intersection(a, b), area(a), area(b))


def _over_union(shared, area_a, area_b):
    return tf.math.divide_no_nan(shared, area_a + area_b - shared)


def paired_giou(a, b):
    """Generalized IoU [...] of a [..., 4] with b [..., 4], box by box (Rezatofighi et al. 2019): IoU minus the share of
    the hull that neither box covers. An empty union has IoU 0; without a hull the result is 0."""
    ymin_a, xmin_a, ymax_a, xmax_a = tf.unstack(a, axis=-1)
    ymin_b, xmin_b, ymax_b, xmax_b = tf.unstack(b, axis=-1)
    shared = paired_intersection(a, b)
    union = area(a) + area(b) - shared
    overlap = tf.math.divide_no_nan(shared, union)
    hull = (tf.maximum(ymax_a, ymax_b) - tf.minimum(ymin_a, ymin_b)) * (
        tf.maximum(xmax_a, xmax_b) - tf.minimum(xmin_a, xmin_b))
    safe_hull = tf.where(hull > 0., hull, 1.)
    return overlap - tf.where(hull > 0., (hull - union) / safe_hull, overlap)


def ioa(a, b):
    """Intersection over the area of b, [..., N, M], for a [..., N, 4] and b [..., M, 4]."""
    return intersection(a, b) / area(b)[..., tf.newaxis, :]


def squared_distance(a, b):
    """Squared Euclidean distance [..., N, M] between boxes as points of four coordinates."""
    return (tf.reduce_sum(a * a, -1, keepdims=True) + tf.reduce_sum(b * b, -1)[..., tf.newaxis, :]
            - 2. * tf.matmul(a, b, transpose_b=True))


def clip(boxes, window):
    """Boxes [..., N, 4] moved into window [..., 4]; what lies outside ends with no area."""
    low, high = (tf.concat([corner, corner], -1)[..., tf.newaxis, :] for corner in (window[..., :2], window[..., 2:]))
    return tf.maximum(tf.minimum(boxes, high), low)


def change_frame(boxes, window):
    """Boxes [..., N, 4] in coordinates that are (0, 0) and (1, 1) at the corners of window [..., 4]."""
    origin = tf.concat([window[..., :2], window[..., :2]], -1)
    scale = 1. / (window[..., 2:] - window[..., :2])
    return (boxes - origin[..., tf.newaxis, :]) * tf.concat([scale, scale], -1)[..., tf.newaxis, :]


def scale(boxes, y_scale, x_scale):
    """Boxes [..., 4] with y times y_scale and x times x_scale (scalars)."""
    return boxes * tf.cast(tf.stack([y_scale, x_scale, y_scale, x_scale]), boxes.dtype)
