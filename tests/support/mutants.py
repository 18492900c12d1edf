"""Seeded mutations of text files and records, and a process that tries configs out one after the other."""
import json
import re
import sys
import tempfile
import traceback
from pathlib import Path

EXTREMES = ('0', '-1', '1', '2', '1e-30', '1e30', '1e400', '-1e400', 'nan', 'inf', '-inf', '2147483647', '2147483648',
            '-2147483648', '4294967295', '4294967296', '99999999999999999999', '0.5', '0x10', '1.', '07', '3.0.0', '""')
PIECES = ('{', '}', '[', ']', '<', '>', '"', "'", ':', ',', ';', '#', '\\', '\0', '\n', '\ufeff', '\u201c', '\u200b',
          'é', '\ud83d', '{ ' * 200, 'a' * 5000, '()', '/*', '*', '../', '%s', '{0}')
WORDS = re.compile(r'[A-Za-z_][A-Za-z_0-9]*')
NUMBERS = re.compile(r'(?<![\w.])-?\d[\d.e-]*')


def text(random, source: str) -> str:
    """Return a text with one to three changes."""
    for _ in range(_pick(random, (1, 1, 1, 2, 3))):
        source = _KINDS[int(random.integers(len(_KINDS)))](random, source)
    return source


def _spot(random, found, source):
    matches = list(found.finditer(source))
    return matches[int(random.integers(len(matches)))] if matches else re.match('', source)


def _pick(random, values):
    return values[int(random.integers(len(values)))]


def _number(random, source):
    spot = _spot(random, NUMBERS, source)
    return source[:spot.start()] + _pick(random, EXTREMES) + source[spot.end():]


def _word(random, source):
    """Put another word of the text, or a misspelled one, in place of a word."""
    spot = _spot(random, WORDS, source)
    other = _spot(random, WORDS, source)[0] if random.random() < .6 else spot[0][::-1]
    return source[:spot.start()] + other + source[spot.end():]


def _piece(random, source):
    at = int(random.integers(len(source) + 1))
    return source[:at] + _pick(random, PIECES) + source[at:]


def _cut(random, source):
    at = int(random.integers(len(source) + 1))
    return source[:at] + source[at + int(random.integers(1, 60)):]


def _line(random, source):
    """Delete, double or move a line."""
    lines = source.splitlines(keepends=True) or ['']
    at, to = int(random.integers(len(lines))), int(random.integers(len(lines)))
    return ''.join([*lines[:at], *lines[at + 1:]] if (kind := random.integers(3)) == 0 else
                   [*lines[:at], lines[at], *lines[at:]] if kind == 1 else [*lines[:to], lines[at], *lines[to:]])


def _value(random, source):
    """Put the value of one field in place of another's."""
    found = re.compile(r'(?<=: )[^\s{}]+')
    spot = _spot(random, found, source)
    return source[:spot.start()] + _spot(random, found, source)[0] + source[spot.end():]


def _end(random, source):
    return source[:int(random.integers(len(source) + 1))]


_KINDS = (*[_number] * 9, _value, _value, _word, _piece, _cut, _line, _line, _end)


def data(random, source: bytes) -> bytes:
    """Return bytes with some flipped, cut out, doubled or cut off."""
    out = bytearray(source)
    for _ in range(int(random.integers(1, 5))):
        at = int(random.integers(len(out))) if out else 0
        kind = random.integers(5)
        if kind < 2 and out:
            out[at] ^= 1 << int(random.integers(8))
        elif kind == 2:
            del out[at:at + int(random.integers(1, 40))]
        elif kind == 3:
            out[at:at] = out[at:at + int(random.integers(1, 40))]
        elif random.random() < .3:
            del out[at:]
    return bytes(out)


def main(paths: list[str]) -> None:
    """Build, train one step and evaluate; print [path, kind of outcome, message] of each config as a line of JSON."""
    from object_detection.config import pipeline
    from object_detection.doctor import trial
    from object_detection.utils import phases
    for path in paths:
        print(json.dumps([path, 'begun', '']), flush=True)
        try:
            outcome = phases.attempt(lambda path=path: trial.try_out(
                lambda *_, **__: None, lambda: False, pipeline.to_text(pipeline.read(path)), 1, 8))
            print(json.dumps([path, outcome.kind, outcome.message]), flush=True)
        except Exception:
            print(json.dumps([path, 'traceback', traceback.format_exc()[-3000:]]), flush=True)


if __name__ == '__main__':
    tempfile.tempdir = sys.argv[1]
    main([line for line in Path(sys.argv[2]).read_text(encoding='utf-8').splitlines() if line])
