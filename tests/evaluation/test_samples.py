"""Masks at the size of the original picture."""
import numpy as np

from object_detection.evaluation import samples
from tests.support.masks import filled


def test_paste_fills_the_box_and_nothing_else():
    contents = np.ones((2, 15, 15), np.float32)
    contents[1, :, 8:] = 0.  # only its left half
    boxes = np.array([[.25, .5, .75, 1.], [0., 0., 1., 1.]], np.float32)
    first, second = samples.paste_masks(contents, boxes, (41, 61))
    np.testing.assert_array_equal(first, filled((10, 30, 31, 61), size=(41, 61))[0])
    np.testing.assert_array_equal(second, filled((0, 0, 41, 33), size=(41, 61))[0])  # up to column 7.5 of 0 to 14


def test_paste_of_nothing_and_of_a_box_without_area():
    assert samples.paste_masks(np.zeros((0, 5, 5), np.float32), np.zeros((0, 4), np.float32), (8, 9)).shape == (0, 8, 9)
    assert samples.paste_masks(np.ones((1, 5, 5), np.float32), np.full((1, 4), .26, np.float32), (8, 9)).sum() == 0


def test_original_size_by_the_nearest_pixel():
    small = np.array([[[0., 1.], [1., 0.]]], np.float32)
    np.testing.assert_array_equal(samples.resize_masks(small, (2, 4)), [[[0, 0, 1, 1], [1, 1, 0, 0]]])
    assert samples.resize_masks(np.zeros((0, 2, 2), np.float32), (4, 4)).shape == (0, 4, 4)
