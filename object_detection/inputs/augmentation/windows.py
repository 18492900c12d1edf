"""Seeing a sample through a window: what crops and paddings do to boxes, keypoints and masks."""
import tensorflow as tf

from object_detection.inputs.decode import keep


def move_frame(sample, window):
    """The sample with boxes and keypoints normalised to `window` (float32 [4], in the image's normalised coordinates).

    Image and masks are left to the caller.
    """
    origin, scale = window[:2], 1.0 / (window[2:] - window[:2])
    out = dict(sample, boxes=(sample['boxes'] - tf.tile(origin, [2])) * tf.tile(scale, [2]))
    if 'keypoints' in sample:
        out['keypoints'] = (sample['keypoints'] - origin) * scale
    return out


def overlapping(boxes, window, threshold=0.0):
    """bool [N]: boxes that meet the window, and have at least the share `threshold` of their area in it.

    A box without area is dropped as soon as there is a threshold to be met, 0 included, as in the reference.
    """
    top_left = tf.maximum(boxes[:, :2], window[:2])
    bottom_right = tf.minimum(boxes[:, 2:], window[2:])
    shared = tf.reduce_prod(tf.maximum(bottom_right - top_left, 0.0), axis=1)
    return in_sight(boxes, window) & (shared / tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1) >= threshold)


def in_sight(boxes, window):
    """bool [N]: boxes that are not completely outside the window."""
    return tf.reduce_all((boxes[:, :2] < window[2:]) & (boxes[:, 2:] > window[:2]), axis=1)


def clip(sample):
    """Boxes cut at the image's border; keypoints outside become NaN and not visible."""
    out = dict(sample, boxes=tf.clip_by_value(sample['boxes'], 0.0, 1.0))
    if 'keypoints' in sample:
        points = sample['keypoints']
        seen = tf.reduce_all((points >= 0.0) & (points <= 1.0), axis=2)
        out['keypoints'] = tf.where(seen[..., tf.newaxis], points, float('nan'))
        out['keypoint_visibilities'] = sample['keypoint_visibilities'] & seen
    return out


def look_through(sample, window, threshold=None, clip_boxes=True):
    """Drop what the window does not show, move the rest into its frame, clip it there.

    threshold: the share of a box that has to be inside (see `overlapping`); None: any part.
    """
    boxes = sample['boxes']
    shown = in_sight(boxes, window) if threshold is None else overlapping(boxes, window, threshold)
    moved = move_frame(keep(sample, shown), window)
    return clip(moved) if clip_boxes else moved


def slice_pixels(sample, top, left, height, width):
    """Image and masks cut to these pixels (int32 scalars); boxes and keypoints are left to the caller."""
    out = dict(sample, image=sample['image'][top:top + height, left:left + width])
    if 'masks' in sample:
        out['masks'] = sample['masks'][:, top:top + height, left:left + width]
    return out


def pad_pixels(sample, top, left, height, width, color=None):
    """Image and masks with borders: at (top, left) of a canvas of this size.

    color: float32 [3] to fill it with, None: black. Boxes and keypoints are left to the caller.
    """
    size = tf.shape(sample['image'])
    rows, columns = [top, height - top - size[0]], [left, width - left - size[1]]
    out = dict(sample, image=tf.pad(sample['image'], [rows, columns, [0, 0]]))
    if color is not None:
        inside = tf.pad(tf.ones(size[:2], tf.bool), [rows, columns])[..., tf.newaxis]
        out['image'] = tf.where(inside, tf.cast(out['image'], tf.float32), color)
    if 'masks' in sample:
        out['masks'] = tf.pad(sample['masks'], [[0, 0], rows, columns])
    return out
