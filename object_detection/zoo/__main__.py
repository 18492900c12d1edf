"""The TF2 Detection Zoo: list its models, download one, and write a pipeline.config for your own records.

  python -m object_detection.zoo list efficientdet
  python -m object_detection.zoo download efficientdet_d0_coco17_tpu-32
  python -m object_detection.zoo configure efficientdet_d0_coco17_tpu-32 --output models/mine \\
      --train_record out/train.tfrecords --test_record out/test.tfrecords --label_map out/label_map.pbtxt
"""
import argparse
import itertools
import re
from pathlib import Path

from object_detection.config import checks as config_checks
from object_detection.config import pipeline as configs
from object_detection.utils import args, console, errors, files
from object_detection.utils.errors import UserError
from object_detection.zoo import configure, download, table


class Command(args.Parser):
    """The parser of a subcommand."""

    def __init__(self, prog, description):
        super().__init__(description)
        self.prog, self.formatter_class = prog, argparse.HelpFormatter


def main(argv=None):
    parser = args.Parser(__doc__)
    parser.prog, parser.formatter_class = 'python -m object_detection.zoo', argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest='command', required=True, parser_class=Command, metavar='COMMAND')
    for add in (add_list, add_download, add_configure):
        add(commands)
    options = parser.parse_args(argv)
    options.run(options)


def add_list(commands):
    parser = commands.add_parser('list', help='models with speed and COCO mAP', description=show.__doc__)
    parser.add_argument('words', nargs='*', metavar='WORD',
                        help='what the line must have, as in: list ssd 640, list masks')
    parser.set_defaults(run=show)


def add_download(commands):
    parser = commands.add_parser('download', help='fetch a model', description=fetch.__doc__)
    parser.add_argument('name', help='as the list has it')
    parser.add_argument('--output', type=args.new_dir, default=Path('models'), metavar='FOLDER',
                        help='the model gets a folder of its name in it; without: models')
    parser.add_argument('--base_url', default=download.BASE_URL, metavar='URL',
                        help=f'of the zoo or a mirror; without: {download.BASE_URL}, the store behind '
                        f'{download.ORIGINAL_URL}')
    parser.add_argument('--sha256', type=_sha256, metavar='HEX',
                        help='of the tarball, if you know it; without, what came is trusted')
    parser.set_defaults(run=fetch)


def add_configure(commands):
    parser = commands.add_parser('configure', help='write a pipeline.config for your records',
                                 description=write_config.__doc__)
    parser.add_argument('model', help='name of a downloaded model, or its folder')
    for name, help in (('output', 'where pipeline.config is written; the folder to train in'),
                       ('train_record', 'records to train on; shards as a pattern, train.tfrecords-?????-of-00010'),
                       ('test_record', 'records to evaluate on'), ('label_map', 'label_map.pbtxt')):
        parser.add_argument(f'--{name}', required=True, help=help,
                            metavar='FOLDER' if name == 'output' else 'FILE')
    parser.add_argument('--batch_size', type=args.positive_int, metavar='N',
                        help='pictures in a step, on all GPUs together; without: what the memory seems to allow')
    parser.add_argument('--num_steps', type=args.positive_int, metavar='N',
                        help=f'of training; without: {configure.EPOCHS} times through the records, at least '
                        f'{configure.FEWEST_STEPS}')
    parser.set_defaults(run=write_config)


def show(options):
    """List the models: speed of one picture and COCO mAP as the reference's page gives them, size of the download
    where known."""
    words = [word.lower() for word in options.words]
    found = [model for model in table.models()
             if all(word in f'{model.name} {model.input} {model.outputs}' for word in words)]
    if not found:
        raise UserError(f'no model of the zoo has {" and ".join(map(repr, words))} in its line')
    console.table(['name', 'input', 'ms', 'COCO mAP', 'finds', 'MB'],
                  [[model.name, model.input, model.speed_ms, model.coco_map, model.outputs, model.megabytes]
                   for model in found])


def fetch(options):
    """Download a model and unpack it. Broken off, the same command goes on where it stopped; a model that is there is
    left alone."""
    download.download(table.find(options.name), options.output, options.base_url, options.sha256)


def write_config(options):
    """Write a pipeline.config that trains a downloaded model on your records, and say what was changed and why. Paths
    in it count from the current folder. An existing one is not overwritten."""
    path = Path(options.output, 'pipeline.config')
    if path.exists():
        raise UserError(f'{path}: is there already, and nothing is overwritten; name another --output, or delete it')
    folder = configure.model_folder(options.model)
    config, changes = configure.configure(folder, configure.Wishes(
        options.train_record, options.test_record, options.label_map, options.batch_size, options.num_steps))
    findings = config_checks.demand([*config_checks.check(config), *config_checks.check_model_dir(options.output)])
    with files.writable(options.output):
        configs.write(config, path)
    explain(changes)
    for finding in findings:
        print(f'{finding.severity}: {finding}')
    print(f'{path}: written. Next: python train_t2.py --pipeline_config_path {path}')


def explain(changes):
    """Print every change, and each reason once below the changes that it is for."""
    for why, group in itertools.groupby(changes, key=lambda change: change.why):
        for change in group:
            parts = change.field.split('.')
            field = f'{parts[0]} ... {parts[-1]}' if len(parts) > 4 else change.field
            old, new = change.old, change.new
            print(f'{field}: ' + (f'{old}, taken out' if new == '-' else f'{new}, added' if old == '-' else
                                  f'{old} -> {new}'))
        print(f'    {why}')


def _sha256(text):
    if not re.fullmatch(r'[0-9a-fA-F]{64}', text):
        raise argparse.ArgumentTypeError(f'{text!r} is not 64 hexadecimal digits')
    return text.lower()


def run():
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
