"""An S3 server on this machine (moto's), behind a proxy that fails and stalls when it is told to."""
import contextlib
import http.client
import http.server
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BUCKET = 'bucket'


@dataclass
class Store:
    """Attributes:
        port: of the proxy, where clients connect.
        faults: what happens to the next requests, one each: 500, 503, 'reset' or 'stall'; None: they pass.
        requests: (method, path) of all that came.
    """
    port: int = 0
    faults: list[object] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {'AWS_ENDPOINT_URL': f'http://127.0.0.1:{self.port}', 'AWS_ACCESS_KEY_ID': 'id',
                'AWS_SECRET_ACCESS_KEY': 'secret', 'AWS_DEFAULT_REGION': 'us-east-1'}


@contextlib.contextmanager
def serving() -> Iterator[Store]:
    """Run both servers, with an empty bucket s3://bucket."""
    from moto.server import ThreadedMotoServer
    logging.getLogger('werkzeug').setLevel(logging.ERROR)
    server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
    server.start()
    _, behind = server.get_host_and_port()
    store = Store()

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def forward(self) -> None:
            store.requests.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
            fault = store.faults.pop(0) if store.faults else None
            if fault == 'reset':
                self.connection.close()
                self.close_connection = True
                return
            if fault == 'stall':
                time.sleep(3.)
            if isinstance(fault, int):
                self.answer(fault, [], b'<Error><Code>SlowDown</Code></Error>')
                return
            connection = http.client.HTTPConnection('127.0.0.1', behind)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            self.answer(answer.status, answer.getheaders(), answer.read())
            connection.close()

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            with contextlib.suppress(OSError):  # the client has given up
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ('transfer-encoding', 'connection') and (
                            name.lower() != 'content-length' or self.command == 'HEAD'):
                        self.send_header(name, value)
                if self.command != 'HEAD':
                    self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(b'' if self.command == 'HEAD' else body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward

        def log_message(self, *_: object) -> None:
            pass

    proxy = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)
    store.port = proxy.server_address[1]
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    before = dict(os.environ)
    os.environ.update(store.environment())
    try:
        import boto3
        boto3.client('s3').create_bucket(Bucket=BUCKET)
        yield store
    finally:
        os.environ.clear()
        os.environ.update(before)
        proxy.shutdown()
        server.stop()


@pytest.fixture(scope='session')  # s3fs keeps the first address
def s3() -> Iterator[Store]:
    """An S3 server; skipped where moto or s3fs are missing."""
    pytest.importorskip('s3fs', reason='s3fs is in requirements-dev.txt')
    pytest.importorskip('moto.server', reason='moto is in requirements-dev.txt')
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def store_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('OBJECT_DETECTION_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('OBJECT_DETECTION_STORE_TIMEOUT', '1')
    monkeypatch.setenv('OBJECT_DETECTION_STORE_RETRY', '8')
