"""What each anchor should predict, given the groundtruth of a padded batch."""
import dataclasses
import typing

import tensorflow as tf

from object_detection.boxes import ops


class Targets(typing.NamedTuple):
    """For B images and A anchors; everything is a constant to the gradient.

    classes: float32 [B, A, C].
    class_weights: float32 [B, A]: the matched box's weight, negative_class_weight for background, 0 where ignored.
    boxes: float32 [B, A, code_size], 0 where unmatched.
    box_weights: float32 [B, A]: the matched box's weight, or 0.
    matches: int32 [B, A], as the matcher gives them.
    """
    classes: tf.Tensor
    class_weights: tf.Tensor
    boxes: tf.Tensor
    box_weights: tf.Tensor
    matches: tf.Tensor


@dataclasses.dataclass(frozen=True)
class TargetAssigner:
    """Similarity, matching and coding, one after the other.

    similarity: function of groundtruth boxes [B, N, 4] and anchors [B or 1, A, 4] -> float32 [B, N, A].
    matcher, coder: see boxes.matchers and boxes.coders.
    negative_class_weight: the weight of background anchors in the classification loss.
    """
    matcher: typing.Any
    coder: typing.Any
    similarity: typing.Callable = ops.iou
    negative_class_weight: float = 1.

    def assign(self, anchors, boxes, labels, weights, unmatched_label):
        """Targets of a batch.

        Args:
            anchors: float32 [A, 4], or [B, A, 4] where each image has its own; boxes: float32 [B, N, 4] in the same
                unit, N >= 1.
            labels: float32 [B, N, C]; weights: float32 [B, N], 0 for padding.
            unmatched_label: C floats, what background and ignored anchors should predict.
        """
        similarity = self.similarity(boxes, anchors if len(anchors.shape) == 3 else anchors[tf.newaxis])
        matches = self.matcher.match(similarity, weights > 0.)
        matched, row = matches >= 0, tf.maximum(matches, 0)
        box_weights = tf.where(matched, tf.gather(weights, row, batch_dims=1), 0.)
        codes = self.coder.encode(tf.gather(boxes, row, batch_dims=1), anchors)
        classes = tf.gather(labels, row, batch_dims=1)
        background = tf.cast(tf.equal(matches, -1), tf.float32) * self.negative_class_weight
        return Targets(classes=tf.where(matched[..., tf.newaxis], classes, tf.constant(unmatched_label, tf.float32)),
                       class_weights=box_weights + background,
                       boxes=tf.where(matched[..., tf.newaxis], codes, 0.), box_weights=box_weights, matches=matches)
