"""What feature extractors share: their interface, normalization of pixels, padding."""
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core

BACKBONE_MAX_LEVEL = 5  # the coarsest level of every backbone; a feature pyramid may add coarser ones
IMAGENET_MEANS = (123.68, 116.779, 103.939)  # of R, G, B


class FeatureExtractor(core.Layer):
    """Feature extractor of a detector with one stage: images in, list of feature maps out.

    Sub-classes define
        normalize(images): images [B, H, W, 3] float, 0..255 -> the same shape in the range that the backbone was
            trained with.
        _maps(inputs, training): padded inputs [B, H, W, 3] -> feature maps [B, h_i, w_i, channels[i]], finest first.
        channels: list with the channels of each feature map.
        classification_backbone: the layer that a classification checkpoint restores, or None.

    Args:
        pad_to_multiple: pad images at the bottom and right to multiples of this many pixels.
    """
    normalize: Callable[[tf.Tensor], tf.Tensor]
    _maps: Callable[[tf.Tensor, bool], list[tf.Tensor]]
    channels: list[int]

    def __init__(self, pad_to_multiple: int = 1) -> None:
        super().__init__()
        self._pad_to_multiple = pad_to_multiple

    @tf.autograph.experimental.do_not_convert
    def feature_maps(self, inputs: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Normalized images [B, H, W, 3] -> feature maps [B, h_i, w_i, channels[i]], finest first."""
        return self._maps(pad(inputs, self._pad_to_multiple), training)


def to_symmetric_range(images: tf.Tensor) -> tf.Tensor:
    """Scale images [B, H, W, 3] from 0..255 to -1..1."""
    return images * (2. / 255.) - 1.


def subtract_means(images: tf.Tensor) -> tf.Tensor:
    """Subtract IMAGENET_MEANS from RGB images [B, H, W, 3], 0..255."""
    return images - IMAGENET_MEANS


def pad(inputs: tf.Tensor, multiple: int) -> tf.Tensor:
    """Pad inputs [B, H, W, C] with zeros at the bottom and right to multiples of `multiple` -> [B, H', W', C]."""
    if multiple == 1:
        return inputs
    height, width = (size or tf.shape(inputs)[axis] for axis, size in ((1, inputs.shape[1]), (2, inputs.shape[2])))
    return tf.pad(inputs, [[0, 0], [0, -height % multiple], [0, -width % multiple], [0, 0]])
