"""Argument types and groups that the scripts share. Switches may be given as absl flags: --x, --nox, --x=true."""
import argparse
import difflib
from pathlib import Path

from object_detection.utils import files
from object_detection.utils.errors import UserError


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are laid out; defaults where there is one to speak of."""

    def _get_help_string(self, action):
        if action.default in (None, False, ''):
            return action.help
        if isinstance(action.default, list):
            return f'{action.help} (default: {" ".join(map(str, action.default))})'
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no abbreviations and answers a misspelt option with the one that was meant."""

    def __init__(self, description):
        super().__init__(description=description, allow_abbrev=False, formatter_class=Help)

    def error(self, message):
        if message.startswith('unrecognized arguments:'):
            known = [option for option in self._option_string_actions if option.startswith('--')]
            for given in message.partition(':')[2].split():
                close = difflib.get_close_matches(given.partition('=')[0].replace('-', '_'),
                                                  {option.replace('-', '_'): option for option in known}, n=1)
                if close:
                    message += f'; did you mean {close[0].replace("__", "--", 1)}?'
        super().error(message)


def existing_file(text):
    return _checked(files.existing_file, text)


def existing_dir(text):
    return _checked(files.existing_dir, text)


def new_dir(text):
    """A folder that is there or can be made; not a file."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f'{path}: is a file; a folder belongs here')
    return path


def positive_int(text):
    return _number(text, int, 1, None, 'a whole number from 1 on')


def count(text):
    return _number(text, int, 0, None, 'a whole number from 0 on')


def fraction(text):
    return _number(text, float, 0, 1, 'a number from 0 to 1')


def add_switch(parser, name, help):
    """--NAME, --NAME=true or --NAME true, and their opposites --noNAME, --NAME=false; off unless given."""
    parser.add_argument(f'--{name}', f'--no{name}', dest=name, action=_Switch, help=help)


def add_pipeline_config(parser):
    parser.add_argument('--pipeline_config_path', type=existing_file, required=True, metavar='FILE',
                        default=argparse.SUPPRESS, help='the pipeline.config')


def add_model_dir(parser):
    parser.add_argument('--model_dir', type=new_dir, required=True, metavar='FOLDER',
                        default=argparse.SUPPRESS,
                        help='where checkpoints and TensorBoard files are written; training goes on from what is there')


class _Switch(argparse.Action):
    def __init__(self, option_strings, dest, help):
        super().__init__(option_strings, dest, nargs='?', default=False, help=help, metavar='true|false')

    def __call__(self, parser, namespace, value, option_string=None):
        words = {None: True, 'true': True, '1': True, 'yes': True, 't': True, 'y': True,
                 'false': False, '0': False, 'no': False, 'f': False, 'n': False}
        value = value and value.lower()
        if value not in words:
            parser.error(f'argument --{self.dest}: {value!r} is neither true nor false')
        negated = option_string == f'--no{self.dest}'
        if negated and value is not None:
            parser.error(f'argument --no{self.dest}: takes no value')
        setattr(namespace, self.dest, words[value] != negated)


def _checked(check, text):
    try:
        return check(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text, kind, low, high, allowed):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= (value if high is None else high):
        raise argparse.ArgumentTypeError(f'{text!r} is not {allowed}')
    return value
