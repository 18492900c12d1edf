"""Start values of variables: functions of a shape, float32 arrays out.

NumPy draws them (one generator, reset by `seed`), so that building a model runs no TensorFlow kernel.
"""
import math

import numpy as np

_generator = np.random.default_rng(0)


def seed(value):
    """Restart the generator that all random initializers share."""
    global _generator
    _generator = np.random.default_rng(value)


def constant(value):
    return lambda shape: np.full(shape, value, np.float32)


zeros = constant(0.)
ones = constant(1.)


def random_normal(stddev=1., mean=0.):
    return lambda shape: _normal(shape) * np.float32(stddev) + np.float32(mean)


def truncated_normal(stddev=1., mean=0.):
    """Normal values redrawn while further than two stddev from the mean."""
    def draw(shape):
        values = _normal(shape)
        while (outside := np.abs(values) > 2).any():
            values[outside] = _normal(outside.sum())
        return values * np.float32(stddev) + np.float32(mean)
    return draw


def random_uniform(minval, maxval):
    return lambda shape: _generator.uniform(minval, maxval, shape).astype(np.float32)


def variance_scaling(scale=1., mode='fan_in', uniform=False):
    """Variance scale / fan, where mode is fan_in, fan_out or fan_avg; truncated normal or uniform (Glorot, He)."""
    def draw(shape):
        receptive_field = math.prod(shape[:-2])
        fan_in, fan_out = shape[-2] * receptive_field, shape[-1] * receptive_field
        fan = {'fan_in': fan_in, 'fan_out': fan_out, 'fan_avg': (fan_in + fan_out) / 2}[mode]
        variance = scale / max(1., fan)
        if uniform:
            limit = math.sqrt(3 * variance)
            return random_uniform(-limit, limit)(shape)
        return truncated_normal(math.sqrt(variance) / .87962566103423978)(shape)  # stddev of the cut-off normal
    return draw


glorot_uniform = variance_scaling(1., 'fan_avg', uniform=True)


def _normal(shape):
    return _generator.standard_normal(shape, np.float32)
