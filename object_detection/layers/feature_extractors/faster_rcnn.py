"""The two networks of a two-stage detector: one for the picture, one for each region cut out of its feature maps.

An extractor is no layer itself: the model tracks `first_stage` and `second_stage` under the reference's names.
    normalize(images [B, H, W, 3] float, 0..255) -> the same shape in the range the backbone was trained with
    feature_maps(inputs, training) -> list of [B, h, w, channels[i]], finest first
    region_features(regions [R, s, s, channels], training) -> [R, t, t, region_channels], with t = region_side(s)
    classification_backbone() -> what a classification checkpoint restores
"""
import dataclasses
import functools
import math

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.backbones import inception_resnet_v2, resnet_v1
from object_detection.layers.feature_extractors.base import pad
from object_detection.layers.necks.fpn import TopDownFPN, conv_block

RESNET_MEANS = (123.68, 116.779, 103.939)
BACKBONE_MAX_LEVEL = 5
HIDDEN_UNITS = 1024  # of the two layers that follow the pyramid's regions


class Halves:
    """A backbone cut in two after stride 16. region_size and pad_to_multiple have no effect, as in the reference."""

    def __init__(self, first_stage, second_stage, channels, region_channels):
        self.first_stage, self.second_stage = first_stage, second_stage
        self.channels, self.region_channels = [channels], region_channels

    def region_side(self, size):
        return -(-size // 2)

    def classification_backbone(self):
        """The uncut network: a classifier's checkpoint counts the layers of both halves in one row."""
        return core.Network(layer for half in (self.first_stage, self.second_stage)
                            for layer in half.first_layers(half.num_layers))


class ResNetV1(Halves):
    """faster_rcnn_resnet50_keras, and with 101 and 152 layers: levels 2 to 4, then level 5 (He et al. 2016)."""

    def __init__(self, depth, region_size=None, freeze_batchnorm=True, pad_to_multiple=1):
        hyperparams = dataclasses.replace(resnet_v1.default_hyperparams(freeze_batchnorm), regularizer=None)
        first = resnet_v1.ResNetV1(depth, hyperparams, levels=(2, 3, 4))
        second = resnet_v1.ResNetV1(depth, hyperparams, levels=(5,))
        super().__init__(first, second, first.channels[4], second.channels[5])

    def normalize(self, images):
        return images - RESNET_MEANS

    def feature_maps(self, inputs, training=False):
        return [self.first_stage(inputs, training)[4]]

    def region_features(self, regions, training=False):
        return self.second_stage(regions, training)[5]


class InceptionResNetV2(Halves):
    """faster_rcnn_inception_resnet_v2_keras: up to block17_20, then the rest."""

    def __init__(self, region_size=None, freeze_batchnorm=True, pad_to_multiple=1):
        hyperparams = inception_resnet_v2.default_hyperparams(freeze_batchnorm)
        super().__init__(inception_resnet_v2.InceptionResNetV2(hyperparams),
                         inception_resnet_v2.InceptionResNetV2Top(hyperparams),
                         inception_resnet_v2.MIDDLE_CHANNELS, inception_resnet_v2.TOP_CHANNELS)

    def normalize(self, images):
        return images * (2. / 255.) - 1.

    def feature_maps(self, inputs, training=False):
        return [self.first_stage(inputs, training)]

    def region_features(self, regions, training=False):
        return self.second_stage(regions, training)


class ResNetV1FPN:
    """faster_rcnn_resnet50_fpn_keras, and with 101 and 152 layers: a feature pyramid (Lin et al. 2017), then two fully
    connected layers.

    Args:
        conv_hyperparams: Hyperparams of the pyramid and of the normalization between the connected layers, and of the
            backbone too where override_base_feature_extractor_hyperparams is set.
        region_size: height and width of a region.
        fpn_min_level, fpn_max_level: levels (stride 2 ** level).
        additional_layer_depth: channels of all feature maps.
        pad_to_multiple: zeros are added at the bottom and right up to a multiple of it.
    """

    def __init__(self, depth, region_size, conv_hyperparams, freeze_batchnorm=False, pad_to_multiple=32,
                 override_base_feature_extractor_hyperparams=False, fpn_min_level=2, fpn_max_level=6,
                 additional_layer_depth=256):
        base = (conv_hyperparams if override_base_feature_extractor_hyperparams
                else resnet_v1.default_hyperparams(freeze_batchnorm))
        self.first_stage = _Pyramid(resnet_v1.ResNetV1(depth, base), conv_hyperparams, fpn_min_level, fpn_max_level,
                                    additional_layer_depth)
        self.channels = [additional_layer_depth] * (fpn_max_level - fpn_min_level + 1)
        self.region_channels = HIDDEN_UNITS
        self.second_stage = core.Network()
        inputs = region_size * region_size * additional_layer_depth
        layers = [core.Dense(inputs, HIDDEN_UNITS), conv_hyperparams.norm(HIDDEN_UNITS),
                  core.Dense(HIDDEN_UNITS, HIDDEN_UNITS)]
        first, norm, second = (layer and self.second_stage.add(layer) for layer in layers)
        self._connected = core.Sequence([first, tf.nn.relu, norm, second, tf.nn.relu])
        self._pad_to_multiple = pad_to_multiple

    def region_side(self, size):
        del size  # its pixels end in one vector
        return 1

    def normalize(self, images):
        return images - RESNET_MEANS

    def feature_maps(self, inputs, training=False):
        return self.first_stage(pad(inputs, self._pad_to_multiple), training)

    def region_features(self, regions, training=False):
        flat = tf.reshape(regions, [-1, math.prod(regions.shape[1:])])
        return self._connected(flat, training)[:, tf.newaxis, tf.newaxis]

    def classification_backbone(self):
        return self.first_stage.classification_backbone


class _Pyramid(core.Layer):
    """Levels min_level to max_level; those above 5 by 3 x 3 convolutions with stride 2."""

    def __init__(self, backbone, hyperparams, min_level, max_level, filters):
        super().__init__()
        self.classification_backbone = backbone
        self._levels = range(min_level, min(max_level, BACKBONE_MAX_LEVEL) + 1)
        self.fpn_features_generator = TopDownFPN([backbone.channels[level] for level in self._levels], filters,
                                                 hyperparams)
        self.coarse_feature_layers = [core.Sequence(conv_block(hyperparams, filters, filters, 2))
                                      for _ in range(BACKBONE_MAX_LEVEL, max_level)]

    def __call__(self, inputs, training=False):
        levels = self.classification_backbone(inputs, training)
        maps = self.fpn_features_generator([levels[level] for level in self._levels], training)
        for layer in self.coarse_feature_layers:
            maps.append(layer(maps[-1], training))
        return maps


FASTER_RCNN = {
    **{f'faster_rcnn_resnet{depth}_keras': functools.partial(ResNetV1, depth) for depth in (50, 101, 152)},
    **{f'faster_rcnn_resnet{depth}_fpn_keras': functools.partial(ResNetV1FPN, depth) for depth in (50, 101, 152)},
    'faster_rcnn_inception_resnet_v2_keras': InceptionResNetV2,
}
