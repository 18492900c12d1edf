"""XML files of any encoding, to their root element."""
import re
from xml.etree import ElementTree

from object_detection.preparation.annotations.entry import BOMS, Unreadable, decode, read_bytes

_DECLARED = re.compile(rb'^\s*<\?xml[^>]*?encoding\s*=\s*["\']([\w.-]+)["\'][^>]*?\?>')
_DECLARATION = re.compile(r'^\s*<\?xml[^>]*?\?>')


def read(file: str) -> ElementTree.Element:
    """Return the root of an XML file; Unreadable if it is none, or declares entities (they can fill the memory)."""
    data = read_bytes(file)
    text = _text(data)
    if '<!ENTITY' in text:
        raise Unreadable('declares entities, which annotations have no use for')
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise Unreadable(f'cannot be read as XML: {error}') from error


def _text(data: bytes) -> str:
    """Decode XML by its byte order mark, else as it declares: the parser itself knows few encodings."""
    declared = _DECLARED.match(data[:200])
    if declared and not data.startswith(tuple(mark for mark, _ in BOMS)):
        try:
            text = data.decode(declared[1].decode())
        except (LookupError, UnicodeDecodeError) as error:
            raise Unreadable(f'cannot be read as XML: {error}') from error
    else:
        text = decode(data)
    return _DECLARATION.sub('', text, count=1)  # it does not hold for decoded text
