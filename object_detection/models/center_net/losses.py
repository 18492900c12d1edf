"""Losses of CenterNet: maps and groundtruth of a padded batch in, scalars out.

Arguments of several functions:
    maps: list of float32 [B, H, W, C], one for each output of the feature extractor; their losses are averaged.
    boxes: float32 [B, N, 4], (ymin, xmin, ymax, xmax) in cells.
    groundtruth: as Detector.loss takes it, normalized to the input.
    valid: float32 [B, H, W, 1], 0 for padding (decoding.valid_pixels).
    map_size: (H, W).
"""
import dataclasses

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.layers import parts
from object_detection.models.center_net import targets
from object_detection.models.center_net.decoding import MapSize, gather_pixel_pairs, gather_pixels
from object_detection.models.center_net.tasks import Boxes, Keypoints, ObjectCenter
from object_detection.models.detector import Predictions, Tensors

_CLIP = 1e-4  # probabilities are kept this far from 0 and 1


@dataclasses.dataclass(frozen=True)
class PenaltyReducedFocal:
    """Focal loss of heatmaps (Law and Deng 2018, CornerNet): logits and targets (0..1), float32 [...] -> loss [...].

    -(1 - p) ** alpha log p at the very peaks (target 1), and -(1 - t) ** beta p ** alpha log(1 - p) elsewhere.
    """
    alpha: float = 2.
    beta: float = 4.

    def __call__(self, logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        p = tf.clip_by_value(tf.sigmoid(logits), _CLIP, 1. - _CLIP)
        peak = tf.equal(target, 1.)
        # one logarithm and one power for both cases
        factor = tf.where(peak, 1., tf.pow(1. - target, self.beta))
        return -factor * tf.pow(tf.where(peak, 1. - p, p), self.alpha) * tf.math.log(tf.where(peak, p, 1. - p))


def l1(predictions: tf.Tensor, target: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum of absolute differences, weighted: predictions and target [..., C], weights [...] -> [...]."""
    return tf.reduce_sum(tf.abs(predictions - target), -1) * weights


def center_loss(maps: list[tf.Tensor], task: ObjectCenter, boxes: tf.Tensor, groundtruth: Tensors, valid: tf.Tensor,
                map_size: MapSize) -> tf.Tensor:
    """Compute the loss of the center heatmaps (logits, C = num_classes), a scalar, averaged over boxes."""
    weights = groundtruth['groundtruth_weights']
    target = targets.center_heatmaps(boxes, groundtruth['groundtruth_classes'], weights, task.min_iou, map_size)
    total = _mean([tf.reduce_sum(task.loss(logits, target) * valid) for logits in maps])
    return task.loss_weight * total / _box_normalizer(weights)


def box_losses(scales: list[tf.Tensor], offsets: list[tf.Tensor], task: Boxes, boxes: tf.Tensor, groundtruth: Tensors,
               map_size: MapSize) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the losses of the boxes' sizes and of their centers' offsets (maps with C = 2), scalars, averaged over
    boxes."""
    weights = groundtruth['groundtruth_weights']
    y, x, height, width = ops.center_and_size(boxes)
    centers = tf.stack([y, x], -1)
    pixels = targets.nearest_pixel(centers, map_size)

    def loss(maps, target):
        losses = [tf.reduce_sum(task.loss(gather_pixels(values, pixels), target, weights)) for values in maps]
        return _mean(losses) / _box_normalizer(weights)
    return (task.scale_weight * loss(scales, tf.stack([height, width], -1)),
            task.offset_weight * loss(offsets, centers - pixels))


def keypoint_losses(predictions: Predictions, task: Keypoints, boxes: tf.Tensor, groundtruth: Tensors,
                    valid: tf.Tensor, map_size: MapSize) -> Tensors:
    """Compute the losses of the heatmap, offset and regression of one task, {name: scalar}, averaged
    over keypoints."""
    keypoints, weights = targets.labeled_keypoints(groundtruth, task, map_size)
    y, x, _, _ = ops.center_and_size(boxes)
    centers = tf.broadcast_to(tf.stack([y, x], -1)[:, :, tf.newaxis], tf.shape(keypoints))
    heatmaps = _keypoint_heatmap_loss(predictions[task.heatmap], task, keypoints, weights, boxes, valid, map_size)
    offsets = _neighbor_loss(predictions[task.offset], task, keypoints, keypoints, weights, map_size)
    regressions = _neighbor_loss(predictions[task.regression], task, centers, keypoints, weights, map_size)
    return {task.heatmap: task.heatmap_weight * heatmaps, task.offset: task.offset_weight * offsets,
            task.regression: task.regression_weight * regressions}


def _keypoint_heatmap_loss(maps, task, keypoints, weights, boxes, valid, map_size):
    target = targets.keypoint_heatmaps(keypoints, weights, boxes, task.std_dev, map_size)
    counted = valid * targets.outside_unlabeled(boxes, weights, map_size)
    total = _mean([tf.reduce_sum(task.heatmap_loss(logits, target) * counted) for logits in maps])
    # the reference rounds the sum of weights down for each kind of keypoint and image
    return total / parts.loss_normalizer(tf.reduce_sum(tf.floor(tf.reduce_sum(weights, 1))))


def _neighbor_loss(maps, task, points, keypoints, weights, map_size):
    """Mean loss of the pixels around points, which regress keypoints; both [B, N, K, 2], weights [B, N, K]."""
    pixels, inside = targets.pixels_around(points, task.offset_radius, map_size)
    target = keypoints[..., tf.newaxis, :] - pixels
    weights = weights[..., tf.newaxis] * tf.cast(inside, tf.float32)
    unweighted = tf.ones_like(weights)
    losses = [tf.reduce_sum(task.loss(gather_pixel_pairs(values, pixels), target, unweighted) * weights)
              for values in maps]
    return _mean(losses) / parts.loss_normalizer(tf.reduce_sum(weights))


def _box_normalizer(weights):
    """Return the normalizer of losses per box: the number of boxes with a weight, see parts.loss_normalizer."""
    return parts.loss_normalizer(tf.cast(tf.math.count_nonzero(weights), tf.float32))


def _mean(losses):
    return tf.add_n(losses) / len(losses)
