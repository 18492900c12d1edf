"""How a graph is traced: with any ops, or those that XLA or other formats have, or that a CPU is fast with.

Imports no TensorFlow.
"""
import contextlib
import threading
from collections.abc import Iterator


class _State(threading.local):
    fixed_shapes = False
    portable_ops = False
    ops_for_cpu = False
    training_step = False


_state = _State()


def fixed_shapes() -> contextlib.AbstractContextManager[None]:
    """Inside the block, ops have known shapes, and there are only those that XLA has, even if others are faster."""
    return _true('fixed_shapes')


def shapes_are_fixed() -> bool:
    """Return whether this is inside of `fixed_shapes`."""
    return _state.fixed_shapes


def portable_ops() -> contextlib.AbstractContextManager[None]:
    """Inside the block, there are only ops that other formats (ONNX) have, and run fast, even if others are simpler."""
    return _true('portable_ops')


def ops_are_portable() -> bool:
    """Return whether this is inside of `portable_ops`."""
    return _state.portable_ops


def ops_for_cpu() -> contextlib.AbstractContextManager[None]:
    """Inside the block, ops run on a CPU, and may be those that are faster there, even if others are simpler."""
    return _true('ops_for_cpu')


def ops_are_for_cpu() -> bool:
    """Return whether this is inside of `ops_for_cpu`."""
    return _state.ops_for_cpu


def training_step() -> contextlib.AbstractContextManager[None]:
    """Inside the block, a training step is traced: functions keep as few tensors as they can for the gradient."""
    return _true('training_step')


def is_training_step() -> bool:
    """Return whether this is inside of `training_step`."""
    return _state.training_step


@contextlib.contextmanager
def _true(name: str) -> Iterator[None]:
    before = getattr(_state, name)
    setattr(_state, name, True)
    try:
        yield
    finally:
        setattr(_state, name, before)
