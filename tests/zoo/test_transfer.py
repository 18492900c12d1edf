"""Downloads from a server that drops connections, cannot resume, changes its file, announces false lengths."""
import json
import socket

import pytest

from object_detection.utils.errors import UserError
from object_detection.zoo import transfer
from tests.support.zoo_server import serve

BODY = bytes(range(256)) * 4000
PATH = '/tf2/file'


@pytest.fixture
def server():
    with serve(BODY) as running:
        yield running


@pytest.fixture
def fetch(server, tmp_path):
    """Return a function that returns the bytes that arrived; its `waits`: seconds between attempts."""
    def run():
        run.source = transfer.fetch(f'{server.url}/file', run.path, sleep=run.waits.append)
        return run.path.read_bytes()
    run.waits, run.path = [], tmp_path / 'file'
    return run


def test_a_whole_file_in_one_request(server, fetch):
    server.headers['Last-Modified'] = 'Sat, 11 Jul 2020 00:00:00 GMT'
    server.with_md5()
    assert fetch() == BODY
    assert server.requests == [(PATH, None, None)] and fetch.waits == []
    assert (fetch.source.size, fetch.source.etag) == (len(BODY), '"one"')
    assert len(fetch.source.md5) == 32


def test_dropped_connections_are_resumed(server, fetch):
    server.faults = [{'drop': 300_000}, {'drop': 0}, {'drop': 500_000}]
    assert fetch() == BODY
    assert server.requests == [(PATH, None, None), (PATH, 'bytes=300000-', '"one"'), (PATH, 'bytes=300000-', '"one"'),
                               (PATH, 'bytes=800000-', '"one"')]
    assert fetch.waits == [1, 2, 1]  # longer only while nothing new comes


def test_the_next_run_resumes(server, fetch):
    server.faults = [{'drop': 300_000}] + [{'drop': 0}] * transfer.ATTEMPTS
    with pytest.raises(UserError, match=r'closed after 0.3 of 1.0 MB, 5 times in a row; 0.3 MB are kept'):
        fetch()
    del server.requests[:]
    assert fetch() == BODY
    assert server.requests == [(PATH, 'bytes=300000-', '"one"')]


def test_a_complete_file_is_not_requested_again(server, fetch):
    fetch()
    assert fetch() == BODY and len(server.requests) == 1


@pytest.mark.parametrize('weak', ['W/"one"', ''])
def test_without_a_strong_etag_last_modified_decides(server, fetch, weak):
    server.etag = weak
    server.if_range = False
    server.headers['Last-Modified'] = 'Sat, 11 Jul 2020 00:00:00 GMT'
    server.faults = [{'drop': 300_000}]
    assert fetch() == BODY
    assert server.requests[1][1:] == ('bytes=300000-', 'Sat, 11 Jul 2020 00:00:00 GMT')


def test_without_etag_and_date_it_starts_over(server, fetch):
    server.etag = ''
    server.faults = [{'drop': 300_000}]
    assert fetch() == BODY
    assert server.requests == [(PATH, None, None)] * 2


def test_a_server_without_ranges_starts_over(server, fetch, capsys):
    server.ranges = False
    server.faults = [{'drop': 300_000}]
    assert fetch() == BODY
    assert 'starts from the beginning' in capsys.readouterr().out


def test_a_server_without_ranges_that_always_drops_is_given_up(server, fetch):
    server.ranges = False
    server.faults = [{'drop': 300_000}] * 20
    with pytest.raises(UserError, match='5 times in a row'):
        fetch()
    assert fetch.waits == [1, 2, 4, 8, 16]


@pytest.mark.parametrize('if_range', [True, False])
def test_a_changed_file_starts_over(server, fetch, if_range):
    server.if_range = if_range
    other = BODY[::-1]
    server.faults = [{'drop': 300_000}, {'body': other, 'etag': '"two"'}]
    assert fetch() == other
    assert json.loads(fetch.path.with_name('file.json').read_text())['etag'] == '"two"'


def test_a_shortened_file_starts_over(server, fetch):
    server.if_range = False
    server.faults = [{'drop': 300_000}, {'body': BODY[:100], 'etag': '"two"'}]
    assert fetch() == BODY[:100]


def test_a_length_announced_too_large(server, fetch):
    server.faults = [{'claim': len(BODY) + 10}]
    assert fetch() == BODY  # the 416 to the second request says where the file ends
    assert fetch.source.size == len(BODY)


def test_no_length_announced(server, fetch):
    server.length = False
    assert fetch() == BODY
    assert fetch.source.size is None


def test_busy_servers_are_asked_again_after_retry_after(server, fetch):
    server.faults = [{'status': 503, 'headers': {'Retry-After': '7'}}, {'status': 500}]
    assert fetch() == BODY
    assert fetch.waits == [7, 4]


@pytest.mark.parametrize('status', [403, 404, 410])
def test_refusals_are_final(server, fetch, status):
    server.faults = [{'status': status}]
    with pytest.raises(UserError, match=rf'file: the server answers {status} .*--base_url'):
        fetch()
    assert fetch.waits == []


def test_nobody_listens(fetch, server):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        server.url = f'http://127.0.0.1:{free.getsockname()[1]}'
        with pytest.raises(UserError, match=r'no connection to 127.0.0.1:\d+: .*refused.*5 times in a row$'):
            fetch()


def test_unreadable_notes_start_over(server, fetch):
    fetch.path.write_bytes(b'something else')
    fetch.path.with_name('file.json').write_text('{"url": 3')
    assert fetch() == BODY
