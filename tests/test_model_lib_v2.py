"""Training and evaluation under the reference's names do what the rooms do: same losses, weights, and metrics."""
import signal

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, exporter_lib_v2, inputs, model_lib, model_lib_v2
from object_detection.builders import model_builder, optimizer_builder
from object_detection.config import label_map, pipeline
from object_detection.core import learning_phase
from object_detection.evaluation import evaluator
from object_detection.export import saved_model
from object_detection.models import build, resizers
from object_detection.training import optimizer as optimizers
from object_detection.training import screen, step, train
from object_detection.utils import config_util
from object_detection.utils.errors import UserError
from tests.support import toy_backbone


@pytest.fixture
def path(toys, tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'pipeline.config').write_text(toy_backbone.ssd(tmp_path / 'data'))
    return tmp_path / 'data' / 'pipeline.config'


@pytest.fixture(autouse=True)
def phase():
    yield
    learning_phase.set_training(False)


def values_of(model):
    return {key: variable.numpy() for key, variable in checkpoints.keys(model).items()}


def saved_values(folder):
    """{key: value} of the newest checkpoint of a folder, the optimizer's state included."""
    saved = checkpoints.newest(folder)
    return {key: value.numpy() for key, value in saved.values.items() if 'save_counter' not in key}


def assert_equal(given, expected, tolerance=0.):
    assert given.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(given[key], value, rtol=0, atol=tolerance, err_msg=key)


@pytest.mark.parametrize('unpad', [True, False])
def test_eager_train_step_equals_the_step_of_training(path, unpad):
    """Two steps on the same batches, with clipping: losses, weights, and moments of BatchNorm."""
    config = pipeline.read(path)
    config.train_config.gradient_clipping_by_norm = .5
    labels = label_map.load(config.train_input_reader.label_map_path)
    dataset = inputs.train_dataset(config, resizers.build(config.model.ssd.image_resizer), labels)
    detector, count = build.build(config.model, seed=3), tf.Variable(0, dtype=tf.int64)
    variables = list(detector.trainable_variables)
    trained = step.trace_step(detector, variables, optimizers.build(config.train_config.optimizer, variables), count,
                              config.train_config, tf.distribute.get_strategy(), dataset.element_spec)

    model, global_step = model_builder.build(config.model, is_training=True), tf.Variable(0, dtype=tf.int64)
    own = checkpoints.keys(model)
    for key, value in values_of(detector).items():
        own[key].assign(value)
    optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=global_step)

    @tf.function
    def eager(features, groundtruth):
        return model_lib_v2.eager_train_step(model, features, groundtruth, unpad, optimizer, global_step,
                                             clip_gradients_value=config.train_config.gradient_clipping_by_norm)

    as_reference = inputs.train_input(config.train_config, config.train_input_reader, config.model, model)
    for batch, (features, groundtruth) in zip(dataset.take(2), as_reference):
        expected = trained([batch])
        given = eager(features, groundtruth)
        global_step.assign_add(1)
        assert given.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(given[name], value, rtol=1e-5, err_msg=name)
    assert_equal(values_of(model), values_of(detector), 1e-5)


def test_losses_are_divided_by_the_number_of_replicas(path):
    configs = config_util.get_configs_from_pipeline_file(path)
    model = model_builder.build(configs['model'], is_training=True)
    features, labels = next(iter(inputs.train_input(
        configs['train_config'], configs['train_input_config'], configs['model'], model)))
    optimizer, _ = optimizer_builder.build(configs['train_config'].optimizer)
    weights = model.get_weights()
    one, four = ({name: float(loss) for name, loss in model_lib_v2.eager_train_step(
        model, features, labels, False, optimizer, 0, add_regularization_loss=False, num_replicas=replicas).items()}
        for replicas in (1., 4.) if not model.set_weights(weights))
    assert one.keys() == {'Loss/localization_loss', 'Loss/classification_loss', 'Loss/total_loss'}
    assert {name: loss / 4 for name, loss in one.items()} == pytest.approx(four, rel=1e-5)


def test_unstack_batch():
    batch = {'groundtruth_boxes': tf.reshape(tf.range(16.), [2, 2, 4]), 'num_groundtruth_boxes': tf.constant([2, 1]),
             'hash': tf.constant([5, 6])}
    lists = model_lib.unstack_batch(batch)
    assert [len(boxes) for boxes in lists['groundtruth_boxes']] == [2, 1] and lists['hash'][1] == 6
    assert [len(boxes) for boxes in model_lib.unstack_batch(batch, False)['groundtruth_boxes']] == [2, 2]
    with pytest.raises(ValueError, match='`num_groundtruth_boxes` not found'):
        model_lib.unstack_batch({'hash': tf.constant([1])})


def test_load_fine_tune_checkpoint(path, tmp_path):
    config = pipeline.read(path)
    pretrained = model_builder.build(config.model, is_training=True)
    prefix = tf.train.Checkpoint(model=pretrained).save(str(tmp_path / 'ckpt'))
    config.model.ssd.num_classes = 5
    model = model_builder.build(config.model, is_training=True)
    before, theirs = values_of(model), values_of(pretrained)
    model_lib_v2.load_fine_tune_checkpoint(model, prefix, 'detection', 1, True, None, True)
    for key, value in values_of(model).items():
        expected = theirs if key.startswith('_feature_extractor') else before
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    model_lib_v2.load_fine_tune_checkpoint(model, prefix, 'full')
    for key, value in values_of(model).items():
        np.testing.assert_array_equal(value, theirs[key] if value.shape == theirs[key].shape else before[key],
                                      err_msg=key)
    with pytest.raises(UserError, match='no checkpoint'):
        model_lib_v2.load_fine_tune_checkpoint(model, tmp_path / 'nothing', 'full')
    with pytest.raises(ValueError, match="fine_tune_checkpoint_type is 'everything'"):
        model_lib_v2.load_fine_tune_checkpoint(model, prefix, 'everything')


def test_train_loop_equals_phases_and_continues(path, tmp_path):
    summary, options = [], {'remapping': True}  # an option that training changes in a process of its own
    tf.config.optimizer.set_experimental_options(options)
    options = tf.config.optimizer.get_experimental_options()
    model_lib_v2.train_loop(path, tmp_path / 'loop', train_steps=5, checkpoint_every_n=2, save_final_config=True,
                            checkpoint_max_to_keep=2, num_steps_per_iteration=2, batch_size=3, label_map_path=None,
                            performance_summary_exporter=lambda *arguments: summary.append(arguments))
    assert tf.config.optimizer.get_experimental_options() == options
    assert sorted(file.name for file in (tmp_path / 'loop').glob('ckpt-*.index')) == ['ckpt-3.index', 'ckpt-4.index']
    kept = pipeline.read(tmp_path / 'loop' / 'pipeline.config')
    assert kept.train_config.batch_size == 3 and kept.train_config.num_steps == 5
    [(numbers, precision)] = summary
    assert precision == 'fp32' and numbers.keys() == {'steps_per_sec', 'steps_per_sec_p50', 'steps_per_sec_max',
                                                      'last_batch_loss'}
    for steps in (5, 7):
        train.train(lambda *_, **__: None, lambda: False, pipeline.to_text(kept), tmp_path / f'phases{steps}', steps)
    assert_equal(saved_values(tmp_path / 'loop'), saved_values(tmp_path / 'phases5'))
    model_lib_v2.train_loop(path, str(tmp_path / 'loop'), train_steps=7, batch_size=3)
    assert_equal(saved_values(tmp_path / 'loop'), saved_values(tmp_path / 'phases7'))


def test_train_loop_in_the_scope_of_a_strategy(path, tmp_path):
    """As model_main_tf2.py of the reference calls it on one device."""
    with tf.distribute.MirroredStrategy(['CPU:0']).scope():
        model_lib_v2.train_loop(path, tmp_path / 'mirrored', train_steps=3)
    model_lib_v2.train_loop(path, tmp_path / 'plain', train_steps=3)
    assert_equal(saved_values(tmp_path / 'mirrored'), saved_values(tmp_path / 'plain'), 1e-6)


def test_ctrl_c_saves_a_checkpoint(path, tmp_path, monkeypatch):
    monkeypatch.setattr(screen.Screen, '_log', lambda self, step, **values: signal.raise_signal(signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r'ckpt-2 was saved'):
        model_lib_v2.train_loop(path, tmp_path / 'model', train_steps=40, num_steps_per_iteration=3)
    assert checkpoints.newest(tmp_path / 'model').step == 3
    assert signal.getsignal(signal.SIGINT) is handler


def test_mistakes_of_train_loop(path, tmp_path):
    with pytest.raises(UserError, match='TPUs are not supported'):
        model_lib_v2.train_loop(path, tmp_path / 'model', use_tpu=True)
    with pytest.raises(UserError) as raised:
        model_lib_v2.train_loop(path, tmp_path / 'model', config_override='model { ssd { num_classes: 0 } } '
                                'train_config { optimizer { momentum_optimizer { learning_rate { '
                                'cosine_decay_learning_rate { total_steps: 5 } } } } }')
    assert len(raised.value.findings) >= 2
    assert not (tmp_path / 'model').exists()


def test_evaluations_of_a_folder(path, tmp_path, monkeypatch):
    """The newest checkpoint at once; eager_eval_loop finds the same numbers."""
    model_lib_v2.train_loop(path, tmp_path / 'model', train_steps=2, checkpoint_every_n=1)
    seen = []
    evaluate = evaluator.evaluate
    monkeypatch.setattr(evaluator, 'evaluate', lambda *arguments: seen.append(evaluate(*arguments)) or seen[-1])
    model_lib_v2.eval_continuously(path, model_dir=tmp_path / 'eval', checkpoint_dir=str(tmp_path / 'model'),
                                   sample_1_of_n_eval_examples=None, timeout=0, wait_interval=300)
    assert [(done['step'], done['pictures']) for done in seen] == [(2, 5)]
    assert list((tmp_path / 'eval' / 'eval').glob('events*'))
    model_lib_v2.eval_continuously(path, checkpoint_dir=tmp_path / 'model', sample_1_of_n_eval_examples=2, timeout=0,
                                   train_steps=2)
    assert [(done['step'], done['pictures']) for done in seen] == [(2, 5), (2, 3)]

    configs = config_util.get_configs_from_pipeline_file(path)
    model = model_builder.build(configs['model'], is_training=False)
    checkpoints.restore_model(model, checkpoints.newest(tmp_path / 'model'))
    dataset = inputs.eval_input(configs['eval_config'], configs['eval_input_config'], configs['model'], model)
    with tf.summary.create_file_writer(str(tmp_path / 'eager')).as_default():
        numbers = model_lib_v2.eager_eval_loop(model, configs, dataset, global_step=tf.Variable(2))
    assert numbers == pytest.approx(dict(seen[0]['metrics']), rel=1e-4, nan_ok=True)
    [events] = (tmp_path / 'eager').glob('events*')
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value}
    assert tags == {*numbers, 'eval_side_by_side_0_0', 'eval_side_by_side_1_0'}


def test_mistakes_of_eval_continuously(path, tmp_path):
    with pytest.raises(UserError, match='needs checkpoint_dir'):
        model_lib_v2.eval_continuously(path)
    with pytest.raises(UserError, match='eval_index is 1, but there are 1 eval_input_reader'):
        model_lib_v2.eval_continuously(path, checkpoint_dir=tmp_path, eval_index=1)
    with pytest.raises(UserError, match='nothing: does not exist'):
        model_lib_v2.eval_continuously(path, checkpoint_dir=tmp_path / 'nothing', timeout=0)


def test_export_inference_graph(path, tmp_path):
    config = pipeline.read(path)
    model = model_builder.build(config.model, is_training=True)
    tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(tmp_path / 'model'), 1).save()
    exporter_lib_v2.export_inference_graph('image_tensor', config, str(tmp_path / 'model'), str(tmp_path / 'exported'))
    images = saved_model.noise('image_tensor')
    detections = tf.saved_model.load(str(tmp_path / 'exported' / 'saved_model'))(images)
    expected = model(images)
    np.testing.assert_allclose(detections['detection_scores'], expected['detection_scores'], atol=1e-5)
    np.testing.assert_allclose(detections['detection_classes'], expected['detection_classes'] + 1)
    assert pipeline.read(tmp_path / 'exported' / 'pipeline.config') == config
    with pytest.raises(UserError, match='exported'):
        exporter_lib_v2.export_inference_graph('tf_example', config, tmp_path / 'model', tmp_path / 'exported')
    with pytest.raises(ValueError, match="Unrecognized `input_type` 'picture'"):
        exporter_lib_v2.export_inference_graph('picture', config, tmp_path / 'model', tmp_path / 'other')
    with pytest.raises(UserError, match='use_side_inputs is for Context R-CNN'):
        exporter_lib_v2.export_inference_graph('image_tensor', config, tmp_path / 'model', tmp_path / 'other', True)
