"""Resize images of any size to what the network takes: the image_resizer of a config.

As in the reference, the kernels are those of TensorFlow 1: no antialiasing, and pixel (0, 0) of the result lies on
pixel (0, 0) of the source.
"""
import abc
import dataclasses

import tensorflow as tf

from object_detection import protos

METHODS = {'BILINEAR': 'bilinear', 'NEAREST_NEIGHBOR': 'nearest', 'BICUBIC': 'bicubic', 'AREA': 'area'}


class Resizer(abc.ABC):
    """Resize images, and pad them at the bottom and right."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of all results; None if they differ."""
        return None

    @property
    def pad_value(self) -> tuple[float, ...] | None:
        """The color of padding, 3 numbers; None if nothing is padded."""
        return None

    def __call__(self, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Image [H, W, 3] of any dtype -> float32 [h, w, 3] in the same range, and int32 [3], its size without padding.
        """
        images, shapes = self.batch(image[tf.newaxis])
        return images[0], shapes[0]

    def batch(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Like a call, of images of one size: [B, H, W, 3] -> [B, h, w, 3], [B, 3]."""
        images, shapes = self.resize(images)
        return self.add_padding(images), shapes

    def resize(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Like `batch`, without padding."""
        images = self._resize(tf.cast(images, tf.float32))
        return images, tf.tile(tf.shape(images)[tf.newaxis, 1:], [tf.shape(images)[0], 1])

    @abc.abstractmethod
    def _resize(self, images):
        """Images float32 [B, H, W, 3] -> [B, h, w, 3]."""

    def add_padding(self, images: tf.Tensor) -> tf.Tensor:
        """Pad resized images [B, h', w', 3] -> [B, h, w, 3]."""
        return images


@dataclasses.dataclass(frozen=True)
class FixedShape(Resizer):
    """Resize to height x width, whatever the aspect ratio."""
    height: int
    width: int
    method: str = 'bilinear'

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    def _resize(self, images):
        return tf.compat.v1.image.resize(images, self.size, self.method)


@dataclasses.dataclass(frozen=True)
class KeepAspectRatio(Resizer):
    """Resize so that the shorter side becomes min_dimension, or so that the longer one becomes max_dimension if it
    would be longer.

    pad: pad to a square of max_dimension with the color `value`.
    """
    min_dimension: int
    max_dimension: int
    method: str = 'bilinear'
    pad: bool = False
    value: tuple[float, ...] = (0., 0., 0.)

    @property
    def size(self) -> tuple[int, int] | None:
        return (self.max_dimension, self.max_dimension) if self.pad else None

    @property
    def pad_value(self) -> tuple[float, ...] | None:
        return self.value if self.pad else None

    def _resize(self, images):
        shorter, longer = self.min_dimension, self.max_dimension
        if tuple(images.shape[1:3]) == (shorter, shorter) and shorter == longer:  # an augmentation has done it
            return images
        size = tf.cast(tf.shape(images)[1:3], tf.float32)
        limits = tf.where(size[0] < size[1], [shorter, longer], [longer, shorter])
        scaled = tf.round(tf.reduce_min(tf.cast(limits, tf.float32) / size) * size)
        size = tf.maximum(tf.cast(scaled, tf.int32), 1)  # the shorter side of a thin image may round to 0
        return tf.compat.v1.image.resize(images, size, self.method)

    def add_padding(self, images: tf.Tensor) -> tf.Tensor:
        if not self.pad:
            return images
        shape, side = tf.shape(images), self.max_dimension
        padding = [[0, 0], [0, side - shape[1]], [0, side - shape[2]], [0, 0]]
        images = tf.pad(images - self.value, padding) + self.value if any(self.value) else tf.pad(images, padding)
        return tf.ensure_shape(images, [None, side, side, 3])


class Identity(Resizer):
    """Keep every size."""

    def _resize(self, images):
        return images


def build(image_resizer: protos.ImageResizer) -> Resizer:
    """Return the resizer of a section."""
    kind = image_resizer.WhichOneof('image_resizer_oneof')
    if kind == 'identity_resizer':
        return Identity()
    config = getattr(image_resizer, kind)
    method = METHODS[protos.enum_name(config, 'resize_method')]
    if kind == 'fixed_shape_resizer':
        return FixedShape(config.height, config.width, method)
    return KeepAspectRatio(config.min_dimension, config.max_dimension, method, config.pad_to_max_dimension,
                           tuple(config.per_channel_pad_value) or (0., 0., 0.))
