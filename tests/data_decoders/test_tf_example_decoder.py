"""TfExampleDecoder; the reference's own tests of it run in benchmarks/reference_tests.py."""
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.config import label_map
from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder
from object_detection.protos import input_reader_pb2
from tests.support import tiny

HIERARCHY = """
item { id: 1 name: 'animal' descendant_ids: [2, 3] }
item { id: 2 name: 'dog' ancestor_ids: 1 keypoints { id: 1 label: 'nose' } }
item { id: 3 name: 'cat' ancestor_ids: 1 keypoints { id: 0 label: 'tail' } }
"""


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, 'PNG')
    return buffer.getvalue()


def serialized(**features):
    """Return a tf.train.Example with a picture of 2 x 3 pixels and these features; __ stands for / in their keys."""
    features = {'image__encoded': png(np.arange(18).reshape(2, 3, 3)), **features}
    example = tf.train.Example()
    for key, value in features.items():
        values = [value] if isinstance(value, bytes) else value
        feature = example.features.feature['/'.join(key.split('__'))]
        kind = {bytes: feature.bytes_list, int: feature.int64_list, float: feature.float_list}[type(values[0])]
        kind.value.extend(values)
    return tf.constant(example.SerializeToString())


def boxes(*rows):
    return {f'image__object__bbox__{side}': list(values)
            for side, values in zip(('ymin', 'xmin', 'ymax', 'xmax'), zip(*rows, strict=True), strict=True)}


@pytest.fixture
def hierarchy(tmp_path):
    path = tmp_path / 'map.pbtxt'
    path.write_text(HIERARCHY)
    return str(path)


def test_record_of_the_suite(tmp_path):
    label_map.write(tmp_path / 'map.pbtxt', ['square', 'bar'])
    example = tiny.example(np.random.default_rng(2), 'a.jpg', 2)
    example.texts[1] = 'circle'  # not in the label map
    decoded = TfExampleDecoder(label_map_proto_file=str(tmp_path / 'map.pbtxt')).decode(
        tf.constant(example.to_bytes()))
    np.testing.assert_allclose(decoded['groundtruth_boxes'], example.boxes, rtol=1e-6)
    assert decoded['groundtruth_classes'].numpy().tolist() == [example.labels[0], -1]
    assert decoded['source_id'] == b'a.jpg' and decoded['groundtruth_is_crowd'].dtype == tf.bool
    assert decoded['original_image_spatial_shape'].numpy().tolist() == [60, 80]
    without_map = TfExampleDecoder().decode(example.to_bytes())
    assert without_map['groundtruth_classes'].numpy().tolist() == example.labels


def test_lists_are_returned_as_they_are():
    decoded = TfExampleDecoder(load_multiclass_scores=True, load_track_id=True).decode(serialized(
        **boxes((.1, .2, .3, .4), (.5, .6, .7, .8)), image__object__class__multiclass_scores=[1., 2., 3., 4.],
        image__object__difficult=[0, 1], image__object__track__label=[7, 9], image__neg_category_ids=[4],
        image__class__label=[2, 3], image__class__confidence=[1., 0.]))
    assert np.allclose(decoded['groundtruth_boxes'], [[.1, .2, .3, .4], [.5, .6, .7, .8]])
    assert decoded['groundtruth_weights'].numpy().tolist() == [1, 1]
    assert decoded['groundtruth_classes'].shape == 0 and decoded['groundtruth_area'].shape == 0
    assert decoded['multiclass_scores'].numpy().tolist() == [1, 2, 3, 4]
    assert decoded['groundtruth_difficult'].numpy().tolist() == [False, True]
    assert decoded['groundtruth_track_ids'].numpy().tolist() == [7, 9]
    assert decoded['groundtruth_verified_neg_classes'].numpy().tolist() == [4]
    assert decoded['groundtruth_image_classes'].numpy().tolist() == [2, 3]
    assert decoded['image'].numpy().tolist() == np.arange(18).reshape(2, 3, 3).tolist()


def test_masks():
    masks = np.array([[[0, 1, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]])
    decoded = TfExampleDecoder(load_instance_masks=True, instance_mask_type=input_reader_pb2.PNG_MASKS).decode(
        serialized(image__object__mask=[png(mask) for mask in masks], image__object__mask__weight=[1., 0.]))
    np.testing.assert_array_equal(decoded['groundtruth_instance_masks'], masks)
    assert decoded['groundtruth_instance_mask_weights'].numpy().tolist() == [1, 0]
    decoded = TfExampleDecoder(load_instance_masks=True).decode(
        serialized(image__height=[2], image__width=[3], image__object__mask=[float(value) for value in masks.ravel()]))
    np.testing.assert_array_equal(decoded['groundtruth_instance_masks'], masks)
    assert decoded['groundtruth_instance_mask_weights'].numpy().tolist() == [1, 1]
    with pytest.raises(ValueError, match='instance_mask_type'):
        TfExampleDecoder(load_instance_masks=True, instance_mask_type=7)


def test_keypoints_by_place_and_by_text(hierarchy):
    points = {'image__object__keypoint__y': [.1, .2, .3, .4], 'image__object__keypoint__x': [.5, .6, .7, .8],
              'image__object__keypoint__visibility': [2, 0, 1, 2], 'image__object__class__label': [2, 3],
              'image__object__keypoint__z': [1., 2., 3., 4.]}
    decoded = TfExampleDecoder(num_keypoints=2, load_keypoint_depth_features=True).decode(serialized(**points))
    np.testing.assert_allclose(decoded['groundtruth_keypoints'],
                               [[[.1, .5], [np.nan, np.nan]], [[.3, .7], [.4, .8]]], rtol=1e-6)
    assert decoded['groundtruth_keypoint_visibilities'].numpy().tolist() == [[True, False], [True, True]]
    assert decoded['groundtruth_keypoint_depths'].numpy().tolist() == [[1, 2], [3, 4]]
    assert not decoded['groundtruth_keypoint_depth_weights'].numpy().any()
    decoded = TfExampleDecoder(num_keypoints=3, label_map_proto_file=hierarchy, use_keypoint_label_map=True).decode(
        serialized(**points, image__object__keypoint__text=[b'nose', b'tail', b'ear', b'tail']))
    nan = [np.nan, np.nan]
    np.testing.assert_allclose(decoded['groundtruth_keypoints'], [[nan, [.1, .5], nan], [[.4, .8], nan, nan]],
                               rtol=1e-6)


def test_no_objects_no_keypoints(hierarchy):
    for options in ({}, {'label_map_proto_file': hierarchy, 'use_keypoint_label_map': True}):
        decoded = TfExampleDecoder(num_keypoints=2, **options).decode(serialized())
        assert decoded['groundtruth_keypoints'].shape == (0, 2, 2)
        assert decoded['groundtruth_boxes'].shape == (0, 4)


def test_classes_expand_to_their_ancestors(hierarchy):
    decoded = TfExampleDecoder(label_map_proto_file=hierarchy, expand_hierarchy_labels=True).decode(serialized(
        **boxes((.1, .2, .3, .4), (.5, .6, .7, .8)), image__object__class__text=[b'dog', b'animal'],
        image__object__area=[5., 6.], image__class__label=[3], image__class__confidence=[1.]))
    assert decoded['groundtruth_classes'].numpy().tolist() == [1, 2, 1]
    assert decoded['groundtruth_area'].numpy().tolist() == [5, 5, 6]
    assert np.allclose(decoded['groundtruth_boxes'][:, 0], [.1, .1, .5])
    assert decoded['groundtruth_image_classes'].numpy().tolist() == [1, 3]
    absent = TfExampleDecoder(label_map_proto_file=hierarchy, expand_hierarchy_labels=True).decode(
        serialized(image__class__label=[1], image__class__confidence=[0.]))
    assert absent['groundtruth_image_classes'].numpy().tolist() == [1, 2, 3]
    assert absent['groundtruth_image_confidences'].numpy().tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match='label_map_proto_file has to be provided'):
        TfExampleDecoder(expand_hierarchy_labels=True)


def test_dense_pose_channels_and_context():
    depth = np.arange(6).reshape(2, 3)
    decoded = TfExampleDecoder(num_additional_channels=2, load_dense_pose=True, load_context_features=True).decode(
        serialized(image__additional_channels__encoded=[png(depth), png(depth + 10)],
                   image__context_features=[1., 2., 3., 4., 5., 6.], image__context_feature_length=[2],
                   image__object__densepose__num=[1, 2], image__object__densepose__part_index=[4, 5, 6],
                   **{f'image__object__densepose__{axis}': [offset + 0., offset + .1, offset + .2]
                      for offset, axis in enumerate('yxvu')}))
    np.testing.assert_array_equal(decoded['image_additional_channels'], np.stack([depth, depth + 10], axis=2))
    assert decoded['context_features'].numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert decoded['groundtruth_dp_part_ids'].numpy().tolist() == [[4, 0], [5, 6]]
    np.testing.assert_allclose(decoded['groundtruth_dp_surface_coords'],
                               [[[0, 1, 2, 3], [0, 0, 0, 0]], [[.1, 1.1, 2.1, 3.1], [.2, 1.2, 2.2, 3.2]]], rtol=1e-6)
