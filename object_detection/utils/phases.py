"""Run one phase (train, evaluate, ...) in a fresh process: events while it runs, a typed outcome at its end.

TensorFlow gives GPU memory back only when its process ends, so every phase gets a process of its own, and the parent
never imports TensorFlow. A phase is a module-level function, named 'package.module:function':

    def train(report, stopping, **arguments):
        ... report('step', step=7, loss=1.5) ...          an event for the parent
        ... if stopping(): save; raise Interrupted() ...  the user, or whoever runs the parent, wants an end
        return {'step': 1000}                             data of the outcome 'done'

Worker starts the process at once and lets it import what it will need, while the parent still checks the user's input.
"""
import contextlib
import errno
import gc
import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from object_detection.utils import console, environment, files
from object_detection.utils.errors import UserError

DONE, INTERRUPTED, OUT_OF_MEMORY, NOT_FINITE = 'done', 'interrupted', 'out of memory', 'not finite'
BAD_INPUT, DISK_FULL, KILLED, BUG = 'bad input', 'disk full', 'killed', 'bug'

_kept = []


@dataclass
class Outcome:
    """How a phase ended: one of the kinds above, what to tell the user, and the phase's own data."""

    kind: str
    message: str = ''
    data: dict = field(default_factory=dict)


class Ended(Exception):
    """Raised by a phase that ends early, in a way that is no bug. `data` goes into the outcome."""

    kind = None

    def __init__(self, message='', **data):
        super().__init__(message)
        self.data = data


class Interrupted(Ended):
    kind = INTERRUPTED


class OutOfMemory(Ended):
    kind = OUT_OF_MEMORY


class NotFinite(Ended):
    kind = NOT_FINITE


class Worker:
    """A fresh process that will run one phase.

    Args:
        preload: names of modules to import while it waits for `run`.

    Use as a context manager: the process does not outlive the block, nor the parent.
    """

    def __init__(self, preload=()):
        context = multiprocessing.get_context('spawn')
        self._pipe, theirs = context.Pipe()
        self._oom_kills, self._impatient = _oom_kills(), False
        self._process = context.Process(target=_work, args=(theirs, list(preload)), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.kill()
        self._process.join()

    def run(self, phase, arguments, outcome_path, on_event):
        """Run `phase`, 'package.module:function', with keyword arguments, and wait for its end.

        Args:
            arguments: what can be pickled.
            outcome_path: a JSON file; written, whole, by the process when the phase ends.
            on_event: called with (name, **values) for each event.
        Returns:
            Outcome. Ctrl-C and SIGTERM in the parent ask the phase to stop, a second one kills it.
        """
        Path(outcome_path).unlink(missing_ok=True)
        with _Signals(self._ask_to_stop):
            if self._tell(('run', phase, arguments, str(outcome_path))):
                self._listen(on_event)
            self._process.join()
        return self._outcome(outcome_path)

    def _listen(self, on_event):
        """Pass on events until the process ends."""
        while True:
            multiprocessing.connection.wait([self._pipe, self._process.sentinel])
            try:
                while self._pipe.poll():
                    name, values = self._pipe.recv()
                    on_event(name, **values)
            except (EOFError, ConnectionError):
                return
            if not self._process.is_alive() and not self._pipe.poll():
                return

    def _tell(self, message):
        try:
            self._pipe.send(message)
        except OSError:  # it died while importing; its exit code says how
            return False
        return True

    def _ask_to_stop(self, times):
        if times == 1:
            self._tell(('stop',))
        else:
            self._impatient = True
            self._process.kill()

    def _outcome(self, path):
        if Path(path).exists():
            return Outcome(**json.loads(Path(path).read_text(encoding='utf-8')))
        if self._impatient:
            return Outcome(INTERRUPTED, 'ended at once')
        code = self._process.exitcode
        if code == -getattr(signal, 'SIGKILL', 9) and _oom_kills() > self._oom_kills:
            return Outcome(OUT_OF_MEMORY, 'the operating system ended the process because main memory ran out')
        if code is not None and code < 0:
            return Outcome(KILLED, f'the process was ended by {signal.Signals(-code).name}')
        return Outcome(BUG, f'the process ended with code {code}; what it printed stands above')


class _Signals:
    """Inside the block Ctrl-C and SIGTERM call handler(how often so far) instead of raising."""

    def __init__(self, handler):
        self._handler, self._times = handler, 0

    def __enter__(self):
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            self._before = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}

    def _on_signal(self, *_):
        self._times += 1
        self._handler(self._times)

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)


def keep(thing):
    """Let `thing` live until the worker ends; does nothing in other processes.

    TensorFlow can take seconds to take a data set apart, which the end of a process makes unnecessary.
    """
    if multiprocessing.parent_process():
        _kept.append(thing)


@contextlib.contextmanager
def uncollected():
    """No garbage collection inside the block, and never of what was made in it.

    Importing TensorFlow and tracing a network make millions of objects that stay; looking through them again and again
    is a fifth of the time it takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _work(pipe, preload):
    """The life of a worker process."""
    stop, orders = threading.Event(), queue.Queue()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent passes it on
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_obey, args=(pipe, orders, stop), daemon=True).start()
    environment.prepare_tensorflow()
    with uncollected(), console.muffled():
        for name in preload:
            importlib.import_module(name)
    phase, arguments, outcome_path = orders.get()
    module, function = phase.split(':')

    def report(name, **values):
        pipe.send((name, values))

    outcome = _attempt(lambda: getattr(importlib.import_module(module), function)(report, stop.is_set, **arguments))
    files.write_text(outcome_path, json.dumps(asdict(outcome), indent=1))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # taking TensorFlow down in good order costs time and can crash


def _obey(pipe, orders, stop):
    """Take the parent's messages; end with it, however it ended."""
    while True:
        try:
            kind, *rest = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        if kind == 'run':
            orders.put(rest)
        else:
            stop.set()


def _attempt(phase):
    """The outcome of calling phase(); a bug is left to raise, so that its traceback is seen."""
    try:
        return Outcome(DONE, data=phase() or {})
    except Ended as end:
        return Outcome(end.kind, str(end), end.data)
    except UserError as error:
        return Outcome(BAD_INPUT, str(error))
    except MemoryError:
        return Outcome(OUT_OF_MEMORY, 'main memory ran out')
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return Outcome(DISK_FULL, f'no space left on the device while writing {error.filename or "a file"}')


def _oom_kills():
    """How many processes Linux has killed for want of memory so far; 0 where that cannot be known."""
    try:
        lines = Path('/proc/vmstat').read_text(encoding='ascii').splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith('oom_kill ')), 0)
