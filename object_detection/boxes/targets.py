"""Training targets: what each anchor should predict, given the groundtruth of a padded batch."""
import dataclasses
import typing
from collections.abc import Callable, Sequence

import tensorflow as tf

from object_detection.boxes import matchers, ops
from object_detection.boxes.coders import BoxCoder


class Targets(typing.NamedTuple):
    """Targets of A anchors in B images.

    labels: float32 [B, N, C], the class targets of the groundtruth boxes.
    classes: float32 [B, A, C].
    class_weights: float32 [B, A], the weight of the matched box; negative_class_weight for background; 0 if ignored.
    boxes: float32 [B, A, code_size], encodings of the matched boxes; 0 if unmatched.
    box_weights: float32 [B, A], the weight of the matched box, or 0.
    matches: int32 [B, A], the index of the matched box, matchers.BACKGROUND or matchers.IGNORED.
    """
    labels: tf.Tensor
    classes: tf.Tensor
    class_weights: tf.Tensor
    boxes: tf.Tensor
    box_weights: tf.Tensor
    matches: tf.Tensor


@dataclasses.dataclass(frozen=True)
class TargetAssigner:
    """Compute targets in three steps: similarity of anchors and groundtruth boxes, matching, encoding.

    matcher: matches anchors to groundtruth boxes; its rules are numbered in boxes/matchers.py.
    coder: encodes the matched boxes relative to their anchors.
    similarity: function of groundtruth boxes [B, N, 4] and anchors [B or 1, A, 4] -> float32 [B, N, A].
    negative_class_weight: weight of background anchors in the classification loss.
    """
    matcher: matchers.ArgmaxMatcher
    coder: BoxCoder
    similarity: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = ops.iou
    negative_class_weight: float = 1.

    def assign(self, anchors: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor,
               unmatched_label: Sequence[float]) -> Targets:
        """Compute the targets of a batch.

        Args:
            anchors: float32 [A, 4], or [B, A, 4] if each image has its own.
            boxes: float32 [B, N, 4], N >= 1 groundtruth boxes in the unit of the anchors.
            labels: float32 [B, N, C], the class targets of the groundtruth boxes.
            weights: float32 [B, N], 0 for padding.
            unmatched_label: C floats, the class targets of background and ignored anchors.
        """
        similarity = self.similarity(boxes, anchors if len(anchors.shape) == 3 else anchors[tf.newaxis])
        matches = self.matcher.match(similarity, weights > 0.)
        matched, indices = matches >= 0, tf.maximum(matches, 0)
        box_weights = tf.where(matched, tf.gather(weights, indices, batch_dims=1), 0.)
        encodings = self.coder.encode(tf.gather(boxes, indices, batch_dims=1), anchors)
        classes = tf.gather(labels, indices, batch_dims=1)
        background = tf.cast(tf.equal(matches, matchers.BACKGROUND), tf.float32) * self.negative_class_weight
        return Targets(labels=labels,
                       classes=tf.where(matched[..., tf.newaxis], classes, tf.constant(unmatched_label, tf.float32)),
                       class_weights=box_weights + background,
                       boxes=tf.where(matched[..., tf.newaxis], encodings, 0.), box_weights=box_weights,
                       matches=matches)
