"""Random sampling of the anchors or proposals that a loss is computed on (Ren et al. 2015)."""
import dataclasses
from collections.abc import Callable

import tensorflow as tf

Draw = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class BalancedSampler:
    """Sample at most `size` candidates per image: positives up to a fraction of `size`, then negatives.

    size: the sample size.
    positive_fraction: share of `size` that positives may fill. Negatives fill up for missing positives, but not the
        other way around.
    """
    size: int
    positive_fraction: float = .5

    def sample(self, candidate: tf.Tensor, positive: tf.Tensor, draw: Draw) -> tuple[tf.Tensor, tf.Tensor]:
        """Sample from A anchors or proposals per image.

        Args:
            candidate: bool [B, A], those that may be sampled.
            positive: bool [B, A], the positives among them.
            draw: shape -> random numbers of it, float64 in [0, 1). The same numbers give the same sample.
        Returns:
            Indices int32 [B, S], positives first, and the sample sizes int32 [B]. The indices beyond the sample size
            are arbitrary, but below A. S is min(size, A), or `size` if A is unknown when the graph is traced.
        """
        if candidate.shape[1] is None:
            count = tf.shape(candidate)[1]
            missing = [[0, 0], [0, tf.maximum(self.size - count, 0)]]
            candidate, positive = tf.pad(candidate, missing), tf.pad(positive, missing)
            indices, sampled = self._sample(candidate, positive, draw, self.size)
            return tf.clip_by_value(indices, 0, count - 1), sampled
        return self._sample(candidate, positive, draw, min(self.size, candidate.shape[1]))

    def _sample(self, candidate, positive, draw, size):
        # Each candidate gets a random priority; the highest are sampled. In float64 no two are equal.
        priority = tf.maximum(draw(tf.shape(candidate)), 1e-9)
        priority = tf.where(candidate, priority, 0.)
        max_positives = min(int(self.size * self.positive_fraction), size)
        highest, _ = tf.math.top_k(tf.where(positive, priority, 0.), max(max_positives, 1))
        threshold = highest[:, -1:] if max_positives else 1.
        # 2 + priority for sampled positives, priority for negatives, 0 for the other positives
        order = tf.where(positive, tf.where(priority >= threshold, 2. * tf.sign(priority) + priority, 0.), priority)
        values, indices = tf.math.top_k(order, size)
        return indices, tf.reduce_sum(tf.cast(values > 0., tf.int32), -1)
