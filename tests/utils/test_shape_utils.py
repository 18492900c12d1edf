import numpy as np
import pytest
import tensorflow as tf

from object_detection.utils import shape_utils, static_shape


def traced(function, shape, *args):
    """Run a function of a tensor whose shape is not known before the graph runs."""
    return tf.function(function, input_signature=[tf.TensorSpec([None] * len(shape))])(tf.ones(shape), *args)


def test_static_and_dynamic_shape():
    assert shape_utils.combined_static_and_dynamic_shape(tf.zeros([2, 3])) == [2, 3]
    seen = []

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def run(x):
        seen.extend(shape_utils.combined_static_and_dynamic_shape(x))
        return seen[0]
    assert run(tf.zeros([5, 3])) == 5
    assert seen[1] == 3 and isinstance(seen[0], tf.Tensor)


def test_pad_and_clip():
    vector = tf.constant([1., 2., 3.])
    assert shape_utils.pad_tensor(vector, 5).numpy().tolist() == [1, 2, 3, 0, 0]
    assert shape_utils.pad_tensor(vector, tf.constant([4])).numpy().tolist() == [1, 2, 3, 0]
    assert shape_utils.clip_tensor(vector, 2).numpy().tolist() == [1, 2]
    assert shape_utils.clip_tensor(vector, tf.constant(1)).numpy().tolist() == [1]
    assert shape_utils.pad_or_clip_tensor(tf.ones([3, 2]), 1).shape == (1, 2)
    result = shape_utils.pad_or_clip_nd(tf.ones([2, 5, 4]), [3, None, tf.constant(2)])
    assert result.shape == (3, 5, 2) and tf.reduce_sum(result) == 20
    assert traced(lambda x: shape_utils.pad_or_clip_nd(x, [3, 2]), [2, 5]).shape == (3, 2)


def test_map():
    double = shape_utils.static_or_dynamic_map_fn(lambda x: 2 * x, tf.constant([[1.], [2.]]))
    assert double.numpy().tolist() == [[2.], [4.]]
    total, first = shape_utils.static_or_dynamic_map_fn(lambda pair: [pair[0] + pair[1], pair[0]],
                                                        [tf.constant([1., 2.]), tf.constant([3., 4.])])
    assert (total.numpy().tolist(), first.numpy().tolist()) == ([4, 6], [1, 2])
    assert traced(lambda x: shape_utils.static_or_dynamic_map_fn(lambda row: row + 1., x), [2, 3]).shape == (2, 3)
    for elements in (3, [tf.constant([1.]), 'a']):
        with pytest.raises(ValueError, match='`elems` must be'):
            shape_utils.static_or_dynamic_map_fn(lambda x: x, elements)
    with pytest.raises(ValueError, match='`fn` should return'):
        shape_utils.static_or_dynamic_map_fn(lambda x: 'a', tf.constant([1.]))


def test_least_size():
    image = tf.zeros([1, 5, 8, 3])
    assert shape_utils.check_min_image_dim(5, image) is image
    with pytest.raises(ValueError, match=r'>= 6 in both height and width; image dim = 5,8'):
        shape_utils.check_min_image_dim(6, image)
    assert traced(lambda x: shape_utils.check_min_image_dim(5, x), [1, 5, 8, 3]).shape == image.shape
    with pytest.raises(tf.errors.InvalidArgumentError, match='>= 6'):
        traced(lambda x: shape_utils.check_min_image_dim(6, x), [1, 5, 8, 3])


def test_equal_shapes():
    shape_utils.assert_shape_equal([1, 2], [1, 2])
    shape_utils.assert_shape_equal_along_first_dimension([1, 2], [1, 3])
    with pytest.raises(ValueError, match='Unequal shapes'):
        shape_utils.assert_shape_equal([1, 2], [2, 1])
    with pytest.raises(ValueError, match='Unequal first dimension 1, 2'):
        shape_utils.assert_shape_equal_along_first_dimension([1, 2], [2, 2])
    with pytest.raises(tf.errors.InvalidArgumentError):
        shape_utils.assert_shape_equal([tf.constant(1), 2], [2, 2])
    with pytest.raises(tf.errors.InvalidArgumentError):
        shape_utils.assert_shape_equal_along_first_dimension([tf.constant(1)], [2])


def test_normalized_boxes():
    shape_utils.assert_box_normalized(tf.constant([[0., 0., 1.05, 1.]]))
    for boxes in ([[0., 0., 1.2, 1.]], [[-.1, 0., 1., 1.]]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            shape_utils.assert_box_normalized(tf.constant(boxes))


def test_flatten_and_expand():
    x = tf.zeros([2, 3, 4, 5])
    assert shape_utils.flatten_dimensions(x, 1, 3).shape == (2, 12, 5)
    assert shape_utils.flatten_first_n_dimensions(x, 3).shape == (24, 5)
    assert shape_utils.expand_first_dimension(tf.zeros([6, 7]), [2, 3]).shape == (2, 3, 7)
    assert traced(lambda x: shape_utils.flatten_first_n_dimensions(x, 2), [2, 3, 4]).shape == (6, 4)
    with pytest.raises(ValueError, match='found 4 and 5'):
        shape_utils.flatten_dimensions(x, 4, 5)
    with pytest.raises(tf.errors.InvalidArgumentError, match='cannot be expanded'):
        shape_utils.expand_first_dimension(tf.zeros([6, 7]), [2, 2])


def test_resized_images():
    images, shapes = shape_utils.resize_images_and_return_shapes(
        tf.ones([2, 4, 4, 3]), lambda image: [image[:2], tf.constant([2, 4, 3])])
    assert images.shape == (2, 2, 4, 3)
    assert shapes.numpy().tolist() == [[2, 4, 3]] * 2
    with pytest.raises(ValueError, match=r'tf\.float32'):
        shape_utils.resize_images_and_return_shapes(tf.ones([2, 4, 4, 3], tf.uint8), lambda image: image)


def test_static_dimensions():
    shape = tf.TensorShape([1, None, 3, 4])
    assert [get(shape) for get in (static_shape.get_batch_size, static_shape.get_height, static_shape.get_width,
                                   static_shape.get_depth)] == [1, None, 3, 4]
    assert shape_utils.get_dim_as_int(tf.compat.v1.Dimension(3)) == 3
    with pytest.raises(ValueError):
        static_shape.get_height(tf.TensorShape([1, 2]))


def test_gradients_flow_through_map():
    x = tf.Variable([1., 2.])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(shape_utils.static_or_dynamic_map_fn(lambda row: row * row, tf.convert_to_tensor(x)))
    np.testing.assert_allclose(tape.gradient(y, x), [2., 4.])
