"""Train and evaluate in turn, until num_steps: train N steps, write a checkpoint, evaluate it, and again.

    python train_and_eval_tf2.py --model_dir models/d1 --pipeline_config_path models/d1/pipeline.config
    tensorboard --logdir models/d1

After a stop (Ctrl-C), a kill or a power cut, the same command continues exactly from the last checkpoint. Each phase
runs in a process of its own, because only the end of a process gives GPU memory back.
"""
import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_detection.config import paths
from object_detection.training import screen
from object_detection.training.record import Record
from object_detection.utils import args, console, errors, files, phases

PRELOAD = ['object_detection.training.train', 'object_detection.evaluation.evaluator']
START = 'ckpt-1'  # the checkpoint of step 0, which training writes before its first step; not worth an evaluation
# The first line of the pipeline.config that this command writes into model_dir, anew at each start. Without that line
# the file is the user's own and is left alone.
GENERATED = '# Written by train_and_eval_tf2.py'


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    args.add_model_dir(parser)
    args.add_pipeline_config(parser)
    parser.add_argument('--num_train_steps', type=args.positive_int, metavar='N',
                        help='stop at this step, instead of train_config.num_steps')
    parser.add_argument('--checkpoint_every_n', type=args.positive_int, default=1000, metavar='N',
                        help='steps from one checkpoint and evaluation to the next')
    parser.add_argument('--checkpoint_max_to_keep', type=args.positive_int, default=100, metavar='N',
                        help='older checkpoints are deleted')
    parser.add_argument('--sample_1_of_n_eval_examples', type=args.positive_int, default=1, metavar='N',
                        help='evaluate every N-th picture only')
    args.add_switch(parser, 'eval_on_train_data', 'evaluate on the training pictures too (as eval_train)')
    parser.add_argument('--sample_1_of_n_eval_on_train_examples', type=args.positive_int, default=5, metavar='N',
                        help='of the training pictures, evaluate every N-th only')
    parser.add_argument('--log_every_n', type=args.positive_int, default=100, metavar='N',
                        help='steps from one point in TensorBoard to the next')
    args.add_switch(parser, 'alert', 'ring the terminal bell at the end, good or bad')
    options = parser.parse_args(argv)
    try:
        with phases.Worker(PRELOAD) as worker:  # it imports TensorFlow while the config is checked
            config = checked(options)
            with files.lock(options.model_dir, 'this model_dir'):
                keep_config(config, options)
                train_and_evaluate(worker, config, options)
    finally:
        if options.alert:
            print('\a', end='', file=sys.stderr, flush=True)


def train_and_evaluate(worker: phases.Worker, config: Any, options: argparse.Namespace) -> None:
    """Train to the next checkpoint and evaluate it, again and again, until train_config.num_steps.

    What comes next depends on the files in model_dir alone, so the same command continues a run that was killed at any
    moment.

    Args:
        worker: for the first phase.
        config: TrainEvalPipelineConfig, checked.
        options: from the command line.
    """
    from object_detection.config import pipeline
    record = Record(options.model_dir)
    workers = itertools.chain([worker], map(phases.Worker, itertools.repeat(PRELOAD)))  # a fresh one for each phase
    shared = {'config_text': pipeline.to_text(config), 'model_dir': str(options.model_dir)}
    training = {'num_steps': config.train_config.num_steps, 'checkpoint_every_n': options.checkpoint_every_n,
                'checkpoint_max_to_keep': options.checkpoint_max_to_keep, 'log_every_n': options.log_every_n}
    evaluations: dict[str, dict[str, Any]] = {'eval': {'sample_1_of_n': options.sample_1_of_n_eval_examples}}
    if options.eval_on_train_data:
        evaluations['eval_train'] = {'sample_1_of_n': options.sample_1_of_n_eval_on_train_examples,
                                     'on_train_data': True}

    def evaluate(checkpoint):
        for title, arguments in evaluations.items():
            known = record.evaluated(title)
            if checkpoint not in known:
                done = run_phase(next(workers), evaluate_phase, title, {**shared, **arguments, 'known': known}, record)
                if done:  # nothing was, if the checkpoint is damaged and the one before it known
                    record.add(title, Path(done['checkpoint']).name, done['step'], done['metrics'])
                    screen.show_evaluation(title, done['step'], done['pictures'], done['metrics'])

    newest = next(iter(paths.numbered(options.model_dir)), None)
    if newest and newest.name != START:
        evaluate(newest.name)  # the last run may have been killed before it
    step = 0
    while step < config.train_config.num_steps:
        done = run_phase(next(workers), train_phase, 'train', {**shared, **training}, record)
        step = done['step']
        evaluate(Path(done['checkpoint']).name)
    screen.show_summary(record)


def run_phase(worker: phases.Worker, phase: phases.Phase, title: str, arguments: dict[str, Any],
              record: Record) -> dict[str, Any]:
    """Run a phase in a fresh process, print its events, and return its data.

    Raises:
        UserError: the phase ended badly; the message says how and what to do.
        KeyboardInterrupt: the user asked to stop, and training left a checkpoint.
    """
    def on_event(name, **values):
        if name == 'saved':  # under this name the record may have metrics of a checkpoint that was deleted
            record.forget(Path(values['checkpoint']).name)
        drawn.show(name, values)

    with worker, screen.Screen(title, arguments.get('num_steps')) as drawn:
        outcome = worker.run(phase, arguments, record.folder / 'outcome.json', on_event)
    if outcome.kind == phases.INTERRUPTED:
        raise KeyboardInterrupt
    if outcome.kind == phases.BAD_INPUT:
        raise errors.UserError(outcome.message)
    if outcome.kind != phases.DONE:
        raise errors.UserError(f'{title} ended: {outcome.kind}: {outcome.message}. What was saved stays; the same '
                               'command continues from the last whole checkpoint')
    return outcome.data


def train_phase(report: phases.Report, stopping: phases.Stopping, **arguments: Any) -> dict[str, Any]:
    """The phase that trains to the next checkpoint; only its process imports TensorFlow."""
    from object_detection.training.train import train
    return train(report, stopping, **arguments)


def evaluate_phase(report: phases.Report, stopping: phases.Stopping, **arguments: Any) -> dict[str, Any]:
    """The phase that evaluates a checkpoint; only its process imports TensorFlow."""
    from object_detection.evaluation.evaluator import evaluate
    return evaluate(report, stopping, **arguments)


def checked(options: argparse.Namespace) -> Any:
    """Read the pipeline.config and print warnings; UserError with everything that is wrong with it."""
    from object_detection.config import checks, pipeline
    config = pipeline.read(options.pipeline_config_path)
    if options.num_train_steps:
        config.train_config.num_steps = options.num_train_steps
    findings = checks.check_model_dir(options.model_dir)
    findings += checks.check(config, options.pipeline_config_path, options.eval_on_train_data)
    for finding in checks.demand(findings):
        if finding.severity == 'warning':  # notes are for train_t2.py
            console.warn(str(finding))
    if not config.train_config.num_steps:
        raise errors.UserError('train_config.num_steps is 0, which means forever; set it, or give --num_train_steps')
    return config


def keep_config(config: Any, options: argparse.Namespace) -> None:
    """Write the resolved config into model_dir, ready for --pipeline_config_path of the exporter."""
    from object_detection.config import pipeline
    kept = options.model_dir / 'pipeline.config'
    if kept.exists():
        if not kept.is_file() or kept.samefile(options.pipeline_config_path):
            return
        with kept.open(encoding='utf-8', errors='replace') as file:
            if not file.readline().startswith(GENERATED):
                return
    files.write_text(kept, f'{GENERATED} of {options.pipeline_config_path.name}, at each start; to change it and keep '
                           f'the changes, delete this line\n{pipeline.to_text(config)}')


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)
