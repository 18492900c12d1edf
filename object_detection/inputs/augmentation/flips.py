"""Flips and quarter turns."""
from collections.abc import Sequence

import tensorflow as tf

from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample


def random_horizontal_flip(sample: Sample, random: Random, keypoint_flip_permutation: Sequence[int] = (),
                           probability: float = 0.5) -> Sample:
    """Flip left to right.

    keypoint_flip_permutation: entry k is the index of the keypoint that becomes keypoint k (the left eye becomes the
    right one); empty: keypoints keep their order.
    """
    return tf.cond(random.chance(probability),
                   lambda: _flip(sample, 1, keypoint_flip_permutation), lambda: dict(sample))


def random_vertical_flip(sample: Sample, random: Random, keypoint_flip_permutation: Sequence[int] = (),
                         probability: float = 0.5) -> Sample:
    """Flip upside down. keypoint_flip_permutation: see random_horizontal_flip."""
    return tf.cond(random.chance(probability),
                   lambda: _flip(sample, 0, keypoint_flip_permutation), lambda: dict(sample))


def random_rotation90(sample: Sample, random: Random, keypoint_rot_permutation: Sequence[int] = (),
                      probability: float = 0.5) -> Sample:
    """Rotate by 90 degrees counter-clockwise. keypoint_rot_permutation: see random_horizontal_flip."""
    return tf.cond(random.chance(probability),
                   lambda: _rotate90(sample, keypoint_rot_permutation), lambda: dict(sample))


def _flip(sample, axis, permutation):
    """Reverse rows (axis 0) or columns (axis 1)."""
    out = dict(sample, image=tf.reverse(sample['image'], [axis]))
    sides = tf.unstack(sample['boxes'], num=4, axis=1)
    sides[axis], sides[axis + 2] = 1 - sides[axis + 2], 1 - sides[axis]
    out['boxes'] = tf.stack(sides, axis=1)
    if 'masks' in sample:
        out['masks'] = tf.reverse(sample['masks'], [axis + 1])
    if 'keypoints' in sample:
        points = tf.unstack(sample['keypoints'], num=2, axis=2)
        points[axis] = 1 - points[axis]
        out['keypoints'] = tf.stack(points, axis=2)
    return _permute_keypoints(out, permutation)


def _rotate90(sample, permutation):
    out = dict(sample, image=tf.reverse(tf.transpose(sample['image'], [1, 0, 2]), [0]))
    ymin, xmin, ymax, xmax = tf.unstack(sample['boxes'], num=4, axis=1)
    out['boxes'] = tf.stack([1 - xmax, ymin, 1 - xmin, ymax], axis=1)
    if 'masks' in sample:
        out['masks'] = tf.reverse(tf.transpose(sample['masks'], [0, 2, 1]), [1])
    if 'keypoints' in sample:
        y, x = tf.unstack(sample['keypoints'], num=2, axis=2)
        out['keypoints'] = tf.stack([1 - x, y], axis=2)
    return _permute_keypoints(out, permutation)


def _permute_keypoints(sample, permutation):
    if permutation:
        for name in [name for name in sample if name.startswith('keypoint')]:  # keypoints, keypoint_visibilities, ...
            sample[name] = tf.gather(sample[name], permutation, axis=1)
    return sample
