"""Optimizers whose state has the reference's checkpoint keys, both ways.

Each variable is updated by one training kernel, because half the time of tracing a step goes by the number of ops.
TensorFlow's checkpointing finds slot variables through get_slot_names and get_slot; their keys are
VARIABLE/.OPTIMIZER_SLOT/optimizer/SLOT. The scalars iter, decay, momentum, ... are saved because the reference expects
them. Updates use the values of the config, so a changed config takes effect on resume.
"""
import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection import protos
from object_detection.layers import core
from object_detection.training import schedules

Gradients = Sequence[tf.Tensor | None]


class Optimizer(tf.Module, abc.ABC):
    """Base class: iteration count, slots, learning rate.

    Args:
        variables: the trainable variables; each gets one float32 slot of its shape per slot name.
        learning_rate: function of the global step (training/schedules.py).
        slot_names: the reference's names.
        decay: divides the learning rate by 1 + decay * iterations, like the `decay` of Keras.
        hypers: further scalars to save in checkpoints, {name: value}.
    Attributes:
        loss_scale: the LossScale (training/mixed_precision.py) that is saved with it; None for none.
    """
    loss_scale: tf.Module | None = None

    def __init__(self, variables: Sequence[tf.Variable], learning_rate: schedules.Schedule, slot_names: Iterable[str],
                 decay: float = 0., **hypers: float):
        super().__init__()
        self.iter = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        hypers['decay'] = decay
        for name, value in hypers.items():
            setattr(self, name, tf.Variable(value, dtype=tf.float32, trainable=False))
        self.learning_rate = learning_rate
        self._hypers = core.Untracked(**hypers)
        # In the object graph only get_slot may lead to the slots.
        self._slots = core.Untracked(**{name: {} for name in slot_names})
        self.add_slots(variables)

    def add_slots(self, variables: Iterable[tf.Variable]) -> None:
        """Make the slots of those variables that have none yet."""
        for slots in vars(self._slots).values():
            slots.update({id(v): _zeros(v) for v in variables if id(v) not in slots})

    @abc.abstractmethod
    def _update_function(self, rate: tf.Tensor, iteration: tf.Tensor) -> Callable[[tf.Variable, tf.Tensor], None]:
        """Return a function of a variable and its gradient that updates the variable.

        Args:
            rate: scalar, the learning rate.
            iteration: float32 scalar, from 1.
        """

    def get_slot_names(self) -> list[str]:
        return list(vars(self._slots))

    def get_slot(self, variable: tf.Variable, name: str) -> tf.Variable:
        """Return a slot of one variable; KeyError if there is none."""
        return vars(self._slots)[name][id(variable)]

    def _create_or_restore_slot_variable(self, slot_variable_position: Any, slot_name: str,
                                         variable: tf.Variable) -> tf.Variable:
        """Return the slot that tf.train.Checkpoint.restore is about to fill."""
        del slot_variable_position
        self.add_slots([variable])
        return self.get_slot(variable, slot_name)

    def apply(self, gradients: Gradients, variables: Sequence[tf.Variable], step: tf.Tensor) -> None:
        """Update each variable by its gradient (None: leave it), at the learning rate of global `step`."""
        rate = self.learning_rate(step)
        if self._hypers.decay:
            rate /= 1. + self._hypers.decay * tf.cast(self.iter, tf.float32)
        iteration = self.iter.read_value() + 1
        # Not assign_add: with several devices that is no op inside a tf.cond.
        tf.raw_ops.AssignVariableOp(resource=self.iter.handle, value=iteration)
        update = self._update_function(rate, tf.cast(iteration, tf.float32))
        for gradient, variable in zip(gradients, variables):
            if gradient is not None:
                update(variable, core.cast(gradient, variable.dtype))

    def reset_hypers(self) -> None:
        """Set the saved scalars to the values of the config again, after a restore."""
        for name, value in vars(self._hypers).items():
            getattr(self, name).assign(value)


class Momentum(Optimizer):
    """accumulator = momentum * accumulator - rate * gradient; variable += accumulator (plain descent if momentum 0)."""

    def __init__(self, variables: Sequence[tf.Variable], learning_rate: schedules.Schedule, momentum: float = .9):
        super().__init__(variables, learning_rate, ['momentum'] if momentum else [], momentum=momentum)

    def _update_function(self, rate, iteration):
        momentum = tf.constant(self._hypers.momentum, tf.float32)

        def descend(variable, gradient):
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)

        def roll(variable, gradient):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle, accum=self.get_slot(variable, 'momentum').handle, lr=rate, grad=gradient,
                momentum=momentum)
        return roll if self._hypers.momentum else descend


class RMSProp(Optimizer):
    """Hinton's RMSProp. As in the reference, epsilon is inside the root with momentum, and outside without.

    The reference under TensorFlow 2 takes the config's `decay` as a decay of the learning rate over time; the decay of
    the mean square is always 0.9.
    """

    def __init__(self, variables: Sequence[tf.Variable], learning_rate: schedules.Schedule, decay: float = .9,
                 momentum: float = .9, epsilon: float = 1., rho: float = .9):
        super().__init__(variables, learning_rate, ['rms', 'momentum'] if momentum else ['rms'],
                         decay=decay, momentum=momentum, rho=rho)
        self._epsilon = epsilon

    def _update_function(self, rate, iteration):
        rho, momentum, epsilon = map(tf.constant, (self._hypers.rho, self._hypers.momentum, self._epsilon))

        def with_momentum(variable, gradient):
            tf.raw_ops.ResourceApplyRMSProp(
                var=variable.handle, ms=self.get_slot(variable, 'rms').handle,
                mom=self.get_slot(variable, 'momentum').handle, lr=rate, rho=rho, momentum=momentum, epsilon=epsilon,
                grad=gradient)

        def without(variable, gradient):
            square = self.get_slot(variable, 'rms')
            mean = rho * square.read_value() + (1. - rho) * gradient * gradient
            tf.raw_ops.AssignVariableOp(resource=square.handle, value=mean)
            tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=rate * gradient / (tf.sqrt(mean) + epsilon))
        return with_momentum if self._hypers.momentum else without


class Adam(Optimizer):
    """Kingma and Ba 2015, with the paper's "epsilon hat" as in the reference."""

    def __init__(self, variables: Sequence[tf.Variable], learning_rate: schedules.Schedule, epsilon: float = 1e-8,
                 beta_1: float = .9, beta_2: float = .999):
        super().__init__(variables, learning_rate, ['m', 'v'], beta_1=beta_1, beta_2=beta_2)
        self._epsilon = epsilon

    def _update_function(self, rate, iteration):
        beta_1, beta_2, epsilon = map(tf.constant, (self._hypers.beta_1, self._hypers.beta_2, self._epsilon))
        power_1, power_2 = tf.pow(beta_1, iteration), tf.pow(beta_2, iteration)

        def update(variable, gradient):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=self.get_slot(variable, 'm').handle, v=self.get_slot(variable, 'v').handle,
                beta1_power=power_1, beta2_power=power_2, lr=rate, beta1=beta_1, beta2=beta_2, epsilon=epsilon,
                grad=gradient)
        return update


class MovingAverage(tf.Module):
    """Another optimizer, with an exponential moving average of every variable (slot `average`).

    After step n: average += (1 - d) * (variable - average), with d = min(decay, (1 + n) / (10 + n)). The averages
    start at 0 and are close to the variables after the first step. Evaluation and export use them if the config sets
    use_moving_averages.

    Attributes:
        loss_scale: as that of Optimizer.
    """
    loss_scale: tf.Module | None = None

    def __init__(self, optimizer: Optimizer, variables: Sequence[tf.Variable], decay: float):
        super().__init__()
        self.ema_base_optimizer = optimizer  # the reference's name
        self._decay = decay
        self.learning_rate = optimizer.learning_rate
        self._kept = core.Untracked(variables=[], averages={})
        self.add_averages(variables)

    def add_averages(self, variables: Iterable[tf.Variable]) -> None:
        """Average those variables too that are not averaged yet, from 0."""
        new = [v for v in variables if id(v) not in self._kept.averages]
        self._kept.variables.extend(new)
        self._kept.averages.update({id(v): _zeros(v) for v in new})

    @property
    def iter(self) -> tf.Variable:
        return self.ema_base_optimizer.iter

    def get_slot_names(self) -> list[str]:
        return ['average']

    def get_slot(self, variable: tf.Variable, name: str) -> tf.Variable:
        return {'average': self._kept.averages}[name][id(variable)]

    def _create_or_restore_slot_variable(self, slot_variable_position: Any, slot_name: str,
                                         variable: tf.Variable) -> tf.Variable:
        """Return the average that tf.train.Checkpoint.restore is about to fill."""
        del slot_variable_position
        self.add_averages([variable])
        return self.get_slot(variable, slot_name)

    def swap(self) -> None:
        """Exchange the values of the variables and their averages."""
        for variable in self._kept.variables:
            average, value = self.get_slot(variable, 'average'), tf.identity(variable)
            variable.assign(average)
            average.assign(value)

    def apply(self, gradients: Gradients, variables: Sequence[tf.Variable], step: tf.Tensor) -> None:
        self.ema_base_optimizer.apply(gradients, variables, step)
        n = tf.cast(self.iter, tf.float32)
        rate = 1. - tf.minimum(self._decay, (1. + n) / (10. + n))
        for variable in self._kept.variables:  # those not being trained too: a checkpoint has averages of all
            average = self.get_slot(variable, 'average')
            change = (average.read_value() - variable.read_value()) * rate
            tf.raw_ops.AssignSubVariableOp(resource=average.handle, value=change)

    def reset_hypers(self) -> None:
        self.ema_base_optimizer.reset_hypers()


def build(config: protos.Optimizer, variables: Sequence[tf.Variable],
          learning_rate_factor: float = 1.) -> Optimizer | MovingAverage:
    """Build the optimizer of a config that has passed config/checks, with slots for `variables`."""
    kind = config.WhichOneof('optimizer')
    c = getattr(config, kind)
    rate = schedules.scaled(schedules.build(c.learning_rate), learning_rate_factor)
    if kind == 'momentum_optimizer':
        optimizer: Optimizer = Momentum(variables, rate, c.momentum_optimizer_value)
    elif kind == 'rms_prop_optimizer':
        optimizer = RMSProp(variables, rate, c.decay, c.momentum_optimizer_value, c.epsilon)
    else:
        optimizer = Adam(variables, rate, c.epsilon)
    return MovingAverage(optimizer, variables, config.moving_average_decay) if config.use_moving_average else optimizer


def clip_by_global_norm(gradients: Gradients, limit: float) -> list[tf.Tensor | None]:
    """Scale gradients so that their joint L2 norm is at most `limit`; to NaN if it is not finite. None stays None."""
    norm = tf.sqrt(2. * tf.add_n([tf.nn.l2_loss(g) for g in gradients if g is not None]))
    scale = tf.where(tf.math.is_finite(norm), limit / tf.maximum(norm, limit), float('nan'))
    return [None if g is None else g * scale for g in gradients]


def _zeros(variable):
    return tf.Variable(np.zeros(variable.shape, variable.dtype.as_numpy_dtype), trainable=False)
