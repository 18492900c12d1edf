import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields
from object_detection.utils import ops


def near(actual, expected, tolerance=1e-6):
    np.testing.assert_allclose(actual, expected, tolerance, tolerance)


def test_mask_fills_its_box():
    """Of an image of 4 x 4 pixels the box is the middle; sample points are on a grid of corners, 0 to 1."""
    masks = ops.reframe_box_masks_to_image_masks(tf.ones([1, 2, 2]), tf.constant([[.25, .25, .75, .75]]), 4, 4)
    assert masks.shape == (1, 4, 4)
    near(masks[0], [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])


def test_masks_of_numpy_and_of_uint8():
    """What tutorials give it; masks of whole numbers are not mixed."""
    masks = np.array([[[1, 0], [0, 0]]], np.uint8)
    result = ops.reframe_box_masks_to_image_masks(masks, np.array([[0., 0., 1., 1.]], np.float32), 3, 3)
    assert result.dtype == tf.uint8
    assert result.numpy().tolist() == [[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]
    near(ops.reframe_box_masks_to_image_masks(masks.astype(np.float32), tf.constant([[0., 0., 1., 1.]]), 3, 3)[0],
         [[1, .5, 0], [.5, .25, 0], [0, 0, 0]])


def test_no_masks():
    run = tf.function(lambda masks, boxes: ops.reframe_box_masks_to_image_masks(masks, boxes, 5, 6))
    assert run(tf.zeros([0, 2, 2]), tf.zeros([0, 4])).shape == (0, 5, 6)


def test_google_s_old_notebook_patches_tf(monkeypatch):
    monkeypatch.setattr(ops, 'tf', tf.compat.v1)
    test_mask_fills_its_box()
    test_masks_of_numpy_and_of_uint8()
    test_no_masks()


def test_boxes():
    near(ops.reframe_image_corners_relative_to_boxes(tf.constant([[.25, .5, .75, 1.]])), [[-.5, -1., 1.5, 1.]])
    near(ops.normalized_to_image_coordinates(tf.constant([[[0., .5, 1., .25]]]), tf.constant([1, 10, 20, 3])),
         [[[0, 10, 10, 5]]])
    near(ops.center_to_corner_coordinate(tf.constant([[5., 6., 2., 4.], [0., 0., 2., 2.]])),
         [[4, 4, 6, 8], [-1, -1, 1, 1]])
    assert ops.center_to_corner_coordinate(tf.constant([5., 6., 2., 4.])).shape == (4,)
    # two unit squares a unit apart: no overlap, 1/3 of the hull is empty
    near(ops.giou(tf.constant([[0., 0., 1., 1.]]), tf.constant([[0., 2., 1., 3.]])), [-1 / 3])


def test_dense_to_sparse():
    boxes, classes = ops.dense_to_sparse_boxes(tf.reshape(tf.range(16.), [4, 4]), tf.constant([1, 0, 2]), 3)
    near(boxes, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    assert classes.numpy().tolist() == [0, 2, 2]


def test_boxes_with_several_labels():
    a, b = [.25, .25, .75, .75], [0., 0., .5, .75]
    boxes, classes, confidences, indices = ops.merge_boxes_with_multiple_labels(
        tf.constant([a, b, a, b, b]), tf.constant([0, 4, 2, 1, 3]), tf.constant([.8, .2, .1, 1., .5]), 5)
    near(boxes, [a, b])
    assert classes.numpy().tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 1, 1]]
    near(confidences, [[.8, 0, .1, 0, 0], [0, 1., 0, .5, .2]])
    assert indices.numpy().tolist() == [0, 1]


def test_no_boxes_with_several_labels():
    boxes, classes, confidences, indices = tf.function(ops.merge_boxes_with_multiple_labels)(
        tf.zeros([0, 4]), tf.zeros([0], tf.int32), tf.zeros([0]), 5)
    assert [tuple(part.shape) for part in (boxes, classes, confidences, indices)] == [(0, 4), (0, 5), (0, 5), (0,)]


def test_boxes_in_pixels_are_not_merged():
    with pytest.raises(tf.errors.InvalidArgumentError):
        ops.merge_boxes_with_multiple_labels(tf.constant([[0., 0., 20., 20.]]), tf.constant([0]), tf.constant([1.]), 2)


def test_fpn_levels():
    """Lin et al.: k = 2 + floor(log2(size * ratio)); sizes 1, 1/2, 1/8 at ratio 224 / 224."""
    boxes = tf.constant([[[0., 0., 1., 1.], [0., 0., .5, .5], [0., 0., .125, .125]]])
    assert ops.fpn_feature_levels(5, 2, 1., boxes).numpy().tolist() == [[2, 1, 0]]
    assert ops.fpn_feature_levels(5, 2, 16., boxes).numpy().tolist() == [[4, 4, 3]]


def groundtruth():
    return {InputDataFields.image: tf.zeros([2, 2, 3]),
            InputDataFields.groundtruth_boxes: tf.constant([[0., 0., 1., 1.], [.2, .4, np.nan, .8], [.1, .1, .2, .2]]),
            InputDataFields.groundtruth_classes: tf.constant([1, 0, -1]),
            InputDataFields.groundtruth_is_crowd: tf.constant([False, True, False]),
            InputDataFields.groundtruth_area: tf.zeros([0])}


@pytest.mark.parametrize('function, kept', [
    (ops.retain_groundtruth_with_positive_classes, [0]), (ops.filter_unrecognized_classes, [0, 1]),
    (ops.filter_groundtruth_with_crowd_boxes, [0, 2]), (ops.filter_groundtruth_with_nan_box_coordinates, [0, 2])])
def test_groundtruth_that_is_kept(function, kept):
    given = {name: value for name, value in groundtruth().items() if name != InputDataFields.groundtruth_area}
    result = function(given)
    classes = [1, 0, -1]
    assert result[InputDataFields.groundtruth_classes].numpy().tolist() == [classes[i] for i in kept]
    assert len(result[InputDataFields.groundtruth_is_crowd]) == len(kept)
    assert result[InputDataFields.image].shape == (2, 2, 3)


def test_retain_groundtruth():
    for indices in ([1], [[1]]):
        result = ops.retain_groundtruth({**groundtruth(), InputDataFields.groundtruth_area: tf.constant([5., 6., 7.])},
                                        tf.constant(indices))
        assert result[InputDataFields.groundtruth_area].numpy().tolist() == [6.]
    nothing = {InputDataFields.groundtruth_boxes: tf.zeros([0, 4]), InputDataFields.groundtruth_area: tf.zeros([0])}
    empty = ops.retain_groundtruth(nothing, tf.zeros([0], tf.int64))
    assert [tuple(value.shape) for value in empty.values()] == [(0, 4), (0,)]
    with pytest.raises(ValueError, match=r'\[M\] or \[M, 1\]'):
        ops.retain_groundtruth(groundtruth(), tf.zeros([1, 2], tf.int32))
    with pytest.raises(ValueError, match='groundtruth_boxes not present'):
        ops.retain_groundtruth({}, tf.zeros([1], tf.int32))
    with pytest.raises(ValueError, match='not in tensor_dict'):
        ops.filter_unrecognized_classes({})


def test_nan_scores():
    assert ops.replace_nan_groundtruth_label_scores_with_ones(tf.constant([.5, np.nan])).numpy().tolist() == [.5, 1.]


def test_context_and_picture():
    tiled = ops.tile_context_tensors({InputDataFields.image: tf.constant(['a', 'b']), 'key': tf.constant(3)})
    assert tiled['key'].numpy().tolist() == [3, 3]
    picture = tf.io.encode_png(tf.zeros([2, 3, 1], tf.uint8))
    assert ops.decode_image({InputDataFields.image: picture})[InputDataFields.image].shape == (2, 3, 3)


def test_padding():
    ones = tf.ones([1, 3, 5, 2])
    padded = ops.pad_to_multiple(ones, 4)
    assert padded.shape == (1, 4, 8, 2) and tf.reduce_sum(padded) == 30
    assert ops.pad_to_multiple(ones, 1).shape == ones.shape
    dynamic = tf.function(lambda x: ops.pad_to_multiple(x, 4), input_signature=[tf.TensorSpec([1, None, None, 2])])
    assert dynamic(ones).shape == (1, 4, 8, 2)
    assert ops.fixed_padding(ones, 4).shape == (1, 6, 8, 2)
    near(ops.fixed_padding(tf.ones([1, 1, 1, 1]), 2)[0, ..., 0], [[1, 0], [0, 0]])  # the odd pixel at the end
    assert ops.fixed_padding(ones, 3, rate=2).shape == (1, 7, 9, 2)


def test_upsampling():
    image = tf.constant([[[[1.], [2.]]]])
    near(ops.nearest_neighbor_upsampling(image, 2)[0, ..., 0], [[1, 1, 2, 2]] * 2)
    assert ops.nearest_neighbor_upsampling(image, height_scale=3, width_scale=1).shape == (1, 3, 2, 1)
    with pytest.raises(ValueError, match='Provide either'):
        ops.nearest_neighbor_upsampling(image, height_scale=3)


def test_one_hot():
    near(ops.padded_one_hot_encoding(tf.constant([1, 0]), 2, 1), [[0, 0, 1], [0, 1, 0]])
    assert ops.padded_one_hot_encoding(tf.zeros([0], tf.int32), 2, 1).shape == (0, 3)
    assert ops.padded_one_hot_encoding(tf.constant([1]), 0, 1) is None
    for indices, depth, pad in (([1], -1, 0), ([1], .5, 0), ([1], 1, -1), ([1], 1, .5), ([[1]], 1, 0)):
        with pytest.raises(ValueError):
            ops.padded_one_hot_encoding(tf.constant(indices), depth, pad)


def test_vectors():
    near(ops.indices_to_dense_vector(tf.constant([3, 0]), 5, indices_value=2., default_value=1.), [2, 1, 1, 2, 1])
    assert ops.indices_to_dense_vector(tf.constant([1]), tf.constant(2), 1, dtype=tf.int64).dtype == tf.int64
    near(ops.gather_with_padding_values(tf.constant([[1., 2.], [3., 4.]]), tf.constant([1, -1]), tf.constant([9., 8.])),
         [[3, 4], [9, 8]])
    near(ops.matmul_gather_on_zeroth_axis(tf.constant([[1., 2.], [3., 4.]]), tf.constant([1, 1])), [[3, 4], [3, 4]])
    near(ops.reduce_sum_trailing_dimensions(tf.ones([2, 3, 4]), 1), [12, 12])
    assert ops.expanded_shape(tf.constant([2, 3]), 1, 2).numpy().tolist() == [2, 1, 1, 3]


def test_meshgrid():
    x, y = ops.meshgrid(tf.constant([1, 2, 3]), tf.constant([[7], [8]]))
    assert x.numpy().tolist() == [[[1, 2, 3]], [[1, 2, 3]]]
    assert y.numpy().tolist() == [[[7, 7, 7]], [[8, 8, 8]]]


def test_bfloat16():
    given = {'a': [tf.constant(1., tf.bfloat16)], 'b': (tf.constant(1), 'text')}
    result = ops.bfloat16_to_float32_nested(given)
    assert (result['a'][0].dtype, result['b'][0].dtype, result['b'][1]) == (tf.float32, tf.int32, 'text')


def test_what_is_not_here_says_why():
    with pytest.raises(AttributeError, match=r'R-FCN is not supported \(docs/api\.md\)'):
        ops.position_sensitive_crop_regions  # noqa: B018
    assert not hasattr(ops, 'normalize_to_target')
