"""Hourglass networks (Newell et al. 2016, https://arxiv.org/abs/1603.06937) as CornerNet and CenterNet shape them."""
import itertools

import tensorflow as tf

from object_detection.layers import core

# size: (channels of the first convolution, channels of the stages, residual blocks of the stages, hourglasses in a row)
SIZES = {10: (32, (64, 64), (1, 1), 1),
         20: (48, (96, 96, 144), (1, 2, 2), 1),
         32: (48, (96, 96, 144, 144), (2, 2, 2, 2), 1),
         52: (64, (128, 128, 192, 192, 192, 256), (2, 2, 2, 2, 2, 4), 1),
         104: (128, (256, 256, 384, 384, 384, 512), (2, 2, 2, 2, 2, 4), 2)}


class Hourglass(core.Layer):
    """Stacked hourglasses, each of which outputs a feature map of stride 4.

    Args:
        size: 10, 20, 32, 52 or 104, the number of convolutions on the longest path.
    Attributes:
        channels: list with the channels of each map.
        multiple: the image's height and width must be multiples of it.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        first, channels, blocks, count = SIZES[size]
        width = channels[0]
        self.channels, self.multiple = [width] * count, 4 * 2 ** (len(channels) - 1)
        self.downsample_input = _Stem(first, width)
        self.hourglass_network = [_EncoderDecoder(channels, blocks) for _ in range(count)]
        self.output_conv = [_ConvBlock(width, width, 3) for _ in range(count)]
        self.intermediate_conv1 = [_ConvBlock(width, width, 1, activate=False) for _ in range(count - 1)]
        self.intermediate_conv2 = [_ConvBlock(width, width, 1, activate=False) for _ in range(count - 1)]
        self.intermediate_residual = [_Residual(width, width) for _ in range(count - 1)]

    def __call__(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Normalized images [B, H, W, 3] -> list of [B, H / 4, W / 4, channels[i]], one per hourglass."""
        x = self.downsample_input(images, training)
        outputs = []
        for index, hourglass in enumerate(self.hourglass_network):
            outputs.append(self.output_conv[index](hourglass(x, training), training))
            if index < len(self.intermediate_residual):
                x = tf.nn.relu(self.intermediate_conv1[index](x, training) +
                               self.intermediate_conv2[index](outputs[-1], training))
                x = self.intermediate_residual[index](x, training)
        return outputs


class _Stem(core.Layer):
    """A convolution and a residual block, both with stride 2."""

    def __init__(self, first, width):
        super().__init__()
        self.conv_block = _ConvBlock(3, first, 7, strides=2)
        self.residual_block = _Residual(first, width, strides=2)

    def __call__(self, x, training):
        return self.residual_block(self.conv_block(x, training), training)


class _EncoderDecoder(core.Layer):
    """One stage: downsample, run the next smaller stage, upsample, and add a branch of blocks at full size.

    Args:
        channels, blocks: channels and residual blocks of this stage and of all smaller ones.
    """

    def __init__(self, channels, blocks):
        super().__init__()
        outer, inner, *_ = channels
        self.encoder_block1 = _residuals(outer, outer, blocks[0])
        self.encoder_block2 = _residuals(outer, inner, blocks[0], strides=2)
        if len(channels) > 2:
            self.inner_block = [_EncoderDecoder(channels[1:], blocks[1:])]
        else:
            self.inner_block = _residuals(inner, inner, blocks[1])
        self.decoder_block = _residuals(inner, outer, blocks[0], widen_last=True)

    def __call__(self, x, training):
        full_size = x
        for block in self.encoder_block1:
            full_size = block(full_size, training)
        for block in (*self.encoder_block2, *self.inner_block, *self.decoder_block):
            x = block(x, training)
        return full_size + core.upsample(x)


def _residuals(in_channels, filters, count, strides=1, widen_last=False):
    """Return `count` residual blocks. The first has the stride; the first (or the last) changes the channels."""
    widths = [in_channels, *[in_channels if widen_last else filters] * (count - 1), filters]
    return [_Residual(before, after, strides if index == 0 else 1)
            for index, (before, after) in enumerate(itertools.pairwise(widths))]


class _Residual(core.Layer):
    """Two 3 x 3 convolutions plus the input, which is projected if its size or channels change."""

    def __init__(self, in_channels, filters, strides=1):
        super().__init__()
        self.conv_block = _ConvBlock(in_channels, filters, 3, strides)
        self.conv = core.Conv2D(filters, filters, 3, use_bias=False)
        self.norm = _norm(filters)
        projects = strides > 1 or in_channels != filters
        self.skip = _ConvBlock(in_channels, filters, 1, strides, activate=False) if projects else None

    def __call__(self, x, training):
        skipped = self.skip(x, training) if self.skip else x
        return tf.nn.relu(self.norm(self.conv(self.conv_block(x, training)), training) + skipped)


class _ConvBlock(core.Layer):
    """Convolution with padding that does not depend on the size of the map, batch normalization, activation."""

    def __init__(self, in_channels, filters, kernel_size, strides=1, activate=True):
        super().__init__()
        self._kernel_size, self._activate = kernel_size, activate
        self.conv = core.Conv2D(in_channels, filters, kernel_size, strides, 'VALID', use_bias=False)
        self.norm = _norm(filters)

    def __call__(self, x, training):
        padded = core.pad_for_kernel(x, self._kernel_size) if self._kernel_size > 1 else x
        x = self.norm(self.conv(padded), training)
        return tf.nn.relu(x) if self._activate else x


def _norm(channels):
    return core.BatchNorm(channels, momentum=.1, epsilon=1e-5)
