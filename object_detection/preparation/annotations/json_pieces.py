"""JSON files that are too large to be held as objects: read piece by piece."""
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from object_detection.preparation.annotations.entry import encoding_of

CHUNK = 1 << 20  # letters read at a time
BEHIND = tuple(' \t\r\n,:]}')  # what may follow a value or a key
_DECODER = json.JSONDecoder()


def pieces(file: str) -> Iterator[tuple[str, Any]]:
    """Yield (key, element) of the lists in the object that a JSON file holds, and (key, value) of its other members.

    ValueError for anything but an object, and for what is no JSON; UnicodeDecodeError for what is no text.
    """
    with Path(file).open('rb') as start:
        encoding = encoding_of(start.read(4))
    with Path(file).open(encoding=encoding) as stream:
        text = _Text(stream)
        text.take('{')
        more = not text.took('}')
        while more:
            key = text.value()
            text.take(':')
            if text.took('['):
                inside = not text.took(']')
                while inside:
                    yield key, text.value()
                    inside = text.took(',')
                    if not inside:
                        text.take(']')
            else:
                yield key, text.value()
            more = text.took(',')
            if not more:
                text.take('}')
        if text.letter():
            raise ValueError('there is more behind the end')


class _Text:
    """The text of a file, of which the beginning is forgotten as it is read."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._text, self._place, self._ended = stream, '', 0, False

    def letter(self) -> str:
        """Return the next letter that is no space, '' at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in ' \t\r\n':
                    return self._text[self._place]
                self._place += 1
            if self._ended:
                return ''
            self._read()

    def took(self, letter: str) -> bool:
        """Pass over the next letter if it is this one; return whether it was."""
        if self.letter() != letter:
            return False
        self._place += 1
        return True

    def take(self, letter: str) -> None:
        if not self.took(letter):
            raise ValueError(f'{letter!r} is missing')

    def value(self) -> Any:
        """Return the value that comes next."""
        self.letter()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
                if self._ended or self._text[end:end + 1] in BEHIND:  # else a number goes on in what is not read yet
                    self._place = end
                    return value
            except ValueError:
                if self._ended:
                    raise
            self._read(len(self._text) - self._place)  # twice as much as there was

    def _read(self, least: int = 0) -> None:
        more = self._stream.read(max(CHUNK, least))
        self._ended = not more
        self._text, self._place = self._text[self._place:] + more, 0
