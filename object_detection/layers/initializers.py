"""Initial values of variables: functions of a shape that return float32 arrays.

NumPy draws them (one generator, reset by `seed`), so that building a model runs no TensorFlow kernel.
"""
import math
from collections.abc import Callable

import numpy as np

Initializer = Callable[[tuple[int, ...]], np.ndarray]  # shape -> float32 array of that shape

_generator = np.random.default_rng(0)


def seed(value: int) -> None:
    """Restart the generator that all random initializers share."""
    global _generator
    _generator = np.random.default_rng(value)


def constant(value: float) -> Initializer:
    """Return an initializer that fills the array with `value`."""
    return lambda shape: np.full(shape, value, np.float32)


zeros = constant(0.)
ones = constant(1.)


def random_normal(stddev: float = 1., mean: float = 0.) -> Initializer:
    """Return an initializer that draws from a normal distribution."""
    return lambda shape: _normal(shape) * np.float32(stddev) + np.float32(mean)


def truncated_normal(stddev: float = 1., mean: float = 0.) -> Initializer:
    """Return an initializer that draws from a normal distribution, again where a value is over two stddev away."""
    def draw(shape):
        values = _normal(shape)
        while (outside := np.abs(values) > 2).any():
            values[outside] = _normal(outside.sum())
        return values * np.float32(stddev) + np.float32(mean)
    return draw


def random_uniform(minval: float, maxval: float) -> Initializer:
    """Return an initializer that draws uniformly from [minval, maxval)."""
    return lambda shape: _generator.uniform(minval, maxval, shape).astype(np.float32)


def variance_scaling(scale: float = 1., mode: str = 'fan_in', uniform: bool = False) -> Initializer:
    """Return an initializer of variance scale / fan, drawn from a truncated normal or a uniform distribution.

    Args:
        mode: 'fan_in' (He et al. 2015), 'fan_out', or 'fan_avg', their mean (Glorot and Bengio 2010). The last two
            dimensions of the shape are the input and output channels.
    """
    def draw(shape):
        receptive_field = math.prod(shape[:-2])
        fan_in, fan_out = shape[-2] * receptive_field, shape[-1] * receptive_field
        fan = {'fan_in': fan_in, 'fan_out': fan_out, 'fan_avg': (fan_in + fan_out) / 2}[mode]
        variance = scale / max(1., fan)
        if uniform:
            limit = math.sqrt(3 * variance)
            return random_uniform(-limit, limit)(shape)
        return truncated_normal(math.sqrt(variance) / .87962566103423978)(shape)  # stddev of the truncated normal
    return draw


glorot_uniform = variance_scaling(1., 'fan_avg', uniform=True)


def _normal(shape):
    return _generator.standard_normal(shape, np.float32)
