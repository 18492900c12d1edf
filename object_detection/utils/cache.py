"""Local copies of files on object stores (utils/store.py), shared by all commands of a machine.

    CACHE/files/s3/BUCKET/PATH             the copy of s3://BUCKET/PATH
    CACHE/files/s3/BUCKET/.NAME.version    what the store said of the file when it was fetched
    CACHE/model_dirs/...                   see runs/mirror.py

A copy is used as long as the store says the same of its file; otherwise it is replaced. Nothing is removed from the
cache by itself.

    OBJECT_DETECTION_CACHE   the folder (~/.cache/object_detection; on Windows in %LOCALAPPDATA%)
"""
import contextlib
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from object_detection.utils import console, oslock, store
from object_detection.utils.errors import UserError

_QUIET = 32 << 20  # bytes that are fetched without a word
_SPARE = 1 << 30  # bytes that stay free on the disk
_FETCHED_AT_ONCE = 4  # files; store.download reads several blocks of each


def folder(*names: str) -> Path:
    """Return the folder of the cache, or one in it, and make it."""
    if given := os.environ.get('OBJECT_DETECTION_CACHE'):
        root = Path(given)
    elif sys.platform == 'win32':
        root = Path(os.environ.get('LOCALAPPDATA') or Path.home(), 'object_detection', 'cache')
    else:
        root = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache', 'object_detection')
    path = root.absolute().joinpath(*names)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'{path}: this folder cannot be made ({error.strerror}); set OBJECT_DETECTION_CACHE to one '
                        'where files of a store can be kept') from error
    return path


def place(kind: str, url: str) -> Path:
    """Return where a URL has its place in a folder of the cache, which is made."""
    scheme, _, rest = url.partition('://')
    # what a store allows in names and a file system may not
    parts = [re.sub(r'[<>:"|?*\\\x00-\x1f]', '_', part) for part in rest.split('/') if part not in ('', '.', '..')]
    return folder(kind, scheme, *parts[:-1]) / parts[-1]


def file(url: str) -> Path:
    """Return the local copy of a file; UserError if there is none, and what lies beside it."""
    if found := store.info(url):
        return fetched([found])[0]
    raise UserError(missing(url))


def matching(pattern: str) -> list[Path]:
    """Return the local copies of the files that a URL or a pattern matches, sorted by name."""
    return fetched(store.listed(pattern))


def checkpoint(url: str) -> Path:
    """Return the local prefix of a checkpoint, given by its prefix, or by a folder, of which the newest complete one
    counts (also in its folder checkpoint/, as in zoo tarballs).

    Raises:
        UserError: there is none.
    """
    found = (_checkpoints(store.entries(store.parent(url)), re.escape(store.name(url)))
             or _checkpoints(inside := store.entries(url), r'ckpt-\d+')
             or _checkpoints(store.entries(f'{url}/checkpoint'), r'ckpt-\d+'))
    if not found:
        raise UserError(f'{url}: no checkpoint here' if inside else missing(f'{url}.index'))
    newest = max(found, key=lambda prefix: int(re.sub(r'.*?(\d*)$', r'0\1', prefix)))
    return fetched(found[newest])[0].with_suffix('')


def _checkpoints(found: Mapping[str, store.Object], prefix: str) -> dict[str, list[store.Object]]:
    """Return {prefix: [.index, .data-... files]} of the complete checkpoints whose prefix matches."""
    sets: dict[str, dict[str, store.Object]] = {}
    for path, each in found.items():
        if match := re.fullmatch(rf'({prefix})\.(index|data-\d+-of-\d+)', path):
            sets.setdefault(match[1], {})[match[2]] = each
    return {name: [parts['index'], *(each for end, each in parts.items() if end != 'index')]
            for name, parts in sets.items() if 'index' in parts
            and any(end.startswith('data') and int(end[-5:]) == len(parts) - 1 for end in parts)}


def missing(url: str) -> str:
    """Return a message about a URL at which nothing is: what there is beside it."""
    above = store.parent(url)
    beside = list(store.entries(above))
    has = f'{", ".join(beside[:8])}{f" and {len(beside) - 8} more" if len(beside) > 8 else ""}'
    return f'{url}: does not exist; {above} {f"has {has}" if beside else "is empty or does not exist"}'


def fetched(found: Sequence[store.Object]) -> list[Path]:
    """Return the local copies of files, fetched where the cache has none of this version."""
    places = [place('files', each.url) for each in found]
    needed = [each for each, path in zip(found, places) if not _current(each, path)]
    size = sum(each.size for each in needed)
    free = shutil.disk_usage(folder()).free
    if needed and size > free - _SPARE:
        raise UserError(f'{store.parent(needed[0].url)}: {size / 1e9:.3g} GB are to be fetched, and {folder()} has '
                        f'{free / 1e9:.3g} GB free; delete in it what is no longer needed, or set '
                        'OBJECT_DETECTION_CACHE to a folder on a larger disk')
    with progress(needed, 'fetching') as add, ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
        list(pool.map(lambda each: _fetch(each, place('files', each.url), add), needed))
    return places


def _fetch(each, path, add):
    """Fetch a file. Of several processes one does, and the others wait."""
    patience = store.retry_seconds() + store.timeout() + each.size / 1e6
    with oslock.turn(path.with_name(f'.{path.name}.lock'), patience):
        if not _current(each, path):
            _version_file(path).unlink(missing_ok=True)
            store.download(each, path, add)
            _version_file(path).write_text(json.dumps([each.size, each.version]), encoding='utf-8')


def _version_file(path):
    return path.with_name(f'.{path.name}.version')


def _current(each, path):
    try:
        return (json.loads(_version_file(path).read_text(encoding='utf-8')) == [each.size, each.version]
                and path.stat().st_size == each.size)
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def progress(moved: Sequence[Any], what: str) -> Iterator[Any]:
    """Show how files are moved, if they are large; yields fn(bytes that were moved), to be called from any thread.

    Args:
        moved: their store.Objects.
        what: is done with them.
    """
    size, done, lock = sum(each.size for each in moved), 0, threading.Lock()
    if size < _QUIET:
        yield lambda count: None
        return
    plural = f'{len(moved)} file{"s" * (len(moved) > 1)}'
    with console.progress(f'{store.parent(moved[0].url)}: {what} {plural}', round(size / 1e6), 'MB') as bar:
        def add(count: int) -> None:
            nonlocal done
            with lock:
                done += count
                bar.update(round(done / 1e6))
        yield add
