"""Random numbers of a training step, which depend on its number: those of dropout and of samples that a loss draws."""
import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

from object_detection.layers import parts


@contextlib.contextmanager
def at(position: tf.Tensor) -> Iterator[None]:
    """Inside the block, make all random numbers a function of `position`, an int64 scalar tensor.

    With the global step as the position, a resumed run repeats its numbers, and the shares of a batch, on several
    devices or one after the other, draw together what the whole batch would.

    Compiled by XLA, the same position gives other numbers, since its generators order them in another way.
    """
    _state.position, _state.draws = position, 0
    try:
        yield
    finally:
        _state.position = None


_state = threading.local()  # per thread, because a distribution strategy traces each replica in a thread of its own


def uniform(shape: tf.Tensor | list) -> tf.Tensor:
    """Draw float32 in [0, 1) of `shape`, whose first dimension is the batch; not repeatable outside of `at`."""
    if getattr(_state, 'position', None) is None:
        return tf.random.uniform(shape)
    _state.draws += 1
    seed = tf.stack([tf.constant(_state.draws, tf.int64), _state.position])
    return uniform_share(shape, seed)


def uniform_share(shape: tf.Tensor, seed: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Draw numbers in [0, 1) of a shape whose first dimension is the batch: this share's of those of the whole batch.

    Args:
        seed: int [2].
    """
    index, shares = parts.share()
    if shares == 1:
        return tf.random.stateless_uniform(shape, seed, dtype=dtype)
    batch, *rest = tf.unstack(shape)
    drawn = tf.random.stateless_uniform([batch * shares, *rest], seed, dtype=dtype)
    return drawn[batch * index:batch * (index + 1)]


def step_seed(purpose: int) -> tf.Tensor | None:
    """Return a seed, int64 [2], of the step that `at` names and a number from 0 for the purpose; None outside."""
    position = getattr(_state, 'position', None)
    return None if position is None else tf.stack([tf.constant((1 << 32) + purpose, tf.int64), position])
