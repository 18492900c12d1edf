"""Changes of color and of pixels; objects stay as they are.

Images come as uint8 or float32 RGB, 0..255, and leave as float32, clipped to 0..255 where the docstring does not say
otherwise. The reference adjusts contrast, hue and saturation of values in 0..1; multiples of these give the same.
"""
from collections.abc import Sequence

import tensorflow as tf

from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample


def normalize_image(sample: Sample, random: Random, original_minval: float = 0.0, original_maxval: float = 0.0,
                    target_minval: float = 0.0, target_maxval: float = 1.0) -> Sample:
    """Map [original_minval, original_maxval] linearly to [target_minval, target_maxval]; not clipped."""
    scale = (target_maxval - target_minval) / (original_maxval - original_minval)
    return _change(sample, lambda image: (image - original_minval) * scale + target_minval)


def subtract_channel_mean(sample: Sample, random: Random, means: Sequence[float] = ()) -> Sample:
    """Subtract means[i] from channel i; not clipped."""
    return _change(sample, lambda image: image - means)


def rgb_to_gray(sample: Sample, random: Random) -> Sample:
    """Set all three channels to the luminance."""
    return _change(sample, _gray)


def random_rgb_to_gray(sample: Sample, random: Random, probability: float = 0.1) -> Sample:
    """Apply rgb_to_gray with this probability."""
    return _change_if(sample, random.chance(probability), _gray)


def random_pixel_value_scale(sample: Sample, random: Random, minval: float = 0.9, maxval: float = 1.1) -> Sample:
    """Multiply each value of each pixel by its own factor from [minval, maxval)."""
    return _change(sample, lambda image: _clip(image * random.uniform(minval, maxval, tf.shape(image))))


def random_adjust_brightness(sample: Sample, random: Random, max_delta: float = 0.2) -> Sample:
    """Add one number from [-max_delta, max_delta) to all values, in units of the value range."""
    delta = random.uniform(-max_delta, max_delta)
    return _change(sample, lambda image: _clip(image + delta * 255))


def random_adjust_contrast(sample: Sample, random: Random, min_delta: float = 0.8, max_delta: float = 1.25) -> Sample:
    """Multiply the distance of all values from their channel's mean by a factor from [min_delta, max_delta)."""
    factor = random.uniform(min_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_contrast(image, factor)))


def random_adjust_hue(sample: Sample, random: Random, max_delta: float = 0.02) -> Sample:
    """Rotate the hue by a fraction from [-max_delta, max_delta) of the color circle."""
    delta = random.uniform(-max_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_hue(image, delta)))


def random_adjust_saturation(sample: Sample, random: Random, min_delta: float = 0.8,
                             max_delta: float = 1.25) -> Sample:
    """Multiply the saturation by a factor from [min_delta, max_delta)."""
    factor = random.uniform(min_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_saturation(image, factor)))


def adjust_gamma(sample: Sample, random: Random, gamma: float = 1.0, gain: float = 1.0) -> Sample:
    """Replace each value by gain * value ** gamma, in units of the value range."""
    return _change(sample, lambda image: _clip(tf.image.adjust_gamma(image / 255, gamma, gain) * 255))


def random_distort_color(sample: Sample, random: Random, color_ordering: int = 0) -> Sample:
    """Adjust brightness, saturation, hue and contrast in wide ranges.

    color_ordering: 0: in this order; 1: contrast comes second.
    """
    sample = random_adjust_brightness(sample, random, 32 / 255)
    if color_ordering == 1:
        sample = random_adjust_contrast(sample, random, 0.5, 1.5)
    sample = random_adjust_saturation(sample, random, 0.5, 1.5)
    sample = random_adjust_hue(sample, random, 0.2)
    return sample if color_ordering == 1 else random_adjust_contrast(sample, random, 0.5, 1.5)


def random_jpeg_quality(sample: Sample, random: Random, random_coef: float = 0.0, min_jpeg_quality: int = 0,
                        max_jpeg_quality: int = 100) -> Sample:
    """Compress as JPEG with a quality from [min_jpeg_quality, max_jpeg_quality), and decode again.

    random_coef: probability of leaving the image alone.
    """
    quality = random.integer(min_jpeg_quality, max_jpeg_quality)

    def compress(image):
        return tf.cast(tf.image.adjust_jpeg_quality(tf.cast(image, tf.uint8), quality), tf.float32)

    return _change_if(sample, random.uniform() >= random_coef, compress)


def random_black_patches(sample: Sample, random: Random, max_black_patches: int = 10, probability: float = 0.5,
                         size_to_image_ratio: float = 0.1) -> Sample:
    """Draw max_black_patches black squares at random places, each with this probability.

    size_to_image_ratio: side of a square / shorter side of the image.
    """
    size = tf.shape(sample['image'])[:2]
    side = tf.cast(tf.cast(tf.reduce_min(size), tf.float32) * size_to_image_ratio, tf.int32)
    drawn = random.uniform(shape=[max_black_patches, 1]) <= probability
    rows, columns = (_stripes(random, max_black_patches, size[i], side, 1 - size_to_image_ratio) for i in range(2))
    patches = tf.matmul(rows * tf.cast(drawn, tf.float32), columns, transpose_a=True)
    return _change(sample, lambda image: tf.where(patches[..., tf.newaxis] > 0, 0.0, image))


def random_patch_gaussian(sample: Sample, random: Random, random_coef: float = 0.0, min_patch_size: int = 1,
                          max_patch_size: int = 250, min_gaussian_stddev: float = 0.0,
                          max_gaussian_stddev: float = 1.0) -> Sample:
    """Add Gaussian noise within a square around a random pixel (Patch Gaussian, arXiv 1906.02611).

    random_coef: probability of leaving the image alone.
    min_patch_size, max_patch_size: limits of the square's side, pixels.
    min_gaussian_stddev, max_gaussian_stddev: limits of the standard deviation, in units of the value range.
    """
    side = random.integer(min_patch_size, max_patch_size)
    deviation = random.uniform(min_gaussian_stddev, max_gaussian_stddev)

    def add_noise(image):
        size = tf.shape(image)
        in_rows, in_columns = (_around(random.integer(0, size[i]), side, size[i]) for i in range(2))
        noisy = _clip(image + 255 * random.normal(size, deviation))
        return tf.where((in_rows[:, tf.newaxis] & in_columns)[..., tf.newaxis], noisy, image)

    return _change_if(sample, random.uniform() >= random_coef, add_noise)


def _stripes(random, count, length, width, last):
    """Draw `count` stripes of `width` pixels, each starting before the fraction `last` of the length.

    Returns:
        float32 [count, length], 1 in the stripe, 0 elsewhere.
    """
    start = tf.cast(random.uniform(0.0, last, [count, 1]) * tf.cast(length, tf.float32), tf.int32)
    position = tf.range(length)
    return tf.cast((position >= start) & (position < start + width), tf.float32)


def _around(center, width, length):
    """Return bool [length], true for the `width` positions around center."""
    position = tf.range(length)
    return (position >= center - width // 2) & (position < center + (width + 1) // 2)


def _gray(image):
    return tf.repeat(tf.reduce_sum(image * [0.2989, 0.587, 0.114], axis=2, keepdims=True), 3, axis=2)


def _clip(image):
    return tf.raw_ops.ClipByValue(t=image, clip_value_min=0.0, clip_value_max=255.0)  # in one pass


def _change(sample, function):
    return dict(sample, image=function(tf.cast(sample['image'], tf.float32)))


def _change_if(sample, condition, function):
    return _change(sample, lambda image: tf.cond(condition, lambda: function(image), lambda: image))
