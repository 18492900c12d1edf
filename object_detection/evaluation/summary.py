"""summary.html of a model_dir: run.json and the curves of the run, in one file that needs nothing else.

Imports no TensorFlow. matplotlib draws the curves, so this runs in a process of its own, not in the parent of a
training.
"""
import base64
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from object_detection.config import pipeline
from object_detection.evaluation import charts
from object_detection.evaluation.analysis import files as analysis_files
from object_detection.evaluation.charts import Line
from object_detection.runs import best as best_checkpoint
from object_detection.runs import curves
from object_detection.runs.metrics import best_of, class_of, has_value, is_loss, leading_metrics, short_name
from object_detection.runs.record import Record, now
from object_detection.utils import console, files, pages

NAME = 'summary.html'
MAP = 'DetectionBoxes_Precision/mAP'  # the one with intervals
_COLUMNS = 9  # metrics in the table of all evaluations
_EVALS = ('eval', 'eval_train')
_ABSENT: dict[str, Any] = {'from_step': None, 'step': None, 'seconds': None, 'peak_memory': None, 'device': '',
                           'message': '', 'warnings': []}  # what an entry of a phase may lack


def write(model_dir: str | Path) -> Path:
    """Write MODEL_DIR/summary.html and return its path; UserError if its run.json is damaged."""
    path = Path(model_dir) / NAME
    files.write_text(path, page(path.parent))
    return path


def page(folder: Path) -> str:
    """Return the page about a model_dir."""
    record = Record(folder)
    content = record.content
    phases = [{**_ABSENT, **phase} for phase in content['phases']]
    evaluations = evaluations_of(record)
    config = config_of(record)
    metrics = [name for name in evaluations[-1]['eval'] if not class_of(name)] if evaluations else []
    leading = leading_metrics(metrics)
    if kept := best_checkpoint.read(folder / best_checkpoint.FOLDER):  # chosen by --best_metric
        leading = [kept.metric, *(name for name in leading if name != kept.metric)]
    best = next((entry for entry in evaluations if entry['checkpoint'] == _best_at(leading[0], evaluations)), None
                ) if leading else None
    shown = best or (evaluations[-1] if evaluations else {})
    analysis = analysis_files.read(folder, shown['checkpoint'], shown['step']) if shown else None
    return pages.render(
        Path(__file__).parent, 'summary_template.html', analysis=analysis,
        pictures=dict(_pictures(folder, shown['checkpoint'])) if analysis else {},
        title=f'Training {folder.resolve().name}', folder=folder,
        written=now(), evaluations=evaluations, metrics=metrics,
        columns=_columns(metrics, evaluations), leading=leading, best=best, short=short_name,
        is_loss=is_loss, has_value=has_value, charts=list(_charts(folder, evaluations, leading, best)), phases=phases,
        totals=list(_totals(phases)), classes=_classes(best or (evaluations[-1] if evaluations else {'eval': {}})),
        starts=content['starts'], config=config,
        num_steps=pipeline.parse(config).train_config.num_steps if config else None,
        data=list(_data(folder, record)), warnings=list(_warnings(content)), duration=console.duration,
        state=_state(phases), best_at=lambda name: _best_at(name, evaluations))


def _pictures(folder: Path, checkpoint: str) -> Iterator[tuple[str, str]]:
    """Yield (name, data URL) of the pictures of an analysis; photographs as a JPEG."""
    for path in sorted(analysis_files.folder_of(folder, checkpoint).glob('*.png')):
        kind, content = 'png', path.read_bytes()
        if path.stem == 'worst_pictures':
            stream = io.BytesIO()
            with Image.open(path) as picture:
                picture.convert('RGB').save(stream, 'JPEG', quality=80)
            kind, content = 'jpeg', stream.getvalue()
        yield path.stem, f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def evaluations_of(record: Record) -> list[dict[str, Any]]:
    """Return the evaluated checkpoints by step: {'checkpoint', 'step', 'eval': {metric: value}, 'eval_train'}.

    Each has 'eval', which is empty if only the training pictures were evaluated.
    """
    found = [{'eval': {}, 'interval': None, **entry, 'checkpoint': name} for name, entry in record.entries.items()]
    return sorted(found, key=lambda entry: (entry['step'], entry['checkpoint']))


def config_of(record: Record) -> str:
    """Return the resolved pipeline.config of the last start that trained, or else of the last one; '' without any."""
    starts = record.content['starts']
    start = record.last_start() or (starts[-1] if starts else {})
    return record.content['configs'].get(start.get('config'), '')


def _columns(metrics: list[str], evaluations: list[dict[str, Any]]) -> list[str]:
    """Select the metrics for the table of all evaluations: the first ones that have a value, and the total loss."""
    with_value = [name for name in metrics if any(has_value(name, entry['eval'].get(name)) for entry in evaluations)]
    return [name for name in with_value if not is_loss(name)][:_COLUMNS] + [
        name for name in with_value if name == 'Loss/total_loss']


def _best_at(metric: str, evaluations: list[dict[str, Any]]) -> str | None:
    return best_of(metric, {entry['checkpoint']: entry['eval'].get(metric) for entry in evaluations})


def _state(phases: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far the training came, and how its last phase ended."""
    trained = [phase for phase in phases if phase['title'] == 'train']
    return {'step': max((phase['step'] for phase in trained if phase['step'] is not None), default=None),
            'last': phases[-1] if phases else None,
            'seconds': sum(phase['seconds'] or 0 for phase in trained)}


def _charts(folder: Path, evaluations: list[dict[str, Any]], leading: list[str], best: dict[str, Any] | None
            ) -> Iterator[tuple[str, Any]]:
    """Yield (title, SVG) of the curves: metrics, losses, learning rate, speed."""
    trained = curves.scalars(folder / 'train')
    evaluated = {title: {metric: [(entry['step'], entry[title][metric]) for entry in evaluations
                                  if entry.get(title, {}).get(metric) is not None]
                         for metric in {name for entry in evaluations for name in entry.get(title, {})}}
                 for title in _EVALS}
    shown = [*leading, *(name for name in (f'{leading[0]}@.50IOU', f'{leading[0]}@.75IOU') if name in evaluated['eval'])
             ] if leading else []
    lines = [Line(short_name(name), evaluated['eval'].get(name, []), number % 10, dots=True,
                  best=best['step'] if best and name == leading[0] else None,
                  ranges=_intervals(evaluations) if name == MAP else {}) for number, name in enumerate(shown)]
    lines += [Line(f'{short_name(name)}, training pictures', evaluated['eval_train'][name], number % 10, dashed=True)
              for number, name in enumerate(leading[:1]) if evaluated['eval_train'].get(name)]
    if lines:
        yield 'Metrics', charts.chart(lines, 'Metrics')
    losses = sorted({name for name in (*trained, *evaluated['eval']) if is_loss(name)},
                    key=lambda name: (name != 'Loss/total_loss', name))
    for name in losses:
        lines = [Line('training', trained.get(name, []), 0),
                 Line('evaluation', evaluated['eval'].get(name, []), 1, dots=True)]
        title = short_name(name).replace('_', ' ').replace('/', ': ')
        yield title[0].upper() + title[1:], charts.chart([line for line in lines if line.points], title)
    for name, title in (('learning_rate', 'Learning rate'), ('steps_per_sec', 'Steps per second')):
        if trained.get(name):
            yield title, charts.chart([Line(title, trained[name], 2)], title)


def _intervals(evaluations: list[dict[str, Any]]) -> dict[int, tuple[float, float]]:
    return {entry['step']: (entry['interval'][0], entry['interval'][1]) for entry in evaluations
            if entry.get('interval')}


def _classes(entry: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[tuple[str, float | None]]]]]:
    """Return (names of metrics, [(class, [(metric, its value)])]) of an evaluation that has metrics of each class."""
    values: dict[str, dict[str, tuple[str, float | None]]] = {}
    for metric, value in entry['eval'].items():
        if found := class_of(metric):
            values.setdefault(found[1], {})[found[0]] = (metric, value)
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    return names, [(label, [row.get(name, (name, None)) for name in names]) for label, row in values.items()]


def _totals(phases: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the sums over the phases of each title."""
    for title in dict.fromkeys(phase['title'] for phase in phases):
        members = [phase for phase in phases if phase['title'] == title]
        ended = [phase['outcome'] for phase in members if phase['outcome'] not in (None, 'done')]
        yield {'title': title, 'count': len(members), 'seconds': sum(phase['seconds'] or 0 for phase in members),
               'peak_memory': max(phase['peak_memory'] or 0 for phase in members),
               'others': {kind: ended.count(kind) for kind in dict.fromkeys(ended)}}


def _data(folder: Path, record: Record) -> Iterator[tuple[str, dict[str, Any], str | None]]:
    """Yield (input_reader, fingerprint, link to the report of prepare_data or None)."""
    starts = record.content['starts']
    for name, known in record.data_of(record.last_start() or (starts[-1] if starts else None)).items():
        reports = (Path(file['path']).parent / 'report.html' for file in known['files'])
        report = next((path for path in reports if path.is_file()), None)
        yield name, known, _link(report, folder) if report else None


def _link(path: Path, folder: Path) -> str:
    """Return a link from a page in `folder` to a file, relative where that is possible: both may move together."""
    try:
        relative = Path(os.path.relpath(path.resolve(), folder.resolve()))
    except ValueError:  # on another drive
        return path.resolve().as_uri()
    from urllib.parse import quote
    return quote(relative.as_posix())


def _recovered(recovery: dict[str, Any]) -> Iterator[str]:
    """Yield what commands/recovery.py has decided, a line each."""
    batch = recovery.get('accumulate', {'parts': 1})
    if batch['parts'] > (batch.get('asked') or 1):
        yield f'Memory ran out: each batch of {batch["batch_size"]} is computed in {batch["parts"]} parts.'
    for entry in recovery.get('rollbacks', []):
        yield (f'Step {entry["step"]} was not finite: training went back to {entry["checkpoint"]} with '
               f'{entry["factor"]:g} times the learning rate.')
    for reader, kept in recovery.get('skipped', {}).items():
        yield from (f'{reader}: skipped: {reason}' for reason in kept['records'].values())


def _warnings(content: dict[str, Any]) -> Iterator[str]:
    """Yield each warning of the run once: changes of the data, the config and records, phases, what was decided."""
    found = [f'Started again with other data at {start["started"]}: {line}'
             for start in content['starts'] for line in start.get('changes', [])]
    found += [line for start in content['starts'] for line in start.get('warnings', [])]
    found += [f'{phase["title"]}: {line}' for phase in content['phases'] for line in phase.get('warnings', [])]
    found += _recovered(content['recovery'])
    yield from dict.fromkeys(found)
