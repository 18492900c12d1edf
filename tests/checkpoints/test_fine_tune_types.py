"""fine_tune_checkpoint_type of every family: which of the reference's keys each restores."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.config import pipeline
from object_detection.models import build
from tests.support import parity

# golden: parts of a detector that `detection` restores, and number of variables of the backbone alone
FAMILIES = {
    'ssd_mobilenet_v2_fpnlite': (('_feature_extractor',), 260),
    'efficientdet_d0': (('_feature_extractor',), 311),
    'centernet_mobilenetv2_fpn': (('_feature_extractor',), 260),
    'faster_rcnn_resnet50_v1': (
        ('_feature_extractor_for_proposal_features', '_feature_extractor_for_box_classifier_features'), 265),
}


def model(name, seed):
    return build.build(pipeline.read(parity.config_path(name)).model, seed)


def values(detector):
    return {key: variable.numpy() for key, variable in checkpoints.keys(tf.train.Checkpoint(model=detector)).items()}


@pytest.mark.parametrize('name', FAMILIES)
def test_types(name, tmp_path):
    parts, of_backbone = FAMILIES[name]
    theirs = model(name, 1)
    wanted, keys = values(theirs), set(parity.Golden(name).shapes)
    assert set(wanted) == keys
    prefix = tf.train.Checkpoint(model=theirs).write(str(tmp_path / 'ckpt-0'))
    classifier = tf.train.Checkpoint(**theirs.restore_map('classification')).write(str(tmp_path / 'classifier'))
    extractor = {key for key in keys if key.startswith(tuple(f'model/{part}/' for part in parts))}
    start = model(name, 2)
    before = values(start)
    random = {key for key, value in before.items() if not np.array_equal(value, wanted[key])}
    for kind, source, expected in (('classification', classifier, None), ('detection', prefix, extractor),
                                   ('full', prefix, keys)):
        for key, variable in checkpoints.keys(tf.train.Checkpoint(model=start)).items():
            variable.assign(before[key])
        report = checkpoints.fine_tune(start, source, kind)
        same = {key for key, value in values(start).items() if np.array_equal(value, wanted[key])}
        if expected is None:
            assert len(report.restored) == of_backbone and not report.new
            assert 0 < len(same & random) < len(random) and same & random <= extractor
        else:
            assert set(report.restored) == expected and same & random == expected & random


@pytest.mark.parametrize(('name', 'head'), [('ssd_mobilenet_v2_fpnlite', '_box_predictor'),
                                            ('faster_rcnn_resnet50_v1', '_mask_rcnn_box_predictor')])
def test_full_leaves_the_heads_new_where_the_classes_are_others(name, head, tmp_path):
    section = pipeline.read(parity.config_path(name)).model
    prefix = tf.train.Checkpoint(model=build.build(section)).write(str(tmp_path / 'ckpt-0'))
    getattr(section, section.WhichOneof('model')).num_classes += 1
    report = checkpoints.fine_tune(build.build(section), prefix, 'full')
    assert report.shape_differs and not report.new
    assert all(f'{head}/' in key for key in report.shape_differs)


def test_other_types_and_aliases():
    centernet = model('centernet_mobilenetv2_fpn', 1)
    with pytest.raises(KeyError, match='everything'):
        centernet.restore_map('everything')
    assert checkpoints.keys(tf.train.Checkpoint(**centernet.restore_map('fine_tune'))).keys() == checkpoints.keys(
        tf.train.Checkpoint(**centernet.restore_map('detection'))).keys()
