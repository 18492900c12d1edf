"""Tiles: where they lie, where their boxes lie in the picture, and which of several boxes of one object is kept."""
import numpy as np
import pytest

from object_detection.detection.tiling import Tiled, merge
from object_detection.inference.detections import Detections
from tests.support.colors import Colors, scene


def found(*rows):
    """Detections of (ymin, xmin, ymax, xmax, score, class) and, for `merge`, whether each is cut."""
    values = np.array([row[:6] for row in rows], np.float32).reshape(-1, 6)
    return (Detections(values[:, :4], values[:, 4], values[:, 5].astype(np.int64)),
            np.array([len(row) > 6 for row in rows], bool))


def test_windows_cover_the_picture_and_overlap():
    tiled = Tiled(Colors(), 100, .2, 4, .3)
    assert list(tiled.windows(100, 250)) == [(0, 0, 100, 100), (0, 80, 100, 100), (0, 150, 100, 100)]
    assert list(tiled.windows(60, 90)) == [(0, 0, 60, 90)]


def test_a_small_picture_is_one_call():
    runner = Colors()
    assert len(Tiled(runner, 200, .2, 4, .3).detect([scene({1: (10, 10, 30, 30)})])[0]) == 1
    assert runner.calls == [[(120, 160)]]


def test_boxes_are_those_of_the_whole_picture_in_batches_of_tiles():
    runner = Colors()
    boxes = {1: (85, 30, 125, 60), 2: (200, 80, 210, 95)}  # the red one is cut by the tile from 0 to 100
    detections = Tiled(runner, 100, .2, 2, .3).detect([scene(boxes, (250, 100))])[0]
    assert runner.calls == [[(100, 100)] * 2, [(100, 100)], [(100, 250)]]
    np.testing.assert_array_equal(detections.classes, [1, 2])
    expected = np.array([(30, 85, 60, 125), (80, 200, 95, 210)]) / [100, 250, 100, 250]
    np.testing.assert_allclose(detections.boxes, expected, atol=1e-6)


def test_a_runner_of_one_picture_gets_one_tile_at_a_time():
    runner = Colors(batch=1)
    Tiled(runner, 100, .2, 8, .3).detect([scene({}, (250, 100))])
    assert [len(call) for call in runner.calls] == [1, 1, 1, 1]


@pytest.mark.parametrize('parts,kept', [
    # Two tiles see one object; IoU .6 / 1 of the second is .6
    ([found((0, 0, 1, 1, .5, 1)), found((0, 0, 1, .6, .9, 1))], [.9]),
    # An IoU of .4 keeps both
    ([found((0, 0, 1, 1, .5, 1)), found((0, 0, 1, .4, .9, 1))], [.9, .5]),
    # but not if the smaller one is cut by the edge of its tile: it lies in the other
    ([found((0, 0, 1, 1, .5, 1)), found((0, 0, 1, .4, .9, 1, 'cut'))], [.5]),
    # Another class, or half of its area elsewhere
    ([found((0, 0, 1, 1, .5, 1)), found((0, 0, 1, .4, .9, 2, 'cut'))], [.9, .5]),
    ([found((0, 0, 1, .5, .5, 1)), found((0, .3, 1, .7, .9, 1, 'cut'))], [.9, .5]),
    ([found(), found()], []),
])
def test_what_is_kept_of_several_boxes(parts, kept):
    np.testing.assert_allclose(merge(parts, .5).scores, np.array(kept, np.float32))


def test_masks_and_keypoints_come_along():
    class Pointing(Colors):
        def detect(self, images):
            return [Detections(np.array([(.2, .2, .4, .4)], np.float32), np.array([.9], np.float32), np.array([1]),
                               np.ones((1, 2, 2), np.float32), np.array([[(.3, .3)]], np.float32),
                               np.array([[.8]], np.float32)) for _ in images]
    merged = Tiled(Pointing(), 100, 0., 1, .3).detect([scene({}, (200, 100))])[0]
    assert merged.masks.shape == (3, 2, 2) and merged.keypoint_scores.shape == (3, 1)
    points = {tuple(round(value, 3) for value in point[0].tolist()) for point in merged.keypoints}
    assert points == {(.3, .15), (.3, .65), (.3, .3)}  # left tile, right tile, whole picture


def test_a_detection_of_low_score_does_not_take_the_place_of_one_that_is_cut():
    class Doubtful(Colors):
        """Sees half of the picture with score .1 everywhere, and red as Colors does."""
        def detect(self, images):
            return [Detections(np.concatenate([found.boxes, [(.1, .1, .9, .9)]]).astype(np.float32),
                               np.append(found.scores, np.float32(.1)), np.append(found.classes, 1))
                    for found in super().detect(images)]
    image = scene({1: (60, 20, 120, 80)}, (180, 100))
    found = Tiled(Doubtful(), 100, .2, 1, .3).detect([image])[0]
    np.testing.assert_allclose(found.boxes, np.array([(20, 60, 80, 120)]) / [100, 180, 100, 180], atol=1e-6)
    assert found.scores.tolist() == [np.float32(.9)]
