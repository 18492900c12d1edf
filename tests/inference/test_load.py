"""Whatever the path names, the same detector gives the same detections."""
import shutil

import numpy as np
import pytest
import tensorflow as tf

from object_detection.config import pipeline
from object_detection.export import saved_model as exporter
from object_detection.inference.load import load
from object_detection.models import build
from object_detection.utils.errors import UserError
from tests.support import tiny

RANDOM = np.random.default_rng(3)
PICTURES = [RANDOM.integers(0, 256, shape, np.uint8) for shape in ((60, 80, 3), (60, 80, 3), (90, 50, 3))]


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """An export, with the records and the label map in a folder of their own."""
    folder = tmp_path_factory.mktemp('inference')
    (folder / 'data').mkdir()
    config = pipeline.read(tiny.write(folder / 'data'))
    exporter.write(build.build(config.model, seed=1), 'image_tensor', config, folder / 'export')
    return folder / 'export'


@pytest.fixture(scope='module')
def expected(exported):
    call = tf.saved_model.load(str(exported / 'saved_model')).signatures['serving_default']
    return [call(tf.constant(picture[np.newaxis])) for picture in PICTURES]


@pytest.mark.parametrize('path', ['', 'saved_model', 'checkpoint', 'checkpoint/ckpt-0'])
def test_detections_are_those_of_the_saved_model(exported, expected, path):
    runner = load(exported / path)
    found = runner.detect(PICTURES)
    assert len(found) == len(PICTURES)
    for own, other in zip(found, expected):
        count = int(other['num_detections'][0])
        assert len(own) == count > 0
        np.testing.assert_allclose(own.boxes, other['detection_boxes'][0, :count], atol=1e-5)
        np.testing.assert_allclose(own.scores, other['detection_scores'][0, :count], atol=1e-5)
        assert own.classes.tolist() == other['detection_classes'][0, :count].numpy().astype(int).tolist()


def test_labels_are_those_beside_the_model_or_of_its_config_or_given(exported, tmp_path):
    data = exported.parent / 'data'
    assert load(exported / 'checkpoint').labels == {1: 'square', 2: 'bar'}  # of the config
    assert load(exported).labels == {}
    assert load(exported, labels=data / 'label_map.pbtxt').labels == {1: 'square', 2: 'bar'}
    beside = shutil.copytree(exported, tmp_path / 'export')
    shutil.copy(data / 'label_map.pbtxt', beside)
    assert load(beside).labels == load(beside / 'saved_model').labels == {1: 'square', 2: 'bar'}


@pytest.mark.parametrize('name, message', [
    ('missing', 'does not exist'), ('missing.tflite', 'does not exist'), ('notes.txt', 'is no detector'),
    ('empty', 'there is no .*pipeline.config')])
def test_what_is_no_detector_is_refused(tmp_path, name, message):
    (tmp_path / 'notes.txt').write_text('hello')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=message):
        load(tmp_path / name)
