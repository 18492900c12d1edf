"""Necks of CenterNet (https://arxiv.org/abs/1904.07850): from a backbone's stride 32 up to one map of stride 4.

Both are tracked from number 1 on: in the reference's checkpoints 0 is the backbone itself.
"""
import tensorflow as tf

from object_detection.layers import core, initializers


class _Neck(core.Network):

    def __init__(self):
        super().__init__()
        self.num_layers = 1

    def norm(self, channels):
        """Steps of a tracked normalization and its activation."""
        return [self.add(core.BatchNorm(channels)), tf.nn.relu]


class UpsamplingFPN(_Neck):
    """A feature pyramid of which only the finest level comes out.

    Each level below the top adds its 1 x 1 projection to the enlarged level above and is smoothed by a 3 x 3
    convolution, normalized and activated.

    Args:
        in_channels: channels of the backbone's maps, finest first.
        top: channels of the projected top; filters: of the levels below it, coarsest first.
        separable: smooth with separable convolutions.
        interpolation: 'nearest' or 'bilinear', how a level is enlarged.
    Attributes:
        channels: of the output.
    """

    def __init__(self, in_channels, top, filters, separable=False, interpolation='nearest'):
        super().__init__()
        *lower, highest = in_channels
        make = core.SeparableConv2D if separable else core.Conv2D
        self.channels = filters[-1]
        project_top, levels = self.add(core.Conv2D(highest, top, 1)), []
        for channels, count, following in zip(reversed(lower), filters, [*filters[1:], self.channels]):
            project = self.add(core.Conv2D(channels, count, 1))
            levels.append((project, core.Sequence([self.add(make(count, following, 3)), *self.norm(following)])))
        enlarge = {'nearest': core.upsample, 'bilinear': _upsample_bilinear}[interpolation]
        self._run = lambda maps, training: _top_down(project_top, levels, enlarge, maps, training)

    def __call__(self, maps, training=False):
        """Maps, finest first -> [B, h, w, channels] of the finest map's size."""
        return self._run(maps, training)


def _top_down(project_top, levels, enlarge, maps, training):
    *lower, x = maps
    x = project_top(x)
    for residual, (project, smooth) in zip(reversed(lower), levels):
        x = enlarge(x)
        core.check_equal_sizes([residual, x])
        x = smooth(x + project(residual), training)
    return x


def _upsample_bilinear(x):
    return tf.image.resize(x, 2 * tf.shape(x)[1:3], 'bilinear')


class Deconvolution(_Neck):
    """For each entry of `filters` a convolution, then a transposed one that doubles the size; normalized and activated.

    Args:
        in_channels: channels of the backbone's last map.
        kernel_size: of the plain convolutions; the transposed have 3.
    Attributes:
        channels: of the output.
    """

    def __init__(self, in_channels, filters=(256, 128, 64), kernel_size=3):
        super().__init__()
        steps = []
        for count in filters:
            steps += [self.add(core.Conv2D(in_channels, count, kernel_size)), *self.norm(count),
                      self.add(Conv2DTranspose(count, count, 3, strides=2)), *self.norm(count)]
            in_channels = count
        self.channels = in_channels
        chain = core.Sequence(steps)
        self._run = lambda x, training: chain(x, training)

    def __call__(self, x, training=False):
        """[B, h, w, in_channels] -> [B, 8h, 8w, channels]."""
        return self._run(x, training)


class Conv2DTranspose(core.Layer):
    """The transpose of a 2-D convolution with stride: [B, h, w, in] -> [B, h * strides, w * strides, filters].

    Variables: kernel [k, k, filters, in], bias [filters].
    """

    def __init__(self, in_channels, filters, kernel_size, strides):
        super().__init__()
        self.strides = strides
        self.kernel = tf.Variable(initializers.glorot_uniform((kernel_size, kernel_size, filters, in_channels)))
        self.bias = tf.Variable(initializers.zeros((filters,)))

    def __call__(self, x):
        shape = tf.shape(x)
        static = x.shape
        size = [shape[0], *(self.strides * (static[axis] or shape[axis]) for axis in (1, 2)), self.kernel.shape[2]]
        x = tf.nn.conv2d_transpose(x, tf.cast(self.kernel, x.dtype), size, self.strides, 'SAME')
        return tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))
