"""A backbone is one new file and one line: the one that docs/adding_a_backbone.md shows, and toys in both families."""
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.config import pipeline as configs
from object_detection.layers import feature_extractors
from object_detection.models import build
from tests.support import tiny, toy_backbone
from tests.training.test_train import run

PAGE = Path(__file__).parents[2] / 'docs' / 'adding_a_backbone.md'


def test_the_one_of_the_documentation(monkeypatch, tmp_path):
    text = PAGE.read_text(encoding='utf-8')
    code = re.search(r'```python\n(.*?)```', text, re.DOTALL)[1]
    assert f'{len(code.splitlines())} +' in text  # the line count of the diffstat
    module = types.ModuleType('vgg_fpn')
    monkeypatch.setitem(sys.modules, 'vgg_fpn', module)
    exec(compile(code, 'vgg_fpn.py', 'exec'), vars(module))
    for name, constructor in module.SSD.items():
        monkeypatch.setitem(feature_extractors.SSD, name, constructor)
    config = tiny.write(tmp_path).read_text().replace('ssd_mobilenet_v2_fpn_keras', 'ssd_vgg16_fpn_keras').replace(
        'depth_multiplier: 0.25', 'depth_multiplier: 0.1')
    log, done = run(tmp_path / 'model', config, 1)
    assert np.isfinite(log.losses()[1])
    saved = checkpoints.Saved(done['checkpoint'])
    model = build.build(configs.parse(config).model, seed=5)
    assert checkpoints.restore_model(model, saved) == 1
    kernel = 'model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE'
    assert saved.values[kernel].shape == (3, 3, 3, 8)


@pytest.mark.parametrize('family', ['SSD', 'FASTER_RCNN'])
def test_registry(family, monkeypatch, tmp_path):
    constructor, config = {'SSD': (toy_backbone.Toy, toy_backbone.ssd),
                           'FASTER_RCNN': (toy_backbone.ToyHalves, toy_backbone.faster_rcnn)}[family]
    monkeypatch.setitem(getattr(feature_extractors, family), 'toy', constructor)
    log, _ = run(tmp_path / 'model', config(tmp_path), 1)
    assert np.isfinite(log.losses()[1])


def test_every_type_has_a_module_of_its_own():
    for family in ('SSD', 'CENTER_NET', 'FASTER_RCNN'):
        for name, constructor in getattr(feature_extractors, family).items():
            home = getattr(constructor, 'func', constructor).__module__
            assert home.removeprefix(f'{feature_extractors.__name__}.') in feature_extractors.MODULES, name
