"""Masks in pictures, and COCO's numbers of them."""
import numpy as np
import pytest

from object_detection.evaluation import metrics, samples


def filled(*boxes, size=(40, 60)):
    """Masks, 1 within each box (pixels)."""
    whole = np.zeros((len(boxes), *size), bool)
    for mask, (top, left, bottom, right) in zip(whole, boxes):
        mask[top:bottom, left:right] = True
    return whole


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


def test_coco_numbers():
    coco = metrics.Coco({1: 'cat', 2: 'dog'}, 'DetectionMasks', masks=True, per_category=True)
    truth = filled((0, 0, 20, 20), (20, 20, 40, 60))
    boxes = np.array([[0, 0, 20, 20], [20, 20, 40, 60]], np.float32)
    found = filled((0, 0, 20, 20), (20, 20, 40, 46))  # the second covers 26 of 40 columns: IoU .65
    coco.add({'boxes': boxes, 'classes': [1, 2], 'is_crowd': [False, False], 'masks': truth},
             {'boxes': boxes, 'classes': [1, 2], 'scores': [.9, .8], 'masks': found})
    nothing = {'boxes': np.zeros((0, 4)), 'classes': [], 'masks': filled()}
    coco.add(nothing | {'is_crowd': []}, nothing | {'scores': []})
    values = dict(coco.evaluate())
    assert values['DetectionMasks_Precision/mAP@.50IOU'] == pytest.approx(1.)
    assert values['DetectionMasks_Precision/mAP@.75IOU'] == pytest.approx(.5)
    assert values['DetectionMasks_Precision/mAP'] == pytest.approx((1. + .4) / 2)  # .5, .55, .6, .65
    assert values['DetectionMasks_PerformanceByCategory/mAP/dog'] == pytest.approx(.4)
    assert values['DetectionMasks_Precision/mAP (small)'] == pytest.approx((1. + .4) / 2)
    assert len(values) == 14
