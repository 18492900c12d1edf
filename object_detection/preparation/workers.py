"""A pool of fresh processes in which a task that kills its process costs nothing but its own result."""
import collections
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar('Task')
Result = TypeVar('Result')

LARGEST_GROUP = 4  # tasks sent together; with small pictures, one trip for each would cost a few percent of the time
GROUPS_PER_WORKER = 16  # at least, so that all workers finish at about the same time
GROUPS_AHEAD = 4  # queued for each worker, so that no worker waits for the parent


class Crashed:
    """The result of a task that killed its process."""


def unordered(function: Callable[[Task], Result], tasks: Sequence[Task],
              workers: int) -> Iterator[tuple[Task, Result | Crashed]]:
    """Yield (task, function(task)) for all tasks, in the order in which they finish.

    A process that dies (a decoder that crashes, too little memory) costs only its task, which yields Crashed: the
    tasks that were under way are repeated, each in a process of its own. Exceptions of the function propagate.
    """
    size = max(1, min(LARGEST_GROUP, len(tasks) // (GROUPS_PER_WORKER * workers)))
    waiting = collections.deque(tasks[start:start + size] for start in range(0, len(tasks), size))
    running: dict = {}  # {future: its group}
    pool = _pool(workers)
    try:
        while waiting or running:
            try:
                while waiting and len(running) < GROUPS_AHEAD * workers:
                    running[pool.submit(_each, function, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    yield from zip(running.pop(future), results)
            except BrokenProcessPool:  # from result, or from submit if a process died since the last wait
                pool.shutdown()
                for task in itertools.chain.from_iterable(running.values()):
                    yield task, _alone(function, task)
                running = {}
                pool = _pool(workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _each(function, tasks):
    return [function(task) for task in tasks]


def _alone(function, task):
    with _pool(1) as pool:
        try:
            return pool.submit(function, task).result()
        except BrokenProcessPool:
            return Crashed()


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
