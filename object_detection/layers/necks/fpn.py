"""Feature pyramid network (Lin et al. 2017, https://arxiv.org/abs/1612.03144)."""
import functools
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.hyperparams import Hyperparams


class TopDownFPN(core.Layer):
    """The top-down pathway.

    A 1 x 1 convolution projects each level. Below the top, the upsampled level above is added and a 3 x 3 convolution
    smooths the sum.

    Args:
        in_channels: channels of the inputs, finest first.
        filters: channels of all outputs.
        hyperparams: settings of all convolutions. Projections have a bias, no BatchNorm and no activation.
        use_depthwise: smooth with separable convolutions.
        use_explicit_padding: pad by a fixed number of pixels instead of 'SAME'; levels may then have odd sizes.
    """

    def __init__(self, in_channels: list[int], filters: int, hyperparams: Hyperparams, use_depthwise: bool = False,
                 use_explicit_padding: bool = False) -> None:
        super().__init__()
        self._crops = use_explicit_padding
        *lower, top = in_channels
        self.top_layers = core.Sequence([hyperparams.conv(top, filters, 1, use_bias=True)])
        self.residual_blocks, self.conv_layers = [], []
        for channels in reversed(lower):
            self.residual_blocks.append(core.Sequence([hyperparams.conv(channels, filters, 1, use_bias=True)]))
            self.conv_layers.append(core.Sequence(
                conv_block(hyperparams, filters, filters, 1, use_depthwise, use_explicit_padding)))

    def __call__(self, maps: list[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        """Maps [B, h_i, w_i, in_channels[i]], finest first -> maps [B, h_i, w_i, filters]."""
        *lower, top = maps
        outputs = [self.top_layers(top)]
        for x, project, smooth in zip(reversed(lower), self.residual_blocks, self.conv_layers):
            residual, above = project(x), core.upsample(outputs[-1])
            if self._crops:
                above = core.crop(above, residual)
            core.check_equal_sizes([residual, above])
            outputs.append(smooth(above + residual, training))
        return outputs[::-1]


def conv_block(hyperparams: Hyperparams, in_channels: int, filters: int, strides: int, use_depthwise: bool = False,
               use_explicit_padding: bool = False) -> list[Callable | None]:
    """Return the steps of a core.Sequence: 3 x 3 convolution, normalization, activation. A separable convolution takes
    `hyperparams` for its depthwise kernel only."""
    separable = functools.partial(hyperparams.separable, plain_pointwise=True)
    make: Callable = separable if use_depthwise else hyperparams.conv
    padding = [functools.partial(core.pad_for_kernel, kernel_size=3)] if use_explicit_padding else []
    return [*padding, make(in_channels, filters, 3, strides=strides, padding='VALID' if padding else 'SAME'),
            hyperparams.norm(filters), hyperparams.activation]
