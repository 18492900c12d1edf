"""JSON files of the suite's own: shapes, places in messages, damage."""
import os
import sys

import pytest

from object_detection.utils import state
from object_detection.utils.errors import UserError

SHAPE = {'name': str, 'size?': state.NUMBER, 'tags?': [str], 'values?': {'*': state.NUMBER_OR_NONE}}


@pytest.mark.parametrize('text', ['{"name": "x"}', '{"name": "", "size": 1.5, "more": []}',
                                  '{"name": "x", "tags": ["a"], "values": {"b": null, "c": 2}}'])
def test_what_has_the_shape_is_returned(text, tmp_path):
    (tmp_path / 'x.json').write_text(text)
    assert state.read(tmp_path / 'x.json', SHAPE, '')['name'] in ('x', '')


@pytest.mark.parametrize(('text', 'says'), [
    ('', ':1:1: is not JSON'), ('{"name": "x",\n}', ':2:1: is not JSON'), ('[' * 200_000, ': is not JSON'),
    ('9' * 5000, ': is not JSON'), ('\xff', ': is not JSON'), ('null', ': the content must be an object, not null'),
    ('{}', ': name is missing'), ('{"name": 1}', ': name must be text, not 1'),
    ('{"name": "x", "size": true}', ': size must be a number, not true'),
    ('{"name": "x", "tags": ["a", {"b": 1}]}', ': tags[1] must be text, not {"b": 1}'),
    ('{"name": "x", "values": {"b": "' + 'y' * 100 + '"}}', ': values.b must be a number or null, not "yyyy')])
def test_damage_is_one_line_with_its_place(text, says, tmp_path):
    path = tmp_path / 'x.json'
    path.write_text(text, encoding='latin-1')
    with pytest.raises(UserError) as error:
        state.read(path, SHAPE, 'delete it')
    message = str(error.value)
    assert message.startswith(f'{path}{says}') and message.endswith('; delete it') and '\n' not in message
    assert len(message) < len(str(path)) + 300


def test_large_files_and_files_that_are_none_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(state, 'MOST_BYTES', 10)
    (tmp_path / 'x.json').write_text('{"name": "x"}')
    with pytest.raises(UserError, match='has 0 MB, and at most'):
        state.read(tmp_path / 'x.json', SHAPE, '')
    with pytest.raises(UserError, match='does not exist'):
        state.read(tmp_path / 'y.json', SHAPE, '')
    if sys.platform != 'win32':
        os.mkfifo(tmp_path / 'z.json')
        with pytest.raises(UserError, match='not a regular file'):
            state.read(tmp_path / 'z.json', SHAPE, '')
