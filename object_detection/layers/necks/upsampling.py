"""Necks of CenterNet (https://arxiv.org/abs/1904.07850): from a backbone's stride 32 up to one map of stride 4.

Their layers are numbered from 1: in the reference's checkpoints number 0 is the backbone.
"""
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core, initializers


class _Neck(core.Network):

    def __init__(self):
        super().__init__()
        self.num_layers = 1

    def _norm(self, channels):
        """Return the steps of a normalization, which is added to the network, and its activation."""
        return [self.add(core.BatchNorm(channels)), tf.nn.relu]


class UpsamplingFPN(_Neck):
    """A feature pyramid that outputs its finest level only.

    Each level below the top adds its 1 x 1 projection to the upsampled level above; a 3 x 3 convolution with BatchNorm
    and activation smooths the sum.

    Args:
        in_channels: channels of the backbone's maps, finest first.
        top: channels of the projected top level.
        filters: channels of the levels below it, coarsest first.
        separable: smooth with separable convolutions.
        interpolation: 'nearest' or 'bilinear', how a level is upsampled.
    Attributes:
        channels: channels of the output.
    """

    def __init__(self, in_channels: list[int], top: int, filters: tuple[int, ...], separable: bool = False,
                 interpolation: str = 'nearest') -> None:
        super().__init__()
        *lower, highest = in_channels
        make: Callable = core.SeparableConv2D if separable else core.Conv2D
        self.channels = filters[-1]
        project_top, levels = self.add(core.Conv2D(highest, top, 1)), []
        for channels, count, following in zip(reversed(lower), filters, [*filters[1:], self.channels]):
            project = self.add(core.Conv2D(channels, count, 1))
            levels.append((project, core.Sequence([self.add(make(count, following, 3)), *self._norm(following)])))
        self._upsample = {'nearest': core.upsample, 'bilinear': _upsample_bilinear}[interpolation]
        self._parts = core.Untracked(project_top=project_top, levels=levels)

    def __call__(self, maps: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Maps [B, h_i, w_i, in_channels[i]], finest first -> [B, h_0, w_0, channels]."""
        *lower, x = maps
        x = self._parts.project_top(x)
        for residual, (project, smooth) in zip(reversed(lower), self._parts.levels):
            x = self._upsample(x)
            core.check_equal_sizes([residual, x])
            x = smooth(x + project(residual), training)
        return x


def _upsample_bilinear(x):
    return core.cast(tf.image.resize(x, 2 * tf.shape(x)[1:3], 'bilinear'), x.dtype)  # the kernel returns float32


class Deconvolution(_Neck):
    """A convolution and a transposed convolution that doubles the size, three times: 256, 128, and 64 channels.

    BatchNorm and activation follow both.

    Args:
        in_channels: channels of the backbone's last map.
        kernel_size: of the plain convolutions; that of the transposed ones is 3.
    Attributes:
        channels: channels of the output.
    """

    def __init__(self, in_channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        steps = []
        for count in (256, 128, 64):
            steps += [self.add(core.Conv2D(in_channels, count, kernel_size)), *self._norm(count),
                      self.add(Conv2DTranspose(count, count, 3, strides=2)), *self._norm(count)]
            in_channels = count
        self.channels = in_channels
        self._parts = core.Untracked(layers=core.Sequence(steps))

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, h, w, in_channels] -> [B, 8 * h, 8 * w, channels]."""
        return self._parts.layers(x, training)


class Conv2DTranspose(core.Layer):
    """Transposed 2-D convolution. Variables: kernel [k, k, filters, in], bias [filters]."""

    def __init__(self, in_channels: int, filters: int, kernel_size: int, strides: int) -> None:
        super().__init__()
        self.strides = strides
        self.kernel = tf.Variable(initializers.glorot_uniform((kernel_size, kernel_size, filters, in_channels)))
        self.bias = tf.Variable(initializers.zeros((filters,)))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, h, w, in_channels] -> [B, h * strides, w * strides, filters]."""
        shape = tf.shape(x)
        static = x.shape
        size = [shape[0], *(self.strides * (static[axis] or shape[axis]) for axis in (1, 2)), self.kernel.shape[2]]
        x = tf.nn.conv2d_transpose(x, core.cast(self.kernel, x.dtype), size, self.strides, 'SAME')
        return tf.nn.bias_add(x, core.cast(self.bias, x.dtype))
