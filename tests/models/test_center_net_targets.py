"""Targets of CenterNet, by hand."""
import math

import numpy as np
import pytest
import tensorflow as tf

from object_detection.models.center_net import targets
from object_detection.models.center_net.tasks import Keypoints

NAN = math.nan


def test_peak_size():
    # 10 x 10 at IoU 0.7: outwards (sqrt(28^2 + 4 * 2.8 * 30) - 28) / 2 = 2.73 is the least; (2 * 2 + 1) / 6
    np.testing.assert_allclose(targets.peak_size(tf.constant([10., 0.]), tf.constant([10., 0.]), .7), [5 / 6, 1 / 6],
                               rtol=1e-6)


def heatmaps(points, sizes, weights, shape=(4, 5)):
    points, sizes, weights = (tf.constant(value, tf.float32) for value in (points, sizes, weights))
    return targets.heatmaps(points, sizes, weights, shape).numpy()


def test_heatmap_falls_off_around_the_pixel_of_the_point():
    heatmap = heatmaps([[[[2.7, 1.2]]]], [[[.5]]], [[[1.]]])
    assert heatmap.shape == (1, 4, 5, 1)
    assert heatmap[0, 2, 1, 0] == 1.
    np.testing.assert_allclose(heatmap[0, 2, :3, 0], [math.exp(-2), 1., math.exp(-2)], rtol=1e-6)
    np.testing.assert_allclose(heatmap[0, 3, 2, 0], math.exp(-4), rtol=1e-6)


def test_the_larger_of_two_peaks_counts_within_a_class():
    points = [[[[0., 0.]], [[0., 1.]], [[3., 4.]]]]
    heatmap = heatmaps(points, [[[.5], [.5], [.5]]], [[[1., 0.], [.5, 0.], [0., 1.]]])
    np.testing.assert_allclose(heatmap[0, 0, :2, 0], [1., .5], rtol=1e-6)
    np.testing.assert_allclose(heatmap[0, 0, 2, 0], .5 * math.exp(-2), rtol=1e-6)
    assert heatmap[0, 3, 4, 1] == 1.
    assert heatmap[0, 3, 4, 0] < 1e-6


def test_a_box_of_two_classes_has_two_peaks():
    heatmap = heatmaps([[[[1., 1.]]]], [[[1.]]], [[[1., 1.]]])
    np.testing.assert_allclose(heatmap[..., 0], heatmap[..., 1])


@pytest.mark.parametrize('boxes', [0, 2])
def test_no_peak_without_a_box(boxes):
    heatmap = heatmaps(np.zeros((2, boxes, 1, 2)), np.ones((2, boxes, 1)), np.zeros((2, boxes, 3)))
    np.testing.assert_array_equal(heatmap, np.zeros((2, 4, 5, 3)))


def test_peaks_of_centers_and_keypoints_grow_with_the_box():
    boxes = tf.constant([[[1., 1., 11., 11.], [0., 0., 0., 0.]]])
    classes, weights = tf.constant([[[1.], [1.]]]), tf.constant([[1., 0.]])
    centers = targets.center_heatmaps(boxes, classes, weights, .7, (12, 12))
    np.testing.assert_allclose(centers[0, 6, 5:8, 0], [math.exp(-.72), 1., math.exp(-.72)], rtol=1e-5)  # 1 / (2 s^2)
    keypoints = tf.constant([[[[3., 3.], [4., 4.]], [[0., 0.], [0., 0.]]]])
    heatmap = targets.keypoint_heatmaps(keypoints, tf.constant([[[1., 0.], [0., 0.]]]), boxes, (2., 1.), (12, 12))
    np.testing.assert_allclose(heatmap[0, 3, 2:4, 0], [math.exp(-.18), 1.], rtol=1e-5)
    assert heatmap[..., 1].numpy().max() == 0.


def test_boxes_of_unlabeled_keypoints_are_not_counted():
    boxes = tf.constant([[[0., 0., 2., 2.], [1.5, 1., 3., 3.], [0., 0., 0., 0.]]])
    weights = tf.constant([[[0., 1.], [1., 1.], [0., 0.]]])
    counted = targets.outside_unlabeled(boxes, weights, (3, 4)).numpy()[0]
    np.testing.assert_array_equal(counted[..., 0], [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(counted[..., 1], np.ones((3, 4)))


def test_labeled_keypoints():
    task = Keypoints('pose', class_id=1, indices=(0, 2), std_dev=(1., 1.), heatmap_loss=None, loss=None)
    groundtruth = {'groundtruth_keypoints': tf.constant([[[[.5, .25], [.1, .1], [NAN, NAN]],
                                                          [[.5, .5], [.1, .1], [1., .75]],
                                                          [[.5, .5], [.1, .1], [.5, .5]]]]),
                   'groundtruth_classes': tf.constant([[[0., 1.], [0., 1.], [1., 0.]]]),
                   'groundtruth_weights': tf.constant([[1., .5, 1.]])}
    cells, weights = targets.labeled_keypoints(groundtruth, task, (8, 4))
    np.testing.assert_array_equal(cells[0, 0], [[4., 1.], [0., 0.]])
    np.testing.assert_array_equal(cells[0, 1], [[4., 2.], [8., 3.]])
    np.testing.assert_array_equal(weights[0], [[1., 0.], [.5, .5], [0., 0.]])
    groundtruth['groundtruth_keypoint_visibilities'] = tf.constant([[[False, True, True]] * 3])
    cells, weights = targets.labeled_keypoints(groundtruth, task, (8, 4))
    np.testing.assert_array_equal(weights[0], [[0., 0.], [0., .5], [0., 0.]])
    assert not np.isnan(cells).any()


def test_pixels_around():
    pixels, inside = targets.pixels_around(tf.constant([[2.1, .5]]), 1, (4, 4))
    around = {tuple(pixel) for pixel, ok in zip(pixels[0].numpy().astype(int), inside[0].numpy()) if ok}
    assert around == {(2, 0), (1, 0), (3, 0), (2, 1)}
    np.testing.assert_array_equal(pixels[0][~inside[0]], [[0., 0.]])
    assert targets.pixels_around(tf.zeros([3, 2]), 0, (4, 4))[0].shape == (3, 1, 2)
    assert targets.pixels_around(tf.zeros([3, 2]), 3, (4, 4))[0].shape == (3, 29, 2)


def test_nearest_pixel_of_a_point_outside_the_map():
    np.testing.assert_array_equal(targets.nearest_pixel(tf.constant([[1.9, 0.], [4., 5.2]]), (4, 5)), [[1, 0], [3, 4]])
