"""The run in MLflow: parameters, metrics over the steps, artifacts. Written from run.json and the TensorBoard files.

It may be called again and again: what is in MLflow already stays as it is, and a resumed training continues its run.
Where MLflow is, says MLFLOW_TRACKING_URI; without it everything goes into the folder mlflow of the model_dir.
"""
import importlib.util
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from object_detection.config import pipeline
from object_detection.runs import curves
from object_detection.runs.record import Record
from object_detection.utils import files, oslock
from object_detection.utils.errors import UserError

EXPERIMENT = 'object_detection'  # where MLFLOW_EXPERIMENT_NAME says nothing else
_SQLITE = 'sqlite:///'
_AT_ONCE, _LONGEST = 100, 500  # parameters and metrics that MLflow takes at once, characters of a value
_STATUS = {'done': 'FINISHED', 'interrupted': 'KILLED', None: 'RUNNING'}  # any other outcome: FAILED


def demand() -> None:
    """UserError if MLflow is not installed."""
    if importlib.util.find_spec('mlflow') is None:
        raise UserError("--tracker mlflow: MLflow is not installed; pip install '.[mlflow]' in the checkout, or "
                        'pip install mlflow')


def log(model_dir: str | Path, summary: Path, ended: bool = False) -> None:
    """Bring the run of a model_dir in MLflow up to date.

    Args:
        summary: the page to keep with it.
        ended: the command has ended; the run gets the status of its last phase.
    """
    from mlflow import MlflowClient
    logging.getLogger('mlflow').setLevel(logging.WARNING)
    folder = Path(model_dir)
    with oslock.turn(folder / '.mlflow.lock', 120):  # an evaluation beside the training may do the same
        uri = tracking_uri(folder)
        client, record = MlflowClient(uri), Record(folder)
        state = _state(client, record, uri)
        run_id = state['run_id']
        _log_config(client, run_id, record)
        _log_metrics(client, run_id, list(_points(folder, record, state)))
        for path in (summary, record.path):
            client.log_artifact(run_id, str(path))
        outcome = record.content['phases'][-1]['outcome'] if record.content['phases'] else 'done'
        client.set_terminated(run_id, _STATUS.get(outcome, 'FAILED')) if ended else client.update_run(run_id, 'RUNNING')
        with record.changing() as content:
            content['mlflow'] = state


def tracking_uri(model_dir: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or that of a database in the model_dir."""
    if uri := os.environ.get('MLFLOW_TRACKING_URI'):
        return uri
    return f'{_SQLITE}{(files.make_dir(model_dir / "mlflow").resolve() / "mlflow.db").as_posix()}'


def artifact_location(uri: str) -> str | None:
    """Return where the files of an experiment go: beside the database of a local one, where MLflow would make a folder
    mlruns in the current folder; None to leave it to MLflow."""
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).resolve().parent / 'mlartifacts').as_uri()


def _state(client: Any, record: Record, uri: str) -> dict[str, Any]:
    """Return what run.json says of the run in MLflow: {'uri', 'run_id', 'logged': {tag: last step}}.

    Begin a run if there is none; one elsewhere, or one that was deleted, is not continued.
    """
    from mlflow.exceptions import MlflowException
    state = record.content.get('mlflow', {})
    if state.get('uri') == uri:
        try:
            if client.get_run(state['run_id']).info.lifecycle_stage == 'active':
                return state
        except MlflowException:
            pass  # there is no such run any more
    name = os.environ.get('MLFLOW_EXPERIMENT_NAME', EXPERIMENT)
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name, artifact_location(uri))
    run = client.create_run(experiment, run_name=record.folder.resolve().name)
    state = {'uri': uri, 'run_id': run.info.run_id, 'logged': {}}
    with record.changing() as content:  # at once: nothing begins a second run if this process is killed now
        content['mlflow'] = state
    return state


def _log_config(client: Any, run_id: str, record: Record) -> None:
    """Log the resolved config, as parameters and as a file, and versions and machine as tags.

    MLflow lets no parameter change; one that another start has set otherwise becomes a tag.
    """
    from mlflow.entities import Param, RunTag
    starts = record.content['starts']
    start = record.last_start() or (starts[-1] if starts else {})
    text = record.content['configs'].get(start.get('config'), '')
    wanted = {_name(re.sub(r'\[(\d+)\]', r'.\1', field)): value[:_LONGEST]
              for field, value in pipeline.fields(pipeline.parse(text)).items()}
    known = client.get_run(run_id).data.params
    fresh = [Param(name, value) for name, value in wanted.items() if name not in known]
    tags = {**start.get('versions', {}), 'command': ' '.join(start.get('command', []))}
    tags |= {f'machine.{name}': str(value) for name, value in start.get('machine', {}).items()}
    tags |= {f'changed.{name}': value for name, value in wanted.items() if known.get(name, value) != value}
    tags |= {f'data.{name}': digest for name, digest in start.get('data', {}).items()}
    for first in range(0, len(fresh), _AT_ONCE):
        client.log_batch(run_id, params=fresh[first:first + _AT_ONCE])
    client.log_batch(run_id, tags=[RunTag(_name(name), value[:_LONGEST]) for name, value in tags.items()])
    if text:
        client.log_text(run_id, text, 'pipeline.config')


def _log_metrics(client: Any, run_id: str, points: list[tuple[str, int, float]]) -> None:
    from mlflow.entities import Metric
    now = int(time.time() * 1000)
    metrics = [Metric(_name(tag), value, now, step) for tag, step, value in points]
    for first in range(0, len(metrics), _AT_ONCE):
        client.log_batch(run_id, metrics=metrics[first:first + _AT_ONCE])


def _points(folder: Path, record: Record, state: dict[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Yield (tag, step, value) of what is not logged yet, and note it in the state."""
    found = {f'train/{tag}': curve for tag, curve in curves.scalars(folder / 'train').items()}
    for entry in sorted(record.entries.values(), key=lambda entry: entry['step']):
        for title in ('eval', 'eval_train'):
            for metric, value in entry.get(title, {}).items():
                if value is not None:
                    found.setdefault(f'{title}/{metric}', []).append((entry['step'], value))
    for tag, curve in found.items():
        last = state['logged'].get(tag, -1)
        yield from ((tag, step, value) for step, value in curve if step > last)
        state['logged'][tag] = max([last, *(step for step, _ in curve)])


def _name(name: str) -> str:
    """Return a name that MLflow takes: letters, digits, and _ - . space : /"""
    return re.sub(r'[^\w\-. :/]', '_', name)
