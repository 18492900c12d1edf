"""Heads of CenterNet (https://arxiv.org/abs/1904.07850)."""
import tensorflow as tf

from object_detection.layers import core, initializers


class PixelHead(core.Network):
    """Convolutions with activation, then a 1 x 1 one: values for each pixel of a feature map.

    Args:
        filters, kernel_sizes: one entry for each convolution before the last.
        bias: start value of the last bias (a logit, for heatmaps).
        use_depthwise: the convolutions before the last are separable.
    """

    def __init__(self, in_channels, out_channels, filters=(256,), kernel_sizes=(3,), bias=0., use_depthwise=False):
        super().__init__()
        make = core.SeparableConv2D if use_depthwise else core.Conv2D
        steps = []
        for count, kernel_size in zip(filters, kernel_sizes):
            steps += [self.add(make(in_channels, count, kernel_size)), tf.nn.relu]
            in_channels = count
        last = core.Conv2D(in_channels, out_channels, 1, bias_initializer=initializers.constant(bias))
        chain = core.Sequence([*steps, self.add(last)])
        self._run = lambda x: chain(x)

    def __call__(self, x):
        """[B, h, w, in_channels] -> float32 [B, h, w, out_channels]."""
        return tf.cast(self._run(x), tf.float32)
