"""Masks and keypoints of a COCO JSON in the records, and models that train on them."""
import io

import numpy as np
import pytest
from PIL import Image

from object_detection.config import label_map, pipeline
from object_detection.evaluation import evaluator
from object_detection.records import Example, Records
from tests.support import outlined
from tests.support.outlined import COLORS, CORNERS
from tests.support.phase_runs import Log
from tests.support.phase_runs import run as train
from tests.training import test_center_net_keypoints, test_mask_rcnn


@pytest.fixture
def output(run, tmp_path):
    """output(**options) prepares the outlined pictures."""
    folder = outlined.draw(tmp_path / 'outlined')
    return lambda **options: run(folder, near_duplicates=None, **options)


def examples(output):
    for name in ('train', 'test'):
        records = Records(str(output / f'{name}.tfrecords'))
        yield from (Example.from_bytes(records[i]) for i in range(len(records)))


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize('mindim', [None, 90])
def test_masks_lie_on_their_objects(output, mindim):
    objects = 0
    for example in examples(output(masks=True, mindim=mindim)):
        image = pixels(example.encoded).astype(int)
        assert len(example.masks) == len(example.boxes) == (1 if example.source_id in ('pictures/4.jpg',
                                                                                       'pictures/9.jpg') else 2)
        for text, data, area, box in zip(example.texts, example.masks, example.area, example.boxes):
            mask, shown = pixels(data), np.abs(image - COLORS[text]).max(axis=-1) < 70
            assert mask.shape == image.shape[:2] and set(np.unique(mask)) == {0, 1}
            assert (mask & shown).sum() / (mask | shown).sum() > (0.93 if mindim is None else 0.88)
            assert area == mask.sum()
            ys, xs = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            sides = np.array(image.shape[:2] * 2)
            assert np.abs(np.array([ys[0], xs[0], ys[-1] + 1, xs[-1] + 1]) - np.array(box) * sides).max() < 2
            objects += 1
    assert objects == 22


def test_without_the_options_records_are_as_before(output):
    for example in examples(output()):
        assert not example.masks and not example.keypoints
    assert label_map.load(output() / 'label_map.pbtxt').items[1].keypoints == {}


def test_keypoints_lie_on_their_corners(output):
    folder = output(keypoints=True)
    disc, triangle = label_map.load(folder / 'label_map.pbtxt').items
    assert (disc.name, disc.keypoints) == ('disc', {})
    assert (triangle.name, triangle.keypoints) == ('triangle', {'left': 0, 'right': 1, 'bottom': 2})
    for example in examples(folder):
        for text, box, points, visible in zip(example.texts, example.boxes, example.keypoints,
                                              np.reshape(example.keypoint_visibility, (-1, 3))):
            points = np.array(points)
            if text == 'disc':
                assert not visible.any() and not points.any()
                continue
            assert visible.tolist() == [2, 2, 2]
            top, left, bottom, right = box
            height, width = bottom - top, right - left
            expected = [(top, left), (top + height * 8 / 90, right), (bottom, left + width / 2)]
            np.testing.assert_allclose(points, expected, atol=1e-6)


def test_a_change_of_the_outlines_alone_writes_the_records_again(output, tmp_path):
    folder = output(masks=True)
    before = (folder / 'train.tfrecords').read_bytes()
    stamp = (folder / 'train.tfrecords').stat().st_mtime_ns
    output(masks=True)
    assert (folder / 'train.tfrecords').stat().st_mtime_ns == stamp
    file = tmp_path / 'outlined' / 'annotations.json'
    file.write_text(file.read_text().replace('"segmentation": [[', '"segmentation": [[1, 1, 2, 1, 2, 2], ['))
    output(masks=True)
    assert (folder / 'train.tfrecords').read_bytes() != before


def test_some_objects_have_no_outline(output, tmp_path):
    file = tmp_path / 'outlined' / 'annotations.json'
    text = file.read_text()
    start = text.index('"segmentation": [[')
    end = text.index(']]', start) + 2
    file.write_text(text[:start] + '"segmentation": []' + text[end:])
    folder = output(masks=True)
    assert sorted(len(example.boxes) - len(example.masks) for example in examples(folder)) == [0] * 11 + [2]
    assert '1 of 2 objects have no outline, so that the picture trains boxes' in (folder / 'stats.json').read_text()


@pytest.mark.slow
def test_mask_rcnn_trains_on_them(output, tmp_path):
    folder = output(masks=True)
    config = pipeline.read(test_mask_rcnn.BASE)
    for field in ('train_input_reader', 'eval_input_reader'):
        config.ClearField(field)
    config.train_config.ClearField('fine_tune_checkpoint')
    readers = {name: test_mask_rcnn.READER.format(folder=folder.as_posix(), name=name) for name in ('train', 'test')}
    pipeline.write(pipeline.override(config, test_mask_rcnn.CHANGES.format(**readers)), tmp_path / 'pipeline.config')
    text = (tmp_path / 'pipeline.config').read_text()
    log, _ = train(tmp_path / 'model', text, 2)
    assert log.of('log')[-1]['values']['Loss/BoxClassifierLoss/mask_loss'] > 0
    values = dict(evaluator.evaluate(Log(), lambda: False, text, str(tmp_path / 'model'))['metrics'])
    assert 0 <= values['DetectionMasks_Precision/mAP'] <= 1


@pytest.mark.slow
def test_center_net_trains_on_their_keypoints(output, tmp_path):
    from object_detection.zoo import keypoints
    from object_detection.zoo.edit import Edit
    folder = output(keypoints=True)
    edit = Edit(pipeline.read(test_center_net_keypoints.BASE), [])
    keypoints.adapt(edit, label_map.load(folder / 'label_map.pbtxt'))
    for name, subset in (('train_input_reader', 'train'), ('eval_input_reader[0]', 'test')):
        edit.set(f'{name}.label_map_path', (folder / 'label_map.pbtxt').as_posix(), '')
        edit.set(f'{name}.tf_record_input_reader.input_path', [(folder / f'{subset}.tfrecords').as_posix()], '')
    changes = test_center_net_keypoints.CHANGES.format(train='', test='')
    pipeline.write(pipeline.override(edit.config, changes + 'model { center_net { num_classes: 2 } }'),
                   tmp_path / 'pipeline.config')
    text = (tmp_path / 'pipeline.config').read_text()
    log, _ = train(tmp_path / 'model', text, 2)
    assert any('keypoint' in name for name in log.of('log')[-1]['values'])
    assert list(label_map.load(folder / 'label_map.pbtxt').items[1].keypoints) == CORNERS
