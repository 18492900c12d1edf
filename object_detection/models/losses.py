"""Losses of anchors: predictions and targets of a batch in, one number per anchor out.

Classification losses take logits and targets [B, A, C] and weights [B, A]; localization losses take box codes and
targets [B, A, code_size] and weights [B, A]. Results are float32 [B, A].
"""
import dataclasses

import tensorflow as tf

from object_detection.boxes import ops


def sigmoid(logits, targets, weights):
    """Sigmoid cross entropy, summed over the classes."""
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), -1) * weights


@dataclasses.dataclass(frozen=True)
class Focal:
    """Sigmoid cross entropy times alpha_t (1 - p_t) ** gamma, summed over the classes (Lin et al. 2017).

    p_t is the probability given to the target, which is 0 or 1; alpha_t is alpha for 1 and 1 - alpha for 0, and left
    out if alpha is None. With z the logit of p_t the loss is softplus(-z) and 1 - p_t is exp(-softplus(z)), that is
    exp(-(loss + z)): half the time of a sigmoid and a power.
    """
    gamma: float = 2.
    alpha: float | None = .25

    def __call__(self, logits, targets, weights):
        logits *= 2. * targets - 1.
        loss = tf.nn.softplus(-logits)
        if self.gamma:
            loss *= tf.exp(-self.gamma * (loss + logits))
        if self.alpha is not None:
            loss *= targets * (2. * self.alpha - 1.) + (1. - self.alpha)
        return tf.reduce_sum(loss, -1) * weights


@dataclasses.dataclass(frozen=True)
class Softmax:
    """Softmax cross entropy of logits / logit_scale; with targets_are_logits the targets are softmaxed alike."""
    logit_scale: float = 1.
    targets_are_logits: bool = False

    def __call__(self, logits, targets, weights):
        if self.targets_are_logits:
            targets = tf.nn.softmax(targets / self.logit_scale)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits / self.logit_scale) * weights


@dataclasses.dataclass(frozen=True)
class BootstrappedSigmoid:
    """Sigmoid cross entropy to alpha * targets + (1 - alpha) * prediction (Reed et al. 2015); the prediction is a
    probability, or with `hard` 0 or 1."""
    alpha: float
    hard: bool = False

    def __call__(self, logits, targets, weights):
        predicted = tf.sigmoid(logits)
        if self.hard:
            predicted = tf.cast(predicted > .5, tf.float32)
        return sigmoid(logits, self.alpha * targets + (1. - self.alpha) * predicted, weights)


@dataclasses.dataclass(frozen=True)
class SmoothL1:
    """Huber loss, x ** 2 / 2 up to delta and linear beyond, summed over the code."""
    delta: float = 1.

    def __call__(self, codes, targets, weights):
        error = tf.abs(codes - targets)
        quadratic = tf.minimum(error, self.delta)
        return tf.reduce_sum(.5 * quadratic * quadratic + self.delta * (error - quadratic), -1) * weights


def l2(codes, targets, weights):
    """Half the sum of the squares of weighted differences."""
    return .5 * tf.reduce_sum(tf.square((codes - targets) * weights[..., tf.newaxis]), -1)


def iou(boxes, targets, weights):
    """1 - IoU; codes are read as boxes."""
    return (1. - ops.paired_iou(boxes, targets)) * weights


def giou(boxes, targets, weights):
    """1 - generalized IoU; codes are read as boxes."""
    return (1. - ops.paired_giou(boxes, targets)) * weights


@dataclasses.dataclass(frozen=True)
class HardExampleMiner:
    """Online hard example mining (Shrivastava et al. 2016): only anchors with large losses count.

    Non-max suppression over the decoded boxes, with the losses as scores, keeps num_hard_examples anchors (None: as
    many as there are) that overlap by at most iou_threshold. Of these, the first negatives are kept up to
    max_negatives_per_positive (None: all) times the positives of the image, or min_negatives_per_image if that is more.

    classification_weight, localization_weight: of the two losses in the score; 0 leaves one out.
    """
    num_hard_examples: int | None = 64
    iou_threshold: float = .7
    classification_weight: float = 1.
    localization_weight: float = 1.
    max_negatives_per_positive: float | None = None
    min_negatives_per_image: int = 0

    def mask(self, classification, localization, boxes, matches):
        """float32 [B, A], 1 for anchors that count, from losses [B, A], boxes [B, A, 4] and matches [B, A]."""
        scores = classification * self.classification_weight + localization * self.localization_weight
        return tf.stop_gradient(tf.map_fn(
            lambda image: self._image(*image), (scores, boxes, matches),
            fn_output_signature=tf.TensorSpec([None], tf.float32)))

    def _image(self, scores, boxes, matches):
        kept = tf.image.non_max_suppression(boxes, scores, self.num_hard_examples or tf.size(scores),
                                            self.iou_threshold)
        if self.max_negatives_per_positive is not None:
            kept_matches = tf.gather(matches, kept)
            positive = kept_matches >= 0
            limit = tf.cast(self.max_negatives_per_positive * tf.reduce_sum(tf.cast(positive, tf.float32)), tf.int32)
            seen = tf.cumsum(tf.cast(tf.equal(kept_matches, -1), tf.int32))
            few = seen <= tf.maximum(self.min_negatives_per_image, limit)
            kept = tf.boolean_mask(kept, tf.logical_or(positive, few))
        return tf.scatter_nd(kept[:, tf.newaxis], tf.ones_like(kept, tf.float32), tf.shape(scores))
