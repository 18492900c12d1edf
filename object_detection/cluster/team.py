"""Phases that run on all machines at the same time: one process per machine and phase, and one outcome for all."""
import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from object_detection.cluster.meeting import Chief, Follower, free_port
from object_detection.config import paths
from object_detection.utils import phases
from object_detection.utils.errors import UserError

_POLL = .5  # seconds between looks for a file that another machine has written


class Worker(phases.Worker):
    """The process of the chief's next phase. Its `run` runs the phase on all machines.

    Args:
        model_dir: of the command; a phase works in it or in a folder below it.
    """

    def __init__(self, preload: Sequence[str], chief: Chief, model_dir: str | Path) -> None:
        super().__init__(preload)
        self._chief, self._model_dir = chief, Path(model_dir)

    def another(self) -> 'Worker':
        return Worker(self._preload, self._chief, self._model_dir)

    def run(self, phase: phases.Phase, arguments: dict[str, Any], outcome_path: str | Path,
            on_event: Callable[..., object], watchdog: float | None = None) -> phases.Outcome:
        """As phases.Worker.run. The outcome is that of the chief if all are done, otherwise that of the machine whose
        phase failed first."""
        members = self._chief.members
        newest = next(iter(paths.training_checkpoints(arguments['model_dir'])), None)
        order = {name: list(value) if isinstance(value, (set, frozenset, tuple)) else value
                 for name, value in arguments.items()}
        order['model_dir'] = Path(arguments['model_dir']).relative_to(self._model_dir).as_posix()
        addresses = self._chief.order(phase.__name__, {**order, 'newest': newest and newest.name, 'watchdog': watchdog})
        with self._chief.failures(self.end):
            own = super().run(phase, {**arguments, 'cluster': {'index': 0, 'addresses': addresses}}, outcome_path,
                              _Connected(on_event, self.end, self._chief.timeout), watchdog)
            others = self._chief.outcomes(own.kind)
        found: dict[int, phases.Outcome] = {}
        for index, message in others.items():
            if isinstance(message, str):
                found[index] = phases.Outcome(phases.KILLED, message)
            else:
                found[index] = phases.Outcome(**message['outcome'])
        found[0] = own
        failed = {i: outcome for i, outcome in found.items() if outcome.kind != phases.DONE}
        if not failed:
            return own
        consequences = phases.LOST, phases.ENDED
        first = min(failed, key=lambda i: failed[i].kind in consequences)  # the earliest of those that are causes
        outcome = failed[first]
        message = f'{members.name(first)}: {outcome.message}' if first else outcome.message
        return dataclasses.replace(outcome, message=message, peak_memory=own.peak_memory)


def follow(follower: Follower, worker: phases.Worker, known: Mapping[str, phases.Phase], model_dir: Path,
           watch: Callable[[str, int | None], Any], fetch: Callable[[], object] = lambda: None) -> None:
    """Run the phases that the chief orders, until it ends the command.

    Args:
        worker: for the first phase.
        known: {name: phase} of those that can be ordered.
        model_dir: of this machine's command line; the same folder as that of the chief.
        watch: called with the name of a phase and its num_steps; returns a context manager that shows its events.
        fetch: called before each phase; brings model_dir to where the chief has it.
    Raises:
        UserError: the chief ended with an error, or is gone.
        KeyboardInterrupt: a machine was interrupted.
    """
    fresh = True
    while True:
        message = follower.wait('order')
        if message['kind'] == 'end':
            return
        if not fresh:
            worker = worker.another()
        fresh = False
        phase, arguments = known[message['phase']], message['arguments']
        newest, watchdog = arguments.pop('newest'), arguments.pop('watchdog')
        own_dir = model_dir / arguments['model_dir']
        arguments['model_dir'] = str(own_dir)
        with tempfile.TemporaryDirectory() as folder, worker:
            try:
                fetch()
                _wait_for(own_dir, newest, follower.timeout)
            except UserError as error:
                follower.send('outcome', outcome=dataclasses.asdict(phases.Outcome(phases.BAD_INPUT, str(error))))
                raise
            follower.send('port', port=free_port())
            answer = follower.wait('go', 'stop')
            if answer['kind'] != 'go':
                continue
            arguments['cluster'] = {'index': follower.members.index, 'addresses': answer['addresses']}
            with follower.stops(worker.end), watch(message['phase'], arguments.get('num_steps')) as show:
                outcome = worker.run(phase, arguments, Path(folder, 'outcome.json'),
                                     _Connected(show, worker.end, follower.timeout), watchdog)
            follower.send('outcome', outcome=dataclasses.asdict(outcome))


class _Connected:
    """Pass events on; end the phase if it has not connected with those of the other machines in time."""

    def __init__(self, on_event: Callable[..., object], end: Callable[[str, str], object], timeout: float) -> None:
        self._on_event = on_event
        reason = f'the TensorFlow servers of the machines did not connect within {timeout:g} s (--barrier_timeout)'
        self._timer = threading.Timer(timeout, end, [reason, phases.HUNG])
        self._timer.daemon = True

    def __call__(self, event: str, /, **values: Any) -> None:
        if event == 'connecting':
            self._timer.start()
            return
        self._timer.cancel()
        self._on_event(event, **values)


def _wait_for(model_dir: Path, checkpoint: str | None, timeout: float) -> None:
    """Wait until a file system that is slow to tell shows the chief's newest checkpoint here, too."""
    end = time.monotonic() + timeout
    while checkpoint and not (model_dir / f'{checkpoint}.index').exists():
        if time.monotonic() >= end:
            raise UserError(f'{model_dir} has no {checkpoint}, which the chief sees in its model_dir; it must be '
                            'the same shared folder on all machines')
        time.sleep(_POLL)
