"""The shrinking feature maps of SSD without a pyramid (Liu et al. 2016, https://arxiv.org/abs/1512.02325)."""
import functools

from object_detection.layers import core


class MultiResolution(core.Layer):
    """The backbone's maps, then further ones: 1 x 1 to half the depth, 3 x 3 with stride 2 to the depth.

    Args:
        in_channels: channels of the backbone's maps.
        depths: channels of each further map.
        use_depthwise: 3 x 3 as a depthwise and a 1 x 1 convolution, BatchNorm and activation after each.
    Attributes:
        channels: of each output.
    """

    def __init__(self, in_channels, depths, hyperparams, depth_multiplier=1., min_depth=0, use_depthwise=False,
                 use_explicit_padding=False):
        super().__init__()

        def scaled(depth):
            return max(int(depth * depth_multiplier), min_depth)
        self.channels = [*in_channels, *map(scaled, depths)]
        padding = [functools.partial(core.pad_for_kernel, kernel_size=3)] if use_explicit_padding else []
        reduce = {'strides': 2, 'padding': 'VALID' if padding else 'SAME'}
        self.convolutions = [core.Sequence([]) for _ in in_channels]
        for above, depth in zip(self.channels[len(in_channels) - 1:], depths):
            half, depth = scaled(depth // 2), scaled(depth)

            def norm_and_activation(channels):
                return [hyperparams.norm(channels), hyperparams.activation]
            steps = [hyperparams.conv(above, half, 1), *norm_and_activation(half), *padding]
            if use_depthwise:
                steps += [hyperparams.depthwise(half, 3, plain=True, **reduce), *norm_and_activation(half),
                          hyperparams.conv(half, depth, 1), *norm_and_activation(depth)]
            else:
                steps += [hyperparams.conv(half, depth, 3, **reduce), *norm_and_activation(depth)]
            self.convolutions.append(core.Sequence(steps))

    def __call__(self, maps, training=False):
        """List of the backbone's maps -> them and the further ones, [B, h, w, channels[i]]."""
        maps = list(maps)
        for convolution in self.convolutions[len(maps):]:
            maps.append(convolution(maps[-1], training))
        return maps
