"""Crops of feature maps, by hand."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.models.faster_rcnn import regions
from object_detection.models.faster_rcnn.regions import RegionPooling
from object_detection.utils import tracing


def ramp(height, width, batch=1):
    """Return [B, H, W, 2]: 1000 times the index of the image plus the row, and the column."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing='ij')
    maps = np.stack([np.stack([rows + 1000 * image, columns], -1) for image in range(batch)])
    return tf.constant(maps, tf.float32)


def test_crop_is_bilinear_between_the_centers_of_the_outermost_pixels():
    crops = regions.crop(ramp(5, 9), [[0., 0., 1., 1.], [.25, .5, .75, .75]], [0, 0], [3, 2])
    np.testing.assert_allclose(crops[0, :, 0, 0], [0., 2., 4.])
    np.testing.assert_allclose(crops[0, 0, :, 1], [0., 8.])
    np.testing.assert_allclose(crops[1, :, 0, 0], [1., 2., 3.])
    np.testing.assert_allclose(crops[1, 0, :, 1], [4., 6.])


def test_clamped_crop_has_no_zeros_at_the_edge():
    random = np.random.default_rng(0)
    starts = random.uniform(0., .9, (500, 2)).astype(np.float32)
    boxes = tf.constant(np.concatenate([starts, np.ones_like(starts)], 1))
    maps = ramp(16, 20) + 1.
    plain, clamped = (regions.crop(maps, boxes, tf.zeros(500, tf.int32), [14, 14], clamp) for clamp in (False, True))
    assert (plain.numpy()[:, -1, 0, 0] == 0.).any()  # rounding went beyond the last row
    np.testing.assert_allclose(clamped[:, -1, :-1, 0], np.full([500, 13], 16.), rtol=1e-4)
    inside = plain.numpy() > 0.
    np.testing.assert_allclose(clamped.numpy()[inside], plain.numpy()[inside], rtol=1e-4)


@pytest.mark.parametrize('size', [(14, 14), (7, 5), (1, 1)])
@pytest.mark.parametrize('known', [True, False], ids=['known shapes', 'any shapes'])
def test_crop_of_portable_ops_equals_the_kernel_even_where_rounding_goes_beyond_the_edge(size, known):
    random = np.random.default_rng(3)
    corners = np.sort(random.uniform(0., 1., (600, 2, 2)), 1)
    corners[:300, 1] = 1.
    corners[300:400, 1] = 1.2
    boxes = corners.reshape(600, 4).astype(np.float32)
    maps, indices = 1. + random.uniform(size=(2, 40, 23, 3)).astype(np.float32), random.integers(0, 2, 600, np.int32)
    shapes = ([2, 40, 23, 3], [600, 4], [600]) if known else ([None, None, None, 3], [None, 4], [None])
    signature = [tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, (tf.float32, tf.float32, tf.int32))]

    def crop(*inputs):
        return regions.crop(*inputs, size)
    with tracing.portable_ops():
        found = tf.function(crop, input_signature=signature)(maps, boxes, indices)
    expected = crop(maps, boxes, indices).numpy()
    assert (expected == 0.).any() and (expected > 0.).any()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pooling_flattens_images_and_takes_maxima():
    pooling = RegionPooling(crop_size=5, pool_size=3, pool_stride=2)
    boxes = tf.constant([[[0., 0., 1., 1.], [0., 0., .5, .5]]] * 2)
    pooled = pooling([ramp(9, 9, batch=2)], boxes, (144, 144))
    assert pooled.shape == [4, 2, 2, 2] and pooling.size == 2
    np.testing.assert_allclose(pooled[:, :, 0, 0], [[4., 8.], [2., 4.], [1004., 1008.], [1002., 1004.]])


@pytest.mark.parametrize(('pixels', 'level'), [(224, 3), (223, 2), (112, 2), (111, 1), (448, 4), (2000, 4), (1, 0)])
def test_level_of_a_box_by_its_size(pixels, level):
    boxes = tf.constant([[[.1, .2, .1 + pixels * 1.0001 / 800, .2 + pixels * 1.0001 / 1000]]])
    assert regions.feature_levels(boxes, 5, (800, 1000)).numpy() == [[level]]


def test_a_box_without_area_is_on_the_finest_level():
    assert regions.feature_levels(tf.zeros([1, 1, 4]), 5, (800, 800)).numpy() == [[0]]


def test_one_crop_of_all_levels_equals_a_crop_of_each():
    random = np.random.default_rng(1)
    maps = [tf.constant(random.normal(size=(2, 40 // 2 ** level, 24 // 2 ** level, 3)), tf.float32)
            for level in range(4)]
    centers, sizes = random.uniform(.3, .7, (2, 30, 2)), random.uniform(.01, .5, (2, 30, 2))
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], -1).astype(np.float32)
    levels = regions.feature_levels(tf.constant(boxes), 4, (640, 384)).numpy()
    assert set(levels.ravel()) == {0, 1, 2}
    pooled = RegionPooling(7, 1, 1)(maps, tf.constant(boxes), (640, 384)).numpy().reshape(2, 30, 7, 7, 3)
    for image, box in np.ndindex(2, 30):
        expected = regions.crop(maps[levels[image, box]], boxes[image, box][np.newaxis], [image], [7, 7])
        np.testing.assert_allclose(pooled[image, box], expected[0], atol=2e-5)


def test_no_boxes():
    assert RegionPooling()([ramp(4, 4)], tf.zeros([1, 0, 4]), (64, 64)).shape == [0, 7, 7, 2]
