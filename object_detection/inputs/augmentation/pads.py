"""Borders around the image, alone and after a crop."""
from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from object_detection.inputs.augmentation.crops import SSD_OPERATIONS, choose, random_crop_image, ssd_random_crop
from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.augmentation.windows import change_frame, pad_pixels
from object_detection.inputs.sample import Sample


def random_pad_image(sample: Sample, random: Random, min_image_height: int = 0, min_image_width: int = 0,
                     max_image_height: int = 0, max_image_width: int = 0, pad_color: Sequence[float] = ()) -> Sample:
    """Paste the image at a random place of a larger canvas of random size.

    min_image_height, min_image_width: smallest canvas, pixels; 0: the image's size.
    max_image_height, max_image_width: the canvas is smaller than this, pixels; 0: twice the image's size.
    pad_color: red, green, blue, 0..255; empty: the image's mean color.
    """
    size = tf.shape(sample['image'])[:2]
    least = [min_image_height, min_image_width] if min_image_height else size
    most = [max_image_height, max_image_width] if max_image_height else 2 * size
    return _pad(sample, random, least, most, pad_color)


def random_absolute_pad_image(sample: Sample, random: Random, max_height_padding: int = 1,
                              max_width_padding: int = 1, pad_color: Sequence[float] = ()) -> Sample:
    """Pad as random_pad_image does, by less than max_height_padding and max_width_padding pixels."""
    size = tf.shape(sample['image'])[:2]
    return _pad(sample, random, size, size + [max_height_padding, max_width_padding], pad_color)


def random_crop_pad_image(sample: Sample, random: Random, min_padded_size_ratio: Sequence[float] = (),
                          max_padded_size_ratio: Sequence[float] = (), pad_color: Sequence[float] = (),
                          **crop: Any) -> Sample:
    """Apply random_crop_image, then pad as random_pad_image does.

    min_padded_size_ratio, max_padded_size_ratio: limits of the canvas, (height, width) as multiples of the size before
    the crop; empty: (1, 1) and (2, 2).
    crop: keywords of random_crop_image.
    """
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    least = tf.cast(size * _pair(min_padded_size_ratio, 1.0), tf.int32)
    most = tf.cast(size * _pair(max_padded_size_ratio, 2.0), tf.int32)
    return _pad(random_crop_image(sample, random, **crop), random, least, most, pad_color)


def ssd_random_crop_pad(sample: Sample, random: Random,
                        operations: Sequence[dict[str, Any]] = SSD_OPERATIONS[1:]) -> Sample:
    """Apply one of several random_crop_pad_image, drawn at random.

    operations: keywords of random_crop_pad_image, one dict per operation, with pad_color_r, _g, _b for pad_color.
    """
    return choose(random, [partial(_crop_pad, sample, random, **keywords) for keywords in operations])


def ssd_random_crop_pad_fixed_aspect_ratio(sample: Sample, random: Random,
                                           operations: Sequence[dict[str, Any]] = SSD_OPERATIONS,
                                           aspect_ratio: float = 1.0, min_padded_size_ratio: Sequence[float] = (),
                                           max_padded_size_ratio: Sequence[float] = ()) -> Sample:
    """Apply ssd_random_crop, then pad with black at the bottom and right to this width / height.

    operations: see ssd_random_crop.
    min_padded_size_ratio, max_padded_size_ratio: limits of the canvas, (height, width) as multiples of the size after
    the crop; empty: (1, 1) and (2, 2).
    """
    sample = ssd_random_crop(sample, random, operations)
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    target = tf.stack([tf.maximum(size[0], size[1] / aspect_ratio), tf.maximum(size[1], size[0] * aspect_ratio)])
    least = tf.maximum(size * _pair(min_padded_size_ratio, 1.0), target)
    most = tf.maximum(size * _pair(max_padded_size_ratio, 2.0), target)
    max_scale = tf.reduce_min(most / target)
    min_scale = tf.minimum(max_scale, tf.reduce_max(least / target))
    canvas = tf.round(random.uniform(min_scale, max_scale) * target)
    padded = pad_pixels(sample, 0, 0, tf.cast(canvas[0], tf.int32), tf.cast(canvas[1], tf.int32))
    return change_frame(padded, tf.concat([[0.0, 0.0], canvas / size], 0))


def _crop_pad(sample, random, pad_color_r=None, pad_color_g=0.0, pad_color_b=0.0, **keywords):
    color = () if pad_color_r is None else (pad_color_r, pad_color_g, pad_color_b)
    return random_crop_pad_image(sample, random, pad_color=color, **keywords)


def _pad(sample, random, least, most, pad_color):
    """Paste at a random place of a canvas whose size is drawn from [least, most), and at least the image's.

    least, most: int32 [2], height and width.
    """
    size = tf.shape(sample['image'])[:2]
    most = tf.maximum(most, size)
    least = tf.minimum(tf.maximum(least, size), most)
    canvas = tf.stack([random.integer(least[i], most[i]) for i in range(2)])
    offset = tf.stack([random.integer(0, canvas[i] - size[i]) for i in range(2)])
    if pad_color:
        color = tf.constant(pad_color, tf.float32) if any(pad_color) else None
    else:
        color = tf.reduce_mean(tf.cast(sample['image'], tf.float32), axis=[0, 1])
    padded = pad_pixels(sample, offset[0], offset[1], canvas[0], canvas[1], color)
    window = tf.concat([-offset / size, (canvas - offset) / size], 0)
    return change_frame(padded, tf.cast(window, tf.float32))


def _pair(ratio, default):
    return tf.constant(ratio or (default, default), tf.float32)
