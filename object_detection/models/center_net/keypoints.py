"""Keypoints of detected objects: regressed from the center, then moved to fitting peaks of the heatmaps.

Coordinates are in cells; K keypoints, D objects, P candidates (peaks) of each keypoint.
"""
import tensorflow as tf

from object_detection.boxes import ops
from object_detection.models.center_net.decoding import best_peaks_per_channel
from object_detection.models.center_net.losses import at_pixels, pairs_at_pixels
from object_detection.models.center_net.targets import peak_size

_FAR = 1e5  # distance of candidates that do not count


def decode(predictions, task, pixels, boxes):
    """Keypoints of the objects at pixels int32 [B, D, 2].

    Args:
        predictions: what the model's predict returns; the last of each list is used.
        task: tasks.Keypoints.
        boxes: float32 [B, D, 4], or None where the model has no boxes.
    Returns:
        float32 [B, D, K, 2] and scores [B, D, K].
    """
    heatmap = tf.sigmoid(predictions[task.heatmap][-1])
    scores, peaks = best_peaks_per_channel(heatmap, task.num_candidates, task.peak_kernel)  # [B, K, P]
    offsets = pairs_at_pixels(predictions[task.offset][-1], peaks[:, tf.newaxis])[:, 0]
    candidates = tf.cast(peaks, tf.float32) + offsets
    relative = at_pixels(predictions[task.regression][-1], pixels)
    size = tf.shape(pixels)
    regressed = tf.reshape(relative, [size[0], size[1], len(task.indices), 2])
    regressed += tf.cast(pixels, tf.float32)[:, :, tf.newaxis]
    return refine(regressed, candidates, scores, task, boxes)


def refine(regressed, candidates, scores, task, boxes=None):
    """Move each regressed keypoint to the best ranked candidate of its kind, if that lies near enough.

    Args:
        regressed: float32 [B, D, K, 2]; candidates: float32 [B, K, P, 2], best first; scores: float32 [B, K, P].
        boxes: float32 [B, D, 4] or None, which leaves out the limits of place and distance.
    Returns:
        float32 [B, D, K, 2]; float32 [B, D, K], the candidate's score or task.unmatched_score.
    """
    candidates, scores = candidates[:, tf.newaxis], scores[:, tf.newaxis]  # for all objects
    distances = tf.sqrt(tf.reduce_sum(tf.square(regressed[..., tf.newaxis, :] - candidates), -1))
    distances = tf.where(scores >= task.score_threshold, distances, _FAR)  # [B, D, K, P]
    ranks = _ranks(distances, scores, task, boxes)
    best = tf.argmax(ranks, -1, output_type=tf.int32)
    chosen = _choose(candidates, best)
    chosen_scores = tf.reduce_max(ranks, -1) if task.ranking == 'gaussian_weighted' else _choose(scores, best)
    stays = chosen_scores < task.score_threshold
    if boxes is not None:
        y, x, height, width = ops.center_and_size(boxes)
        large = ops.from_center_and_size(y, x, height * task.box_scale, width * task.box_scale)[:, :, tf.newaxis]
        outside = tf.logical_or(chosen < large[..., :2], chosen > large[..., 2:])
        reach = tf.reduce_max(large[..., 2:] - large[..., :2], -1) * task.search_scale
        too_far = tf.reduce_min(distances, -1) > reach
        stays = tf.logical_or(stays, tf.logical_or(tf.reduce_any(outside, -1), too_far))
    return (tf.where(stays[..., tf.newaxis], regressed, chosen), tf.where(stays, task.unmatched_score, chosen_scores))


def _choose(values, places):
    """Values [B, 1, K, P, ...] at places [B, D, K] -> [B, D, K, ...]."""
    chosen = tf.gather(values[:, 0], tf.transpose(places, [0, 2, 1]), batch_dims=2)
    return tf.transpose(chosen, [0, 2, 1, *range(3, len(chosen.shape))])


def _ranks(distances, scores, task, boxes):
    """How well candidates fit, [B, D, K, P]; the largest is the best. `scores` are [B, 1, K, P]."""
    if task.ranking == 'min_distance':
        return -distances
    if task.ranking == 'score_distance_ratio':
        return scores / (distances + task.score_distance_offset)
    _, _, height, width = (side[:, :, tf.newaxis, tf.newaxis] for side in ops.center_and_size(boxes))
    if task.ranking == 'score_scaled_distance_ratio':
        return scores / (distances + tf.maximum(height, width) * task.score_distance_multiplier)
    spread = peak_size(height, width, .7) * (tf.constant(task.std_dev) * task.std_dev_multiplier)[:, tf.newaxis]
    return scores * tf.exp(-.5 * tf.square(distances / spread))


def normalize(keypoints, scores, size, clip):
    """Keypoints [B, D, K, 2] divided by the image's size [B, 2]; with `clip`, those outside at its border, score 0."""
    keypoints /= size[:, tf.newaxis, tf.newaxis]
    if not clip:
        return keypoints, scores
    inside = tf.reduce_all(tf.logical_and(keypoints >= 0., keypoints <= 1.), -1)
    return tf.clip_by_value(keypoints, 0., 1.), tf.where(inside, scores, 0.)


def rescore(scores, classes, keypoint_scores, task):
    """Scores [B, D] of the task's class times the mean of their keypoint scores [B, D, all] above the threshold."""
    own = tf.gather(keypoint_scores, task.indices, axis=-1)
    visible = own > task.rescoring_threshold
    mean = tf.math.divide_no_nan(tf.reduce_sum(tf.where(visible, own, 0.), -1),
                                 tf.reduce_sum(tf.cast(visible, tf.float32), -1))
    return tf.where(tf.equal(classes, task.class_id), scores * mean, scores)
