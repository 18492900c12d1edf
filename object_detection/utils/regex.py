"""Regular expressions of the user's, which may take forever: (a+)+b needs 2**n steps for n times the letter a.

Python's re holds the interpreter's lock and cannot be interrupted on Windows, so they run in a process of their own.
"""
import json
import re
import subprocess
import sys
from collections.abc import Sequence

from object_detection.utils.errors import UserError

SECONDS = 20.  # 100,000 paths take less than one
_PROGRAM = """
import json, re, sys
find, pattern, texts = json.load(sys.stdin)
expression = getattr(re.compile(pattern), find)
found = ((match.groups() or match.group()) if (match := expression(text)) else None for text in texts)
json.dump(list(found), sys.stdout)
"""

Match = tuple[str | None, ...] | str | None


def fault(pattern: str) -> str:
    """Return what is wrong with the syntax of a pattern, else ''."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f'{pattern[:200]!r} is not a regular expression: {error or "nested too deep"}'
    return ''


def search(pattern: str, texts: Sequence[str], where: str) -> list[Match]:
    """Return for each text the groups of the first match as a tuple, the match itself without groups, None without one.

    Args:
        where: the option or field that the pattern is from, for messages.
    Raises:
        UserError: it is not a regular expression, or takes longer than SECONDS.
    """
    return _run('search', pattern, texts, where)


def matches(pattern: str, texts: Sequence[str], where: str) -> list[bool]:
    """Return for each text whether the pattern matches from its beginning; the rest as `search`."""
    return [found is not None for found in _run('match', pattern, texts, where)]


def _run(find: str, pattern: str, texts: Sequence[str], where: str) -> list[Match]:
    if message := fault(pattern):
        raise UserError(f'{where}: {message}')
    try:
        done = subprocess.run([sys.executable, '-I', '-c', _PROGRAM], input=json.dumps([find, pattern, list(texts)]),
                              capture_output=True, text=True, encoding='utf-8', timeout=SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise UserError(f'{where}: {pattern!r} is not done with {len(texts)} names after {SECONDS:g} s. A repetition '
                        'inside a repetition, such as (a+)+ or (a|a)*, takes forever where it does not match; write '
                        'it with one') from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ['no message'])[-1]
        raise UserError(f'{where}: {pattern!r} could not be matched: {last}') from error
    return [tuple(found) if isinstance(found, list) else found for found in json.loads(done.stdout)]
