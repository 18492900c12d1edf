"""Reads the .proto files of this folder, at run time and without protoc.

Generated _pb2 modules work with few versions of protobuf; descriptors work with all of them. The one living pure-Python
parser on PyPI (proto-schema-parser, on ANTLR) takes 640 ms for this schema and leaves descriptors to its caller; this
one knows just the part of proto2 that is used here (messages, enums, oneofs, maps, default, deprecated and packed) and
takes 20 ms.
"""
import re

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

_TOKEN = re.compile(r'\s+|//[^\n]*|"([^"\n]*)"|([\w.+-]+)|([{}<>\[\]=;,])')
_LABELS = {name: FieldDescriptorProto.Label.Value(f'LABEL_{name.upper()}')
           for name in ('optional', 'required', 'repeated')}
_SCALARS = {name: FieldDescriptorProto.Type.Value(f'TYPE_{name.upper()}')
            for name in ('double', 'float', 'int32', 'int64', 'uint32', 'uint64', 'bool', 'string', 'bytes')}


def parse(text, name):
    """The FileDescriptorProto of a proto2 source; `name` is what other files import it as.

    Names of messages and enums stay as written: the descriptor pool resolves them by scope, as protoc would.
    Raises ValueError with file and line where the source is not understood.
    """
    return _Parser(text, name).file()


class _Parser:
    def __init__(self, text, name):
        self.text, self.name = text, name
        self.tokens, self.offsets = [], []  # a token without its quotes, and where it stands
        end = 0
        for match in _TOKEN.finditer(text):
            if match.start() != end:
                break
            end = match.end()
            if match.lastindex:
                self.tokens.append(match.group(match.lastindex))
                self.offsets.append(match.start())
        if end != len(text):
            raise self.error(f'{text[end]!r} is not understood', end)
        self.at = 0

    def error(self, message, offset=None):
        if offset is None:
            offset = self.offsets[min(self.at, len(self.offsets)) - 1]
        line = self.text.count('\n', 0, offset) + 1
        return ValueError(f'{self.name}:{line}: {message}')

    def next(self):
        if self.at == len(self.tokens):
            raise self.error('the file ends too early')
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, *tokens):
        for token in tokens:
            if (found := self.next()) != token:
                raise self.error(f'found {found!r} where {token!r} belongs')

    def accept(self, token):
        """Whether the next token is this one; it is passed over if so."""
        if self.at < len(self.tokens) and self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def file(self):
        file = FileDescriptorProto(name=self.name)
        self.expect('syntax', '=', 'proto2', ';')
        while self.at < len(self.tokens):
            keyword = self.next()
            if keyword == 'package':
                file.package = self.next()
                self.expect(';')
            elif keyword == 'import':
                file.dependency.append(self.next())
                self.expect(';')
            elif keyword == 'message':
                self.message(file.message_type.add())
            elif keyword == 'enum':
                self.enum(file.enum_type.add())
            else:
                raise self.error(f'found {keyword!r} where a message or an enum belongs')
        return file

    def message(self, message):
        message.name = self.next()
        self.expect('{')
        while not self.accept('}'):
            keyword = self.next()
            if keyword == 'message':
                self.message(message.nested_type.add())
            elif keyword == 'enum':
                self.enum(message.enum_type.add())
            elif keyword == 'oneof':
                index = len(message.oneof_decl)
                message.oneof_decl.add(name=self.next())
                self.expect('{')
                while not self.accept('}'):
                    self.field(message, 'optional', self.next()).oneof_index = index
            elif keyword == 'map':
                self.map(message)
            elif keyword in _LABELS:
                self.field(message, keyword, self.next())
            else:
                raise self.error(f'found {keyword!r} where a field belongs')

    def field(self, message, label, type_name):
        field = message.field.add(label=_LABELS[label])
        _set_type(field, type_name)
        field.name = self.next()
        self.expect('=')
        field.number = int(self.next())
        if self.accept('['):
            while True:
                option = self.next()
                self.expect('=')
                value = self.next()
                if option == 'default':
                    field.default_value = value
                elif option in ('deprecated', 'packed'):
                    setattr(field.options, option, value == 'true')
                else:
                    raise self.error(f'option {option!r} is not known')
                if not self.accept(','):
                    break
            self.expect(']')
        self.expect(';')
        return field

    def map(self, message):
        """map<K, V> f = N; is short for a repeated nested message FEntry with the fields key and value."""
        self.expect('<')
        key = self.next()
        self.expect(',')
        value = self.next()
        self.expect('>')
        field = self.field(message, 'repeated', 'Entry')
        field.type_name = ''.join(word.capitalize() for word in field.name.split('_')) + 'Entry'
        entry = message.nested_type.add(name=field.type_name)
        entry.options.map_entry = True
        for number, (name, type_name) in enumerate((('key', key), ('value', value)), start=1):
            _set_type(entry.field.add(name=name, number=number, label=_LABELS['optional']), type_name)

    def enum(self, enum):
        enum.name = self.next()
        self.expect('{')
        while not self.accept('}'):
            value = enum.value.add(name=self.next())
            self.expect('=')
            value.number = int(self.next())
            self.expect(';')


def _set_type(field, type_name):
    if type_name in _SCALARS:
        field.type = _SCALARS[type_name]
    else:
        field.type_name = type_name
