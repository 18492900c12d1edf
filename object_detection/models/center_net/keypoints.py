"""Keypoints of detected objects: regressed from the center, then moved to fitting peaks of the heatmaps.

Keypoints are (y, x) and boxes (ymin, xmin, ymax, xmax), both in cells. D is the number of objects, K of keypoints of a
task, P of candidates (peaks) for each keypoint.
"""
import tensorflow as tf

from object_detection.boxes import ops
from object_detection.models.center_net.decoding import best_peaks_per_channel, gather_pixel_pairs, gather_pixels
from object_detection.models.center_net.targets import KEYPOINT_MIN_IOU, peak_size
from object_detection.models.center_net.tasks import Keypoints
from object_detection.models.detector import Predictions

_FAR = 1e5  # distance of candidates below the score threshold


def decode(predictions: Predictions, task: Keypoints, pixels: tf.Tensor, boxes: tf.Tensor | None
           ) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode the keypoints of objects.

    Args:
        predictions: of CenterNet.predict; the last map of each list is used.
        pixels: int32 [B, D, 2], the objects' centers.
        boxes: float32 [B, D, 4], or None if the model predicts none.
    Returns:
        Keypoints float32 [B, D, K, 2] and scores float32 [B, D, K].
    """
    heatmap = tf.sigmoid(predictions[task.heatmap][-1])
    scores, peaks = best_peaks_per_channel(heatmap, task.num_candidates, task.peak_kernel)  # [B, K, P]
    offsets = gather_pixel_pairs(predictions[task.offset][-1], peaks[:, tf.newaxis])[:, 0]
    candidates = tf.cast(peaks, tf.float32) + offsets
    relative = gather_pixels(predictions[task.regression][-1], pixels)
    size = tf.shape(pixels)
    regressed = tf.reshape(relative, [size[0], size[1], len(task.indices), 2])
    regressed += tf.cast(pixels, tf.float32)[:, :, tf.newaxis]
    return refine(regressed, candidates, scores, task, boxes)


def refine(regressed: tf.Tensor, candidates: tf.Tensor, scores: tf.Tensor, task: Keypoints,
           boxes: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Move each regressed keypoint to its best-ranked candidate, if that is near enough.

    Args:
        regressed: float32 [B, D, K, 2].
        candidates: float32 [B, K, P, 2], best first.
        scores: float32 [B, K, P], of the candidates.
        boxes: float32 [B, D, 4], which limit where a candidate may lie; None for no limits.
    Returns:
        Keypoints float32 [B, D, K, 2], and scores float32 [B, D, K]: the candidate's, or task.unmatched_score.
    """
    candidates, scores = candidates[:, tf.newaxis], scores[:, tf.newaxis]  # the same for all objects
    distances = tf.sqrt(tf.reduce_sum(tf.square(regressed[..., tf.newaxis, :] - candidates), -1))
    distances = tf.where(scores >= task.score_threshold, distances, _FAR)  # [B, D, K, P]
    ranks = _ranks(distances, scores, task, boxes)
    best = tf.argmax(ranks, -1, output_type=tf.int32)
    chosen = _gather_candidates(candidates, best)
    chosen_scores = (tf.reduce_max(ranks, -1) if task.ranking == 'gaussian_weighted'
                     else _gather_candidates(scores, best))
    unmatched = chosen_scores < task.score_threshold
    if boxes is not None:
        y, x, height, width = ops.center_and_size(boxes)
        scaled = ops.from_center_and_size(y, x, height * task.box_scale, width * task.box_scale)[:, :, tf.newaxis]
        outside = tf.logical_or(chosen < scaled[..., :2], chosen > scaled[..., 2:])
        reach = tf.reduce_max(scaled[..., 2:] - scaled[..., :2], -1) * task.search_scale
        too_far = tf.reduce_min(distances, -1) > reach
        unmatched = tf.logical_or(unmatched, tf.logical_or(tf.reduce_any(outside, -1), too_far))
    return (tf.where(unmatched[..., tf.newaxis], regressed, chosen),
            tf.where(unmatched, task.unmatched_score, chosen_scores))


def _gather_candidates(values: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Gather values [B, 1, K, P, ...] at indices int32 [B, D, K]: [B, D, K, ...]."""
    chosen = tf.gather(values[:, 0], tf.transpose(indices, [0, 2, 1]), batch_dims=2)
    return tf.transpose(chosen, [0, 2, 1, *range(3, len(chosen.shape))])


def _ranks(distances: tf.Tensor, scores: tf.Tensor, task: Keypoints, boxes: tf.Tensor | None) -> tf.Tensor:
    """Rank the candidates, larger is better: float32 [B, D, K, P], as distances; scores are [B, 1, K, P]."""
    if task.ranking == 'min_distance':
        return -distances
    if task.ranking == 'score_distance_ratio':
        return scores / (distances + task.score_distance_offset)
    _, _, height, width = (side[:, :, tf.newaxis, tf.newaxis] for side in ops.center_and_size(boxes))
    if task.ranking == 'score_scaled_distance_ratio':
        return scores / (distances + tf.maximum(height, width) * task.score_distance_multiplier)
    std_dev = (tf.constant(task.std_dev) * task.std_dev_multiplier)[:, tf.newaxis]
    spread = peak_size(height, width, KEYPOINT_MIN_IOU) * std_dev
    return scores * tf.exp(-.5 * tf.square(distances / spread))


def normalize(keypoints: tf.Tensor, scores: tf.Tensor, image_size: tf.Tensor, clip: bool
              ) -> tuple[tf.Tensor, tf.Tensor]:
    """Normalize keypoints to the image.

    Args:
        keypoints: float32 [B, D, K, 2].
        scores: float32 [B, D, K].
        image_size: float32 [B, 2], (height, width) of the image in cells.
        clip: clip keypoints outside the image to its border and set their scores to 0.
    Returns:
        Keypoints and scores, in shape as the arguments.
    """
    keypoints /= image_size[:, tf.newaxis, tf.newaxis]
    if not clip:
        return keypoints, scores
    inside = tf.reduce_all(tf.logical_and(keypoints >= 0., keypoints <= 1.), -1)
    return tf.clip_by_value(keypoints, 0., 1.), tf.where(inside, scores, 0.)


def rescore(scores: tf.Tensor, classes: tf.Tensor, keypoint_scores: tf.Tensor, task: Keypoints) -> tf.Tensor:
    """Multiply the scores of the task's class by the mean of the keypoint scores above task.rescoring_threshold.

    Args:
        scores: float32 [B, D], of the detections.
        classes: int32 [B, D], from 0.
        keypoint_scores: float32 [B, D, all keypoints].
    Returns:
        float32 [B, D].
    """
    own = tf.gather(keypoint_scores, task.indices, axis=-1)
    visible = own > task.rescoring_threshold
    mean = tf.math.divide_no_nan(tf.reduce_sum(tf.where(visible, own, 0.), -1),
                                 tf.reduce_sum(tf.cast(visible, tf.float32), -1))
    return tf.where(tf.equal(classes, task.class_id), scores * mean, scores)
