"""MobileNet or ResNet with a feature pyramid network (https://arxiv.org/abs/1612.03144)."""
import functools
from collections.abc import Callable
from typing import Any

from object_detection.layers import core
from object_detection.layers.backbones import mobilenet_v1, mobilenet_v2, resnet_v1
from object_detection.layers.feature_extractors.base import (
    BACKBONE_MAX_LEVEL,
    FeatureExtractor,
    subtract_means,
    to_symmetric_range,
)
from object_detection.layers.hyperparams import Hyperparams
from object_detection.layers.necks.fpn import TopDownFPN, conv_block


class FPN(FeatureExtractor):
    """Levels fpn_min_level to fpn_max_level; those above 5 by 3 x 3 convolutions with stride 2.

    Besides `normalize`, sub-classes define
        default_hyperparams(freeze_batchnorm): return the Hyperparams of the backbone unless a config overrides them.
        _backbone(hyperparams, depth_multiplier, min_depth, **options): return a core.Network that has `channels`,
            {level: channels}, and that maps (images, training) to {level: feature map}.

    Args:
        conv_hyperparams: settings of the pyramid, and of the backbone too with
            override_base_feature_extractor_hyperparams.
        fpn_min_level, fpn_max_level: levels (stride 2 ** level).
        additional_layer_depth: channels of all feature maps, before depth_multiplier and min_depth.
        depth_multiplier, min_depth: factor and minimum of all channels.
        pad_to_multiple: pad images at the bottom and right to multiples of this many pixels.
        freeze_batchnorm: keep the backbone's moving moments in training. (For the pyramid, conv_hyperparams decide.)
        options: of those that `_backbone` takes, use_depthwise: separable convolutions in the pyramid;
            use_explicit_padding: pad by a fixed number of pixels instead of 'SAME'.
    """
    default_hyperparams: Callable[[bool], Hyperparams]
    _backbone: Callable[..., Any]

    def __init__(self, conv_hyperparams: Hyperparams, fpn_min_level: int = 3, fpn_max_level: int = 7,
                 additional_layer_depth: int = 256, depth_multiplier: float = 1., min_depth: int = 16,
                 pad_to_multiple: int = 1, override_base_feature_extractor_hyperparams: bool = False,
                 freeze_batchnorm: bool = False, **options: bool) -> None:
        super().__init__(pad_to_multiple)
        base = (conv_hyperparams if override_base_feature_extractor_hyperparams
                else self.default_hyperparams(freeze_batchnorm))
        self.classification_backbone = self._backbone(base, depth_multiplier, min_depth, **options)
        filters = max(int(additional_layer_depth * depth_multiplier), min_depth)
        self._levels = range(fpn_min_level, min(fpn_max_level, BACKBONE_MAX_LEVEL) + 1)
        self._fpn_features_generator = TopDownFPN(
            [self.classification_backbone.channels[level] for level in self._levels], filters, conv_hyperparams,
            **options)
        self._coarse_feature_layers = [
            core.Sequence(conv_block(conv_hyperparams, filters, filters, 2, **options))
            for _ in range(BACKBONE_MAX_LEVEL, fpn_max_level)]
        self.channels = [filters] * (fpn_max_level - fpn_min_level + 1)

    def _maps(self, inputs, training):
        levels = self.classification_backbone(inputs, training)
        maps = self._fpn_features_generator([levels[level] for level in self._levels], training)
        for layer in self._coarse_feature_layers:
            maps.append(layer(maps[-1], training))
        return maps


class MobileNetV1FPN(FPN):
    """ssd_mobilenet_v1_fpn_keras. With use_depthwise the last two stages of the backbone are narrower."""

    normalize = staticmethod(to_symmetric_range)
    default_hyperparams = staticmethod(mobilenet_v1.default_hyperparams)

    def _backbone(self, hyperparams, depth_multiplier, min_depth, use_explicit_padding=False, use_depthwise=False):
        return mobilenet_v1.MobileNetV1(hyperparams, depth_multiplier, min_depth, use_explicit_padding,
                                        filters={12: 512, 13: 256} if use_depthwise else None)


class MobileNetV2FPN(FPN):
    """ssd_mobilenet_v2_fpn_keras."""

    normalize = staticmethod(to_symmetric_range)
    default_hyperparams = staticmethod(mobilenet_v1.default_hyperparams)

    def _backbone(self, hyperparams, depth_multiplier, min_depth, use_explicit_padding=False, use_depthwise=False):
        return mobilenet_v2.MobileNetV2(hyperparams, depth_multiplier, min_depth, use_explicit_padding)


class ResNetV1FPN(FPN):
    """ssd_resnet50_v1_fpn_keras, ssd_resnet101_... and ssd_resnet152_... (RetinaNet, https://arxiv.org/abs/1708.02002).
    """

    normalize = staticmethod(subtract_means)
    default_hyperparams = staticmethod(resnet_v1.default_hyperparams)

    def __init__(self, depth: int, conv_hyperparams: Hyperparams, **keywords: Any) -> None:
        self._depth = depth
        super().__init__(conv_hyperparams, **keywords)

    def _backbone(self, hyperparams, depth_multiplier, min_depth):
        return resnet_v1.ResNetV1(self._depth, hyperparams, depth_multiplier, min_depth)


SSD: dict[str, Callable] = {
    'ssd_mobilenet_v1_fpn_keras': MobileNetV1FPN,
    'ssd_mobilenet_v2_fpn_keras': MobileNetV2FPN,
    **{f'ssd_resnet{depth}_v1_fpn_keras': functools.partial(ResNetV1FPN, depth) for depth in (50, 101, 152)},
}
