"""Changes of the image's size.

As in the reference pixels are not centered (half_pixel_centers=False) and masks are resized by nearest neighbor. Images
come out as float32. No side becomes shorter than one pixel.
"""
from functools import partial

import tensorflow as tf

from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample

_METHODS = {'bilinear': tf.image.ResizeMethod.BILINEAR, 'nearest_neighbor': tf.image.ResizeMethod.NEAREST_NEIGHBOR,
            'bicubic': tf.image.ResizeMethod.BICUBIC, 'area': tf.image.ResizeMethod.AREA}


def resize_image(sample: Sample, random: Random, new_height: int, new_width: int,
                 method: str = 'bilinear') -> Sample:
    """Resize to new_height x new_width pixels. method: bilinear, nearest_neighbor, bicubic or area."""
    return _resize(sample, tf.stack([new_height, new_width]), method)


def random_resize_method(sample: Sample, random: Random, target_height: int, target_width: int) -> Sample:
    """Resize to target_height x target_width pixels by one of the four methods, drawn at random."""
    size = tf.stack([target_height, target_width])
    branches = [partial(_resize, sample, size, method) for method in _METHODS]
    return tf.switch_case(random.integer(0, len(branches)), branches)


def random_image_scale(sample: Sample, random: Random, min_scale_ratio: float = 0.5,
                       max_scale_ratio: float = 2.0) -> Sample:
    """Scale height and width by the same random ratio, with the corner pixels aligned."""
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    return _resize(sample, tf.cast(size * random.uniform(min_scale_ratio, max_scale_ratio), tf.int32),
                   align_corners=True)


def random_downscale_to_target_pixels(sample: Sample, random: Random, random_coef: float = 0.0,
                                      min_target_pixels: int = 300000, max_target_pixels: int = 800000) -> Sample:
    """Scale an image that has more pixels (height x width) than a random target down to the target.

    The default of max_target_pixels is that of the reference's code; its schema says 500000.

    random_coef: probability of leaving the image alone.
    """
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    pixels = tf.cast(random.integer(min_target_pixels, max_target_pixels), tf.float32)
    smaller = tf.cast(tf.sqrt(pixels / tf.reduce_prod(size)) * size, tf.int32)
    shrink = (random.uniform() >= random_coef) & (tf.reduce_prod(size) > pixels)
    return tf.cond(shrink, lambda: _resize(sample, smaller),
                   lambda: dict(sample, image=tf.cast(sample['image'], tf.float32)))


def _resize(sample, size, method='bilinear', align_corners=False):
    """Resize image and masks to `size` (int32 [2], height and width), each side at least one pixel."""
    size = tf.maximum(size, 1)  # a thin image may be scaled down to less than one pixel
    image = tf.cast(sample['image'], tf.float32)
    out = dict(sample, image=tf.compat.v1.image.resize(image, size, _METHODS[method], align_corners))
    if 'masks' in sample:
        masks = sample['masks'][..., tf.newaxis]
        out['masks'] = tf.compat.v1.image.resize(masks, size, _METHODS['nearest_neighbor'], align_corners)[..., 0]
    return out
