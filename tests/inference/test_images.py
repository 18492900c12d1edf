"""Pictures become the input of a network as in TensorFlow's own kernels."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.export.description import FIT, Input
from object_detection.inference import images
from object_detection.inference.detections import Detections
from object_detection.models import resizers

PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


@pytest.mark.parametrize('method', ['bilinear', 'nearest'])
@pytest.mark.parametrize('size', [(64, 64), (20, 31), (37, 53), (1, 1), (100, 7)])
def test_resize_is_that_of_tensorflow_1(method, size):
    expected = tf.compat.v1.image.resize(tf.constant(PICTURE[np.newaxis], tf.float32), size, method)[0]
    np.testing.assert_allclose(images.resize(PICTURE, size, method), expected, atol=1e-4)


@pytest.mark.parametrize('shape', [(37, 53), (53, 37), (1, 90), (64, 64), (300, 200)])
def test_fit_is_the_image_resizer_that_keeps_the_aspect_ratio(shape):
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    expected, true_shape = resizers.KeepAspectRatio(64, 64, pad=True, value=(3., 4., 5.))(tf.constant(picture))
    given, share = images.prepare(picture, Input('x', 64, 64, resize=FIT, pad=(3., 4., 5.)))
    np.testing.assert_allclose(given, expected, atol=1e-4)
    np.testing.assert_allclose(share * 64, true_shape[:2])


def test_normalization_and_padding():
    white = np.full((2, 4, 3), 255, np.uint8)
    pixels, share = images.prepare(white, Input('x', 4, 4, resize=FIT, pad=(127.5,) * 3, mean=(127.5,) * 3,
                                                std=(127.5,) * 3))
    np.testing.assert_array_equal(pixels[:2], np.ones([2, 4, 3]))
    np.testing.assert_array_equal(pixels[2:], np.zeros([2, 4, 3]))
    assert share.tolist() == [.5, 1.]


def test_bytes_are_rounded():
    pixels, _ = images.prepare(np.array([[[0] * 3, [255] * 3]], np.uint8), Input('x', 1, 4, dtype='uint8'))
    assert pixels.dtype == np.uint8
    assert pixels[0, :, 0].tolist() == [0, 128, 255, 255]  # 127.5 rounds to even


def test_boxes_return_to_the_picture_and_those_in_the_padding_go():
    boxes = np.array([[.1, .1, .3, .5], [.4, .2, .8, .6], [.6, .1, .9, .9]], np.float32)
    points = np.array([[[.25, .5]]] * 3, np.float32)
    given = Detections(boxes, np.array([.9, .8, .7], np.float32), np.array([1, 2, 3]), keypoints=points)
    restored = images.restore(given, np.array([.5, 1.], np.float32))
    np.testing.assert_allclose(restored.boxes, [[.2, .1, .6, .5], [.8, .2, 1., .6]], atol=1e-6)
    np.testing.assert_allclose(restored.keypoints, [[[.5, .5]]] * 2)
    assert restored.classes.tolist() == [1, 2]
