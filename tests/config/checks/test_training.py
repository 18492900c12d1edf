"""Rules about train_config and what it needs of train_input_reader: field, line and message."""
import pytest

from object_detection.config import checks, pipeline
from tests.support.findings import changed, errors

RATE = 'optimizer.momentum_optimizer.learning_rate'


def found(changes, folder, reader=''):
    """The errors of SSD MobileNetV2 with another train_config, less those about paths."""
    config = changed('ssd_mobilenet_v2', '')
    config.ClearField('train_config')
    config.ClearField('train_input_reader')
    text = f'train_config {{ num_steps: 1 {changes} }} train_input_reader {{ {reader} }}'
    rate = 'momentum_optimizer { learning_rate { constant_learning_rate {} } }'
    config.MergeFrom(pipeline.parse(text if 'optimizer' in changes else text.replace(
        'train_config {', f'train_config {{ optimizer {{ {rate} }}')))
    return [(field, message) for field, message in errors(config, checks.check_training, folder)
            if not field.endswith('_path') and 'input_path[' not in field]


def schedule(text):
    return f'optimizer {{ momentum_optimizer {{ learning_rate {{ {text} }} }} }}'


@pytest.mark.parametrize(('changes', 'field', 'words'), [
    ('optimizer {}', 'optimizer', 'no kind is set; choose one of rms_prop_optimizer, momentum_optimizer, adam_opti'),
    ('optimizer { adam_optimizer {} }', 'optimizer.adam_optimizer.learning_rate', 'no kind is set; choose one of'),
    (schedule('manual_step_learning_rate { initial_learning_rate: 0.1 }'), f'{RATE}.manual_step_learning_rate.schedule',
     'is empty; add schedule { step: .. learning_rate: .. }, or use constant_learning_rate'),
    (schedule('manual_step_learning_rate { schedule { step: 7 } schedule { step: 3 } }'),
     f'{RATE}.manual_step_learning_rate.schedule', 'has the steps [7, 3]; they must start above 0 and rise'),
    (schedule('manual_step_learning_rate { schedule { step: 0 } }'), f'{RATE}.manual_step_learning_rate.schedule',
     'has the steps [0]; they must start above 0 and rise'),
    (schedule('cosine_decay_learning_rate { total_steps: 10 warmup_steps: 20 }'),
     f'{RATE}.cosine_decay_learning_rate.total_steps', 'is 10, less than the 20 steps of warmup and hold'),
    (schedule('cosine_decay_learning_rate { learning_rate_base: 0.1 warmup_learning_rate: 0.5 }'),
     f'{RATE}.cosine_decay_learning_rate.warmup_learning_rate', 'is 0.5, above learning_rate_base 0.1'),
    (schedule('exponential_decay_learning_rate { decay_steps: 0 }'),
     f'{RATE}.exponential_decay_learning_rate.decay_steps', 'is 0; it must be at least 1'),
    ('batch_size: 0', 'batch_size', 'is 0; it must be at least 1'),
])
def test_train_config(changes, field, words, tmp_path):
    place, message = found(changes, tmp_path)[0]
    assert place == f'train_config.{field}' and words in message


@pytest.mark.parametrize(('option', 'field', 'words'), [
    ('convert_class_logits_to_softmax {}', 'convert_class_logits_to_softmax', 'is not supported: an object has'),
    ('autoaugment_image { policy_name: "v4" }', 'autoaugment_image.policy_name', "is 'v4'; use one of v0, v1, v2, v3"),
    ('normalize_image { target_maxval: 2 }', 'normalize_image', 'needs original_minval and original_maxval'),
    ('subtract_channel_mean { means: [1, 2] }', 'subtract_channel_mean.means', 'is [1.0, 2.0]; it needs 3 numbers'),
    ('random_distort_color { color_ordering: 2 }', 'random_distort_color.color_ordering', 'is 2; use one of 0, 1'),
    ('random_patch_gaussian { min_patch_size: 0 }', 'random_patch_gaussian.min_patch_size', 'is 0; it must be'),
    ('resize_image { new_height: 10 }', 'resize_image.new_width', 'is 0; sizes are in pixels, at least 1'),
    ('random_resize_method { target_width: 10 }', 'random_resize_method.target_height', 'is 0; sizes are in pixels'),
    ('random_downscale_to_target_pixels { max_target_pixels: 0 }',
     'random_downscale_to_target_pixels.max_target_pixels', 'is 0; it must be at least 1'),
    ('random_pad_image { min_image_height: 10 }', 'random_pad_image', 'sets one of min_image_height and min'),
    ('random_pad_image { pad_color: 1 }', 'random_pad_image.pad_color', 'is [1.0]; it needs none or 3 numbers'),
    ('random_absolute_pad_image { pad_color: [1, 2] }', 'random_absolute_pad_image.pad_color', 'it needs none or 3'),
    ('random_crop_pad_image { min_padded_size_ratio: 1 }', 'random_crop_pad_image.min_padded_size_ratio',
     'is [1.0]; it needs none or 2 numbers'),
    ('random_crop_image { min_area: 0 }', 'random_crop_image.min_area', 'is 0; it must be above 0, at most 1'),
    ('random_crop_pad_image { max_aspect_ratio: 0 }', 'random_crop_pad_image.max_aspect_ratio', 'must be above 0'),
    ('random_crop_to_aspect_ratio { aspect_ratio: -1 }', 'random_crop_to_aspect_ratio.aspect_ratio', 'must be above 0'),
    ('ssd_random_crop { operations { min_aspect_ratio: 0.5 max_aspect_ratio: 2 min_area: 0.1 max_area: 1.5 } }',
     'ssd_random_crop.operations[0].max_area', 'is 1.5; it must be above 0, at most 1'),
    ('ssd_random_crop_fixed_aspect_ratio { operations { min_area: 0.1 } }',
     'ssd_random_crop_fixed_aspect_ratio.operations[0].max_area', 'is 0; it must be above 0'),
    ('random_square_crop_by_scale { max_border: 0 }', 'random_square_crop_by_scale.max_border', 'is 0; it must be at'),
    ('random_scale_crop_and_pad_to_square { output_size: 0 }', 'random_scale_crop_and_pad_to_square.output_size',
     'is 0; sizes are in pixels'),
    ('random_jitter_boxes { ratio: -0.1 }', 'random_jitter_boxes.ratio', 'is -0.1; allowed: 0 to 1'),
    ('random_jitter_boxes { ratio: 2 jitter_mode: SHRINK }', 'random_jitter_boxes.ratio', 'is 2; allowed: 0 to 1'),
    ('random_jpeg_quality { max_jpeg_quality: 101 }', 'random_jpeg_quality.max_jpeg_quality', 'allowed: 0 to 100'),
    ('ssd_random_crop_pad { operations { min_area: 1 max_area: 1 min_aspect_ratio: 1 max_aspect_ratio: 1 '
     'max_padded_size_ratio: [1, 1, 1] } }',
     'ssd_random_crop_pad.operations[0].max_padded_size_ratio', 'it needs none or 2 numbers'),
    ('ssd_random_crop_pad_fixed_aspect_ratio { min_padded_size_ratio: 1 }',
     'ssd_random_crop_pad_fixed_aspect_ratio.min_padded_size_ratio', 'it needs none or 2 numbers'),
])
def test_augmentations(option, field, words, tmp_path):
    (place, message), = found(f'data_augmentation_options {{ {option} }}', tmp_path)
    assert place == f'train_config.data_augmentation_options[0].{field}' and words in message


def test_boxes_may_expand_by_more_than_their_size(tmp_path):
    assert found('data_augmentation_options { random_jitter_boxes { ratio: 2 jitter_mode: EXPAND } }', tmp_path) == []


@pytest.mark.parametrize('reader', ['load_instance_masks: true', 'num_keypoints: 3'])
def test_autoaugment_moves_boxes_only(reader, tmp_path):
    (place, message), = found('data_augmentation_options { autoaugment_image {} }', tmp_path, reader)
    assert place == 'train_config.data_augmentation_options[0].autoaugment_image'
    assert 'masks and keypoints would no longer fit: take it out, or take load_instance_masks and num_key' in message
    assert found('data_augmentation_options { autoaugment_image {} }', tmp_path) == []


def test_fields_of_a_reader_that_are_not_read(tmp_path):
    assert found('', tmp_path, 'load_context_features: true num_additional_channels: 1') == [
        ('train_input_reader.num_additional_channels', 'is not supported: networks take three channels; remove it'),
        ('train_input_reader.load_context_features', 'is not supported: models see one picture at a time; remove it')]


def test_a_weight_for_each_data_set(tmp_path):
    paths = 'tf_record_input_reader { input_path: ["a", "b"] }'
    assert found('', tmp_path, f'{paths} sample_from_datasets_weights: 1') == [
        ('train_input_reader.sample_from_datasets_weights', 'has 1 values for 2 input_path entries; give one for each')]
    assert found('', tmp_path, f'{paths} sample_from_datasets_weights: [1, 3]') == []
    config = changed('ssd_mobilenet_v2', '')
    config.eval_input_reader[0].sample_from_datasets_weights[:] = [1, 3]
    found_in_evaluation = errors(config, checks.check_evaluation, tmp_path)
    assert [message for field, message in found_in_evaluation if field.endswith('_weights')] == [
        'has 2 values for 1 input_path entries; give one for each']


@pytest.mark.parametrize(('name', 'kinds'), [
    ('ssd_mobilenet_v2', 'this model takes classification, detection, full'),
    ('faster_rcnn_resnet50_v1', 'this model takes classification, detection, full'),
    ('centernet_mobilenetv2_fpn', 'this model takes classification, detection, full, fine_tune'),
])
def test_kinds_of_restore(name, kinds, tmp_path):
    config = changed(name, 'train_config { fine_tune_checkpoint: "a" fine_tune_checkpoint_type: "classifier" }')
    assert ('train_config.fine_tune_checkpoint_type', f"is 'classifier'; {kinds}") in errors(
        config, checks.check_training, tmp_path)


@pytest.mark.parametrize('kind', ['classification', ''])  # '' stands for it
def test_no_hourglass_classifies(kind, tmp_path):
    config = changed('centernet_mobilenetv2_fpn', 'train_config { fine_tune_checkpoint: "a" fine_tune_checkpoint_type: '
                     f'"{kind}" }} model {{ center_net {{ feature_extractor {{ type: "hourglass_52" }} }} }}')
    assert ('train_config.fine_tune_checkpoint_type', "is 'classification'; this model takes detection, full, "
            'fine_tune') in errors(config, checks.check_training, tmp_path)


@pytest.mark.parametrize('text', ['', 'model { experimental_model {} }'])
def test_a_checkpoint_without_a_model(text):
    config = pipeline.parse(text + 'train_config { fine_tune_checkpoint: "a" fine_tune_checkpoint_type: "detection" }')
    assert 'train_config.fine_tune_checkpoint_type' not in {f.field for f in checks.check_training(config)}


@pytest.mark.parametrize('resizer', ['keep_aspect_ratio_resizer {}', 'identity_resizer {}'])
def test_pictures_of_different_sizes_cannot_be_stacked(resizer, tmp_path):
    config = changed('faster_rcnn_resnet50_v1', 'train_config { batch_size: 4 }')
    config.model.faster_rcnn.ClearField('image_resizer')
    config = pipeline.override(config, f'model {{ faster_rcnn {{ image_resizer {{ {resizer} }} }} }}')
    assert checks.demand(checks.check_model(config)) is not None
    wrong = dict(errors(config, checks.check_training, tmp_path))
    assert wrong['train_config.batch_size'] == (
        f'is 4, but {resizer.split()[0]} makes images of different sizes; use keep_aspect_ratio_resizer with '
        'pad_to_max_dimension: true, or batch_size: 1')
    config.train_config.batch_size = 1
    assert 'train_config.batch_size' not in dict(errors(config, checks.check_training, tmp_path))


def test_expressions_of_variables_that_are_none(tmp_path):
    frozen, trained = found('freeze_variables: [".*bias", "("] update_trainable_variables: "*"', tmp_path)
    assert frozen[0] == 'train_config.freeze_variables' and "'(' is not a regular expression: " in frozen[1]
    assert trained[0] == 'train_config.update_trainable_variables' and "'*' is not a regular" in trained[1]
