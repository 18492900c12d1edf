"""Build an optimizer from train_config.optimizer.

    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizer, (learning_rate,) = optimizer_builder.build(train_config.optimizer, global_step=step)
    optimizer.apply_gradients(zip(gradients, variables))
    step.assign_add(1)
"""
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from object_detection import protos
from object_detection.builders import checked
from object_detection.config import checks
from object_detection.layers.core import Untracked
from object_detection.training import optimizer as optimizers


class Optimizer(tf.Module):
    """An optimizer of object_detection.training with the methods of a Keras optimizer that training loops use.

    It computes what the reference's optimizers compute, and its checkpoints are theirs, both ways. It is no
    tf.keras.optimizers.Optimizer: those of Keras 3 compute and store other things.

    Args:
        config: an Optimizer message.
        global_step: the learning rate follows it; None for the number of calls of apply_gradients.
    """

    def __init__(self, config: protos.Optimizer, global_step: tf.Variable | None = None) -> None:
        super().__init__()
        inner = optimizers.build(config, [])
        self._adapted = Untracked(optimizer=inner, global_step=inner.iter if global_step is None else global_step)
        for name, part in tf.train.TrackableView.children(inner).items():
            setattr(self, name, part)

    @property
    def iterations(self) -> tf.Variable:
        """Number of calls of apply_gradients."""
        return self._adapted.optimizer.iter

    @property
    def learning_rate(self) -> tf.Tensor:
        """The learning rate now, a float32 scalar."""
        return self._adapted.optimizer.learning_rate(tf.convert_to_tensor(self._adapted.global_step))

    lr = learning_rate

    def apply_gradients(self, grads_and_vars: Iterable[tuple[tf.Tensor | None, tf.Variable]],
                        name: str | None = None) -> None:
        """Move each variable by its gradient (None: leave it). On several devices the gradients are summed up first."""
        del name
        inner = self._adapted.optimizer
        gradients, variables = map(list, zip(*grads_and_vars))
        with tf.init_scope():
            getattr(inner, 'ema_base_optimizer', inner).add_slots(variables)
        replicas = tf.distribute.get_replica_context()
        if replicas and replicas.num_replicas_in_sync > 1:
            summed = iter(replicas.all_reduce(tf.distribute.ReduceOp.SUM, [g for g in gradients if g is not None]))
            gradients = [None if gradient is None else next(summed) for gradient in gradients]
        inner.apply(gradients, variables, tf.convert_to_tensor(self._adapted.global_step))

    def shadow_copy(self, model: tf.Module) -> None:
        """Average the model's trainable variables from now on; needs use_moving_average."""
        self._adapted.optimizer.add_averages(model.trainable_variables)

    def swap_weights(self) -> None:
        """Exchange the variables with their averages; needs use_moving_average."""
        self._adapted.optimizer.swap()

    def get_slot_names(self) -> list[str]:
        return self._adapted.optimizer.get_slot_names()

    def get_slot(self, var: tf.Variable, slot_name: str) -> tf.Variable:
        """Return the slot of a variable; KeyError if there is none."""
        return self._adapted.optimizer.get_slot(var, slot_name)

    def _create_or_restore_slot_variable(self, **arguments: Any) -> tf.Variable:
        return self._adapted.optimizer._create_or_restore_slot_variable(**arguments)


def build(config: protos.Optimizer, global_step: tf.Variable | None = None
          ) -> tuple[Optimizer, list[tf.Tensor | Callable[[], tf.Tensor]]]:
    """Build the optimizer of an Optimizer message.

    Args:
        global_step: int64 variable that the learning rate follows; None for the number of updates.
    Returns:
        The optimizer, and a list with its learning rate: a float32 scalar if it is constant, else a function that
        returns what it is now.
    Raises:
        ConfigError: something in the message is wrong or not supported.
    """
    checked.demand(checks.check_part(config, 'optimizer'))
    optimizer = Optimizer(config, global_step)
    schedule = getattr(config, config.WhichOneof('optimizer')).learning_rate
    if schedule.WhichOneof('learning_rate') == 'constant_learning_rate':
        return optimizer, [optimizer.learning_rate]
    return optimizer, [lambda: optimizer.learning_rate]
