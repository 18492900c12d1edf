import types

import pytest
from google.protobuf import text_format

from object_detection.config import pipeline
from object_detection.protos import model_pb2, pipeline_pb2
from object_detection.utils import config_util
from object_detection.utils.errors import UserError

CONFIG = """
model { ssd {
  num_classes: 90
  image_resizer { fixed_shape_resizer { height: 320 width: 640 } }
  loss { classification_weight: 1 localization_weight: 2
         classification_loss { weighted_sigmoid_focal { gamma: 2 alpha: 0.25 } } }
} }
train_config {
  batch_size: 8
  fine_tune_checkpoint: "ckpt-0"
  optimizer { momentum_optimizer {
    momentum_optimizer_value: 0.9
    learning_rate { cosine_decay_learning_rate { learning_rate_base: 0.08 warmup_learning_rate: 0.02 } }
  } }
}
train_input_reader { label_map_path: "a.pbtxt" name: "pets"
                     tf_record_input_reader { input_path: "train.record" } sample_from_datasets_weights: 1 }
eval_config { metrics_set: "coco_detection_metrics" }
eval_input_reader { name: "val" tf_record_input_reader { input_path: "val.record" } }
"""
KEYPOINTS = 'center_net { num_classes: 1 keypoint_estimation_task { task_name: "a" } }'


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'pipeline.config'
    path.write_text(CONFIG)
    return path


@pytest.fixture
def configs(path):
    return config_util.get_configs_from_pipeline_file(str(path))


def model(text):
    return text_format.Parse(text, model_pb2.DetectionModel())


def test_parts_of_a_file(configs):
    assert sorted(configs) == ['eval_config', 'eval_input_config', 'eval_input_configs', 'model', 'train_config',
                               'train_input_config']
    assert configs['model'].ssd.num_classes == 90
    assert configs['eval_input_config'].name == configs['eval_input_configs'][0].name == 'val'


def test_override_text(path):
    text = 'train_config { batch_size: 3 } graph_rewriter { quantization { delay: 7 } }'
    configs = config_util.get_configs_from_pipeline_file(path, config_override=text)
    assert configs['train_config'].batch_size == 3
    assert configs['train_config'].fine_tune_checkpoint == 'ckpt-0'
    assert configs['graph_rewriter_config'].quantization.delay == 7


def test_changed_and_saved(configs, tmp_path):
    configs['model'].ssd.num_classes = 2
    config = config_util.create_pipeline_proto_from_configs(configs)
    config_util.save_pipeline_config(config, str(tmp_path / 'new/folder'))
    saved = pipeline.read(tmp_path / 'new/folder/pipeline.config')
    assert saved == config
    assert (saved.model.ssd.num_classes, saved.train_config.batch_size) == (2, 8)


def test_parts_are_the_config_itself():
    config = pipeline_pb2.TrainEvalPipelineConfig()
    config_util.create_configs_from_pipeline_proto(config)['train_config'].batch_size = 4
    assert config.train_config.batch_size == 4


def test_clear_fine_tune_checkpoint(path, tmp_path):
    config_util.clear_fine_tune_checkpoint(path, tmp_path / 'new.config')
    assert pipeline.read(tmp_path / 'new.config').train_config.fine_tune_checkpoint == ''
    assert pipeline.read(path).train_config.fine_tune_checkpoint == 'ckpt-0'


def test_several_files(tmp_path):
    for name, text in (('model', 'ssd { num_classes: 3 }'), ('reader', 'name: "val"'), ('rewriter', '')):
        (tmp_path / name).write_text(text)
    configs = config_util.get_configs_from_multiple_files(
        model_config_path=str(tmp_path / 'model'), eval_input_config_path=str(tmp_path / 'reader'),
        graph_rewriter_config_path=tmp_path / 'rewriter')
    assert sorted(configs) == ['eval_input_configs', 'graph_rewriter_config', 'model']
    assert [reader.name for reader in configs['eval_input_configs']] == ['val']


def test_broken_and_missing_files(tmp_path):
    (tmp_path / 'a.config').write_text('train_config {\n  batch_sice: 3\n}\n')
    with pytest.raises(UserError, match=r'a\.config:2:3: .* did you mean batch_size'):
        config_util.get_configs_from_pipeline_file(tmp_path / 'a.config')
    with pytest.raises(FileNotFoundError, match=r'did you mean .*a\.config'):
        config_util.get_configs_from_pipeline_file(tmp_path / 'b.config')


def test_what_a_model_says_of_itself():
    ssd = model('ssd { num_classes: 3 image_resizer { identity_resizer {} } }')
    assert config_util.get_number_of_classes(ssd) == 3
    assert config_util.get_image_resizer_config(ssd).WhichOneof('image_resizer_oneof') == 'identity_resizer'
    assert config_util.get_max_num_context_features(ssd) is None
    context = model('faster_rcnn { context_config { max_num_context_features: 5 context_feature_length: 9 } }')
    assert config_util.get_max_num_context_features(context) == 5
    assert config_util.get_context_feature_length(context) == 9
    with pytest.raises(ValueError, match='experimental_model has no num_classes'):
        config_util.get_number_of_classes(model('experimental_model {}'))


@pytest.mark.parametrize('text, size', [
    ('fixed_shape_resizer { height: 3 width: 4 }', [3, 4]),
    ('keep_aspect_ratio_resizer { min_dimension: 3 max_dimension: 5 }', [-1, -1]),
    ('keep_aspect_ratio_resizer { max_dimension: 5 pad_to_max_dimension: true }', [5, 5]),
    ('identity_resizer {}', [-1, -1]),
    ('conditional_shape_resizer { size_threshold: 3 }', [-1, -1])])
def test_size_of_the_resized_image(text, size):
    resizer = config_util.get_image_resizer_config(model(f'ssd {{ image_resizer {{ {text} }} }}'))
    assert config_util.get_spatial_image_size(resizer) == size


def test_no_resizer():
    with pytest.raises(ValueError, match='Unknown image resizer'):
        config_util.get_spatial_image_size(model('ssd {}').ssd.image_resizer)


def test_types(configs):
    assert config_util.get_optimizer_type(configs['train_config']) == 'momentum_optimizer'
    assert config_util.get_learning_rate_type(
        configs['train_config'].optimizer.momentum_optimizer) == 'cosine_decay_learning_rate'
    configs['train_config'].from_detection_checkpoint = True
    config_util.update_fine_tune_checkpoint_type(configs['train_config'])
    assert configs['train_config'].fine_tune_checkpoint_type == 'detection'


def test_remove_unnecessary_ema():
    variables = {'a/w/ExponentialMovingAverage': 1, 'b/w/ExponentialMovingAverage': 2, 'step': 3}
    assert config_util.remove_unnecessary_ema(variables, ['b/']) == {
        'a/w/ExponentialMovingAverage': 1, 'b/w': 2, 'step': 3}
    assert config_util.remove_unnecessary_ema(variables) == variables


def test_overrides(configs):
    result = config_util.merge_external_params_with_configs(configs, kwargs_dict={
        'batch_size': 15.7, 'train_steps': '10', 'num_classes': 3, 'label_map_path': 'b.pbtxt',
        'train_input_path': ['x.record', 'y.record'], 'eval_input_path': 'z.record', 'eval_shuffle': True,
        'mask_type': 2, 'eval_num_epochs': 4, 'sample_1_of_n_eval_examples': 5, 'eval_with_moving_averages': True,
        'retain_original_images_in_eval': False, 'use_bfloat16': True, 'momentum_optimizer_value': 1.5,
        'classification_localization_weight_ratio': .5, 'focal_loss_gamma': 1.5, 'focal_loss_alpha': .75,
        'sample_from_datasets_weights': [2.], 'model.ssd.loss.classification_loss.weighted_sigmoid_focal.gamma': 3.,
        'nothing_of_ours': 1, 'train_shuffle': None, 'use_nothing': ''})
    assert result is configs
    train, reader, eval_reader = configs['train_config'], configs['train_input_config'], configs['eval_input_config']
    loss = configs['model'].ssd.loss
    assert (train.batch_size, train.num_steps, train.use_bfloat16) == (16, 10, True)
    assert configs['model'].ssd.num_classes == 3
    assert [reader.label_map_path, eval_reader.label_map_path] == ['b.pbtxt'] * 2
    assert list(reader.tf_record_input_reader.input_path) == ['x.record', 'y.record']
    assert list(eval_reader.tf_record_input_reader.input_path) == ['z.record']
    assert (eval_reader.shuffle, eval_reader.num_epochs, eval_reader.sample_1_of_n_examples) == (True, 4, 5)
    assert reader.mask_type == eval_reader.mask_type == 2
    assert not reader.HasField('shuffle')
    assert configs['eval_config'].use_moving_averages
    assert configs['eval_config'].retain_original_images is False
    assert train.optimizer.momentum_optimizer.momentum_optimizer_value == 1.
    assert (loss.localization_weight, loss.classification_weight) == (1., .5)
    focal = loss.classification_loss.weighted_sigmoid_focal
    assert (focal.gamma, focal.alpha) == (3., .75)
    assert list(reader.sample_from_datasets_weights) == [2.]


def test_hparams_go_before_keywords(configs):
    hparams = types.SimpleNamespace(values=lambda: {'batch_size': 3})
    config_util.merge_external_params_with_configs(configs, hparams, {'batch_size': 5, 'train_steps': 7})
    assert (configs['train_config'].batch_size, configs['train_config'].num_steps) == (3, 7)


@pytest.mark.parametrize('schedule, expected', [
    ('constant_learning_rate { learning_rate: 1 }', 'constant_learning_rate { learning_rate: 0.5 }'),
    ('exponential_decay_learning_rate { initial_learning_rate: 1 decay_steps: 3 }',
     'exponential_decay_learning_rate { initial_learning_rate: 0.5 decay_steps: 3 }'),
    ('manual_step_learning_rate { initial_learning_rate: 2 schedule { step: 3 learning_rate: 1 } }',
     'manual_step_learning_rate { initial_learning_rate: 0.5 schedule { step: 3 learning_rate: 0.25 } }'),
    ('cosine_decay_learning_rate { learning_rate_base: 2 warmup_learning_rate: 1 }',
     'cosine_decay_learning_rate { learning_rate_base: 0.5 warmup_learning_rate: 0.25 }')])
@pytest.mark.parametrize('kind', ['rms_prop_optimizer', 'momentum_optimizer', 'adam_optimizer'])
def test_learning_rate_scales_the_schedule(kind, schedule, expected):
    def train_config(text):
        return text_format.Parse(f'train_config {{ optimizer {{ {kind} {{ learning_rate {{ {text} }} }} }} }}',
                                 pipeline_pb2.TrainEvalPipelineConfig()).train_config

    configs = {'train_config': train_config(schedule)}
    config_util.merge_external_params_with_configs(configs, kwargs_dict={'learning_rate': .5})
    assert configs['train_config'] == train_config(expected)


@pytest.mark.parametrize('key, value, error, problem', [
    ('eval_input_configs:other:input_path', 'x', ValueError, "'other'; there is val"),
    ('eval_input_configs:val:num_epochs', 1, ValueError, 'Invalid field_name'),
    ('eval_configs:val:shuffle', 1, ValueError, 'Invalid key_name'),
    ('a:b', 1, ValueError, 'Invalid key format'),
    ('model.ssd.nothing', 1, ValueError, 'nothing'),
    ('model.ssd.encode_background_as_zeros', True, ValueError, 'Expecting message to have field'),
    ('train_config.batch_size', 'eight', TypeError, None),
    ('sample_from_datasets_weights', [1., 2.], ValueError, 'has 1 values, its override 2'),
    ('candidate_ranking_mode', 'best', ValueError, 'allowed: min_distance'),
    ('std_dev_multiplier', 1., ValueError, 'center_net only; the model is ssd')])
def test_overrides_that_cannot_be(configs, key, value, error, problem):
    with pytest.raises(error, match=problem):
        config_util.merge_external_params_with_configs(configs, kwargs_dict={key: value})


def test_reader_by_name(configs):
    configs['eval_input_configs'].add(name='test')
    config_util.merge_external_params_with_configs(configs, kwargs_dict={
        'eval_input_configs:test:label_map_path': 'b.pbtxt', 'eval_input_configs:val:input_path': 'new.record',
        'train_input_config:pets:shuffle': False})
    assert [reader.label_map_path for reader in configs['eval_input_configs']] == ['', 'b.pbtxt']
    assert list(configs['eval_input_configs'][0].tf_record_input_reader.input_path) == ['new.record']
    assert configs['train_input_config'].shuffle is False
    with pytest.raises(ValueError, match='There are 2 readers'):
        config_util.update_input_reader_config(configs, 'eval_input_configs', None, 'shuffle', True)
    with pytest.raises(ValueError, match='none not found'):
        config_util.update_input_reader_config(configs, 'eval_input_configs', 'none', 'shuffle', True)
    configs['eval_input_configs'].add(name='test')
    with pytest.raises(ValueError, match='Duplicate input name'):
        config_util.update_input_reader_config(configs, 'eval_input_configs', 'test', 'shuffle', True)


def test_keys_of_readers(configs):
    parse = config_util.check_and_parse_input_config_key
    assert parse(configs, 'train_shuffle') == (True, 'train_input_config', None, 'shuffle')
    assert parse(configs, 'learning_rate') == (False, None, None, 'learning_rate')
    assert parse(configs, 'eval_input_configs:val:shuffle') == (True, 'eval_input_configs', 'val', 'shuffle')


def test_other_readers_have_no_input_path(configs):
    configs['train_input_config'].ClearField('tf_record_input_reader')
    with pytest.raises(TypeError, match='tf_record_input_reader'):
        config_util.merge_external_params_with_configs(configs, kwargs_dict={'train_input_path': 'x'})


def test_weights_of_faster_rcnn():
    configs = {'model': model('faster_rcnn {}')}
    config_util.merge_external_params_with_configs(configs, kwargs_dict={
        'classification_localization_weight_ratio': .25, 'num_classes': 4})
    rcnn = configs['model'].faster_rcnn
    assert rcnn.first_stage_localization_loss_weight == rcnn.second_stage_localization_loss_weight == 1
    assert rcnn.first_stage_objectness_loss_weight == rcnn.second_stage_classification_loss_weight == .25
    with pytest.raises(TypeError, match='weighted_sigmoid_focal'):
        config_util.merge_external_params_with_configs(configs, kwargs_dict={'focal_loss_alpha': .5})


def test_optimizers_without_momentum():
    configs = {'train_config': text_format.Parse('train_config { optimizer { adam_optimizer {} } }',
                                                 pipeline_pb2.TrainEvalPipelineConfig()).train_config}
    with pytest.raises(TypeError, match='Optimizer adam_optimizer is not supported'):
        config_util.merge_external_params_with_configs(configs, kwargs_dict={'momentum_optimizer_value': .5})


def test_keypoints_of_center_net(caplog):
    configs = {'model': model(KEYPOINTS)}
    overrides = {'peak_max_pool_kernel_size': 5, 'candidate_ranking_mode': 'score_distance_ratio',
                 'rescore_instances': 'False', 'unmatched_keypoint_score': .25, 'std_dev_multiplier': 2.}
    config_util.merge_external_params_with_configs(configs, kwargs_dict=overrides)
    task = configs['model'].center_net.keypoint_estimation_task[0]
    assert (task.peak_max_pool_kernel_size, task.candidate_ranking_mode, task.rescore_instances,
            task.unmatched_keypoint_score, task.std_dev_multiplier) == (5, 'score_distance_ratio', False, .25, 2.)
    configs['model'].center_net.keypoint_estimation_task.add()
    config_util.merge_external_params_with_configs(configs, kwargs_dict={'box_scale': 3.})
    assert 'there are 2 keypoint estimation tasks' in caplog.text
