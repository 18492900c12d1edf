"""Run one phase (train, evaluate, ...) in a fresh process: events while it runs, a typed outcome at its end.

TensorFlow gives GPU memory back only when its process ends, so every phase gets its own process and the parent never
imports TensorFlow. A phase is a function at module level, in a module that does not import TensorFlow; what needs it
is imported inside:

    def train(report, stopping, **arguments):
        from object_detection.training import train
        ... report('step', step=7, loss=1.5) ...          send an event to the parent
        ... if stopping(): save; raise Interrupted() ...  the user, or whoever runs the parent, wants to stop
        return {'step': 1000}                             data of the outcome DONE

A Worker starts its process at once and preloads modules there, while the parent still checks the user's input.
"""
import collections
import contextlib
import errno
import faulthandler
import gc
import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import pickle
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

from object_detection.utils import console, endings, environment, files, machine, state, stop
from object_detection.utils.errors import REFUSALS, UserError

DONE, INTERRUPTED, OUT_OF_MEMORY, NOT_FINITE = 'done', 'interrupted', 'out of memory', 'not finite'
BAD_INPUT, DISK_FULL, KILLED, HUNG, BUG = 'bad input', 'disk full', 'killed', 'hung', 'bug'
LOST, ENDED = 'lost another machine', 'ended with the other machines'  # of phases on several machines

Report = Callable[..., None]  # report(name, **values) sends an event to the parent
Stopping = Callable[[], bool]  # whether the phase was asked to stop
Phase = Callable[..., dict | None]  # phase(report, stopping, **arguments)

_LIBJPEG = re.compile(rb'Corrupt JPEG data|Premature end of JPEG|Inconsistent progression sequence|'
                      rb'Warning: unknown JFIF revision|Unknown Adobe color transform')
DAMAGED_JPEG = ('the data of a JPEG is damaged; it is used as far as it can be decoded. train_t2.py --sample 0 names '
                'such pictures')
_LOOK_SECONDS = 1.  # how often the parent looks at the memory of the process
_STACKS_SECONDS = 3.  # how long a process that hangs has for telling where
_STACKS = getattr(signal, 'SIGUSR1', None)  # asks a process for its stacks; Windows has no such signal
_TAIL = 80  # lines of stderr that are kept to find out why a process ended
_kept: list[object] = []


@dataclass
class Outcome:
    """How a phase ended.

    Attributes:
        kind: one of the constants above.
        message: what to tell the user.
        data: what the phase returned, or gave to the EarlyExit exception it raised; JSON.
        peak_memory: the most main memory in bytes that its process had; None where it is unknown. Of a process that
            was killed it is what was seen within the last second.
        asked_to_stop: whether a request to stop came, however late: a phase that was at its end is done nevertheless.
    """

    kind: str
    message: str = ''
    data: dict[str, Any] = field(default_factory=dict)
    peak_memory: int | None = field(default=None, compare=False)
    asked_to_stop: bool = field(default=False, compare=False)


class EarlyExit(Exception):
    """Raised by a phase that ends early for a known reason. `data` goes into the outcome."""

    kind = ''

    def __init__(self, message: str = '', **data: Any) -> None:
        super().__init__(message)
        self.data = data


class Interrupted(EarlyExit):
    kind = INTERRUPTED


class OutOfMemory(EarlyExit):
    kind = OUT_OF_MEMORY


class NotFinite(EarlyExit):
    kind = NOT_FINITE


class Lost(EarlyExit):
    kind = LOST


class Worker:
    """A fresh process that will run one phase.

    Args:
        preload: names of modules to import while it waits for `run`.

    Use it as a context manager: the process outlives neither the block nor the parent.

    Attributes:
        nearly_done: called by whoever sees that its phase is in its last seconds, any number of times.
    """
    nearly_done: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._preload = tuple(preload)
        context = multiprocessing.get_context('spawn')
        self._pipe, theirs = context.Pipe()
        self._errors: Connection | None = None
        their_errors = None
        if sys.platform != 'win32':
            self._errors, their_errors = context.Pipe(duplex=False)
        self._unprinted, self._damage_told = b'', False
        self._oom_kills, self._impatient = endings.oom_kills(), False
        self._written: collections.deque[bytes] = collections.deque(maxlen=_TAIL)
        self._hung = ''
        self._ended: Outcome | None = None
        self._peak_memory: int | None = None
        self._process = context.Process(target=_work, args=(theirs, list(preload), their_errors), daemon=True)
        if sys.platform != 'win32':
            resource_tracker.ensure_running()  # otherwise `start` does it, and takes Ctrl-C again in between
        with stop.held_back():
            self._process.start()
        theirs.close()
        if their_errors:
            their_errors.close()

    def __enter__(self) -> 'Worker':
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()
        self._pass_on_errors()

    def prepare(self, prepare: Callable[..., object], arguments: dict[str, Any]) -> None:
        """Let the process call prepare(**arguments) while it waits for `run`, to fill its caches.

        What fails there is not reported: it will fail in the phase, which says so.

        Args:
            prepare: a function at module level; the process imports its module to find it.
            arguments: anything that can be pickled.
        """
        self._tell(('prepare', pickle.dumps((prepare, arguments))))

    def is_alive(self) -> bool:
        """Return whether its process runs."""
        return self._process.is_alive()

    def run(self, phase: Phase, arguments: dict[str, Any], outcome_path: str | Path,
            on_event: Callable[..., object], watchdog: float | None = None) -> Outcome:
        """Call phase(report, stopping, **arguments) in the process and wait for it to end.

        Ctrl-C and SIGTERM in the parent ask the phase to stop; a second one kills it. If one came earlier in this
        command (stop.command), the phase does not begin.

        Args:
            phase: a function at module level; the process imports its module to find it.
            arguments: anything that can be pickled.
            outcome_path: JSON file that the process writes, whole, when the phase ends.
            on_event: called with (name, **values) for each event.
            watchdog: seconds without an event after which the process writes its stacks to stderr and is killed; see
                endings.Watchdog.
        """
        order = pickle.dumps((phase, arguments))
        Path(outcome_path).unlink(missing_ok=True)
        with stop.requests() as requests, requests.handled(self._ask_to_stop):
            if requests.count:
                return Outcome(INTERRUPTED, 'asked to stop before it began', asked_to_stop=True)
            self._oom_kills = endings.oom_kills() if self._process.is_alive() else self._oom_kills
            if self._tell(('run', order, str(outcome_path))):
                self._listen(on_event, endings.Watchdog(watchdog))
            self._process.join()
            self._pass_on_errors(on_event)
            outcome = self._outcome(outcome_path)
            requests.count += outcome.asked_to_stop and not requests.count  # it was asked directly
            outcome.asked_to_stop = requests.count > 0
        outcome.peak_memory = outcome.peak_memory or self._peak_memory
        return outcome

    def end(self, reason: str, kind: str = ENDED) -> None:
        """End the process at once; to be called from any thread. An outcome that it has written before counts.

        Args:
            reason, kind: of the outcome.
        """
        if self._process.is_alive() and not self._ended:
            self._ended = Outcome(kind, reason)
            self._process.kill()

    def another(self) -> 'Worker':
        """Return a fresh process like this one, for the next phase."""
        return Worker(self._preload)

    def _listen(self, on_event: Callable[..., object], watchdog: endings.Watchdog) -> None:
        """Pass on events, and what the process writes to stderr, until it ends."""
        looked = 0.
        while True:
            multiprocessing.connection.wait([self._pipe, self._process.sentinel, *filter(None, [self._errors])],
                                            _LOOK_SECONDS)
            if time.monotonic() - looked >= _LOOK_SECONDS:
                looked = time.monotonic()
                self._peak_memory = machine.peak_memory(self._process.pid) or self._peak_memory
            self._pass_on_errors(on_event)
            try:
                while self._pipe.poll():
                    name, values = self._pipe.recv()
                    watchdog.event(name)
                    on_event(name, **values)
            except (EOFError, ConnectionError):
                return
            if not self._process.is_alive() and not self._pipe.poll():
                return
            if watchdog.bites():
                self._end_hung(watchdog.limit)
                return

    def _end_hung(self, seconds: float) -> None:
        """Let the process write the stacks of its threads to stderr, and kill it."""
        pid, before = self._process.pid or 0, len(self._written)
        if endings.stopped(pid):
            self._hung = 'it was stopped (SIGSTOP or Ctrl-Z), so it could not say where'
        else:
            if _STACKS:
                os.kill(pid, _STACKS)
            else:
                self._tell(('stacks',))
            end = time.monotonic() + _STACKS_SECONDS
            while time.monotonic() < end and self._process.is_alive():
                multiprocessing.connection.wait(
                    [self._process.sentinel, *filter(None, [self._errors])], end - time.monotonic())
                self._pass_on_errors()
            told = not self._errors or len(self._written) > before
            self._hung = 'the stacks of its threads are above' if told else 'it did not say where'
        self._hung = f'nothing came from the process for {_minutes(seconds)}, and it was ended; {self._hung}'
        self._process.kill()

    def _pass_on_errors(self, on_event: Callable[..., object] | None = None) -> None:
        """Print what the process has written to stderr, except for the lines of libjpeg: these become one warning.

        libjpeg prints a line each time a damaged picture is decoded, in every epoch, without the name of the picture.
        """
        while self._errors and self._errors.poll():
            data = os.read(self._errors.fileno(), 1 << 16)
            *lines, self._unprinted = (self._unprinted + data).split(b'\n')
            if not data:  # the process is gone
                self._errors.close()
                self._errors, lines, self._unprinted = None, [self._unprinted] * bool(self._unprinted), b''
            self._written.extend(lines)
            for line in lines:
                if not _LIBJPEG.match(line):
                    sys.stderr.flush()
                    os.write(2, line + b'\n')
                elif on_event and not self._damage_told:
                    self._damage_told = True
                    on_event('warning', text=DAMAGED_JPEG)

    def _tell(self, message: tuple) -> bool:
        try:
            self._pipe.send(message)
        except OSError:  # the process died while importing; its exit code says how
            return False
        return True

    def _ask_to_stop(self, times: int) -> None:
        if times == 1:
            self._tell(('stop',))
        else:
            self._impatient = True
            self._process.kill()

    def _outcome(self, path: str | Path) -> Outcome:
        if Path(path).exists():
            return _read_outcome(path)
        if self._impatient:
            return Outcome(INTERRUPTED, 'ended at once')
        if self._ended:
            return self._ended
        if self._hung:
            return Outcome(HUNG, self._hung)
        code = self._process.exitcode
        if reason := endings.memory_ran_out(code, self._written, self._oom_kills):
            return Outcome(OUT_OF_MEMORY, reason)
        if code == -signal.SIGTERM:  # it came before the process could take it as a request to stop
            return Outcome(INTERRUPTED, 'ended at once by SIGTERM')
        if code is not None and code < 0:
            return Outcome(KILLED, f'the process was ended by {signal.Signals(-code).name}')
        return Outcome(BUG, f'the process ended with code {code}; its messages are above')


def _read_outcome(path: str | Path) -> Outcome:
    try:
        return Outcome(**state.read(path, {'kind': str, 'message': str, 'data': dict}, 'the disk may be damaged'))
    except (UserError, TypeError) as error:
        return Outcome(BUG, f'it is unknown how the process ended: {error}')


def keep_alive(thing: object) -> None:
    """Keep `thing` alive until the worker process ends; do nothing in other processes.

    TensorFlow can take seconds to destroy a data set, which is wasted in a process that is about to end.
    """
    if multiprocessing.parent_process():
        _kept.append(thing)


@contextlib.contextmanager
def without_gc() -> Iterator[None]:
    """Turn garbage collection off inside the block; in a worker process, also exempt everything created there for good.

    Importing TensorFlow and tracing a network create millions of objects that stay; scanning them again and again takes
    a fifth of that time. In other processes, such as people's own programs, a model may be garbage one day.
    """
    gc.disable()
    try:
        yield
    finally:
        if multiprocessing.parent_process():
            gc.freeze()
        gc.enable()


def _work(pipe: Connection, preload: list[str], errors: Connection | None = None) -> None:
    """Main function of a worker process. errors: where stderr goes."""
    if errors:
        os.dup2(errors.fileno(), 2)
        errors.close()
    stopping = threading.Event()
    orders: queue.Queue[tuple[bytes, str | None]] = queue.Queue()
    for name in ('SIGINT', 'SIGBREAK'):  # Ctrl-C and Ctrl-Break reach the whole group; the parent passes them on
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stop.let_go()
    stacks = os.fdopen(os.dup(2), 'w')  # even while console.muffled has turned stderr away
    if _STACKS:  # handled at once, whatever C code a thread is in
        faulthandler.register(_STACKS, stacks, all_threads=True)
    threading.Thread(target=_receive, args=(pipe, orders, stopping, stacks), daemon=True).start()
    environment.prepare_tensorflow()
    with without_gc(), console.muffled():
        for name in preload:
            importlib.import_module(name)
    while True:
        order, outcome_path = orders.get()
        function, arguments = pickle.loads(order)
        if outcome_path is not None:
            break
        with contextlib.suppress(Exception):  # it fails again in the phase, which says so
            function(**arguments)

    def report(name: str, **values: Any) -> None:
        pipe.send((name, values))

    outcome = attempt(lambda: function(report, stopping.is_set, **arguments))
    outcome.peak_memory, outcome.asked_to_stop = machine.peak_memory(), stopping.is_set()
    files.write_text(outcome_path, json.dumps(asdict(outcome), indent=1))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # shutting TensorFlow down costs time and can crash


def _receive(pipe: Connection, orders: queue.Queue[tuple[bytes, str | None]], stopping: threading.Event,
             stacks: TextIO) -> None:
    """Receive the parent's messages; end this process when the parent is gone, however it ended."""
    while True:
        try:
            kind, *rest = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        if kind == 'run':
            orders.put((rest[0], rest[1]))
        elif kind == 'prepare':
            orders.put((rest[0], None))
        elif kind == 'stacks':
            faulthandler.dump_traceback(stacks, all_threads=True)
        else:
            stopping.set()


def _minutes(seconds: float) -> str:
    return f'{seconds / 60:.3g} minute{"" if seconds == 60 else "s"}'


def attempt(phase: Callable[[], dict | None]) -> Outcome:
    """Return the outcome of calling phase(); let a bug raise, so that its traceback is shown."""
    try:
        return Outcome(DONE, data=phase() or {})
    except EarlyExit as end:
        return Outcome(end.kind, str(end), end.data)
    except UserError as error:
        return Outcome(BAD_INPUT, str(error))
    except MemoryError:
        return Outcome(OUT_OF_MEMORY, 'main memory ran out')
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        return Outcome(OUT_OF_MEMORY, 'main memory ran out: there was none for a new thread')
    except OSError as error:
        if error.errno in REFUSALS and error.filename:
            return Outcome(BAD_INPUT, f'{error.filename}: {error.strerror}; check the path, and what you may do there')
        if error.errno != errno.ENOSPC:
            raise
        return Outcome(DISK_FULL, f'no space left on the device while writing {error.filename or "a file"}')
