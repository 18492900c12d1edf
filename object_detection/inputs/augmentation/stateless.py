"""Random numbers that depend on the seed and the sample's position alone, so that a resumed run repeats them."""
import tensorflow as tf


class Random:
    """The random numbers of one sample. Every call draws anew; the n-th call of a traced function is always the same.

    seed: int below 2**31. position: int64 scalar tensor, the sample's place in the stream.
    """

    def __init__(self, seed, position):
        self._seed, self._position, self._turn, self._draws = seed, position, None, 0

    def at(self, turn):
        """The random numbers of one turn (int32 scalar tensor, 1 to 2000) of a loop in the graph, traced once."""
        inner = Random(self._seed, self._position)
        inner._draws, inner._turn = self._draws, tf.cast(turn, tf.int64) * (1 << 52)
        return inner

    def seed(self):
        """int64 [2] for the tf.random.stateless_* functions; unlike that of any other draw, sample and seed."""
        self._draws += 1
        draw = tf.constant(self._seed << 20 | self._draws, tf.int64)
        return tf.stack([draw if self._turn is None else draw + self._turn, self._position])

    def uniform(self, low=0.0, high=1.0, shape=()):
        """float32 in [low, high)."""
        return low + tf.random.stateless_uniform(shape, self.seed()) * (high - low)

    def integer(self, low, high):
        """int32 scalar in [low, high); `low` where the range is empty."""
        count = tf.cast(high - low, tf.float32)
        return low + tf.cast(tf.minimum(self.uniform() * count, tf.maximum(count - 1, 0)), tf.int32)

    def chance(self, probability):
        """bool scalar, true with this probability."""
        return self.uniform() < probability

    def normal(self, shape, stddev):
        """float32 of this shape around 0."""
        return tf.random.stateless_normal(shape, self.seed()) * stddev
