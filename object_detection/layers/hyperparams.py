"""How the convolutions of one part of a network are made: what a config says once and every layer of the part takes."""
import dataclasses
from collections.abc import Callable

from object_detection.layers import core, initializers


@dataclasses.dataclass(frozen=True)
class Hyperparams:
    """Settings of convolutions and what follows them, and the constructors of layers that have these settings.

    Attributes:
        initializer: function of a shape, for kernels.
        regularizer: core.L1, core.L2 or None, for kernels.
        activation: function of a tensor; None for none.
        batch_norm: keywords of core.BatchNorm (momentum, epsilon, center, scale, frozen); None for no normalization.
        force_use_bias: convolutions have a bias even where a batch normalization with a center follows.
    """

    initializer: Callable = initializers.glorot_uniform
    regularizer: core.L1 | core.L2 | None = None
    activation: Callable | None = None
    batch_norm: dict | None = None
    force_use_bias: bool = False

    @property
    def use_bias(self):
        return self.force_use_bias or self.batch_norm is None or not self.batch_norm.get('center', True)

    def conv(self, in_channels, filters, kernel_size, **keywords):
        keywords = {'use_bias': self.use_bias, 'kernel_initializer': self.initializer,
                    'regularizer': self.regularizer} | keywords
        return core.Conv2D(in_channels, filters, kernel_size, **keywords)

    def depthwise(self, in_channels, kernel_size, plain=False, **keywords):
        """Args: plain: default initializer and no regularizer."""
        keywords = {'use_bias': self.use_bias} | ({} if plain else {
            'kernel_initializer': self.initializer, 'regularizer': self.regularizer}) | keywords
        return core.DepthwiseConv2D(in_channels, kernel_size, **keywords)

    def separable(self, in_channels, filters, kernel_size, plain_depthwise=False, plain_pointwise=False, **keywords):
        """Args: plain_depthwise, plain_pointwise: that kernel has the default initializer and no regularizer."""
        keywords = {'use_bias': self.use_bias} | keywords
        if not plain_depthwise:
            keywords |= {'depthwise_initializer': self.initializer, 'depthwise_regularizer': self.regularizer}
        if not plain_pointwise:
            keywords |= {'pointwise_initializer': self.initializer, 'pointwise_regularizer': self.regularizer}
        return core.SeparableConv2D(in_channels, filters, kernel_size, **keywords)

    def norm(self, channels):
        """A BatchNorm, or None."""
        return core.BatchNorm(channels, **self.batch_norm) if self.batch_norm is not None else None
