"""Download one file over HTTP: retried when the connection drops, resumed where it stopped, in this run or the next."""
import base64
import binascii
import dataclasses
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from object_detection.utils import console, files, state
from object_detection.utils.errors import UserError

MB = 10 ** 6
CHUNK = 1 << 18  # bytes
TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 5  # in a row that bring nothing new
MAX_WAIT = 30  # seconds between two attempts
_RETRY = (408, 425, 429, 500, 502, 503, 504)  # HTTP status
_SHAPE = {'url': str, 'size?': (int, type(None)), 'etag?': str, 'last_modified?': str, 'md5?': str}  # of a Source


class _Interrupted(Exception):
    """Raised where another attempt may help. wait: seconds that the server asked for."""

    def __init__(self, reason: str, wait: int = 0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclasses.dataclass
class Source:
    """What the server says about a file. size: of the whole file in bytes, None if unknown. md5: hexadecimal, or ''."""
    url: str
    size: int | None = None
    etag: str = ''
    last_modified: str = ''
    md5: str = ''

    @classmethod
    def of(cls, url: str, response: http.client.HTTPResponse) -> 'Source':
        """Read the headers of a response."""
        headers = response.headers
        total = headers.get('Content-Range', '').rpartition('/')[2] if response.status == 206 else \
            headers.get('Content-Length', '')
        hashes = dict(part.strip().split('=', 1) for value in headers.get_all('x-goog-hash', [])
                      for part in value.split(',') if '=' in part)
        return cls(url, int(total) if total.isdigit() else None, headers.get('ETag', ''),
                   headers.get('Last-Modified', ''), _hex(hashes.get('md5', '')))

    @property
    def validator(self) -> str:
        """The value for If-Range, which tells whether the file is still the same; a weak ETag cannot."""
        return self.etag if self.etag and not self.etag.startswith('W/') else self.last_modified

    def differs(self, other: 'Source') -> bool:
        """Return whether `other`, from a later response, contradicts this; a missing value contradicts nothing."""
        return any(mine and theirs and mine != theirs for mine, theirs in (
            (self.size, other.size), (self.etag, other.etag), (self.last_modified, other.last_modified)))


def fetch(url: str, path: str | Path, sleep: Callable[[float], object] = time.sleep) -> Source:
    """Download url to path.

    If this ends with an exception, what has arrived stays in `path`, and the Source in PATH.json, for the next call to
    resume. It starts over if the file on the server has changed or the server cannot resume. UserError when the server
    refuses, or after ATTEMPTS in a row that brought nothing new.
    """
    path = Path(path)
    failures, furthest = 0, _length(path)
    while True:
        try:
            return _receive(url, path)
        except _Interrupted as error:
            reached = _length(path)
            failures = 0 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures == ATTEMPTS:
                kept = f'; {reached / 1e6:.1f} MB are kept, and the same command resumes from there' if reached else ''
                raise UserError(f'{url}: {error}, {ATTEMPTS} times in a row{kept}') from error
            wait = max(error.wait, min(2 ** failures, MAX_WAIT))
            console.log(f'{error}; trying again in {wait} s')
            sleep(wait)


def forget(path: Path) -> None:
    """Delete what fetch has left at `path`."""
    path.unlink(missing_ok=True)
    _notes(path).unlink(missing_ok=True)


def _receive(url: str, path: Path) -> Source:
    """Request what is still missing; _Interrupted if anything is missing afterwards."""
    known = _remembered(url, path)
    have = _length(path) if known else 0
    if known and have == known.size:
        return known
    response = _request(url, path, known, have)
    if response is None:
        return dataclasses.replace(known or Source(url), size=have)
    with response:
        source = Source.of(url, response)
        if response.status == 206 and known and have:
            start = re.match(r'bytes (\d+)-', response.headers.get('Content-Range', ''))
            if not start or int(start[1]) != have or known.differs(source):
                forget(path)
                raise _Interrupted('the file on the server has changed')
        else:
            if have:
                console.log('the server starts from the beginning: its file has changed, or it cannot resume')
            have = 0
            forget(path)
            files.write_text(_notes(path), json.dumps(dataclasses.asdict(source), indent=1))
        have = _save(response, path, have, source.size)
    if source.size is not None and have < source.size:
        raise _Interrupted(f'the connection closed after {have / 1e6:.1f} of {source.size / 1e6:.1f} MB')
    return source


def _request(url: str, path: Path, known: Source | None, have: int) -> http.client.HTTPResponse | None:
    """Request the file from byte `have` on; return the response, None if the server says that the file ends there."""
    request = urllib.request.Request(url, headers={'User-Agent': 'object-detection-suite',
                                                   'Accept-Encoding': 'identity'})
    if known and have:
        request.add_header('Range', f'bytes={have}-')
        request.add_header('If-Range', known.validator)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            if error.headers.get('Content-Range') == f'bytes */{have}':
                return None
            forget(path)
            raise _Interrupted('the file on the server has another length now') from error
        if error.code in _RETRY:
            wait = error.headers.get('Retry-After', '')
            raise _Interrupted(f'the server answers {error.code} {error.reason}',
                               min(int(wait), 10 * MAX_WAIT) if wait.isdigit() else 0) from error
        raise UserError(f'{url}: the server answers {error.code} {error.reason}; --base_url can name another address '
                        'of the zoo (download --help)') from error
    except (http.client.HTTPException, OSError) as error:  # URLError is an OSError
        reason = getattr(error, 'reason', error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise UserError(f'{url}: the certificate of the server is not trusted ({reason.verify_message})') from error
        raise _Interrupted(f'no connection to {urllib.parse.urlsplit(url).netloc}: {reason}') from error


def _save(response: http.client.HTTPResponse, path: Path, have: int, size: int | None) -> int:
    """Append the body to the `have` bytes in path; return the new length."""
    total = size and -(-size // MB)
    with files.naming_file(path), path.open('ab' if have else 'wb') as file, \
            console.progress(f'download {path.name}', total, 'MB', have // MB) as bar:
        while chunk := _read(response):
            file.write(chunk)
            have += len(chunk)
            bar.update(total if total and have == size else have // MB)
    return have


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(f'the connection broke: {error}') from error


def _remembered(url: str, path: Path) -> Source | None:
    """Return the Source of what has arrived in path; None if nothing tells whether the server still has that file."""
    try:
        source = Source(**state.read(_notes(path), _SHAPE, ''))
    except (UserError, TypeError):
        return None
    return source if source.url == url and source.validator else None


def _notes(path: Path) -> Path:
    return Path(f'{path}.json')


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _hex(base64_text: str) -> str:
    try:
        return base64.b64decode(base64_text, validate=True).hex()
    except binascii.Error:
        return ''
