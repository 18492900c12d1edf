"""Learning rates as functions of the global step: scalar int64 tensor in, scalar float32 tensor out.

Each follows the reference's TF2 path, including what it does past the last step.
"""
import math

import tensorflow as tf


def constant(learning_rate):
    return lambda step: tf.constant(learning_rate, tf.float32)


def exponential_decay(initial, decay_steps, decay_factor, staircase=True, burnin=0., burnin_steps=0, minimum=0.):
    """initial * decay_factor ** ((step - burnin_steps) / decay_steps); `burnin` (0: initial) before burnin_steps."""
    burnin = burnin or initial

    def rate(step):
        exponent = (_float(step) - burnin_steps) / decay_steps
        decayed = initial * tf.pow(decay_factor, tf.floor(exponent) if staircase else exponent)
        return tf.maximum(tf.where(step < burnin_steps, burnin, decayed), minimum)
    return rate


def manual_steps(boundaries, rates, warmup=False):
    """rates[i] from boundaries[i - 1] on. With `warmup` the first stretch climbs linearly from rates[0] to rates[1].

    Args:
        boundaries: increasing steps, the first above 0.
        rates: one more than boundaries.
    """
    def rate(step):
        index = tf.reduce_sum(tf.cast(step >= tf.constant(boundaries, tf.int64), tf.int32))
        stepped = tf.gather(tf.constant(rates, tf.float32), index)
        if not (warmup and boundaries):
            return stepped
        slope = (rates[1] - rates[0]) / boundaries[0]
        return tf.where(step < boundaries[0], rates[0] + slope * _float(step), stepped)
    return rate


def cosine_decay(base, total_steps, warmup_rate=0., warmup_steps=0, hold_steps=0):
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


def build(config):
    """The schedule of a LearningRate message."""
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
