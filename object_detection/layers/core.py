"""The layers that every network is built from: convolutions, batch normalization, dropout, and how they are tracked.

They replace Keras layers for three reasons: a detector of several hundred layers builds and traces in a fraction of the
time; variables exist once the constructor returns, so a checkpoint restores before any forward pass; and the attribute
names, which are the checkpoint keys, are ours to choose.

Feature maps are float [B, H, W, C]. Kernels have the shapes and names that Keras gives them. A layer computes in the
dtype of its input: feed bfloat16 and it runs in bfloat16 on float32 variables.
"""
import dataclasses
import math
import types
from collections.abc import Callable, Collection, Iterable

import tensorflow as tf

from object_detection.layers import initializers, parts, randomness
from object_detection.layers.initializers import Initializer
from object_detection.utils import tracing

Activation = Callable[[tf.Tensor], tf.Tensor]
Regularizer = Callable[[list[tf.Variable]], tf.Tensor]  # L1 or L2: all variables of one regularizer -> a scalar


class Layer(tf.Module):
    """A callable with variables. tf.Module tracks sub-layers and variables by attribute name."""

    def regularized(self) -> Iterable[tuple[Regularizer | None, tf.Variable | None]]:
        """Return pairs (regularizer, variable); either may be None."""
        return ()


class Untracked(types.SimpleNamespace):
    """Attributes that tf.Module does not look into and that add no checkpoint keys.

    tf.Module tracks every layer, list and dict assigned to an attribute, and sorts the keys of the dicts. Put in here
    what only the forward pass needs: layers that are already tracked under the checkpoint's keys, lists and dicts of
    them, and dicts whose keys cannot be sorted.

        self._parts = core.Untracked(stem=stem, blocks=blocks)  # then self._parts.stem(images)
    """


def regularization_losses(module: tf.Module) -> list[tf.Tensor]:
    """Return the regularization losses of all trainable variables in `module`: one scalar per distinct regularizer."""
    variables: dict = {}
    for layer in (module, *module.submodules):
        for regularizer, variable in layer.regularized() if isinstance(layer, Layer) else ():
            if regularizer is not None and variable is not None and variable.trainable:
                variables.setdefault(regularizer, []).append(variable)
    return [regularizer(group) for regularizer, group in variables.items()]


@dataclasses.dataclass(frozen=True)
class L2:
    """weight / 2 * sum of squares, as the reference reads l2_regularizer { weight }."""
    weight: float

    def __call__(self, variables: list[tf.Variable]) -> tf.Tensor:
        """Variables of any shape -> scalar."""
        return self.weight * tf.add_n([tf.nn.l2_loss(variable) for variable in variables])


@dataclasses.dataclass(frozen=True)
class L1:
    """weight * sum of absolute values."""
    weight: float

    def __call__(self, variables: list[tf.Variable]) -> tf.Tensor:
        """Variables of any shape -> scalar."""
        return self.weight * tf.add_n([tf.reduce_sum(tf.abs(variable)) for variable in variables])


class Network(Layer):
    """Layers tracked as layer_with_weights-0, -1, ... in the order added: the keys of a Keras functional model."""

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        super().__init__()
        self.num_layers = 0
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer) -> Layer:
        """Track `layer` under the next number and return it."""
        setattr(self, f'layer_with_weights-{self.num_layers}', layer)
        self.num_layers += 1
        return layer

    def first_layers(self, count: int) -> list[Layer]:
        """Return the first `count` layers in the order added."""
        return [getattr(self, f'layer_with_weights-{index}') for index in range(count)]


class Sequence(Layer):
    """Callables that run one after the other. Layers are tracked under their position: '0', '1', ...

    Args:
        steps: layers and plain functions of a tensor. None does nothing but take up a position.
    """

    def __init__(self, steps: Collection[Callable | None]) -> None:
        super().__init__()
        for position, step in enumerate(steps):
            if isinstance(step, tf.Module):
                setattr(self, str(position), step)
        self._parts = Untracked(steps=[step for step in steps if step is not None])

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Input of the first step [B, ...] -> output of the last [B, ...]. BatchNorm and Dropout get `training`."""
        for step in self._parts.steps:
            x = step(x, training) if isinstance(step, BatchNorm | Dropout | Sequence) else step(x)
        return x


class Conv2D(Layer):
    """2-D convolution. Variables: kernel [k, k, in, filters], bias [filters].

    Args:
        kernel_size: an int for both dimensions, or (height, width).
        strides, dilation: an int for both dimensions.
        padding: 'SAME' or 'VALID' as TensorFlow defines them.
    """

    def __init__(self, in_channels: int, filters: int, kernel_size: int | tuple[int, int], strides: int = 1,
                 padding: str = 'SAME', dilation: int = 1, use_bias: bool = True,
                 kernel_initializer: Initializer = initializers.glorot_uniform,
                 bias_initializer: Initializer = initializers.zeros, regularizer: Regularizer | None = None,
                 bias_regularizer: Regularizer | None = None, trainable: bool = True) -> None:
        super().__init__()
        self.strides, self.padding, self.dilation = strides, padding, dilation
        self.regularizer, self.bias_regularizer = regularizer, bias_regularizer
        window = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.kernel = _variable(kernel_initializer, (*window, in_channels, filters), trainable)
        self.bias = _variable(bias_initializer, (filters,), trainable) if use_bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, in_channels] -> [B, H', W', filters]."""
        return _biased(_conv(x, self.kernel, self.strides, self.padding, self.dilation), self.bias)

    def regularized(self) -> Iterable[tuple[Regularizer | None, tf.Variable | None]]:
        return (self.regularizer, self.kernel), (self.bias_regularizer, self.bias)


class DepthwiseConv2D(Layer):
    """One k x k filter per channel. Variables: depthwise_kernel [k, k, in, 1], bias [in]."""

    def __init__(self, in_channels: int, kernel_size: int, strides: int = 1, padding: str = 'SAME',
                 use_bias: bool = True, kernel_initializer: Initializer = initializers.glorot_uniform,
                 bias_initializer: Initializer = initializers.zeros, regularizer: Regularizer | None = None,
                 trainable: bool = True) -> None:
        super().__init__()
        self.strides, self.padding = strides, padding
        self.regularizer = regularizer
        self.depthwise_kernel = _variable(kernel_initializer, (kernel_size, kernel_size, in_channels, 1), trainable)
        self.bias = _variable(bias_initializer, (in_channels,), trainable) if use_bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, in_channels] -> [B, H', W', in_channels]."""
        return _biased(_depthwise_conv(x, self.depthwise_kernel, self.strides, self.padding), self.bias)

    def regularized(self) -> Iterable[tuple[Regularizer | None, tf.Variable | None]]:
        return ((self.regularizer, self.depthwise_kernel),)


class SeparableConv2D(Layer):
    """Depthwise convolution, then a 1 x 1 convolution.

    Variables: depthwise_kernel [k, k, in, 1], pointwise_kernel [1, 1, in, filters], bias [filters].
    """

    def __init__(self, in_channels: int, filters: int, kernel_size: int, strides: int = 1, padding: str = 'SAME',
                 use_bias: bool = True, depthwise_initializer: Initializer = initializers.glorot_uniform,
                 depthwise_regularizer: Regularizer | None = None,
                 pointwise_initializer: Initializer = initializers.glorot_uniform,
                 pointwise_regularizer: Regularizer | None = None, bias_initializer: Initializer = initializers.zeros,
                 trainable: bool = True) -> None:
        super().__init__()
        self.strides, self.padding = strides, padding
        self.depthwise_regularizer, self.pointwise_regularizer = depthwise_regularizer, pointwise_regularizer
        self.depthwise_kernel = _variable(depthwise_initializer, (kernel_size, kernel_size, in_channels, 1), trainable)
        self.pointwise_kernel = _variable(pointwise_initializer, (1, 1, in_channels, filters), trainable)
        self.bias = _variable(bias_initializer, (filters,), trainable) if use_bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, in_channels] -> [B, H', W', filters]."""
        x = _depthwise_conv(x, self.depthwise_kernel, self.strides, self.padding)
        return _biased(_conv(x, self.pointwise_kernel, 1, 'VALID'), self.bias)

    def regularized(self) -> Iterable[tuple[Regularizer | None, tf.Variable | None]]:
        return ((self.depthwise_regularizer, self.depthwise_kernel),
                (self.pointwise_regularizer, self.pointwise_kernel))


class Dense(Layer):
    """Matrix product on the last axis. Variables: kernel [in, units], bias [units]."""

    def __init__(self, in_channels: int, units: int, kernel_initializer: Initializer = initializers.glorot_uniform,
                 regularizer: Regularizer | None = None, bias_regularizer: Regularizer | None = None) -> None:
        super().__init__()
        self.regularizer, self.bias_regularizer = regularizer, bias_regularizer
        self.kernel = _variable(kernel_initializer, (in_channels, units), True)
        self.bias = _variable(initializers.zeros, (units,), True)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[..., in_channels] -> [..., units]."""
        return tf.nn.bias_add(tf.matmul(x, cast(self.kernel, x.dtype)), cast(self.bias, x.dtype))

    def regularized(self) -> Iterable[tuple[Regularizer | None, tf.Variable | None]]:
        return (self.regularizer, self.kernel), (self.bias_regularizer, self.bias)


class BatchNorm(Layer):
    """Batch normalization over all axes but the last (Ioffe and Szegedy 2015).

    Variables: gamma, beta, moving_mean, moving_variance, all [channels]. In training the moments are those of the batch
    over all replicas of the distribution strategy, so that losses do not depend on the number of GPUs. The moving
    moments follow: moving = momentum * moving + (1 - momentum) * batch, the variance with Bessel's correction. Where
    the gradients of several parts of a batch are accumulated, the moments are those of each part, and the moving ones
    follow the mean of these.

    Args:
        frozen: use the moving moments in training too, and leave them as they are. gamma and beta stay trainable, as
            under the reference's freeze_batchnorm.
    """

    def __init__(self, channels: int, momentum: float = .99, epsilon: float = 1e-3, center: bool = True,
                 scale: bool = True, frozen: bool = False, trainable: bool = True) -> None:
        super().__init__()
        self.momentum, self.epsilon, self.frozen = momentum, epsilon, frozen
        self.gamma = _variable(initializers.ones, (channels,), trainable) if scale else None
        self.beta = _variable(initializers.zeros, (channels,), trainable) if center else None
        self.moving_mean = _moment(initializers.zeros, channels)
        self.moving_variance = _moment(initializers.ones, channels)

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[..., channels] -> the same shape."""
        if len(x.shape) != 4:  # the kernel takes feature maps
            return tf.reshape(self(tf.reshape(x, [-1, 1, 1, x.shape[-1]]), training), tf.shape(x))
        mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        gamma = tf.ones_like(mean) if self.gamma is None else self.gamma
        beta = tf.zeros_like(mean) if self.beta is None else self.beta
        if not training or self.frozen:
            return tf.raw_ops.FusedBatchNormV3(x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
                                               epsilon=self.epsilon, is_training=False)[0]
        replicas, rate = tf.distribute.get_replica_context(), parts.moving_rate(1. - self.momentum)
        several = replicas and replicas.num_replicas_in_sync > 1
        if several or rate is not None:
            y, batch_mean, batch_variance = (self._normalize_across_replicas(x, gamma, beta, replicas) if several else
                                             _normalize(x, gamma, beta, self.epsilon))
            if parts.only_counts():
                return y
            rate = 1. - self.momentum if rate is None else rate
            mean += (batch_mean - mean) * rate
            variance += (batch_variance - variance) * rate
        else:  # the kernel updates the moving moments itself
            y, mean, variance = _normalize(x, gamma, beta, self.epsilon, mean, variance, 1. - self.momentum)
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
    """In training, zero each value with probability `rate` and scale the others by 1 / (1 - rate).

    Args:
        per_image: zero all values of an image or none (stochastic depth, Huang et al. 2016).
    """

    def __init__(self, rate: float, per_image: bool = False) -> None:
        super().__init__()
        self.rate, self.per_image = rate, per_image

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, ...], with per_image [B, H, W, C] -> the same shape."""
        if not training or not self.rate:
            return x
        kept = randomness.uniform([tf.shape(x)[0], 1, 1, 1] if self.per_image else tf.shape(x)) >= self.rate
        return x * (tf.cast(kept, x.dtype) * (1. / (1. - self.rate)))


def swish(x: tf.Tensor) -> tf.Tensor:
    """Return x * sigmoid(x), for x [...]. A training step keeps the result, which the next layer keeps anyway, and the
    sigmoid for the gradient, but not x."""
    return _swish_without_x(x) if tracing.is_training_step() else x * tf.sigmoid(x)


@tf.custom_gradient
def _swish_without_x(x):
    sigmoid = tf.sigmoid(x)
    result = x * sigmoid
    return result, lambda upstream: upstream * (result + sigmoid * (1. - result))


def pad_for_kernel(x: tf.Tensor, kernel_size: int) -> tf.Tensor:
    """Pad x [B, H, W, C] with (kernel_size - 1) / 2 zeros on each side -> [B, H + kernel_size - 1, W + ..., C].

    Followed by 'VALID', this is padding that does not depend on the size of the map, unlike 'SAME' with a stride.
    """
    before = (kernel_size - 1) // 2
    after = kernel_size - 1 - before
    return tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]])


def max_pool(x: tf.Tensor) -> tf.Tensor:
    """Halve x [B, H, W, C] by 3 x 3 max pooling -> [B, H / 2, W / 2, C], rounded up."""
    return tf.nn.max_pool2d(x, 3, 2, 'SAME')


def upsample(x: tf.Tensor) -> tf.Tensor:
    """Upsample x [B, H, W, C] to [B, 2H, 2W, C] by nearest neighbor."""
    height, width = x.shape[1:3]
    if tracing.shapes_are_fixed():  # XLA lacks the gradient of the kernel
        pixels = tf.reshape(x, [-1, height, 1, width, 1, x.shape[-1]])
        return tf.reshape(tf.tile(pixels, [1, 1, 2, 1, 2, 1]), [-1, 2 * height, 2 * width, x.shape[-1]])
    size = 2 * tf.shape(x)[1:3] if None in (height, width) else [2 * height, 2 * width]
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size)


def crop(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Crop x [B, H, W, C] at the bottom and right to the size of `like` [B, h, w, ...] -> [B, h, w, C]."""
    shape = tf.shape(like)
    return x[:, :shape[1], :shape[2]]


def round_to_8(channels: float) -> int:
    """Round to the nearest multiple of 8, at least 8, up where that would lose more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < .9 * channels else rounded


def check_equal_sizes(maps: list[tf.Tensor]) -> None:
    """Raise a ValueError if feature maps [B, H, W, C] that are about to be added differ in height or width."""
    sizes = [tuple(x.shape[1:3]) for x in maps]
    if None not in sum(sizes, ()) and len(set(sizes)) > 1:
        listed = ' and '.join(f'{height}x{width}' for height, width in dict.fromkeys(sizes))
        raise ValueError(f'the image size does not fit the feature pyramid: maps of {listed} would have to be added; '
                         'make its height and width multiples of 2 ** max_level (128 for levels 3 to 7)')


def cast(x: tf.Tensor | tf.Variable, dtype: tf.DType) -> tf.Tensor | tf.Variable:
    """Cast x if it is of another dtype; tf.cast adds an op in any case."""
    return x if x.dtype == dtype else tf.cast(x, dtype)


# Raw kernels: what tf.nn does around them is a fifth of the time it takes to trace a network.


def _conv(x, kernel, strides, padding, dilation=1):
    if tracing.ops_are_for_cpu() and strides == 1 and kernel.shape[:2] == (1, 1) and _is_small(x, kernel):
        return _matrix_product(x, kernel)
    return tf.raw_ops.Conv2D(input=x, filter=cast(kernel, x.dtype), strides=(1, strides, strides, 1),
                             padding=padding, dilations=(1, dilation, dilation, 1))


def _is_small(x, kernel):
    """Return whether a 1 x 1 convolution is small enough for what a call of oneDNN's kernel takes to count: at most
    134 million multiplications an image."""
    return None not in x.shape[1:] and math.prod(x.shape[1:]) * kernel.shape[-1] <= 1 << 27


def _matrix_product(x, kernel):
    """A 1 x 1 convolution. Forward and backward, each call takes 0.1 ms less than that of the convolution's kernels."""
    channels, filters = kernel.shape[2:]
    matrix = tf.reshape(cast(kernel, x.dtype), [channels, filters])
    product = tf.raw_ops.MatMul(a=tf.reshape(x, [-1, channels]), b=matrix)
    return tf.reshape(product, [-1, *x.shape[1:3], filters])


def _depthwise_conv(x, kernel, strides, padding):
    return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=cast(kernel, x.dtype),
                                            strides=(1, strides, strides, 1), padding=padding)


def _normalize(x, gamma, beta, epsilon, mean=(), variance=(), rate=1.):
    """Return (normalized x, moving mean, moving variance), moved by `rate` to the moments of the batch."""
    # TensorFlow knows that no gradient flows through the moments of FusedBatchNorm, which takes float32 only; for those
    # of FusedBatchNormV3 it fills tensors with zeros.
    kernel = tf.raw_ops.FusedBatchNorm if x.dtype == tf.float32 else tf.raw_ops.FusedBatchNormV3
    return kernel(x=x, scale=gamma, offset=beta, mean=tf.convert_to_tensor(mean, tf.float32),
                  variance=tf.convert_to_tensor(variance, tf.float32), epsilon=epsilon, exponential_avg_factor=rate,
                  is_training=True)[:3]


def _biased(x, bias):
    return x if bias is None else tf.raw_ops.BiasAdd(value=x, bias=cast(bias, x.dtype))


def _variable(initializer, shape, trainable):
    return tf.Variable(initializer(shape), trainable=trainable)


def _moment(initializer, channels):
    return tf.Variable(initializer((channels,)), trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
                       aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)  # all have the same moments
