"""How a training goes on after a phase that ended badly: less memory at once, a lower learning rate, fewer records.

What was decided stands under `recovery` in run.json, so that the same command goes on with it:

    {"accumulate": {"parts": 4, "asked": null, "batch_size": 8},
     "rollbacks": [{"step", "checkpoint", "factor", "pictures", "optimizer"}],      # newest last
     "skipped": {name of the input_reader: {"data": digest, "records": {index: reason}}}}
"""
import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from object_detection.commands.runs import PhaseFailed, skipping, train_phase
from object_detection.config import checks, paths, pipeline
from object_detection.runs.record import Record, digest
from object_detection.utils import args, console, errors, files, phases

LOWER = .5  # what a rollback multiplies the learning rate by
PROBE_STEPS = 3  # of a measurement: the first batch, the slots of the optimizer, the next batches that are read ahead
SMALLER = .75, .5, .375, .25  # sizes of pictures that are tried, relative to that of the config
_PROBE = '.probe'  # folder in the model_dir
NOT_FINITE = 'not_finite'  # folder in the model_dir, also of training/suspects.py


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --accumulate, --on_oom, --on_nan, --max_rollbacks, --skip_bad_records, --watchdog."""
    group = parser.add_argument_group('memory, and what may go wrong')
    add = group.add_argument
    add('--accumulate', type=args.positive_int, metavar='N', help='compute each batch in N parts, one after the other, '
        'and add up their gradients: the same batch and learning rate with less memory (default: that of the run in '
        'model_dir, else 1)')
    add('--on_oom', choices=('stop', 'accumulate'), default='stop', help='when memory runs out, end and say what would '
        'fit, or go on with batches in as many parts as needed')
    add('--on_nan', choices=('stop', 'rollback'), default='stop', help='when a loss or a weight is not finite, end or '
        'go on from the last checkpoint with half the learning rate; the pictures of the batch are kept in any case')
    add('--max_rollbacks', type=args.positive_int, default=3, metavar='N',
        help='with --on_nan rollback, at most N times')
    add('--skip_bad_records', type=args.count, default=0, metavar='N',
        help='go on without broken records, up to N of each input_reader')
    add('--watchdog', type=args.minutes, default=30., metavar='MINUTES', help='end a phase that has come no further '
        'for so long, and show where it hangs; 0: never')


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message if options are given that have no effect here."""
    if options.eval_only or options.checkpoint_dir:
        for name in ('accumulate', 'on_oom', 'on_nan', 'max_rollbacks'):
            if getattr(options, name) != parser.get_default(name):
                parser.error(f'--{name}: goes with training, and --'
                             f'{"eval_only" if options.eval_only else "checkpoint_dir"} only evaluates')


def check_parts(options: argparse.Namespace, config: Any) -> list[checks.Finding]:
    """Return what is wrong with --accumulate for the batch size of a config; only the phase counts the devices."""
    batch_size = config.train_config.batch_size
    if not options.accumulate or batch_size % options.accumulate == 0:
        return []
    return [checks.error('--accumulate', f'is {options.accumulate}; a batch of {batch_size} (train_config.batch_size) '
                         f'cannot be divided into that many equal parts; allowed: '
                         f'{", ".join(map(str, _divisors(batch_size)))}')]


class Recovery:
    """Keeps what was decided about a training, and decides what comes after a train phase that ended badly.

    Args:
        record: of the model_dir, which is locked by this command.
        config: TrainEvalPipelineConfig, checked.
        options: from the command line.
    """

    def __init__(self, record: Record, config: Any, options: argparse.Namespace) -> None:
        self._record, self._config, self._options = record, config, options
        self._batch_size = config.train_config.batch_size
        self._optimizer = digest(pipeline.to_text(config.train_config.optimizer))
        shutil.rmtree(record.folder / _PROBE, ignore_errors=True)  # of a command that was killed
        self._begin()

    def _begin(self) -> None:
        """Take over what earlier starts of this training have decided, and say so."""
        asked = self._options.accumulate
        with self._record.changing() as content:
            known = content['recovery']
            if not paths.training_checkpoints(self._record.folder):  # it begins anew
                known = {name: kept for name, kept in known.items() if name == 'skipped'}
            before = known.get('accumulate', {})
            valid = before.get('batch_size') == self._batch_size and before['parts'] in _divisors(self._batch_size)
            if not valid or asked not in (None, before.get('asked')):
                before = {'parts': asked or 1, 'asked': asked, 'batch_size': self._batch_size}
            content['recovery'] = {**known, 'accumulate': before, 'rollbacks': known.get('rollbacks', [])}
        if self.parts > (asked or 1):
            console.log(f'train: each batch in {self.parts} parts, as before in this run; --accumulate 1 turns that '
                        'off')
        if rollbacks := self._rollbacks():
            console.log(f'train: the learning rate is {rollbacks[-1]["factor"]:g} times that of the config, since the '
                        f'rollback at step {rollbacks[-1]["step"]}; another optimizer in the config ends this')
        elif known.get('rollbacks'):
            console.log('train: the optimizer of the config has changed, so its learning rate counts again as it '
                        'stands there')

    @property
    def parts(self) -> int:
        """The number of parts of a batch."""
        return self._record.content['recovery']['accumulate']['parts']

    def _rollbacks(self) -> list[dict[str, Any]]:
        """Those that happened with the optimizer of the config."""
        return [entry for entry in self._record.content['recovery']['rollbacks']
                if entry['optimizer'] == self._optimizer]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a train phase that follow from what was decided."""
        factor = next((entry['factor'] for entry in reversed(self._rollbacks())), 1.)
        return {'accumulate': self.parts, 'learning_rate_factor': factor,
                **skipping(self._record, 'train', self._options)}

    def after(self, failed: PhaseFailed, workers: Iterator[phases.Worker], arguments: dict[str, Any]) -> None:
        """Decide how training goes on after a phase that ended badly; raise a UserError if it does not.

        Args:
            workers: fresh ones, for measurements.
            arguments: of the train phase.
        """
        if failed.outcome.kind == phases.OUT_OF_MEMORY:
            self._after_out_of_memory(failed, workers, arguments)
        elif failed.outcome.kind == phases.NOT_FINITE:
            self._after_not_finite(failed)
        elif failed.outcome.data.get('again'):
            console.warn(f'train: {failed.outcome.message}')
        else:
            raise failed

    def _after_out_of_memory(self, failed, workers, arguments):
        console.warn(f'{failed.reason} What would fit is being measured; Ctrl-C ends this')
        more = [n for n in _divisors(self._batch_size) if n > self.parts]
        parts = next((n for n in more if self._fits(next(workers), arguments, n)), None)
        if parts and self._options.on_oom == 'accumulate':
            with self._record.changing() as content:
                content['recovery']['accumulate']['parts'] = parts
            console.warn(f'train: goes on from the last checkpoint with each batch in {parts} parts of '
                         f'{self._batch_size // parts}: the same batch and learning rate. Batch normalization that is '
                         'not frozen takes the moments of each part (docs/training.md)')
            return
        found = [f'batch_size {self._batch_size // parts} at this size of pictures'] if parts else []
        sizes, at = list(_smaller(self._config)), self.parts if parts else self._batch_size
        size = next((size for text, size in sizes
                     if self._fits(next(workers), {**arguments, 'config_text': text}, at, size)), '')
        if size:
            found.append(f'pictures of {size} (image_resizer) ' + (f'at batch_size {self._batch_size}' if parts else
                                                                   f'one at a time (--accumulate {self._batch_size})'))
        nothing = 'not even one picture at a time fits' + (f', nor at {sizes[-1][1]} pixels' if sizes else '')
        measured = f'Measured here, this fits: {"; ".join(found)}' if found else f'Measured here, {nothing}'
        advice = f'. --on_oom accumulate goes on with the batch of {self._batch_size} in {parts} parts' if parts else ''
        raise errors.UserError(f'{failed.reason} {measured}{advice}') from failed

    def _fits(self, worker, arguments, parts, size=''):
        """Train a few steps with batches in parts, in a folder that is deleted; return whether memory was enough."""
        folder = self._record.folder / _PROBE
        what = f'{parts} part{"s" * (parts > 1)} of {self._batch_size // parts}{size and f" with pictures of {size}"}'
        try:
            with worker:
                outcome = worker.run(train_phase, {
                    **arguments, **self.arguments(), 'accumulate': parts, 'model_dir': str(folder / 'model'),
                    'num_steps': PROBE_STEPS, 'record_summaries': False}, _made(folder) / 'outcome.json',
                    lambda name, **values: None, 60 * self._options.watchdog or None)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if outcome.kind == phases.INTERRUPTED:
            raise KeyboardInterrupt
        fits = outcome.kind in (phases.DONE, phases.NOT_FINITE)
        memory = f', {outcome.peak_memory / 1e9:.2f} GB' if fits and outcome.peak_memory else ''
        console.log(f'measured: a batch in {what}: {"fits" + memory if fits else outcome.kind}')
        return fits

    def _after_not_finite(self, failed):
        outcome, done = failed.outcome, self._rollbacks()
        kept = f' The pictures of the batch are in {outcome.data["suspects"]}.' if 'suspects' in outcome.data else ''
        checkpoints = paths.training_checkpoints(self._record.folder)
        if self._options.on_nan != 'rollback' or not checkpoints:
            raise errors.UserError(f'{failed.reason}{kept} --on_nan rollback goes on from the last checkpoint with '
                                   'half the learning rate') from failed
        if len(done) >= self._options.max_rollbacks:
            steps = ', '.join(str(entry['step']) for entry in done)
            same = len({entry['step'] for entry in done} | {outcome.data.get('step')}) == 1
            hint = ', always at the same step, so its pictures or boxes are the likely reason' if same else ''
            raise errors.UserError(
                f'{failed.reason}{kept} This run has gone back {len(done)} times (--max_rollbacks), at step {steps}'
                f'{hint}') from failed
        factor = LOWER * (done[-1]['factor'] if done else 1.)
        if len(checkpoints) > 1 and done and done[-1]['checkpoint'] == checkpoints[0].name:
            self._set_aside(checkpoints.pop(0), len(done) + 1)  # finite, but training fails from there
        with self._record.changing() as content:
            content['recovery']['rollbacks'].append({
                'step': outcome.data.get('step'), 'checkpoint': checkpoints[0].name, 'factor': factor,
                'pictures': outcome.data.get('suspects'), 'optimizer': self._optimizer})
        console.warn(f'{failed.reason}{kept} Training goes back to {checkpoints[0].name} with {factor:g} times the '
                     f'learning rate of the config (rollback {len(done) + 1} of at most {self._options.max_rollbacks})')

    def _set_aside(self, checkpoint, number):
        """Move a checkpoint away, from which training has failed twice, and what is known of it."""
        folder = files.make_dir(self._record.folder / NOT_FINITE / f'rollback_{number}')
        for path in checkpoint.parent.glob(f'{checkpoint.name}.*'):
            path.replace(folder / path.name)
        self._record.forget(checkpoint.name)
        console.warn(f'train: it failed again after {checkpoint.name}, which is now in {folder}')


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _smaller(config: Any) -> Iterator[tuple[str, str]]:
    """Yield (pipeline.config, size) with smaller pictures, the largest first; nothing where the config sets no size."""
    name, model = pipeline.architecture(config)
    kind = model.image_resizer.WhichOneof('image_resizer_oneof')
    sides = {'fixed_shape_resizer': ('height', 'width'),
             'keep_aspect_ratio_resizer': ('min_dimension', 'max_dimension')}.get(kind, ())
    before = [getattr(getattr(model.image_resizer, kind), side) for side in sides] if sides else []
    unit = next(n for n in (128, 64, 32, 1) if all(size % n == 0 for size in before))
    known = [before]
    for factor in SMALLER if sides else ():
        sizes = [max(unit, int(size * factor) // unit * unit) for size in before]
        if sizes not in known:
            known.append(sizes)
            fields = ' '.join(f'{side}: {size}' for side, size in zip(sides, sizes))
            text = f'model {{ {name} {{ image_resizer {{ {kind} {{ {fields} }} }} }} }}'
            yield pipeline.to_text(pipeline.override(config, text)), 'x'.join(map(str, sizes))
