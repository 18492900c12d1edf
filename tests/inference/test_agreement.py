"""Agreement of detectors, by hand."""
import numpy as np

from object_detection.inference.agreement import Agreement, agreement
from object_detection.inference.detections import Detections


def found(*rows):
    boxes, scores, classes = zip(*rows)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes))


def test_by_hand():
    expected = found(((0., 0., .5, .5), .9, 1), ((.5, .5, 1., 1.), .8, 2), ((0., .5, .5, 1.), .7, 1),
                     ((0., 0., 1., 1.), .1, 1))
    got = found(((0., 0., .5, .51), .85, 1), ((0., 0., .5, .6), .9, 1), ((.5, .5, 1., 1.), .8, 1))
    # The first finds the nearer of two; the second has a box of another class; the third has none; the last is weak.
    agreed = agreement([expected], [got], [(100, 200, 3)], .5)
    assert (agreed.detections, agreed.lost) == (3, 2)
    np.testing.assert_allclose([agreed.pixels, agreed.score], [2., .05], rtol=1e-4)
    assert agreement([], [], [], 0.) == Agreement()
