"""Losses of CenterNet: maps and groundtruth of a padded batch in, scalars out.

`maps` is a list, one [B, H, W, C] for each output of the feature extractor; the loss is the mean over them. Boxes are
in cells. `valid`, float32 [B, H, W, 1], is 0 where the image is padded.
"""
import dataclasses

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.models.center_net import targets
from object_detection.models.replicas import per_device

_CLIP = 1e-4  # probabilities are kept this far from 0 and 1


@dataclasses.dataclass(frozen=True)
class PenaltyReducedFocal:
    """Focal loss on heatmaps (Law and Deng 2018, CornerNet): logits and targets [...] in 0..1 -> loss [...].

    At the very peaks (target 1) -(1 - p) ** alpha log p, elsewhere -(1 - t) ** beta p ** alpha log(1 - p).
    """
    alpha: float = 2.
    beta: float = 4.

    def __call__(self, logits, wanted):
        p = tf.clip_by_value(tf.sigmoid(logits), _CLIP, 1. - _CLIP)
        peak = tf.equal(wanted, 1.)
        # one logarithm and one power for both cases
        factor = tf.where(peak, 1., tf.pow(1. - wanted, self.beta))
        return -factor * tf.pow(tf.where(peak, 1. - p, p), self.alpha) * tf.math.log(tf.where(peak, p, 1. - p))


def l1(codes, wanted, weights):
    """Sum of absolute differences [...] of codes [..., size], times weights [...]."""
    return tf.reduce_sum(tf.abs(codes - wanted), -1) * weights


def valid_pixels(true_image_shapes, stride, shape):
    """float32 [B, H, W, 1]: 1 where a map's pixel sees some of the image, whose shape is int32 [B, 3]."""
    height, width = shape
    limits = tf.math.ceil(tf.cast(true_image_shapes, tf.float32) / stride)[:, :2, tf.newaxis]
    rows = tf.range(tf.cast(height, tf.float32)) < limits[:, 0]
    columns = tf.range(tf.cast(width, tf.float32)) < limits[:, 1]
    return tf.cast(tf.logical_and(rows[:, :, tf.newaxis], columns[:, tf.newaxis]), tf.float32)[..., tf.newaxis]


def center_loss(maps, task, boxes, groundtruth, valid, shape):
    """Loss of the center heatmaps, per box."""
    weights = groundtruth['groundtruth_weights']
    wanted = targets.center_heatmaps(boxes, groundtruth['groundtruth_classes'], weights, task.min_iou, shape)
    total = _mean([tf.reduce_sum(task.loss(logits, wanted) * valid) for logits in maps])
    return task.loss_weight * total / _count(weights)


def box_losses(scales, offsets, task, boxes, groundtruth, shape):
    """(loss of height and width, loss of the center's offset), per box."""
    weights = groundtruth['groundtruth_weights']
    y, x, height, width = ops.center_and_size(boxes)
    centers = tf.stack([y, x], -1)
    pixels = targets.nearest_pixel(centers, shape)

    def loss(maps, wanted):
        losses = [tf.reduce_sum(task.loss(at_pixels(values, pixels), wanted, weights)) for values in maps]
        return _mean(losses) / _count(weights)
    return (task.scale_weight * loss(scales, tf.stack([height, width], -1)),
            task.offset_weight * loss(offsets, centers - pixels))


def keypoint_losses(predictions, task, boxes, groundtruth, valid, shape):
    """{name: loss} of the heatmap, offset and regression of one task, per keypoint."""
    keypoints, weights = targets.labelled_keypoints(groundtruth, task, shape)
    y, x, _, _ = ops.center_and_size(boxes)
    centers = tf.broadcast_to(tf.stack([y, x], -1)[:, :, tf.newaxis], tf.shape(keypoints))
    offsets = _neighbour_loss(predictions[task.offset], task, keypoints, keypoints, weights, shape)
    regressions = _neighbour_loss(predictions[task.regression], task, centers, keypoints, weights, shape)
    return {task.heatmap: task.heatmap_weight * _keypoint_heatmap_loss(predictions[task.heatmap], task, keypoints,
                                                                       weights, boxes, valid, shape),
            task.offset: task.offset_weight * offsets, task.regression: task.regression_weight * regressions}


def _keypoint_heatmap_loss(maps, task, keypoints, weights, boxes, valid, shape):
    wanted = targets.keypoint_heatmaps(keypoints, weights, boxes, task.std_dev, shape)
    counted = valid * targets.outside_unlabelled(boxes, weights, shape)
    total = _mean([tf.reduce_sum(task.heatmap_loss(logits, wanted) * counted) for logits in maps])
    # whole keypoints of each kind and image
    return total / per_device(tf.reduce_sum(tf.floor(tf.reduce_sum(weights, 1))))


def _neighbour_loss(maps, task, places, keypoints, weights, shape):
    """Mean loss of the pixels around `places`, which point at `keypoints`; all [B, N, K, 2], weights [B, N, K]."""
    pixels, inside = targets.pixels_around(places, task.offset_radius, shape)
    wanted = keypoints[..., tf.newaxis, :] - pixels
    weights = weights[..., tf.newaxis] * tf.cast(inside, tf.float32)
    unweighted = tf.ones_like(weights)
    losses = [tf.reduce_sum(task.loss(pairs_at_pixels(values, pixels), wanted, unweighted) * weights)
              for values in maps]
    return _mean(losses) / per_device(tf.reduce_sum(weights))


def at_pixels(values, pixels):
    """Values [B, ..., C] of maps [B, H, W, C] at pixels [B, ..., 2] (y, x), float or int, inside the map."""
    size = tf.shape(values)
    y, x = tf.unstack(tf.cast(pixels, tf.int32), axis=-1)
    return tf.gather(tf.reshape(values, [size[0], size[1] * size[2], values.shape[-1]]), y * size[2] + x, batch_dims=1)


def pairs_at_pixels(values, pixels):
    """As at_pixels, for pixels [B, N, K, R, 2] and maps of K pairs of channels, or one pair for all -> [B, N, K, R, 2].

    The k-th keypoint has the k-th pair.
    """
    size, pairs = tf.shape(values), values.shape[-1] // 2
    y, x = tf.unstack(tf.cast(pixels, tf.int32), axis=-1)
    places = (y * size[2] + x) * pairs + tf.range(pairs)[:, tf.newaxis]
    return tf.gather(tf.reshape(values, [size[0], size[1] * size[2] * pairs, 2]), places, batch_dims=1)


def _count(weights):
    """Number of boxes that are not padding."""
    return per_device(tf.cast(tf.math.count_nonzero(weights), tf.float32))


def _mean(losses):
    return tf.add_n(losses) / len(losses)
