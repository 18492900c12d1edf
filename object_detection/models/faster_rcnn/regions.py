"""Feature maps of regions: RoI pooling by crop, bilinear resize and max pooling (Huang et al. 2017)."""
import dataclasses
import math

import tensorflow as tf

CANONICAL_SIZE = 224  # a region of this many pixels a side is cut from the last level but one (Lin et al. 2017)


@dataclasses.dataclass(frozen=True)
class RegionPooling:
    """Every region, whatever its size, as a map of `size` x `size`.

    crop_size: height and width of the crop.
    pool_size, pool_stride: of the max pooling after it; 1 is none.
    clamp: as `crop`.
    """
    crop_size: int = 14
    pool_size: int = 2
    pool_stride: int = 2
    clamp: bool = False

    @property
    def size(self):
        return (self.crop_size - self.pool_size) // self.pool_stride + 1

    def __call__(self, maps, boxes, image_size):
        """Cut P boxes of each image out of its feature maps.

        Args:
            maps: list of [B, h_i, w_i, C], finest first.
            boxes: float32 [B, P, 4], fractions of the image.
            image_size: (height, width) of the image in pixels.
        Returns:
            [B * P, size, size, C], each region from one of the maps.
        """
        image = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
        if len(maps) == 1:
            regions = crop(maps[0], tf.reshape(boxes, [-1, 4]), image, [self.crop_size] * 2, self.clamp)
        else:
            sheet, boxes = one_sheet(maps, boxes, feature_levels(boxes, len(maps), image_size))
            regions = tf.image.crop_and_resize(sheet, tf.reshape(boxes, [-1, 4]), image, [self.crop_size] * 2)
        if self.pool_size == 1 and self.pool_stride == 1:
            return regions
        return tf.nn.max_pool2d(regions, self.pool_size, self.pool_stride, 'VALID')


def crop(images, boxes, indices, size, clamp=False):
    """Bilinear crops [R, *size, C] of images [B, H, W, C]: boxes [R, 4] are fractions of the image, 0 and 1 being the
    centres of its outermost pixels; indices [R] say which image.

    clamp: TensorFlow's kernel takes zeros for a sample that rounding pushes beyond the last pixel; with `clamp` it has
        the last pixel's value. The reference does so where use_matmul_crop_and_resize is set.
    """
    if clamp:
        height, width = tf.unstack(tf.cast(tf.shape(images)[1:3], tf.float32))
        images = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]])
        boxes *= tf.tile(tf.stack([(height - 1.) / height, (width - 1.) / width]), [2])
    return tf.image.crop_and_resize(images, boxes, indices, size)


def one_sheet(maps, boxes, levels):
    """Put the maps of all levels one below the other, so that one crop takes each box from its level.

    Args:
        maps: list of [B, h_i, w_i, C]. boxes: float32 [B, P, 4], fractions of the image. levels: int32 [B, P].
    Returns:
        [B, H, W, C] and the boxes as fractions of it. A last row and column of zeros is what rounding may touch.
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


def feature_levels(boxes, num_levels, image_size):
    """The map, int32 [B, P], that boxes [B, P, 4] (fractions of the image) are cut from: one coarser per doubled size.
    """
    canonical = num_levels - 2
    height, width = (tf.cast(side, tf.float32) for side in image_size)
    sizes = tf.sqrt(tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], -1)) * (tf.sqrt(height * width) / CANONICAL_SIZE)
    octaves = tf.math.log(sizes) // tf.constant(math.log(2.), tf.float32)
    return tf.cast(tf.clip_by_value(octaves + canonical, 0., num_levels - 1.), tf.int32)
