"""Columns: what is known of a million pictures, in tens of bytes each instead of an object each.

Numbers are numpy arrays; texts lie one behind the other in one buffer; objects that no column can hold are pickled into
a database on disk.
"""
import abc
import errno
import pickle
import sqlite3
import tempfile
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

Value = TypeVar('Value')

NO_TEXT = -1  # length of a text that is None
SURROGATES = 'surrogatepass'  # names of files that are not text
CACHE = 16 << 10  # KiB of a Shelf that stay in memory


class Texts(Sequence[Any]):
    """A column of texts, each of which may be None. A text that is replaced keeps its bytes until the column goes."""

    def __init__(self, count: int = 0) -> None:
        self._data = bytearray()
        self._starts, self._lengths = array('q', bytes(8 * count)), array('i', [NO_TEXT]) * count

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, i: Any) -> Any:
        start, length = self._starts[i], self._lengths[i]
        return None if length == NO_TEXT else self._data[start:start + length].decode('utf-8', SURROGATES)

    def __setitem__(self, i: int, text: str | None) -> None:
        if text is None:
            self._lengths[i] = NO_TEXT
            return
        data = text.encode('utf-8', SURROGATES)
        self._starts[i], self._lengths[i] = len(self._data), len(data)
        self._data += data

    def append(self, text: str | None) -> None:
        self._starts.append(0)
        self._lengths.append(NO_TEXT)
        self[len(self) - 1] = text


class Categories(Sequence[Any]):
    """A column of values of which there are few, such as labels. `first` is the value of every row at the start."""

    def __init__(self, count: int = 0, first: Hashable = None) -> None:
        self.codes = array('i', bytes(4 * count))
        self.values: list[Any] = [first]
        self._codes: dict[Hashable, int] = {first: 0}

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, i: Any) -> Any:
        return self.values[self.codes[i]]

    def __setitem__(self, i: int, value: Hashable) -> None:
        self.codes[i] = self.code(value)

    def append(self, value: Hashable) -> None:
        self.codes.append(self.code(value))

    def code(self, value: Hashable) -> int:
        """Return the number of a value in `values`, where it is added if it is new."""
        known = self._codes.get(value)
        if known is None:
            known = self._codes[value] = len(self.values)
            self.values.append(value)
        return known


class Numbers:
    """A column of whole numbers; with `optional`, each may be None, as all are at the start."""

    def __init__(self, count: int, kind: Any = np.int64, first: int = 0, optional: bool = False) -> None:
        self.values = np.full(count, first, kind)
        self.known = np.zeros(count, bool) if optional else None

    def __getitem__(self, i: int) -> int | None:
        return None if self.known is not None and not self.known[i] else self.values.item(i)

    def __setitem__(self, i: int, value: int | None) -> None:
        if self.known is not None:
            self.known[i] = value is not None
        self.values[i] = 0 if value is None else value


class Digests:
    """A column of SHA-256 in hexadecimal digits; `none` stands where there is none."""

    def __init__(self, count: int, none: str | None) -> None:
        self.values = np.zeros((count, 32), np.uint8)
        self._none = none

    def __getitem__(self, i: int) -> str | None:
        data = self.values[i].tobytes()
        return data.hex() if any(data) else self._none

    def __setitem__(self, i: int, digest: str | None) -> None:
        self.values[i] = np.frombuffer(bytes.fromhex(digest) if digest else bytes(32), np.uint8)


class Index:
    """Finds the rows of a key among many: 64-bit hashes of the keys, sorted. `key(row)` tells them apart."""

    def __init__(self, count: int, key: Callable[[int], Any]) -> None:
        hashes = np.fromiter((hash(key(row)) for row in range(count)), np.int64, count)
        self._rows = np.argsort(hashes, kind='stable').astype(np.int32)
        self._hashes, self.key = hashes[self._rows], key

    def rows(self, key: Hashable) -> list[int]:
        """Return the rows of a key, in order."""
        wanted = np.int64(hash(key))
        start = int(np.searchsorted(self._hashes, wanted))
        found = []
        while start < len(self._hashes) and self._hashes[start] == wanted:
            if self.key(row := int(self._rows[start])) == key:
                found.append(row)
            start += 1
        return found

    def firsts(self) -> np.ndarray:
        """Return, for each row, the first row with its key, [number of rows]."""
        firsts = np.arange(len(self._rows))
        for rows in self.repeated():
            firsts[rows] = rows[0]
        return firsts

    def repeated(self) -> Iterator[list[int]]:
        """Yield the rows of each key that several rows have."""
        starts: np.ndarray = np.flatnonzero(np.diff(self._hashes, prepend=self._hashes[:1] - 1)) \
            if len(self._hashes) else np.zeros(0, np.int64)
        sizes = np.diff(starts, append=len(self._hashes))
        for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist()):
            members: dict[Hashable, list[int]] = {}
            for row in self._rows[start:start + size].tolist():
                members.setdefault(self.key(row), []).append(row)
            yield from (rows for rows in members.values() if len(rows) > 1)


class Keyed(Mapping[str, Value], abc.ABC):
    """{key: value} of rows. A subclass says which rows have values, and what these are."""

    def __init__(self, index: Index) -> None:
        """index: of the keys, each of which one row has."""
        self._index = index

    @abc.abstractmethod
    def value(self, row: int) -> Any:
        """Return the value of a row, None if it has none."""

    @abc.abstractmethod
    def rows(self) -> Iterable[int]:
        """Return the rows that have values, in the order of the mapping."""

    def __getitem__(self, key: str) -> Value:
        rows = self._index.rows(key)
        value = self.value(rows[0]) if rows else None
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return map(self._index.key, self.rows())

    def __len__(self) -> int:
        return sum(1 for _ in self.rows())

    def values(self) -> Iterator[Value]:  # type: ignore[override]
        return map(self.value, self.rows())

    def items(self) -> Iterator[tuple[str, Value]]:  # type: ignore[override]
        return zip(self, self.values())


class Shelf:
    """Objects on disk, each under a number; memory holds a few megabytes of them.

    It is a temporary database of SQLite, which the operating system removes with this process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect('', isolation_level=None, check_same_thread=False)
        self._database.execute('PRAGMA journal_mode = OFF')
        self._database.execute(f'PRAGMA cache_size = -{CACHE}')
        self._database.execute('CREATE TABLE kept (number INTEGER PRIMARY KEY, value BLOB)')
        self._database.execute('BEGIN')  # one transaction for its whole life: nothing has to survive

    def __setitem__(self, number: int, value: Any) -> None:
        try:
            self._database.execute('INSERT OR REPLACE INTO kept VALUES (?, ?)', (number, pickle.dumps(value, -1)))
        except sqlite3.OperationalError as error:  # SQLite has no room for its temporary file
            raise OSError(errno.ENOSPC, f'no space left for temporary files ({error}); TMPDIR names another place',
                          tempfile.gettempdir()) from error

    def get(self, number: int) -> Any:
        """Return what is kept under a number, or None."""
        row = self._database.execute('SELECT value FROM kept WHERE number = ?', (number,)).fetchone()
        return pickle.loads(row[0]) if row else None


def sorted_by(keys: np.ndarray, name: Callable[[int], str]) -> np.ndarray:
    """Return the places of numbers in ascending order; of equal ones, in the order of name(place)."""
    order = np.argsort(keys, kind='stable')
    edges = np.flatnonzero(np.diff(keys[order], prepend=np.nan, append=np.nan) != 0)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()) if len(edges) <= len(keys) else ():
        if end - start > 1:
            order[start:end] = sorted(order[start:end].tolist(), key=name)
    return order


def runs(numbers: np.ndarray) -> Iterator[list[int]]:
    """Yield, for each value, the places in an array where it stands, in order."""
    order = np.argsort(numbers, kind='stable')
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    ends = [*edges.tolist(), len(numbers)]
    start = 0
    for end in ends if len(numbers) else []:
        yield order[start:end].tolist()
        start = end
