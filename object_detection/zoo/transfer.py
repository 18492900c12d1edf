"""One file over HTTP: tried again when the connection drops, resumed where it broke off, in this run or the next."""
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
from pathlib import Path

from object_detection.utils import console, files
from object_detection.utils.errors import UserError

MB = 10 ** 6
CHUNK = 1 << 18
TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 5  # in a row that bring nothing new
LONGEST_WAIT = 30  # seconds between two of them
_COME_AGAIN = (408, 425, 429, 500, 502, 503, 504)


class _Interrupted(Exception):
    """It is worth trying again. wait: seconds that the server asked for."""

    def __init__(self, reason, wait=0):
        super().__init__(reason)
        self.wait = wait


@dataclasses.dataclass
class Source:
    """What the server says of a file. size: bytes of all of it, None if not said; md5: hexadecimal, or ''."""
    url: str
    size: int | None = None
    etag: str = ''
    last_modified: str = ''
    md5: str = ''

    @classmethod
    def of(cls, url, response):
        headers = response.headers
        total = headers.get('Content-Range', '').rpartition('/')[2] if response.status == 206 else \
            headers.get('Content-Length', '')
        hashes = dict(part.strip().split('=', 1) for value in headers.get_all('x-goog-hash', [])
                      for part in value.split(',') if '=' in part)
        return cls(url, int(total) if total.isdigit() else None, headers.get('ETag', ''),
                   headers.get('Last-Modified', ''), _hex(hashes.get('md5', '')))

    @property
    def validator(self):
        """For If-Range: what says that the file is still the same; a weak ETag cannot."""
        return self.etag if self.etag and not self.etag.startswith('W/') else self.last_modified

    def differs(self, other):
        """Whether `other`, of a later answer, contradicts this; what is not said does not."""
        return any(mine and theirs and mine != theirs for mine, theirs in (
            (self.size, other.size), (self.etag, other.etag), (self.last_modified, other.last_modified)))


def fetch(url, path, sleep=time.sleep):
    """Download url to path and return its Source.

    What has arrived stays in `path` when this ends by an exception, with what the server said of it in PATH.json, and
    the next call goes on there, unless the file on the server is another one by then, or the server knows no ranges:
    then it starts over. UserError when the server refuses, or after ATTEMPTS that brought nothing new.
    """
    failures, furthest = 0, _length(path)
    while True:
        try:
            return _receive(url, Path(path))
        except _Interrupted as error:
            reached = _length(path)
            failures = 0 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures == ATTEMPTS:
                kept = f'; {reached / 1e6:.1f} MB are kept, and the same command goes on from there' if reached else ''
                raise UserError(f'{url}: {error}, {ATTEMPTS} times in a row{kept}') from error
            wait = max(error.wait, min(2 ** failures, LONGEST_WAIT))
            console.log(f'{error}; trying again in {wait} s')
            sleep(wait)


def forget(path):
    """Delete what fetch has left."""
    Path(path).unlink(missing_ok=True)
    _notes(path).unlink(missing_ok=True)


def _receive(url, path):
    """One request, for what is still missing; _Interrupted if anything is missing afterwards."""
    known = _remembered(url, path)
    have = _length(path) if known else 0
    if known and have == known.size:
        return known
    response = _ask(url, path, known, have)
    if response is None:
        return dataclasses.replace(known, size=have)
    with response:
        source = Source.of(url, response)
        if response.status == 206 and have:
            place = re.match(r'bytes (\d+)-', response.headers.get('Content-Range', ''))
            if not place or int(place[1]) != have or known.differs(source):
                forget(path)
                raise _Interrupted('the file on the server is another one by now')
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


def _ask(url, path, known, have):
    """The response to a request for the file from byte `have` on; None if the server says that it ends there."""
    request = urllib.request.Request(url, headers={'User-Agent': 'object-detection-suite',
                                                   'Accept-Encoding': 'identity'})
    if have:
        request.add_header('Range', f'bytes={have}-')
        request.add_header('If-Range', known.validator)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            if error.headers.get('Content-Range') == f'bytes */{have}':
                return None
            forget(path)
            raise _Interrupted('the file on the server has another length by now') from error
        if error.code in _COME_AGAIN:
            wait = error.headers.get('Retry-After', '')
            raise _Interrupted(f'the server answers {error.code} {error.reason}',
                               min(int(wait), 10 * LONGEST_WAIT) if wait.isdigit() else 0) from error
        raise UserError(f'{url}: the server answers {error.code} {error.reason}; --base_url can name another address '
                        'of the zoo (download --help)') from error
    except (http.client.HTTPException, OSError) as error:  # URLError is an OSError
        reason = getattr(error, 'reason', error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise UserError(f'{url}: the certificate of the server is not trusted ({reason.verify_message})') from error
        raise _Interrupted(f'no connection to {urllib.parse.urlsplit(url).netloc}: {reason}') from error


def _save(response, path, have, size):
    """Append the body to the `have` bytes in path; the length that path has then."""
    total = size and -(-size // MB)
    with files.named(path), path.open('ab' if have else 'wb') as file, \
            console.progress(f'download {path.name}', total, 'MB', have // MB) as bar:
        while chunk := _read(response):
            file.write(chunk)
            have += len(chunk)
            bar.update(have // MB if have != size else total)
    return have


def _read(response):
    try:
        return response.read1(CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(f'the connection broke: {error}') from error


def _remembered(url, path):
    """The Source of what has arrived of url in path; None if nothing tells whether the server still has the same."""
    try:
        source = Source(**json.loads(_notes(path).read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError):
        return None
    return source if source.url == url and source.validator else None


def _notes(path):
    return Path(f'{path}.json')


def _length(path):
    return Path(path).stat().st_size if Path(path).exists() else 0


def _hex(base64_text):
    try:
        return base64.b64decode(base64_text, validate=True).hex()
    except binascii.Error:
        return ''
