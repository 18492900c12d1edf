"""Losses of boxes: predictions and targets of a batch in, one number per box out.

A is the number of boxes (anchors or proposals) per image, C the number of classes.

- Classification losses are functions of logits float32 [B, A, C], targets float32 [B, A, C] and weights float32 [B, A].
- Localization losses are functions of box encodings float32 [B, A, code size], their targets of the same shape, and
  weights float32 [B, A].
- Both return float32 [B, A].
"""
import dataclasses

import tensorflow as tf

from object_detection.boxes import matchers, ops


def sigmoid(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sigmoid cross entropy, summed over the classes. Shapes: see the module."""
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), -1) * weights


@dataclasses.dataclass(frozen=True)
class Focal:
    """Sigmoid cross entropy times alpha_t (1 - p_t) ** gamma, summed over the classes (Lin et al. 2017).

    p_t is the probability of the target, which is 0 or 1. alpha_t is alpha for 1 and 1 - alpha for 0; alpha None leaves
    it out. With u the logit of 1 - p_t, the cross entropy is softplus(u) and 1 - p_t is exp(u - softplus(u)).

    The gradient is computed with the loss, because then only one tensor of the size of the logits is kept for it. It
    is that of the logits alone.
    """
    gamma: float = 2.
    alpha: float | None = .25

    def __call__(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Compute the loss. Shapes: see the module."""
        def loss(logits):
            values, slopes = self._of_targets(logits, targets)
            return tf.reduce_sum(values, -1), slopes
        return _with_slopes(loss, logits, weights)

    def of_matched(self, logits: tf.Tensor, labels: tf.Tensor, matches: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Compute the loss where the targets of a box are the labels of its match, and all 0 for one without.

        No tensor of targets is made; this takes two thirds of the time and less memory.

        Args:
            labels: float32 [B, N, C], of the groundtruth boxes.
            matches: int32 [B, A], an index of a groundtruth box; negative for none.
        """
        def loss(logits):
            values, slopes = self._cross_entropy(logits)  # as if no box were matched
            factor = 1. if self.alpha is None else 1. - self.alpha
            values, slopes = tf.reduce_sum(values, -1) * factor, slopes * factor
            rows = tf.where(matches >= 0)
            groundtruth = tf.stack([rows[:, 0], tf.cast(tf.gather_nd(matches, rows), tf.int64)], 1)
            matched, matched_slopes = self._of_targets(tf.gather_nd(logits, rows), tf.gather_nd(labels, groundtruth))
            values = tf.tensor_scatter_nd_update(values, rows, tf.reduce_sum(matched, -1))
            slopes = tf.tensor_scatter_nd_update(slopes, rows, matched_slopes)
            return values, slopes
        return _with_slopes(loss, logits, weights)

    def _of_targets(self, logits, targets):
        """Return the loss of each logit and its derivative, both of the shape of the logits."""
        sign = 1. - 2. * targets
        values, slopes = self._cross_entropy(logits * sign)
        if self.alpha is not None:
            factor = targets * (2. * self.alpha - 1.) + (1. - self.alpha)
            values, sign = values * factor, sign * factor
        return values, slopes * sign

    def _cross_entropy(self, logits):
        """Return f(u) = softplus(u) * sigmoid(u) ** gamma of each logit u, and its derivative."""
        entropy = tf.nn.softplus(logits)
        probability = tf.exp(logits - entropy)
        if not self.gamma:
            return entropy, probability
        focus = probability ** 2 if self.gamma == 2 else tf.exp(self.gamma * (logits - entropy))
        values = entropy * focus
        steep = self.gamma * values
        return values, probability * (focus - steep) + steep


def _with_slopes(loss, logits, weights):
    """Weight a loss whose function also returns its derivative: logits [B, A, C] -> [B, A] and [B, A, C]."""
    @tf.custom_gradient
    def weighted(logits):
        values, slopes = loss(logits)
        return values * weights, lambda upstream: slopes * (upstream * weights)[..., tf.newaxis]
    return weighted(logits)


@dataclasses.dataclass(frozen=True)
class Softmax:
    """Softmax cross entropy of logits / logit_scale. With targets_are_logits, the targets go through the same softmax.
    """
    logit_scale: float = 1.
    targets_are_logits: bool = False

    def __call__(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Compute the loss. Shapes: see the module."""
        if self.targets_are_logits:
            targets = tf.nn.softmax(targets / self.logit_scale)
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits / self.logit_scale) * weights


@dataclasses.dataclass(frozen=True)
class BootstrappedSigmoid:
    """Sigmoid cross entropy with alpha * targets + (1 - alpha) * predictions as the targets (Reed et al. 2015).

    The predictions are probabilities; with `hard`, they are rounded to 0 or 1.
    """
    alpha: float
    hard: bool = False

    def __call__(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Compute the loss. Shapes: see the module."""
        predicted = tf.sigmoid(logits)
        if self.hard:
            predicted = tf.cast(predicted > .5, tf.float32)
        return sigmoid(logits, self.alpha * targets + (1. - self.alpha) * predicted, weights)


@dataclasses.dataclass(frozen=True)
class SmoothL1:
    """Huber loss, x ** 2 / 2 up to delta and linear beyond, summed over the box encoding."""
    delta: float = 1.

    def __call__(self, encodings: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Compute the loss. Shapes: see the module."""
        error = tf.abs(encodings - targets)
        quadratic = tf.minimum(error, self.delta)
        return tf.reduce_sum(.5 * quadratic * quadratic + self.delta * (error - quadratic), -1) * weights


def l2(encodings: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Half the sum of squares of the weighted differences, as in the reference. Shapes: see the module."""
    return .5 * tf.reduce_sum(tf.square((encodings - targets) * weights[..., tf.newaxis]), -1)


def iou(boxes: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """1 - IoU, with the box encodings [B, A, 4] taken as (ymin, xmin, ymax, xmax). Shapes: see the module."""
    return (1. - ops.paired_iou(boxes, targets)) * weights


def giou(boxes: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """1 - generalized IoU (Rezatofighi et al. 2019), with the box encodings [B, A, 4] taken as (ymin, xmin, ymax,
    xmax). Shapes: see the module."""
    return (1. - ops.paired_giou(boxes, targets)) * weights


def mean_weights(count: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Return weights that turn a sum over boxes into a mean: 1 / count for the first `count`, then 0.

    Args:
        count: int32 [B].
        size: A.
    Returns:
        float32 [B, A].
    """
    return tf.sequence_mask(count, size, tf.float32) / tf.cast(tf.maximum(count, 1), tf.float32)[:, tf.newaxis]


def batch_mean(loss: tf.Tensor) -> tf.Tensor:
    """Sum a loss, float32 [B, A], over the boxes of each image and return the mean over the images, a scalar."""
    return tf.reduce_mean(tf.reduce_sum(loss, 1))


@dataclasses.dataclass(frozen=True)
class HardExampleMiner:
    """Online hard example mining (Shrivastava et al. 2016): only boxes with a large loss count.

    NMS over the decoded boxes, with their losses as scores, keeps num_hard_examples of them (None: all). Among these,
    negatives beyond max_negatives_per_positive (None: all) times the number of positives of the image are dropped, but
    min_negatives_per_image are kept.

    Attributes:
        iou_threshold: NMS drops boxes that overlap a kept one by more than this.
        classification_weight, localization_weight: factors of the two losses in the score; 0 ignores one.
    """
    num_hard_examples: int | None = 64
    iou_threshold: float = .7
    classification_weight: float = 1.
    localization_weight: float = 1.
    max_negatives_per_positive: float | None = None
    min_negatives_per_image: int = 0

    def mask(self, classification: tf.Tensor, localization: tf.Tensor, boxes: tf.Tensor, matches: tf.Tensor
             ) -> tf.Tensor:
        """Select the boxes that count.

        Args:
            classification, localization: float32 [B, A], losses.
            boxes: float32 [B, A, 4], decoded, (ymin, xmin, ymax, xmax) in any unit.
            matches: int32 [B, A], as boxes.matchers gives them.
        Returns:
            float32 [B, A], 1 for boxes that count, 0 for others.
        """
        scores = classification * self.classification_weight + localization * self.localization_weight
        return tf.stop_gradient(tf.map_fn(
            lambda image: self._mask_of_image(*image), (scores, boxes, matches),
            fn_output_signature=tf.TensorSpec([None], tf.float32)))

    def _mask_of_image(self, scores, boxes, matches):
        kept = tf.image.non_max_suppression(boxes, scores, self.num_hard_examples or tf.size(scores),
                                            self.iou_threshold)
        if self.max_negatives_per_positive is not None:
            kept_matches = tf.gather(matches, kept)
            positive = kept_matches >= 0
            limit = tf.cast(self.max_negatives_per_positive * tf.reduce_sum(tf.cast(positive, tf.float32)), tf.int32)
            negatives = tf.cumsum(tf.cast(tf.equal(kept_matches, matchers.BACKGROUND), tf.int32))
            few = negatives <= tf.maximum(self.min_negatives_per_image, limit)
            kept = tf.boolean_mask(kept, tf.logical_or(positive, few))
        return tf.scatter_nd(kept[:, tf.newaxis], tf.ones_like(kept, tf.float32), tf.shape(scores))
