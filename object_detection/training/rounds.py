"""Train, checkpoint, evaluate that checkpoint, and again: what the parent process does. Imports no TensorFlow.

Every phase is a fresh process (utils/phases.py). What is to be done next depends on files alone, so a run that was
killed at any moment goes on with the same command: an unevaluated checkpoint is evaluated first, then trained on.
"""
import collections
import contextlib
import json
import math
from pathlib import Path

from object_detection.config import paths as config_paths
from object_detection.utils import console, files, phases
from object_detection.utils.errors import UserError

PRELOAD = ['object_detection.training.train', 'object_detection.evaluation.evaluate']
RECORD = 'metrics.json'  # in the model_dir: {checkpoint name: {'step', 'eval': {metric: value}, 'eval_train': ...}}
HEADLINE = ('DetectionBoxes_Precision/mAP@.50IOU', 'Loss/total_loss')  # beside the first number of each metric


def train_phase(report, stopping, **arguments):
    """The phase that trains to the next checkpoint; only its process imports TensorFlow."""
    from object_detection.training.train import train
    return train(report, stopping, **arguments)


def evaluate_phase(report, stopping, **arguments):
    """The phase that evaluates a checkpoint; only its process imports TensorFlow."""
    from object_detection.evaluation.evaluate import evaluate
    return evaluate(report, stopping, **arguments)


class Rounds:
    """One run of train_and_eval_tf2.py on one model_dir.

    Args:
        worker: a phases.Worker, already started, for the first phase.
        config_text: the pipeline.config.
        training: further arguments of training.train.train (num_steps, checkpoint_every_n, ...).
        evaluations: {'eval': arguments of training.evaluate.evaluate, 'eval_train': ...}, each done in turn.
    """

    def __init__(self, worker, config_text, model_dir, training, evaluations):
        self.folder, self.training, self.evaluations = Path(model_dir), training, evaluations
        self.shared = {'config_text': config_text, 'model_dir': str(model_dir)}
        self._worker = worker
        self._path = self.folder / RECORD
        self.record = json.loads(self._path.read_text(encoding='utf-8')) if self._path.exists() else {}

    def run(self):
        """Until num_steps are trained and the last checkpoint is evaluated.

        Raises:
            UserError: a phase ended badly; the message says how and what to do.
            KeyboardInterrupt: the user asked to stop; a checkpoint was left.
        """
        checkpoints = config_paths.numbered(self.folder)
        if checkpoints and not self._evaluated(checkpoints[0].name):
            self.evaluate()
        step = 0
        while step < self.training['num_steps']:
            trained = self._phase(train_phase, 'train', self.training)
            step = trained['step']
            if trained['trained']:
                self.evaluate()

    def evaluate(self):
        """Evaluate the newest checkpoint on each set of records it has not been evaluated on."""
        for name, arguments in self.evaluations.items():
            known = [checkpoint for checkpoint, entry in self.record.items() if name in entry]
            data = self._phase(evaluate_phase, name, {**arguments, 'known': known})
            if data:
                entry = self.record.setdefault(Path(data['checkpoint']).name, {})
                values = {key: None if math.isnan(value) else value for key, value in data['metrics']}  # as JSON has it
                entry.update({'step': data['step'], name: values})
                self._write_record()
                self._show(name, data)

    def _evaluated(self, checkpoint):
        return set(self.evaluations) <= set(self.record.get(checkpoint, ()))

    def _phase(self, phase, title, arguments):
        """Run one phase in a fresh process, draw its events; returns its data."""
        worker, self._worker = self._worker or phases.Worker(PRELOAD), None
        with worker, _Screen(title, arguments.get('num_steps'), self._saved) as screen:
            outcome = worker.run(phase, {**self.shared, **arguments}, self.folder / 'outcome.json', screen.event)
        if outcome.kind == phases.INTERRUPTED:
            raise KeyboardInterrupt
        if outcome.kind == phases.BAD_INPUT:
            raise UserError(outcome.message)
        if outcome.kind != phases.DONE:
            raise UserError(f'{title} ended: {outcome.kind}: {outcome.message}. What was saved stays; the same '
                            'command goes on from the last whole checkpoint')
        return outcome.data

    def _saved(self, checkpoint):
        """A checkpoint was written: what the record says of an earlier one of that name is no longer true."""
        if self.record.pop(Path(checkpoint).name, None):
            self._write_record()

    def _write_record(self):
        files.write_text(self._path, json.dumps(self.record, indent=1))

    def _show(self, name, data):
        values = dict(data['metrics'])
        leading = leading_metrics(values)
        headline = ', '.join(f'{key.removeprefix("DetectionBoxes_Precision/").removeprefix("Loss/")} {values[key]:.4f}'
                             for key in values if key in leading or key in HEADLINE)
        console.log(f'{name}: step {data["step"]}, {data["pictures"]} pictures: {headline}')

    def summary(self):
        """Print all metrics of the newest evaluation, and by the first of them, a mAP, the best checkpoint there is."""
        steps = {name: entry for name, entry in self.record.items() if entry.get('eval')}
        if not steps:
            return
        newest = max(steps, key=lambda name: steps[name]['step'])
        main = leading_metrics(steps[newest]['eval'])[0]
        console.table(['metric', 'value'], [(key, math.nan if value is None else value)
                                            for key, value in steps[newest]['eval'].items()],
                      title=f'{self.folder / newest}, step {steps[newest]["step"]}')
        rivals = [name for name in steps if steps[name]['eval'].get(main) is not None]
        if rivals:
            title = main.removeprefix('DetectionBoxes_Precision/')
            ranks = sorted(rivals, key=lambda name: steps[name]['eval'][main], reverse=True)
            best = next((name for name in ranks if (self.folder / f'{name}.index').exists()), None)
            if best:
                console.log(f'best {title} {steps[best]["eval"][main]:.4f}: {self.folder / best}, '
                            f'step {steps[best]["step"]}; all metrics: {self._path}')
            if best is None or steps[ranks[0]]['eval'][main] > steps[best]['eval'][main]:
                console.log(f'{title} {steps[ranks[0]]["eval"][main]:.4f} was reached by {ranks[0]}, step '
                            f'{steps[ranks[0]]["step"]}, which is there no more; --checkpoint_max_to_keep says how '
                            'many stay')


def leading_metrics(names):
    """Of the names in an evaluation the first of each metric in metrics_set: its mAP."""
    first = {}
    for name in names:
        first.setdefault(name.split('/')[0], name)
    return [name for group, name in first.items() if group.endswith('_Precision')]


def short_names(tags):
    """Of each tag the last part, of those that would be the same the last two."""
    ends = collections.Counter(tag.split('/')[-1] for tag in tags)
    return ['/'.join(parts[-1 if ends[parts[-1]] == 1 else -2:]) for parts in (tag.split('/') for tag in tags)]


class _Screen:
    """Draws the events of one phase."""

    def __init__(self, title, total, on_saved):
        self._title, self._total, self._on_saved = title, total, on_saved
        self._stack, self._bar = contextlib.ExitStack(), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def event(self, name, **values):
        getattr(self, f'_{name}')(**values)

    def _device(self, device, count):
        if self._title == 'train':
            console.log(f'device: {device}' + (f', {count} of them' if count > 1 else ''))

    def _restored(self, checkpoint, step):
        console.log(f'{self._title}: {checkpoint}, step {step}')
        if self._title != 'train':
            self._bar = self._stack.enter_context(console.progress(self._title, None, 'pictures'))

    def _fine_tuned(self, checkpoint, table, new):
        console.log(f'train: starts from {checkpoint}')
        console.table(['part of the model', 'restored', 'new', 'other shape'], table)
        if new:
            console.log(f'train: {len(new)} variables of another shape start new: {", ".join(new[:4])}')

    def _warning(self, text):
        console.warn(text)

    def _started(self, step, target):
        self._bar = self._stack.enter_context(console.progress('train', self._total, 'steps', start=step))

    def _progress(self, step, loss, steps_per_second):
        self._bar.update(step, loss=loss)

    def _log(self, step, steps_per_second, values):
        if not console.is_terminal():
            console.log(f'train: step {step}, {steps_per_second:.3g} steps/s, ' +
                        ', '.join(f'{name} {value:.4g}' for name, value in zip(short_names(values), values.values())))

    def _saved(self, checkpoint, step):
        self._on_saved(checkpoint)
        console.log(f'train: step {step} saved as {checkpoint}')

    def _evaluated(self, pictures):
        self._bar.update(pictures)
