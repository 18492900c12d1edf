"""Large JSON files are read piece by piece, with the same result as those that are read as a whole."""
import json
import tracemalloc

import numpy as np
import pytest

from object_detection.preparation.annotations import coco, files, json_pieces
from object_detection.preparation.annotations.class_names import ClassNames
from object_detection.utils.errors import UserError

CATEGORIES = [{'id': 1, 'name': 'Sit', 'keypoints': ['nose', 'tail']}, {'id': '2', 'name': 'Down'}]
DATA = {
    'info': {'description': 'brackets ] } and "quotes"', 'year': 2024, 'nothing': []},
    'annotations': [{'id': 1, 'image_id': 7, 'category_id': 2, 'bbox': [1, 2.5, 3e1, 4]},
                    {'id': 2, 'image_id': '8', 'category_id': 1, 'bbox': [0, 0, 5, 5], 'keypoints': [1, 1, 2, 3, 3, 1],
                     'segmentation': [[0, 0, 5, 0, 5, 5]]},
                    {'id': 3, 'image_id': 7, 'category_id': 1, 'bbox': [0, 0, 9], 'iscrowd': 1}],
    'images': [{'id': 7, 'file_name': 'Sit/ä.jpg', 'width': 40, 'height': 30}, {'id': 9, 'file_name': 'none.jpg'},
               {'id': 8.0, 'file_name': 'Sit/2.jpg'}, {'id': 10, 'file_name': 'none.jpg', 'width': 4, 'height': 3}],
    'categories': CATEGORIES,
    'version': 12,
}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """read(text, large) reads annotations.json as a large file, or as a small one."""
    def read(text, large, encoding='utf-8'):
        monkeypatch.setattr(files, 'LARGE_JSON', 0 if large else 1 << 40)
        path = tmp_path / 'annotations.json'
        path.write_bytes(text.encode(encoding))
        found, keypoints = files.read(files.File(path.name, str(path)), ClassNames([]), False, {})
        return repr(list(found)), keypoints
    return read


@pytest.mark.parametrize('chunk', [1, 7, 1 << 20])
@pytest.mark.parametrize('layout', [{}, {'indent': 2}, {'separators': (',', ':'), 'ensure_ascii': False}])
def test_the_same_entries(read, layout, chunk, monkeypatch):
    monkeypatch.setattr(json_pieces, 'CHUNK', chunk)
    text = json.dumps(DATA, **layout) + '\n'
    whole = read(text, large=False)
    assert read(text, large=True) == whole and whole[0].count('Entry(') == 3 and "'image 10'" in whole[0]
    assert read(text, large=True, encoding='utf-8-sig') == read(text, large=True, encoding='utf-16') == whole


@pytest.mark.parametrize('change', [
    {'annotations': [{'id': 5, 'image_id': 99, 'category_id': 1}]}, {'annotations': [{'id': 5, 'image_id': 7}]},
    {'annotations': [{'id': 5, 'image_id': 7, 'category_id': 4}]}, {'images': DATA['images'][:1] * 2},
    {'categories': CATEGORIES[:1] * 2}, {'images': [3]}])
def test_the_same_mistakes(read, change):
    said = []
    for large in (True, False):
        with pytest.raises(UserError) as error:
            read(json.dumps(DATA | change), large)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize('text', ['{"images": [1 2]}', '{"images": [1, 2]', '{"images" 3}', '{"images": [}',
                                  '{"images": []} x', '{"annotations": [1,]}'])
def test_what_is_no_json(read, text):
    with pytest.raises(UserError, match='cannot be read as JSON'):
        read(text, large=True)


def test_other_json_is_none_of_it(tmp_path):
    for number, text in enumerate(['{"a": {"b": [1]}}', '{}', '{"images": [1]}']):
        (tmp_path / f'{number}.json').write_text(text)
        assert coco.read_pieces(str(tmp_path / f'{number}.json'), '') is None
    (tmp_path / 'list.json').write_text('[1, 2]')
    with pytest.raises(ValueError, match=r"'\{' is missing"):
        coco.read_pieces(str(tmp_path / 'list.json'), '')


def test_pieces_of_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(json_pieces, 'CHUNK', 2)
    numbers = np.random.default_rng(0).integers(0, 10 ** 9, 50).tolist()
    (tmp_path / 'x.json').write_text(json.dumps({'n': numbers, 'm': -1.5e-3}))
    expected = [*(('n', number) for number in numbers), ('m', -1.5e-3)]
    assert list(json_pieces.pieces(str(tmp_path / 'x.json'))) == expected


def test_a_file_is_never_all_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_pieces, 'CHUNK', 1000)
    path = tmp_path / 'x.json'
    path.write_text(json.dumps({'a': [{'number': number} for number in range(20_000)], 'b': []}))
    tracemalloc.start()
    assert sum(1 for _ in json_pieces.pieces(str(path))) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2
