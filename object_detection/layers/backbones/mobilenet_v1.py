"""MobileNet V1 (Howard et al. 2017, https://arxiv.org/abs/1704.04861) up to its last convolution."""
import functools

import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams

# (filters, stride) of the 13 pairs of depthwise and pointwise convolution
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
# The pair a level ends with
ENDPOINTS = {2: 3, 3: 5, 4: 11, 5: 13}


def default_hyperparams(freeze_batch_norm=False):
    """What the network is made with unless a config overrides it."""
    return Hyperparams(initializers.truncated_normal(.09), core.L2(4e-5), tf.nn.relu6,
                       {'momentum': .9997, 'epsilon': 1e-3, 'frozen': freeze_batch_norm})


class MobileNetV1(core.Network):
    """Levels 2 to 5 (stride 2 ** level).

    Args:
        hyperparams: Hyperparams of all convolutions; they have no bias.
        alpha: factor of all channels. The reference applies it twice (0.5 gives a quarter), and so does this.
        min_depth: fewest channels of a convolution.
        use_explicit_padding: padding that does not depend on the size.
        filters: {pair: filters} in place of those in PAIRS; alpha is applied once to them.
    Attributes:
        channels: {level: channels}
    """

    def __init__(self, hyperparams, alpha=1., min_depth=0, use_explicit_padding=False, filters=None):
        super().__init__()
        padding = [functools.partial(core.pad_for_kernel, kernel_size=3)] if use_explicit_padding else []
        spatial = {'use_bias': False, 'padding': 'VALID' if padding else 'SAME'}

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
        self._run = lambda x, training: _levels(stages, x, training)

    def __call__(self, images, training=False):
        """images [B, H, W, 3], normalised -> {level: [B, H / 2 ** level, W / 2 ** level, channels[level]]}."""
        return self._run(images, training)

    def _norm_and_activation(self, hyperparams, channels):
        norm = hyperparams.norm(channels)
        return [norm and self.add(norm), hyperparams.activation]


def _levels(stages, x, training):
    maps = {}
    for level, stage in zip(ENDPOINTS, stages):
        maps[level] = x = stage(x, training)
    return maps
