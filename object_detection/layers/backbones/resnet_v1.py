"""ResNet V1 with 50, 101 or 152 layers (He et al. 2016, https://arxiv.org/abs/1512.03385), without the classifier."""
import functools

import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams

# {depth: blocks of each of the four stages}
REPEATS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def default_hyperparams(freeze_batchnorm: bool = False) -> Hyperparams:
    """Return the settings of the network that apply unless a config overrides them."""
    return Hyperparams(initializers.variance_scaling(), core.L2(2e-4), tf.nn.relu,
                       {'momentum': .997, 'epsilon': 1e-5, 'frozen': freeze_batchnorm})


class ResNetV1(core.Network):
    """Feature maps of levels 2 to 5 (stride 2 ** level). The first 1 x 1 convolution of a stage has its stride.

    Args:
        depth: 50, 101 or 152.
        hyperparams: settings of all convolutions.
        depth_multiplier, min_depth: factor and minimum of all channels.
        keras: build the variant of tf.keras.applications: convolutions have a bias, and the max pooling pads by a fixed
            number of pixels.
        levels: the consecutive levels to build. If they start above 2, the input is the map of the level below.
    Attributes:
        channels: {level: channels of the feature map}.
    """

    def __init__(self, depth: int, hyperparams: Hyperparams, depth_multiplier: float = 1., min_depth: int = 8,
                 keras: bool = False, levels: tuple[int, ...] = (2, 3, 4, 5)) -> None:
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
        self._parts = core.Untracked(stem=stem, stages=stages)

    def __call__(self, x: tf.Tensor, training: bool = False) -> dict[int, tf.Tensor]:
        """Normalized images [B, H, W, 3] -> {level: [B, H / 2 ** level, W / 2 ** level, channels[level]]}.

        If the levels start above 2: the map of the level below [B, h, w, C] -> the same, from that level's size.
        """
        x = self._parts.stem(x, training) if self._parts.stem else x
        maps = {}
        for level, blocks in self._parts.stages.items():
            for block in blocks:
                x = block(x, training)
            maps[level] = x
        return maps


def _pool(x, pad):
    return tf.nn.max_pool2d(core.pad_for_kernel(x, 3) if pad else x, 3, 2, 'VALID' if pad else 'SAME')


class _Block:
    """Bottleneck block. The network tracks its layers, in the reference's order."""

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
