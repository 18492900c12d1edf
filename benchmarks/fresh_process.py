"""A call in a process of its own, whose end gives all memory back."""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def run(function, *args, **keywords):
    """Return function(...), computed in a fresh process; BrokenProcessPool if that was killed."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        return pool.submit(function, *args, **keywords).result()
