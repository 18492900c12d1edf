"""EfficientNet with a BiFPN: the feature extractor of EfficientDet (https://arxiv.org/abs/1911.09070)."""
import functools
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.backbones import efficientnet
from object_detection.layers.feature_extractors.base import BACKBONE_MAX_LEVEL, FeatureExtractor
from object_detection.layers.hyperparams import Hyperparams
from object_detection.layers.necks.bifpn import BiFPN

# {version: (iterations, filters, combine method) of the BiFPN}, unless the config sets them
BIFPN = {'b0': (3, 64, 'fast_attention'), 'b1': (4, 88, 'fast_attention'), 'b2': (5, 112, 'fast_attention'),
         'b3': (6, 160, 'fast_attention'), 'b4': (7, 224, 'fast_attention'), 'b5': (7, 288, 'fast_attention'),
         'b6': (8, 384, 'sum'), 'b7': (8, 384, 'sum')}
MEAN, STDDEV = (.485, .456, .406), (.229, .224, .225)


class EfficientNetBiFPN(FeatureExtractor):
    """ssd_efficientnet-bN_bifpn_keras.

    Args:
        version: 'b0' to 'b7'.
        conv_hyperparams: settings of the BiFPN.
        bifpn_min_level, bifpn_max_level: levels (stride 2 ** level).
        bifpn_num_iterations, bifpn_num_filters, bifpn_combine_method: None for those of the version.
        min_depth: minimum channels of the feature maps.
        pad_to_multiple: pad images at the bottom and right to multiples of this many pixels.
        override_base_feature_extractor_hyperparams: take the backbone's weight decay, and nothing else, from
            conv_hyperparams.
        freeze_batchnorm: keep the backbone's moving moments in training.
    """

    def __init__(self, version: str, conv_hyperparams: Hyperparams, bifpn_min_level: int = 3, bifpn_max_level: int = 7,
                 bifpn_num_iterations: int | None = None, bifpn_num_filters: int | None = None,
                 bifpn_combine_method: str | None = None, min_depth: int = 16, pad_to_multiple: int = 1,
                 override_base_feature_extractor_hyperparams: bool = False, freeze_batchnorm: bool = False) -> None:
        super().__init__(pad_to_multiple)
        iterations, filters, combine_method = BIFPN[version]
        filters = max(bifpn_num_filters or filters, min_depth)
        decay = {}
        if override_base_feature_extractor_hyperparams:
            decay = {'regularizer': conv_hyperparams.regularizer}
        backbone = efficientnet.EfficientNet(version, freeze_batchnorm=freeze_batchnorm, **decay)
        self._efficientnet = core.Network(backbone.first_layers(backbone.used))
        self.classification_backbone = backbone
        self._levels = range(bifpn_min_level, min(bifpn_max_level, BACKBONE_MAX_LEVEL) + 1)
        self._bifpn_stage = BiFPN(
            [backbone.channels[level] for level in self._levels], filters, bifpn_num_iterations or iterations,
            bifpn_min_level, bifpn_max_level, conv_hyperparams, bifpn_combine_method or combine_method)
        self.channels = [filters] * (bifpn_max_level - bifpn_min_level + 1)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        """Normalize images [B, H, W, 3], 0..255, with the mean and standard deviation of ImageNet -> the same shape."""
        return (images / 255. - MEAN) / STDDEV

    def _maps(self, inputs, training):
        levels = self.classification_backbone(inputs, training)
        return self._bifpn_stage([levels[level] for level in self._levels], training)


SSD: dict[str, Callable] = {
    f'ssd_efficientnet-{version}_bifpn_keras': functools.partial(EfficientNetBiFPN, version) for version in BIFPN}
