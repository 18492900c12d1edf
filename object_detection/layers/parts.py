"""Which part of a batch is computed: a device's share of it, or one of several parts whose gradients are accumulated.

Everything that a network or a loss computes over all images of a batch asks here: random numbers, the moments of batch
normalization, and the numbers that losses are divided by. So the result does not depend on how a batch is divided.
"""
import contextlib
import dataclasses
import threading
from collections.abc import Iterator

import tensorflow as tf


@dataclasses.dataclass
class _Part:
    """The index-th of `count` equal parts.

    Attributes:
        index: int32 scalar.
        sums: float32 [n], the normalizers of the whole batch in the order in which the losses ask for them; None while
            they are being counted.
        counted: those counts of this part, over all devices.
    """
    index: tf.Tensor
    count: int
    sums: tf.Tensor | None = None
    counted: list[tf.Tensor] = dataclasses.field(default_factory=list)
    asked: int = 0


class _State(threading.local):  # a distribution strategy traces each replica in a thread of its own
    part: _Part | None = None


_state = _State()


@contextlib.contextmanager
def counting(index: tf.Tensor, count: int) -> Iterator[list[tf.Tensor]]:
    """Inside the block, a forward pass with losses only counts: batch normalization leaves its moving moments alone.

    Args:
        index: int32 scalar, which part of the batch.
        count: the number of parts.
    Yields:
        A list that will hold the counts given to `loss_normalizer`, float32 scalars, each summed over all devices.
    """
    with _inside(_Part(index, count)) as part:
        yield part.counted


@contextlib.contextmanager
def accumulating(index: tf.Tensor, count: int, sums: tf.Tensor) -> Iterator[None]:
    """Inside the block, compute the index-th (int32 scalar) of `count` parts of a batch.

    Args:
        sums: float32 [n], what `counting` yields, summed over all parts.
    """
    with _inside(_Part(index, count, sums)):
        yield


@contextlib.contextmanager
def _inside(part: _Part) -> Iterator[_Part]:
    _state.part = part
    try:
        yield part
    finally:
        _state.part = None


def share() -> tuple[tf.Tensor | int, int]:
    """Return which of how many equal shares of the batch is computed here; parts are divided among the devices."""
    replicas = tf.distribute.get_replica_context()
    index, count = (replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync) if replicas else (0, 1)
    if _state.part is None:
        return index, count
    return _state.part.index * count + index, _state.part.count * count


def only_counts() -> bool:
    """Return whether nothing may change but what is returned: see `counting`."""
    return _state.part is not None and _state.part.sums is None


def moving_rate(rate: float) -> tf.Tensor | None:
    """Return how far moving moments move to those of this part of the batch; None if the batch is not in parts.

    After all parts they have moved by `rate` to the mean of the parts' moments: moving = (1 - rate) * moving +
    rate / n * (moments of part 0 + ... + moments of part n-1).
    """
    if _state.part is None:
        return None
    later = _state.part.count - 1 - tf.cast(_state.part.index, tf.float32)
    return rate / (_state.part.count - later * rate)


def loss_normalizer(count: tf.Tensor) -> tf.Tensor:
    """Return the sum of `count` over all of the batch, but at least 1, divided by the number of its shares.

    A loss divided by it has the loss of the whole batch as its mean over the shares.

    Args:
        count: float32 scalar, such as the number of matched anchors in this share.
    """
    _, shares = share()
    replicas, part = tf.distribute.get_replica_context(), _state.part
    if part is not None and part.sums is not None:
        part.asked += 1
        return tf.maximum(part.sums[part.asked - 1], 1.) / shares
    if replicas is not None and replicas.num_replicas_in_sync > 1:
        count = replicas.all_reduce(tf.distribute.ReduceOp.SUM, count)
    if part is not None:
        part.counted.append(count)
    return tf.maximum(count, 1.) / shares


def sum_normalizer() -> float:
    """Return what to divide a loss by that is a sum over the batch, as `loss_normalizer` does: 1 / number of shares."""
    return 1. / share()[1]
