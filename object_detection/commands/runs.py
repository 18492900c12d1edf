"""Runs of phases, for the commands that train and evaluate: one phase, or the evaluation of a folder of checkpoints."""
import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from object_detection.commands.workers import LEAD, Countdown, Workers, pictures_of
from object_detection.config import paths
from object_detection.runs import about, best
from object_detection.runs.record import Record
from object_detection.training import screen
from object_detection.utils import console, errors, files, phases

POLL_SECONDS = 1


class PhaseFailed(errors.UserError):
    """A phase ended badly.

    Attributes:
        outcome: how.
        reason: the message without what to do next.
    """

    def __init__(self, title: str, outcome: phases.Outcome) -> None:
        self.outcome = outcome
        self.reason = f'{title} ended: {outcome.kind}: {outcome.message.rstrip(".")}.'
        bad_input = outcome.kind == phases.BAD_INPUT
        super().__init__(outcome.message if bad_input else
                         f'{self.reason} Run the same command to continue from the last checkpoint')


def run_phase(worker: phases.Worker, phase: phases.Phase, title: str, arguments: dict[str, Any],
              record: Record, watchdog: float | None = None) -> dict[str, Any]:
    """Run a phase in a fresh process, print its events, and return its data.

    Args:
        watchdog: see phases.Worker.run.
    Raises:
        PhaseFailed: the phase ended badly; the message says how and what to do.
        KeyboardInterrupt: the user asked to stop, and training left a checkpoint.
    """
    pictures = pictures_of(record.data_of(record.this_start()), arguments)
    countdown = Countdown(pictures, record.lasted(title) if title != 'train' else None)
    kept = record.phase(title)

    def on_event(name: str, **values: Any) -> None:
        kept.on_event(name, values)
        if name == 'saved':  # under this name the record may have metrics of a checkpoint that was deleted
            record.forget(Path(values['checkpoint']).name)
        if name == 'skipped':
            record.skip(**values)
        drawn.show(name, values)
        left = countdown.left(name, values)
        if left is not None and left <= LEAD:
            worker.nearly_done()

    with tempfile.TemporaryDirectory() as folder, worker, screen.Screen(title, arguments.get('num_steps')) as drawn:
        outcome = worker.run(phase, arguments, Path(folder, 'outcome.json'), on_event, watchdog)
    kept.end(outcome)
    if outcome.kind == phases.DONE:
        screen.show_end(title, kept.entry['seconds'], outcome.peak_memory)
    if outcome.kind == phases.INTERRUPTED:
        raise KeyboardInterrupt
    if outcome.kind != phases.DONE:
        raise PhaseFailed(title, outcome)
    return outcome.data


def train_phase(report: phases.Report, stopping: phases.Stopping, **arguments: Any) -> dict[str, Any]:
    """The phase that trains to the next checkpoint; only its process imports TensorFlow."""
    from object_detection.training.train import train
    return train(report, stopping, **arguments)


def evaluate_phase(report: phases.Report, stopping: phases.Stopping, **arguments: Any) -> dict[str, Any]:
    """The phase that evaluates a checkpoint; only its process imports TensorFlow."""
    from object_detection.evaluation.evaluator import evaluate
    return evaluate(report, stopping, **arguments)


def evaluations(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return {title: arguments of evaluate_phase} of the evaluations that the command line asks for."""
    asked: dict[str, dict[str, Any]] = {'eval': {'sample_1_of_n': options.sample_1_of_n_eval_examples}}
    if options.eval_on_train_data:
        asked['eval_train'] = {'sample_1_of_n': options.sample_1_of_n_eval_on_train_examples, 'on_train_data': True}
    return asked


def skipping(record: Record, title: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return those arguments of a phase that say which records it skips: 'train', or one of `evaluations`."""
    reader = 'eval_input_reader[0]' if title == 'eval' else 'train_input_reader'
    return {'skipped': record.skipped(reader), 'most_skipped': options.skip_bad_records}


def begin(config: Any, facts: dict[str, Any], options: argparse.Namespace, trains: bool) -> Record:
    """Add the start of this command to run.json, and return it; warn if a run continues with other data or seed.

    If it trains, options.seed becomes the seed of the run.

    Args:
        config: TrainEvalPipelineConfig, checked.
        facts: {'data': {name of the input_reader: records.Report.fingerprint}, 'warnings', 'command',
            'broken': {name of the input_reader: {index of a record to skip: reason}}}.
    """
    from object_detection.config import pipeline
    from object_detection.records.fingerprint import changes
    record, broken = Record(options.model_dir), facts.pop('broken', {})
    before = record.data_of(record.last_start()) if trains else {}
    changed = [f'{name}: {line}' for name, known in facts['data'].items() if name in before
               for line in changes(before[name], known)]
    if paths.training_checkpoints(options.model_dir):
        for line in changed:
            console.warn(f'the data is not that of the last start: {line}')
    if trains:
        options.seed = facts['seed'] = _seed(record, options)
    versions, machine = about.versions(), about.machine()
    record.start(pipeline.to_text(config), **facts, trains=trains, folder=str(Path.cwd()), changes=changed,
                 versions=versions, machine=machine)
    hardware = [machine['processor'], f'{machine["cores"]} cores', *machine['gpus']]
    console.log(f'{record.folder}: start {len(record.content["starts"])}, object-detection '
                f'{versions["object-detection"]}, TensorFlow {versions["TensorFlow"]}, Python {versions["Python"]}, '
                f'{", ".join(hardware)}', 'soft')
    for reader, found in broken.items():
        record.skip(reader, found)
    return record


def _seed(record: Record, options: argparse.Namespace) -> int:
    """Return --seed; without it that of the last start that trained, else 0. Warn if a run continues with another."""
    before = (record.last_start() or {}).get('seed', 0)
    if options.seed is None:
        return before
    if options.seed != before and paths.training_checkpoints(options.model_dir):
        console.warn(f'--seed {options.seed}: this run began with {before}; from here on the order of its records and '
                     'its random numbers are others')
    return options.seed


def evaluate_folder(workers: Workers, config: Any, checkpoint: str, options: argparse.Namespace,
                    record: Record, on_evaluated: Callable[[], object] = lambda: None) -> None:
    """Evaluate without training: the newest checkpoint at once, then each new one until none comes for eval_timeout.

    Numbers and images go to model_dir for TensorBoard. Metrics of model_dir's own checkpoints stand with them in its
    run.json; those of a checkpoint from elsewhere, which could be taken for one of them, with the phase alone.

    Args:
        workers: for the phases.
        config: TrainEvalPipelineConfig, checked.
        checkpoint: a folder of checkpoints, an unpacked zoo tarball, or the prefix of one checkpoint, which is
            evaluated once.
        options: from the command line.
        record: of model_dir.
        on_evaluated: called when the metrics are in the record.
    Raises:
        UserError: there is no checkpoint, or none came.
    """
    from object_detection.config import pipeline
    shared = {'config_text': pipeline.to_text(config), 'model_dir': str(options.model_dir)}
    workers.config_text = shared['config_text']
    metrics: list[tuple[str, float]] = []
    analysis: dict[str, Any] = {}
    for path in checkpoints(checkpoint, options.eval_timeout):
        asked = evaluations(options)
        for title, arguments in asked.items():
            workers.coming = '' if title == list(asked)[-1] else 'eval_train'
            done = run_phase(next(workers), evaluate_phase, title,
                             {**shared, **arguments, **skipping(record, title, options), 'checkpoint_path': str(path)},
                             record, 60 * options.watchdog or None)
            prefix = Path(done['checkpoint'])
            sampled = arguments['sample_1_of_n'] > 1 and title in record.entries.get(prefix.name, {})
            if prefix.resolve().parent == record.folder.resolve() and not sampled:  # metrics of all pictures stay
                record.add(title, prefix.name, done['step'], done['metrics'], done['analysis']['interval'])
            on_evaluated()
            own = prefix.name in record.entries
            screen.show_evaluation(title, done['step'], done['pictures'], done['metrics'], record if own else None,
                                   done['skipped'], done['analysis'])
            if own:
                keep_best(record, options, strict=True)
            path = prefix  # of the folder's newest: the same one on the training pictures
            if title == 'eval':
                metrics, analysis = done['metrics'], done['analysis']
        screen.show_metrics(dict(metrics), f'{prefix}, step {done["step"]}')
        screen.show_classes(analysis)


def keep_best(record: Record, options: argparse.Namespace, strict: bool = False) -> best.Best | None:
    """Bring best/ up to date, and print a line if it has changed; return what is in it.

    Args:
        strict: see best.follow.
    """
    before, now = best.read(record.folder / best.FOLDER), best.follow(record, options.best_metric, strict)
    if now and (before is None or (before.checkpoint, before.step, before.metric) !=
                (now.checkpoint, now.step, now.metric)):
        console.log(f'best so far: {now}; kept as {now.prefix}')
    return now


def check_best_metric(options: argparse.Namespace, config: Any) -> None:
    """UserError if the evaluation of this config cannot have the metric that --best_metric names.

    Losses of models other than SSD are only known when they are evaluated.
    """
    from object_detection.config import label_map
    from object_detection.evaluation import metrics
    if not options.best_metric:
        return
    labels = label_map.load(config.eval_input_reader[0].label_map_path)
    names = [name for collector in metrics.collectors(config.eval_config, labels) for name, _ in collector.evaluate()]
    names += [f'Loss/{name}_loss' for name in ('localization', 'classification', 'regularization', 'total')]
    if config.model.WhichOneof('model') == 'ssd' or 'loss' not in options.best_metric.lower():
        options.best_metric = best.resolve(options.best_metric, names)


def ends_early(record: Record, kept: best.Best | None, options: argparse.Namespace, num_steps: int) -> bool:
    """Return whether --patience is used up before num_steps, and say so. It is counted in run.json."""
    newest = next(iter(paths.training_checkpoints(options.model_dir)), None)
    if not options.patience or not newest or record.entries.get(newest.name, {'step': 0})['step'] >= num_steps:
        return False
    count = best.since(record, kept)
    if count < options.patience:
        return False
    better = f'no better value than {kept}' if kept else 'no value of the metric'
    console.log(f'train: ends early at {newest.name}: {better}, in the last {count} evaluation{"s" * (count > 1)} '
                f'(--patience {options.patience}). To train on, run the same command with a larger --patience or '
                'without it')
    return True


@contextlib.contextmanager
def unpacked(path: str) -> Iterator[str]:
    """Unpack a zoo tarball for the time of the block; yield the folder with its checkpoint, or any other path as is."""
    if not (path.endswith(('.tar.gz', '.tgz')) and Path(path).is_file()):
        yield path
        return
    from object_detection.zoo import unpack
    with tempfile.TemporaryDirectory() as folder:
        console.log(f'unpacking {path}')
        try:
            unpack.unpack(path, Path(folder, 'model'))
        except unpack.Damaged as error:
            raise errors.UserError(f'{path}: {error}') from error
        inside = [found.parent for found in Path(folder).glob('**/checkpoint') if found.is_dir()]
        if not inside:
            raise errors.UserError(f'{path}: has no folder `checkpoint`; give a tarball of the TF2 Detection Zoo')
        yield str(inside[0])


def checkpoints(checkpoint: str | Path, timeout: float) -> Iterator[Path]:
    """Yield what checkpoints.load takes: the newest checkpoint, then the prefix of each new one, in order.

    Nothing follows the ckpt-0 of a zoo model or an export, so it is not waited for.

    Args:
        checkpoint: a folder of checkpoints, an unpacked zoo tarball, or the prefix of one checkpoint.
        timeout: seconds to wait for each new one; 0 for the newest only.
    """
    given = Path(checkpoint)
    present = paths.prefixes(given) or paths.prefixes(given / 'checkpoint')
    finished = bool(present) and present[-1].name == 'ckpt-0'
    followed = timeout > 0 and not finished and (given.is_dir() or not paths.prefixes(given.parent))
    if followed and not present:
        console.log(f'waiting for the first checkpoint in {given}, up to {timeout} s')
        if not _wait(given, 0, timeout):
            raise errors.UserError(f'no checkpoint came into {given} within {timeout} s (--eval_timeout)'
                                   + ('' if given.exists() else f'; {files.missing(given)}'))
    last = max([_number(prefix) for prefix in paths.training_checkpoints(given)], default=0) if given.is_dir() else 0
    yield given
    while followed:
        console.log(f'waiting for the next checkpoint in {given}, up to {timeout} s; Ctrl-C ends this')
        new = _wait(given, last, timeout)
        for prefix in new:
            if Path(f'{prefix}.index').exists():  # training may have deleted it meanwhile
                yield prefix
            last = _number(prefix)
        followed = bool(new)
    if timeout and not finished:
        console.log(f'no new checkpoint in {given} for {timeout} s (--eval_timeout); done')


def _wait(folder: Path, last: int, timeout: float) -> list[Path]:
    """Wait for checkpoints ckpt-N with N > last, and return their prefixes in order; an empty list after timeout."""
    end = time.monotonic() + timeout
    while True:
        if new := [prefix for prefix in reversed(paths.training_checkpoints(folder)) if _number(prefix) > last]:
            return new
        if time.monotonic() >= end:
            return []
        time.sleep(min(POLL_SECONDS, timeout))


def _number(prefix: Path) -> int:
    return int(prefix.name.removeprefix('ckpt-'))
