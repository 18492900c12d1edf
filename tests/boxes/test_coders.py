import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes import coders

ANCHORS = tf.constant([[0., 0., 4., 4.], [2., 2., 4., 6.]])
BOXES = tf.constant([[[1., 1., 5., 3.], [2., 2., 4., 6.]], [[0., 0., 4., 4.], [0., 0., 2., 4.]]])


def test_faster_rcnn_by_hand():
    encodings = coders.FasterRcnnCoder((10., 10., 5., 5.)).encode(BOXES, ANCHORS)
    np.testing.assert_allclose(encodings, [  # center off by 1/4 height; half as wide
        [[2.5, 0., 0., 5 * np.log(.5)], [0., 0., 0., 0.]], [[0., 0., 0., 0.], [-10., -5., 0., 0.]]], atol=1e-6)


def test_faster_rcnn_scales_each_number():
    encodings = coders.FasterRcnnCoder((1., 2., 3., 4.)).encode(BOXES[0, :1] + [0., 1., 0., 1.], ANCHORS[:1])
    np.testing.assert_allclose(encodings, [[.25, .5, 0., 4 * np.log(.5)]], atol=1e-6)


@pytest.mark.parametrize('coder', [coders.FasterRcnnCoder(), coders.MeanStddevCoder(.1)])
def test_decode_is_the_inverse(coder):
    np.testing.assert_allclose(coder.decode(coder.encode(BOXES, ANCHORS), ANCHORS), BOXES, atol=1e-5)


def test_mean_stddev_by_hand():
    np.testing.assert_allclose(coders.MeanStddevCoder(.5).encode(BOXES[0], ANCHORS), [[2., 2., 2., -2.], [0.] * 4])


def test_a_box_without_size_has_a_finite_encoding():
    assert np.isfinite(coders.FasterRcnnCoder().encode(tf.zeros([1, 4]), ANCHORS[:1])).all()
