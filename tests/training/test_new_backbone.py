"""A new backbone is a file and a table entry: the one in docs/adding_a_backbone.md, and toys in two families."""
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.config import checks, pipeline
from object_detection.config.checks.extractors import TYPES
from object_detection.layers import feature_extractors
from object_detection.models import build
from tests.support import tiny, toy_backbone
from tests.support.phase_runs import run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'adding_a_backbone.md'


def apply(diff):
    """Return the file that a diff of one hunk names, with the diff applied. The hunk must fit exactly."""
    header, *lines = diff[diff.index('@@'):].splitlines()
    old, new = ([line[1:] for line in lines if line[0] in (' ', sign)] for sign in '-+')
    text = (ROOT / re.search(r'^--- a/(.*)', diff, re.MULTILINE)[1]).read_text(encoding='utf-8').splitlines()
    before = int(re.match(r'@@ -(\d+)', header)[1]) - 1
    assert text[before:before + len(old)] == old, 'the diff of the page does not fit the file'
    assert header.startswith(f'@@ -{before + 1},{len(old)} +{before + 1},{len(new)} @@')
    return '\n'.join([*text[:before], *new, *text[before + len(old):]])


def load(monkeypatch, name, code):
    """Run code as a module of this name."""
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, name, 'exec'), vars(module))
    return module


def test_the_backbone_of_the_page(monkeypatch, tmp_path):
    text = PAGE.read_text(encoding='utf-8')
    diff, checked, code = re.findall(r'```(?:diff|python)\n(.*?)```', text, re.DOTALL)
    assert f'{len(code.splitlines())} +' in text  # the line count of the diffstat
    load(monkeypatch, f'{feature_extractors.__name__}.vgg_fpn', code)
    registry = load(monkeypatch, 'registry', apply(diff))
    assert set(registry.SSD) - set(feature_extractors.SSD) == {'ssd_vgg16_fpn_keras'}
    monkeypatch.setattr(feature_extractors, 'SSD', registry.SSD)
    extractors = load(monkeypatch, 'extractors', apply(checked))
    monkeypatch.setitem(TYPES['ssd'], 'ssd_vgg16_fpn_keras', extractors.TYPES['ssd']['ssd_vgg16_fpn_keras'])
    config = tiny.write(tmp_path).read_text().replace('ssd_mobilenet_v2_fpn_keras', 'ssd_vgg16_fpn_keras').replace(
        'depth_multiplier: 0.25', 'depth_multiplier: 0.1')
    assert [finding for finding in checks.check(pipeline.parse(config)) if finding.severity == 'error'] == []
    log, done = run(tmp_path / 'model', config, 1)
    assert np.isfinite(log.losses()[1])
    saved = checkpoints.Saved(done['checkpoint'])
    model = build.build(pipeline.parse(config).model, seed=5)
    assert checkpoints.restore_model(model, saved) == 1
    kernel = 'model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE'
    assert saved.values[kernel].shape == (3, 3, 3, 8)


@pytest.mark.parametrize('family', ['SSD', 'FASTER_RCNN'])
def test_registry(family, monkeypatch, tmp_path):
    constructor, config = {'SSD': (toy_backbone.Toy, toy_backbone.ssd),
                           'FASTER_RCNN': (toy_backbone.ToySplitBackbone, toy_backbone.faster_rcnn)}[family]
    monkeypatch.setitem(getattr(feature_extractors, family), 'toy', constructor)
    log, _ = run(tmp_path / 'model', config(tmp_path), 1)
    assert np.isfinite(log.losses()[1])


@pytest.mark.parametrize('family', ['SSD', 'CENTER_NET', 'FASTER_RCNN'])
def test_every_type_is_in_the_table_of_its_module(family):
    for name, constructor in getattr(feature_extractors, family).items():
        home = sys.modules[getattr(constructor, 'func', constructor).__module__]
        assert home.__package__ == feature_extractors.__name__, name
        assert getattr(home, family)[name] is constructor
