"""Feature extractors of two-stage detectors: one network for the image, one for each region of its feature maps."""
import abc
import dataclasses
import functools
import math
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.backbones import inception_resnet_v2, resnet_v1
from object_detection.layers.feature_extractors.base import BACKBONE_MAX_LEVEL, pad, subtract_means, to_symmetric_range
from object_detection.layers.hyperparams import Hyperparams
from object_detection.layers.necks.fpn import TopDownFPN, conv_block

HIDDEN_UNITS = 1024  # of the two fully connected layers after the pyramid's regions


class TwoStageFeatureExtractor(abc.ABC):
    """Feature extractor of a two-stage detector. It is no layer itself: the model tracks image_network and
    region_network under the reference's names.

    Attributes:
        image_network, region_network: the networks for the image and for its regions.
        channels: list with the channels of each feature map of the first stage.
        region_channels: channels of the region features.
        normalize: function of images [B, H, W, 3] float, 0..255 -> the same shape in the range that the backbone was
            trained with.
    """
    image_network: core.Layer
    region_network: core.Layer
    channels: list[int]
    region_channels: int
    normalize: Callable[[tf.Tensor], tf.Tensor]

    @abc.abstractmethod
    def feature_maps(self, inputs: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Run the first stage: normalized images [B, H, W, 3] -> feature maps [B, h_i, w_i, channels[i]], finest first.
        """

    @abc.abstractmethod
    def region_features(self, regions: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Run the second stage: regions of feature maps [R, s, s, channels] -> [R, t, t, region_channels], where t is
        region_side(s)."""

    @abc.abstractmethod
    def region_side(self, size: int) -> int:
        """Return the side of the region features of regions of size x size locations."""

    @property
    @abc.abstractmethod
    def classification_backbone(self) -> core.Layer:
        """The layer that a classification checkpoint restores."""


class SplitBackbone(TwoStageFeatureExtractor):
    """A backbone cut in two after stride 16. region_size and pad_to_multiple have no effect, as in the reference."""

    def __init__(self, image_network: core.Network, region_network: core.Network, channels: int,
                 region_channels: int) -> None:
        self.image_network, self.region_network = image_network, region_network
        self.channels, self.region_channels = [channels], region_channels

    def region_side(self, size: int) -> int:
        """Return half of `size`, rounded up."""
        return -(-size // 2)

    @property
    def classification_backbone(self) -> core.Network:
        """The uncut network. A classification checkpoint numbers the layers of both halves consecutively."""
        return core.Network(layer for half in (self.image_network, self.region_network)
                            for layer in half.first_layers(half.num_layers))


class ResNetV1(SplitBackbone):
    """faster_rcnn_resnet50_keras, ...101... and ...152...: levels 2 to 4, then level 5 (He et al. 2016)."""

    normalize = staticmethod(subtract_means)

    def __init__(self, depth: int, region_size: int | None = None, freeze_batchnorm: bool = True,
                 pad_to_multiple: int = 1) -> None:
        hyperparams = dataclasses.replace(resnet_v1.default_hyperparams(freeze_batchnorm), regularizer=None)
        first = resnet_v1.ResNetV1(depth, hyperparams, levels=(2, 3, 4))
        second = resnet_v1.ResNetV1(depth, hyperparams, levels=(5,))
        super().__init__(first, second, first.channels[4], second.channels[5])

    def feature_maps(self, inputs: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Normalized images [B, H, W, 3] -> one feature map [B, H / 16, W / 16, channels[0]]."""
        return [self.image_network(inputs, training)[4]]

    def region_features(self, regions: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[R, s, s, channels[0]] -> [R, s / 2, s / 2, region_channels]."""
        return self.region_network(regions, training)[5]


class InceptionResNetV2(SplitBackbone):
    """faster_rcnn_inception_resnet_v2_keras: up to block17_20, then the rest."""

    normalize = staticmethod(to_symmetric_range)

    def __init__(self, region_size: int | None = None, freeze_batchnorm: bool = True,
                 pad_to_multiple: int = 1) -> None:
        hyperparams = inception_resnet_v2.default_hyperparams(freeze_batchnorm)
        super().__init__(inception_resnet_v2.InceptionResNetV2(hyperparams),
                         inception_resnet_v2.InceptionResNetV2Top(hyperparams),
                         inception_resnet_v2.MIDDLE_CHANNELS, inception_resnet_v2.TOP_CHANNELS)

    def feature_maps(self, inputs: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Normalized images [B, H, W, 3] -> one feature map [B, H / 16, W / 16, channels[0]]."""
        return [self.image_network(inputs, training)]

    def region_features(self, regions: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[R, s, s, channels[0]] -> [R, s / 2, s / 2, region_channels]."""
        return self.region_network(regions, training)


class ResNetV1FPN(TwoStageFeatureExtractor):
    """faster_rcnn_resnet50_fpn_keras, ...101... and ...152...: a feature pyramid (Lin et al. 2017), then two fully
    connected layers.

    Args:
        region_size: height and width of a region.
        conv_hyperparams: settings of the pyramid, of the normalization between the fully connected layers, and of the
            backbone too with override_base_feature_extractor_hyperparams.
        freeze_batchnorm: keep the backbone's moving moments in training.
        pad_to_multiple: pad images at the bottom and right to multiples of this many pixels.
        fpn_min_level, fpn_max_level: levels (stride 2 ** level).
        additional_layer_depth: channels of all feature maps.
    """

    normalize = staticmethod(subtract_means)

    def __init__(self, depth: int, region_size: int, conv_hyperparams: Hyperparams, freeze_batchnorm: bool = False,
                 pad_to_multiple: int = 32, override_base_feature_extractor_hyperparams: bool = False,
                 fpn_min_level: int = 2, fpn_max_level: int = 6, additional_layer_depth: int = 256) -> None:
        base = (conv_hyperparams if override_base_feature_extractor_hyperparams
                else resnet_v1.default_hyperparams(freeze_batchnorm))
        self.image_network = _Pyramid(resnet_v1.ResNetV1(depth, base), conv_hyperparams, fpn_min_level, fpn_max_level,
                                    additional_layer_depth)
        self.channels = [additional_layer_depth] * (fpn_max_level - fpn_min_level + 1)
        self.region_channels = HIDDEN_UNITS
        self.region_network = core.Network()
        inputs = region_size * region_size * additional_layer_depth
        layers = [core.Dense(inputs, HIDDEN_UNITS), conv_hyperparams.norm(HIDDEN_UNITS),
                  core.Dense(HIDDEN_UNITS, HIDDEN_UNITS)]
        first, norm, second = (layer and self.region_network.add(layer) for layer in layers)
        self._fully_connected = core.Sequence([first, tf.nn.relu, norm, second, tf.nn.relu])
        self._pad_to_multiple = pad_to_multiple

    def region_side(self, size: int) -> int:
        """Return 1: the fully connected layers make one vector of a region."""
        del size
        return 1

    def feature_maps(self, inputs: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Normalized images [B, H, W, 3] -> levels [B, h_i, w_i, channels[i]], finest first."""
        return self.image_network(pad(inputs, self._pad_to_multiple), training)

    def region_features(self, regions: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[R, region_size, region_size, channels[0]] -> [R, 1, 1, region_channels]."""
        flat = tf.reshape(regions, [-1, math.prod(regions.shape[1:])])
        return self._fully_connected(flat, training)[:, tf.newaxis, tf.newaxis]

    @property
    def classification_backbone(self) -> core.Network:
        """The backbone below the pyramid."""
        return self.image_network.classification_backbone


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


FASTER_RCNN: dict[str, Callable] = {
    **{f'faster_rcnn_resnet{depth}_keras': functools.partial(ResNetV1, depth) for depth in (50, 101, 152)},
    **{f'faster_rcnn_resnet{depth}_fpn_keras': functools.partial(ResNetV1FPN, depth) for depth in (50, 101, 152)},
    'faster_rcnn_inception_resnet_v2_keras': InceptionResNetV2,
}
