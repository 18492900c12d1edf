"""The few layers all networks are made of, as thin as TensorFlow allows.

They stand where Keras layers could, for three reasons: a detector of several hundred layers is built and traced in a
fraction of the time; variables exist once the constructor returns, so a checkpoint restores before any forward pass;
and the attribute names, which are the checkpoint keys, are ours to choose.

Image tensors are float [batch, height, width, channels]. Kernels have the shapes and names that Keras gives them. A
layer computes in the dtype of its input: feed bfloat16 and it runs in bfloat16 on float32 variables.
"""
import contextlib
import dataclasses
import threading

import tensorflow as tf

from object_detection.layers import initializers
from object_detection.utils.errors import UserError


class Layer(tf.Module):
    """Something with variables that can be called. Sub-layers and variables are tracked by attribute name."""

    def regularized(self):
        """Pairs (regularizer, variable); either may be None."""
        return ()


def regularization_losses(module):
    """The loss terms of all regularized variables in and below `module`: one scalar per kind of regularizer."""
    variables = {}
    for layer in (module, *module.submodules):
        for regularizer, variable in layer.regularized() if isinstance(layer, Layer) else ():
            if regularizer is not None and variable is not None and variable.trainable:
                variables.setdefault(regularizer, []).append(variable)
    return [regularizer(group) for regularizer, group in variables.items()]


@dataclasses.dataclass(frozen=True)
class L2:
    """weight / 2 * sum of squares, as the reference reads l2_regularizer { weight }."""
    weight: float

    def __call__(self, tensors):
        return self.weight * tf.add_n([tf.nn.l2_loss(tensor) for tensor in tensors])


@dataclasses.dataclass(frozen=True)
class L1:
    """weight * sum of absolute values."""
    weight: float

    def __call__(self, tensors):
        return self.weight * tf.add_n([tf.reduce_sum(tf.abs(tensor)) for tensor in tensors])


class Network(Layer):
    """Layers tracked as layer_with_weights-0, -1, ... in the order added: the keys of a Keras functional model."""

    # A dict whose keys are levels and names; tf.Module would sort them in its search for sub-modules.
    _TF_MODULE_IGNORED_PROPERTIES = frozenset(('channels', *tf.Module._TF_MODULE_IGNORED_PROPERTIES))

    def __init__(self, layers=()):
        super().__init__()
        self.num_layers = 0
        for layer in layers:
            self.add(layer)

    def add(self, layer):
        """Track `layer` under the next number and return it."""
        setattr(self, f'layer_with_weights-{self.num_layers}', layer)
        self.num_layers += 1
        return layer

    def first_layers(self, count):
        return [getattr(self, f'layer_with_weights-{index}') for index in range(count)]


class Sequence(Layer):
    """Callables run one after the other; those with variables are tracked under their position: '0', '1', ...

    Args:
        steps: list of layers and plain functions; None keeps a position free and does nothing.
    Layers that know a training mode (BatchNorm, Dropout, Sequence) are called with it.
    """

    def __init__(self, steps):
        super().__init__()
        for position, step in enumerate(steps):
            if isinstance(step, tf.Module):
                setattr(self, str(position), step)
        present = [step for step in steps if step is not None]
        self._run = lambda x, training: _chain(present, x, training)  # the list itself would enter the object graph

    def __call__(self, x, training=False):
        return self._run(x, training)


def _chain(steps, x, training):
    for step in steps:
        x = step(x, training) if isinstance(step, BatchNorm | Dropout | Sequence) else step(x)
    return x


class Conv2D(Layer):
    """2-D convolution. Variables: kernel [k, k, in, out], bias [out].

    Args:
        padding: 'SAME' or 'VALID' as TensorFlow defines them.
        kernel_size: an int for both dimensions, or (height, width).
        strides, dilation: an int for both dimensions.
    """

    def __init__(self, in_channels, filters, kernel_size, strides=1, padding='SAME', dilation=1, use_bias=True,
                 kernel_initializer=initializers.glorot_uniform, bias_initializer=initializers.zeros,
                 regularizer=None, bias_regularizer=None, trainable=True):
        super().__init__()
        self.strides, self.padding, self.dilation = strides, padding, dilation
        self.regularizer, self.bias_regularizer = regularizer, bias_regularizer
        window = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.kernel = _variable(kernel_initializer, (*window, in_channels, filters), trainable)
        self.bias = _variable(bias_initializer, (filters,), trainable) if use_bias else None

    def __call__(self, x):
        return _biased(_conv(x, self.kernel, self.strides, self.padding, self.dilation), self.bias)

    def regularized(self):
        return (self.regularizer, self.kernel), (self.bias_regularizer, self.bias)


class DepthwiseConv2D(Layer):
    """One k x k filter per channel. Variables: depthwise_kernel [k, k, in, 1], bias [in]."""

    def __init__(self, in_channels, kernel_size, strides=1, padding='SAME', use_bias=True,
                 kernel_initializer=initializers.glorot_uniform, bias_initializer=initializers.zeros,
                 regularizer=None, trainable=True):
        super().__init__()
        self.strides, self.padding = strides, padding
        self.regularizer = regularizer
        self.depthwise_kernel = _variable(kernel_initializer, (kernel_size, kernel_size, in_channels, 1), trainable)
        self.bias = _variable(bias_initializer, (in_channels,), trainable) if use_bias else None

    def __call__(self, x):
        return _biased(_depthwise_conv(x, self.depthwise_kernel, self.strides, self.padding), self.bias)

    def regularized(self):
        return ((self.regularizer, self.depthwise_kernel),)


class SeparableConv2D(Layer):
    """Depthwise, then 1 x 1 convolution. Variables: depthwise_kernel, pointwise_kernel [1, 1, in, out], bias [out]."""

    def __init__(self, in_channels, filters, kernel_size, strides=1, padding='SAME', use_bias=True,
                 depthwise_initializer=initializers.glorot_uniform, depthwise_regularizer=None,
                 pointwise_initializer=initializers.glorot_uniform, pointwise_regularizer=None,
                 bias_initializer=initializers.zeros, trainable=True):
        super().__init__()
        self.strides, self.padding = strides, padding
        self.depthwise_regularizer, self.pointwise_regularizer = depthwise_regularizer, pointwise_regularizer
        self.depthwise_kernel = _variable(depthwise_initializer, (kernel_size, kernel_size, in_channels, 1), trainable)
        self.pointwise_kernel = _variable(pointwise_initializer, (1, 1, in_channels, filters), trainable)
        self.bias = _variable(bias_initializer, (filters,), trainable) if use_bias else None

    def __call__(self, x):
        x = _depthwise_conv(x, self.depthwise_kernel, self.strides, self.padding)
        return _biased(_conv(x, self.pointwise_kernel, 1, 'VALID'), self.bias)

    def regularized(self):
        return ((self.depthwise_regularizer, self.depthwise_kernel),
                (self.pointwise_regularizer, self.pointwise_kernel))


class Dense(Layer):
    """Matrix product on the last axis. Variables: kernel [in, out], bias [out]."""

    def __init__(self, in_channels, units, use_bias=True, kernel_initializer=initializers.glorot_uniform,
                 bias_initializer=initializers.zeros, regularizer=None, bias_regularizer=None, trainable=True):
        super().__init__()
        self.regularizer, self.bias_regularizer = regularizer, bias_regularizer
        self.kernel = _variable(kernel_initializer, (in_channels, units), trainable)
        self.bias = _variable(bias_initializer, (units,), trainable) if use_bias else None

    def __call__(self, x):
        x = tf.matmul(x, tf.cast(self.kernel, x.dtype))
        return x if self.bias is None else tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))

    def regularized(self):
        return (self.regularizer, self.kernel), (self.bias_regularizer, self.bias)


class BatchNorm(Layer):
    """Batch normalization over all axes but the last (Ioffe and Szegedy 2015).

    Variables: gamma, beta, moving_mean, moving_variance, all [channels]. In training the moments are the batch's, over
    all replicas of a distribution strategy together (so that losses do not depend on the number of GPUs), and the
    moving moments follow: moving = momentum * moving + (1 - momentum) * batch, the variance with Bessel's correction.

    Args:
        frozen: the moving moments are used and kept, also in training. gamma and beta stay trainable, as under the
            reference's freeze_batchnorm.
    """

    def __init__(self, channels, momentum=.99, epsilon=1e-3, center=True, scale=True, frozen=False, trainable=True):
        super().__init__()
        self.momentum, self.epsilon, self.frozen = momentum, epsilon, frozen
        self.gamma = _variable(initializers.ones, (channels,), trainable) if scale else None
        self.beta = _variable(initializers.zeros, (channels,), trainable) if center else None
        self.moving_mean = _moment(initializers.zeros, channels)
        self.moving_variance = _moment(initializers.ones, channels)

    def __call__(self, x, training=False):
        if len(x.shape) != 4:  # the kernel takes images
            return tf.reshape(self(tf.reshape(x, [-1, 1, 1, x.shape[-1]]), training), tf.shape(x))
        mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        gamma = tf.ones_like(mean) if self.gamma is None else self.gamma
        beta = tf.zeros_like(mean) if self.beta is None else self.beta
        if not training or self.frozen:
            return tf.raw_ops.FusedBatchNormV3(x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
                                               epsilon=self.epsilon, is_training=False)[0]
        replicas = tf.distribute.get_replica_context()
        if replicas and replicas.num_replicas_in_sync > 1:
            y, batch_mean, batch_variance = self._normalize_across_replicas(x, gamma, beta, replicas)
            mean += (batch_mean - mean) * (1. - self.momentum)
            variance += (batch_variance - variance) * (1. - self.momentum)
        else:  # the kernel itself moves the moments
            # Of the first version of the kernel, TensorFlow knows that nothing flows back through the moments: for
            # the third it fills tensors with zeros. The first knows float32 only.
            kernel = tf.raw_ops.FusedBatchNorm if x.dtype == tf.float32 else tf.raw_ops.FusedBatchNormV3
            y, mean, variance = kernel(
                x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=self.epsilon,
                exponential_avg_factor=1. - self.momentum, is_training=True)[:3]
        self.moving_mean.assign(mean, read_value=False)
        self.moving_variance.assign(variance, read_value=False)
        return y

    def _normalize_across_replicas(self, x, gamma, beta, replicas):
        values = tf.cast(x, tf.float32)
        axes = list(range(len(x.shape) - 1))
        count = tf.cast(tf.size(values) // values.shape[-1], tf.float32)
        total, squares, count = replicas.all_reduce(
            tf.distribute.ReduceOp.SUM, [tf.reduce_sum(values, axes), tf.reduce_sum(values * values, axes), count])
        mean = total / count
        variance = tf.maximum(squares / count - mean * mean, 0.)
        y = tf.nn.batch_normalization(values, mean, variance, beta, gamma, self.epsilon)
        return tf.cast(y, x.dtype), mean, variance * count / tf.maximum(count - 1., 1.)


class Dropout(Layer):
    """In training, each value is 0 with probability `rate` and the others grow by 1 / (1 - rate).

    Args:
        per_image: drop all or nothing of an image (stochastic depth, Huang et al. 2016).
    """

    def __init__(self, rate, per_image=False):
        super().__init__()
        self.rate, self.per_image = rate, per_image

    def __call__(self, x, training=False):
        if not training or not self.rate:
            return x
        kept = _uniform([tf.shape(x)[0], 1, 1, 1] if self.per_image else tf.shape(x)) >= self.rate
        return x * (tf.cast(kept, x.dtype) * (1. / (1. - self.rate)))


def swish(x):
    """x * sigmoid(x). tf.nn.silu saves one tensor of memory, but its custom gradient takes three times as long to
    trace: two seconds of EfficientDet D0's start."""
    return x * tf.sigmoid(x)


def pad_for_kernel(x, kernel_size):
    """Zeros around x [B, H, W, C], (k - 1) / 2 on each side: with 'VALID', padding that does not depend on the size."""
    before = (kernel_size - 1) // 2
    after = kernel_size - 1 - before
    return tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]])


def upsample(x):
    """Every pixel of x [B, H, W, C] four times: [B, 2H, 2W, C]."""
    height, width = x.shape[1:3]
    size = 2 * tf.shape(x)[1:3] if None in (height, width) else [2 * height, 2 * width]
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size)


def crop(x, like):
    """The top left part of x [B, H, W, C] that has the height and width of `like`."""
    shape = tf.shape(like)
    return x[:, :shape[1], :shape[2]]


def check_equal_sizes(maps):
    """Raise a UserError where feature maps [B, H, W, C] that are to be added differ in height or width."""
    sizes = [tuple(x.shape[1:3]) for x in maps]
    if None not in sum(sizes, ()) and len(set(sizes)) > 1:
        listed = ' and '.join(f'{height}x{width}' for height, width in dict.fromkeys(sizes))
        raise UserError(f'the image size does not fit the feature pyramid: maps of {listed} would have to be added; '
                        'choose an image height and width that are multiples of 2 ** max_level (128 for levels 3 to '
                        '7), or set pad_to_multiple')


@contextlib.contextmanager
def randomness(position):
    """Inside the block, Dropout draws numbers that depend on `position` alone, an int64 scalar tensor: with the global
    step a resumed run repeats them, and several devices draw, each its part, what one would."""
    _random.position, _random.draws = position, 0
    try:
        yield
    finally:
        _random.position = None


_random = threading.local()  # of a thread, because a distribution strategy traces each replica in one of its own


def _uniform(shape):
    """float32 in [0, 1) of a shape whose first number is that of the pictures."""
    if getattr(_random, 'position', None) is None:
        return tf.random.uniform(shape)
    _random.draws += 1
    seed = tf.stack([tf.constant(_random.draws, tf.int64), _random.position])
    replicas = tf.distribute.get_replica_context()
    if replicas.num_replicas_in_sync == 1:
        return tf.random.stateless_uniform(shape, seed)
    pictures, *rest = tf.unstack(shape)
    drawn = tf.random.stateless_uniform([pictures * replicas.num_replicas_in_sync, *rest], seed)
    first = pictures * replicas.replica_id_in_sync_group
    return drawn[first:first + pictures]


# The raw kernels, because what tf.nn does around them is a fifth of the time that tracing a network takes.


def _conv(x, kernel, strides, padding, dilation=1):
    return tf.raw_ops.Conv2D(input=x, filter=tf.cast(kernel, x.dtype), strides=(1, strides, strides, 1),
                             padding=padding, dilations=(1, dilation, dilation, 1))


def _depthwise_conv(x, kernel, strides, padding):
    return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=tf.cast(kernel, x.dtype),
                                            strides=(1, strides, strides, 1), padding=padding)


def _biased(x, bias):
    return x if bias is None else tf.raw_ops.BiasAdd(value=x, bias=tf.cast(bias, x.dtype))


def _variable(initializer, shape, trainable):
    return tf.Variable(initializer(shape), trainable=trainable)


def _moment(initializer, channels):
    return tf.Variable(initializer((channels,)), trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
                       aggregation=tf.VariableAggregation.MEAN)
