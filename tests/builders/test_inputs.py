"""Data sets, resizers and augmentations under the reference's names.

golden/inputs.npz has the batches of the reference's train_input for golden/inputs.tfrecords (see
tests/inputs/test_dataset.py).
"""
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import inputs, protos, records
from object_detection.builders import (
    dataset_builder,
    image_resizer_builder,
    input_functions,
    model_builder,
    preprocessor_builder,
)
from object_detection.config import label_map, pipeline
from object_detection.core import preprocessor
from object_detection.inputs import augmentation
from object_detection.inputs.augmentation.random import Random
from object_detection.utils.errors import UserError
from tests.support import tiny

GOLDEN = Path(__file__).parents[1] / 'golden'


@pytest.fixture
def config(tmp_path):
    return pipeline.read(tiny.write(tmp_path))


@pytest.fixture
def golden_config(config, tmp_path):
    """The tiny detector, for the golden records and the golden resizer; preprocessing is x / 127.5 - 1."""
    label_map.write(tmp_path / 'shapes.pbtxt', ['circle', 'square', 'triangle'])
    config.model.ssd.num_classes = 3
    config.model.ssd.image_resizer.fixed_shape_resizer.height = 80
    config.model.ssd.image_resizer.fixed_shape_resizer.width = 80
    config.train_config.batch_size = 4
    del config.train_config.data_augmentation_options[:]
    reader = config.train_input_reader
    reader.tf_record_input_reader.input_path[:] = [str(GOLDEN / 'inputs.tfrecords')]
    reader.label_map_path, reader.shuffle, reader.max_number_of_boxes = str(tmp_path / 'shapes.pbtxt'), False, 5
    config.eval_input_reader[0].CopyFrom(reader)
    return config


def golden(prefix='fixed/'):
    arrays = np.load(GOLDEN / 'inputs.npz')
    return {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}


def test_train_input_equals_the_reference(golden_config):
    dataset = inputs.train_input(golden_config.train_config, golden_config.train_input_reader, golden_config.model)
    features, labels = next(iter(dataset))
    expected = golden()
    np.testing.assert_allclose(features['image'].numpy().ravel()[::13], expected.pop('image') / 127.5 - 1, atol=1e-5)
    given = {name: value.numpy() for part in (features, labels) for name, value in part.items()}
    compared = [name for name in expected if name in given]
    assert len(compared) == 12
    for name in compared:
        np.testing.assert_allclose(given[name], expected[name], rtol=0, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(labels['groundtruth_confidences'], labels['groundtruth_classes'])
    assert len(set(features['hash'].numpy().tolist())) == 4 and features['hash'].dtype == tf.int32
    assert labels['groundtruth_difficult'].dtype == tf.int32 and 'original_image' not in features


def test_eval_input(golden_config):
    model = model_builder.build(golden_config.model, is_training=False)
    golden_config.eval_config.batch_size = 3
    dataset = inputs.eval_input(golden_config.eval_config, golden_config.eval_input_reader[0], golden_config.model,
                                model=model)
    [(features, labels)] = dataset  # the last batch has one picture only
    assert dataset.element_spec[0]['image'].shape == (3, 80, 80, 3)  # for tf.unstack in a tf.function
    np.testing.assert_allclose(features['original_image'].numpy() / 127.5 - 1, features['image'], atol=1 / 127.5)
    assert labels['groundtruth_boxes'].shape == (3, 5, 4)
    golden_config.eval_input_reader[0].drop_remainder = False
    sizes = [len(features['image']) for features, _ in inputs.eval_input(
        golden_config.eval_config, golden_config.eval_input_reader[0], golden_config.model, model, {'batch_size': 3})]
    assert sizes == [3, 1]
    function = input_functions.create_eval_input_fn(golden_config.eval_config, golden_config.eval_input_reader[0],
                                                    golden_config.model)
    assert len(list(function({'batch_size': 2}))) == 2


def test_the_batch_is_divided_among_replicas(golden_config):
    arguments = golden_config.train_config, golden_config.train_input_reader, golden_config.model
    context = tf.distribute.InputContext(num_input_pipelines=1, input_pipeline_id=0, num_replicas_in_sync=2)
    assert inputs.train_input(*arguments, input_context=context).element_spec[0]['image'].shape[0] == 2
    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=0, num_replicas_in_sync=2)
    with pytest.raises(UserError, match='divided among 2 machines'):
        inputs.train_input(*arguments, input_context=context)


def test_mistakes_in_the_arguments_of_inputs(config):
    with pytest.raises(TypeError, match='train_config must be a TrainConfig message, not a EvalConfig'):
        inputs.train_input(config.eval_config, config.train_input_reader, config.model)
    with pytest.raises(TypeError, match='eval_input_reader must be a InputReader message, not a TrainConfig'):
        inputs.eval_input(config.eval_config, config.train_config, config.model)
    config.train_input_reader.tf_record_input_reader.input_path[:] = ['nowhere.record']
    with pytest.raises(UserError, match=r'train_input_reader.tf_record_input_reader.input_path'):
        inputs.train_input(config.train_config, config.train_input_reader, config.model)
    with pytest.raises(AttributeError, match=r"module 'object_detection.inputs' has no attribute 'predict_input'"):
        inputs.predict_input  # noqa: B018


def test_dataset_builder(config, tmp_path):
    reader = config.eval_input_reader[0]
    reader.num_epochs = 1
    names = [example['filename'].numpy().decode() for example in dataset_builder.build(reader)]
    assert names == [f'test{number}.jpg' for number in range(5)]
    batch = next(iter(dataset_builder.build(reader, batch_size=2, transform_input_data_fn=lambda example: {
        'image': example['image'], 'count': tf.shape(example['groundtruth_boxes'])[0]})))
    assert batch['image'].shape == (2, 60, 80, 3) and batch['count'].numpy().tolist() == [0, 1]
    with pytest.raises(ValueError, match='input_reader_config not of type'):
        dataset_builder.build(config)
    with pytest.raises(ValueError, match='At least one input path must be specified'):
        dataset_builder.build(protos.InputReader())
    with pytest.raises(UserError, match='reduce_to_frame_fn is for videos'):
        dataset_builder.build(reader, reduce_to_frame_fn=lambda example: example)


@pytest.mark.parametrize(('text', 'size', 'true_shape'), [
    ('fixed_shape_resizer { height: 10 width: 20 }', (10, 20), [10, 20, 3]),
    ('keep_aspect_ratio_resizer { min_dimension: 10 max_dimension: 20 }', (20, 10), [20, 10, 3]),
    ('keep_aspect_ratio_resizer { min_dimension: 20 max_dimension: 20 pad_to_max_dimension: true }', (20, 20),
     [20, 10, 3]),
    ('identity_resizer { }', (50, 25), [50, 25, 3])])
def test_image_resizer_builder(text, size, true_shape):
    resize = image_resizer_builder.build(text_format.Parse(text, protos.ImageResizer()))
    image, shape = resize(tf.fill([50, 25, 3], 7))
    assert image.shape == (*size, 3) and shape.numpy().tolist() == true_shape
    image, masks, shape = resize(tf.fill([50, 25, 3], 7), masks=tf.ones([2, 50, 25]))
    assert masks.shape == (2, *size) and float(tf.reduce_sum(masks)) == 2 * np.prod(true_shape[:2])
    assert float(tf.reduce_max(image)) == 7 and shape.numpy().tolist() == true_shape
    images, shape = resize(np.full([2, 50, 25, 3], 7))
    assert images.shape == (2, *size, 3) and shape.numpy().tolist() == true_shape


def test_mistakes_in_an_image_resizer():
    with pytest.raises(ValueError, match='image_resizer_config not of type'):
        image_resizer_builder.build('fixed')
    with pytest.raises(UserError, match='min_dimension: is 30, more than max_dimension, 20'):
        image_resizer_builder.build(text_format.Parse(
            'keep_aspect_ratio_resizer { min_dimension: 30 max_dimension: 20 }', protos.ImageResizer()))
    with pytest.raises(UserError, match='convert_to_grayscale: is not supported'):
        image_resizer_builder.build(text_format.Parse('fixed_shape_resizer { height: 9 width: 9 '
                                                      'convert_to_grayscale: true }', protos.ImageResizer()))


def example_of(boxes):
    return {'image': tf.reshape(tf.cast(tf.range(24), tf.uint8), [1, 2, 4, 3]), 'source_id': tf.constant('a'),
            'groundtruth_boxes': tf.constant(boxes), 'groundtruth_classes': tf.constant([3] * len(boxes), tf.int64),
            'num_groundtruth_boxes': tf.constant(len(boxes))}


def option(text):
    return preprocessor_builder.build(text_format.Parse(text, protos.PreprocessingStep()))


def test_augmentations():
    function, arguments = option('random_horizontal_flip { probability: 1 keypoint_flip_permutation: 0 }')
    assert function.__name__ == 'random_horizontal_flip'
    assert arguments == {'probability': 1., 'keypoint_flip_permutation': (0,)}
    example = example_of([[.1, .2, .3, .4]])
    flipped = preprocessor.preprocess(example, [option('random_horizontal_flip { probability: 1 }')])
    assert flipped.keys() == example.keys() and flipped['source_id'] == b'a'
    np.testing.assert_array_equal(flipped['image'], example['image'][:, :, ::-1])
    np.testing.assert_allclose(flipped['groundtruth_boxes'], [[.1, .6, .3, .8]], rtol=1e-6)
    assert preprocessor.preprocess({'image': example['image']}, [option('rgb_to_gray { }')]).keys() == {'image'}


def test_an_augmentation_that_drops_objects_changes_their_count():
    example = example_of([[0., 0., .1, .1], [0., 0., 1., 1.]])
    left = preprocessor.preprocess(example, [option('drop_label_probabilistically { label: 3 drop_probability: 1 }')])
    assert left['num_groundtruth_boxes'] == len(left['groundtruth_boxes']) == len(left['groundtruth_classes']) == 0
    other = preprocessor.preprocess(example, [option('drop_label_probabilistically { label: 2 drop_probability: 1 }')])
    assert other['num_groundtruth_boxes'] == 2


def test_random_augmentations_follow_the_seed_of_tensorflow():
    def heights(seed):
        tf.random.set_seed(seed)
        step = [option('random_adjust_brightness { max_delta: 0.5 }')]
        return [float(preprocessor.preprocess(example_of([[0., 0., 1., 1.]]), step)['image'][0, 1, 1, 1])
                for _ in range(4)]

    assert heights(1) == heights(1) and len(set(heights(1))) > 1


def test_mistakes_in_augmentations():
    with pytest.raises(ValueError, match='preprocessor_step_config not of type'):
        preprocessor_builder.build('flip')
    with pytest.raises(UserError, match='data_augmentation_options: is empty'):
        option('')
    with pytest.raises(ValueError, match='should be rank 4'):
        preprocessor.preprocess({'image': tf.zeros([2, 2, 3])}, [])
    with pytest.raises(ValueError, match='preprocess_vars_cache is not supported'):
        preprocessor.preprocess({'image': tf.zeros([1, 2, 2, 3])}, [], preprocess_vars_cache={})


def test_records_of_the_decoder_can_be_augmented(config):
    example = next(iter(dataset_builder.build(config.train_input_reader)))
    example['image'] = example['image'][tf.newaxis]
    options = [preprocessor_builder.build(step) for step in config.train_config.data_augmentation_options]
    assert preprocessor.preprocess(example, options).keys() == example.keys()
    assert records.Records(list(config.train_input_reader.tf_record_input_reader.input_path))


def test_augmentations_by_the_names_of_the_reference():
    """A box in the right upper quarter, flipped, cropped to the whole image, and enlarged."""
    example = {'image': np.arange(48, dtype=np.float32).reshape(4, 4, 3),
               'groundtruth_boxes': tf.constant([[0, .5, .5, 1]]), 'groundtruth_classes': tf.constant([[0., 1]])}
    augmented = inputs.augment_input_data(example, [
        (preprocessor.random_horizontal_flip, {'probability': 1.}),
        (preprocessor.random_crop_image, {'min_object_covered': 1., 'area_range': (1., 1.),
                                          'aspect_ratio_range': (1., 1.)}),
        (preprocessor.resize_image, {'new_height': 8, 'new_width': 6,
                                     'method': tf.image.ResizeMethod.NEAREST_NEIGHBOR})])
    assert augmented['image'].shape == [8, 6, 3] and augmented['image'][0, 0, 0] == example['image'][0, -1, 0]
    assert augmented['groundtruth_boxes'].numpy().tolist() == [[0, 0, .5, .5]]
    assert augmented['groundtruth_classes'].numpy().tolist() == [[0, 1]]
    only_boxes = preprocessor.preprocess({'groundtruth_boxes': tf.zeros([3, 4])}, [
        (preprocessor.random_jitter_boxes, {})], preprocessor.get_default_func_arg_map(True, include_keypoints=True))
    assert only_boxes.keys() == {'groundtruth_boxes'} and only_boxes['groundtruth_boxes'].shape == [3, 4]


def test_augmentations_that_are_not_here():
    with pytest.raises(AttributeError, match=r'no option of data_augmentation_options here \(docs/api\.md\)'):
        preprocessor.random_pad_to_aspect_ratio  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        preprocessor.nothing  # noqa: B018


def test_rows_of_other_entries_follow_their_objects():
    example = {**example_of([[0., 0., .1, .1], [0., 0., 1., 1.]]), 'groundtruth_confidences': tf.constant([.2, .7]),
               'multiclass_scores': tf.constant([[1., 2.], [3., 4.]])}
    doubled = preprocessor.preprocess(example, [(preprocessor.random_self_concat_image, {
        'concat_vertical_probability': 0., 'concat_horizontal_probability': 1.})])
    np.testing.assert_allclose(doubled['groundtruth_confidences'], [.2, .7, .2, .7])
    assert doubled['multiclass_scores'].numpy().tolist() == [[1, 2], [3, 4], [1, 2], [3, 4]]
    example['groundtruth_boxes'] = tf.constant([[0., 0., .1, .1], [.2, .2, .9, .9]])
    cropped = preprocessor.preprocess(example, [(preprocessor.random_crop_to_aspect_ratio, {'aspect_ratio': .1})])
    assert len(cropped['multiclass_scores']) == len(cropped['groundtruth_boxes'])


@pytest.mark.parametrize(('text', 'expected'), [
    ('random_crop_image { max_area: 0.5 }', {
        'min_object_covered': 1., 'aspect_ratio_range': (.75, 1.33), 'area_range': (.1, .5), 'overlap_thresh': .3,
        'clip_boxes': True, 'random_coef': 0.}),
    ('random_pad_image { min_image_height: 9 min_image_width: 8 }', {
        'min_image_size': (9, 8), 'max_image_size': None, 'pad_color': None}),
    ('random_horizontal_flip { }', {'keypoint_flip_permutation': None, 'probability': .5}),
    ('resize_image { new_height: 3 new_width: 4 method: AREA }', {'new_height': 3, 'new_width': 4, 'method': 3}),
    ('drop_label_probabilistically { label: 2 drop_probability: 0.25 }', {'dropped_label': 2, 'drop_probability': .25}),
    ('remap_labels { original_labels: [1, 2] new_label: 3 }', {'original_labels': [1, 2], 'new_label': 3}),
    ('random_adjust_hue { }', {}), ('ssd_random_crop { }', {}),
    ('ssd_random_crop_pad { operations { min_area: 0.5 max_area: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 '
     'pad_color_r: 1 min_padded_size_ratio: [1, 2] max_padded_size_ratio: [2, 3] } }', {
        'min_object_covered': [0.], 'aspect_ratio_range': [(.5, 2.)], 'area_range': [(.5, 1.)],
        'overlap_thresh': [0.], 'clip_boxes': [True], 'random_coef': [0.], 'min_padded_size_ratio': [(1, 2)],
        'max_padded_size_ratio': [(2, 3)], 'pad_color': [(1., 0., 0.)]})])
def test_options_become_arguments_of_the_reference(text, expected):
    _, arguments = option(text)
    assert arguments.keys() == expected.keys()
    for name, value in expected.items():
        assert arguments[name] == (pytest.approx(value) if isinstance(value, float) else value) or np.allclose(
            arguments[name], value)


AREA = 'min_area: 0.5 max_area: 1'
RANGES = f'{AREA} min_aspect_ratio: 0.5 max_aspect_ratio: 2'


@pytest.mark.parametrize('text', [
    'random_crop_image { random_coef: 1 }', 'random_pad_image { min_image_height: 3 min_image_width: 5 }',
    'resize_image { new_height: 3 new_width: 4 method: BICUBIC }', 'random_rotation90 { probability: 0 }',
    'random_resize_method { target_height: 3 target_width: 4 }',
    f'ssd_random_crop {{ operations {{ {RANGES} random_coef: 1 }} operations {{ {RANGES} min_object_covered: 0.3 }} }}',
    f'ssd_random_crop_pad {{ operations {{ {RANGES} random_coef: 1 pad_color_r: 1 min_padded_size_ratio: [1, 1] '
    'max_padded_size_ratio: [2, 2] } }',
    f'ssd_random_crop_fixed_aspect_ratio {{ operations {{ {AREA} random_coef: 1 }} aspect_ratio: 2 }}',
    'ssd_random_crop_pad_fixed_aspect_ratio { aspect_ratio: 2 }'])
def test_arguments_of_the_reference_do_what_the_option_does(text):
    step = text_format.Parse(text, protos.PreprocessingStep())
    function, fields = augmentation.function_of(step)
    example = example_of([[0., 0., 1., 1.]])
    sample = {'image': tf.cast(example['image'][0], tf.float32), 'boxes': example['groundtruth_boxes'],
              'classes': example['groundtruth_classes']}
    tf.random.set_seed(5)
    expected = function(sample, Random(0, tf.random.uniform([], maxval=2 ** 62, dtype=tf.int64)), **fields)
    tf.random.set_seed(5)
    example['image'] = tf.cast(example['image'], tf.float32)
    augmented = preprocessor.preprocess(example, [option(text)])
    np.testing.assert_array_equal(augmented['image'][0], expected['image'])
    np.testing.assert_array_equal(augmented['groundtruth_boxes'], expected['boxes'])


def test_lists_of_fewer_operations_than_the_default():
    example = example_of([[0., 0., 1., 1.]])
    untouched = preprocessor.preprocess(example, [(preprocessor.ssd_random_crop, {
        'min_object_covered': [0., .5], 'random_coef': [1., 1.], 'area_range': [(.1, 1.)] * 2, 'clip_boxes': [True] * 2,
        'overlap_thresh': [0., .5]})])
    np.testing.assert_array_equal(untouched['image'], example['image'])
    with pytest.raises(ValueError, match='zip'):
        preprocessor.preprocess(example, [(preprocessor.ssd_random_crop, {
            'min_object_covered': [0., .5], 'random_coef': [1.]})])
    with pytest.raises(ValueError, match=r'2 operations without clip_boxes, max_area, min_area, .*, or 7 operations'):
        preprocessor.preprocess(example, [(preprocessor.ssd_random_crop, {'min_object_covered': [0., .5]})])
