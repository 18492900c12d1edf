"""MobileNet V1 (Howard et al. 2017, https://arxiv.org/abs/1704.04861) up to its last convolution."""
import functools
from typing import Any

import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams

# (filters, stride) of the 13 pairs of a depthwise and a pointwise convolution
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
# {level: the last pair of its stride}
ENDPOINTS = {2: 3, 3: 5, 4: 11, 5: 13}


def default_hyperparams(freeze_batchnorm: bool = False) -> Hyperparams:
    """Return the settings of MobileNet V1 and V2 that apply unless a config overrides them."""
    return Hyperparams(initializers.truncated_normal(.09), core.L2(4e-5), tf.nn.relu6,
                       {'momentum': .9997, 'epsilon': 1e-3, 'frozen': freeze_batchnorm})


class MobileNetV1(core.Network):
    """Feature maps of levels 2 to 5 (stride 2 ** level).

    Args:
        hyperparams: settings of all convolutions, which have no bias.
        alpha: factor of all channels. It is applied twice (0.5 gives a quarter), as in the reference.
        min_depth: minimum channels of a convolution.
        use_explicit_padding: pad by a fixed number of pixels instead of 'SAME'.
        filters: {pair: filters} to replace those in PAIRS; alpha is applied once to them.
    Attributes:
        channels: {level: channels of the feature map}.
    """

    def __init__(self, hyperparams: Hyperparams, alpha: float = 1., min_depth: int = 0,
                 use_explicit_padding: bool = False, filters: dict[int, int] | None = None) -> None:
        super().__init__()
        padding = [functools.partial(core.pad_for_kernel, kernel_size=3)] if use_explicit_padding else []
        spatial: dict[str, Any] = {'use_bias': False, 'padding': 'VALID' if padding else 'SAME'}

        def scaled(count):
            return max(int(count * alpha), min_depth)
        channels = scaled(int(32 * alpha))
        steps = [*padding, self.add(hyperparams.conv(3, channels, 3, strides=2, **spatial)),
                 *self._norm_and_activation(hyperparams, channels)]
        widths, stages = {}, []
        for pair, (count, strides) in enumerate(PAIRS, 1):
            steps += [*padding, self.add(hyperparams.depthwise(channels, 3, strides=strides, **spatial)),
                      *self._norm_and_activation(hyperparams, channels)]
            replaced = (filters or {}).get(pair)
            inputs, channels = channels, scaled(replaced or int(count * alpha))
            steps += [self.add(hyperparams.conv(inputs, channels, 1, use_bias=False)),
                      *self._norm_and_activation(hyperparams, channels)]
            if pair in ENDPOINTS.values():
                stages.append(core.Sequence(steps))
                steps = []
                widths[len(stages) + 1] = channels
        self.channels = widths
        self._parts = core.Untracked(stages=stages)

    def __call__(self, images: tf.Tensor, training: bool = False) -> dict[int, tf.Tensor]:
        """Normalized images [B, H, W, 3] -> {level: [B, H / 2 ** level, W / 2 ** level, channels[level]]}."""
        x, maps = images, {}
        for level, stage in zip(ENDPOINTS, self._parts.stages):
            maps[level] = x = stage(x, training)
        return maps

    def _norm_and_activation(self, hyperparams, channels):
        norm = hyperparams.norm(channels)
        return [norm and self.add(norm), hyperparams.activation]
