"""Text protos (pipeline.config, label_map.pbtxt): parse with all errors and advice; find the line of each field."""
import dataclasses
import difflib
import itertools
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_file, read_bytes
from object_detection.utils.limits import SMALL_TEXT

_TOKEN = re.compile(r"""(?P<skip>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
                    r"""|(?P<word>[\w.+\-/]+)|(?P<mark>.)""", re.VERBOSE)

# What word processors, web pages, and other keyboards put in place of plain characters.
_QUOTES = '“”„‟‘’‚‛«»‹›″′‶‵〝〞〟＂＇「」『』`´'
_LOOKALIKES = {**dict.fromkeys(_QUOTES, '"'), **dict.fromkeys('‐‑‒–—―−', '-'),
               **dict.fromkeys('\u200b\u200c\u200d\u2060\ufeff', ''),
               '：': ':', '，': ',', '；': ';', '｛': '{', '｝': '}', '［': '[', '］': ']', '＃': '#'}
_QUOTE_IT = 'put it in quotes'
# Message of text_format -> what is wrong, what to do. After an error in a value, parsing can go on after the field;
# after an error in the structure, everything below may be misread.
_VALUE_ERRORS = {
    r"Couldn't parse integer: (.*)": ('{0!r} is not a whole number', ''),
    r"Couldn't parse float: (.*)": ('{0!r} is not a number', ''),
    r'Value out of range: (.*)': ('{0} is out of the range of this field', ''),
    r'Expected "true" or "false"\.': ('expected true or false', ''),
    r"Expected string but found: '(.*)'": ('{0!r} is given where text is expected', _QUOTE_IT),
    r'.*Field "(\w+)" is specified along with field "(\w+)".*': (
        '{0!r} is given together with {1!r}, and only one of them may be', 'delete one'),
    r'.*should not have multiple "(\w+)" fields.*': ('{0!r} is given twice in this section', 'delete one'),
}
_STRUCTURE_ERRORS = {
    r'.*(?:unicodeescape|ending quote|utf-8).*': (
        'this string cannot be read', 'it needs quotes at both ends, on one line, and in paths / instead of \\'),
    r'Expected "([}>])"\.': ('the file ends inside a section', 'a {0} is missing, here or further up'),
    r'Expected "\{"\.': ('a section begins with {{', 'write NAME {{ ... }}'),
    r'Expected ":"\.': ('a value is given with a colon', 'write NAME: VALUE'),
    r'Expected identifier or number, got (.*)\.': ('{0!r} does not belong here',
                                                    'there may be an extra brace above, or a name is missing'),
}
_MOST_ERRORS = 20
_AnyMessage = TypeVar('_AnyMessage', bound=Message)


def read_text(path: str | Path) -> str:
    """Return the text of a file; UserError if it is missing or not UTF-8."""
    if (size := existing_file(path).stat().st_size) > SMALL_TEXT:  # a record file, perhaps
        raise UserError(f'{path}: has {size / 1e6:.0f} MB; a pipeline.config or label map is much smaller')
    data = read_bytes(path)
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        raise UserError(f'{path}: is UTF-16 text; save it as UTF-8')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise UserError(f'{path}:{line}: is not UTF-8 text (byte {data[error.start]:#04x} at offset {error.start}); '
                        'save it as UTF-8') from None


def parse(text: str, message: _AnyMessage, source: str) -> _AnyMessage:
    """Read text into an empty message and return it.

    Args:
        source: what errors call the text, such as its path.
    Raises:
        UserError: all mistakes that can be told apart, each with source:line:column and what to do.
    """
    return _read_into(text_format.Parse, text, message, source)


def merge(text: str, message: _AnyMessage, source: str) -> _AnyMessage:
    """Like parse, into a message with content: replace single fields, merge sections, extend repeated fields."""
    return _read_into(text_format.Merge, text, message, source)


@dataclasses.dataclass
class Place:
    """Where a field is in a text proto: offsets of characters, and its line, from 1.

    start: of the name, or of the value in a list. inside: (first, after the last) character of the value; of a section,
    of what is between the braces. brackets: the same of the list that the value is in, with its brackets.
    """

    line: int
    start: int
    inside: tuple[int, int]
    brackets: tuple[int, int] | None = None


def locate(text: str) -> dict[tuple, int]:
    """Return the line of each field: {('train_config', 0, 'batch_size', 0): 7}, lines from 1.

    A key is the path as name and index (how many of that name precede it in the same section), flattened. The text must
    parse.
    """
    return {key: place.line for key, place in places(text).items()}


def key_of(field: str) -> tuple:
    """Return the key in `locate` of a path such as eval_input_reader[0].label_map_path."""
    parts = (part.rstrip(']').partition('[') for part in field.split('.'))
    return tuple(itertools.chain.from_iterable((name, int(index or 0)) for name, _, index in parts))


def places(text: str) -> dict[tuple, Place]:
    """Return the place of each field, with the keys of `locate`. The text must parse."""
    found: dict[tuple, Place] = {}
    # path, how many of each name so far, the list it is in
    sections: list[tuple[tuple, dict[str, int], str | None]] = [((), {}, None)]
    name: tuple | None = None
    listed: str | None = None
    elements: list[tuple] = []  # of the list that is open
    line, opened = 1, 0

    def enter(field: str, start: int) -> tuple:
        path, counts, _ = sections[-1]
        key = (*path, field, counts.setdefault(field, 0))
        counts[field] += 1
        found[key] = Place(line, start, (start, start))
        return key

    last: tuple = ()
    for match in _TOKEN.finditer(text):
        token, kind = match.group(), match.lastgroup
        if kind == 'word' and name is None:
            name = enter(token, match.start())
        elif kind in ('word', 'string'):
            last = name or last  # adjacent strings are one value
            start = found[last].inside[0] if name is None else match.start()
            found[last].inside = start, match.end()
            name = None
        elif token == '[' and name:
            listed, opened, elements = name[-2], match.start(), [name]
        elif token == ',' and listed:
            name = enter(listed, match.end())
            elements.append(name)
        elif token == ']':
            for key in elements:
                found[key].brackets = opened, match.end()
            name, listed, elements = None, None, []
        elif token in '{<' and name:
            found[name].inside = match.end(), match.end()
            sections.append((name, {}, listed))
            name = listed = None
        elif token in '}>' and kind == 'mark' and len(sections) > 1:
            path, _, listed = sections.pop()
            found[path].inside = found[path].inside[0], match.start()
            name = None
        line += token.count('\n')
    return found


def _read_into(reader: Callable[[str, Any], Any], text: str, message: _AnyMessage, source: str) -> _AnyMessage:
    try:
        return reader(text, message)
    except text_format.ParseError as error:
        raise UserError(_errors(reader, text, type(message), source, error)) from None


def _errors(reader: Callable[[str, Any], Any], text: str, message_class: Any, source: str,
            error: text_format.ParseError) -> list[str]:
    """Return messages for the first error and those after it: blank out each field at fault and parse again."""
    lines = text.split('\n')
    found, remaining, pasted = _lookalikes(text, source)
    problems: text_format.ParseError | None = _attempt(reader, remaining, message_class()) if found else error
    while problems:
        line, column = problems.GetLine() or 1, problems.GetColumn() or 1
        code = lines[line - 1].rstrip() if line <= len(lines) else ''
        offset = sum(len(other) + 1 for other in remaining.split('\n')[:line - 1]) + column - 1
        if (word := re.match(r'\w+', code[column - 1:])) and code[column - 2:column - 1] in ('"', "'"):
            problem, advice = f'{word[0]!r} directly follows a closing quote', f'delete {word[0]!r}'
            span: tuple[int, int] | None = (offset, offset + len(word[0]))
        else:
            problem, advice, local = _diagnose(str(problems), message_class.DESCRIPTOR)
            span = _field_at(remaining, offset) if local else None
            if span and advice == _QUOTE_IT:  # what belongs in quotes may have spaces
                span = span[0], span[1] + len(re.split(r'[\n}>]', remaining[span[1]:], maxsplit=1)[0])
        if line not in pasted:
            found.append(_message(source, line, column, code, f'{"; ".join(filter(None, (problem, advice)))}'))
        if span is None or len(found) >= _MOST_ERRORS:
            break
        remaining = remaining[:span[0]] + re.sub(r'[^\n]', ' ', remaining[slice(*span)]) + remaining[span[1]:]
        problems = _attempt(reader, remaining, message_class())
    return found


def _attempt(reader: Callable[[str, Any], Any], text: str, message: Message) -> text_format.ParseError | None:
    try:
        reader(text, message)
    except text_format.ParseError as error:
        return error
    return None


def _message(source: str, line: int, column: int, code: str, text: str) -> str:
    margin = ''.join('\t' if letter == '\t' else ' ' for letter in code[:column - 1])
    return f'{source}:{line}:{column}: {text}\n    {code}\n    {margin}^'


def _lookalikes(text: str, source: str) -> tuple[list[str], str, set[int]]:
    """Find characters outside of strings and comments that only look like those that belong there.

    Returns:
        A message for all typographic quotes and one for each other character, the text with plain characters in their
        lines, and these lines (from 1).
    """
    places: dict[str, list[tuple[int, int, str]]] = {}  # plain character -> line, column, character
    for match in _TOKEN.finditer(text):
        if match.lastgroup == 'mark' and match.group() in _LOOKALIKES:
            start = match.start()
            place = text.count('\n', 0, start) + 1, start - text.rfind('\n', 0, start), match.group()
            places.setdefault(_LOOKALIKES[match.group()], []).append(place)
    lines = text.split('\n')
    found = []
    for plain, marks in places.items():
        line, column, character = marks[0]
        if plain == '"':
            shown = ' '.join(sorted({mark for _, _, mark in marks}))
            said = f'typographic quotes ({shown}) stand where straight ones belong; write " or \''
        else:
            name = unicodedata.name(character, '').lower()
            said = f'{character!r} ({name}) stands where {plain!r} belongs' if plain else \
                f'{character!r} ({name}) cannot be seen; delete it'
        if others := sorted({other for other, _, _ in marks} - {line}):
            more = f' and {len(others) - 8} more' if len(others) > 8 else ''
            said += f' (also on line {", ".join(map(str, others[:8]))}{more})'
        found.append(_message(source, line, column, lines[line - 1].rstrip(), said))
    pasted = {line for marks in places.values() for line, _, _ in marks}
    for line in pasted:
        lines[line - 1] = lines[line - 1].translate({ord(mark): plain for mark, plain in _LOOKALIKES.items()})
    return found, '\n'.join(lines), pasted


def _field_at(text: str, offset: int) -> tuple[int, int] | None:
    """Return where the field starts and ends whose name or value is at `offset`; None if that is unclear."""
    tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup != 'skip']
    names = [i for i, (token, following) in enumerate(itertools.pairwise(tokens))
             if token.start() <= offset and token.lastgroup == 'word' and following.group() in (':', '{', '<')]
    if not names:
        return None
    first = names[-1] + 1 + (tokens[names[-1] + 1].group() == ':')  # of the value
    depth = 0
    for token, following in itertools.zip_longest(tokens[first:], tokens[first + 1:]):
        depth += (token.group() in ('{', '<', '[')) - (token.group() in ('}', '>', ']'))
        if depth <= 0 and not (following and token.lastgroup == following.lastgroup == 'string'):
            return (tokens[names[-1]].start(), token.end()) if depth == 0 else None
    return None


def _diagnose(message: str, root: Descriptor) -> tuple[str, str, bool]:
    """Translate the message of a ParseError.

    Returns:
        What is wrong, what to do, and whether only this field is affected.
    """
    message = re.sub(r"^\d+:\d+ : ('.*': )?", '', message, flags=re.DOTALL)
    if found := re.search(r'Message type "([\w.]+)" has no field named "([\w.]+)"', message):
        type_name, name = found.groups()
        messages = message_types(root)
        problem = f'{name!r} is not a field of {type_name.rpartition(".")[2]}'
        allowed = [field.name for field in messages[type_name].fields] if type_name in messages else []
        if close := difflib.get_close_matches(name, allowed, n=3, cutoff=0.6):
            return problem, 'did you mean ' + ' or '.join(close) + '?', True
        if homes := sorted(m.name for m in messages.values() if name in m.fields_by_name):
            advice = f'it is one of {", ".join(homes[:4])}: there may be a missing or an extra brace above'
            return problem, advice, False
        return problem, f'allowed: {", ".join(allowed)}' if allowed else '', True
    if found := re.search(r'Enum type "([\w.]+)" has no value (?:named|with number) ([\w.-]+)', message):
        type_name, value = found.group(1), found.group(2).rstrip('.')
        allowed = enum_values(root).get(type_name, [])
        close = difflib.get_close_matches(value.upper(), allowed, n=1, cutoff=0.6)
        advice = (f'did you mean {close[0]}? ' if close else '') + f'allowed: {", ".join(allowed)}'
        return f'{value!r} is not a value of {type_name.rpartition(".")[2]}', advice, True
    for local, table in ((True, _VALUE_ERRORS), (False, _STRUCTURE_ERRORS)):
        for pattern, (problem, advice) in table.items():
            if match := re.fullmatch(pattern, message, flags=re.DOTALL):
                return problem.format(*match.groups()), advice.format(*match.groups()), local
    return message, '', False


def message_types(root: Descriptor) -> dict[str, Descriptor]:
    """Return {full name: descriptor} of a message type and all that it can contain."""
    types: dict[str, Descriptor] = {}
    todo = [root]
    while todo:
        message = todo.pop()
        if message.full_name not in types:
            types[message.full_name] = message
            todo += [field.message_type for field in message.fields if field.message_type]
    return types


def enum_values(root: Descriptor) -> dict[str, list[str]]:
    """Return {full name: value names} of all enums below a message type."""
    return {field.enum_type.full_name: [value.name for value in field.enum_type.values]
            for message in message_types(root).values() for field in message.fields if field.enum_type}
