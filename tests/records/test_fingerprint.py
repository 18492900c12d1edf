"""Fingerprints of data sets: what changes them, and how the change is told."""
import os

import pytest

from object_detection import records
from object_detection.config.label_map import Item, LabelMap
from object_detection.records import fingerprint as module
from object_detection.records.fingerprint import changes, fingerprint

LABELS = LabelMap((Item(1, 'square'), Item(2, 'bar')))


def write(folder, contents, shards=1):
    with records.Writer(folder / 'data', shards) as writer:
        for content in contents:
            writer.write(content)
    return records.Records(f'{folder / "data"}*')


def known(folder, contents, labels=LABELS, shards=1):
    for path in folder.glob('data*'):
        path.unlink()
    return fingerprint(write(folder, contents, shards), labels)


def test_checksums_are_those_of_the_data(tmp_path):
    contents = [b'one', b'', b'three' * 9]
    for shards in (1, 2):
        found = write(tmp_path, contents, shards)
        assert sorted(found.checksums.tolist()) == sorted(map(records.tfrecord.masked_crc32c, contents))
        for path in tmp_path.iterdir():
            path.unlink()


def test_the_place_and_time_of_the_files_do_not_matter(tmp_path):
    first = known(tmp_path, [b'one', b'two'])
    (tmp_path / 'moved').mkdir()
    (tmp_path / 'data').rename(tmp_path / 'moved' / 'other')
    os.utime(tmp_path / 'moved' / 'other', (1, 1))
    moved = fingerprint(records.Records(tmp_path / 'moved' / 'other'), LABELS)
    assert moved['digest'] == first['digest'] and changes(first, moved) == []
    assert (first['records'], first['bytes'], first['labels']) == (2, 6, {'1': 'square', '2': 'bar'})


BASE = [b'a', b'b', b'c', b'd']


@pytest.mark.parametrize('now, said', [
    ([b'a', b'b', b'c', b'd', b'e'], 'records: 1 added (4 before, 5 now)'),
    ([b'b', b'd'], 'records: 2 removed (4 before, 2 now)'),
    ([b'a', b'B', b'c', b'd'], 'records: 1 changed (4 before, 4 now)'),
    ([b'x', b'a', b'c', b'd'], 'records: 1 added, 1 removed (4 before, 4 now)'),
    ([b'x', b'y', b'a'], 'records: 2 added, 3 removed (4 before, 3 now)'),
    ([b'b', b'a', b'c', b'd'], 'the same records in another order'),
    ([b'a', b'a', b'b', b'c', b'd'], 'records: 1 added (4 before, 5 now)')])
def test_what_changed_in_the_records(tmp_path, now, said):
    assert changes(known(tmp_path, BASE), known(tmp_path, now)) == [said]


def test_what_changed_in_a_large_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'LISTED', 3)
    before = known(tmp_path, BASE, shards=2)
    assert 'checksums' not in before and changes(before, known(tmp_path, BASE, shards=2)) == []
    assert changes(before, known(tmp_path, [b'a', b'b', b'c', b'D'], shards=2)) == [
        'other records in data-00001-of-00002 (4 before, 4 now)']
    assert changes(before, known(tmp_path, [b'b', b'a', b'd', b'c'], shards=2)) == [
        'the same record files in another order']


def test_what_changed_in_the_label_map(tmp_path):
    before = known(tmp_path, BASE)
    renamed = known(tmp_path, BASE, LabelMap((Item(1, 'square'), Item(2, 'rod'), Item(3, 'disc'))))
    assert changes(before, renamed) == ["label map: class 2 was 'bar' and is 'rod', class 3 'disc' is new"]
    assert changes(renamed, known(tmp_path, BASE, LabelMap((Item(1, 'square'), Item(2, 'rod'))))) == [
        "label map: class 3 'disc' is gone"]
    assert changes(before, known(tmp_path, BASE, None)) == [
        "label map: class 1 'square' is gone, class 2 'bar' is gone"]
