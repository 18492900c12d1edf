"""A pool of fresh processes that outlives what its tasks do to them."""
import itertools
import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool


class Crashed:
    """The result of a task that took its process down with it."""


def unordered(function, tasks, workers):
    """Yield (task, function(task)) as they are done, at most a few tasks a worker ahead of the caller.

    A process that dies (a decoder that crashes, too little memory) costs its task alone, which yields Crashed: tasks
    that were under way are repeated, each in a process of its own. Exceptions of the function are raised here.
    """
    tasks = iter(tasks)
    pool = _pool(workers)
    pending = {}
    try:
        while True:
            for task in itertools.islice(tasks, 8 * workers - len(pending)):
                pending[pool.submit(function, task)] = task
            if not pending:
                return
            try:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield pending.pop(future), result
            except BrokenProcessPool:
                pool.shutdown()
                for task in pending.values():
                    yield task, _alone(function, task)
                pending = {}
                pool = _pool(workers)
    finally:
        pool.shutdown(cancel_futures=True)


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
