"""Where the work on each picture is done: processes of this machine, or of others (cluster.py).

Both are Workers and are given the same functions and tasks, so that a run gives the same files wherever it is done. The
detector runs in a process of its own on this machine, or in the workers of others (detector.py).
"""
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Protocol, TypeVar

Task = TypeVar('Task')
Result = TypeVar('Result')

LARGEST_GROUP = 4  # tasks sent together; with small pictures, one trip for each would cost a few percent of the time
GROUPS_PER_WORKER = 16  # at least, so that all workers finish at about the same time
GROUPS_AHEAD = 4  # queued for each worker, so that no worker waits for the parent


class Crashed:
    """The result of a task that killed its process."""


class Workers(Protocol):
    """Processes that do tasks, and end with the `with` block.

    shared: whether they are on several machines, and hold the detector, too. count: of them, now.
    """
    shared: bool
    count: int

    def __enter__(self) -> 'Workers': ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None: ...

    def unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task], count: int,
                  resource: str | None = None) -> Iterator[tuple[Task, Result | Crashed]]:
        """Yield (task, function(task)) for all tasks, in the order in which they finish.

        A task that kills its process (a decoder that crashes, too little memory) costs only itself and yields Crashed:
        those that were under way are repeated. Exceptions of the function propagate.

        Args:
            function: of a module that the workers can import.
            tasks: taken from as they are needed, so that a million of them need not be there at once.
            count: number of tasks.
            resource: what the workers are to have that do them, if any of them has it.
        """


class Pool(Workers):
    """Processes of this machine, started when there is work.

    Tasks that were under way when a process died are repeated one by one in another; one that kills this is Crashed.
    """
    shared = False

    def __init__(self, processes: int) -> None:
        self.count = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> 'Pool':
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task], count: int,
                  resource: str | None = None) -> Iterator[tuple[Task, Result | Crashed]]:
        processes = max(1, min(self.count, count))
        waiting = groups(tasks, group_size(count, processes, LARGEST_GROUP))
        group = next(waiting, None)
        running: dict = {}  # {future: its group}
        try:
            while group or running:
                try:
                    while group and len(running) < GROUPS_AHEAD * processes:
                        self._pool = self._pool or _pool(self.count)
                        running[self._pool.submit(each, function, group)] = group
                        group = next(waiting, None)
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        results = future.result()
                        yield from zip(running.pop(future), results)
                except BrokenProcessPool:  # from result, or from submit if a process died since the last wait
                    self._end()
                    yield from _one_by_one(function, itertools.chain.from_iterable(running.values()))
                    running = {}
        except BaseException:
            self._end()
            raise

    def _end(self):
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None


def group_size(count: int, processes: int, most: int) -> int:
    """Return how many of `count` tasks travel together, at most `most`."""
    return max(1, min(most, count // (GROUPS_PER_WORKER * processes)))


def groups(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """Yield tasks in lists of `size`, the last of which may be shorter."""
    tasks = iter(tasks)
    return iter(lambda: list(itertools.islice(tasks, size)), [])


def each(function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """Return the results of a group of tasks; in a worker."""
    return [function(task) for task in tasks]


def _one_by_one(function, tasks):
    """Yield (task, its result) of tasks of which nothing else is under way when one kills its process."""
    pool = None
    try:
        for task in tasks:
            pool = pool or _pool(1)
            try:
                yield task, pool.submit(function, task).result()
            except BrokenProcessPool:
                pool.shutdown()
                pool = None
                yield task, Crashed()
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


def _pool(workers):
    context = multiprocessing.get_context('spawn')
    return ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)


def end_with_parent() -> None:
    """Make this child process ignore Ctrl-C, which the parent handles, and exit when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent():
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
