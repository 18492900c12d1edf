"""A pool of fresh processes that outlives what its tasks do to them."""
import itertools
import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

MOST_TOGETHER = 4  # tasks that travel together: fewer trips, which cost a few percent of the time of small pictures
SHARES = 16  # groups a worker gets at least, so that all workers end at about the same time
GROUPS_AHEAD = 4  # that wait for a worker, so that none waits for the parent


class Crashed:
    """The result of a task that took its process down with it."""


def unordered(function, tasks, workers):
    """Yield (task, function(task)) for a list of tasks as they are done.

    A process that dies (a decoder that crashes, too little memory) costs its task alone, which yields Crashed: tasks
    that were under way are repeated, each in a process of its own. Exceptions of the function are raised here.
    """
    together = max(1, min(MOST_TOGETHER, len(tasks) // (SHARES * workers)))
    groups = (tasks[start:start + together] for start in range(0, len(tasks), together))
    pool = _pool(workers)
    pending = {}
    try:
        while True:
            for group in itertools.islice(groups, GROUPS_AHEAD * workers - len(pending)):
                pending[pool.submit(_each, function, group)] = group
            if not pending:
                return
            try:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    yield from zip(pending.pop(future), results)
            except BrokenProcessPool:
                pool.shutdown()
                for task in itertools.chain.from_iterable(pending.values()):
                    yield task, _alone(function, task)
                pending = {}
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


def end_with_parent():
    """For a process of ours: Ctrl-C is the parent's business, and when the parent is killed, so is this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
