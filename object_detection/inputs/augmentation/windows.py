"""What crops and pads do to a sample.

A window is float32 [4]: ymin, xmin, ymax, xmax in the image's normalized coordinates; it may reach beyond the image.
"""
import tensorflow as tf

from object_detection.inputs.sample import Sample, keep


def change_frame(sample: Sample, window: tf.Tensor) -> Sample:
    """Normalize boxes and keypoints to `window` instead of the image. Image and masks stay as they are."""
    origin, scale = window[:2], 1.0 / (window[2:] - window[:2])
    out = dict(sample, boxes=(sample['boxes'] - tf.tile(origin, [2])) * tf.tile(scale, [2]))
    if 'keypoints' in sample:
        out['keypoints'] = (sample['keypoints'] - origin) * scale
    return out


def overlapping(boxes: tf.Tensor, window: tf.Tensor, threshold: float | tf.Tensor = 0.0) -> tf.Tensor:
    """Select boxes [N, 4] that meet the window and have at least the fraction `threshold` of their area in it.

    As in the reference a box without area is never selected, not even by threshold 0.

    Returns:
        bool [N].
    """
    top_left = tf.maximum(boxes[:, :2], window[:2])
    bottom_right = tf.minimum(boxes[:, 2:], window[2:])
    shared = tf.reduce_prod(tf.maximum(bottom_right - top_left, 0.0), axis=1)
    return touching(boxes, window) & (shared / tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1) >= threshold)


def touching(boxes: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Select boxes [N, 4] that are not completely outside the window: bool [N]."""
    return tf.reduce_all((boxes[:, :2] < window[2:]) & (boxes[:, 2:] > window[:2]), axis=1)


def clip_objects(sample: Sample) -> Sample:
    """Clip boxes to the image; keypoints outside it become NaN and not visible."""
    out = dict(sample, boxes=tf.clip_by_value(sample['boxes'], 0.0, 1.0))
    if 'keypoints' in sample:
        points = sample['keypoints']
        inside = tf.reduce_all((points >= 0.0) & (points <= 1.0), axis=2)
        out['keypoints'] = tf.where(inside[..., tf.newaxis], points, float('nan'))
        out['keypoint_visibilities'] = sample['keypoint_visibilities'] & inside
    return out


def crop_objects(sample: Sample, window: tf.Tensor, threshold: float | tf.Tensor | None = None,
                 clip_boxes: bool = True) -> Sample:
    """Drop objects outside the window, move the others into its frame, and clip them to it.

    Image and masks stay as they are: see crop_pixels.

    Args:
        threshold: fraction of a box that must be inside (see `overlapping`); None: any part.
        clip_boxes: whether to clip boxes and keypoints.
    """
    boxes = sample['boxes']
    shown = touching(boxes, window) if threshold is None else overlapping(boxes, window, threshold)
    moved = change_frame(keep(sample, shown), window)
    return clip_objects(moved) if clip_boxes else moved


def crop_pixels(sample: Sample, top: tf.Tensor, left: tf.Tensor, height: int | tf.Tensor,
                width: int | tf.Tensor) -> Sample:
    """Cut image and masks to these pixels (int32 scalars). Boxes and keypoints stay as they are."""
    out = dict(sample, image=sample['image'][top:top + height, left:left + width])
    if 'masks' in sample:
        out['masks'] = sample['masks'][:, top:top + height, left:left + width]
    return out


def pad_pixels(sample: Sample, top: int | tf.Tensor, left: int | tf.Tensor, height: int | tf.Tensor,
               width: int | tf.Tensor, color: tf.Tensor | None = None) -> Sample:
    """Paste image and masks at (top, left) of a canvas of this height and width (int32 scalars, pixels).

    Masks are padded with 0. Boxes and keypoints stay as they are.

    Args:
        color: float32 [3], fill color (the image becomes float32); None: black.
    """
    def margins(size):
        return [top, height - top - size[0]], [left, width - left - size[1]]

    size = tf.shape(sample['image'])
    rows, columns = margins(size)
    out = dict(sample, image=tf.pad(sample['image'], [rows, columns, [0, 0]]))
    if color is not None:
        inside = tf.pad(tf.ones(size[:2], tf.bool), [rows, columns])[..., tf.newaxis]
        out['image'] = tf.where(inside, tf.cast(out['image'], tf.float32), color)
    if 'masks' in sample:
        out['masks'] = tf.pad(sample['masks'], [[0, 0], *margins(tf.shape(sample['masks'])[1:])])
    return out
