"""How a graph is traced: with any ops, or those that XLA or other formats have. Imports no TensorFlow."""
import contextlib
import threading
from collections.abc import Iterator


class _State(threading.local):
    fixed_shapes = False
    portable_ops = False


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


@contextlib.contextmanager
def _true(name: str) -> Iterator[None]:
    before = getattr(_state, name)
    setattr(_state, name, True)
    try:
        yield
    finally:
        setattr(_state, name, before)
