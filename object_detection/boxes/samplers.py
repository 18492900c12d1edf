"""Which of many candidates count in a loss: a random subset with a share of positives (Ren et al. 2015)."""
import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class BalancedSampler:
    """At most `size` of the candidates of an image, at most positive_fraction of them positive; where positives are
    few, negatives take their place."""
    size: int
    positive_fraction: float = .5

    def sample(self, candidate, positive, seed):
        """Draw from A candidates per image.

        Args:
            candidate, positive: bool [B, A]; only where `candidate` is true anything is drawn.
            seed: int32 [2]; the same seed gives the same sample.
        Returns:
            indices int32 [B, S], positives first, and how many of them were drawn, int32 [B]; the indices beyond are
            any below A. S = min(size, A), or size where A is known only when the graph runs.
        """
        if candidate.shape[1] is None:
            count = tf.shape(candidate)[1]
            missing = [[0, 0], [0, tf.maximum(self.size - count, 0)]]
            candidate, positive = tf.pad(candidate, missing), tf.pad(positive, missing)
            indices, drawn = self._sample(candidate, positive, seed, self.size)
            return tf.clip_by_value(indices, 0, count - 1), drawn
        return self._sample(candidate, positive, seed, min(self.size, candidate.shape[1]))

    def _sample(self, candidate, positive, seed, size):
        # float64, in which no two of the numbers are equal
        chance = tf.random.stateless_uniform(tf.shape(candidate), seed, 1e-9, 1., tf.float64)
        chance = tf.where(candidate, chance, 0.)
        most = min(int(self.size * self.positive_fraction), size)
        drawn, _ = tf.math.top_k(tf.where(positive, chance, 0.), max(most, 1))
        enough = drawn[:, -1:] if most else 1.
        # 2 + chance for positives drawn, chance for negatives, 0 for positives left out
        order = tf.where(positive, tf.where(chance >= enough, 2. * tf.sign(chance) + chance, 0.), chance)
        values, indices = tf.math.top_k(order, size)
        return indices, tf.reduce_sum(tf.cast(values > 0., tf.int32), -1)
