"""Local copies of files on a store."""
import threading

import pytest

from object_detection.config import label_map, paths
from object_detection.records import Records, Writer
from object_detection.utils import cache, store
from object_detection.utils.errors import UserError

pytest_plugins = ['tests.support.object_store']


def put(tmp_path, url, content=b'x'):
    (tmp_path / 'put').write_bytes(content)
    return store.upload(tmp_path / 'put', url)


def test_records_and_label_maps_are_read_from_copies(s3, tmp_path):
    with Writer(tmp_path / 'r', 3) as writer:
        for i in range(20):
            writer.write(b'%d' % i * (i + 1))
    for i in range(3):
        store.upload(tmp_path / f'r-{i:05d}-of-00003', f's3://bucket/records/r-{i:05d}-of-00003')
    pattern = 's3://bucket/records/r-?????-of-00003'
    assert list(paths.records(pattern)) == []
    here, there = Records(tmp_path / 'r-?????-of-00003'), Records(pattern)
    assert [there[i] for i in range(20)] == [here[i] for i in range(20)]
    assert there.files == [str(tmp_path / f'cache/files/s3/bucket/records/r-0000{i}-of-00003') for i in range(3)]
    s3.requests.clear()
    assert Records(pattern)[7] == here[7]
    assert all('list-type' in path for _, path in s3.requests), 'nothing is fetched again'
    label_map.write(tmp_path / 'labels', ['cat', 'dog'])
    store.upload(tmp_path / 'labels', 's3://bucket/labels.pbtxt')
    assert [item.name for item in label_map.load('s3://bucket/labels.pbtxt').items] == ['cat', 'dog']


def test_missing_and_empty_records_are_named(s3, tmp_path):
    put(tmp_path, 's3://bucket/set/r-00000-of-00002', b'')
    (severity, lost), (_, empty) = paths.records('s3://bucket/set/r-*')
    assert severity == 'error' and '1 of its shards are missing' in lost and 'r-00000-of-00002: is empty' in empty
    assert 'no file matches' in next(paths.records('s3://bucket/nothing-*'))[1]
    assert 's3://bucket/nothing: does not exist; s3://bucket has' in next(paths.records('s3://bucket/nothing'))[1]


def test_a_file_that_changed_is_fetched_anew(s3, tmp_path):
    put(tmp_path, 's3://bucket/changing', b'1')
    assert cache.file('s3://bucket/changing').read_bytes() == b'1'
    put(tmp_path, 's3://bucket/changing', b'2')
    path = cache.file('s3://bucket/changing')
    assert path.read_bytes() == b'2'
    path.write_bytes(b'')  # cut off by a full disk, say
    assert cache.file('s3://bucket/changing').read_bytes() == b'2'


def test_a_disk_that_is_too_small_is_named(s3, tmp_path, monkeypatch):
    put(tmp_path, 's3://bucket/large')
    monkeypatch.setattr(cache, '_SPARE', 1 << 60)
    with pytest.raises(UserError, match=r's3://bucket: .* GB are to be fetched, and .* set OBJECT_DETECTION_CACHE'):
        cache.file('s3://bucket/large')
    monkeypatch.undo()
    monkeypatch.setenv('OBJECT_DETECTION_CACHE', str(tmp_path / 'cache'))
    fetched = cache.file('s3://bucket/large')
    monkeypatch.setattr(cache, '_SPARE', 1 << 60)
    assert cache.file('s3://bucket/large') == fetched, 'what is here needs no room'


def test_one_fetches_and_others_wait(s3, tmp_path):
    put(tmp_path, 's3://bucket/shared/a', b'x' * 1000)
    s3.requests.clear()
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.file('s3://bucket/shared/a'))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert sum(method == 'GET' for method, path in s3.requests if 'list-type' not in path) == 1


def test_the_newest_complete_checkpoint_of_a_folder(s3, tmp_path):
    for name in ('ckpt-1.index', 'ckpt-1.data-00000-of-00001', 'ckpt-9.index', 'ckpt-9.data-00000-of-00001',
                 'ckpt-10.index', 'ckpt-11.index', 'ckpt-11.data-00000-of-00002', 'pipeline.config'):
        put(tmp_path, f's3://bucket/run/{name}')
    assert cache.checkpoint('s3://bucket/run').name == 'ckpt-9'
    prefix = cache.checkpoint('s3://bucket/run/ckpt-1')
    assert sorted(path.name for path in prefix.parent.iterdir() if not path.name.startswith('.')) == [
        'ckpt-1.data-00000-of-00001', 'ckpt-1.index', 'ckpt-9.data-00000-of-00001', 'ckpt-9.index']
    put(tmp_path, 's3://bucket/zoo/checkpoint/ckpt-0.index')
    put(tmp_path, 's3://bucket/zoo/checkpoint/ckpt-0.data-00000-of-00001')
    assert cache.checkpoint('s3://bucket/zoo').name == 'ckpt-0'
    assert list(paths.checkpoint('s3://bucket/run/ckpt-1')) == []
    assert 's3://bucket/run/ckpt-3.index: does not exist; s3://bucket/run has ckpt-1.' in next(
        paths.checkpoint('s3://bucket/run/ckpt-3'))[1]
