"""Regions of an image: their coordinates, and RoI pooling by crop, bilinear resize and max pooling (Huang et al. 2017).

Boxes are (ymin, xmin, ymax, xmax). An image size is (height, width) of the padded input in pixels, ints or scalar
tensors.
"""
import dataclasses
import math

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.layers import core
from object_detection.utils import tracing

CANONICAL_SIZE = 224  # a region of this many pixels a side is cut from the last level but one (Lin et al. 2017)

ImageSize = tuple[int | tf.Tensor, int | tf.Tensor]


def to_pixels(boxes: tf.Tensor, image_size: ImageSize) -> tf.Tensor:
    """Scale normalized boxes float32 [..., 4] to pixels."""
    return ops.scale(boxes, *(tf.cast(side, tf.float32) for side in image_size))


def to_normalized(boxes: tf.Tensor, image_size: ImageSize) -> tf.Tensor:
    """Scale boxes float32 [..., 4] in pixels to normalized ones."""
    return ops.scale(boxes, *(1. / tf.cast(side, tf.float32) for side in image_size))


def image_window(true_image_shapes: tf.Tensor) -> tf.Tensor:
    """Return the box of each image in its padded input, float32 [B, 4] in pixels, from its shape, int32 [B, 3]."""
    corner = tf.cast(true_image_shapes[:, :2], tf.float32)
    return tf.concat([tf.zeros_like(corner), corner], -1)


@dataclasses.dataclass(frozen=True)
class RegionPooling:
    """Cut regions of any size out of feature maps, each as a map of `size` x `size`.

    Attributes:
        crop_size: height and width of the crop.
        pool_size, pool_stride: of the max pooling after it; 1 and 1 for none.
        clamp: see `crop`; only for a single feature map.
    """
    crop_size: int = 14
    pool_size: int = 2
    pool_stride: int = 2
    clamp: bool = False

    @property
    def size(self) -> int:
        """Height and width of the pooled regions."""
        return (self.crop_size - self.pool_size) // self.pool_stride + 1

    def __call__(self, maps: list[tf.Tensor], boxes: tf.Tensor, image_size: ImageSize) -> tf.Tensor:
        """Pool P boxes of each image.

        Args:
            maps: list of [B, h_i, w_i, C], finest first.
            boxes: float32 [B, P, 4], normalized to the input.
            image_size: of the input.
        Returns:
            [B * P, size, size, C], each region cut from one of the maps.
        """
        image_indices = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
        if len(maps) == 1:
            regions = crop(maps[0], tf.reshape(boxes, [-1, 4]), image_indices, (self.crop_size, self.crop_size),
                           self.clamp)
        else:
            sheet, boxes = stack_levels(maps, boxes, feature_levels(boxes, len(maps), image_size))
            regions = crop(sheet, tf.reshape(boxes, [-1, 4]), image_indices, (self.crop_size, self.crop_size))
        if self.pool_size == 1 and self.pool_stride == 1:
            return regions
        return tf.nn.max_pool2d(regions, self.pool_size, self.pool_stride, 'VALID')


def crop(images: tf.Tensor, boxes: tf.Tensor, image_indices: tf.Tensor, size: tuple[int, int],
         clamp: bool = False) -> tf.Tensor:
    """Crop boxes and resize them bilinearly.

    Args:
        images: [B, H, W, C].
        boxes: float32 [R, 4], normalized so that 0 and 1 are the centers of the outermost pixels.
        image_indices: int32 [R], the image of each box.
        size: (height, width) of the crops.
        clamp: TensorFlow's kernel reads zeros where rounding pushes a sample beyond the last pixel; with `clamp` it
            reads the last pixel, as the reference does with use_matmul_crop_and_resize.
    Returns:
        [R, *size, C] in the dtype of the images.
    """
    if clamp:
        height, width = tf.unstack(tf.cast(tf.shape(images)[1:3], tf.float32))
        images = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]])
        boxes *= tf.tile(tf.stack([(height - 1.) / height, (width - 1.) / width]), [2])
    if tracing.shapes_are_fixed() or tracing.ops_are_portable():
        return _crop_by_gathering(images, boxes, image_indices, size)
    regions = tf.image.crop_and_resize(core.cast(images, tf.float32), boxes, image_indices, size)  # none for bfloat16
    return core.cast(regions, images.dtype)


def _crop_by_gathering(images, boxes, image_indices, size):
    """As TensorFlow's kernel, which XLA lacks, and which becomes a slow loop in ONNX. No gradient flows into the boxes.
    """
    height, width = images.shape[1:3] if None not in images.shape[1:3] else tf.unstack(tf.shape(images)[1:3])
    boxes = tf.stop_gradient(boxes)
    (top, bottom, down, in_rows), (left, right, across, in_columns) = (
        _samples(boxes[:, axis], boxes[:, axis + 2], length, count)
        for axis, length, count in ((0, height, size[0]), (1, width, size[1])))
    pixels = tf.reshape(images, [-1, images.shape[3]])
    inside = tf.cast(tf.logical_and(in_rows[:, :, tf.newaxis], in_columns[:, tf.newaxis]), tf.float32)

    def share(rows, columns, row_weights, column_weights):
        rows = (image_indices[:, tf.newaxis] * height + rows)[:, :, tf.newaxis] * width
        weights = row_weights[:, :, tf.newaxis] * column_weights[:, tf.newaxis] * inside
        return tf.gather(pixels, rows + columns[:, tf.newaxis]) * core.cast(weights[..., tf.newaxis], images.dtype)
    upper = share(top, left, 1. - down, 1. - across) + share(top, right, 1. - down, across)
    return upper + (share(bottom, left, down, 1. - across) + share(bottom, right, down, across))


def _samples(first, last, length, count):
    """Sample `count` positions of an axis of `length` pixels, from `first` to `last`, float32 [R], normalized.

    Returns:
        The pixels before and after each, int32 [R, count], the way between them, 0..1, and whether it lies inside.
    """
    end = tf.cast(length - 1, tf.float32)
    if count > 1:
        # The optimizer would replace a plain division by a multiplication, which rounds other samples beyond the edge.
        steps = tf.math.divide_no_nan((last - first) * end, float(count - 1))
        positions = first[:, tf.newaxis] * end + tf.range(count, dtype=tf.float32) * steps[:, tf.newaxis]
    else:
        positions = (.5 * (first + last) * end)[:, tf.newaxis]
    inside = tf.logical_and(positions >= 0., positions <= end)
    positions = tf.where(inside, positions, 0.)
    before = tf.floor(positions)
    return tf.cast(before, tf.int32), tf.cast(tf.math.ceil(positions), tf.int32), positions - before, inside


def stack_levels(maps: list[tf.Tensor], boxes: tf.Tensor, levels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Stack the maps of all levels vertically, so that one crop takes each box from its level.

    Args:
        maps: list of [B, h_i, w_i, C].
        boxes: float32 [B, P, 4], normalized to the input.
        levels: int32 [B, P], indices of maps.
    Returns:
        [B, H, W, C], with a last row and column of zeros for samples that rounding pushes beyond the maps, and the
        boxes, float32 [B, P, 4], normalized to it.
    """
    sizes = [tf.cast(tf.shape(x)[1:3] if None in x.shape[1:3] else x.shape[1:3], tf.float32) for x in maps]
    heights, widths = tf.unstack(tf.stack(sizes), axis=-1)
    height, width = tf.reduce_sum(heights), tf.reduce_max(widths)
    scales = tf.stack([(heights - 1.) / height, (widths - 1.) / width] * 2, -1)
    tops = tf.cumsum(heights, exclusive=True) / height
    offsets = tf.stack([tops, tf.zeros_like(tops)] * 2, -1)
    last = len(maps) - 1
    sheet = tf.concat([tf.pad(x, [[0, 0], [0, int(i == last)], [0, tf.cast(width, tf.int32) + 1 - tf.shape(x)[2]],
                                  [0, 0]]) for i, x in enumerate(maps)], 1)
    return sheet, boxes * tf.gather(scales, levels) + tf.gather(offsets, levels)


def feature_levels(boxes: tf.Tensor, num_levels: int, image_size: ImageSize) -> tf.Tensor:
    """Choose the feature map of each box by its size: one level coarser per octave (Lin et al. 2017).

    Args:
        boxes: float32 [B, P, 4], normalized to the input.
        num_levels: number of feature maps, finest first.
        image_size: of the input.
    Returns:
        int32 [B, P], indices of feature maps.
    """
    canonical = num_levels - 2
    height, width = (tf.cast(side, tf.float32) for side in image_size)
    sizes = tf.sqrt(tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], -1)) * (tf.sqrt(height * width) / CANONICAL_SIZE)
    octaves = tf.math.log(sizes) // tf.constant(math.log(2.), tf.float32)
    return tf.cast(tf.clip_by_value(octaves + canonical, 0., num_levels - 1.), tf.int32)
