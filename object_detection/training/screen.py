"""Print the events and results of a training run. Imports no TensorFlow."""
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from object_detection.evaluation.analysis import bootstrap, files
from object_detection.runs import best
from object_detection.runs.metrics import best_of, better, has_value, leading_metrics, short_name, short_names, text
from object_detection.runs.record import Record
from object_detection.utils import console

# Shown in the table of an evaluation besides the headline.
COMPARED = ('DetectionBoxes_Precision/mAP@.75IOU', 'DetectionBoxes_Recall/AR@100',
            'DetectionMasks_Precision/mAP@.50IOU')
MAP = 'DetectionBoxes_Precision/mAP'
MOST_CLASSES = 20  # in the table of the terminal
HEADLINE = ('DetectionBoxes_Precision/mAP@.50IOU', 'Loss/total_loss')  # printed beside the mAP of each metric


class Screen:
    """Print the events of one phase; a context manager, for its progress bar.

    Args:
        title: 'train', or that of the evaluation.
        num_steps: where training ends.
    """

    told: ClassVar[set[str]] = set()  # what one line in a run of many phases says

    def __init__(self, title: str, num_steps: int | None = None) -> None:
        self._title, self._num_steps = title, num_steps
        self._stack = contextlib.ExitStack()
        self._bar: Any = None

    def __enter__(self) -> 'Screen':
        console.stage(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, event: str, values: dict[str, Any]) -> None:
        """Print an event of training.train.train or evaluation.evaluator.evaluate, which list them."""
        getattr(self, f'_{event}')(**values)

    def _device(self, device, count):
        if self._title == 'train':
            console.log(f'device: {device}' + (f', {count} of them' if count > 1 else ''))

    def _precision(self, precision):
        if precision != 'float32':
            console.log(f'precision: {precision}')

    def _restored(self, checkpoint, step):
        console.log(f'{self._title}: {checkpoint}, step {step}')
        if self._title != 'train':
            self._bar = self._stack.enter_context(console.progress(self._title, None, 'pictures'))

    def _fine_tuned(self, checkpoint, table, reshaped):
        console.log(f'train: starts from {checkpoint}')
        console.table(['part of the model', 'restored', 'new', 'other shape'], table)
        if reshaped:
            console.log(f'train: {len(reshaped)} variables of another shape keep their initial values: '
                        f'{", ".join(reshaped[:4])}')

    def _warning(self, text):
        console.warn_once(text)  # every phase finds the same damaged checkpoint, the same damaged picture

    def _started(self, step, target):
        self._bar = self._stack.enter_context(console.progress('train', self._num_steps, 'steps', start=step))

    def _progress(self, step, loss, steps_per_second):
        self._bar.update(step, loss=loss)

    def _log(self, step, steps_per_second, values):
        if not console.is_terminal():
            console.log(f'train: step {step}, {steps_per_second:.3g} steps/s, ' +
                        ', '.join(f'{name} {value:.4g}' for name, value in zip(short_names(values), values.values())))

    def _saved(self, checkpoint, step):
        console.log(f'train: step {step} saved as {checkpoint}')

    def _slimmed(self, checkpoints):
        if 'slimmed' not in Screen.told:
            Screen.told.add('slimmed')
            console.log(f'train: the state of the optimizer was taken out of {", ".join(checkpoints)}: only the newest '
                        'checkpoints keep it (--keep_optimizer)')

    def _skipped(self, reader, records):
        for line in records.values():
            console.warn(f'{reader}: skipped: {line}')

    def _evaluated(self, pictures):
        self._bar.update(pictures)


def show_end(title: str, seconds: float, peak_memory: int | None) -> None:
    """Print how long a phase took that is done, and the most memory it had, in bytes."""
    memory = f', {peak_memory / 1e9:.2f} GB of memory' if peak_memory else ''
    console.log(f'{title}: done in {console.duration(seconds)}{memory}', 'soft')


def show_evaluation(title: str, step: int, pictures: int, metrics: Sequence[tuple[str, float]],
                    record: Record | None = None, skipped: int = 0, analysis: dict[str, Any] | None = None) -> None:
    """Print one line about an evaluation: the mAP of each metric, and HEADLINE; then a table of what changed.

    Args:
        skipped: the number of broken records that were not evaluated.
        record: with this evaluation and those before it; None for no table.
        analysis: of this evaluation, as its phase returns it.
    """
    chosen = {*leading_metrics(name for name, _ in metrics), *HEADLINE}
    headline = ', '.join(f'{short_name(name)} {value:.4f}' for name, value in metrics if name in chosen)
    missing = f', {skipped} broken {"one" if skipped == 1 else "ones"} skipped' if skipped else ''
    low, high = (analysis or {}).get('interval') or (None, None)
    sure = f'; mAP is between {low:.3f} and {high:.3f} (95 %)' if low is not None else ''
    console.log(f'{title}: step {step}, {pictures} pictures{missing}: {headline}{sure}')
    entries = sorted((entry for entry in record.entries.values() if title in entry and entry['step'] < step),
                     key=lambda entry: entry['step']) if record else []
    if entries:
        chance = title == 'eval' and analysis is not None and _is_chance(record, entries[-1], pictures, analysis)
        rows = [_changed(name, value, step, [(entry['step'], entry[title].get(name)) for entry in entries],
                         chance and name == MAP)
                for name, value in metrics if name in {*chosen, *COMPARED} and has_value(name, value)]
        console.table(['metric', f'step {step}', f'since step {entries[-1]["step"]}', 'best', 'at step'], rows)


def _changed(name: str, value: float, step: int, before: list[tuple[int, float | None]], chance: bool) -> list[Any]:
    """Return the row of one metric: its value, the difference to the evaluation before, the best value and its step.

    before: (step, value) of all earlier evaluations. chance: the difference may be chance.
    """
    known = {at: old for at, old in before if old is not None and has_value(name, old)}
    last = known.get(before[-1][0])
    difference = console.Styled('', 'soft')
    if last is not None:
        style = 'soft' if value == last or chance else 'good' if better(name, value, last) else 'bad'
        difference = console.Styled(f'{value - last:+.4f}{" (chance?)" if chance else ""}', style)
    top = best_of(name, {str(at): old for at, old in [*known.items(), (step, value)]}) or str(step)
    newest = top == str(step)
    return [short_name(name), f'{value:.4f}', difference,
            console.Styled(f'{value if newest else known[int(top)]:.4f}', 'good' if newest else 'soft'),
            console.Styled('now' if newest else top, 'good' if newest else 'soft')]


def _is_chance(record: Record | None, before: dict[str, Any], pictures: int, analysis: dict[str, Any]) -> bool:
    """Return whether the change of mAP since an earlier evaluation of the same pictures may be chance."""
    assert record is not None
    name = next(name for name, entry in record.entries.items() if entry is before)
    known = files.read(record.folder, name, before['step'])
    if not known or not known['resamples'] or not analysis['resamples'] or known['pictures'] != pictures:
        return False
    return not bootstrap.tells_apart(known['resamples'], analysis['resamples'], analysis['map'] - known['map'])


def show_metrics(metrics: Mapping[str, float | None], title: str) -> None:
    """Print all metrics of an evaluation."""
    console.table(['metric', 'value'], [(name, text(name, value)) for name, value in metrics.items()], title=title)


def show_classes(analysis: dict[str, Any] | None) -> None:
    """Print a table of the classes, the worst first; classes.csv has all of them."""
    classes = [entry for entry in (analysis or {}).get('classes', []) if entry['groundtruth'] or entry['wrong']]
    if not classes:
        return
    classes.sort(key=lambda entry: (-1. if entry['ap'] is None else entry['ap'], entry['name']))

    def number(value: float | None) -> str:
        return '-' if value is None else f'{value:.3f}'
    rows = [(entry['name'], entry['groundtruth'],
             *(number(entry[name]) for name in ('ap', 'ap50', 'ar', 'threshold', 'precision', 'recall')),
             entry['right'], entry['wrong'], entry['missed']) for entry in classes[:MOST_CLASSES]]
    more = f', {len(rows)} of {len(classes)}' if len(rows) < len(classes) else ''
    console.table(['class', 'boxes', 'AP', 'AP@.50', 'AR', 'score from', 'precision', 'recall', 'right', 'wrong',
                   'missed'], rows, title=f'classes, the worst first{more}; from precision on at the score with the '
                  'best F1, IoU 0.5')


def show_summary(record: Record) -> None:
    """Print all metrics of the newest evaluation, and which checkpoints are the best and the last."""
    entries = {name: entry for name, entry in record.entries.items() if entry.get('eval')}
    if not entries:
        return
    newest = max(entries, key=lambda name: entries[name]['step'])
    metrics, step = entries[newest]['eval'], entries[newest]['step']
    show_metrics(metrics, f'{record.folder / newest}, step {step}')
    show_classes(files.read(record.folder, newest, step))
    kept = best.read(record.folder / best.FOLDER)
    if kept:
        value = metrics.get(kept.metric)
        known = 'no value' if value is None else f'{value:.4f}'
        console.log(f'best: {short_name(kept.metric)} {kept.value:.4f}, step {kept.step}: {kept.prefix}')
        console.log(f'last: {short_name(kept.metric)} {known}, step {step}: {record.folder / newest}')
    console.log(f'all metrics: {record.path}')
