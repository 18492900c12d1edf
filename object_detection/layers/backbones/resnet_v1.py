"""ResNet V1 with 50, 101 or 152 layers (He et al. 2016, https://arxiv.org/abs/1512.03385) without its classifier."""
import functools

import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams

# blocks of each of the four stages
REPEATS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def default_hyperparams(freeze_batch_norm=False):
    """What the network is made with unless a config overrides it."""
    return Hyperparams(initializers.variance_scaling(), core.L2(2e-4), tf.nn.relu,
                       {'momentum': .997, 'epsilon': 1e-5, 'frozen': freeze_batch_norm})


class ResNetV1(core.Network):
    """Levels 2 to 5 (stride 2 ** level); the stride of a stage lies in its first 1 x 1 convolution.

    Args:
        depth: 50, 101 or 152.
        hyperparams: Hyperparams of all convolutions.
        depth_multiplier, min_depth: factor of all channels, and fewest.
        keras: as in tf.keras.applications: convolutions have a bias, and the pooling's padding does not depend on the
            size.
        levels: those to build, without a gap. Unless they begin at 2, the input is the map of the level before.
    Attributes:
        channels: {level: channels}
    """

    def __init__(self, depth, hyperparams, depth_multiplier=1., min_depth=8, keras=False, levels=(2, 3, 4, 5)):
        super().__init__()

        def scaled(count):
            return max(int(count * depth_multiplier), min_depth)

        def conv(in_channels, filters, kernel_size, **keywords):
            return self.add(hyperparams.conv(in_channels, filters, kernel_size, use_bias=keras, **keywords))

        def norm(channels):
            made = hyperparams.norm(channels)
            return made and self.add(made)
        activation = hyperparams.activation
        channels = {1: scaled(64)} | {level: scaled(64 * 2 ** level) for level in (2, 3, 4, 5)}
        stem = core.Sequence([functools.partial(core.pad_for_kernel, kernel_size=7),
                              conv(3, channels[1], 7, strides=2, padding='VALID'), norm(channels[1]), activation,
                              functools.partial(_pool, pad=keras)]) if levels[0] == 2 else None
        stages = {}
        for level in levels:
            sizes = scaled(16 * 2 ** level), channels[level]
            first = _Block(conv, norm, activation, channels[level - 1], *sizes, 2 if level > 2 else 1, project=True)
            stages[level] = [first, *(_Block(conv, norm, activation, channels[level], *sizes, 1, project=False)
                                      for _ in range(REPEATS[depth][level - 2] - 1))]
        self.channels = {level: channels[level] for level in levels}
        self._run = lambda x, training: _levels(stem, stages, x, training)

    def __call__(self, images, training=False):
        """images [B, H, W, 3], normalised -> {level: [B, H / 2 ** level, W / 2 ** level, channels[level]]}."""
        return self._run(images, training)


def _pool(x, pad):
    return tf.nn.max_pool2d(core.pad_for_kernel(x, 3) if pad else x, 3, 2, 'VALID' if pad else 'SAME')


def _levels(stem, stages, x, training):
    x = stem(x, training) if stem else x
    maps = {}
    for level, blocks in stages.items():
        for block in blocks:
            x = block(x, training)
        maps[level] = x
    return maps


class _Block:
    """Bottleneck. Its layers are tracked by the network, in the reference's order, not here."""

    def __init__(self, conv, norm, activation, in_channels, filters, out_channels, strides, project):
        steps = [conv(in_channels, filters, 1, strides=strides), norm(filters), activation,
                 conv(filters, filters, 3), norm(filters), activation]
        shortcut = conv(in_channels, out_channels, 1, strides=strides) if project else None
        steps.append(conv(filters, out_channels, 1))
        self.shortcut = core.Sequence([shortcut, norm(out_channels)]) if project else None
        self.residual = core.Sequence([*steps, norm(out_channels)])
        self.activation = activation

    def __call__(self, x, training):
        shortcut = self.shortcut(x, training) if self.shortcut else x
        x = self.residual(x, training) + shortcut
        return self.activation(x) if self.activation else x
