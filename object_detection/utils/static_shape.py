"""Dimensions of a tf.TensorShape [batch, height, width, depth], under the reference's names; None if unknown."""
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


def get_dim_as_int(dim: Any) -> int | None:
    """Return a dimension, given as TensorFlow 1 (tf.Dimension) or TensorFlow 2 has it."""
    return getattr(dim, 'value', dim)


def get_batch_size(tensor_shape: 'tf.TensorShape') -> int | None:
    """Return the first dimension; ValueError if the rank is not 4."""
    return _dimension(tensor_shape, 0)


def get_height(tensor_shape: 'tf.TensorShape') -> int | None:
    """Return the second dimension; ValueError if the rank is not 4."""
    return _dimension(tensor_shape, 1)


def get_width(tensor_shape: 'tf.TensorShape') -> int | None:
    """Return the third dimension; ValueError if the rank is not 4."""
    return _dimension(tensor_shape, 2)


def get_depth(tensor_shape: 'tf.TensorShape') -> int | None:
    """Return the fourth dimension; ValueError if the rank is not 4."""
    return _dimension(tensor_shape, 3)


def _dimension(tensor_shape: 'tf.TensorShape', axis: int) -> int | None:
    tensor_shape.assert_has_rank(4)
    return get_dim_as_int(tensor_shape[axis])
