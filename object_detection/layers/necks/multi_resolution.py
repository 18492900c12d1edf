"""The extra feature layers of SSD (Liu et al. 2016, https://arxiv.org/abs/1512.02325)."""
import functools

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.hyperparams import Hyperparams


class MultiResolution(core.Layer):
    """The backbone's maps, then smaller ones: for each, a 1 x 1 convolution to half the depth and a 3 x 3 one with
    stride 2 to the full depth.

    Args:
        in_channels: channels of the backbone's maps.
        depths: channels of each extra map.
        hyperparams: settings of all convolutions.
        depth_multiplier, min_depth: factor and minimum of `depths`.
        use_depthwise: replace the 3 x 3 convolution by a depthwise and a 1 x 1 one, each with BatchNorm and activation.
        use_explicit_padding: pad by a fixed number of pixels instead of 'SAME'.
    Attributes:
        channels: list with the channels of each output.
    """

    def __init__(self, in_channels: list[int], depths: tuple[int, ...], hyperparams: Hyperparams,
                 depth_multiplier: float = 1., min_depth: int = 0, use_depthwise: bool = False,
                 use_explicit_padding: bool = False) -> None:
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

    def __call__(self, maps: list[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        """Backbone maps [B, h_i, w_i, channels[i]] -> the same and the extra ones, [B, h_i, w_i, channels[i]]."""
        maps = list(maps)
        for convolution in self.convolutions[len(maps):]:
            maps.append(convolution(maps[-1], training))
        return maps
