"""Object stores (s3://, gs://, any URL that fsspec knows): every access to one goes through here.

Each request has a deadline and is repeated, with growing pauses, while the store fails in a way that may pass (500,
503, a broken connection, a stall). What does not pass (no such bucket, no permission, a missing package) is a UserError
of one line. fsspec is an extra and imported when the first URL comes.

    OBJECT_DETECTION_STORE_TIMEOUT   seconds that a request may take, and one more per MB (60)
    OBJECT_DETECTION_STORE_RETRY     seconds that a store may fail until the command gives up (300)
"""
import concurrent.futures
import contextlib
import itertools
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from object_detection.utils.errors import UserError

BLOCK = 8 << 20  # bytes of one request; large files are read in several at the same time
_PARALLEL = 8
_ATOMIC = frozenset({'s3', 's3a', 'gs', 'gcs', 'abfs', 'abfss', 'az', 'oss', 'memory'})  # an object appears whole
_VERSIONS = ('ETag', 'etag', 'generation', 'md5Hash', 'content_md5', 'LastModified', 'last_modified', 'updated',
             'mtime', 'created')
_LIBRARIES = ('aiobotocore', 'aiohttp', 'azure', 'botocore', 'gcsfs', 'google', 'requests', 'urllib3')
_PERMANENT = (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_EXTRAS = {'s3': 'store', 's3a': 'store', 'gs': 'gcs', 'gcs': 'gcs'}  # others: the package that fsspec names
_PATTERN = re.compile(r'[*?\[]')


@dataclass(frozen=True)
class Object:
    """A file on a store.

    Attributes:
        url: with its scheme.
        size: bytes.
        version: changes with the content: the ETag, or what the store has instead.
        modified: seconds since 1970, by the store's clock; 0 if it does not say.
    """

    url: str
    size: int
    version: str
    modified: float = 0.


class Unreachable(UserError):
    """A store did not answer, or failed, for as long as is waited for it."""


def url_of(path: str | os.PathLike) -> str | None:
    """Return the URL that a path is (s3://bucket/file), also after it went through pathlib; None if it is none.
    UserError if it names no place."""
    match = re.match(r'([a-z][a-z0-9+.-]+):[/\\]+(.*)', os.fspath(path))
    if match and not match[2]:
        raise UserError(f'{match[1]}://: names no place on a store; write {match[1]}://BUCKET/PATH')
    return f'{match[1]}://{match[2]}'.replace('\\', '/').rstrip('/') if match else None


def parent(url: str) -> str:
    return url.rpartition('/')[0]


def name(url: str) -> str:
    return url.rpartition('/')[2]


def info(url: str) -> Object | None:
    """Return what a store says of a file; None if there is none, or it is a folder."""
    try:
        found = _call(url, 'info')
    except FileNotFoundError as error:
        _demand_bucket(url, error)
        return None
    return _object(url, found) if found['type'] == 'file' else None


def listed(pattern: str) -> list[Object]:
    """Return the files that a URL or a pattern (`*`, `?`, `[0-4]`) matches, sorted by name."""
    if not _PATTERN.search(pattern):
        found = info(pattern)
        return [found] if found else []
    try:
        entries = _call(pattern, 'glob', detail=True)
    except FileNotFoundError as error:
        _demand_bucket(pattern, error)
        return []
    return [_object(_url(pattern, path), entry) for path, entry in sorted(entries.items()) if entry['type'] == 'file']


def walk(folder: str) -> dict[str, Object]:
    """Return {path below the folder, with /: file} of all files below a URL; empty if there are none."""
    try:
        entries = _call(folder, 'find', detail=True)
    except FileNotFoundError as error:
        _demand_bucket(folder, error)
        return {}
    base = f'{folder}/'
    found = [_object(_url(folder, path), entry) for path, entry in sorted(entries.items())]
    return {file.url.removeprefix(base): file for file in found if file.url.startswith(base) and file.url != base}


def entries(folder: str) -> dict[str, Object]:
    """Return {name: file, or folder, which has size 0} of what lies directly in a URL; empty if there is nothing."""
    try:
        found = _call(folder, 'ls', detail=True)
    except FileNotFoundError as error:
        _demand_bucket(folder, error)
        return {}
    objects = [_object(_url(folder, entry['name'].rstrip('/')), entry) for entry in found]
    return {name(each.url): each for each in sorted(objects, key=lambda each: each.url)}


def read_range(file: Object, start: int, count: int) -> bytes:
    """Return `count` bytes of a file from `start` on."""
    try:
        return _call(file.url, 'cat_file', start=start, end=start + count, of=count)
    except FileNotFoundError as error:
        raise UserError(f'{file.url}: was deleted while it was in use') from error


def upload(path: Path, url: str) -> Object:
    """Copy a local file to a store, where it appears whole or not at all."""
    size = path.stat().st_size
    whole = url.partition('://')[0] in _ATOMIC
    target = url if whole else f'{parent(url)}/.{name(url)}.{os.getpid()}.tmp'
    if not whole:
        _call(parent(url), 'makedirs', exist_ok=True)
    _call(target, 'put_file', str(path), last=True, of=size)
    if not whole:
        _call(target, 'mv', _inner(url))
    stored = info(url)
    if stored is None or stored.size != size:
        raise Unreachable(f'{url}: has {stored.size if stored else 0} bytes after an upload of {size}; run the same '
                          'command again')
    return stored


def remove(url: str) -> None:
    """Delete a file; do nothing if there is none."""
    with contextlib.suppress(FileNotFoundError):
        _call(url, 'rm_file')


def download(file: Object, path: Path, on_bytes: Callable[[int], object] = lambda count: None) -> None:
    """Copy a file of a store to a local path, which is replaced only if that succeeds.

    It is read in blocks, several at a time; each is repeated on its own if it fails.

    Args:
        on_bytes: called with the number of bytes that came, from any thread.
    Raises:
        UserError: the file was changed or deleted meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}-{threading.get_ident()}.tmp')
    lock, starts = threading.Lock(), range(0, file.size, BLOCK)
    try:
        with temporary.open('wb') as target, ThreadPoolExecutor(_PARALLEL) as pool:
            def block(start: int) -> None:
                data = read_range(file, start, min(BLOCK, file.size - start))
                with lock:
                    target.seek(start)
                    target.write(data)
                on_bytes(len(data))
            list(pool.map(block, starts))
        # A single block is of one version, whichever it is.
        if temporary.stat().st_size != file.size or (len(starts) > 1 and info(file.url) != file):
            raise UserError(f'{file.url}: was replaced or deleted while it was read; run the same command again')
        if file.modified:
            os.utime(temporary, (file.modified, file.modified))
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def timeout() -> float:
    return _seconds('OBJECT_DETECTION_STORE_TIMEOUT', 60.)


def retry_seconds() -> float:
    return _seconds('OBJECT_DETECTION_STORE_RETRY', 300.)


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable, '')
    try:
        value = float(text or default)
    except ValueError:
        value = -1.
    if not 0 < value < 1e6:
        raise UserError(f'{variable}: {text!r} is no number of seconds above 0')
    return value


def _filesystem(url: str) -> Any:
    """Return fsspec's file system for a URL; UserError with the package to install if one is missing."""
    scheme = url.partition('://')[0]
    try:
        import fsspec
    except ImportError:
        raise UserError(f"{url}: needs the package fsspec; install it with: {sys.executable} -m pip install "
                        f"'object-detection[{_EXTRAS.get(scheme, 'store')}]'") from None
    try:
        return fsspec.core.url_to_fs(url, use_listings_cache=False)[0]
    except ImportError as error:
        package = f"'object-detection[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else 'the package of this scheme'
        raise UserError(f'{url}: {str(error).rstrip(".")}; install {package} with: {sys.executable} -m pip install '
                        f'{package if scheme in _EXTRAS else "NAME"}') from None
    except ValueError as error:
        raise UserError(f'{url}: {error}; allowed: a local path, s3://, gs://, and what fsspec knows') from None


def _inner(url: str) -> str:
    """Return the path by which fsspec calls a URL."""
    return _filesystem(url)._strip_protocol(url)


def _url(like: str, path: str) -> str:
    """Return the URL of a path as fsspec lists it, with the scheme of another one."""
    scheme, _, rest = like.partition('://')
    return path if '://' in path else f'{scheme}://{path if rest.startswith("/") else path.lstrip("/")}'


def _object(url: str, found: dict[str, Any]) -> Object:
    version = next((str(found[key]) for key in _VERSIONS if found.get(key) is not None), '')
    when = next((found[key] for key in ('LastModified', 'last_modified', 'updated', 'mtime', 'created')
                 if found.get(key) is not None), 0.)
    if hasattr(when, 'timestamp'):
        when = when.timestamp()
    return Object(url, int(found.get('size') or 0), version, when if isinstance(when, int | float) else 0.)


def _demand_bucket(url: str, error: FileNotFoundError) -> None:
    """UserError if not the file but its bucket is missing."""
    if 'bucket' in str(error).lower() and url.partition('://')[2] not in str(error):
        raise UserError(f'{url}: {error}; check the name, and the account') from error


def _call(url: str, what: str, *arguments: Any, last: bool = False, of: int = 0, **options: Any) -> Any:
    """Call a method of the file system of a URL, again and again while it fails in a way that may pass.

    Args:
        what: of fsspec's methods.
        arguments: behind the path; before it if `last`.
        of: bytes that are moved; they make the deadline later.
    Raises:
        FileNotFoundError; UserError: it will not work; Unreachable: it did not for too long.
    """
    system = _filesystem(url)
    path = _inner(url)
    ordered = [*arguments, path] if last else [path, *arguments]
    began, limit = time.monotonic(), timeout() + of / 1e6
    for attempt in itertools.count():
        try:
            return _bounded(system, what, ordered, options, limit)
        except FileNotFoundError:
            raise
        except Exception as error:
            if not _may_pass(error):
                raise UserError(f'{url}: {_reason(error)}') from error
            pause = min(.25 * 2 ** attempt, 20.) * random.uniform(.5, 1.)
            if time.monotonic() - began + pause > retry_seconds():
                raise Unreachable(f'{url}: the store failed for {retry_seconds():g} s (OBJECT_DETECTION_STORE_RETRY), '
                                  f'{attempt + 1} times, the last time: {_reason(error, limit)}') from error
            time.sleep(pause)
    raise AssertionError


def _bounded(system: Any, what: str, arguments: Sequence[Any], options: dict[str, Any], seconds: float) -> Any:
    """Call a method; TimeoutError after `seconds`, when its connection is closed as far as fsspec can do that."""
    if getattr(system, 'async_impl', False) and hasattr(system, f'_{what}'):
        from fsspec import asyn
        return asyn.sync(system.loop, getattr(system, f'_{what}'), *arguments, timeout=seconds, **options)
    done: concurrent.futures.Future = concurrent.futures.Future()

    def run() -> None:
        try:
            done.set_result(getattr(system, what)(*arguments, **options))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # one that hangs must not keep Python from ending
    try:
        return done.result(seconds)
    except concurrent.futures.TimeoutError:
        if done.done():
            raise
        raise TimeoutError from None


def _may_pass(error: Exception) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, _PERMANENT) or 'Credential' in type(error).__name__ or 'Validation' in type(error).__name__:
        return False
    return isinstance(error, OSError | TimeoutError | concurrent.futures.TimeoutError) or (
        type(error).__module__.partition('.')[0] in _LIBRARIES) or 'Timeout' in type(error).__name__


def _reason(error: Exception, limit: float = 0.) -> str:
    text = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError):
        return f'access denied ({text}); check the credentials, and what they allow'
    if 'Credential' in type(error).__name__:
        return f'no credentials ({text}); set them up as for the tools of the store'
    if isinstance(error, NotImplementedError):
        return f'this kind of store cannot do that{f" ({text})" if str(error) else ""}'
    if limit and 'Timeout' in type(error).__name__:
        return f'no answer within {limit:g} s (OBJECT_DETECTION_STORE_TIMEOUT)'
    return text
