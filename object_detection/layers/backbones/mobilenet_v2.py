"""MobileNet V2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) up to its last convolution."""
import functools

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.hyperparams import Hyperparams

# (filters, stride) of the 17 blocks. The first does not expand its channels, the others do sixfold.
BLOCKS = ((16, 1), (24, 2), (24, 1), *[(32, 2), (32, 1), (32, 1)], *[(64, 2), *[(64, 1)] * 3], *[(96, 1)] * 3,
          *[(160, 2), (160, 1), (160, 1)], (320, 1))
# {output: the last block before it}. Level 5 is the output of the last convolution.
ENDPOINTS: dict[int | str, int] = {2: 2, 3: 5, 'block 9': 9, 4: 12}
EXPANDED_BLOCK = 13


class MobileNetV2(core.Network):
    """Feature maps of levels 2 to 5 (stride 2 ** level), and two more of stride 16: 'block 9', and 'expanded', the
    expansion inside block 13.

    Args:
        hyperparams: settings of all convolutions, which have no bias.
        alpha: factor of all channels, rounded to multiples of 8; for the last convolution's 1280 only if below 1.
        min_depth: minimum channels of a convolution that is not an expansion.
        use_explicit_padding: pad by a fixed number of pixels instead of 'SAME'.
    """

    def __init__(self, hyperparams: Hyperparams, alpha: float = 1., min_depth: int = 0,
                 use_explicit_padding: bool = False) -> None:
        super().__init__()
        make = _Maker(self.add, hyperparams, use_explicit_padding)

        def scaled(count):
            return max(core.round_to_8(count * alpha), min_depth)
        channels = scaled(32)
        stem = make.conv(3, channels, 3, strides=2)
        widths: dict[int | str, int] = {}
        blocks = []
        for index, (count, strides) in enumerate(BLOCKS):
            # compared before min_depth, as the reference does
            residual = strides == 1 and channels == core.round_to_8(int(count * alpha))
            filters = max(core.round_to_8(int(count * alpha)), min_depth)
            blocks.append(_Block(make, channels, filters, strides, 6 if index else 1, residual))
            if index == EXPANDED_BLOCK:
                widths['expanded'] = 6 * channels
            channels = filters
            widths |= {level: channels for level, block in ENDPOINTS.items() if block == index}
        widths[5] = max(core.round_to_8(1280 * alpha) if alpha < 1 else 1280, min_depth)
        top = make.conv(channels, widths[5], 1)
        self._parts = core.Untracked(stem=stem, blocks=blocks, top=top, channels=widths)

    @property
    def channels(self) -> dict[int | str, int]:
        """{level, 'block 9' or 'expanded': channels of the feature map}."""
        return self._parts.channels

    def __call__(self, images: tf.Tensor, training: bool = False) -> dict[int | str, tf.Tensor]:
        """Normalized images [B, H, W, 3] -> {level, 'block 9' or 'expanded': [B, H / stride, W / stride, channels]}."""
        x = self._parts.stem(images, training)
        maps: dict[int | str, tf.Tensor] = {}
        levels = {block: level for level, block in ENDPOINTS.items()}
        for index, block in enumerate(self._parts.blocks):
            x, expanded = block(x, training)
            if index in levels:
                maps[levels[index]] = x
            if index == EXPANDED_BLOCK:
                maps['expanded'] = expanded
        maps[5] = self._parts.top(x, training)
        return maps


class _Block:
    """Inverted residual with linear bottleneck: x -> (its output, the expansion inside). The network tracks its layers.
    """

    def __init__(self, make, in_channels, filters, strides, expansion, residual):
        inner = in_channels * expansion
        self.expand = make.conv(in_channels, inner, 1) if expansion > 1 else None
        self.depthwise = make.depthwise(inner, strides)
        self.project = make.conv(inner, filters, 1, activate=False)
        self.residual = residual

    def __call__(self, inputs, training):
        expanded = self.expand(inputs, training) if self.expand else inputs
        x = self.project(self.depthwise(expanded, training), training)
        return (x + inputs if self.residual else x), expanded


class _Maker:
    """Make a convolution with its normalization and activation, and add them to the network."""

    def __init__(self, add, hyperparams, use_explicit_padding):
        self.add, self.hyperparams, self.use_explicit_padding = add, hyperparams, use_explicit_padding

    def conv(self, in_channels, filters, kernel_size, strides=1, activate=True):
        return self._block(self.hyperparams.conv, (in_channels, filters), filters, kernel_size, strides, activate)

    def depthwise(self, channels, strides):
        return self._block(self.hyperparams.depthwise, (channels,), channels, 3, strides, True)

    def _block(self, constructor, sizes, channels, kernel_size, strides, activate):
        pads = self.use_explicit_padding and kernel_size > 1
        conv = self.add(constructor(*sizes, kernel_size, strides=strides, use_bias=False,
                                    padding='VALID' if pads else 'SAME'))
        norm = self.hyperparams.norm(channels)
        return core.Sequence([functools.partial(core.pad_for_kernel, kernel_size=kernel_size) if pads else None, conv,
                              norm and self.add(norm), self.hyperparams.activation if activate else None])
