"""The TFRecord container: checksum, writer, and random access.

A record is: length (uint64), masked CRC-32C of these 8 bytes, data, masked CRC-32C of the data; all little-endian.
"""
import functools
import os
import struct
import threading
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import google_crc32c
import numpy as np

from object_detection.utils.errors import UserError
from object_detection.utils.files import naming_file
from object_detection.utils.shards import expand, shard_names

_HEADER, _FOOTER = 12, 4  # bytes before and after the data
_COMPRESSED = {b'\x1f\x8b': 'gzip', b'BZh': 'bzip2', b'\xfd7zXZ\x00': 'xz', b'(\xb5/\xfd': 'zstandard',
               b'PK\x03\x04': 'ZIP', b'7z\xbc\xaf\x27\x1c': '7-Zip', b'Rar!': 'RAR'}
PARTIAL = '.partial'  # ends the name of a file that is not complete
_UNPACK = {'gzip': ' (gzip -dc FILE > NEW_FILE)',
           'zlib': ' (python -c "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))" '
                   '< FILE > NEW_FILE)'}


def masked_crc32c(data: bytes) -> int:
    """Return the checksum that TFRecord files carry."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what stands in a file for one record: length and its checksum, the data, and their checksum."""
    length = struct.pack('<Q', len(data))
    return length + struct.pack('<I', masked_crc32c(length)), data, struct.pack('<I', masked_crc32c(data))


class Writer:
    """Writes a data set; its files appear under their names when the `with` block ends well, or not at all.

    Args:
        path: file name, to which -00000-of-00010 is added if shards > 1.
        shards: number of files; record i goes to shard i % shards.
    """

    def __init__(self, path: str | os.PathLike, shards: int = 1) -> None:
        self.names = shard_names(path, shards)
        self.count = 0

    def __enter__(self) -> 'Writer':
        Path(self.names[0]).parent.mkdir(parents=True, exist_ok=True)
        self._files: list[BinaryIO] = [Path(f'{name}{PARTIAL}').open('wb') for name in self.names]  # noqa: SIM115
        return self

    def write(self, data: bytes) -> None:
        """Append one record: the bytes of an Example."""
        number = self.count % len(self._files)
        with naming_file(self.names[number]):
            self._files[number].writelines(framed(data))
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        whole = kind is None
        try:
            for name, file in zip(self.names, self._files):
                with naming_file(name):
                    file.close()
        except OSError:  # no space left: the last buffer did not fit
            whole = False
            raise
        finally:
            for name, file in zip(self.names, self._files):
                if whole:
                    Path(file.name).replace(name)
                else:
                    Path(file.name).unlink(missing_ok=True)


class Records:
    """Random access to the records of files: `len(records)`, `records[i]` is the i-th record's bytes.

    records[i] raises a UserError if the bytes do not have the checksum that was written with them, as TensorFlow's own
    reader does.

    Args:
        patterns: path or pattern, or several of them.
    Attributes:
        files: list of str, in the order of the patterns.
        counts: number of records of each file.
        groups: number of records of each pattern.
        lengths: int64 [len(self)], bytes of each record.
        checksums: uint32 [len(self)], what each record says is the checksum of its data.
    Raises:
        UserError: patterns that match no file, files without records, truncated and corrupt files.
    """

    def __init__(self, patterns: str | os.PathLike | Sequence[str | os.PathLike]) -> None:
        patterns = [patterns] if isinstance(patterns, (str, os.PathLike)) else list(patterns)
        entries = [[str(path) for path in expand(pattern)] for pattern in patterns]
        if lost := [pattern for pattern, entry in zip(patterns, entries) if not entry]:
            raise UserError([f'no record file matches {os.fspath(pattern)!r} (looked from {Path.cwd()})'
                             for pattern in lost])
        self.files = [name for entry in entries for name in entry]
        with ThreadPoolExecutor(8) as pool:  # a cold disk takes the time here, not Python
            scans = list(pool.map(_index, self.files))
        counts = [len(offsets) for offsets, _, _ in scans]
        if not sum(counts):
            raise UserError(f'no records in {", ".join(self.files)}: the files are empty')
        self.counts = counts
        self._offsets, self.lengths, self.checksums = map(np.concatenate, zip(*scans))
        self._file_of: np.ndarray = np.repeat(np.arange(len(self.files), dtype=np.int32), counts)
        self._first = np.concatenate([[0], np.cumsum(counts)])
        ends = np.cumsum([len(entry) for entry in entries])
        self.groups: list[int] = np.diff(self._first[np.concatenate([[0], ends])]).tolist()
        self._open: dict[str, BinaryIO] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, i: int) -> bytes:
        data, intact = self.read(i)
        if not intact:
            raise UserError(f'{self.where(i)}: the data has a wrong checksum; write or copy the file again')
        return data

    def read(self, i: int) -> tuple[bytes, bool]:
        """Return the bytes of record i, and whether they have the checksum that was written with them."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        record = self._bytes(i, _HEADER, int(self.lengths[i]) + _FOOTER)
        data = record[:-_FOOTER]
        return data, record[-_FOOTER:] == struct.pack('<I', masked_crc32c(data))

    def intact(self, i: int) -> bool:
        """Return whether the data of record i has the checksum that was written with it."""
        return self.read(i)[1]

    def where(self, i: int) -> str:
        """Describe where record i is: file, number within it, byte offset."""
        file = self._file_of[i]
        return f'{self.files[file]}, record {i - self._first[file]} at byte {self._offsets[i]}'

    def _bytes(self, i: int, start: int, count: int) -> bytes:
        name = self.files[self._file_of[i]]
        with self._lock:  # seek and read belong together; Windows has no pread
            file = self._open.pop(name, None) or open(name, 'rb', buffering=0)  # noqa: SIM115, PTH123
            self._open[name] = file  # at the end of the dict: used last
            if len(self._open) > 64:  # there may be more shards than files a process may open
                self._open.pop(next(iter(self._open))).close()
            file.seek(int(self._offsets[i]) + start)
            data = file.read(count)
        if len(data) != count:
            raise UserError(f'{self.where(i)} has been cut off since it was opened')
        return data


def _index(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what _scan does, from the cache if the file is as it was."""
    status = Path(name).stat()
    return _cached(name, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)  # files; a phase opens the same ones three times, and a Records has a copy of them
def _cached(name: str, size: int, modified: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _scan(name)


def _scan(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return offsets, lengths (int64) and checksums (uint32), [n] each, of a file's records; check their framing."""
    size = Path(name).stat().st_size
    offsets: list[int] = []
    lengths: list[int] = []
    footers: list[bytes] = []  # of the records before; one read takes a footer and the header behind it
    offset = 0
    with open(name, 'rb', buffering=0) as file:  # noqa: PTH123
        while offset < size:
            before = _FOOTER if offset else 0
            file.seek(offset - before)
            read = file.read(before + _HEADER)
            footers.append(read[:before])
            header, needed = read[before:], _HEADER
            if len(header) == _HEADER:
                length, checksum = struct.unpack('<QI', header)
                if checksum != masked_crc32c(header[:8]):
                    raise UserError(_not_records(name, len(offsets), offset))
                needed = _HEADER + length + _FOOTER
            if offset + needed > size:
                raise UserError(f'{name} is truncated: record {len(offsets)} at byte {offset} needs {needed} bytes, '
                                f'{size - offset} are left; write or copy the file again')
            offsets.append(offset)
            lengths.append(length)
            offset += needed
        if offsets:
            file.seek(offset - _FOOTER)
            footers.append(file.read(_FOOTER))
    return np.array(offsets, np.int64), np.array(lengths, np.int64), np.frombuffer(b''.join(footers), '<u4')


def _not_records(name: str, index: int, offset: int) -> str:
    """Describe a file whose record `index` has a header with a wrong checksum."""
    with Path(name).open('rb') as file:
        start = file.read(4096)
    if not index and (kind := _compression(start)):
        return (f'{name}: is compressed ({kind}), but records are read in random order; unpack it'
                f'{_UNPACK.get(kind, "")}, or write the records without compression_type')
    return (f'{name}: not a TFRecord file, or corrupt: record {index} at byte {offset} has a wrong checksum; write or '
            'copy the file again')


def _compression(start: bytes) -> str | None:
    """Name the compression of a file with this beginning; None if it has none.

    Zlib data have no signature of their own, so they must begin with a record.
    """
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            return kind
    try:
        header = zlib.decompressobj().decompress(start, _HEADER)
    except zlib.error:
        return None
    is_record = len(header) == _HEADER and struct.unpack('<I', header[8:])[0] == masked_crc32c(header[:8])
    return 'zlib' if is_record else None
