"""image_resizer of a config: pictures of any size to the size the network takes.

The kernels are those of TensorFlow 1 that the reference calls: no antialiasing, and pixel (0, 0) of the result lies on
pixel (0, 0) of the source.
"""
import dataclasses

import tensorflow as tf

from object_detection.models.hyperparams import enum_name

METHODS = {'BILINEAR': 'bilinear', 'NEAREST_NEIGHBOR': 'nearest', 'BICUBIC': 'bicubic', 'AREA': 'area'}


def resizer(model_config):
    """The Resizer of a DetectionModel message (the config's model section)."""
    return build(getattr(model_config, model_config.WhichOneof('model')).image_resizer)


def build(image_resizer):
    """The resizer that an ImageResizer message describes."""
    kind = image_resizer.WhichOneof('image_resizer_oneof')
    if kind == 'identity_resizer':
        return Identity()
    config = getattr(image_resizer, kind)
    if kind == 'fixed_shape_resizer':
        return FixedShape(config.height, config.width, METHODS[enum_name(config, 'resize_method')])
    return KeepAspectRatio(config.min_dimension, config.max_dimension, METHODS[enum_name(config, 'resize_method')],
                           config.pad_to_max_dimension, tuple(config.per_channel_pad_value) or (0., 0., 0.))


class Resizer:
    """Call it with one image [H, W, 3] of any dtype, or call `batch` with images [B, H, W, 3] of one size.

    The result is float32 in the same range and int32 (height, width, 3) of the picture in it, the rest being padding
    at the bottom and right: [h, w, 3] and [3], or [B, h, w, 3] and [B, 3].
    size: (height, width) of the result where it is always the same, or None.
    pad_value: what padding is filled with, 3 numbers; None where nothing is padded.
    """
    size = None
    pad_value = None

    def __call__(self, image):
        images, shapes = self.batch(image[tf.newaxis])
        return images[0], shapes[0]

    def batch(self, images):
        images = self._resize(tf.cast(images, tf.float32))
        shapes = tf.tile(tf.shape(images)[tf.newaxis, 1:], [tf.shape(images)[0], 1])
        return self._pad(images), shapes

    def _pad(self, images):
        return images


@dataclasses.dataclass(frozen=True)
class FixedShape(Resizer):
    """To height x width, whatever the aspect ratio was."""
    height: int
    width: int
    method: str = 'bilinear'

    @property
    def size(self):
        return self.height, self.width

    def _resize(self, images):
        return tf.compat.v1.image.resize(images, self.size, self.method)


@dataclasses.dataclass(frozen=True)
class KeepAspectRatio(Resizer):
    """The shorter side becomes min_dimension, but the longer one at most max_dimension.

    pad: pad to a square of max_dimension, with `value` in each channel.
    """
    min_dimension: int
    max_dimension: int
    method: str = 'bilinear'
    pad: bool = False
    value: tuple = (0., 0., 0.)

    @property
    def size(self):
        return (self.max_dimension, self.max_dimension) if self.pad else None

    @property
    def pad_value(self):
        return self.value if self.pad else None

    def _resize(self, images):
        size = tf.cast(tf.shape(images)[1:3], tf.float32)
        shorter, longer = self.min_dimension, self.max_dimension
        limits = tf.where(size[0] < size[1], [shorter, longer], [longer, shorter])
        scaled = tf.round(tf.reduce_min(tf.cast(limits, tf.float32) / size) * size)
        size = tf.maximum(tf.cast(scaled, tf.int32), 1)  # the shorter side of a thin image may round to 0
        return tf.compat.v1.image.resize(images, size, self.method)

    def _pad(self, images):
        if not self.pad:
            return images
        shape, side = tf.shape(images), self.max_dimension
        padding = [[0, 0], [0, side - shape[1]], [0, side - shape[2]], [0, 0]]
        images = tf.pad(images - self.value, padding) + self.value if any(self.value) else tf.pad(images, padding)
        return tf.ensure_shape(images, [None, side, side, 3])


class Identity(Resizer):
    """Sizes as they come."""

    def _resize(self, images):
        return images
