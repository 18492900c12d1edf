"""How a graph is traced: with ops of any shapes, or of known ones, as XLA needs them. Imports no TensorFlow."""
import contextlib
import threading
from collections.abc import Iterator


class _State(threading.local):
    fixed_shapes = False


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
