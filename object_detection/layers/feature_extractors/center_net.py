"""Feature extractors of CenterNet (https://arxiv.org/abs/1904.07850): a backbone, upsampled to stride 4."""
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.backbones import hourglass, mobilenet_v1, mobilenet_v2, resnet_v1, resnet_v2
from object_detection.layers.feature_extractors.base import IMAGENET_MEANS, FeatureExtractor, to_symmetric_range
from object_detection.layers.hyperparams import Hyperparams
from object_detection.layers.necks.upsampling import Deconvolution, UpsamplingFPN


class CenterNetFeatureExtractor(FeatureExtractor):
    """One or more maps of stride 4. If there are several, all have a loss, and only the last makes detections.

    Sub-classes define `_features`, which is `_maps` after the size check, and may define `_backbone_range`, which is
    applied after the normalization below.

    Args:
        channel_means, channel_stds: mean to subtract from each channel and standard deviation to divide it by; empty
            for 0 and 1.
        bgr_ordering: reverse the channels before that.
    Attributes:
        multiple: the image's height and width must be multiples of it.
    """
    stride = 4
    multiple = 32
    _features: Callable[[tf.Tensor, bool], list[tf.Tensor]]

    def __init__(self, channel_means: Sequence[float] = (), channel_stds: Sequence[float] = (),
                 bgr_ordering: bool = False) -> None:
        super().__init__()
        self._means, self._stds = tuple(channel_means) or (0.,) * 3, tuple(channel_stds) or (1.,) * 3
        self._bgr = bgr_ordering

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] float, 0..255 -> the same shape in the range that the backbone was trained with."""
        images = images[..., ::-1] if self._bgr else images
        return self._backbone_range((images - self._means) / self._stds)

    def _backbone_range(self, images):
        return images

    def _maps(self, inputs, training):
        sizes = inputs.shape[1:3]
        if any(size is not None and size % self.multiple for size in sizes):
            raise ValueError(f'the image size {sizes[0]}x{sizes[1]} does not fit the feature extractor: height and '
                             f'width must be multiples of {self.multiple}')
        return self._features(inputs, training)


class Hourglass(CenterNetFeatureExtractor):
    """hourglass_10, _20, _32, _52 and _104. There are no classification checkpoints to start from."""

    classification_backbone = None

    def __init__(self, size: int, **normalization: Any) -> None:
        super().__init__(**normalization)
        self._network = hourglass.Hourglass(size)
        self.channels, self.multiple = self._network.channels, self._network.multiple

    def _features(self, inputs, training):
        return self._network(inputs, training)


class _WithNeck(CenterNetFeatureExtractor):
    """A backbone, tracked as `_base_model`, and a neck, tracked as `_feature_extractor_model`."""

    @property
    def classification_backbone(self):
        return self._base_model

    def _join(self, backbone, neck):
        self._base_model, self._feature_extractor_model = backbone, neck
        self.channels = [neck.channels]


class ResNetV2(_WithNeck):
    """resnet_v2_50 and resnet_v2_101, with transposed convolutions."""

    _backbone_range = staticmethod(to_symmetric_range)

    def __init__(self, depth: int, **normalization: Any) -> None:
        super().__init__(**normalization)
        backbone = resnet_v2.ResNetV2(depth)
        self._join(backbone, Deconvolution(backbone.channels[-1]))

    def _features(self, inputs, training):
        return [self._feature_extractor_model(self._base_model(inputs, training)[-1], training)]


class ResNetV1FPN(_WithNeck):
    """resnet_v1_50_fpn and resnet_v1_101_fpn; resnet_v1_18_fpn and resnet_v1_34_fpn, whose blocks are those of V2."""

    def __init__(self, depth: int, **normalization: Any) -> None:
        super().__init__(**normalization)
        self._depth = depth
        if depth < 50:
            backbone = resnet_v2.ResNetV2(depth)
            channels = backbone.channels
        else:
            backbone = resnet_v1.ResNetV1(depth, Hyperparams(
                activation=tf.nn.relu, batch_norm={'epsilon': resnet_v2.EPSILON}), keras=True)
            channels = list(backbone.channels.values())
        self._join(backbone, UpsamplingFPN(channels, 256, (256, 128, 64)))

    def _backbone_range(self, images):
        return images[..., ::-1] - IMAGENET_MEANS[::-1]

    def _features(self, inputs, training):
        maps = self._base_model(inputs, training)
        maps = maps if self._depth < 50 else [maps[level] for level in (2, 3, 4, 5)]
        return [self._feature_extractor_model(maps, training)]


class MobileNetV2FPN(_WithNeck):
    """mobilenet_v2_fpn, and mobilenet_v2_fpn_sep_conv, which has separable convolutions in any case.

    Args:
        depth_multiplier: factor of the backbone's channels.
        use_separable_conv: separable convolutions in the neck.
        upsampling_interpolation: 'nearest' or 'bilinear'.
    """

    taken = 2, 3, 'block 9', 5
    _backbone_range = staticmethod(to_symmetric_range)

    def __init__(self, depth_multiplier: float = 1., use_separable_conv: bool = False,
                 upsampling_interpolation: str = 'nearest', **normalization: Any) -> None:
        super().__init__(**normalization)
        backbone = _mobilenet_v2(depth_multiplier)
        self._join(backbone, UpsamplingFPN([backbone.channels[key] for key in self.taken], 64, (64, 32, 24),
                                           use_separable_conv, upsampling_interpolation))

    def _features(self, inputs, training):
        maps = self._base_model(inputs, training)
        return [self._feature_extractor_model([maps[key] for key in self.taken], training)]


class MobileNetV2(CenterNetFeatureExtractor):
    """mobilenet_v2, with transposed convolutions. A classification checkpoint restores them too, as in the reference.

    Args:
        depth_multiplier: factor of the backbone's channels.
    """

    _backbone_range = staticmethod(to_symmetric_range)

    def __init__(self, depth_multiplier: float = 1., **normalization: Any) -> None:
        super().__init__(**normalization)
        backbone = _mobilenet_v2(depth_multiplier)
        self._network = Deconvolution(backbone.channels[5], kernel_size=1)
        setattr(self._network, 'layer_with_weights-0', backbone)
        self.channels = [self._network.channels]

    @property
    def classification_backbone(self) -> core.Network:
        return self._network

    def _features(self, inputs, training):
        backbone = getattr(self._network, 'layer_with_weights-0')
        return [self._network(backbone(inputs, training)[5], training)]


def _mobilenet_v2(depth_multiplier):
    # no weight decay: CenterNet's loss has none
    hyperparams = dataclasses.replace(mobilenet_v1.default_hyperparams(), regularizer=None)
    return mobilenet_v2.MobileNetV2(hyperparams, depth_multiplier)


CENTER_NET: dict[str, Callable] = {
    **{f'hourglass_{size}': functools.partial(Hourglass, size) for size in (10, 20, 32, 52, 104)},
    **{f'resnet_v2_{depth}': functools.partial(ResNetV2, depth) for depth in (50, 101)},
    **{f'resnet_v1_{depth}_fpn': functools.partial(ResNetV1FPN, depth) for depth in (18, 34, 50, 101)},
    'mobilenet_v2': MobileNetV2,
    'mobilenet_v2_fpn': MobileNetV2FPN,
    'mobilenet_v2_fpn_sep_conv': functools.partial(MobileNetV2FPN, use_separable_conv=True),
}
