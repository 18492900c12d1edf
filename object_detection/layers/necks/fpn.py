"""Feature pyramid, top-down part (Lin et al. 2017, https://arxiv.org/abs/1612.03144), and the levels above it."""
import functools

from object_detection.layers import core


class TopDownFPN(core.Layer):
    """1 x 1 projections of all levels; each level below the top adds the enlarged level above and is smoothed 3 x 3.

    Args:
        in_channels: channels of the inputs, finest first.
        hyperparams: Hyperparams of all convolutions; projections have a bias, no BatchNorm and no activation.
        use_depthwise: smooth with a separable convolution.
        use_explicit_padding: padding that does not depend on the size; levels may then be odd.
    """

    def __init__(self, in_channels, filters, hyperparams, use_depthwise=False, use_explicit_padding=False):
        super().__init__()
        self._crops = use_explicit_padding
        *lower, top = in_channels
        self.top_layers = core.Sequence([hyperparams.conv(top, filters, 1, use_bias=True)])
        self.residual_blocks, self.conv_layers = [], []
        for channels in reversed(lower):
            self.residual_blocks.append(core.Sequence([hyperparams.conv(channels, filters, 1, use_bias=True)]))
            self.conv_layers.append(core.Sequence(
                conv_block(hyperparams, filters, filters, 1, use_depthwise, use_explicit_padding)))

    def __call__(self, maps, training=False):
        """Maps, finest first -> as many [B, h, w, filters]."""
        *lower, top = maps
        outputs = [self.top_layers(top)]
        for x, project, smooth in zip(reversed(lower), self.residual_blocks, self.conv_layers):
            residual, above = project(x), core.upsample(outputs[-1])
            if self._crops:
                above = core.crop(above, residual)
            core.check_equal_sizes([residual, above])
            outputs.append(smooth(above + residual, training))
        return outputs[::-1]


def conv_block(hyperparams, in_channels, filters, strides, use_depthwise=False, use_explicit_padding=False):
    """Steps of a 3 x 3 convolution, its normalization and activation. A pointwise kernel keeps default settings."""
    make = functools.partial(hyperparams.separable, plain_pointwise=True) if use_depthwise else hyperparams.conv
    padding = [functools.partial(core.pad_for_kernel, kernel_size=3)] if use_explicit_padding else []
    return [*padding, make(in_channels, filters, 3, strides=strides, padding='VALID' if padding else 'SAME'),
            hyperparams.norm(filters), hyperparams.activation]
