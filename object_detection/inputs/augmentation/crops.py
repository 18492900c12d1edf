"""Crops at random places of the image. No crop is smaller than one pixel."""
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.augmentation.windows import crop_objects, crop_pixels, pad_pixels
from object_detection.inputs.sample import Sample

_SSD_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
# Keywords of random_crop_image, or of pads.random_crop_pad_image, one dict per operation.
SSD_OPERATIONS: Sequence[dict[str, Any]] = tuple(
    {'min_object_covered': overlap, 'min_aspect_ratio': 0.5, 'max_aspect_ratio': 2.0, 'min_area': 0.1, 'max_area': 1.0,
     'overlap_thresh': overlap, 'clip_boxes': True, 'random_coef': 0.15} for overlap in _SSD_OVERLAPS)


def random_crop_image(sample: Sample, random: Random, min_object_covered: float = 1.0, min_aspect_ratio: float = 0.75,
                      max_aspect_ratio: float = 1.33, min_area: float = 0.1, max_area: float = 1.0,
                      overlap_thresh: float = 0.3, clip_boxes: bool = True, random_coef: float = 0.0) -> Sample:
    """Crop to a random window that shows at least min_object_covered of some box.

    The window's width / height and its fraction of the image's area lie within the given ranges. After 100 failed
    attempts the window is the whole image.

    overlap_thresh: objects with less than this fraction of their area inside are dropped.
    clip_boxes: whether boxes are clipped to the window.
    random_coef: probability of leaving the sample alone.
    """
    def crop():
        size = tf.shape(sample['image'])
        begin, extent, window = tf.image.stateless_sample_distorted_bounding_box(
            size, tf.clip_by_value(sample['boxes'], 0.0, 1.0)[tf.newaxis], random.seed(), min_object_covered,
            (min_aspect_ratio, max_aspect_ratio), (min_area, max_area), max_attempts=100,
            use_image_if_no_bounding_boxes=True)
        cut = crop_pixels(sample, begin[0], begin[1], extent[0], extent[1])
        return crop_objects(cut, window[0, 0], overlap_thresh, clip_boxes)

    if isinstance(random_coef, float) and random_coef == 0:
        return crop()
    return tf.cond(random.uniform() > random_coef, crop, lambda: dict(sample))


def random_crop_to_aspect_ratio(sample: Sample, random: Random, aspect_ratio: float = 1.0,
                                overlap_thresh: float = 0.3, clip_boxes: bool = True) -> Sample:
    """Crop to the largest window with this width / height, at a random place.

    overlap_thresh, clip_boxes: see random_crop_image.
    """
    size = tf.shape(sample['image'])[:2]
    height, width = tf.unstack(tf.cast(size, tf.float32))
    part = tf.stack([tf.minimum(height, tf.round(width / aspect_ratio)),
                     tf.minimum(width, tf.round(height * aspect_ratio))])
    part = tf.maximum(tf.cast(part, tf.int32), 1)
    begin = tf.stack([random.integer(0, size[i] - part[i] + 1) for i in range(2)])
    cut = crop_pixels(sample, begin[0], begin[1], part[0], part[1])
    window = tf.concat([begin / size, (begin + part) / size], 0)
    return crop_objects(cut, tf.cast(window, tf.float32), overlap_thresh, clip_boxes)


def ssd_random_crop(sample: Sample, random: Random,
                    operations: Sequence[dict[str, Any]] = SSD_OPERATIONS) -> Sample:
    """Apply one of several random_crop_image, drawn at random (SSD, arXiv 1512.02325, section 2.2).

    operations: keywords of random_crop_image, one dict per operation.
    """
    varying = ('min_object_covered', 'overlap_thresh', 'random_coef')
    shared = [{name: value for name, value in operation.items() if name not in varying} for operation in operations]
    if all(keywords == shared[0] for keywords in shared):  # as in most configs; one crop is traced faster than seven
        number = random.integer(0, len(operations))
        drawn = {name: tf.constant([operation[name] for operation in operations])[number] for name in varying}
        return random_crop_image(sample, random, **shared[0], **drawn)
    return choose(random, [partial(random_crop_image, sample, random, **keywords) for keywords in operations])


def ssd_random_crop_fixed_aspect_ratio(sample: Sample, random: Random,
                                       operations: Sequence[dict[str, Any]] = SSD_OPERATIONS,
                                       aspect_ratio: float = 1.0) -> Sample:
    """Apply ssd_random_crop with this width / height, then random_crop_to_aspect_ratio in case nothing was cropped.

    operations: see ssd_random_crop.
    """
    operations = [dict(operation, min_aspect_ratio=aspect_ratio, max_aspect_ratio=aspect_ratio)
                  for operation in operations]
    return random_crop_to_aspect_ratio(ssd_random_crop(sample, random, operations), random, aspect_ratio)


def choose(random: Random, branches: Sequence[Callable[[], Sample]]) -> Sample:
    """Call one of the functions, each with the same probability, and return its result."""
    return tf.switch_case(random.integer(0, len(branches)), branches)


def random_square_crop_by_scale(sample: Sample, random: Random, max_border: int = 128, scale_min: float = 0.6,
                                scale_max: float = 1.3, num_scales: int = 8) -> Sample:
    """Crop to a square around a random point (CornerNet, CenterNet); outside of the image it is black.

    The side is the image's longer side times one of num_scales scales, evenly spaced from scale_min to scale_max. The
    point keeps a distance of max_border pixels from the image's border, less in small images.
    """
    size = tf.shape(sample['image'])[:2]
    scale = tf.linspace(scale_min, scale_max, num_scales)[random.integer(0, num_scales)]
    side = tf.maximum(tf.cast(scale * tf.cast(tf.reduce_max(size), tf.float32), tf.int32), 1)
    border = _crop_border(max_border, size)
    center = tf.stack([random.integer(border[i], size[i] - border[i] + 1) for i in range(2)])
    top_left = center - side // 2
    begin = tf.maximum(top_left, 0)
    end = tf.minimum(center + side // 2, size - 1)  # as in the reference, which never shows the last row and column
    cut = crop_pixels(sample, begin[0], begin[1], end[0] - begin[0], end[1] - begin[1])
    padded = pad_pixels(cut, begin[0] - top_left[0], begin[1] - top_left[1], side, side)
    window = tf.concat([top_left / size, (top_left + side) / size], 0)
    return crop_objects(padded, tf.cast(window, tf.float32))


def _crop_border(border, size):
    """Halve the border until twice of it is smaller than each side: int32 [2] for `size` int32 [2]."""
    halvings = tf.math.ceil(tf.math.log(2.0 * border / tf.cast(size, tf.float32)) / tf.math.log(2.0))
    return border // tf.cast(tf.clip_by_value(2.0 ** halvings, 1.0, float(border)), tf.int32)


def random_scale_crop_and_pad_to_square(sample: Sample, random: Random, output_size: int = 512,
                                        scale_min: float = 0.1, scale_max: float = 2.0) -> Sample:
    """Scale at random and crop or pad to a square: the scale jittering of EfficientDet (arXiv 1911.09070, section 5.1).

    The longer side becomes a random scale times output_size pixels, with the aspect ratio kept. A random window of
    output_size x output_size is cut from that; a smaller image is padded with black at the bottom and right.
    """
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    scaled = tf.cast(random.uniform(scale_min, scale_max) * output_size * (size / tf.reduce_max(size)), tf.int32)
    scaled = tf.maximum(scaled, 1)
    room = tf.maximum(0.0, tf.cast(scaled - output_size, tf.float32))
    offset = tf.cast(room * random.uniform(shape=[2]), tf.int32)
    resized = dict(sample, image=tf.compat.v1.image.resize(tf.cast(sample['image'], tf.float32), scaled))
    if 'masks' in sample:
        resized['masks'] = tf.compat.v1.image.resize(sample['masks'][..., tf.newaxis], scaled)[..., 0]
    cut = crop_pixels(resized, offset[0], offset[1], output_size, output_size)
    padded = pad_pixels(cut, 0, 0, output_size, output_size)
    padded['image'] = tf.ensure_shape(padded['image'], [output_size, output_size, 3])  # often that of the network
    window = tf.concat([offset / scaled, (offset + output_size) / scaled], 0)
    return crop_objects(padded, tf.cast(window, tf.float32))
