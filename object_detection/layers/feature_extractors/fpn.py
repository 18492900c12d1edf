"""MobileNet or ResNet with a top-down feature pyramid (https://arxiv.org/abs/1612.03144)."""
import functools

from object_detection.layers import core
from object_detection.layers.backbones import mobilenet_v1, mobilenet_v2, resnet_v1
from object_detection.layers.feature_extractors.base import FeatureExtractor, UnitRange
from object_detection.layers.necks.fpn import TopDownFPN, conv_block

BACKBONE_MAX_LEVEL = 5


class FPN(FeatureExtractor):
    """Levels fpn_min_level to fpn_max_level; those above 5 by 3 x 3 convolutions with stride 2.

    Besides `normalize` and `blank`, sub-classes define
        default_hyperparams(freeze_batch_norm) -> Hyperparams of the backbone unless a config overrides them
        _backbone(hyperparams, depth_multiplier, min_depth, **options) -> a core.Network with channels
            {level: channels}, called with (images, training) -> {level: map}

    Args:
        conv_hyperparams: Hyperparams of the pyramid, and of the backbone too where
            override_base_feature_extractor_hyperparams is set.
        fpn_min_level, fpn_max_level: levels (stride 2 ** level).
        additional_layer_depth: channels of all feature maps, before depth_multiplier and min_depth.
        depth_multiplier, min_depth: factor and minimum of all channels.
        freeze_batchnorm: keep the backbone's BatchNorm moments in training. (Those of the pyramid go by
            conv_hyperparams.)
        options: use_depthwise, separable convolutions in the pyramid; use_explicit_padding, padding that does not
            depend on the size. Only where `_backbone` takes them.
    """

    def __init__(self, conv_hyperparams, fpn_min_level=3, fpn_max_level=7, additional_layer_depth=256,
                 depth_multiplier=1., min_depth=16, pad_to_multiple=1,
                 override_base_feature_extractor_hyperparams=False, freeze_batchnorm=False, **options):
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


class MobileNetV1FPN(FPN, UnitRange):
    """ssd_mobilenet_v1_fpn_keras. With use_depthwise the last two stages of the backbone are narrower."""

    default_hyperparams = staticmethod(mobilenet_v1.default_hyperparams)

    def _backbone(self, hyperparams, depth_multiplier, min_depth, use_explicit_padding=False, use_depthwise=False):
        return mobilenet_v1.MobileNetV1(hyperparams, depth_multiplier, min_depth, use_explicit_padding,
                                        filters={12: 512, 13: 256} if use_depthwise else None)


class MobileNetV2FPN(FPN, UnitRange):
    """ssd_mobilenet_v2_fpn_keras."""

    default_hyperparams = staticmethod(mobilenet_v2.default_hyperparams)

    def _backbone(self, hyperparams, depth_multiplier, min_depth, use_explicit_padding=False, use_depthwise=False):
        return mobilenet_v2.MobileNetV2(hyperparams, depth_multiplier, min_depth, use_explicit_padding)


class ResNetV1FPN(FPN):
    """ssd_resnet50_v1_fpn_keras, and with 101 and 152 layers (RetinaNet, https://arxiv.org/abs/1708.02002)."""

    default_hyperparams = staticmethod(resnet_v1.default_hyperparams)
    blank = (123.68, 116.779, 103.939)

    def __init__(self, depth, conv_hyperparams, **keywords):
        self._depth = depth
        super().__init__(conv_hyperparams, **keywords)

    def _backbone(self, hyperparams, depth_multiplier, min_depth):
        return resnet_v1.ResNetV1(self._depth, hyperparams, depth_multiplier, min_depth)

    def normalize(self, images):
        return images - self.blank


SSD = {
    'ssd_mobilenet_v1_fpn_keras': MobileNetV1FPN,
    'ssd_mobilenet_v2_fpn_keras': MobileNetV2FPN,
    **{f'ssd_resnet{depth}_v1_fpn_keras': functools.partial(ResNetV1FPN, depth) for depth in (50, 101, 152)},
}
