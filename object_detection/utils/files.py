"""Files written whole or not at all, checks of paths with advice, and a lock for a folder."""
import contextlib
import difflib
import errno
import os
import re
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from object_detection.utils import cache, machine, oslock, store
from object_detection.utils.errors import UserError

LOCK_NAME = '.lock'


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a file, see write_parts."""
    write_parts(path, [text])


def write_parts(path: str | os.PathLike, parts: Iterable[str]) -> None:
    """Write a file, whole or not at all: UTF-8 with '\\n', by way of a temporary file beside it.

    Missing parent folders are made. A full disk leaves the old file as it was and raises OSError with the file's name.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise UserError(f'{path}: is a folder; give the name of a file')
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming_file(path), temporary.open('w', encoding='utf-8', newline='\n') as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Remove the temporary files of `write_text` whose process was killed: it is gone, or ten minutes have passed."""
    for path in Path(folder).glob('.*.tmp'):
        if match := re.fullmatch(r'\..+\.(\d+)\.tmp', path.name):
            with contextlib.suppress(OSError):  # another process removes it, too; or on Windows writes it
                if not machine.runs(int(match[1])) or time.time() - path.stat().st_mtime > 600:
                    path.unlink()


def replace(temporary: Path, path: Path) -> None:
    """Rename a file over another one; on Windows, wait up to a second until nobody has the old one open."""
    for _ in range(100 if sys.platform == 'win32' else 0):
        with contextlib.suppress(PermissionError):
            temporary.replace(path)
            return
        time.sleep(.01)
    temporary.replace(path)


@contextlib.contextmanager
def naming_file(path: str | os.PathLike) -> Iterator[None]:
    """Add the file name to OSErrors of the block: those of write() have none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def refused(path: str | os.PathLike) -> str | None:
    """Return a message if the system refuses a path (too long, a NUL in it, too many links, a folder that may not be
    entered), of which Path.exists raises an exception or says nothing; else None."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        text = str(path)
        shown = text if len(text) <= 200 and text.isprintable() else f'{text[:200]!r}{"..." * (len(text) > 200)}'
        return f'{shown}: does not exist: {getattr(error, "strerror", None) or error}'
    return None


def read_bytes(path: str | os.PathLike) -> bytes:
    """Return the content of a file; UserError if there is none, or it cannot be read, or is not a regular file."""
    path = existing_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f'{path}: cannot be read: {error.strerror}') from error


def existing_file(path: str | os.PathLike) -> Path:
    """Return the path of a file that exists and can be read; UserError with similar names otherwise.

    Everything that is read goes through here or read_bytes: opening a pipe or a device would wait forever. Of a file on
    an object store it is the path of a local copy.
    """
    if url := store.url_of(path):
        return cache.file(url)
    path = _accepted(path)
    if path.is_dir():
        raise UserError(f'{path}: is a folder; give a file{contents(path)}')
    if not path.exists():
        raise UserError(missing(path))
    if not path.is_file():  # reading a pipe would wait forever
        raise UserError(f'{path}: is not a regular file')
    if not os.access(path, os.R_OK):
        raise UserError(f'{path}: cannot be read; check its permissions')
    return path


def is_file(path: str | os.PathLike) -> bool:
    """Return whether there is a file at a path, here or on an object store."""
    url = store.url_of(path)
    return store.info(url) is not None if url else Path(path).is_file()


def existing_dir(path: str | os.PathLike) -> Path:
    """Return the path of a folder that exists; UserError with similar names otherwise."""
    path = _accepted(path)
    if not path.exists():
        raise UserError(missing(path))
    if not path.is_dir():
        raise UserError(f'{path}: is a file; give a folder')
    return path


def vacant_dir(path: str | os.PathLike, ignored: Collection[str] = ()) -> Path:
    """Return the path of a folder that is empty or does not exist yet; UserError otherwise.

    Args:
        ignored: names of entries that may be there.
    """
    path = _accepted(path)
    with writing_to(path):
        present = sorted({entry.name for entry in path.iterdir()} - set(ignored)) if path.is_dir() else []
    if present:
        hidden = all(name.startswith('.') for name in present)
        has = f'; it has {", ".join(present[:8])}' if hidden else contents(path)
        raise UserError(f'{path}: is not empty, and nothing is overwritten{has}; name another folder, '
                        'or delete it first')
    if path.exists() and not path.is_dir():
        raise UserError(f'{path}: is a file; give a new folder')
    return path


@contextlib.contextmanager
def writing_to(folder: str | os.PathLike) -> Iterator[None]:
    """Turn OSErrors of the block into a UserError: `folder` cannot be made, read or written to.

    A full disk stays an OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise UserError(f'{folder}: this folder cannot be made or written to ({error.strerror or error}); name '
                        'another one') from error


def make_dir(folder: str | os.PathLike) -> Path:
    """Make a folder and its parents if they are missing, and return its path; UserError if that fails."""
    folder = _accepted(folder)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _accepted(path: str | os.PathLike) -> Path:
    if store.url_of(path):
        raise UserError(missing(path))
    if message := refused(path):
        raise UserError(message)
    return Path(path)


def short_names(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Return the ends of paths that lie in different places, with '/', as short as they can be told apart."""
    parts = [Path(path).resolve().parts for path in paths]
    depth = next((n for n in range(1, max(map(len, parts))) if len({part[-n:] for part in parts}) == len(parts)), 0)
    return ['/'.join(part[-depth:]) for part in parts]


def missing(path: str | os.PathLike) -> str:
    """Return a message for a path that does not exist: its first missing part, and what is there instead."""
    if url := store.url_of(path):
        return f'{url}: is on a store, and this must be a local path; docs/store.md lists what may be there'
    path = Path(path)
    text = f'{path}: does not exist'
    if str(path).startswith('~'):
        return f'{text}; ~ is not expanded here; write the path out'
    if above := next((up for up in Path.cwd().parents if not path.is_absolute() and (up / path).exists()), None):
        return f'{text} in {Path.cwd()}, but in {above}: run the command from there'
    folder, name = path.parent, path.name
    while not folder.exists() and folder != folder.parent:
        folder, name = folder.parent, folder.name
    if not folder.is_dir():
        return text
    if name != path.name:
        text += f' (no folder {name!r} in {_readable(folder)})'
    elif not path.is_absolute():
        text += f' in {Path.cwd()}'
    present = sorted(entry.name for entry in _entries(folder) if not entry.name.startswith('.'))
    close = difflib.get_close_matches(name.lower(), [entry.lower() for entry in present], n=3, cutoff=0.6)
    similar = [entry for low in close for entry in present if entry.lower() == low]
    if similar:
        return f'{text}; did you mean {" or ".join(str(folder / entry) for entry in similar)}?'
    return text + contents(folder)


def contents(folder: str | os.PathLike) -> str:
    """Return '; FOLDER has a, b, c/ and 4 more': the end of a message about a missing path."""
    folder = Path(folder)
    names = sorted(entry.name + ('/' if entry.is_dir() else '') for entry in _entries(folder)
                   if not entry.name.startswith('.'))
    if not names:
        return f'; {_readable(folder)} is empty'
    more = f' and {len(names) - 8} more' if len(names) > 8 else ''
    return f'; {_readable(folder)} has {", ".join(names[:8])}{more}'


@contextlib.contextmanager
def lock(folder: str | os.PathLike, purpose: str = 'this folder') -> Iterator[Path]:
    """Lock a folder for this process; UserError with the name of the holder if another process has it.

    It is the operating system's lock on the file .lock in the folder, so a process that dies releases it. The file
    stays and means nothing by itself. Temporary files that a killed process left in the folder are removed.

    Args:
        purpose: what the message calls the folder.
    """
    path = make_dir(folder) / LOCK_NAME
    with writing_to(folder):
        file = path.open('a+b')
    with file:
        try:
            oslock.take(file)
        except OSError as error:
            if error.errno not in oslock.HELD:
                raise
            raise UserError(f'{folder}: {purpose} is in use by {_holder(path)}; wait for it, end it, '
                            'or choose another folder') from None
        remove_leftovers(folder)
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()} since {time.strftime("%Y-%m-%d %H:%M:%S")}\n'
                   .encode())
        file.flush()
        yield path


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8').strip() or 'another process'
    except OSError:
        return 'another process'


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _readable(folder: Path) -> str:
    return 'the current folder' if folder == Path() else str(folder)
