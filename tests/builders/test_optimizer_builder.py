"""Optimizers against numbers that the reference computed (tests/golden/optimizers.json), as Keras's are called."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.builders import optimizer_builder
from object_detection.utils.errors import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / 'golden' / 'optimizers.json').read_text())
CONSTANT = 'learning_rate { constant_learning_rate { learning_rate: 0.5 } }'


def config(text):
    return text_format.Parse(text, protos.Optimizer())


def gradients(step):
    return [tf.constant([[.5, -1., .25 * step], [1., 2. - step, 0.]]), tf.constant([.1 * step, -.3])]


def variables():
    return [tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3) / 10), tf.Variable([1., -1.])]


@pytest.mark.parametrize('name', GOLDEN['optimizers'])
def test_updates_and_checkpoints_equal_the_reference(name, tmp_path):
    golden, module, step = GOLDEN['optimizers'][name], tf.Module(), tf.Variable(0, dtype=tf.int64)
    module.a, module.b = moved = variables()
    optimizer, _ = optimizer_builder.build(config(golden['config']), global_step=step)
    if name == 'averaged':
        optimizer.shadow_copy(module)

    @tf.function
    def update(values):
        optimizer.apply_gradients(zip(values, moved))
        step.assign_add(1)

    for index, expected in enumerate(golden['after_step'], 1):
        update(gradients(index))
        for variable, value in zip(moved, expected):
            np.testing.assert_allclose(variable, value, rtol=1e-6, atol=1e-7)
    assert int(optimizer.iterations) == len(golden['after_step'])

    prefix = tf.train.Checkpoint(step=step, model=module, optimizer=optimizer).save(str(tmp_path / 'ckpt'))
    reader = tf.train.load_checkpoint(prefix)
    saved = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if 'GRAPH' not in key}
    assert sorted(saved) == sorted(golden['checkpoint'])
    for key, value in golden['checkpoint'].items():
        np.testing.assert_allclose(saved[key], value, rtol=1e-5, atol=1e-7, err_msg=key)


def test_learning_rates():
    optimizer, (rate,) = optimizer_builder.build(config(f'adam_optimizer {{ {CONSTANT} }}'))
    assert float(rate) == float(optimizer.learning_rate) == .5
    step = tf.Variable(5, dtype=tf.int64)
    text = ('momentum_optimizer { learning_rate { manual_step_learning_rate { initial_learning_rate: 1 '
            'schedule { step: 6 learning_rate: 0.25 } } } }')
    optimizer, (rate,) = optimizer_builder.build(config(text), global_step=step)
    assert float(rate()) == float(optimizer.lr) == 1.
    step.assign(6)
    assert float(rate()) == float(optimizer.lr) == .25


def test_without_a_global_step_the_learning_rate_follows_the_updates():
    text = ('momentum_optimizer { learning_rate { manual_step_learning_rate { initial_learning_rate: 1 '
            'schedule { step: 1 learning_rate: 0.5 } } } momentum_optimizer_value: 0 } use_moving_average: false')
    variable, (optimizer, _) = tf.Variable([0.]), optimizer_builder.build(config(text))
    for expected in (-1., -1.5):
        optimizer.apply_gradients([(tf.constant([1.]), variable), (None, tf.Variable(1.))])
        np.testing.assert_allclose(variable, [expected])


@pytest.mark.parametrize('average', ['false', 'true'])
def test_tensorflow_restores_its_checkpoints(average, tmp_path):
    text = f'rms_prop_optimizer {{ {CONSTANT} momentum_optimizer_value: 0.9 }} use_moving_average: {average}'
    saved, values = optimizer_builder.build(config(text))[0], variables()
    module = tf.Module()
    module.a, module.b = values
    if average == 'true':
        saved.shadow_copy(module)
    saved.apply_gradients(zip(gradients(1), values))
    path = tf.train.Checkpoint(model=module, optimizer=saved).save(str(tmp_path / 'ckpt'))
    restored, other = optimizer_builder.build(config(text))[0], tf.Module()
    other.a, other.b = variables()
    tf.train.Checkpoint(model=other, optimizer=restored).restore(path).assert_consumed()
    assert int(restored.iterations) == 1
    ours, theirs = ((optimizer.ema_base_optimizer if average == 'true' else optimizer)
                    for optimizer in (restored, saved))
    assert ours.get_slot_names() == ['rms', 'momentum']
    for name in ('rms', 'momentum'):
        np.testing.assert_array_equal(ours.get_slot(other.a, name), theirs.get_slot(module.a, name))
        assert ours.get_slot(other.a, name).numpy().any()
    if average == 'true':
        np.testing.assert_array_equal(restored.get_slot(other.b, 'average'), saved.get_slot(module.b, 'average'))


def test_moving_averages_change_places_with_the_variables():
    model = tf.Module()
    model.a = tf.Variable([1.])
    optimizer, _ = optimizer_builder.build(config(
        f'momentum_optimizer {{ {CONSTANT} momentum_optimizer_value: 0 }} moving_average_decay: 0.5'))
    optimizer.shadow_copy(model)
    optimizer.apply_gradients([(tf.constant([1.]), model.a)])
    average = .5 * (1. - 2. / 11.)  # after the first step the average keeps (1 + 1) / (10 + 1) of its 0
    np.testing.assert_allclose(model.a, [.5])
    optimizer.swap_weights()
    np.testing.assert_allclose(model.a, [average], rtol=1e-6)
    optimizer.swap_weights()
    np.testing.assert_allclose(model.a, [.5])


def test_gradients_of_two_devices_are_summed():
    """In a process of its own, which splits its CPU."""
    code = f'''if True:
        import tensorflow as tf
        cpu = tf.config.list_physical_devices('CPU')[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from google.protobuf import text_format
        from object_detection import protos
        from object_detection.builders import optimizer_builder
        strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
        text = 'momentum_optimizer {{ {CONSTANT} }} use_moving_average: false'
        with strategy.scope():
            variable = tf.Variable([0.])
            optimizer, _ = optimizer_builder.build(text_format.Parse(text, protos.Optimizer()))
        def step():
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            optimizer.apply_gradients([(tf.cast([device], tf.float32) + 1., variable)])
        run = tf.function(lambda: strategy.run(step))
        for _ in range(2):
            run()
            print(strategy.experimental_local_results(variable)[1].numpy()[0])'''
    done = subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2], text=True, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], [-1.5, -1.5 * .9 - 3.], rtol=1e-6)


def test_mistakes_in_the_config():
    with pytest.raises(UserError, match='optimizer: no kind is set; choose one of'):
        optimizer_builder.build(protos.Optimizer())
    with pytest.raises(UserError, match=r'optimizer.adam_optimizer.learning_rate: no kind is set'):
        optimizer_builder.build(config('adam_optimizer { }'))
