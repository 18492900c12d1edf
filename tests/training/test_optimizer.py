"""Schedules and optimizers against numbers that the reference computed (tests/golden/optimizers.json)."""
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.training import optimizer, schedules

GOLDEN = json.loads((Path(__file__).parents[1] / 'golden' / 'optimizers.json').read_text())


def message(name, text):
    return text_format.Parse(text, getattr(protos, name)())


@pytest.mark.parametrize('name', GOLDEN['rates'])
def test_schedules(name):
    golden = GOLDEN['rates'][name]
    rate = schedules.build(message('LearningRate', golden['config']))
    values = [float(rate(tf.constant(step, tf.int64))) for step in range(len(golden['values']))]
    np.testing.assert_allclose(values, golden['values'], atol=1e-8)


def gradients(step):
    return [tf.constant([[.5, -1., .25 * step], [1., 2. - step, 0.]]), tf.constant([.1 * step, -.3])]


@pytest.mark.parametrize('name', GOLDEN['optimizers'])
def test_steps_and_checkpoint(name, tmp_path):
    golden = GOLDEN['optimizers'][name]
    module = tf.Module()
    module.a = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3) / 10)
    module.b = tf.Variable([1., -1.])
    variables, step = [module.a, module.b], tf.Variable(0, dtype=tf.int64)
    optimize = optimizer.build(message('Optimizer', golden['config']), variables)

    @tf.function(autograph=False)
    def train(a, b):
        optimize.apply([a, b], variables, step)
        step.assign_add(1)

    for i, (a, b) in enumerate(golden['after_step'], 1):
        train(*gradients(i))
        np.testing.assert_allclose(module.a.numpy(), a, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(module.b.numpy(), b, rtol=1e-6, atol=1e-7)

    prefix = tf.train.Checkpoint(step=step, model=module, optimizer=optimize).save(str(tmp_path / 'ckpt'))
    reader = tf.train.load_checkpoint(prefix)
    saved = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if 'GRAPH' not in key}
    assert sorted(saved) == sorted(golden['checkpoint'])
    for key, value in golden['checkpoint'].items():
        np.testing.assert_allclose(saved[key], value, rtol=1e-5, atol=1e-7, err_msg=key)


def test_a_variable_without_gradient_stays():
    variable = tf.Variable([1., 2.])
    optimize = optimizer.Momentum([variable], schedules.constant(.1))
    optimize.apply([None], [variable], tf.constant(0, tf.int64))
    assert variable.numpy().tolist() == [1., 2.] and int(optimize.iter) == 1


def test_clip_by_global_norm():
    clipped = optimizer.clip_by_global_norm([tf.constant([3.]), None, tf.constant([0., 4.])], 2.5)  # norm 5
    assert clipped[1] is None
    np.testing.assert_allclose([*clipped[0], *clipped[2]], [1.5, 0., 2.], rtol=1e-6)
    untouched = optimizer.clip_by_global_norm([tf.constant([3., 4.])], 6.)
    np.testing.assert_allclose(untouched[0], [3., 4.], rtol=1e-6)
    assert np.isnan(optimizer.clip_by_global_norm([tf.constant([float('inf')])], 1.)[0]).all()
