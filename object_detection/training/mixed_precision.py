"""Mixed precision (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740): the network computes in 16 bits.

Layers compute in the dtype of their input (layers/core.py), so the images decide. Variables, the moments of batch
normalization, box decoding, losses, the sum of the gradients and the checkpoints stay float32.
"""
import tensorflow as tf

from object_detection.training.optimizer import Gradients
from object_detection.utils import machine
from object_detection.utils.errors import UserError

AUTO, FLOAT32, BFLOAT16, FLOAT16 = 'auto', 'float32', 'mixed_bfloat16', 'mixed_float16'
DTYPES = {FLOAT32: tf.float32, BFLOAT16: tf.bfloat16, FLOAT16: tf.float16}
_GPU_WITH_BFLOAT16 = 8, 0  # compute capability: Ampere


def resolve(choice: str | None, use_bfloat16: bool) -> str:
    """Return FLOAT32, BFLOAT16 or FLOAT16.

    Args:
        choice: one of these, or AUTO: bfloat16 where all devices have instructions for it, else float32. None: what the
            config says.
        use_bfloat16: of train_config: AUTO if it is set, else FLOAT32. Released configs set it for TPUs; where the
            reference trains on other devices, it ignores it.
    Raises:
        UserError: no such choice.
    """
    choice = choice or (AUTO if use_bfloat16 else FLOAT32)
    if choice == AUTO:
        return BFLOAT16 if _has_bfloat16() else FLOAT32
    if choice not in DTYPES:
        raise UserError(f'--precision {choice}: is not one of {AUTO}, {", ".join(DTYPES)}')
    return choice


def _has_bfloat16():
    gpus = tf.config.list_physical_devices('GPU')
    if not gpus:
        return machine.has_bfloat16()
    capabilities = [tf.config.experimental.get_device_details(gpu).get('compute_capability') for gpu in gpus]
    return all(capability and tuple(capability) >= _GPU_WITH_BFLOAT16 for capability in capabilities)


class LossScale(tf.Module):
    """The factor of the loss that keeps small gradients from becoming 0 in float16.

    A step whose gradients are not finite does not update anything but the factor, which it halves; after `growth_steps`
    good steps in a row the factor doubles. The names are those of Keras' LossScaleOptimizer in a checkpoint:
    optimizer/loss_scale/current_loss_scale and .../good_steps.
    """

    def __init__(self, initial: float = 2.**15, growth_steps: int = 2000) -> None:
        super().__init__()
        self._growth_steps = growth_steps
        self.current_loss_scale = _scalar(initial, tf.float32)
        self.good_steps = _scalar(0, tf.int64)

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Return the loss, float32 scalar, times the factor."""
        return loss * self.current_loss_scale.read_value()

    def unscaled(self, gradients: Gradients) -> tuple[list[tf.Tensor | None], tf.Tensor]:
        """Divide gradients by the factor and adjust it for the next step; also return whether all are finite, a bool.

        All devices must pass the same gradients.
        """
        scale, good = self.current_loss_scale.read_value(), self.good_steps.read_value()
        gradients = [None if g is None else g / scale for g in gradients]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients if g is not None])
        grows = good + 1 >= self._growth_steps
        larger = tf.where(tf.logical_and(grows, tf.math.is_finite(2. * scale)), 2. * scale, scale)
        self.current_loss_scale.assign(tf.where(finite, larger, tf.maximum(.5 * scale, 1.)), read_value=False)
        self.good_steps.assign(tf.where(tf.logical_and(finite, tf.logical_not(grows)), good + 1, 0), read_value=False)
        return gradients, finite


def _scalar(value, dtype):
    return tf.Variable(value, dtype=dtype, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
