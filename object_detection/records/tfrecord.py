"""The TFRecord container: checksum, writer, and an index that gives random access. Imports no TensorFlow.

A record is: length (uint64), masked CRC-32C of these 8 bytes, data, masked CRC-32C of the data; all little-endian.
"""
import functools
import glob
import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from object_detection.utils.errors import UserError
from object_detection.utils.files import named

HEADER, FOOTER = 12, 4
_BLOCK = 1024  # bytes whose checksum is one table look-up each, done at once by numpy


@functools.lru_cache(maxsize=1)
def _tables():
    """[_BLOCK, 256] uint32: what a byte adds to the CRC-32C (Castagnoli) when k more bytes follow it."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    tables = [table]
    for _ in range(_BLOCK - 1):
        tables.append((tables[-1] >> 8) ^ table[tables[-1] & 255])
    return np.stack(tables)


@functools.lru_cache(maxsize=1)
def _moved_by_block():
    """Four lists: what each byte of a register, lowest first, becomes after _BLOCK zero bytes."""
    return _tables()[:-5:-1].tolist()


def _remainders(rows):
    """CRC registers [n] of rows uint8 [n, length <= _BLOCK], started from 0: the checksum is linear over GF(2)."""
    length = rows.shape[1]
    start = np.arange(length - 1, -1, -1) * 256
    return np.bitwise_xor.reduce(_tables().ravel()[rows + start], axis=1)


def _mask(crc):
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def masked_crc32c(data):
    """The checksum that TFRecord files carry, of at least 4 bytes; about 200 MB/s, so that no package is needed."""
    padded = np.zeros(-(-len(data) // _BLOCK) * _BLOCK, np.uint8)  # leading zeros leave a register of 0 as it is
    payload = padded[len(padded) - len(data):]
    payload[:] = np.frombuffer(data, np.uint8)
    payload[:4] ^= 255  # the register starts from ones
    byte0, byte1, byte2, byte3 = _moved_by_block()
    crc = 0
    for remainder in _remainders(padded.reshape(-1, _BLOCK)).tolist():
        crc = remainder ^ byte0[crc & 255] ^ byte1[crc >> 8 & 255] ^ byte2[crc >> 16 & 255] ^ byte3[crc >> 24]
    return _mask(crc ^ 0xFFFFFFFF)


def _header_crcs(lengths):
    """Masked checksums [n] of record lengths [n]."""
    rows = np.ascontiguousarray(lengths, '<u8').view(np.uint8).reshape(-1, 8).copy()
    rows[:, :4] ^= 255
    return _mask(_remainders(rows).astype(np.uint64) ^ np.uint64(0xFFFFFFFF))


def shard_names(path, shards):
    """The file names of a data set: `path` itself, or `path-00000-of-00010` and so on."""
    return [f'{path}-{i:05d}-of-{shards:05d}' for i in range(shards)] if shards > 1 else [str(path)]


class Writer:
    """Writes a data set; its files appear under their names when the `with` block ends well, or not at all.

    path: file name, to which -00000-of-00010 is added when shards > 1; record i goes to shard i % shards.
    """

    def __init__(self, path, shards=1):
        self.names = shard_names(path, shards)
        self.count = 0

    def __enter__(self):
        Path(self.names[0]).parent.mkdir(parents=True, exist_ok=True)
        self._files = [Path(f'{name}.partial').open('wb') for name in self.names]  # noqa: SIM115
        return self

    def write(self, data):
        """Append one record: the bytes of an Example."""
        length = struct.pack('<Q', len(data))
        number = self.count % len(self._files)
        with named(self.names[number]):
            self._files[number].write(length + struct.pack('<I', masked_crc32c(length)))
            self._files[number].write(data + struct.pack('<I', masked_crc32c(data)))
        self.count += 1

    def __exit__(self, error, *_):
        try:
            for name, file in zip(self.names, self._files):
                with named(name):
                    file.close()
        except OSError:  # no space left: the last buffer did not fit
            error = True
            raise
        finally:
            for name, file in zip(self.names, self._files):
                if error:
                    Path(file.name).unlink(missing_ok=True)
                else:
                    Path(file.name).replace(name)


def expand(patterns):
    """File names, one sorted list for each pattern (`*`, `?????`, `[0-4]` may stand for parts of a name).

    UserError for the patterns that no file matches.
    """
    entries, findings = [], []
    for pattern in [patterns] if isinstance(patterns, (str, os.PathLike)) else patterns:
        pattern = os.fspath(pattern)
        found = [pattern] if Path(pattern).is_file() else sorted(filter(os.path.isfile, glob.glob(pattern)))  # noqa: PTH207
        if not found:
            findings.append(f'no record file matches {pattern!r} (looked from {Path.cwd()})')
        entries.append(found)
    if findings:
        raise UserError(findings)
    return entries


class Records:
    """Random access to the records of files: `len(records)`, `records[i]` is the i-th record's bytes.

    groups: how many records come from each entry of the patterns, in order.
    """

    def __init__(self, patterns):
        entries = expand(patterns)
        self.files = [name for entry in entries for name in entry]
        with ThreadPoolExecutor(8) as pool:  # waiting for a cold disk, not for Python, is what takes time here
            scans = list(pool.map(_scan, self.files))
        counts = [len(offsets) for offsets, _ in scans]
        if not sum(counts):
            raise UserError(f'no records in {", ".join(self.files)}: the files are empty')
        self.file_of = np.repeat(np.arange(len(self.files), dtype=np.int32), counts)
        self.offsets = np.concatenate([offsets for offsets, _ in scans])
        self.lengths = np.concatenate([lengths for _, lengths in scans])
        self._first = np.concatenate([[0], np.cumsum(counts)])
        ends = np.cumsum([len(entry) for entry in entries])
        self.groups = np.diff(self._first[np.concatenate([[0], ends])]).tolist()
        self._open = {}
        self._lock = threading.Lock()

    def __len__(self):
        return len(self.offsets)

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self._bytes(i, HEADER, int(self.lengths[i]))

    def intact(self, i):
        """Whether the data of record i has the checksum that was written with it."""
        data = self[i]
        return self._bytes(i, HEADER + len(data), FOOTER) == struct.pack('<I', masked_crc32c(data))

    def where(self, i):
        """Record i in words: file, number within it, byte offset."""
        file = self.file_of[i]
        return f'{self.files[file]}, record {i - self._first[file]} at byte {self.offsets[i]}'

    def _bytes(self, i, start, count):
        name = self.files[self.file_of[i]]
        with self._lock:  # seek and read belong together; Windows has no pread
            file = self._open.pop(name, None) or open(name, 'rb', buffering=0)  # noqa: SIM115, PTH123
            self._open[name] = file  # at the end of the dict: used last
            if len(self._open) > 64:  # shards may outnumber the files a process may open
                self._open.pop(next(iter(self._open))).close()
            file.seek(int(self.offsets[i]) + start)
            data = file.read(count)
        if len(data) != count:
            raise UserError(f'{self.where(i)} has been cut off since it was opened')
        return data


def index(patterns):
    """Scan the headers of record files and return their Records; UserError for truncated or corrupt files."""
    return Records(patterns)


def _scan(name):
    """Offsets and lengths (int64 [n] each) of the records of one file, whose framing is checked."""
    size = Path(name).stat().st_size
    offsets, lengths, checksums = [], [], []
    offset, needed = 0, 0
    with open(name, 'rb', buffering=0) as file:  # noqa: PTH123
        while offset + needed < size:
            offset += needed
            file.seek(offset)
            header = file.read(HEADER)
            if len(header) < HEADER:
                needed = HEADER
                break
            length, checksum = struct.unpack('<QI', header)
            offsets.append(offset)
            lengths.append(length)
            checksums.append(checksum)
            needed = HEADER + length + FOOTER
    offsets, lengths = np.array(offsets, np.int64), np.array(lengths, np.uint64)
    wrong = np.flatnonzero(_header_crcs(lengths) != np.array(checksums, np.uint64)) if len(offsets) else []
    if len(wrong):  # looked for first, because after a wrong length anything may seem to follow
        raise UserError(f'{name}: not a TFRecord file, or corrupt: record {wrong[0]} at byte {offsets[wrong[0]]} '
                        'has a wrong checksum; write or copy the file again')
    if offset + needed > size:
        raise UserError(f'{name} is truncated: record {np.searchsorted(offsets, offset)} at byte {offset} needs '
                        f'{needed} bytes, {size - offset} are left; write or copy the file again')
    return offsets, lengths.astype(np.int64)
