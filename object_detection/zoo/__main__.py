"""The TF2 Detection Zoo: list its models, download one, and write a pipeline.config for your own records.

  python -m object_detection.zoo list efficientdet
  python -m object_detection.zoo download efficientdet_d0_coco17_tpu-32
  python -m object_detection.zoo configure efficientdet_d0_coco17_tpu-32 --output models/mine \\
      --train_record out/train.tfrecords --test_record out/test.tfrecords --label_map out/label_map.pbtxt
"""
import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from object_detection.utils import args, console, errors, files
from object_detection.utils.errors import UserError
from object_detection.zoo import download, table


class Command(args.Parser):
    """The parser of a subcommand."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(description)
        self.prog, self.formatter_class = prog, argparse.HelpFormatter


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    parser.prog, parser.formatter_class = 'python -m object_detection.zoo', argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest='command', required=True, parser_class=Command, metavar='COMMAND')
    for add in (add_list, add_download, add_configure):
        add(commands)
    options = parser.parse_args(argv)
    options.run(options)


def add_list(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser('list', help='models with speed and COCO mAP', description=show.__doc__)
    parser.add_argument('words', nargs='*', metavar='WORD',
                        help='list only lines with all of these words, as in: list ssd 640, list masks')
    parser.set_defaults(run=show)


def add_download(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser('download', help='fetch a model', description=fetch.__doc__)
    parser.add_argument('name', help='from the list')
    parser.add_argument('--output', type=args.folder_path, default=Path('models'), metavar='FOLDER',
                        help='where the folder of the model is made (default: models)')
    parser.add_argument('--base_url', default=download.BASE_URL, metavar='URL',
                        help=f'address of the zoo or of a mirror (default: {download.BASE_URL}, which serves the '
                        f'files of {download.ORIGINAL_URL})')
    parser.add_argument('--sha256', type=_sha256, metavar='HEX',
                        help='checksum of the tarball, if you know it; without it the download is trusted')
    parser.set_defaults(run=fetch)


def add_configure(commands: argparse._SubParsersAction) -> None:
    from object_detection.zoo import configure  # here: without packages, main still ends with a message

    parser = commands.add_parser('configure', help='write a pipeline.config for your records',
                                 description=write_config.__doc__)
    parser.add_argument('model', help='name of a downloaded model, or its folder')
    for name, help in (('output', 'where pipeline.config is written; the folder to train in'),
                       ('train_record', 'records to train on; shards as a pattern, train.tfrecords-?????-of-00010'),
                       ('test_record', 'records to evaluate on'), ('label_map', 'label_map.pbtxt')):
        parser.add_argument(f'--{name}', required=True, help=help,
                            metavar='FOLDER' if name == 'output' else 'FILE')
    parser.add_argument('--batch_size', type=args.positive_int, metavar='N',
                        help='pictures per step, on all GPUs together (default: what seems to fit into memory)')
    parser.add_argument('--num_steps', type=args.positive_int, metavar='N',
                        help=f'steps of training (default: {configure.EPOCHS} times through the records, at least '
                        f'{configure.MIN_STEPS})')
    parser.set_defaults(run=write_config)


def show(options: argparse.Namespace) -> None:
    """List the models with the time per picture and the COCO mAP from the reference's page, and the size of the
    download where it is known."""
    words = [word.lower() for word in options.words]
    models = [model for model in table.models()
              if all(word in f'{model.name} {model.input} {model.outputs}' for word in words)]
    if not models:
        raise UserError(f'no model of the zoo has {" and ".join(map(repr, words))} in its line')
    console.table(['name', 'input', 'ms', 'COCO mAP', 'finds', 'MB'],
                  [[model.name, model.input, model.speed_ms, model.coco_map, model.outputs, model.megabytes]
                   for model in models])


def fetch(options: argparse.Namespace) -> None:
    """Download and unpack a model. After an interruption the same command resumes the download; a model that is
    already there is left alone."""
    download.download(table.find(options.name), options.output, options.base_url, options.sha256)


def write_config(options: argparse.Namespace) -> None:
    """Write a pipeline.config that trains a downloaded model on your records, and print each change with its reason.
    Paths in it are relative to the current folder. An existing pipeline.config is not overwritten."""
    from object_detection import records
    from object_detection.config import checks, pipeline
    from object_detection.zoo import configure, edit

    path = Path(options.output, 'pipeline.config')
    if path.exists():
        raise UserError(f'{path}: already exists, and nothing is overwritten; name another --output, or delete it')
    folder = configure.model_folder(options.model)
    config, changes = configure.configure(folder, configure.Options(
        options.train_record, options.test_record, options.label_map, options.batch_size, options.num_steps))
    in_records, _ = records.check_data(config, sample=300, seconds=1, lenient=True)
    findings = checks.demand([*checks.check(config), *checks.check_model_dir(options.output), *in_records])
    with files.writing_to(options.output):
        pipeline.write(config, path)
    for line in (*edit.describe(changes), *(f'{finding.severity}: {finding}' for finding in findings)):
        print(line)
    print(f'{path}: written. Next: python train_t2.py --pipeline_config_path {path}')


def _sha256(text: str) -> str:
    if not re.fullmatch(r'[0-9a-fA-F]{64}', text):
        raise argparse.ArgumentTypeError(f'{text!r} is not 64 hexadecimal digits')
    return text.lower()


def run() -> None:
    """Run the command `detection_zoo`: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
