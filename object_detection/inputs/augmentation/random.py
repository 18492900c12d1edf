"""Random numbers that depend only on the seed and on the sample's position, so that a resumed run repeats them."""
from collections.abc import Sequence

import tensorflow as tf


class Random:
    """The random numbers of one sample.

    Every call is another draw, numbered by its order in the traced function: the n-th call gives the same number
    whenever the same sample is augmented.

    Args:
        seed: of the run, below 2**31.
        position: int64 scalar, position of the sample in the stream.
    """

    def __init__(self, seed: int, position: tf.Tensor) -> None:
        self._seed, self._position, self._iteration, self._draws = seed, position, None, 0

    def at(self, iteration: tf.Tensor) -> 'Random':
        """Return the random numbers for one iteration (int32 scalar, 1 to 2000) of a tf.while_loop, traced once."""
        inner = Random(self._seed, self._position)
        inner._draws, inner._iteration = self._draws, tf.cast(iteration, tf.int64) * (1 << 52)
        return inner

    def seed(self) -> tf.Tensor:
        """Return an int64 [2] seed for a tf.random.stateless_* function; no other draw, sample or run has the same."""
        self._draws += 1
        draw = tf.constant(self._seed << 20 | self._draws, tf.int64)
        return tf.stack([draw if self._iteration is None else draw + self._iteration, self._position])

    def uniform(self, low: float | tf.Tensor = 0.0, high: float | tf.Tensor = 1.0,
                shape: Sequence[int] | tf.Tensor = ()) -> tf.Tensor:
        """Draw float32 numbers of this shape from [low, high)."""
        return low + tf.random.stateless_uniform(shape, self.seed()) * (high - low)

    def integer(self, low: int | tf.Tensor, high: int | tf.Tensor) -> tf.Tensor:
        """Draw an int32 scalar from [low, high); `low` if the range is empty."""
        count = tf.cast(high - low, tf.float32)
        return low + tf.cast(tf.minimum(self.uniform() * count, tf.maximum(count - 1, 0)), tf.int32)

    def chance(self, probability: float | tf.Tensor) -> tf.Tensor:
        """Draw a bool scalar that is true with this probability."""
        return self.uniform() < probability

    def normal(self, shape: Sequence[int] | tf.Tensor, stddev: float | tf.Tensor) -> tf.Tensor:
        """Draw float32 numbers of this shape from a normal distribution around 0."""
        return tf.random.stateless_normal(shape, self.seed()) * stddev
