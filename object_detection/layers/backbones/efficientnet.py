"""EfficientNet B0 to B7 (Tan and Le 2019, https://arxiv.org/abs/1905.11946), with all variables of the classifier."""
import math
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core, initializers

# (width, depth) coefficients of each version
COEFFICIENTS = {'b0': (1., 1.), 'b1': (1., 1.1), 'b2': (1.1, 1.2), 'b3': (1.2, 1.4), 'b4': (1.4, 1.8),
                'b5': (1.6, 2.2), 'b6': (1.8, 2.6), 'b7': (2., 3.1)}
# (filters, kernel size, repeats, expansion, stride) of each stack, before scaling
STACKS = ((16, 3, 1, 1, 1), (24, 3, 2, 6, 2), (40, 5, 2, 6, 2), (80, 3, 3, 6, 2), (112, 5, 3, 6, 1), (192, 5, 4, 6, 2),
          (320, 3, 1, 6, 1))
# {level: (stack, block) whose output it is}. They are the last blocks of each stride in B0; the reference takes the
# same ones for every version.
ENDPOINTS = {1: (0, 0), 2: (1, 1), 3: (2, 1), 4: (4, 2), 5: (6, 0)}
REGULARIZER = core.L2(1e-5)
STEM_FILTERS, TOP_FILTERS, CLASSES, SQUEEZE, DROP_RATE = 32, 1280, 1000, .25, .2


class EfficientNet(core.Network):
    """Feature maps of levels 1 to 5 (stride 2 ** level), and the rest of the classifier.

    Args:
        version: 'b0' to 'b7'.
        regularizer: for biases and for all kernels but depthwise ones.
        freeze_batchnorm: use and keep the moving moments in training.
    Attributes:
        channels: {level: channels of the feature map}, levels 1 to 5.
        used: the number of leading layers that compute the levels. The others (end of the last stack, top, logits)
            exist because the reference's checkpoints contain them.
    """

    def __init__(self, version: str, regularizer: core.Regularizer | None = REGULARIZER,
                 freeze_batchnorm: bool = False) -> None:
        super().__init__()
        width, depth = COEFFICIENTS[version]
        make = _Maker(self.add, regularizer, freeze_batchnorm)
        channels = core.round_to_8(STEM_FILTERS * width)
        stem = make.conv(3, channels, 3, strides=2), make.norm(channels)
        repeats = [math.ceil(depth * repeat) for _, _, repeat, _, _ in STACKS]
        blocks: dict[tuple[int, int], _Block] = {}
        self.used = 0
        for stack, (filters, kernel_size, _, expansion, strides) in enumerate(STACKS):
            filters = core.round_to_8(filters * width)
            for index in range(repeats[stack]):
                drop_rate = DROP_RATE * len(blocks) / sum(repeats)
                blocks[stack, index] = _Block(make, channels, filters, kernel_size, expansion,
                                              strides if index == 0 else 1, drop_rate)
                channels = filters
                if (stack, index) == ENDPOINTS[5]:
                    self.used = self.num_layers
        top = core.round_to_8(TOP_FILTERS * width)
        make.conv(channels, top, 1)
        make.norm(top)
        self.add(core.Dense(top, CLASSES, regularizer=regularizer, bias_regularizer=regularizer,
                            kernel_initializer=initializers.variance_scaling(1 / 3, 'fan_out', uniform=True)))
        self.channels = {level: core.round_to_8(STACKS[stack][0] * width) for level, (stack, _) in ENDPOINTS.items()}
        self._parts = core.Untracked(stem=stem, blocks=blocks)

    def __call__(self, images: tf.Tensor, training: bool = False) -> dict[int, tf.Tensor]:
        """Normalized images [B, H, W, 3] -> {level: [B, H / 2 ** level, W / 2 ** level, channels[level]]}."""
        conv, norm = self._parts.stem
        x = core.swish(norm(conv(images), training))
        levels = {position: level for level, position in ENDPOINTS.items()}
        maps: dict[int, tf.Tensor] = {}
        for position, block in self._parts.blocks.items():
            x = block(x, training)
            if position in levels:
                maps[levels[position]] = x
            if len(maps) == len(levels):
                break
        return maps


class _Block:
    """Mobile inverted bottleneck with squeeze-and-excitation. The network tracks its layers."""

    def __init__(self, make, in_channels, filters, kernel_size, expansion, strides, drop_rate):
        inner = in_channels * expansion
        self.expand = (make.conv(in_channels, inner, 1), make.norm(inner)) if expansion != 1 else None
        self.depthwise = make.depthwise(inner, kernel_size, strides), make.norm(inner)
        squeezed = max(1, int(in_channels * SQUEEZE))
        self.squeeze = make.conv(inner, squeezed, 1, bias=True)
        self.excite = make.conv(squeezed, inner, 1, bias=True)
        self.project = make.conv(inner, filters, 1), make.norm(filters)
        self.residual = strides == 1 and in_channels == filters
        self.drop = core.Dropout(drop_rate, per_image=True)

    def __call__(self, inputs, training):
        x = inputs
        for stage in (self.expand, self.depthwise):
            if stage:
                conv, norm = stage
                x = core.swish(norm(conv(x), training))
        scale = tf.reduce_mean(x, [1, 2], keepdims=True)
        x = x * tf.sigmoid(self.excite(core.swish(self.squeeze(scale))))
        conv, norm = self.project
        x = norm(conv(x), training)
        return self.drop(x, training) + inputs if self.residual else x


class _Maker:
    """Make layers with EfficientNet's settings and add them to the network."""

    initializer = staticmethod(initializers.variance_scaling(2., 'fan_out'))

    def __init__(self, add: Callable, regularizer: core.Regularizer | None, freeze_batchnorm: bool) -> None:
        self.add, self.regularizer, self.freeze_batchnorm = add, regularizer, freeze_batchnorm

    def conv(self, in_channels, filters, kernel_size, strides=1, bias=False):
        return self.add(core.Conv2D(in_channels, filters, kernel_size, strides, use_bias=bias,
                                    kernel_initializer=self.initializer, regularizer=self.regularizer,
                                    bias_regularizer=self.regularizer))

    def depthwise(self, channels, kernel_size, strides):
        return self.add(core.DepthwiseConv2D(channels, kernel_size, strides, use_bias=False,
                                             kernel_initializer=self.initializer))

    def norm(self, channels):
        return self.add(core.BatchNorm(channels, frozen=self.freeze_batchnorm))
