"""EfficientNet with a BiFPN: the feature extractor of EfficientDet (https://arxiv.org/abs/1911.09070)."""
import functools

from object_detection.layers import core
from object_detection.layers.backbones import efficientnet
from object_detection.layers.feature_extractors.base import FeatureExtractor
from object_detection.layers.necks.bifpn import BiFPN

# (iterations, filters, combine method) of the BiFPN per EfficientNet version, where the config has none
BIFPN = {'b0': (3, 64, 'fast_attention'), 'b1': (4, 88, 'fast_attention'), 'b2': (5, 112, 'fast_attention'),
         'b3': (6, 160, 'fast_attention'), 'b4': (7, 224, 'fast_attention'), 'b5': (7, 288, 'fast_attention'),
         'b6': (8, 384, 'sum'), 'b7': (8, 384, 'sum')}
MEAN, STDDEV = (.485, .456, .406), (.229, .224, .225)


class EfficientNetBiFPN(FeatureExtractor):
    """ssd_efficientnet-bN_bifpn_keras.

    Args:
        version: 'b0' to 'b7'.
        conv_hyperparams: Hyperparams of the BiFPN.
        override_base_feature_extractor_hyperparams: the backbone takes its weight decay (nothing else) from
            conv_hyperparams.
        freeze_batchnorm: keep the backbone's BatchNorm moments in training.
    """

    blank = tuple(255. * mean for mean in MEAN)

    def __init__(self, version, conv_hyperparams, bifpn_min_level=3, bifpn_max_level=7, bifpn_num_iterations=None,
                 bifpn_num_filters=None, bifpn_combine_method=None, min_depth=16, pad_to_multiple=1,
                 override_base_feature_extractor_hyperparams=False, freeze_batchnorm=False):
        super().__init__(pad_to_multiple)
        iterations, filters, combine_method = BIFPN[version]
        filters = max(bifpn_num_filters or filters, min_depth)
        decay = {}
        if override_base_feature_extractor_hyperparams:
            decay = {'regularizer': conv_hyperparams.regularizer}
        backbone = efficientnet.EfficientNet(version, freeze_batch_norm=freeze_batchnorm, **decay)
        self._efficientnet = core.Network(backbone.first_layers(backbone.used))
        self.classification_backbone = backbone
        self._levels = range(bifpn_min_level, min(bifpn_max_level, 5) + 1)
        self._bifpn_stage = BiFPN(
            [backbone.channels[level] for level in self._levels], filters, bifpn_num_iterations or iterations,
            bifpn_min_level, bifpn_max_level, conv_hyperparams, bifpn_combine_method or combine_method)
        self.channels = [filters] * (bifpn_max_level - bifpn_min_level + 1)

    def normalize(self, images):
        return (images / 255. - MEAN) / STDDEV

    def _maps(self, inputs, training):
        levels = self.classification_backbone(inputs, training)
        return self._bifpn_stage([levels[level] for level in self._levels], training)


SSD = {f'ssd_efficientnet-{version}_bifpn_keras': functools.partial(EfficientNetBiFPN, version) for version in BIFPN}
