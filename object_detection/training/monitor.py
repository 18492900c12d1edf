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
_LOOKS = 50  # over which the rate is a mean
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
        self._unseen: list[tuple[int, dict[str, tf.Tensor]]] = []  # (step, losses)
        self._times: collections.deque[tuple[int, float]] = collections.deque(maxlen=_LOOKS)  # (step, when it was read)
        self._reported = 0.

    def until_log(self, step: int) -> int:
        """Return how many steps after `step` the next one is that has a point in TensorBoard."""
        return min(self._log_every_n - step % self._log_every_n, max(1, self._target - step))

    def after(self, step: int, losses: dict[str, tf.Tensor], count: int = 1) -> None:
        """Take the losses (scalars) of a step; NotFinite if the total is NaN or infinite.

        Reading a loss waits for the GPU. So the losses that came are read together, twice a second and where one is
        logged.

        Args:
            count: steps since the last call. Nobody sees the losses of those in between, but a loss after them is NaN,
                too, if they made a weight NaN.
        """
        self._unseen.append((step, losses))
        log = self.until_log(step - count) == count
        if not log and time.monotonic() - self._reported < PROGRESS_SECONDS:
            return
        self._read()
        self._reported = time.monotonic()
        self._times.append((step, self._reported))
        (first, began), steps_per_second = self._times[0], 0.
        if len(self._times) > 1:
            steps_per_second = (step - first) / max(1e-9, self._reported - began)
        self._report('progress', step=step, loss=float(losses['Loss/total_loss']), steps_per_second=steps_per_second)
        if log:
            values = {name: float(value) for name, value in losses.items()}
            values['learning_rate'] = float(self._learning_rate(tf.constant(step, tf.int64)))
            self._writer.scalars(step, [*values.items(), ('steps_per_sec', steps_per_second)])
            self._writer.flush()
            self._report('log', step=step, values=values, steps_per_second=steps_per_second)

    def _read(self) -> None:
        unseen, self._unseen = self._unseen, []
        totals = tf.stack([losses['Loss/total_loss'] for _, losses in unseen]).numpy()
        for (step, losses), total in zip(unseen, totals):
            if not math.isfinite(total):
                check_losses(step, losses)


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
