"""MobileNet with the extra feature layers of SSD (https://arxiv.org/abs/1512.02325)."""
from collections.abc import Callable

from object_detection.layers.backbones import mobilenet_v1, mobilenet_v2
from object_detection.layers.feature_extractors.base import FeatureExtractor, to_symmetric_range
from object_detection.layers.hyperparams import Hyperparams
from object_detection.layers.necks.multi_resolution import MultiResolution

DEPTHS = (512, 256, 256, 128)  # channels of the extra feature maps


class _MultiResolution(FeatureExtractor):
    """Two maps of the backbone, of strides 16 and 32, and num_layers - 2 extra ones.

    Args:
        conv_hyperparams: settings of the extra layers, and of the backbone too with
            override_base_feature_extractor_hyperparams.
        num_layers: number of feature maps.
        depth_multiplier, min_depth: factor and minimum of all channels.
        pad_to_multiple: pad images at the bottom and right to multiples of this many pixels.
        use_explicit_padding: pad by a fixed number of pixels instead of 'SAME'.
        use_depthwise: depthwise and 1 x 1 convolutions instead of 3 x 3 ones in the extra layers.
        freeze_batchnorm: keep the backbone's moving moments in training. (For the extra layers, conv_hyperparams
            decide.)
    """
    normalize = staticmethod(to_symmetric_range)
    backbone: Callable
    taken: tuple[int | str, ...]  # names of the two maps in the backbone's output
    generator_name: str  # attribute of the extra layers, and so their checkpoint key

    def __init__(self, conv_hyperparams: Hyperparams, num_layers: int = 6, depth_multiplier: float = 1.,
                 min_depth: int = 16, pad_to_multiple: int = 1, use_explicit_padding: bool = False,
                 use_depthwise: bool = False, override_base_feature_extractor_hyperparams: bool = False,
                 freeze_batchnorm: bool = False) -> None:
        super().__init__(pad_to_multiple)
        base = (conv_hyperparams if override_base_feature_extractor_hyperparams
                else mobilenet_v1.default_hyperparams(freeze_batchnorm))
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

    backbone = mobilenet_v1.MobileNetV1
    taken = (4, 5)
    generator_name = '_feature_map_generator'


class MobileNetV2(_MultiResolution):
    """ssd_mobilenet_v2_keras."""

    backbone = mobilenet_v2.MobileNetV2
    taken = ('expanded', 5)
    generator_name = 'feature_map_generator'


SSD: dict[str, Callable] = {'ssd_mobilenet_v1_keras': MobileNetV1, 'ssd_mobilenet_v2_keras': MobileNetV2}
