"""transform_input_data and pad_input_data_to_static_shapes; the reference's inputs_test runs in benchmarks."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection import inputs
from object_detection.builders import dataset_builder, image_resizer_builder, model_builder
from object_detection.config import pipeline
from tests.support import tiny


def preprocess(images):
    """Double the size, pad to 20 x 20, subtract 100."""
    shape = tf.shape(images)[1:3] * 2
    resized = tf.compat.v1.image.resize(images, shape, 'nearest') - 100.
    rest = 20 - shape
    return (tf.pad(resized, [[0, 0], [0, rest[0]], [0, rest[1]], [0, 0]]),
            tf.concat([shape, [3]], 0)[tf.newaxis])


def resize(image, masks=None):
    return [image] if masks is None else [image, masks[:, ::-1], tf.shape(image)]


def transformed(entries, num_classes=3, **options):
    example = {'image': tf.fill([5, 10, 3], 110),
               'groundtruth_boxes': tf.constant([[0., 0., 1., 1.], [.2, .2, .4, .4]]),
               'groundtruth_classes': tf.constant([3, 1]), **entries}
    return inputs.transform_input_data(example, preprocess, resize, num_classes, **options)


def test_image_boxes_and_classes():
    example = transformed({}, retain_original_image=True)
    assert example['image'].shape == (20, 20, 3) and float(example['image'][9, 19, 0]) == 10
    assert example['true_image_shape'].numpy().tolist() == [10, 20, 3]
    np.testing.assert_allclose(example['groundtruth_boxes'], [[0, 0, .5, 1], [.1, .2, .2, .4]])
    assert example['groundtruth_classes'].numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert example['num_groundtruth_boxes'] == 2 and example['original_image'].dtype == tf.uint8


def test_classes_of_the_image():
    example = transformed({'groundtruth_image_classes': tf.constant([2, -1]),
                           'groundtruth_verified_neg_classes': tf.constant([], tf.int64)})
    assert example['groundtruth_image_classes'].numpy().tolist() == [0, 1, 0]
    assert example['groundtruth_verified_neg_classes'].numpy().tolist() == [0, 0, 0]
    example = transformed({'groundtruth_labeled_classes': tf.constant([], tf.int64)})
    assert example['groundtruth_labeled_classes'].numpy().tolist() == [1, 1, 1]
    with pytest.raises(KeyError, match='only one may be'):
        transformed({'groundtruth_labeled_classes': tf.constant([1]), 'groundtruth_image_classes': tf.constant([1])})


def test_multiclass_scores_and_confidences():
    scores = [.2, .3, .5, .1, .6, .3]
    example = transformed({'multiclass_scores': tf.constant(scores)}, use_multiclass_scores=True)
    np.testing.assert_allclose(example['groundtruth_classes'], np.reshape(scores, [2, 3]))
    example = transformed({'multiclass_scores': tf.constant([])}, use_multiclass_scores=True)
    assert example['groundtruth_classes'].numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    example = transformed({'groundtruth_confidences': tf.constant([1., -1.])})
    assert example['groundtruth_confidences'].numpy().tolist() == [[0, 0, 1], [-1, 0, 0]]


def test_equal_boxes_become_one():
    example = transformed({'groundtruth_boxes': tf.constant([[0., 0., 1., 1.]] * 2)}, merge_multiple_boxes=True)
    assert example['groundtruth_classes'].numpy().tolist() == [[1, 0, 1]] and example['num_groundtruth_boxes'] == 1


def test_keypoints_masks_and_objects_that_are_left_out():
    example = transformed({
        'groundtruth_classes': tf.constant([-1, 1]), 'groundtruth_area': tf.constant([5., 6.]),
        'groundtruth_keypoints': tf.constant([[[0., 0.]], [[.2, .4]]]),
        'groundtruth_keypoint_visibilities': tf.constant([[True], [True]]),
        'groundtruth_instance_masks': tf.reshape(tf.range(100.), [2, 5, 10])}, keypoint_type_weight=[3.])
    assert example['groundtruth_area'].numpy().tolist() == [6]
    np.testing.assert_allclose(example['groundtruth_keypoints'], [[[.1, .4]]])
    assert example['groundtruth_keypoint_weights'].numpy().tolist() == [[3]]
    assert float(example['groundtruth_instance_masks'][0, 0, 0]) == 90


def test_channels_augmentation_and_bfloat16():
    example = transformed({'image_additional_channels': tf.fill([5, 10, 2], 7)}, use_bfloat16=True,
                          data_augmentation_fn=lambda example: {**example, 'image': example['image'] + 1},
                          retain_original_image_additional_channels=True)
    assert example['image'].shape == (20, 20, 5) and example['image'].dtype == tf.bfloat16
    assert float(example['image'][0, 0, 0]) == 11 and float(example['image'][0, 0, 4]) == -92
    assert example['image_additional_channels'].dtype == tf.uint8


def test_a_box_that_ends_before_it_begins():
    with pytest.raises(tf.errors.InvalidArgumentError, match='a box ends before it begins'):
        transformed({'groundtruth_boxes': tf.constant([[.5, 0., .4, 1.], [0., 0., 1., 1.]])})


def test_static_shapes():
    example = transformed({'groundtruth_keypoints': tf.zeros([2, 4, 2]), 'source_id': tf.constant('a')})
    padded = inputs.pad_input_data_to_static_shapes(example, 3, 3, [20, 20])
    assert {name: value.shape for name, value in padded.items()} == {
        'image': (20, 20, 3), 'groundtruth_boxes': (3, 4), 'groundtruth_classes': (3, 3), 'source_id': (),
        'groundtruth_confidences': (3, 3), 'groundtruth_keypoints': (3, 4, 2), 'true_image_shape': (3,),
        'groundtruth_keypoint_visibilities': (3, 4), 'groundtruth_keypoint_weights': (3, 4),
        'num_groundtruth_boxes': ()}
    cut = inputs.pad_input_data_to_static_shapes(example, 1, 3, [-1, -1])
    assert cut['groundtruth_boxes'].shape == (1, 4) and cut['num_groundtruth_boxes'] == 1
    context = inputs.pad_input_data_to_static_shapes({'context_features': tf.ones([2, 4])}, 1, 3, None, 5, 4)
    assert context['context_features'].shape == (5, 4) and context['valid_context_size'] == 2
    with pytest.raises(ValueError, match='max_num_context_features must be given'):
        inputs.pad_input_data_to_static_shapes({'context_features': tf.ones([2, 4])}, 1, 3)
    with pytest.raises(ValueError, match='already concatenated with additional channels'):
        inputs.pad_input_data_to_static_shapes(
            {'image': tf.zeros([4, 4, 3]), 'image_additional_channels': tf.zeros([4, 4, 3])}, 1, 3)


def test_as_custom_input_pipelines_use_them(tmp_path):
    """Batches of a data set that is put together by hand equal those of inputs.eval_input."""
    config = pipeline.read(tiny.write(tmp_path))
    reader = config.eval_input_reader[0]
    reader.max_number_of_boxes = 4
    model = model_builder.build(config.model, is_training=False)
    resizer = image_resizer_builder.build(config.model.ssd.image_resizer)
    size = config.model.ssd.image_resizer.fixed_shape_resizer

    def transform(example):
        example = inputs.transform_input_data(example, model.preprocess, resizer, config.model.ssd.num_classes)
        kept = ('image', 'true_image_shape', 'groundtruth_boxes', 'groundtruth_classes', 'num_groundtruth_boxes')
        return inputs.pad_input_data_to_static_shapes({name: example[name] for name in kept}, 4,
                                                      config.model.ssd.num_classes, [size.height, size.width])

    batch = next(iter(dataset_builder.build(reader, batch_size=2, transform_input_data_fn=transform)))
    features, labels = next(iter(inputs.eval_input(config.eval_config, reader, config.model, model, {'batch_size': 2})))
    np.testing.assert_allclose(batch['image'], features['image'], atol=1e-5)
    for name in ('groundtruth_boxes', 'groundtruth_classes', 'num_groundtruth_boxes'):
        np.testing.assert_allclose(batch[name], labels[name], atol=1e-6)
