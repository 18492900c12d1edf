"""Argument types and groups that the commands share. Switches work like absl flags: --x, --nox, --x=true; also -x."""
import argparse
import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from object_detection.utils import files
from object_detection.utils.errors import UserError


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep the layout of descriptions; show defaults other than None, False, '' and []."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, '', []):
            return action.help
        if isinstance(action.default, list):
            return f'{action.help} (default: {" ".join(map(str, action.default))})'
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that allows no abbreviations and suggests the right name for a misspelled option.

    As with absl, one hyphen is as good as two: -model_dir=x.
    """

    def __init__(self, description: str | None) -> None:
        super().__init__(description=description, allow_abbrev=False, formatter_class=Help)
        self._given: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args([self._two_hyphens(text) for text in given], namespace)

    def _two_hyphens(self, text: str) -> str:
        match = re.match(r'-(\w{2,})(=|$)', text)
        return f'-{text}' if match and f'--{match[1]}' in self._option_string_actions else text

    def error(self, message: str) -> NoReturn:
        """Print the message, with the option that each unknown one probably means, and end with code 2."""
        if message.startswith(('unrecognized arguments:', 'the following arguments are required:')):
            names = [text.partition('=')[0] for text in self._given if re.match(r'--?\w{2}', text)]
            unknown = [name for name in names if self._two_hyphens(name) not in self._option_string_actions]
            for name in dict.fromkeys(unknown):
                if meant := self._similar(name.lstrip('-').replace('-', '_')):
                    message += f'; did you mean --{meant} instead of {name}?'
        super().error(message)

    def _similar(self, name: str) -> str | None:
        """Return the option that a misspelled, abbreviated or incomplete one means; None if that is unclear."""
        known = [option[2:] for action in self._actions if action.help != argparse.SUPPRESS
                 for option in action.option_strings if option.startswith('--')]
        if close := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            return close[0]
        words = [option for option in known if f'_{name}_' in f'_{option}_' or option.startswith(name)]
        return words[0] if len(words) == 1 else None


def existing_file(text: str) -> Path:
    """Argument type: a file that exists."""
    try:
        return files.existing_file(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def folder_path(text: str) -> Path:
    """Argument type: a folder that exists or can be made."""
    if message := files.refused(text):
        raise argparse.ArgumentTypeError(message)
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f'{path}: is a file; give a folder')
    return path


def positive_int(text: str) -> int:
    """Argument type: a whole number, at least 1."""
    return _number(text, int, 1, None, 'a whole number of at least 1')


def count(text: str) -> int:
    """Argument type: a whole number, at least 0."""
    return _number(text, int, 0, None, 'a whole number of at least 0')


def seed(text: str) -> int:
    """Argument type: a whole number from 0 to 2**31 - 1."""
    return _number(text, int, 0, 2**31 - 1, 'a whole number from 0 to 2147483647')


def minutes(text: str) -> float:
    """Argument type: minutes, at least 0."""
    return _number(text, float, 0, 1e6, 'a number of minutes of at least 0')


def fraction(text: str) -> float:
    """Argument type: a number from 0 to 1."""
    return _number(text, float, 0, 1, 'a number from 0 to 1')


def size(text: str) -> int:
    """Argument type: a number of bytes, with the unit kB, MB, GB or TB (powers of 1000) or KiB, ... (of 1024)."""
    match = re.fullmatch(r'(\d+(?:\.\d+)?) ?([kmgt]?)(i?)b', text.strip(), re.IGNORECASE)
    value = round(float(match[1]) * (1024 if match[3] else 1000) ** ' kmgt'.index(match[2].lower() or ' ')) \
        if match else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a size such as 200MB or 1GB')
    return value


def add_switch(parser: argparse._ActionsContainer, name: str, help: str, default: bool = False) -> None:
    """Add --NAME, --NAME=true or --NAME true, and their opposites --noNAME, --NAME=false."""
    parser.add_argument(f'--{name}', f'--no{name}', dest=name, action=_Switch, help=help, default=default)


def add_pipeline_config(parser: argparse.ArgumentParser) -> None:
    """Add --pipeline_config_path, required."""
    parser.add_argument('--pipeline_config_path', type=existing_file, required=True, metavar='FILE',
                        default=argparse.SUPPRESS, help='the pipeline.config')


def add_model_dir(parser: argparse.ArgumentParser) -> None:
    """Add --model_dir, required."""
    parser.add_argument('--model_dir', type=folder_path, required=True, metavar='FOLDER',
                        default=argparse.SUPPRESS,
                        help='folder for checkpoints and TensorBoard files; training resumes from what it contains')


def add_absl_flags(parser: argparse.ArgumentParser) -> None:
    """Accept the flags of every absl program (--alsologtostderr, --v=1, ...), which old command lines carry.

    They have no effect here, and --help does not list them.
    """
    for name in ('alsologtostderr', 'logtostderr', 'showprefixforinfo', 'only_check_args', 'pdb', 'pdb_post_mortem',
                 'run_with_pdb', 'run_with_profiling', 'use_cprofile_for_profiling'):
        parser.add_argument(f'--{name}', f'--no{name}', nargs='?', dest=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for names in (('--v', '-v', '--verbosity'), ('--stderrthreshold',), ('--log_dir',), ('--logger_levels',),
                  ('--profile_file',), ('--undefok',)):
        parser.add_argument(*names, dest=argparse.SUPPRESS, help=argparse.SUPPRESS)


def add_refused(parser: argparse.ArgumentParser, flags: Mapping[str, str]) -> None:
    """Refuse flags of the reference's other scripts.

    Args:
        flags: {name without hyphens: what to say about it}.
    """
    for name, message in flags.items():
        parser.add_argument(f'--{name}', f'--no{name}', nargs='?', dest=argparse.SUPPRESS, action=_Refused,
                            message=message, help=argparse.SUPPRESS)


class _Refused(argparse.Action):
    def __init__(self, *arguments: Any, message: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._message = message

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any,
                 option_string: str | None = None) -> None:
        parser.error(f'{option_string}: {self._message}')


class _Switch(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str, default: bool) -> None:
        super().__init__(option_strings, dest, nargs='?', default=default, help=help, metavar='true|false')

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any,
                 option_string: str | None = None) -> None:
        words = {None: True, 'true': True, '1': True, 'yes': True, 't': True, 'y': True,
                 'false': False, '0': False, 'no': False, 'f': False, 'n': False}
        value = value and value.lower()
        if value not in words:
            parser.error(f'argument --{self.dest}: {value!r} is neither true nor false')
        negated = option_string == f'--no{self.dest}'
        if negated and value is not None:
            parser.error(f'argument --no{self.dest}: takes no value')
        setattr(namespace, self.dest, words[value] != negated)


def _number(text: str, kind: Callable[[str], Any], low: float, high: float | None, allowed: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= (value if high is None else high):
        raise argparse.ArgumentTypeError(f'{text!r} is not {allowed}')
    return value
