"""A local HTTP server with faults to order, and tarballs for it to serve."""
import contextlib
import gzip
import hashlib
import http.server
import io
import random
import re
import tarfile
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator

FILES = {'pipeline.config': b'model {}\n', 'saved_model/saved_model.pb': b'graph' * 400,
         'checkpoint/checkpoint': b'', 'checkpoint/ckpt-0.index': b'index' * 20,
         'checkpoint/ckpt-0.data-00000-of-00001': random.Random(0).randbytes(200_000)}


def tarball(files: dict[str, bytes] | None = None, folder: str = 'some_model',
            entries: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """Return a .tar.gz of files {path: bytes} under a folder, and of TarInfos without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        for name, data in (FILES if files is None else files).items():
            info = tarfile.TarInfo(f'{folder}/{name}' if folder else name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in entries:
            archive.addfile(info)
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


class Server:
    """Serves `body` at every path. Each request takes the next of `faults`, a list of dicts with any of:

    drop: close the connection after this many bytes; status: answer with this and no body; claim: a false
    Content-Length; body, etag: serve another file from now on; headers: more headers.

    ranges, if_range: whether Range and If-Range are honored. length: whether Content-Length is sent.
    requests: [(path, Range, If-Range)] so far.
    """

    def __init__(self, body: bytes) -> None:
        self.body, self.etag, self.faults, self.requests = body, '"one"', [], []
        self.ranges = self.if_range = self.length = True
        self.headers = {}

    def with_md5(self, body: bytes | None = None) -> None:
        """Send the MD5 of the body, or of another one."""
        digest = hashlib.md5(body or self.body).digest()
        self.headers['x-goog-hash'] = f'crc32c=AAAAAA==,md5={b64encode(digest).decode()}'

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        asked, condition = handler.headers.get('Range'), handler.headers.get('If-Range')
        self.requests.append((handler.path, asked, condition))
        fault = self.faults.pop(0) if self.faults else {}
        self.body, self.etag = fault.get('body', self.body), fault.get('etag', self.etag)
        start = int(re.fullmatch(r'bytes=(\d+)-', asked)[1]) if asked and self.ranges else 0
        if self.if_range and condition != self.etag:
            start = 0
        status = fault.get('status', 416 if start >= len(self.body) else 206 if start else 200)
        handler.send_response(status)
        if status == 416:
            handler.send_header('Content-Range', f'bytes */{len(self.body)}')
        elif status == 206:
            handler.send_header('Content-Range', f'bytes {start}-{len(self.body) - 1}/{len(self.body)}')
        body = self.body[start:] if status in (200, 206) else b''
        if self.length:
            handler.send_header('Content-Length', str(fault.get('claim', len(body))))
        if self.etag:
            handler.send_header('ETag', self.etag)
        for name, value in {**self.headers, **fault.get('headers', {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:fault.get('drop', len(body))])


@contextlib.contextmanager
def serve(body: bytes) -> Iterator[Server]:
    """Run a Server on a free local port; its `url` ends without a slash."""
    server = Server(body)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(ConnectionError):
                server.answer(self)

        def log_message(self, *_):
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(.01,))
        thread.start()
        server.url = f'http://127.0.0.1:{listener.server_port}/tf2'
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
