"""Learning rate schedules: functions of the global step, int64 scalar -> float32 scalar.

They follow the reference under TensorFlow 2, past the last step too.
"""
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from object_detection import protos

Schedule = Callable[[tf.Tensor], tf.Tensor]


def constant(learning_rate: float) -> Schedule:
    return lambda step: tf.constant(learning_rate, tf.float32)


def exponential_decay(initial: float, decay_steps: int, decay_factor: float, staircase: bool = True,
                      burnin: float = 0., burnin_steps: int = 0, minimum: float = 0.) -> Schedule:
    """initial * decay_factor ** ((step - burnin_steps) / decay_steps); `burnin` (0: initial) before burnin_steps."""
    burnin = burnin or initial

    def rate(step):
        exponent = (_float(step) - burnin_steps) / decay_steps
        decayed = initial * tf.pow(decay_factor, tf.floor(exponent) if staircase else exponent)
        return tf.maximum(tf.where(step < burnin_steps, burnin, decayed), minimum)
    return rate


def manual_steps(boundaries: Sequence[int], rates: Sequence[float], warmup: bool = False) -> Schedule:
    """rates[i] from step boundaries[i - 1] on.

    Args:
        boundaries: steps in ascending order, the first above 0.
        rates: one more than boundaries.
        warmup: raise the rate linearly from rates[0] to rates[1] until the first boundary.
    """
    def rate(step):
        index = tf.reduce_sum(tf.cast(step >= tf.constant(boundaries, tf.int64), tf.int32))
        stepped = tf.gather(tf.constant(rates, tf.float32), index)
        if not (warmup and boundaries):
            return stepped
        slope = (rates[1] - rates[0]) / boundaries[0]
        return tf.where(step < boundaries[0], rates[0] + slope * _float(step), stepped)
    return rate


def cosine_decay(base: float, total_steps: int, warmup_rate: float = 0., warmup_steps: int = 0,
                 hold_steps: int = 0) -> Schedule:
    """Linear from warmup_rate to base, base for hold_steps, then half a cosine to 0 at total_steps; 0 afterwards."""
    decay_steps = max(1, total_steps - warmup_steps - hold_steps)

    def rate(step):
        at = _float(step)
        value = .5 * base * (1 + tf.cos(math.pi * (at - warmup_steps - hold_steps) / decay_steps))
        if hold_steps:
            value = tf.where(step > warmup_steps + hold_steps, value, base)
        if warmup_steps:
            value = tf.where(step < warmup_steps, warmup_rate + at * ((base - warmup_rate) / warmup_steps), value)
        return tf.where(step > total_steps, 0., value)
    return rate


def scaled(schedule: Schedule, factor: float) -> Schedule:
    """factor * schedule."""
    return schedule if factor == 1. else lambda step: factor * schedule(step)


def build(config: protos.LearningRate) -> Schedule:
    """Build the schedule of a config that has passed config/checks."""
    kind = config.WhichOneof('learning_rate')
    c = getattr(config, kind)
    if kind == 'constant_learning_rate':
        return constant(c.learning_rate)
    if kind == 'exponential_decay_learning_rate':
        return exponential_decay(c.initial_learning_rate, c.decay_steps, c.decay_factor, c.staircase,
                                 c.burnin_learning_rate, c.burnin_steps, c.min_learning_rate)
    if kind == 'manual_step_learning_rate':
        return manual_steps([s.step for s in c.schedule],
                            [c.initial_learning_rate] + [s.learning_rate for s in c.schedule], c.warmup)
    return cosine_decay(c.learning_rate_base, c.total_steps, c.warmup_learning_rate, c.warmup_steps,
                        c.hold_base_rate_steps)


def _float(step):
    return tf.cast(step, tf.float32)
