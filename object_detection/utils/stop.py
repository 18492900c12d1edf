"""Requests to stop a command: Ctrl-C, SIGTERM, SIGBREAK. Whenever one comes, it is not forgotten."""
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGBREAK') if hasattr(signal, name)]
_of_command: list['Requests'] = []


class Requests:
    """Counts the requests to stop that come inside the block.

    Each raises KeyboardInterrupt in the main thread, unless `handled` says what to do.

    Args:
        handler: see `handled`.
    Attributes:
        count: of the requests so far. Python loses an exception that is raised inside __del__ or a callback of the
            garbage collector; the count stays.
    """

    def __init__(self, handler: Callable[[int], object] | None = None) -> None:
        self.count, self._handler = 0, handler

    def __enter__(self) -> 'Requests':
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # the only thread that may set handlers
            self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def handled(self, handler: Callable[[int], object]) -> Iterator[None]:
        """Inside the block, a request calls handler(number of requests so far) instead of raising."""
        before, self._handler = self._handler, handler
        try:
            yield
        finally:
            self._handler = before

    def _on_signal(self, *_: object) -> None:
        self.count += 1
        if self._handler is None:
            raise KeyboardInterrupt
        self._handler(self.count)


@contextlib.contextmanager
def command() -> Iterator[Requests]:
    """Count the requests during a whole command; `requests` gives them to whoever needs them inside the block."""
    with Requests() as made:
        _of_command.append(made)
        try:
            yield made
        finally:
            _of_command.remove(made)


@contextlib.contextmanager
def requests() -> Iterator[Requests]:
    """Yield the requests of the command that is running; without one, those that come inside the block."""
    if _of_command:
        yield _of_command[-1]
        return
    with Requests() as made:
        yield made


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold Ctrl-C back while the block starts a process, which would otherwise end in a traceback if it comes too soon.

    The process inherits this; it calls `let_go` when it is ready. Windows has nothing like it.
    """
    if not hasattr(signal, 'pthread_sigmask'):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_go() -> None:
    """In a process started inside `held_back`: take Ctrl-C again."""
    if hasattr(signal, 'pthread_sigmask'):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
