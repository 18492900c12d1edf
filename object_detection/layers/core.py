"""The few layers all networks are made of, as thin as TensorFlow allows.

They stand where Keras layers could, for three reasons: a detector of several hundred layers is built and traced in a
fraction of the time; variables exist once the constructor returns, so a checkpoint restores before any forward pass;
and the attribute names, which are the checkpoint keys, are ours to choose.

Image tensors are float [batch, height, width, channels]. Kernels have the shapes and names that Keras gives them. A
layer computes in the dtype of its input: feed bfloat16 and it runs in bfloat16 on float32 variables.
"""
import tensorflow as tf

from object_detection.layers import initializers


class Layer(tf.Module):
    """Something with variables that can be called. Sub-layers and variables are tracked by attribute name."""

    regularizer = None  # function of a tensor -> scalar loss, or None

    def regularized(self):
        """The variables that `regularizer` is applied to."""
        return ()


def regularization_losses(module):
    """The scalar loss terms of every regularized variable in and below `module`."""
    layers = [m for m in (module, *module.submodules) if isinstance(m, Layer) and m.regularizer is not None]
    return [layer.regularizer(v) for layer in layers for v in layer.regularized() if v.trainable]


def l2_regularizer(weight):
    """weight / 2 * sum of squares, as the reference reads l2_regularizer { weight }."""
    return lambda tensor: weight * tf.nn.l2_loss(tensor)


def l1_regularizer(weight):
    return lambda tensor: weight * tf.reduce_sum(tf.abs(tensor))


class Sequence(Layer):
    """Callables run one after the other; those with variables are tracked under the names given.

    Args:
        steps: {name: callable}. A layer is tracked as attribute `name`; a plain function is only called.
    Layers that know a training mode (BatchNorm, Sequence) are called with it.
    """

    def __init__(self, steps):
        super().__init__()
        self._run = tf.autograph.experimental.do_not_convert(_chain(list(steps.values())))
        for name, step in steps.items():
            if isinstance(step, tf.Module):
                setattr(self, name, step)

    def __call__(self, x, training=False):
        return self._run(x, training)


def _chain(steps):
    """A closure, so that the list itself is no attribute (an attribute would enter the object graph)."""
    def run(x, training):
        for step in steps:
            x = step(x, training) if isinstance(step, BatchNorm | Sequence) else step(x)
        return x
    return run


class Conv2D(Layer):
    """2-D convolution. Variables: kernel [k, k, in, out], bias [out].

    Args:
        padding: 'SAME' or 'VALID' as TensorFlow defines them.
        kernel_size, strides, dilation: an int for both dimensions.
    """

    def __init__(self, in_channels, filters, kernel_size, strides=1, padding='SAME', dilation=1, use_bias=True,
                 kernel_initializer=initializers.glorot_uniform, bias_initializer=initializers.zeros,
                 regularizer=None, trainable=True):
        super().__init__()
        self.strides, self.padding, self.dilation = strides, padding, dilation
        self.regularizer = regularizer
        self.kernel = _variable(kernel_initializer, (kernel_size, kernel_size, in_channels, filters), trainable)
        self.bias = _variable(bias_initializer, (filters,), trainable) if use_bias else None

    def __call__(self, x):
        x = tf.nn.conv2d(x, tf.cast(self.kernel, x.dtype), self.strides, self.padding, dilations=self.dilation)
        return x if self.bias is None else tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))

    def regularized(self):
        return (self.kernel,)


class DepthwiseConv2D(Layer):
    """One k x k filter per channel. Variables: depthwise_kernel [k, k, in, 1], bias [in]."""

    def __init__(self, in_channels, kernel_size, strides=1, padding='SAME', use_bias=True,
                 kernel_initializer=initializers.glorot_uniform, bias_initializer=initializers.zeros,
                 regularizer=None, trainable=True):
        super().__init__()
        self.strides, self.padding = (1, strides, strides, 1), padding
        self.regularizer = regularizer
        self.depthwise_kernel = _variable(kernel_initializer, (kernel_size, kernel_size, in_channels, 1), trainable)
        self.bias = _variable(bias_initializer, (in_channels,), trainable) if use_bias else None

    def __call__(self, x):
        x = tf.nn.depthwise_conv2d(x, tf.cast(self.depthwise_kernel, x.dtype), self.strides, self.padding)
        return x if self.bias is None else tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))

    def regularized(self):
        return (self.depthwise_kernel,)


class SeparableConv2D(Layer):
    """Depthwise, then 1 x 1 convolution. Variables: depthwise_kernel, pointwise_kernel [1, 1, in, out], bias [out]."""

    def __init__(self, in_channels, filters, kernel_size, strides=1, padding='SAME', use_bias=True,
                 kernel_initializer=initializers.glorot_uniform, bias_initializer=initializers.zeros,
                 regularizer=None, trainable=True):
        super().__init__()
        self.strides, self.padding = (1, strides, strides, 1), padding
        self.regularizer = regularizer
        self.depthwise_kernel = _variable(kernel_initializer, (kernel_size, kernel_size, in_channels, 1), trainable)
        self.pointwise_kernel = _variable(kernel_initializer, (1, 1, in_channels, filters), trainable)
        self.bias = _variable(bias_initializer, (filters,), trainable) if use_bias else None

    def __call__(self, x):
        x = tf.nn.depthwise_conv2d(x, tf.cast(self.depthwise_kernel, x.dtype), self.strides, self.padding)
        x = tf.nn.conv2d(x, tf.cast(self.pointwise_kernel, x.dtype), 1, 'VALID')
        return x if self.bias is None else tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))

    def regularized(self):
        return (self.depthwise_kernel, self.pointwise_kernel)


class Dense(Layer):
    """Matrix product on the last axis. Variables: kernel [in, out], bias [out]."""

    def __init__(self, in_channels, units, use_bias=True, kernel_initializer=initializers.glorot_uniform,
                 bias_initializer=initializers.zeros, regularizer=None, trainable=True):
        super().__init__()
        self.regularizer = regularizer
        self.kernel = _variable(kernel_initializer, (in_channels, units), trainable)
        self.bias = _variable(bias_initializer, (units,), trainable) if use_bias else None

    def __call__(self, x):
        x = tf.matmul(x, tf.cast(self.kernel, x.dtype))
        return x if self.bias is None else tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))

    def regularized(self):
        return (self.kernel,)


class BatchNorm(Layer):
    """Batch normalization over all axes but the last (Ioffe and Szegedy 2015).

    Variables: gamma, beta, moving_mean, moving_variance, all [channels]. In training the moments are the batch's, over
    all replicas of a distribution strategy together (so that losses do not depend on the number of GPUs), and the
    moving moments follow: moving = momentum * moving + (1 - momentum) * batch, the variance with Bessel's correction.

    Args:
        frozen: gamma and beta are not trained and the moving moments are used and kept, also in training.
    """

    def __init__(self, channels, momentum=.99, epsilon=1e-3, center=True, scale=True, frozen=False, trainable=True):
        super().__init__()
        self.momentum, self.epsilon, self.frozen = momentum, epsilon, frozen
        trainable = trainable and not frozen
        self.gamma = _variable(initializers.ones, (channels,), trainable) if scale else None
        self.beta = _variable(initializers.zeros, (channels,), trainable) if center else None
        self.moving_mean = _moment(initializers.zeros, channels)
        self.moving_variance = _moment(initializers.ones, channels)

    def __call__(self, x, training=False):
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
            y, mean, variance = tf.raw_ops.FusedBatchNormV3(
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


def _variable(initializer, shape, trainable):
    return tf.Variable(initializer(shape), trainable=trainable)


def _moment(initializer, channels):
    return tf.Variable(initializer((channels,)), trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
                       aggregation=tf.VariableAggregation.MEAN)
