"""Report the steps of the train phase to the parent and to TensorBoard, and stop it when training has failed."""
import collections
import math
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from object_detection import checkpoints
from object_detection.evaluation import summaries
from object_detection.utils.phases import NotFinite, Report

PROGRESS_SECONDS = .5  # how often the parent is told the latest step
ADVICE = ('Lower the learning rate (or lengthen its warmup), set gradient_clipping_by_norm, and look for odd boxes in '
          'the records')


class Monitor:
    """Check and log the losses of each step.

    Args:
        writer: of TensorBoard events.
        learning_rate: function of the global step, a scalar int64 tensor.
        log_every_n: steps from one point in TensorBoard to the next; `target`, the last step, has one too.
    """

    def __init__(self, report: Report, writer: summaries.Writer, learning_rate: Callable[[tf.Tensor], tf.Tensor],
                 log_every_n: int, target: int) -> None:
        self._report, self._writer, self._learning_rate = report, writer, learning_rate
        self._log_every_n, self._target = log_every_n, target
        self._previous: dict[str, tf.Tensor] = {}
        self._times: collections.deque[float] = collections.deque(maxlen=50)
        self._reported = 0.

    def after(self, step: int, losses: dict[str, tf.Tensor]) -> None:
        """Take the losses (scalars) of a step; NotFinite if the total is NaN or infinite."""
        if self._previous:  # a GPU is still busy with this step; looking at the previous one does not hold it up
            check_losses(step - 1, self._previous)
        self._previous = losses
        now = time.monotonic()
        self._times.append(now)
        steps_per_second = (len(self._times) - 1) / max(1e-9, now - self._times[0])
        log = step % self._log_every_n == 0 or step == self._target
        if log or now - self._reported >= PROGRESS_SECONDS:
            self._reported = now
            check_losses(step, losses)
            self._report('progress', step=step, loss=float(losses['Loss/total_loss']),
                         steps_per_second=steps_per_second)
        if log:
            values = {name: float(value) for name, value in losses.items()}
            values['learning_rate'] = float(self._learning_rate(tf.constant(step, tf.int64)))
            self._writer.scalars(step, [*values.items(), ('steps_per_sec', steps_per_second)])
            self._writer.flush()
            self._report('log', step=step, values=values, steps_per_second=steps_per_second)


def check_losses(step: int, losses: dict[str, tf.Tensor]) -> None:
    """Raise NotFinite if the total loss of `step` is NaN or infinite."""
    if not math.isfinite(float(losses['Loss/total_loss'])):
        parts = ', '.join(f'{name} {float(value):g}' for name, value in losses.items())
        raise NotFinite(f'the loss of step {step} is not finite ({parts}). {ADVICE}', step=step)


def check_weights(step: int, model: tf.Module) -> None:
    """Raise NotFinite if a variable of the model holds NaN or infinity after `step`."""
    for key, variable in checkpoints.keys(model).items():
        if not np.isfinite(variable.numpy()).all():
            raise NotFinite(f'{key} is not finite after step {step}. {ADVICE}', step=step)
