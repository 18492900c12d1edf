"""Unpack a downloaded tarball into a folder: completely or not at all, and nothing outside of the folder.

Only names and contents of plain files are taken from the archive, no links, devices, owners or permissions, so nothing
in it can reach another place. tarfile's own filters, which some versions of Python 3.10 lack, are not needed.
"""
import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path

from object_detection.utils import files

MAX_FILES = 10_000
MAX_GROWTH = 20, 100 * 10 ** 6  # at most 20 times the tarball plus 100 MB unpacked; weights hardly compress
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')  # not allowed in names on Windows, or a drive or stream there


class Damaged(Exception):
    """The file is not what it should be; the text says what is wrong with it."""


def unpack(tarball: str | Path, folder: str | Path) -> None:
    """Unpack a .tar.gz into a new folder. Damaged if it is broken or holds what no model needs.

    The file is read to its end, where gzip has its checksum. After an exception the folder does not exist.
    """
    folder = Path(folder)
    max_bytes = MAX_GROWTH[0] * Path(tarball).stat().st_size + MAX_GROWTH[1]
    try:
        with gzip.open(tarball) as stream:
            with tarfile.open(fileobj=stream, mode='r|') as archive:
                _extract(archive, folder, max_bytes)
            while stream.read(1 << 20):
                pass
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)):
            raise Damaged(f'it is no complete .tar.gz file ({error}){_beginning(tarball)}') from error
        raise


def _extract(archive: tarfile.TarFile, folder: Path, max_bytes: int) -> None:
    folder.mkdir(parents=True)
    size = 0
    for count, member in enumerate(archive, start=1):
        size += member.size
        if count > MAX_FILES or size > max_bytes:
            raise Damaged(f'it unpacks to more than {MAX_FILES} files or {max_bytes / 1e6:.0f} MB, which no model does')
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
