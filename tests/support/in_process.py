"""Run a command in the test's own process, its phases included.

A phase of TensorFlow in a process of its own takes three seconds longer. What is about processes (kills, signals, what
their parent imports, what they write to stderr) is tested with real ones.
"""
import contextlib
import io
import json
import pickle
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from unittest import mock

from object_detection.utils import errors, phases


class Worker:
    """Stands for phases.Worker. What passes between the processes is pickled or JSON, and here too."""

    def __init__(self, preload: object = ()) -> None:
        pass

    def __enter__(self) -> 'Worker':
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def another(self) -> 'Worker':
        return Worker()

    def is_alive(self) -> bool:
        return True

    def prepare(self, prepare: Callable[..., object], arguments: dict[str, Any]) -> None:
        prepare(**pickle.loads(pickle.dumps(arguments)))

    def run(self, phase: phases.Phase, arguments: dict[str, Any], outcome_path: object,
            on_event: Callable[..., object], watchdog: float | None = None) -> phases.Outcome:
        def report(name: str, **values: Any) -> None:
            on_event(name, **pickle.loads(pickle.dumps(values)))

        phase, arguments = pickle.loads(pickle.dumps((phase, arguments)))
        outcome = phases.attempt(lambda: phase(report, lambda: False, **arguments))
        return phases.Outcome(**json.loads(json.dumps(asdict(outcome))))


def run(main: Callable, *argv: object) -> subprocess.CompletedProcess:
    """Return what main(argv), called as a script calls it, printed and exited with.

    Its phases run in this process, except for those of a Worker that the test has made itself.
    """
    out, err = io.StringIO(), io.StringIO()
    with (mock.patch.object(phases, 'Worker', Worker), contextlib.redirect_stdout(out),
          contextlib.redirect_stderr(err)):
        try:
            errors.run_main(main, list(map(str, argv)))
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):  # sys.exit(message)
        err.write(f'{code}\n')
        code = 1
    return subprocess.CompletedProcess(argv, code or 0, out.getvalue(), err.getvalue())
