"""Text protos (pipeline.config, label_map.pbtxt): read with errors that say where and what; where each field stands."""
import difflib
import re

from google.protobuf import text_format

from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_file

_TOKEN = re.compile(r"""(?P<skip>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
                    r"""|(?P<word>[\w.+\-/]+)|(?P<mark>.)""", re.VERBOSE)

# What text_format says -> what is wrong, what to do.
_PLAIN_WORDS = {
    r"Couldn't parse integer: (.*)": ('{0!r} is not a whole number', ''),
    r"Couldn't parse float: (.*)": ('{0!r} is not a number', ''),
    r'Value out of range: (.*)': ('{0} is out of the range of this field', ''),
    r'Expected "true" or "false"\.': ('a switch is true or false', ''),
    r"Expected string but found: '(.*)'": ('{0!r} stands where text belongs', 'put it in quotes'),
    r'Expected "([}>])"\.': ('the file ends inside a section', 'a {0} is missing, here or further up'),
    r'Expected "\{"\.': ('a section begins with {{', 'write NAME {{ ... }}'),
    r'Expected ":"\.': ('a value is given with a colon', 'write NAME: VALUE'),
    r'Expected identifier or number, got (.*)\.': ('{0!r} does not belong here',
                                                    'a brace may be one too many above, or a name is missing'),
}


def read(path, message_class):
    """Parse the file at path; UserError if it is missing, not UTF-8, or not what the schema allows."""
    return parse(read_text(path), message_class(), str(path))


def read_text(path):
    path = existing_file(path)
    data = path.read_bytes()
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        raise UserError(f'{path}: is UTF-16 text; save it as UTF-8')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise UserError(f'{path}:{line}: is not UTF-8 text (byte {data[error.start]:#04x} at offset {error.start}); '
                        'save it as UTF-8') from None


def parse(text, message, source):
    """Read text into an empty message and return it; `source` is what an error calls the text."""
    return _read_into(text_format.Parse, text, message, source)


def merge(text, message, source):
    """As parse, into a message with content: single fields are replaced, sections merged, repeated fields extended."""
    return _read_into(text_format.Merge, text, message, source)


def locate(text):
    """Where each field stands: {('train_config', 0, 'batch_size', 0): line}, lines from 1.

    A key is the path as name and count (how many of that name came before it in the same section), flattened. Expects
    text that parses.
    """
    found = {}
    sections = [((), {}, None)]  # path, how many of each name, the list it stands in
    name = listed = None
    line = 1

    def enter(field):
        path, counts, _ = sections[-1]
        key = (*path, field, counts.setdefault(field, 0))
        counts[field] += 1
        found[key] = line
        return key

    for match in _TOKEN.finditer(text):
        token, kind = match.group(), match.lastgroup
        if kind == 'word' and name is None:
            name = enter(token)
        elif kind in ('word', 'string'):
            name = None
        elif token == '[':
            listed = name[-2]
        elif token == ',' and listed:
            name = enter(listed)
        elif token == ']':
            name = listed = None
        elif token in '{<' and name:
            sections.append((name, {}, listed))
            name = listed = None
        elif token in '}>' and kind == 'mark' and len(sections) > 1:
            listed = sections.pop()[2]
            name = None
        line += token.count('\n')
    return found


def _read_into(reader, text, message, source):
    try:
        return reader(text, message)
    except text_format.ParseError as error:
        raise UserError(_explain(error, text, type(message).DESCRIPTOR, source)) from None


def _explain(error, text, root, source):
    """One message for a ParseError: place, what is wrong, the line with a mark under the token, a suggestion."""
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    lines = text.split('\n')
    code = lines[line - 1].rstrip() if line <= len(lines) else ''
    problem, advice = _diagnose(str(error), root)
    if code[column - 2:column - 1] in ('"', "'") and re.match(r'\w', code[column - 1:]):
        word = re.match(r'\w+', code[column - 1:]).group()
        problem, advice = f'{word!r} stands directly behind a closing quote', f'delete {word!r}'
    where = f'{source}:{line}:{column}: {problem}' + (f'; {advice}' if advice else '')
    margin = ''.join('\t' if letter == '\t' else ' ' for letter in code[:column - 1])
    return f'{where}\n    {code}\n    {margin}^'


def _diagnose(message, root):
    """(what is wrong, what to do) from the words of text_format's ParseError."""
    message = re.sub(r"^\d+:\d+ : ('.*': )?", '', message, flags=re.DOTALL)
    if found := re.search(r'Message type "([\w.]+)" has no field named "([\w.]+)"', message):
        type_name, name = found.groups()
        messages = message_types(root)
        problem = f'{name!r} is not a field of {type_name.rpartition(".")[2]}'
        allowed = [field.name for field in messages[type_name].fields] if type_name in messages else []
        if close := difflib.get_close_matches(name, allowed, n=3, cutoff=0.6):
            return problem, 'did you mean ' + ' or '.join(close) + '?'
        if homes := sorted(m.name for m in messages.values() if name in m.fields_by_name):
            return problem, f'it is one of {", ".join(homes[:4])}: a brace may be missing or one too many above'
        return problem, f'allowed: {", ".join(allowed)}' if allowed else ''
    if found := re.search(r'Enum type "([\w.]+)" has no value (?:named|with number) ([\w.-]+)', message):
        type_name, value = found.group(1), found.group(2).rstrip('.')
        allowed = enum_values(root).get(type_name, [])
        close = difflib.get_close_matches(value.upper(), allowed, n=1, cutoff=0.6)
        advice = f'did you mean {close[0]}? ' if close else ''
        return f'{value!r} is not a value of {type_name.rpartition(".")[2]}', f'{advice}allowed: {", ".join(allowed)}'
    if found := re.search(r'Field "(\w+)" is specified along with field "(\w+)"', message):
        return f'{found.group(1)!r} stands beside {found.group(2)!r}, of which only one may be given', 'delete one'
    if found := re.search(r'should not have multiple "(\w+)" fields', message):
        return f'{found.group(1)!r} is given twice in this section', 'delete one'
    if 'unicodeescape' in message or 'ending quote' in message or 'utf-8' in message:
        return 'this string cannot be read', 'it needs quotes at both ends, on one line, and in paths / instead of \\'
    for pattern, (problem, advice) in _PLAIN_WORDS.items():
        if found := re.fullmatch(pattern, message):
            return tuple(words.format(*found.groups()) for words in (problem, advice))
    return message, ''


def message_types(root):
    """{full name: descriptor} of a message type and all it can hold."""
    types, todo = {}, [root]
    while todo:
        message = todo.pop()
        if message.full_name not in types:
            types[message.full_name] = message
            todo += [field.message_type for field in message.fields if field.message_type]
    return types


def enum_values(root):
    """{full name: value names} of all enums below a message type."""
    return {field.enum_type.full_name: [value.name for value in field.enum_type.values]
            for message in message_types(root).values() for field in message.fields if field.enum_type}
