"""Dask beside Ray, and both beside the process pool, for the work of prepare_data.py on many pictures.

    pip install distributed ray
    python -m benchmarks.schedulers --workers 2

Tasks that take no time and return what is known of a picture (1.5 KB), one at a time and in groups of 16: tasks a
second, and bytes over the loopback interface for each task. Then tasks of 20 ms each while one of the workers is
killed: how long they take, of the time without a death, whether each has its result, and how often one was done again.
docs/data.md has the results. POSIX only.
"""
import argparse
import contextlib
import itertools
import logging
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

from object_detection.preparation.workers import GROUPS_AHEAD, each, groups

FACTS = random.Random(0).randbytes(1536)
GROUP = 16  # tasks sent together
SECONDS = .02  # of a task of the second part


def facts(number):
    return number, FACTS


def slow(task):
    number, folder = task
    Path(folder, f'{number}-{os.getpid()}-{time.monotonic_ns()}').touch()
    time.sleep(SECONDS)
    return number, FACTS


class Pool:
    """The processes of this machine, as prepare_data.py uses them."""

    def __init__(self, workers):
        from object_detection.preparation.workers import Pool as Ours
        self._pool = Ours(workers)

    def run(self, function, tasks, group):
        from object_detection.preparation import workers
        workers.LARGEST_GROUP = group
        return [result for _, result in self._pool.unordered(function, tasks, len(tasks))]

    def pids(self):
        return list(self._pool._pool._processes)

    def close(self):
        self._pool.__exit__()


class Dask:
    def __init__(self, workers):
        import distributed
        self._dask = distributed
        self._cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=':0',
                                                 silence_logs=logging.CRITICAL)
        self._client = distributed.Client(self._cluster)

    def run(self, function, tasks, group):
        waiting = groups(tasks, group)
        results = []
        window = GROUPS_AHEAD * len(self._client.nthreads())
        first = [self._client.submit(each, function, part, pure=False) for part in itertools.islice(waiting, window)]
        done = self._dask.as_completed(first, with_results=True)
        for _, part in done:
            results += part
            if following := next(waiting, None):
                done.add(self._client.submit(each, function, following, pure=False))
        return results

    def pids(self):
        return list(self._client.run(os.getpid).values())

    def close(self):
        self._client.close()
        self._cluster.close()


class Ray:
    def __init__(self, workers):
        import ray
        self._ray = ray
        ray.init(num_cpus=workers, include_dashboard=False, logging_level=logging.CRITICAL, log_to_driver=False)
        self._each, self._workers = ray.remote(max_retries=2)(each), workers

    def run(self, function, tasks, group):
        parts = groups(tasks, group)
        waiting = [self._each.remote(function, part) for part in itertools.islice(parts, GROUPS_AHEAD * self._workers)]
        results = []
        while waiting:
            done, waiting = self._ray.wait(waiting, num_returns=1)
            for part in self._ray.get(done):
                results += part
                if following := next(parts, None):
                    waiting.append(self._each.remote(function, following))
        return results

    def pids(self):
        pid = self._ray.remote(lambda: (time.sleep(.2), os.getpid())[1])
        return sorted(set(self._ray.get([pid.remote() for _ in range(self._workers)])))

    def close(self):
        self._ray.shutdown()


def loopback():
    """Return the bytes that the loopback interface has carried."""
    import psutil
    names = psutil.net_io_counters(pernic=True)
    return names.get('lo', names.get('lo0')).bytes_sent


def compare(side, count, scratch):
    side.run(facts, list(range(200)), 1)  # warm up
    row = []
    for group, number in ((1, count), (GROUP, count * 4)):
        before, start = loopback(), time.perf_counter()
        results = side.run(facts, list(range(number)), group)
        seconds = time.perf_counter() - start
        assert sorted(n for n, _ in results) == list(range(number))
        row += [f'{number / seconds:.0f}/s, {(loopback() - before) / number:.0f} bytes']
    times = []
    for deadly in (False, True):
        folder = Path(tempfile.mkdtemp(dir=scratch))
        pid = side.pids()[0]
        killer = threading.Timer(1.5, os.kill, (pid, signal.SIGKILL))
        if deadly:
            killer.start()
        start = time.perf_counter()
        results = side.run(slow, [(number, str(folder)) for number in range(400)], 4)
        times.append(time.perf_counter() - start)
        right = sorted(n for n, _ in results) == list(range(400))
        again = len(list(folder.iterdir())) - 400
    return [*row, f'{times[1] / times[0]:.2f} times as long, {"all" if right else "NOT ALL"} results, {again} again']


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--count', type=int, default=2000, help='tasks, one at a time')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for kind in (Pool, Dask, Ray):
            start = time.perf_counter()
            try:
                side = kind(args.workers)
            except ImportError as error:
                print(f'{kind.__name__}: not installed ({error})')
                continue
            began = time.perf_counter() - start
            with contextlib.closing(side):
                cells = compare(side, args.count, scratch)
            print(f'{kind.__name__}: starts in {began:.1f} s; alone {cells[0]}; in groups of {GROUP} {cells[1]}; '
                  f'a worker killed: {cells[2]}', flush=True)


if __name__ == '__main__':
    main()
