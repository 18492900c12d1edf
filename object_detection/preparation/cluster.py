"""Workers on other machines: Dask, an extra (`pip install 'object-detection[cluster]'`).

The scheduler and the workers are started by the user, or by what manages the cluster; they may come and go while
prepare_data.py runs. They read pictures from a shared path and write there what is made of them: only names and facts
travel, of a kilobyte or two for each picture.
"""
import collections
import contextlib
import ctypes
import functools
import hashlib
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from object_detection.preparation.workers import (
    GROUPS_AHEAD,
    Crashed,
    Result,
    Task,
    Workers,
    each,
    group_size,
    groups,
)
from object_detection.utils import console, files
from object_detection.utils.errors import UserError

PACKAGE = __name__.partition('.')[0]
MISSING = "--scheduler needs Dask: pip install 'object-detection[cluster]', or pip install distributed"
CONNECT_SECONDS = 20
PATIENCE = 600  # seconds in which a worker must be there; clusters that grow start one when there is work
RETRIES = 2  # of a task whose worker has died
LARGEST_GROUP = 16  # tasks sent together: a scheduler takes about a millisecond for each message
MALLOC = {-1: 64 << 20, -3: 32 << 20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc; bytes, the second its most
SHARED = 'which must be a shared folder with this path on every machine'
LOOK_SECONDS = 5.0  # between looks at who is there


class Cluster(Workers):
    """The workers of a Dask scheduler.

    A task whose worker dies is repeated at most RETRIES times, while no other such task is under way.
    """
    shared = True

    def __init__(self, address: str, output: Path, folders: Iterable[Path] = ()) -> None:
        """Connect; UserError if nobody answers, or if the workers that are there would make other files.

        Args:
            address: of the scheduler, such as tcp://head:8786.
            output: folder that this process has locked, which the workers must see under the same path.
            folders: that they must see, too.
        """
        try:
            import distributed
        except ImportError as error:
            raise UserError(f'{MISSING} ({error})') from error
        self._dask, self._address = distributed, address
        self._expected = (str(output), (output / files.LOCK_NAME).read_text('utf-8'), tuple(map(str, folders)),
                          likeness())
        self.count, self._next_look = 0, 0.0
        self._alone_since: float | None = None
        self._failures: int | None = None  # that the scheduler allowed before
        try:
            self._client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise UserError(f'--scheduler {address}: no scheduler of Dask answers ({_first_line(error)}); start one '
                            'with `dask scheduler`, and workers with `dask worker ADDRESS`') from error
        try:
            self._look()
            if not self._client.run_on_scheduler(_is_installed()):
                raise UserError(f'--scheduler {address}: the scheduler cannot import {PACKAGE}; start it where the '
                                'same version of object-detection is installed')
            self._failures = self._client.run_on_scheduler(_failures_allowed(0))
            for worker, found in self._call(self._client.run, _is_installed()).items():
                if not found:
                    raise UserError(f'--scheduler {address}: worker {worker} cannot import {PACKAGE}; install the same '
                                    'version of object-detection there')
            for worker, said in self._call(self._client.run, examine, *self._expected).items():
                if said:
                    raise UserError(f'--scheduler {address}: worker {worker} {said}')
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> 'Cluster':
        return self

    def __exit__(self, *_: object) -> None:
        if self._failures is not None:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                self._client.run_on_scheduler(_failures_allowed(self._failures))
        self._client.close()

    def unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task], count: int,
                  resource: str | None = None) -> Iterator[tuple[Task, Result | Crashed]]:
        waiting = groups(tasks, group_size(count, max(1, self.count), LARGEST_GROUP))
        group = next(waiting, None)
        suspects = collections.deque[tuple[Any, int]]()  # (task whose worker has died, how many have)
        running: dict[Any, tuple[list, int]] = {}  # {future: (its tasks, workers that have died of them)}
        finished: queue.SimpleQueue = queue.SimpleQueue()
        offered = resource and any(resource in worker.get('resources', {}) for worker
                                   in self._call(self._client.scheduler_info)['workers'].values())

        def submit(tasks, deaths):
            future = self._client.submit(examined, *self._expected, function, tasks, pure=False,
                                         resources={resource: 1} if offered else None,
                                         key=f'{function.__name__}-{next(_numbers)}-{time.monotonic_ns()}')
            running[future] = tasks, deaths
            future.add_done_callback(finished.put)
        try:
            while group or suspects or running:
                self._look()
                while group and len(running) < GROUPS_AHEAD * max(1, self.count):
                    submit(group, 0)
                    group = next(waiting, None)
                if suspects and not any(deaths for _, deaths in running.values()):
                    task, deaths = suspects.popleft()
                    submit([task], deaths)
                done = self._finished(finished, running)
                for future, results in self._results(done):
                    its_tasks, deaths = running.pop(future)
                    if results is not None:
                        yield from zip(its_tasks, results)
                    elif deaths == RETRIES:
                        yield from ((task, Crashed()) for task in its_tasks)
                    else:
                        suspects.extend((task, deaths + 1) for task in its_tasks)
        finally:
            if running:
                with contextlib.suppress(Exception):
                    self._client.cancel(list(running), force=True)

    def _finished(self, finished, running):
        """Return the futures that have finished, after the first of them."""
        done = []
        with contextlib.suppress(queue.Empty):
            done.append(finished.get(timeout=LOOK_SECONDS))
            while True:
                done.append(finished.get_nowait())
        return [future for future in dict.fromkeys(done) if future in running]

    def _results(self, done):
        """Yield (future, its results, None if its worker has died)."""
        good = [future for future in done if future.status == 'finished']
        results = {}
        with contextlib.suppress(Exception):  # of one that was lost since; it is asked for again below
            results = dict(zip(good, self._client.gather(good))) if good else {}
        for future in done:
            if future in results:
                yield future, results[future]
                continue
            try:
                yield future, self._call(future.result)
            except self._dask.KilledWorker:
                yield future, None

    def _call(self, function, *arguments):
        """Return function(*arguments); UserError if the scheduler is gone, or a worker lacks this package."""
        try:
            return function(*arguments)
        except ModuleNotFoundError as error:
            raise UserError(f'--scheduler {self._address}: a worker cannot import {error.name}; install the same '
                            'version of object-detection there') from error
        except (self._dask.CancelledError, self._dask.comm.CommClosedError) as error:
            raise UserError(f'--scheduler {self._address}: the scheduler is gone ({_first_line(error)}); what is done '
                            'is kept, so run the same command again') from error

    def _look(self):
        """See now and then who is there; UserError if there has been nobody for long."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        if self._client.status != 'running':
            raise UserError(f'--scheduler {self._address}: the scheduler is gone; what is done is kept, so run the '
                            'same command again')
        self.count = sum(self._call(self._client.nthreads).values())
        if self.count:
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
            console.warn(f'--scheduler {self._address}: no worker is there; waiting for one, for {PATIENCE // 60} '
                         f'minutes. `dask worker {self._address} --nthreads 1` starts one')
        if now - self._alone_since > PATIENCE:
            raise UserError(f'--scheduler {self._address}: no worker has come in {PATIENCE // 60} minutes; what is '
                            'done is kept, so run the same command again')


_numbers = iter(range(1 << 62))


def _is_installed():
    """Return a function that returns whether a process can import this package, which tasks travel without."""
    def find():
        import importlib.util
        return importlib.util.find_spec('object_detection') is not None
    return find  # see _failures_allowed


def _failures_allowed(number):
    """Return a function that sets how often the scheduler itself repeats a task whose worker died.

    It returns what was set before. Here the suspects are repeated, one at a time; the scheduler would send them out
    together again.
    """
    def exchange(dask_scheduler):
        before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, number
        return before
    return exchange  # not of this module's top level: it travels as code, not as the name of a module


def examined(output: str, lock: str, folders: tuple[str, ...], expected: str, function: Any, tasks: Iterable) -> list:
    """Return the results of tasks, in a worker; UserError if this one would make other files than the parent."""
    if said := examine(output, lock, folders, expected):
        from distributed import get_worker
        raise UserError(f'worker {get_worker().address} {said}')
    _keep_memory()
    return each(function, tasks)


@functools.lru_cache(1)
def _keep_memory() -> None:
    """Keep the memory of a picture for the next one, as a process of our own does.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_, with which glibc takes the buffers of each picture anew from
    the system and gives them back: half as much time again.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        library = ctypes.CDLL(None)
        for parameter, size in MALLOC.items():
            library.mallopt(parameter, size)


@functools.lru_cache(1)
def examine(output: str, lock: str, folders: tuple[str, ...], expected: str) -> str:
    """Return what keeps a worker from doing its part, '' if nothing does.

    lock: text that is in the locked folder `output`. folders: to read from. expected: of `likeness`.
    """
    if (found := likeness()) != expected:
        return f'has other versions: {found} instead of {expected}'
    for folder in folders:
        if not Path(folder).is_dir():
            return f'does not see {folder}, {SHARED}'
    try:
        seen = Path(output, files.LOCK_NAME).read_text('utf-8')
    except OSError as error:
        return f'does not see {output}, {SHARED}: {error.strerror}'
    return '' if seen == lock else f'sees another folder as {output} than the machine that runs prepare_data.py'


def likeness() -> str:
    """Return what the bytes of pictures and records depend on: versions of libraries, and of this code."""
    from google import protobuf

    from object_detection.preparation.pictures import libraries
    room = Path(__file__).parent
    code = hashlib.sha256()
    for file in sorted([*room.glob('*.py'), *(room.parent / 'records').glob('*.py')]):
        code.update(file.read_bytes().replace(b'\r\n', b'\n'))
    return f'{libraries()} protobuf={protobuf.__version__} code={code.hexdigest()[:12]}'


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
