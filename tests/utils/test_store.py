"""Files on a store: an S3 server that fails and stalls on purpose, and fsspec's store in memory."""
import os
import sys
import time

import pytest

from object_detection.utils import files, store
from object_detection.utils.errors import UserError

pytest_plugins = ['tests.support.object_store']


@pytest.mark.parametrize('path, expected', [
    ('s3://bucket/a/', 's3://bucket/a'), ('s3:/bucket/a', 's3://bucket/a'), (r's3:\bucket\a', 's3://bucket/a'),
    ('gs://b/*.tfrecords', 'gs://b/*.tfrecords'), ('a/b', None), ('/a', None), ('C:/a', None), ('c:\\a', None)])
def test_what_is_a_url(path, expected):
    assert store.url_of(path) == expected


@pytest.mark.parametrize('fault', [500, 503, 'reset', 'stall'])
def test_failures_that_pass_are_repeated(s3, tmp_path, fault):
    (tmp_path / 'a').write_bytes(b'abc')
    s3.faults[:] = [fault]
    stored = store.upload(tmp_path / 'a', 's3://bucket/failing/a')
    s3.faults[:] = [fault]
    store.download(stored, tmp_path / 'b')
    assert (tmp_path / 'b').read_bytes() == b'abc' and not s3.faults


def test_a_store_that_keeps_failing_ends_within_the_bound(s3, monkeypatch):
    monkeypatch.setenv('OBJECT_DETECTION_STORE_RETRY', '1')
    s3.faults[:] = ['reset'] * 500
    began = time.monotonic()
    with pytest.raises(store.Unreachable, match=r's3://bucket/a: the store failed for 1 s .* times, the last time: .+'):
        store.info('s3://bucket/a')
    s3.faults.clear()
    assert time.monotonic() - began < 1 + 2 * 1 + 1  # the bound, and a request that began before it


def test_what_is_wrong_is_one_line(s3, monkeypatch):
    assert store.info('s3://bucket/none') is None and store.walk('s3://bucket/none') == {}
    with pytest.raises(UserError, match=r's3://elsewhere/a: .*bucket does not exist; check the name'):
        store.info('s3://elsewhere/a')
    with pytest.raises(UserError, match=r'nope://a/b: .*allowed: a local path, s3://, gs://'):
        store.info('nope://a/b')
    with pytest.raises(UserError, match=r's3://bucket/none.config: does not exist; s3://bucket '):
        files.existing_file('s3://bucket/none.config')
    with pytest.raises(UserError, match=r's3://bucket/folder: is on a store, and this must be a local path'):
        files.make_dir('s3://bucket/folder')
    monkeypatch.setitem(sys.modules, 'fsspec', None)
    with pytest.raises(UserError, match=r"s3://bucket/a: needs the package fsspec; .*'object-detection\[store\]'"):
        store.info('s3://bucket/a')


def test_a_store_that_cannot_be_written_to_is_one_line(tmp_path):
    fsspec = pytest.importorskip('fsspec', reason='fsspec is in requirements-dev.txt')
    fsspec.register_implementation('readonly', type('ReadOnly', (fsspec.AbstractFileSystem,), {'protocol': 'readonly'}))
    (tmp_path / 'a').write_bytes(b'abc')
    with pytest.raises(UserError, match=r'^readonly://b/\.a\.\d+\.tmp: this kind of store cannot do that'):
        store.upload(tmp_path / 'a', 'readonly://b/a')


def test_a_url_without_a_place():
    with pytest.raises(UserError, match=r's3://: names no place on a store; write s3://BUCKET/PATH'):
        store.url_of('s3://')


def test_what_lies_directly_in_a_folder(s3, tmp_path):
    (tmp_path / 'a').write_bytes(b'abc')
    for path in ('a', 'b/c', 'b/d/e'):
        store.upload(tmp_path / 'a', f's3://bucket/entries/{path}')
    assert {name: file.size for name, file in store.entries('s3://bucket/entries').items()} == {'a': 3, 'b': 0}
    assert list(store.entries('s3://bucket/entries/b')) == ['c', 'd'] and store.entries('s3://bucket/empty') == {}


def test_large_files_come_in_blocks_and_whole(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(store, 'BLOCK', 1 << 16)
    content = os.urandom(300_000)
    (tmp_path / 'a').write_bytes(content)
    stored = store.upload(tmp_path / 'a', 's3://bucket/large/a')
    s3.requests.clear()
    s3.faults[:] = [None, 500, 'reset']
    store.download(stored, tmp_path / 'b')
    assert (tmp_path / 'b').read_bytes() == content and len(s3.requests) >= 5
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ['a', 'b']


def test_a_file_that_is_replaced_while_it_is_read(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(store, 'BLOCK', 1 << 16)
    (tmp_path / 'a').write_bytes(bytes(200_000))
    stored = store.upload(tmp_path / 'a', 's3://bucket/replaced/a')
    (tmp_path / 'a').write_bytes(b'1' * 200_000)
    store.upload(tmp_path / 'a', 's3://bucket/replaced/a')
    with pytest.raises(UserError, match='was replaced or deleted while it was read'):
        store.download(stored, tmp_path / 'b')
    assert not (tmp_path / 'b').exists()
