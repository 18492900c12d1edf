"""A downloaded tarball -> a folder, whole or not at all, and nothing outside of that folder.

Only names and contents of plain files are taken from the archive. Links, devices, owners and permissions are not, so
that nothing in it can reach another place; tarfile's own filters, which not every Python 3.10 has, are not needed then.
"""
import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path

from object_detection.utils import files

MAX_FILES = 10_000
MAX_GROWTH = 20, 100 * 10 ** 6  # weights hardly compress: at most so many times the tarball, and so many bytes more
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')  # a drive or stream of Windows, or no name there at all


class Damaged(Exception):
    """The file is not what it should be; the text says what is wrong with it."""


def unpack(tarball, folder):
    """Write what is in a .tar.gz to a new folder. Damaged if it is broken, or holds what a model does not need.

    All of the file is read, to the checksum of gzip at its end. After an exception `folder` is not there.
    """
    folder = Path(folder)
    most = MAX_GROWTH[0] * Path(tarball).stat().st_size + MAX_GROWTH[1]
    try:
        with gzip.open(tarball) as stream:
            with tarfile.open(fileobj=stream, mode='r|') as archive:
                _extract(archive, folder, most)
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        _remove(folder)
        raise Damaged(f'it is no whole .tar.gz file ({error}){_beginning(tarball)}') from error
    except BaseException:
        _remove(folder)
        raise


def _extract(archive, folder, most):
    folder.mkdir(parents=True)
    size = 0
    for count, member in enumerate(archive, start=1):
        size += member.size
        if count > MAX_FILES or size > most:
            raise Damaged(f'it unpacks to more than {MAX_FILES} files or {most / 1e6:.0f} MB, which no model does')
        path = folder.joinpath(*_parts(member))
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise Damaged(f'it holds {member.name!r} twice')
        with files.named(path), path.open('xb') as file:
            shutil.copyfileobj(archive.extractfile(member), file)


def _parts(member):
    """The parts of a member's path below the folder; Damaged if it leads elsewhere or is neither file nor folder."""
    parts = [part for part in member.name.split('/') if part not in ('', '.')]
    if member.name.startswith('/') or '..' in parts or _FORBIDDEN.search(member.name) or not (parts or member.isdir()):
        raise Damaged(f'it holds the name {member.name!r}, which leads out of the folder or is none')
    if not (member.isfile() or member.isdir()):
        raise Damaged(f'it holds {member.name!r}, which is neither a file nor a folder but a link or a device')
    return parts


def _beginning(tarball):
    """What a file that is not gzip looks like: often it is the page of a proxy."""
    with Path(tarball).open('rb') as file:
        first = file.read(60)
    return '' if first.startswith(b'\x1f\x8b') else f'; it begins with {first!r}'


def _remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
