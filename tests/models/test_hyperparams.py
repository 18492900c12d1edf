"""conv_hyperparams of a config, as the reference understands them."""
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.layers import core
from object_detection.models import build_parts


def _read(text, **keywords):
    return build_parts.hyperparams(text_format.Parse(text, protos.Hyperparams()), **keywords)


def test_defaults():
    made = _read('')
    assert made.activation is tf.nn.relu
    assert made.batch_norm is None
    assert made.regularizer is None
    assert made.use_bias
    limit = (6 / (9 * 20 + 9 * 30)) ** .5  # Glorot uniform
    values = made.initializer((3, 3, 20, 30))
    assert np.abs(values).max() <= limit
    assert values.std() == pytest.approx(limit / 3 ** .5, rel=.02)


@pytest.mark.parametrize(('name', 'function'), [('NONE', None), ('RELU', tf.nn.relu), ('RELU_6', tf.nn.relu6),
                                                ('SWISH', core.swish)])
def test_activation(name, function):
    assert _read(f'activation: {name}').activation is function


def test_regularizer():
    assert _read('regularizer { l2_regularizer { weight: 0.5 } }').regularizer == core.L2(.5)
    assert _read('regularizer { l1_regularizer { weight: 0.25 } }').regularizer == core.L1(.25)
    assert float(core.L2(.5)([tf.constant([2., 4.])])) == .5 * (4 + 16) / 2


@pytest.mark.parametrize(('text', 'mean', 'stddev', 'largest'), [
    ('truncated_normal_initializer { mean: 1 stddev: 0.5 }', 1., .5 * .8796, 2.),
    ('random_normal_initializer { mean: -1 stddev: 0.5 }', -1., .5, 4.),
    ('variance_scaling_initializer { factor: 2 }', 0., (2 / 360) ** .5, 1.),
    ('variance_scaling_initializer { factor: 1 mode: FAN_OUT }', 0., (1 / 450) ** .5, 1.),
    ('variance_scaling_initializer { factor: 1 mode: FAN_AVG uniform: true }', 0., (1 / 405) ** .5, 1.),
    ('keras_initializer_by_name: "he_normal"', 0., (2 / 360) ** .5, 1.),
])
def test_initializer(text, mean, stddev, largest):
    values = _read(f'initializer {{ {text} }}').initializer((3, 3, 40, 50))
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(mean, abs=.02)
    assert values.std() == pytest.approx(stddev, rel=.03)
    assert np.abs(values).max() <= largest


def test_batch_norm_and_bias():
    made = _read('batch_norm { decay: 0.9 epsilon: 0.01 }')
    assert made.batch_norm == {'momentum': pytest.approx(.9), 'epsilon': pytest.approx(.01), 'center': True,
                               'scale': False, 'frozen': False}
    assert not made.use_bias
    assert made.norm(4).gamma is None
    assert _read('batch_norm {} force_use_bias: true').use_bias
    assert _read('batch_norm { center: false }').use_bias


def test_frozen_batch_norm():
    assert _read('batch_norm {}', freeze_batchnorm=True).norm(4).frozen
    assert _read('sync_batch_norm { train: false }').norm(4).frozen
