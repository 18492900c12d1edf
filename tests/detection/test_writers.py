"""Captions fit the objects, masks lie where their boxes are, and files hold both as their formats want them."""
import json

import numpy as np
import pytest

from object_detection.detection import annotations, writers
from object_detection.detection.item import Item, Source
from object_detection.inference.detections import Detections

SOURCE = Source(None, 'a.jpg', 'a')


def item(height, width):
    return Item(SOURCE, 'a.jpg', 'a', np.full((height, width, 3), 128, np.uint8), (width, height))


def found(boxes, masks=None, keypoints=None, scores=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), .5, np.float32), np.ones(len(boxes), np.int64),
                      None if masks is None else np.array(masks, np.float32),
                      None if keypoints is None else np.array(keypoints, np.float32),
                      None if scores is None else np.array(scores, np.float32))


def caption_rows(image, box):
    """Rows above a box that its caption colors."""
    column = image[:box[0], box[1] + 3].astype(int)
    return int((np.abs(column - 128).max(-1) > 30).sum())


def test_captions_are_as_large_as_the_picture_allows_and_its_objects_need():
    large = writers.draw(item(2800, 2800), found([(.4, .4, .8, .8)]), {})
    small = writers.draw(item(2800, 2800), found([(.4, .4, .42, .42)]), {})
    assert caption_rows(large, (1120, 1120)) > 70  # a font of 2800 / 28 = 100
    assert 8 < caption_rows(small, (1120, 1120)) < 25  # a font of 11, a fifth of 56
    assert (writers.draw(item(100, 100), found([]), {}) == 128).all()


def test_masks_fill_their_boxes_and_end_with_the_picture():
    inside, outside = writers.masks(found([(.2, .1, .6, .5), (-.5, .5, .5, 1.5)], np.ones((2, 3, 3))), (10, 20))
    assert np.argwhere(inside).min(0).tolist() == [2, 2] and np.argwhere(inside).max(0).tolist() == [5, 9]
    assert inside.sum() == 4 * 8
    assert np.argwhere(outside).min(0).tolist() == [0, 10] and outside.sum() == 5 * 10
    half = next(writers.masks(found([(0, 0, 1, 1)], [[[1, 0], [1, 0]]]), (10, 20)))
    assert half[:, :9].all() and not half[:, 11:].any()


def test_coco_holds_masks_as_columns_and_sure_keypoints(tmp_path):
    coco = annotations.Coco(tmp_path / 'c.json', {1: 'dog'})
    one = item(4, 4)
    detections = found([(0, .5, .5, 1)], np.ones((1, 2, 2)), [[(.5, .25), (1, 1)]], [[.9, .1]])
    coco.add(one, coco.make(one, detections))
    coco.close()
    content = json.loads((tmp_path / 'c.json').read_text())
    annotation, = content['annotations']
    assert annotation['segmentation'] == {'size': [4, 4], 'counts': [8, 2, 2, 2, 2]}
    assert annotation['area'] == 4 and annotation['bbox'] == [2, 0, 2, 2]
    assert annotation['keypoints'] == [1, 2, 2, 0, 0, 0]
    assert content['categories'] == [{'id': 1, 'name': 'dog', 'keypoints': ['keypoint_0', 'keypoint_1']}]
    assert [path.name for path in tmp_path.iterdir()] == ['c.json']


@pytest.mark.parametrize('size', [(1, 1), (5, 7)])
def test_run_lengths_go_by_columns_and_begin_with_background(size):
    mask = np.random.default_rng(3).random(size) > .5
    runs = annotations._runs(mask)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    np.testing.assert_array_equal(flat.reshape(size[::-1]).T, mask)


def test_boxes_are_clipped_to_the_picture_in_every_format(tmp_path):
    one, outside = item(100, 200), found([(-.1, -.1, .5, 1.2)])
    np.testing.assert_allclose(annotations.pixels(outside, one), [(0, 0, 200, 50)])
    line, = annotations.Yolo(tmp_path, {1: 'dog'}).make(one, outside)
    assert line == (1, '0.500000 0.250000 1.000000 0.500000 0.50000')


def test_masks_are_tinted_and_keypoints_are_dots():
    one = item(200, 200)
    drawn = writers.draw(one, found([(.25, .25, .75, .75)], [[[1, 0], [1, 0]]], [[(.5, .6), (.9, .9)]]), {1: 'dog'})
    tint = np.abs(drawn.astype(int) - 128).max(-1) > 20
    assert tint[70:130, 60:90].all() and not tint[60:90, 108:140].any()  # the left half of the box
    assert tint[100, 120] and tint[180, 180]  # the keypoints, one of them outside the box
    assert not tint[:30].any()
