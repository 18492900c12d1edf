"""The part of a training command that is about several machines: who leads, who follows, and what must be the same."""
import argparse
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from object_detection.cluster import members, team
from object_detection.cluster.meeting import Chief, Follower
from object_detection.commands.runs import evaluate_phase, train_phase
from object_detection.commands.workers import PRELOAD
from object_detection.runs import about
from object_detection.training import screen
from object_detection.utils import phases

PHASES = {phase.__name__: phase for phase in (train_phase, evaluate_phase)}
TITLES = {train_phase.__name__: 'train', evaluate_phase.__name__: 'eval'}


@contextlib.contextmanager
def starting(options: argparse.Namespace) -> Iterator[tuple[phases.Worker, Chief | Follower | None]]:
    """Yield the process of the first phase, and the meeting with the other machines; None if there are none."""
    found = members.find(options.workers, options.worker_index, os.environ)
    if found is None:
        with phases.Worker(PRELOAD) as worker:
            yield worker, None
    elif found.index:
        with phases.Worker(PRELOAD) as worker, Follower(found, options.barrier_timeout) as follower:
            yield worker, follower
    else:
        with Chief(found, options.barrier_timeout) as chief, team.Worker(PRELOAD, chief, options.model_dir) as worker:
            yield worker, chief


def facts(config: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same on all machines.

    Args:
        config: TrainEvalPipelineConfig, with what the options change.
        data: {name of the input_reader: fingerprint}.
    """
    from object_detection.config import pipeline
    versions = about.versions()
    versions.pop('Python')  # another patch level does no harm
    return {'config': pipeline.to_text(config), 'versions': versions, 'gpus': len(about.machine()['gpus']),
            'data': {name: fingerprint['digest'] for name, fingerprint in data.items()}}


def follow(follower: Follower, worker: phases.Worker, options: argparse.Namespace,
           fetch: Callable[[], object]) -> None:
    """Run the phases that the chief orders, and show their events; see team.follow."""
    @contextlib.contextmanager
    def watch(phase: str, num_steps: int | None) -> Iterator[Any]:
        with screen.Screen(TITLES[phase], num_steps) as drawn:
            yield lambda name, **values: drawn.show(name, values)
    team.follow(follower, worker, PHASES, options.model_dir, watch, fetch)
