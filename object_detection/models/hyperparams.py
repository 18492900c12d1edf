"""Read the Hyperparams messages of a config (conv_hyperparams, fc_hyperparams) into layers.hyperparams.Hyperparams."""
from typing import Any

import tensorflow as tf

from object_detection import protos
from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams

ACTIVATIONS = {'NONE': None, 'RELU': tf.nn.relu, 'RELU_6': tf.nn.relu6, 'SWISH': core.swish}
KERAS_INITIALIZERS = {'zeros': initializers.zeros, 'ones': initializers.ones, **{
    f'{name}_{kind}': initializers.variance_scaling(scale, mode, uniform=kind == 'uniform')
    for name, scale, mode in (('glorot', 1., 'fan_avg'), ('he', 2., 'fan_in'), ('lecun', 1., 'fan_in'))
    for kind in ('normal', 'uniform')}}


def read(message: protos.Hyperparams, freeze_batchnorm: bool = False) -> Hyperparams:
    """Return the settings of a message that has passed config/checks.

    Args:
        freeze_batchnorm: keep the moments of BatchNorm in training, as batch_norm { train: false } does.
    """
    return Hyperparams(initializer=_initializer(message.initializer), regularizer=_regularizer(message.regularizer),
                       activation=ACTIVATIONS[enum_name(message, 'activation')],
                       batch_norm=_batch_norm(message, freeze_batchnorm), force_use_bias=message.force_use_bias)


def _initializer(message):
    kind = message.WhichOneof('initializer_oneof')
    if kind is None:
        return initializers.glorot_uniform
    value = getattr(message, kind)
    if kind == 'truncated_normal_initializer':
        return initializers.truncated_normal(value.stddev, value.mean)
    if kind == 'random_normal_initializer':
        return initializers.random_normal(value.stddev, value.mean)
    if kind == 'variance_scaling_initializer':
        return initializers.variance_scaling(value.factor, enum_name(value, 'mode').lower(), value.uniform)
    return KERAS_INITIALIZERS[value]


def _regularizer(message):
    kind = message.WhichOneof('regularizer_oneof')
    if kind is None:
        return None
    return {'l1_regularizer': core.L1, 'l2_regularizer': core.L2}[kind](getattr(message, kind).weight)


def _batch_norm(message, freeze_batchnorm):
    kind = message.WhichOneof('normalizer_oneof')
    if kind is None:
        return None
    value = getattr(message, kind)
    return {'momentum': value.decay, 'epsilon': value.epsilon, 'center': value.center, 'scale': value.scale,
            'frozen': freeze_batchnorm or not value.train}


def enum_name(message: Any, field: str) -> str:
    """Return the name of the value of an enum field."""
    return message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name
