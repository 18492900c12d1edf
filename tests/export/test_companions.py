"""What lies beside an exported network: label map, config, summary, and a card whose code runs as it is."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from object_detection.config import label_map, pipeline
from object_detection.evaluation.analysis import files as analysis_files
from object_detection.export import companions, onnx_file, saved_model, tflite
from object_detection.inference.load import load
from object_detection.models import build
from object_detection.runs.record import Record
from tests.support import toy_backbone

FIT = 'keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 64 pad_to_max_dimension: true }'


@pytest.fixture(scope='module')
def folder(toys, tmp_path_factory):
    """Records, config, and a model_dir with run.json and summary.html; no checkpoint is needed."""
    path = tmp_path_factory.mktemp('companions')
    (path / 'pipeline.config').write_text(toy_backbone.ssd(path))
    record = Record(path / 'model')
    data = {'digest': 'abc', 'records': 13, 'files': [{'path': '/home/me/train.tfrecords'}]}
    record.start('', {'train_input_reader': data}, trains=True, versions={'TensorFlow': '2.20.0'})
    record.add('eval', 'ckpt-7', 700, [('DetectionBoxes_Precision/mAP', .25), ('DetectionBoxes_Recall/AR@1', -1.)])
    (path / 'model' / 'summary.html').write_text('curves')
    classes = [{'name': 'square', 'threshold': .3}, {'name': 'bar', 'threshold': None}]
    analysis_files.write(path / 'model' / 'analysis' / 'ckpt-7', {'step': 700, 'classes': []}, {})
    content = json.loads((path / 'model' / 'analysis' / 'ckpt-7' / 'analysis.json').read_text())
    (path / 'model' / 'analysis' / 'ckpt-7' / 'analysis.json').write_text(json.dumps({**content, 'classes': classes}))
    return path


def source(folder):
    return companions.Source(label_map.load(folder / 'label_map.pbtxt'), str(folder / 'model' / 'ckpt-7'), 700)


def code(folder):
    return re.search('```python\n(.*?)```', (folder / 'README.md').read_text(encoding='utf-8'), re.DOTALL)[1]


@pytest.mark.parametrize('kind', ['saved_model', 'tflite', 'tflite fit', 'onnx', 'onnx model size'])
def test_the_code_of_the_card_finds_what_the_runner_finds(kind, folder, tmp_path, monkeypatch):
    config = pipeline.read(folder / 'pipeline.config')
    if kind == 'tflite fit':
        config = pipeline.override(config, f'model {{ ssd {{ image_resizer {{ {FIT} }} }} }}')
    model = build.build(config.model, seed=1)
    out = tmp_path / 'out'
    if kind == 'saved_model':
        saved_model.write(model, 'image_tensor', config, out, source(folder))
    elif kind.startswith('tflite'):
        tflite.write(model, config, out, tflite.Options(regular_nms=True), source(folder))
    else:
        fixed = {'any_size': False, 'input_type': 'float_image_tensor'} if 'size' in kind else {}
        onnx_file.write(model, config, out, onnx_file.Options(**fixed), source(folder))
    monkeypatch.chdir(out)
    picture = np.full((48, 64, 3), 40, np.uint8)
    picture[10:30, 20:40] = 220
    Image.fromarray(picture).resize((64, 48)).save('picture.jpg', quality=95)
    found: dict = {}
    exec(code(out), found)
    network = next(name for name in ('model.tflite', 'model.onnx', '.') if Path(name).exists())
    runner = load(network)
    expected = runner.detect([np.asarray(Image.open('picture.jpg').convert('RGB'))])[0]
    assert runner.labels == {1: 'square', 2: 'bar'}
    count = min(len(expected), 3)
    np.testing.assert_allclose(found['scores'][:count], expected.scores[:count], atol=.02)


def test_the_card_says_what_is_known(folder, tmp_path):
    companions.write(tmp_path, pipeline.read(folder / 'pipeline.config'), source(folder), 'saved_model')
    text = (tmp_path / 'README.md').read_text(encoding='utf-8')
    assert '2 kinds of objects' in text and 'square (1), bar (2)' in text
    assert '| checkpoint | ckpt-7 (step 700) |' in text
    assert '| trained on | 13 pictures, digest abc (train.tfrecords) |' in text and '/home/me' not in text
    assert '| DetectionBoxes_Precision/mAP | 0.2500 |' in text and 'AR@1' not in text
    assert (tmp_path / 'summary.html').read_text() == 'curves'
    assert json.loads((tmp_path / 'score_thresholds.json').read_text()) == {'square': .3}
    assert label_map.load(tmp_path / 'label_map.pbtxt').ids == {'square': 1, 'bar': 2}


def test_a_model_of_unknown_origin_has_a_card_too(folder, tmp_path):
    companions.write(tmp_path, pipeline.read(folder / 'pipeline.config'), companions.Source(), 'saved_model')
    text = (tmp_path / 'README.md').read_text(encoding='utf-8')
    assert 'class 1 (1), class 2 (2)' in text and 'was not evaluated' in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ['README.md', 'pipeline.config']
