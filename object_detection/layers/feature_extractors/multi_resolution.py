"""MobileNet with the shrinking feature maps of SSD (https://arxiv.org/abs/1512.02325)."""
from object_detection.layers.backbones import mobilenet_v1, mobilenet_v2
from object_detection.layers.feature_extractors.base import UnitRange
from object_detection.layers.necks.multi_resolution import MultiResolution

DEPTHS = (512, 256, 256, 128)  # of the feature maps after the two of the backbone


class _MultiResolution(UnitRange):
    """Two maps of the backbone, strides 16 and 32, and num_layers - 2 further ones.

    Args:
        conv_hyperparams: Hyperparams of the further maps, and of the backbone too where
            override_base_feature_extractor_hyperparams is set.
        depth_multiplier, min_depth: factor and minimum of all channels.
        use_depthwise: depthwise and 1 x 1 convolutions in place of 3 x 3 ones.
        use_explicit_padding: padding that does not depend on the size.
        freeze_batchnorm: keep the backbone's BatchNorm moments in training. (Those of the further maps go by
            conv_hyperparams.)
    """

    def __init__(self, conv_hyperparams, num_layers=6, depth_multiplier=1., min_depth=16, pad_to_multiple=1,
                 use_explicit_padding=False, use_depthwise=False, override_base_feature_extractor_hyperparams=False,
                 freeze_batchnorm=False):
        super().__init__(pad_to_multiple)
        base = (conv_hyperparams if override_base_feature_extractor_hyperparams
                else self.backbone_module.default_hyperparams(freeze_batchnorm))
        self.classification_backbone = self.backbone(base, depth_multiplier, min_depth, use_explicit_padding)
        channels = [self.classification_backbone.channels[key] for key in self.taken[:num_layers]]
        generator = MultiResolution(channels, DEPTHS[:max(num_layers - 2, 0)], conv_hyperparams, depth_multiplier,
                                    min_depth, use_depthwise, use_explicit_padding)
        setattr(self, self.generator_name, generator)
        self.channels = generator.channels

    def _maps(self, inputs, training):
        maps = self.classification_backbone(inputs, training)
        generator = getattr(self, self.generator_name)
        return generator([maps[key] for key in self.taken[:len(self.channels)]], training)


class MobileNetV1(_MultiResolution):
    """ssd_mobilenet_v1_keras."""

    backbone_module, backbone = mobilenet_v1, mobilenet_v1.MobileNetV1
    taken = (4, 5)
    generator_name = '_feature_map_generator'


class MobileNetV2(_MultiResolution):
    """ssd_mobilenet_v2_keras."""

    backbone_module, backbone = mobilenet_v2, mobilenet_v2.MobileNetV2
    taken = ('expanded', 5)
    generator_name = 'feature_map_generator'


SSD = {'ssd_mobilenet_v1_keras': MobileNetV1, 'ssd_mobilenet_v2_keras': MobileNetV2}
