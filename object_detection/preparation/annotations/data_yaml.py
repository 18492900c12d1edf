"""data.yaml of Ultralytics, Roboflow and CVAT: class names and the parts of the split, in the forms they write.

Those are a text, a list or a map of texts: [a, b], {0: a, 1: b}, or one item a line. All values stay text, so that a
class named `no` or `1` does not become a boolean or a number. Any other form of YAML is an error rather than a guess.
"""
import re

from object_detection.preparation.annotations.entry import Unreadable

Value = str | list[str] | dict[str, str]
KEYS = ('path', 'train', 'val', 'test', 'names', 'kpt_shape')
_QUOTED = r'"[^"\\]*"' r"|'(?:[^']|'')*'"
_START = r'''[^\s"'\[\]{},#&*!|>%@`]'''
_KEY = rf'(?:({_QUOTED}|\d+)\s*:\s)?\s*'
_ITEM = re.compile(rf'{_KEY}({_QUOTED}|{_START}[^\[\]{{}},]*)\s*')  # of a list on one line
_LINE = re.compile(rf'{_KEY}({_QUOTED}|{_START}.*)\s*')
_COMMENT = re.compile(rf'({_QUOTED})|(?:^|(?<=\s))#.*')


def read(text: str) -> dict[str, Value]:
    """Return {key: value} for those of KEYS that begin a line; Unreadable for another form of names or kpt_shape."""
    found: dict[str, Value] = {}
    lines = [_COMMENT.sub(r'\1', line).rstrip() for line in text.splitlines()]
    for number, line in enumerate(lines, start=1):
        key, colon, first = line.partition(':')
        if not colon or key not in KEYS:
            continue
        ends = (i for i in range(number, len(lines)) if lines[i] and lines[i][0] not in ' \t-]}')
        below = lines[number:next(ends, len(lines))]
        try:
            found[key] = _value(first.strip(), [line for line in below if line])
        except ValueError:
            if key in ('names', 'kpt_shape'):
                raise Unreadable(f'line {number}: {key} is neither a text nor a plain list; write it as one item a '
                                 'line, - NAME') from None
    return found


def _value(first, below):
    if first[:1] in ('[', '{'):
        return _flow(' '.join([first, *below]))
    if first:
        return _items([first])[0][1]
    dashed = [line.strip().startswith('- ') for line in below]
    items = _items(line.strip().removeprefix('- ') for line in below)
    if any(dashed):
        if not all(dashed) or any(key for key, _ in items):
            raise ValueError
        return [value for _, value in items]
    return _map(items)


def _flow(text):
    """Read [a, b] or {0: a, 1: b}."""
    if (text[0], text[-1]) not in (('[', ']'), ('{', '}')):
        raise ValueError
    items, position = [], 1
    while text[position:-1].strip():
        if not (match := _ITEM.match(text, position + len(text[position:]) - len(text[position:].lstrip()))):
            raise ValueError
        items.append((match[1], match[2]))
        position = match.end()
        if text[position] not in ',]}':
            raise ValueError
        position += text[position] == ','
    items = [(key and _plain(key), _plain(value)) for key, value in items]
    if text[0] == '{':
        return _map(items)
    if any(key for key, _ in items):
        raise ValueError
    return [value for _, value in items]


def _items(texts):
    """Return [(key or None, value)] of texts that each hold one item."""
    matches = [_LINE.fullmatch(text) for text in texts]
    if not all(matches):
        raise ValueError
    return [(match[1] and _plain(match[1]), _plain(match[2])) for match in matches if match]


def _map(items):
    if not all(key for key, _ in items):
        raise ValueError
    return dict(items)


def _plain(text):
    text = text.strip()
    if text[0] not in '"\'' and ': ' in f'{text} ':  # a map
        raise ValueError
    return text[1:-1].replace("''", "'") if text[0] in '"\'' else text
