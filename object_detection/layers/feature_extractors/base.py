"""What all feature extractors do around their network."""
import tensorflow as tf

from object_detection.layers import core


class FeatureExtractor(core.Layer):
    """Images in, list of feature maps out.

    Sub-classes define
        normalize(images [B, H, W, 3] float, 0..255) -> the same shape in the range the backbone was trained with
        _maps(inputs, training) -> what feature_maps says
        blank: the pixel (R, G, B), 0..255, that normalises to 0. Images are padded with it, as the reference pads after
            normalisation
        channels: list, channels of each feature map
        classification_backbone: what a classification checkpoint restores
    """

    def __init__(self, pad_to_multiple=1):
        super().__init__()
        self._pad_to_multiple = pad_to_multiple

    @tf.autograph.experimental.do_not_convert
    def feature_maps(self, inputs, training=False):
        """Normalised images [B, H, W, 3] -> list of [B, h, w, channels[i]], finest first.

        Zeros are added at the bottom and right up to a multiple of pad_to_multiple.
        """
        return self._maps(pad(inputs, self._pad_to_multiple), training)


class UnitRange(FeatureExtractor):
    """One whose images lie in -1..1."""

    blank = (127.5, 127.5, 127.5)

    def normalize(self, images):
        return images * (2. / 255.) - 1.


def pad(inputs, multiple):
    """inputs [B, H, W, C] with zeros at the bottom and right up to multiples of `multiple`."""
    if multiple == 1:
        return inputs
    height, width = (size or tf.shape(inputs)[axis] for axis, size in ((1, inputs.shape[1]), (2, inputs.shape[2])))
    return tf.pad(inputs, [[0, 0], [0, -height % multiple], [0, -width % multiple], [0, 0]])
