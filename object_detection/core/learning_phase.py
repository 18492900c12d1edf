"""Keras's learning phase, by which programs for the TF2 Object Detection API say whether BatchNorm is training.

Keras 3, which comes with TensorFlow 2.16 and later, has none: `tf.keras.backend.set_learning_phase(True)` ended such
programs with an AttributeError.
"""
import functools
from types import ModuleType

import tensorflow as tf

_phase = {'training': False}  # of programs without Keras, or with Keras 3


def provide() -> None:
    """Give tf.keras.backend the functions set_learning_phase and learning_phase if it lacks them."""
    backend = _backend()
    if backend and not hasattr(backend, 'set_learning_phase'):
        vars(backend).update(set_learning_phase=_set, learning_phase=_get)


def is_training() -> bool:
    """Return whether the learning phase is training; it is not until somebody sets it."""
    with tf.init_scope():  # older Keras returns a symbolic tensor inside a graph
        return bool(getattr(_backend(), 'learning_phase', _get)())


def set_training(training: bool) -> None:
    """Set the learning phase."""
    getattr(_backend(), 'set_learning_phase', _set)(training)


@functools.cache  # TensorFlow recurses for ever when it is asked a second time for a Keras that is not there
def _backend() -> ModuleType | None:
    try:
        return tf.keras.backend
    except ImportError:  # TF_USE_LEGACY_KERAS without the package tf_keras
        return None


def _set(value: bool | int) -> None:
    _phase['training'] = bool(value)


def _get() -> int:
    return int(_phase['training'])
