"""The manifest of an output folder: what is damaged in it is one line that names the file."""
import sqlite3

import pytest

from object_detection.preparation import manifest
from object_detection.preparation.manifest import Manifest, parse_detections
from object_detection.utils.errors import UserError


def test_values_are_kept(tmp_path):
    with Manifest(tmp_path) as kept:
        kept.keep_value('x', ['a', 'b'])
        kept.keep_detections('d', {'sha': [[0, 0, 1, 1, .5, 3]]})
    with Manifest(tmp_path) as kept:
        assert kept.value('x', [str]) == ['a', 'b'] and kept.value('y', [str]) is None
        assert parse_detections(kept.detections('d')['sha']) == [[0, 0, 1, 1, .5, 3]]


@pytest.mark.parametrize('text', ['[', '3', '[1]', '[' * 100_000])
def test_a_value_that_is_not_what_was_kept(text, tmp_path):
    with Manifest(tmp_path) as kept:
        kept.keep_value('x', ['a'])
        kept._db.execute('UPDATE kept SET value = ?', [text])
        with pytest.raises(UserError, match=r'what is kept as x.*delete it to start from scratch') as error:
            kept.value('x', [str])
    assert str(tmp_path / manifest.MANIFEST) in str(error.value) and '\n' not in str(error.value)
    with pytest.raises(UserError, match='detections'):
        parse_detections('{"a": 1}')


def test_damage_in_the_middle_of_the_file(tmp_path):
    """The header is sound, so that only reading the rows finds it."""
    with Manifest(tmp_path) as kept:
        for number in range(300):
            kept.keep_value(f'name {number}', ['x' * 500])
    path = tmp_path / manifest.MANIFEST
    sqlite3.connect(path).execute('PRAGMA wal_checkpoint(TRUNCATE)').connection.close()
    data = bytearray(path.read_bytes())
    data[3 * 4096:] = b'\xa5' * (len(data) - 3 * 4096)
    path.write_bytes(data)
    with pytest.raises(UserError, match='delete it to start from scratch') as error, Manifest(tmp_path) as kept:
        for number in range(300):
            kept.value(f'name {number}', [str])
    assert str(error.value).startswith(str(path))
