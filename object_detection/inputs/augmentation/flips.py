"""Flips and quarter turns of a sample."""
import tensorflow as tf


def random_horizontal_flip(sample, random, keypoint_flip_permutation=(), probability=0.5):
    """Mirror left and right. keypoint_flip_permutation: which keypoint each one becomes (the left eye the right)."""
    return tf.cond(random.chance(probability),
                   lambda: _mirror(sample, 1, keypoint_flip_permutation), lambda: dict(sample))


def random_vertical_flip(sample, random, keypoint_flip_permutation=(), probability=0.5):
    """Mirror top and bottom."""
    return tf.cond(random.chance(probability),
                   lambda: _mirror(sample, 0, keypoint_flip_permutation), lambda: dict(sample))


def random_rotation90(sample, random, keypoint_rot_permutation=(), probability=0.5):
    """Turn by 90 degrees, counter-clockwise."""
    return tf.cond(random.chance(probability),
                   lambda: _turn(sample, keypoint_rot_permutation), lambda: dict(sample))


def _mirror(sample, axis, permutation):
    """Mirror along axis 0 (rows) or 1 (columns)."""
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


def _turn(sample, permutation):
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
        for name in {'keypoints', 'keypoint_visibilities'} & sample.keys():
            sample[name] = tf.gather(sample[name], permutation, axis=1)
    return sample
