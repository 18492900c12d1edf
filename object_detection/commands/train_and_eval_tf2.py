"""Train and evaluate in turn, until num_steps: train N steps, write a checkpoint, evaluate it, and again.

    python train_and_eval_tf2.py --model_dir models/d1 --pipeline_config_path models/d1/pipeline.config
    tensorboard --logdir models/d1

After a stop (Ctrl-C), a kill or a power cut, the same command continues exactly from the last checkpoint. Each phase
runs in a process of its own, because only the end of a process gives GPU memory back.

With --eval_only nothing is trained: one checkpoint is evaluated, the newest of model_dir or --checkpoint. With
--checkpoint_dir the newest checkpoint there is evaluated at once, then each new one until none comes for --eval_timeout
seconds.
"""
import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from object_detection.cluster import members
from object_detection.cluster.meeting import Follower
from object_detection.commands import machines, recovery
from object_detection.commands.reports import Reports, add_tracker
from object_detection.commands.runs import (
    PhaseFailed,
    begin,
    check_best_metric,
    ends_early,
    evaluate_folder,
    evaluate_phase,
    evaluations,
    keep_best,
    run_phase,
    skipping,
    train_phase,
    unpacked,
)
from object_detection.commands.workers import Workers
from object_detection.config import paths
from object_detection.runs import best, mirror, tracker
from object_detection.runs.record import Record
from object_detection.training import screen
from object_detection.utils import args, cache, console, errors, files, phases, store

PRECISIONS = 'auto', 'float32', 'mixed_bfloat16', 'mixed_float16'  # see training/mixed_precision.py
SAMPLE, SECONDS = 300, 1.  # records of each reader to look at at the start, and the longest time for it
START = 'ckpt-1'  # the checkpoint of step 0, which training writes before its first step; not worth an evaluation
TENSORFLOW_1 = 'is a flag of TensorFlow 1 scripts (train.py, eval.py, model_main.py); '
# The first line of the pipeline.config that this command writes into model_dir, anew at each start. Without that line
# the file is the user's own and is left alone.
GENERATED = '# Written by train_and_eval_tf2.py'


def main(argv: Sequence[str] | None = None, description: str | None = __doc__, evaluate: bool = True) -> None:
    """Run the command.

    Args:
        description: the text of --help.
        evaluate: evaluate each checkpoint after it was written.
    """
    options = parse(argv, description, evaluate)
    if options.tracker:
        tracker.demand()
    try:
        kept = mirror.of(options.model_dir)
        options.model_dir = kept.folder
        with machines.starting(options) as (worker, meeting), Workers(worker) as workers:
            # its process imports TensorFlow while the config is checked
            config, facts = checked(options)
            if meeting:
                meeting.agree(machines.facts(config, facts['data']))
            if isinstance(meeting, Follower):
                machines.follow(meeting, worker, options, kept.fetch)
                return
            facts['command'] = [Path(sys.argv[0]).name, *(sys.argv[1:] if argv is None else argv)]
            if evaluated := checkpoint_to_evaluate(options):
                with unpacked(evaluated) as path, kept.sending():
                    record = begin(config, facts, options, trains=False)
                    with Reports(options.model_dir, options.tracker) as reports:
                        evaluate_folder(workers, config, path, options, record, reports.write)
                return
            with files.lock(options.model_dir, 'this model_dir'), kept.sending():
                keep_config(config, options)
                record = begin(config, facts, options, trains=True)
                with Reports(options.model_dir, options.tracker) as reports:
                    train_and_evaluate(workers, config, options, record, evaluate, reports.write, kept.send)
    finally:
        if options.alert:
            print('\a', end='', file=sys.stderr, flush=True)


def parse(argv: Sequence[str] | None, description: str | None, evaluate: bool = True) -> argparse.Namespace:
    """Parse the command line: the flags of the reference's model_main_tf2.py and some more.

    Args:
        evaluate: see main.
    """
    parser = args.Parser(description)
    args.add_model_dir(parser)
    args.add_pipeline_config(parser)
    add = parser.add_argument
    add('--num_train_steps', type=args.positive_int, metavar='N',
        help='stop at this step, instead of train_config.num_steps')
    add('--checkpoint_every_n', type=args.positive_int, default=1000, metavar='N',
        help='steps from one checkpoint to the next')
    add('--checkpoint_max_to_keep', type=args.positive_int, default=100, metavar='N',
        help='keep the newest N checkpoints; the best one stays in best/ in any case')
    add('--keep_optimizer', type=args.positive_int, default=3, metavar='N',
        help='keep the state of the optimizer in the newest N checkpoints only, which then take half of the disk or '
        'less; a run resumes exactly from those that have it')
    add('--log_every_n', type=args.positive_int, default=100, metavar='N',
        help='steps from one point in TensorBoard to the next')
    args.add_switch(parser, 'record_summaries', 'write pictures of the first batch for TensorBoard', default=True)
    add('--seed', type=args.seed, metavar='N', help='of initial values, order of the records, augmentation and dropout '
        '(default: that of the run in model_dir, else 0)')
    add('--precision', choices=PRECISIONS, help='what the network computes in while it trains; variables, losses and '
        'checkpoints are float32 in any case. auto: mixed_bfloat16 where the hardware has it, else float32 (default: '
        'auto if train_config.use_bfloat16 is set, else float32)')
    args.add_switch(parser, 'xla', 'compile the training step with XLA: takes a minute or more at the start of each '
                    'phase, for faster steps on a GPU; needs images of one size, and one GPU')
    add('--steps_per_loop', type=args.positive_int, default=1, metavar='N', help='train N steps at a time without '
        'coming back to Python, for GPUs that wait for it; the numbers are the same, and Ctrl-C waits for the N steps')
    recovery.add_options(parser)
    add_tracker(parser)
    args.add_switch(parser, 'alert', 'ring the terminal bell at the end, on success or failure')
    group = parser.add_argument_group('evaluation')
    add = group.add_argument
    args.add_switch(group, 'eval_only', 'evaluate one checkpoint, and train nothing')
    add('--checkpoint', metavar='PATH', help='with --eval_only, what to evaluate instead of the newest in model_dir: '
        'best (that of best/ there), latest, a checkpoint (.../ckpt-7), a folder of them, or a zoo tarball, unpacked '
        'or not')
    add('--best_metric', metavar='NAME', default='', help='the metric by which best/ is chosen, as TensorBoard calls '
        'it or its end, such as mAP@.50IOU or total_loss (default: that of best/, else the first mAP)')
    add('--patience', type=args.positive_int, metavar='N',
        help='end the training after N evaluations without a better value of that metric')
    add('--checkpoint_dir', metavar='FOLDER', help='evaluate the checkpoints of this folder, and train nothing; also '
        'an unpacked zoo tarball, or one checkpoint (.../ckpt-7)')
    add('--eval_timeout', type=args.count, default=3600, metavar='SECONDS',
        help='with --checkpoint_dir, how long to wait for a new checkpoint; 0: evaluate the newest only')
    add('--sample_1_of_n_eval_examples', type=args.positive_int, default=1, metavar='N',
        help='evaluate every N-th picture only')
    args.add_switch(group, 'eval_on_train_data', 'evaluate on the training pictures too (as eval_train)')
    add('--sample_1_of_n_eval_on_train_examples', type=args.positive_int, default=5, metavar='N',
        help='of the training pictures, evaluate every N-th only')
    members.add_options(parser)
    group = parser.add_argument_group('flags of the reference for other machines')
    args.add_switch(group, 'use_tpu', 'refused: TPUs are not supported')
    group.add_argument('--tpu_name', metavar='NAME', help='has no effect without --use_tpu')
    group.add_argument('--num_workers', type=args.positive_int, default=1, metavar='N',
                       help='has no effect; several machines are given with --workers')
    args.add_absl_flags(parser)
    args.add_refused(parser, {
        'train_dir': f'{TENSORFLOW_1}here it is --model_dir',
        'eval_dir': f'{TENSORFLOW_1}evaluations go into --model_dir',
        'run_once': f'{TENSORFLOW_1}here it is --eval_only',
        **dict.fromkeys(('num_clones', 'clone_on_cpu', 'worker_replicas', 'ps_tasks', 'task', 'master'),
                        f'{TENSORFLOW_1}all GPUs of this machine are used without any flag'),
        **dict.fromkeys(('model_config_path', 'train_config_path', 'input_config_path', 'eval_config_path'),
                        f'{TENSORFLOW_1}here one --pipeline_config_path has all sections'),
        'hparams_overrides': f'{TENSORFLOW_1}change the pipeline.config instead',
        'eval_training_data': f'{TENSORFLOW_1}here it is --eval_on_train_data',
        'eval_count': f'{TENSORFLOW_1}here every checkpoint is evaluated',
        **dict.fromkeys(('batch_size', 'learning_rate', 'num_classes', 'fine_tune_checkpoint', 'label_map_path',
                         'input_path', 'metrics_set'), 'is no option but a field of the pipeline.config; set it there'),
        **dict.fromkeys(('epochs', 'num_epochs'), 'training is measured in steps (--num_train_steps): the number of '
                        'records / batch_size is one epoch')})
    options = parser.parse_args(argv)
    recovery.check_options(parser, options)
    if options.checkpoint and not options.eval_only:
        parser.error('--checkpoint: goes with --eval_only; training continues from model_dir, or starts from '
                     'train_config.fine_tune_checkpoint')
    if options.eval_only and (options.checkpoint_dir or options.num_train_steps):
        parser.error(f'--eval_only: evaluates one checkpoint and ends; it does not go with '
                     f'{"--checkpoint_dir" if options.checkpoint_dir else "--num_train_steps"}')
    if options.patience and (options.eval_only or options.checkpoint_dir or not evaluate):
        parser.error('--patience: goes with training and evaluation in turn, as train_and_eval_tf2.py does them')
    if options.best_metric and not (evaluate or options.eval_only or options.checkpoint_dir):
        parser.error('--best_metric: nothing is evaluated here; give it to the command that evaluates')
    if options.eval_only:
        options.eval_timeout = 0
    if options.use_tpu:
        parser.error('--use_tpu: TPUs are not supported; leave it out to compute on GPUs or the CPU')
    if options.num_workers > 1:
        parser.error('--num_workers: several machines are given by their addresses, with --workers (docs/cluster.md)')
    return options


def train_and_evaluate(workers: Workers, config: Any, options: argparse.Namespace, record: Record,
                       evaluates: bool = True, on_evaluated: Callable[[], object] = lambda: None,
                       on_phase: Callable[[], object] = lambda: None) -> None:
    """Train to the next checkpoint and evaluate it, again and again, until train_config.num_steps.

    What comes next depends on the files in model_dir alone, so the same command continues a run that was killed at any
    moment.

    Args:
        workers: for the phases.
        config: TrainEvalPipelineConfig, checked.
        options: from the command line.
        record: of model_dir.
        evaluates: False to train only.
        on_evaluated: called when the metrics of a checkpoint are in the record.
        on_phase: called after each phase, when its files are complete.
    """
    from object_detection.config import pipeline
    shared = {'config_text': pipeline.to_text(config), 'model_dir': str(options.model_dir)}
    training = {'num_steps': config.train_config.num_steps, 'checkpoint_every_n': options.checkpoint_every_n,
                'checkpoint_max_to_keep': options.checkpoint_max_to_keep, 'keep_optimizer': options.keep_optimizer,
                'log_every_n': options.log_every_n, 'record_summaries': options.record_summaries, 'seed': options.seed,
                'precision': options.precision, 'xla': options.xla, 'steps_per_loop': options.steps_per_loop}

    workers.config_text = shared['config_text']
    asked = evaluations(options) if evaluates else {}

    def following(title):
        """Return the title of the phase after this evaluation."""
        later = list(asked)[list(asked).index(title) + 1:]
        return later[0] if later else 'train' if step < num_steps else ''

    def evaluate(checkpoint):
        for title, arguments in asked.items():
            workers.coming = following(title)
            known = record.evaluated(title)
            if checkpoint not in known:
                done = run_phase(next(workers), evaluate_phase, title,
                                 {**shared, **arguments, **skipping(record, title, options), 'known': known}, record,
                                 60 * options.watchdog or None)
                if done:  # nothing was, if the checkpoint is damaged and the one before it known
                    record.add(title, Path(done['checkpoint']).name, done['step'], done['metrics'],
                               done['analysis']['interval'])
                    on_evaluated()
                    on_phase()
                    screen.show_evaluation(title, done['step'], done['pictures'], done['metrics'], record,
                                           done['skipped'], done['analysis'])

    if moved := best.set_aside(options.model_dir):
        console.warn(f'{moved}: here is now the best checkpoint of an earlier training in this model_dir, of which no '
                     'other checkpoint is left')
    step, num_steps = 0, config.train_config.num_steps
    newest = next(iter(paths.training_checkpoints(options.model_dir)), None)
    if newest and newest.name != START:
        evaluate(newest.name)  # the last run may have been killed before it
    kept = keep_best(record, options)
    decided = recovery.Recovery(record, config, options)
    while step < num_steps and not ends_early(record, kept, options, num_steps):
        arguments = {**shared, **training, **decided.arguments()}
        workers.coming = 'eval' if evaluates else 'train' if step + options.checkpoint_every_n < num_steps else ''
        try:
            done = run_phase(next(workers), train_phase, 'train', arguments, record, 60 * options.watchdog or None)
        except PhaseFailed as failed:
            decided.after(failed, workers, arguments)
            continue
        on_phase()
        step = done['step']
        evaluate(Path(done['checkpoint']).name)
        kept = keep_best(record, options, strict=evaluates)
    screen.show_summary(record)


def checked(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Read the pipeline.config and print warnings; UserError with everything that is wrong with it.

    Returns:
        the TrainEvalPipelineConfig, and for run.json {'data': fingerprints, 'warnings'}.
    """
    from object_detection.commands import preflight
    from object_detection.config import checks, pipeline
    config = pipeline.read(options.pipeline_config_path)
    if options.num_train_steps:
        config.train_config.num_steps = options.num_train_steps
    evaluated = checkpoint_to_evaluate(options)
    findings, reports = preflight.examine(config, options.pipeline_config_path, SAMPLE, SECONDS, lenient=True,
                                          training=not evaluated, on_train_data=options.eval_on_train_data,
                                          most_broken=options.skip_bad_records)
    if not evaluated:
        findings = [*checks.check_model_dir(options.model_dir), *recovery.check_parts(options, config), *findings]
    for name, report in reports.items():
        console.log(f'{name}: {report.records} records, {report.checked} looked at')
    if all(report.checked == report.records for report in reports.values()):
        console.warned.add(phases.DAMAGED_JPEG)  # those pictures have been named
    preflight.demand(findings)
    check_best_metric(options, config)
    return config, {'data': {name: report.fingerprint for name, report in reports.items()},
                    'broken': {name: report.broken for name, report in reports.items() if report.broken},
                    'warnings': [str(finding) for finding in findings if finding.severity == 'warning']}


def checkpoint_to_evaluate(options: argparse.Namespace) -> str:
    """Return the folder or checkpoint that is evaluated without training; '' to train."""
    if options.eval_only and options.checkpoint == best.FOLDER:
        return str(best.demand(options.model_dir))
    if options.eval_only and options.checkpoint in (None, 'latest'):
        return str(options.model_dir)
    named = options.checkpoint if options.eval_only else options.checkpoint_dir or ''
    url = store.url_of(named)
    return str(cache.checkpoint(url)) if url else named


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
    files.write_text(kept, f'{GENERATED} from {options.pipeline_config_path.name} at each start; delete this line to '
                           f'keep your edits\n{pipeline.to_text(config)}')


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)
