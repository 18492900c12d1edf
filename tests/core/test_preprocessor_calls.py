"""Augmentations of core.preprocessor called with the tensors themselves, and its functions that resize."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import preprocessor

IMAGE = np.arange(4 * 6 * 3, dtype=np.float32).reshape(4, 6, 3)
BOXES = np.array([[.25, 0, .5, .5]], np.float32)


def test_an_image_alone():
    np.testing.assert_array_equal(preprocessor.subtract_channel_mean(IMAGE, means=[1., 2., 3.]), IMAGE - [1, 2, 3])
    np.testing.assert_allclose(preprocessor.normalize_image(IMAGE, 0, 255, -1, 1), IMAGE / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(preprocessor.random_rgb_to_gray(IMAGE, probability=0.), IMAGE)
    assert preprocessor.image_to_float(tf.constant([3], tf.uint8)).dtype == tf.float32
    assert preprocessor.one_hot_encoding(tf.constant([1, 4, 2]), 5).numpy().tolist() == [0, 1, 1, 0, 1]


def test_tensors_come_back_in_their_order():
    image, boxes, keypoints = preprocessor.random_horizontal_flip(
        IMAGE, BOXES, keypoints=np.array([[[.1, .2], [.3, .4]]], np.float32), probability=1.,
        keypoint_flip_permutation=(1, 0))
    np.testing.assert_array_equal(image, IMAGE[:, ::-1])
    np.testing.assert_allclose(boxes, [[.25, .5, .5, 1]])
    np.testing.assert_allclose(keypoints, [[[.3, .6], [.1, .8]]], rtol=1e-6)
    np.testing.assert_allclose(preprocessor.scale_boxes_to_pixel_coordinates(IMAGE, BOXES)[1], [[1, 0, 2, 3]])


def test_objects_without_an_image():
    boxes, labels, weights, scores = preprocessor.drop_label_probabilistically(
        np.repeat(BOXES, 2, 0), np.array([1, 2], np.int32), np.array([.5, .75], np.float32),
        multiclass_scores=np.array([[.1, .9], [.2, .8]], np.float32), dropped_label=1, drop_probability=1.)
    assert len(boxes) == 1 and labels.numpy().tolist() == [2] and weights.numpy().tolist() == [.75]
    np.testing.assert_allclose(scores, [[.2, .8]])
    assert preprocessor.remap_labels(np.array([1, 2, 3], np.int32), [1, 3], 7).numpy().tolist() == [7, 2, 7]


def test_a_crop_keeps_what_belongs_to_an_object():
    results = preprocessor.random_crop_image(
        IMAGE, np.array([[0, 0, 1, 1], [.4, .4, .6, .6]], np.float32), np.array([1, 2]), np.array([1., .5], np.float32),
        np.array([.9, .8], np.float32), masks=np.ones([2, 4, 6], np.float32), area_range=(1., 1.),
        aspect_ratio_range=(1.5, 1.5))
    image, boxes, labels, weights, confidences, masks = results
    assert image.shape == IMAGE.shape and labels.numpy().tolist() == [1, 2]
    np.testing.assert_allclose(confidences, [.9, .8])
    np.testing.assert_allclose(boxes, [[0, 0, 1, 1], [.4, .4, .6, .6]], atol=1e-6)
    assert masks.shape == (2, 4, 6) and weights.numpy().tolist() == [1, .5]


def test_arguments_whose_order_is_another_one_are_given_by_name():
    with pytest.raises(TypeError, match='random_jpeg_quality: give the arguments after the tensors by their names'):
        preprocessor.random_jpeg_quality(IMAGE, 50, 60)
    with pytest.raises(ValueError, match='num_classes must be specified'):
        preprocessor.one_hot_encoding(tf.constant([1]))


@pytest.mark.parametrize(('function', 'arguments', 'size', 'true_size'), [
    (preprocessor.resize_image, {'new_height': 8, 'new_width': 3}, (8, 3), (8, 3)),
    (preprocessor.resize_to_range, {'min_dimension': 8, 'max_dimension': 30}, (8, 12), (8, 12)),
    (preprocessor.resize_to_range, {'min_dimension': 8, 'max_dimension': 9}, (6, 9), (6, 9)),
    (preprocessor.resize_to_range, {'min_dimension': 8, 'max_dimension': 9, 'pad_to_max_dimension': True,
                                    'per_channel_pad_value': (5, 6, 7)}, (9, 9), (6, 9)),
    (preprocessor.resize_to_min_dimension, {'min_dimension': 8}, (8, 12), (8, 12)),
    (preprocessor.resize_to_min_dimension, {'min_dimension': 2}, (4, 6), (4, 6)),
    (preprocessor.resize_to_max_dimension, {'max_dimension': 3}, (2, 3), (2, 3)),
    (preprocessor.resize_to_max_dimension, {'max_dimension': 60}, (4, 6), (4, 6)),
    (preprocessor.resize_pad_to_multiple, {'multiple': 5}, (5, 10), (4, 6))])
def test_functions_that_resize(function, arguments, size, true_size):
    masks = tf.ones([2, 4, 6])
    traced = tf.function(lambda image: function(image, masks, **arguments),
                         input_signature=[tf.TensorSpec([None, None, 3], tf.float32)])
    for results in (function(tf.constant(IMAGE), masks, **arguments), traced(IMAGE)):
        image, resized_masks, shape = results
        assert image.shape == (*size, 3) and shape.numpy().tolist() == [*true_size, 3]
        assert resized_masks.shape == (2, *size)
        assert float(tf.reduce_sum(resized_masks)) == 2 * true_size[0] * true_size[1]
    if 'per_channel_pad_value' in arguments:
        np.testing.assert_array_equal(image[6:], np.broadcast_to([5, 6, 7], [3, 9, 3]))


def test_only_one_image_is_resized_to_a_range():
    for function in (preprocessor.resize_to_range, preprocessor.resize_to_min_dimension,
                     preprocessor.resize_to_max_dimension, preprocessor.resize_pad_to_multiple):
        with pytest.raises(ValueError, match='Image should be 3D tensor'):
            function(IMAGE[np.newaxis])


def test_padding_needs_a_number_for_each_channel():
    with pytest.raises(ValueError, match='Number of channels must be equal'):
        preprocessor.resize_to_range(tf.constant(IMAGE), min_dimension=8, max_dimension=9, pad_to_max_dimension=True,
                                     per_channel_pad_value=(1,))
