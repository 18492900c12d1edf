"""Optimizers whose state has the reference's checkpoint keys, both ways.

One training kernel per variable and nothing around it: half of what tracing a step costs is the number of operations.
Slot variables are found by TensorFlow's checkpointing through get_slot_names and get_slot, and stand in a checkpoint
as VARIABLE/.OPTIMIZER_SLOT/optimizer/SLOT. The scalars iter, decay, momentum, ... are saved because the reference
expects them; what is computed with comes from the config, so that a changed config counts on resume.
"""
import numpy as np
import tensorflow as tf

from object_detection.training import schedules


class Optimizer(tf.Module):
    """Base: iteration count, slots, learning rate.

    A subclass has `update_function(rate, iteration)`: a function of (variable, gradient) that moves one variable;
    rate is a scalar tensor, iteration a float32 one that counts from 1.

    Args:
        variables: the trainable variables; each gets one float32 slot of its own shape per slot name.
        learning_rate: function of the global step (training/schedules.py).
        slot_names: the reference's names.
        decay: learning rate / (1 + decay * iterations), as Keras' `decay`.
        hypers: further scalars to keep in checkpoints, {name: value}.
    """

    def __init__(self, variables, learning_rate, slot_names, decay=0., **hypers):
        super().__init__()
        self.iter = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        hypers['decay'] = decay
        for name, value in hypers.items():
            setattr(self, name, tf.Variable(value, dtype=tf.float32, trainable=False))
        self.learning_rate = learning_rate
        # setattr would put these into the object graph, where only get_slot must lead to the slots.
        vars(self).update(_hypers=hypers, _slots={name: {id(v): _zeros(v) for v in variables} for name in slot_names})

    def get_slot_names(self):
        return list(self._slots)

    def get_slot(self, variable, name):
        """The slot of one variable; KeyError if there is none."""
        return self._slots[name][id(variable)]

    def apply(self, gradients, variables, step):
        """Move each variable by its gradient (None: leave it), at the learning rate of global `step`."""
        rate = self.learning_rate(step)
        if self._hypers['decay']:
            rate /= 1. + self._hypers['decay'] * tf.cast(self.iter, tf.float32)
        iteration = self.iter.assign_add(1, read_value=True)
        update = self.update_function(rate, tf.cast(iteration, tf.float32))
        for gradient, variable in zip(gradients, variables):
            if gradient is not None:
                update(variable, tf.cast(gradient, variable.dtype))

    def reset_hypers(self):
        """Give the saved scalars the config's values again, after a restore."""
        for name, value in self._hypers.items():
            getattr(self, name).assign(value)


class Momentum(Optimizer):
    """accumulator = momentum * accumulator - rate * gradient; variable += accumulator (plain descent if momentum 0)."""

    def __init__(self, variables, learning_rate, momentum=.9):
        super().__init__(variables, learning_rate, ['momentum'] if momentum else [], momentum=momentum)

    def update_function(self, rate, iteration):
        momentum = tf.constant(self._hypers['momentum'], tf.float32)

        def descend(variable, gradient):
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)

        def roll(variable, gradient):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle, accum=self.get_slot(variable, 'momentum').handle, lr=rate, grad=gradient,
                momentum=momentum)
        return roll if self._hypers['momentum'] else descend


class RMSProp(Optimizer):
    """Hinton's RMSProp; with momentum the epsilon stands inside the root, without it outside, as in the reference.

    The reference's TF2 path reads the config's `decay` as a decay of the learning rate over time, and keeps 0.9 as
    the decay of the mean square.
    """

    def __init__(self, variables, learning_rate, decay=.9, momentum=.9, epsilon=1., rho=.9):
        super().__init__(variables, learning_rate, ['rms', 'momentum'] if momentum else ['rms'],
                         decay=decay, momentum=momentum, rho=rho)
        self._epsilon = epsilon

    def update_function(self, rate, iteration):
        rho, momentum, epsilon = map(tf.constant, (self._hypers['rho'], self._hypers['momentum'], self._epsilon))

        def with_momentum(variable, gradient):
            tf.raw_ops.ResourceApplyRMSProp(
                var=variable.handle, ms=self.get_slot(variable, 'rms').handle,
                mom=self.get_slot(variable, 'momentum').handle, lr=rate, rho=rho, momentum=momentum, epsilon=epsilon,
                grad=gradient)

        def without(variable, gradient):
            square = self.get_slot(variable, 'rms')
            square.assign(rho * square + (1. - rho) * gradient * gradient, read_value=False)
            variable.assign_sub(rate * gradient / (tf.sqrt(square) + epsilon), read_value=False)
        return with_momentum if self._hypers['momentum'] else without


class Adam(Optimizer):
    """Kingma and Ba 2015, with the paper's "epsilon hat" as in the reference."""

    def __init__(self, variables, learning_rate, epsilon=1e-8, beta_1=.9, beta_2=.999):
        super().__init__(variables, learning_rate, ['m', 'v'], beta_1=beta_1, beta_2=beta_2)
        self._epsilon = epsilon

    def update_function(self, rate, iteration):
        beta_1, beta_2, epsilon = map(tf.constant, (self._hypers['beta_1'], self._hypers['beta_2'], self._epsilon))
        power_1, power_2 = tf.pow(beta_1, iteration), tf.pow(beta_2, iteration)

        def update(variable, gradient):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=self.get_slot(variable, 'm').handle, v=self.get_slot(variable, 'v').handle,
                beta1_power=power_1, beta2_power=power_2, lr=rate, beta1=beta_1, beta2=beta_2, epsilon=epsilon,
                grad=gradient)
        return update


class MovingAverage(tf.Module):
    """Another optimizer, and a slowly moving average of every variable beside it (slot `average`).

    After step n: average += (1 - d) * (variable - average), with d = min(decay, (1 + n) / (10 + n)). The averages
    start at 0 and are nearly the variables after the first step. Evaluation and export use them where the config says
    use_moving_averages.
    """

    def __init__(self, optimizer, variables, decay):
        super().__init__()
        self.ema_base_optimizer = optimizer  # the reference's name
        self._decay = decay
        self.learning_rate = optimizer.learning_rate
        vars(self).update(_variables=list(variables), _averages={id(v): _zeros(v) for v in variables})

    @property
    def iter(self):
        return self.ema_base_optimizer.iter

    def get_slot_names(self):
        return ['average']

    def get_slot(self, variable, name):
        return {'average': self._averages}[name][id(variable)]

    def apply(self, gradients, variables, step):
        self.ema_base_optimizer.apply(gradients, variables, step)
        n = tf.cast(self.iter, tf.float32)
        rate = 1. - tf.minimum(self._decay, (1. + n) / (10. + n))
        for variable in self._variables:  # those that are not trained too: averages stand for the whole model
            average = self.get_slot(variable, 'average')
            change = (average.read_value() - variable.read_value()) * rate
            tf.raw_ops.AssignSubVariableOp(resource=average.handle, value=change)

    def reset_hypers(self):
        self.ema_base_optimizer.reset_hypers()


def build(config, variables):
    """The optimizer of an Optimizer message, with slots for `variables`."""
    kind = config.WhichOneof('optimizer')
    c = getattr(config, kind)
    rate = schedules.build(c.learning_rate)
    if kind == 'momentum_optimizer':
        optimizer = Momentum(variables, rate, c.momentum_optimizer_value)
    elif kind == 'rms_prop_optimizer':
        optimizer = RMSProp(variables, rate, c.decay, c.momentum_optimizer_value, c.epsilon)
    else:
        optimizer = Adam(variables, rate, c.epsilon)
    if config.use_moving_average:
        optimizer = MovingAverage(optimizer, variables, config.moving_average_decay)
    return optimizer


def clip_by_global_norm(gradients, limit):
    """Gradients (None allowed) scaled so that their joint L2 norm is at most `limit`; NaN where it is not finite."""
    norm = tf.sqrt(2. * tf.add_n([tf.nn.l2_loss(g) for g in gradients if g is not None]))
    scale = tf.where(tf.math.is_finite(norm), limit / tf.maximum(norm, limit), float('nan'))
    return [None if g is None else g * scale for g in gradients]


def _zeros(variable):
    return tf.Variable(np.zeros(variable.shape, variable.dtype.as_numpy_dtype), trainable=False)
