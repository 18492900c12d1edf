"""Augmentations of the objects rather than the picture: labels, boxes, and a picture shown twice."""
import tensorflow as tf

from object_detection.inputs.decode import keep
from object_detection.utils.errors import UserError


def drop_label_probabilistically(sample, random, label=0, drop_probability=1.0):
    """Leave out each object with this label (id from 1) with a probability."""
    stays = random.uniform(shape=tf.shape(sample['classes'])) > drop_probability
    return keep(sample, stays | (sample['classes'] != label))


def remap_labels(sample, random, original_labels=(), new_label=0):
    """Give all objects with one of the original labels the new one."""
    change = tf.reduce_any(sample['classes'][:, tf.newaxis] == tf.constant(original_labels, tf.int64), axis=1)
    return dict(sample, classes=tf.where(change, tf.constant(new_label, tf.int64), sample['classes']))


def random_jitter_boxes(sample, random, ratio=0.05, jitter_mode='default'):
    """Move the sides of each box by up to `ratio` of half its size, and clip the box to the image.

    jitter_mode: default (either way), expand or shrink; with _symmetric opposite sides move alike, as far as the image
    reaches; with _symmetric_xy all four do.
    """
    direction, _, symmetry = jitter_mode.partition('_')
    if direction not in ('default', 'expand', 'shrink') or symmetry not in ('', 'symmetric', 'symmetric_xy'):
        raise UserError(f'random_jitter_boxes: jitter_mode {jitter_mode!r} is not supported')
    least, most = {'default': (-ratio, ratio), 'expand': (0.0, ratio), 'shrink': (-ratio, 0.0)}[direction]
    boxes = sample['boxes']
    low, high = boxes[:, :2], boxes[:, 2:]
    center, size = (low + high) / 2, tf.maximum(tf.abs(high - low), 1e-6)
    count = tf.shape(boxes)[0]
    if symmetry:
        factors = 1 + random.uniform(least, most, [count, 2])
        limit = tf.abs(2 * tf.minimum(center, 1 - center) / size)
        if symmetry == 'symmetric_xy':
            factors, limit = factors[:, :1], tf.reduce_min(limit, axis=1, keepdims=True)
        factors = tf.clip_by_value(factors, -limit, limit)
        low, high = center - size * factors / 2, center + size * factors / 2
    else:
        factors = 1 + random.uniform(least, most, [count, 4])
        low, high = center - size * factors[:, :2] / 2, center + size * factors[:, 2:] / 2
    return dict(sample, boxes=tf.clip_by_value(tf.concat([low, high], 1), 0.0, 1.0))


def scale_boxes_to_pixel_coordinates(sample, random):
    """Boxes and keypoints in pixels. No model of this engine takes them: for programs that read the samples."""
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    out = dict(sample, boxes=sample['boxes'] * tf.tile(size, [2]))
    if 'keypoints' in sample:
        out['keypoints'] = sample['keypoints'] * size
    return out


def random_self_concat_image(sample, random, concat_vertical_probability=0.1, concat_horizontal_probability=0.1):
    """Show the picture twice, one below the other or side by side (or both: four times), with all its objects."""
    for axis, probability in enumerate((concat_vertical_probability, concat_horizontal_probability)):
        sample = tf.cond(random.chance(probability), lambda s=sample, a=axis: _twice(s, a), lambda s=sample: dict(s))
    return sample


def _twice(sample, axis):
    out = {name: tf.concat([value, value], 0) for name, value in sample.items()}
    out['image'] = tf.concat([sample['image']] * 2, axis)
    half = tf.one_hot(axis, 2, on_value=0.5, off_value=1.0)
    shift = tf.one_hot(axis, 2, on_value=0.5)
    first = sample['boxes'] * tf.tile(half, [2])
    out['boxes'] = tf.concat([first, first + tf.tile(shift, [2])], 0)
    if 'keypoints' in sample:
        first = sample['keypoints'] * half
        out['keypoints'] = tf.concat([first, first + shift], 0)
    if 'masks' in sample:
        masks, nothing = sample['masks'], tf.zeros_like(sample['masks'])
        out['masks'] = tf.concat([tf.concat([masks, nothing], axis + 1), tf.concat([nothing, masks], axis + 1)], 0)
    return out
