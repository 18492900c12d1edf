"""The analysis of drawn pictures as files: what they hold, and that they can be read again."""
import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from object_detection.config import label_map
from object_detection.evaluation.analysis import files, plots
from object_detection.evaluation.analysis.analysis import ALL, Analysis
from tests.evaluation.analysis.test_numbers import A, C, D, found, objects


@pytest.fixture
def labels(tmp_path):
    label_map.write(tmp_path / 'labels.pbtxt', ['dog', 'cat', 'bird'])
    return label_map.load(tmp_path / 'labels.pbtxt')


def sample(groundtruth, detections):
    return SimpleNamespace(image=np.full((50, 60, 3), 90, np.uint8), size=np.array([100, 120]), groundtruth=groundtruth,
                           detections=detections)


@pytest.fixture
def analysis(labels):
    made = Analysis(labels)
    made.add('good.jpg', sample(objects((A, 1)), found((A, 1, .9))))
    made.add('bad.jpg', sample(objects((A, 1), (C, 2)), found((D, 1, .95), (C, 1, .92))))
    made.add('empty.jpg', sample(objects(), found()))
    return made


def test_content(analysis):
    content = analysis.finish(expected=4)
    assert (content['pictures'], content['expected'], content['worst']) == (3, 4, ['bad.jpg'])
    assert content['warnings'][0].startswith('3 of 4 pictures were evaluated')
    assert [entry['name'] for entry in content['classes']] == ['dog', 'cat', 'bird']
    low, high = content['interval']
    assert 0. <= low <= content['map'] <= high <= 1. and list(content['curves']) == [ALL, 'dog', 'cat']
    assert content['errors'] == {'confused': 1, 'badly placed': 0, 'confused and badly placed': 0, 'found twice': 0,
                                 'false': 1, 'missed': 1}


def test_files(analysis, tmp_path):
    content = {'checkpoint': 'ckpt-7', 'step': 70, **analysis.finish(3)}
    folder = files.folder_of(tmp_path, 'ckpt-7')
    files.write(folder, content, analysis.draw(content))
    assert sorted(path.name for path in folder.iterdir()) == [
        'analysis.json', 'calibration.png', 'classes.csv', 'confusion_matrix.png', 'curves.png', 'worst_pictures.png']
    rows = list(csv.DictReader((folder / 'classes.csv').open(encoding='utf-8')))
    assert rows[0]['name'] == 'dog' and rows[2]['ap'] == '' and rows[2]['groundtruth'] == '0'
    assert files.read(tmp_path, 'ckpt-7', 70)['map'] == content['map']
    assert files.read(tmp_path, 'ckpt-7', 80) is None and files.read(tmp_path, 'ckpt-8') is None
    with Image.open(folder / 'worst_pictures.png') as picture:
        assert picture.size == (966, 430)  # two of 480 x 400 with a gap, a title and a margin


def test_a_damaged_file_is_none(tmp_path):
    folder = files.folder_of(tmp_path, 'ckpt-7')
    folder.mkdir(parents=True)
    for text in ('{', '[]', '{"format": 99}'):
        (folder / files.NAME).write_text(text)
        assert files.read(tmp_path, 'ckpt-7') is None


def test_a_confusion_matrix_of_many_classes_shows_those_with_errors(labels):
    matrix = np.diag(np.full(101, 5))
    matrix[40, 41] = 3
    kept = plots._most_confused(matrix)
    assert len(kept) == plots.MOST_CLASSES + 1 and {40, 41, 100} <= set(kept) and kept == sorted(kept)


def test_nothing_found_can_be_drawn(labels):
    made = Analysis(labels)
    made.add('a.jpg', sample(objects((A, 1)), found()))
    content = made.finish(1)
    assert content['map'] == 0. and content['threshold'] is None and 'detects nothing' in content['warnings'][0]
    assert {name: image.dtype for name, image in made.draw(content).items()} == dict.fromkeys(
        ['confusion_matrix', 'curves', 'calibration', 'worst_pictures'], np.dtype(np.uint8))


def test_no_groundtruth_has_no_interval(labels):
    made = Analysis(labels)
    made.add('a.jpg', sample(objects(), found((A, 1, .5))))
    content = made.finish(1)
    assert content['map'] is None and content['interval'] is None and 'no groundtruth box' in content['warnings'][0]
