import numpy as np
import tensorflow as tf

from object_detection.boxes import ops


def test_area_and_centers():
    boxes = tf.constant([[[0., 0., 2., 3.], [1., 2., 3., 6.]]])
    np.testing.assert_array_equal(ops.area(boxes), [[6., 8.]])
    np.testing.assert_array_equal(tf.stack(ops.center_and_size(boxes), -1), [[[1., 1.5, 2., 3.], [2., 4., 2., 4.]]])
    np.testing.assert_array_equal(ops.from_center_and_size(*ops.center_and_size(boxes)), boxes)


def test_iou_of_a_batch():
    a = tf.constant([[[0., 0., 2., 2.]], [[0., 0., 1., 1.]]])
    b = tf.constant([[[1., 1., 3., 3.], [5., 5., 6., 6.]], [[0., 0., 1., 1.], [0., .5, 1., 1.5]]])
    np.testing.assert_allclose(ops.iou(a, b), [[[1 / 7, 0.]], [[1., 1 / 3]]], rtol=1e-6)
    np.testing.assert_allclose(ops.ioa(a, b), [[[1 / 4, 0.]], [[1., 1 / 2]]], rtol=1e-6)


def test_iou_of_padding_is_zero_and_not_nan():
    assert ops.iou(tf.zeros([1, 4]), tf.zeros([1, 4])).numpy() == 0.


def test_paired_overlaps():
    a, b = tf.constant([[0., 0., 2., 2.], [0., 0., 1., 1.]]), tf.constant([[1., 1., 3., 3.], [0., 3., 1., 4.]])
    np.testing.assert_allclose(ops.paired_iou(a, b), [1 / 7, 0.], rtol=1e-6)
    np.testing.assert_allclose(ops.paired_giou(a, b), [1 / 7 - 2 / 9, -1 / 2], rtol=1e-6)  # hull 9, 2 uncovered; 4, 2
    assert ops.paired_giou(tf.zeros([1, 4]), tf.zeros([1, 4])).numpy() == 0.


def test_clip_and_change_frame():
    window = tf.constant([[0., 0., .5, 1.], [.5, .5, 1., 1.]])
    boxes = tf.constant([[[-1., .2, .25, 2.], [.6, 0., .9, 1.]]] * 2)
    clipped = ops.clip(boxes, window)
    np.testing.assert_allclose(clipped, [[[0., .2, .25, 1.], [.5, 0., .5, 1.]], [[.5, .5, .5, 1.], [.6, .5, .9, 1.]]])
    np.testing.assert_allclose(ops.change_frame(clipped, window), [
        [[0., .2, .5, 1.], [1., 0., 1., 1.]], [[0., 0., 0., 1.], [.2, 0., .8, 1.]]], atol=1e-6)


def test_squared_distance_and_scale():
    a, b = tf.constant([[0., 0., 1., 1.]]), tf.constant([[0., 0., 1., 1.], [1., 0., 1., 3.]])
    np.testing.assert_array_equal(ops.squared_distance(a, b), [[0., 5.]])
    np.testing.assert_array_equal(ops.scale(b, 2., 3.), [[0., 0., 2., 3.], [2., 0., 2., 9.]])
