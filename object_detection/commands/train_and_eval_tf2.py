"""Train and evaluate in turn, until num_steps: train N steps, write a checkpoint, evaluate it, and again.

    python train_and_eval_tf2.py --model_dir models/d1 --pipeline_config_path models/d1/pipeline.config
    tensorboard --logdir models/d1

Stopped (Ctrl-C), killed or switched off, the same command carries on exactly where the last checkpoint stands. Each
phase runs in a process of its own, because only the end of a process gives GPU memory back.
"""
import sys

from object_detection.utils import args, console, errors, files, phases

MARK = '# Written by train_and_eval_tf2.py'  # the beginning of a pipeline.config that is not the user's


def main(argv=None):
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
    from object_detection.training import rounds
    try:
        with phases.Worker(rounds.PRELOAD) as worker:  # it imports TensorFlow while the config is checked
            config = checked(options)
            with files.lock(options.model_dir, 'this model_dir'):
                train_and_evaluate(worker, config, options)
    finally:
        if options.alert:
            print('\a', end='', file=sys.stderr, flush=True)


def checked(options):
    """The config; UserError with all that is wrong, warnings printed."""
    from object_detection.config import checks as config_checks
    from object_detection.config import pipeline as configs
    config = configs.read(options.pipeline_config_path)
    if options.num_train_steps:
        config.train_config.num_steps = options.num_train_steps
    findings = config_checks.check_model_dir(options.model_dir)
    findings += config_checks.check(config, options.pipeline_config_path, options.eval_on_train_data)
    for finding in config_checks.demand(findings):
        if finding.severity == 'warning':  # notes are for train_t2.py
            console.warn(finding)
    if not config.train_config.num_steps:
        raise errors.UserError('train_config.num_steps is 0, which is for ever; set it, or give --num_train_steps')
    return config


def keep_config(config, options):
    """Write the config beside what is made with it, at each start anew; one that the user wrote is left alone."""
    from object_detection.config import pipeline as configs
    kept = options.model_dir / 'pipeline.config'  # ready for --pipeline_config_path of the exporter
    if kept.exists():
        if not kept.is_file() or kept.samefile(options.pipeline_config_path):
            return
        with kept.open(encoding='utf-8', errors='replace') as file:
            if not file.readline().startswith(MARK):
                return
    files.write_text(kept, f'{MARK} of {options.pipeline_config_path.name}, at each start; to change it and keep the '
                           f'changes, delete this line\n{configs.to_text(config)}')


def train_and_evaluate(worker, config, options):
    from object_detection.config import pipeline as configs
    from object_detection.training.rounds import Rounds
    keep_config(config, options)
    evaluations = {'eval': {'sample_1_of_n': options.sample_1_of_n_eval_examples}}
    if options.eval_on_train_data:
        evaluations['eval_train'] = {'sample_1_of_n': options.sample_1_of_n_eval_on_train_examples,
                                     'on_train_data': True}
    run = Rounds(worker, configs.to_text(config), options.model_dir, {
        'num_steps': config.train_config.num_steps, 'checkpoint_every_n': options.checkpoint_every_n,
        'checkpoint_max_to_keep': options.checkpoint_max_to_keep, 'log_every_n': options.log_every_n}, evaluations)
    run.run()
    run.summary()


def run():
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
