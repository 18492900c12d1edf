"""Changes of labels and boxes, and of the number of objects, rather than of pixels."""
from collections.abc import Sequence
from functools import partial

import tensorflow as tf

from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample, keep


def drop_label_probabilistically(sample: Sample, random: Random, label: int = 0,
                                 drop_probability: float = 1.0) -> Sample:
    """Drop each object of class `label` (an id, from 1) with this probability."""
    stays = random.uniform(shape=tf.shape(sample['classes'])) > drop_probability
    return keep(sample, stays | (sample['classes'] != label))


def remap_labels(sample: Sample, random: Random, original_labels: Sequence[int] = (), new_label: int = 0) -> Sample:
    """Give every object whose class is one of original_labels the class new_label."""
    classes = sample['classes']
    change = tf.reduce_any(classes[:, tf.newaxis] == tf.constant(original_labels, classes.dtype), axis=1)
    return dict(sample, classes=tf.where(change, tf.constant(new_label, classes.dtype), classes))


def random_jitter_boxes(sample: Sample, random: Random, ratio: float = 0.05, jitter_mode: str = 'default') -> Sample:
    """Move the sides of each box by up to `ratio` of their distance from its center, and clip the box to the image.

    No side crosses the center, however large the ratio.

    jitter_mode: 'default' moves each side either way, 'expand' outwards, 'shrink' inwards. With '_symmetric' after it,
    opposite sides move alike and no farther than the image; with '_symmetric_xy' all four sides do.
    """
    direction, _, symmetry = jitter_mode.partition('_')
    low_change, high_change = {'default': (-ratio, ratio), 'expand': (0.0, ratio), 'shrink': (-ratio, 0.0)}[direction]
    boxes = sample['boxes']
    low, high = boxes[:, :2], boxes[:, 2:]
    center, size = (low + high) / 2, tf.maximum(tf.abs(high - low), 1e-6)
    factors = tf.maximum(1 + random.uniform(low_change, high_change, [tf.shape(boxes)[0], 2 if symmetry else 4]), 0.0)
    if symmetry:
        limit = tf.abs(2 * tf.minimum(center, 1 - center) / size)
        if symmetry == 'symmetric_xy':
            factors, limit = factors[:, :1], tf.reduce_min(limit, axis=1, keepdims=True)
        before = after = tf.minimum(factors, limit)
    else:
        before, after = factors[:, :2], factors[:, 2:]
    low, high = center - size * before / 2, center + size * after / 2
    return dict(sample, boxes=tf.clip_by_value(tf.concat([low, high], 1), 0.0, 1.0))


def scale_boxes_to_pixel_coordinates(sample: Sample, random: Random) -> Sample:
    """Convert boxes and keypoints to pixels. No model here takes them; it is for programs that read the samples."""
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    out = dict(sample, boxes=sample['boxes'] * tf.tile(size, [2]))
    if 'keypoints' in sample:
        out['keypoints'] = sample['keypoints'] * size
    return out


def random_self_concat_image(sample: Sample, random: Random, concat_vertical_probability: float = 0.1,
                             concat_horizontal_probability: float = 0.1) -> Sample:
    """Repeat the image with its objects below itself, beside itself, or both (four copies)."""
    for axis, probability in enumerate((concat_vertical_probability, concat_horizontal_probability)):
        sample = tf.cond(random.chance(probability), partial(_repeat, sample, axis), partial(dict, sample))
    return sample


def _repeat(sample, axis):
    """Append the sample to itself along rows (axis 0) or columns (axis 1)."""
    out = {name: tf.concat([value, value], 0) for name, value in sample.items()}
    out['image'] = tf.concat([sample['image']] * 2, axis)
    scale = tf.one_hot(axis, 2, on_value=0.5, off_value=1.0)
    shift = tf.one_hot(axis, 2, on_value=0.5)
    first = sample['boxes'] * tf.tile(scale, [2])
    out['boxes'] = tf.concat([first, first + tf.tile(shift, [2])], 0)
    if 'keypoints' in sample:
        first = sample['keypoints'] * scale
        out['keypoints'] = tf.concat([first, first + shift], 0)
    if 'masks' in sample:
        masks, zeros = sample['masks'], tf.zeros_like(sample['masks'])
        out['masks'] = tf.concat([tf.concat([masks, zeros], axis + 1), tf.concat([zeros, masks], axis + 1)], 0)
    return out
