"""Settings that all convolutions of one part of a network share, and constructors of layers with these settings."""
import dataclasses
from typing import Any

from object_detection.layers import core, initializers


@dataclasses.dataclass(frozen=True)
class Hyperparams:
    """Settings of convolutions and of the normalization and activation after them.

    Attributes:
        initializer, regularizer: for kernels.
        activation: function of a tensor, or None.
        batch_norm: keywords of core.BatchNorm (momentum, epsilon, center, scale, frozen), or None for no normalization.
        force_use_bias: give convolutions a bias even if the normalization after them has a center.
    """

    initializer: initializers.Initializer = initializers.glorot_uniform
    regularizer: core.L1 | core.L2 | None = None
    activation: core.Activation | None = None
    batch_norm: dict[str, Any] | None = None
    force_use_bias: bool = False

    @property
    def use_bias(self) -> bool:
        """Whether convolutions have a bias unless told otherwise."""
        return self.force_use_bias or self.batch_norm is None or not self.batch_norm.get('center', True)

    def conv(self, in_channels: int, filters: int, kernel_size: int | tuple[int, int], **keywords: Any) -> core.Conv2D:
        """Return a convolution with these settings; `keywords` of core.Conv2D override them."""
        settings: dict[str, Any] = {'use_bias': self.use_bias, 'kernel_initializer': self.initializer,
                                    'regularizer': self.regularizer}
        return core.Conv2D(in_channels, filters, kernel_size, **settings | keywords)

    def depthwise(self, in_channels: int, kernel_size: int, plain: bool = False,
                  **keywords: Any) -> core.DepthwiseConv2D:
        """Return a depthwise convolution with these settings; `keywords` of core.DepthwiseConv2D override them.

        Args:
            plain: use the default initializer and no regularizer.
        """
        settings: dict[str, Any] = {'use_bias': self.use_bias}
        if not plain:
            settings |= {'kernel_initializer': self.initializer, 'regularizer': self.regularizer}
        return core.DepthwiseConv2D(in_channels, kernel_size, **settings | keywords)

    def separable(self, in_channels: int, filters: int, kernel_size: int, plain_depthwise: bool = False,
                  plain_pointwise: bool = False, **keywords: Any) -> core.SeparableConv2D:
        """Return a separable convolution with these settings; `keywords` of core.SeparableConv2D override them.

        Args:
            plain_depthwise, plain_pointwise: use the default initializer and no regularizer for that kernel.
        """
        settings: dict[str, Any] = {'use_bias': self.use_bias}
        if not plain_depthwise:
            settings |= {'depthwise_initializer': self.initializer, 'depthwise_regularizer': self.regularizer}
        if not plain_pointwise:
            settings |= {'pointwise_initializer': self.initializer, 'pointwise_regularizer': self.regularizer}
        return core.SeparableConv2D(in_channels, filters, kernel_size, **settings | keywords)

    def norm(self, channels: int) -> core.BatchNorm | None:
        """Return a batch normalization with these settings, or None if there is none."""
        return core.BatchNorm(channels, **self.batch_norm) if self.batch_norm is not None else None
