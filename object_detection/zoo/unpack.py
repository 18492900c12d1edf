"""Unpack a downloaded tarball into a folder: completely or not at all, and nothing outside of the folder.

Only names and contents of plain files are taken from the archive, no links, devices, owners or permissions, so nothing
in it can reach another place. tarfile's own filters, which some versions of Python 3.10 lack, are not needed.
"""
import errno
import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO

from object_detection.utils import files

MAX_FILES = 10_000
MAX_GROWTH = 20, 100 * 10 ** 6  # at most 20 times the tarball plus 100 MB unpacked; weights hardly compress
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')  # not allowed in names on Windows, or a drive or stream there
# What gzip and tarfile raise about broken content; OverflowError and the like come from numbers in headers.
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError, LookupError,
           RecursionError)
_NO_NAME = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.EILSEQ)


class Damaged(Exception):
    """The file is not what it should be; the text says what is wrong with it."""


def unpack(tarball: str | Path, folder: str | Path) -> None:
    """Unpack a .tar.gz into a new folder. Damaged if it is broken or holds what no model needs.

    The file is read to its end, where gzip has its checksum. After an exception the folder does not exist.
    """
    folder = Path(folder)
    max_bytes = MAX_GROWTH[0] * Path(tarball).stat().st_size + MAX_GROWTH[1]
    try:
        with gzip.open(tarball) as unzipped:
            stream = _Limited(unzipped, max_bytes)
            with tarfile.open(fileobj=stream, mode='r|') as archive:  # type: ignore[call-overload]
                _extract(archive, folder, max_bytes)
            while stream.read(1 << 20):
                pass
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, _BROKEN):
            raise Damaged(f'it is no complete .tar.gz file ({error}){_beginning(tarball)}') from error
        if isinstance(error, OSError) and error.errno in _NO_NAME:
            raise Damaged(f'it holds a name that this system does not take ({error.strerror}: '
                          f'{str(error.filename)[:100]})') from error
        raise


class _Limited:
    """An unpacked stream that ends in Damaged beyond `most` bytes: headers are read into memory as a whole."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, most: int) -> None:
        self._stream, self._left, self._most = stream, most, most

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise Damaged(_too_much(self._most))
        return data


def _too_much(max_bytes: int) -> str:
    return f'it unpacks to more than {MAX_FILES} files or {max_bytes / 1e6:.0f} MB, which no model does'


def _extract(archive: tarfile.TarFile, folder: Path, max_bytes: int) -> None:
    folder.mkdir(parents=True)
    size = 0
    for count, member in enumerate(archive, start=1):
        size += member.size
        if member.size < 0:
            raise Damaged(f'it holds {member.name!r} with a size of {member.size} bytes')
        if count > MAX_FILES or size > max_bytes:
            raise Damaged(_too_much(max_bytes))
        path = folder.joinpath(*_parts(member))
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise Damaged(f'it holds {member.name!r} twice')
        with files.naming_file(path), path.open('xb') as file:
            content = archive.extractfile(member)
            assert content is not None  # _parts has made sure that it is a file
            shutil.copyfileobj(content, file)


def _parts(member: tarfile.TarInfo) -> list[str]:
    """Return the parts of a member's path below the folder; Damaged if it leads elsewhere or is no file or folder."""
    parts = [part for part in member.name.split('/') if part not in ('', '.')]
    if member.name.startswith('/') or '..' in parts or _FORBIDDEN.search(member.name) or not (parts or member.isdir()):
        raise Damaged(f'it holds the name {member.name!r}, which leads out of the folder or is not allowed')
    if not (member.isfile() or member.isdir()):
        raise Damaged(f'it holds {member.name!r}, which is neither a file nor a folder but a link or a device')
    return parts


def _beginning(tarball: str | Path) -> str:
    """Quote the beginning of a file that is not gzip: often it is the login page of a proxy."""
    with Path(tarball).open('rb') as file:
        first = file.read(60)
    return '' if first.startswith(b'\x1f\x8b') else f'; it begins with {first!r}'
