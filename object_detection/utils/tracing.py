"""How a graph is traced: with any ops, or those that XLA or other formats have. Imports no TensorFlow."""
import contextlib
import threading
from collections.abc import Iterator


class _State(threading.local):
    fixed_shapes = False
    portable = False


_state = _State()


@contextlib.contextmanager
def fixed_shapes() -> Iterator[None]:
    """Inside the block, ops have known shapes, and there are only those that XLA has, even if others are faster."""
    _state.fixed_shapes = True
    try:
        yield
    finally:
        _state.fixed_shapes = False


def shapes_are_fixed() -> bool:
    """Return whether this is inside of `fixed_shapes`."""
    return _state.fixed_shapes


@contextlib.contextmanager
def portable_ops() -> Iterator[None]:
    """Inside the block, there are only ops that other formats (ONNX) have, and run fast, even if others are simpler."""
    _state.portable = True
    try:
        yield
    finally:
        _state.portable = False


def ops_are_portable() -> bool:
    """Return whether this is inside of `portable_ops`."""
    return _state.portable
