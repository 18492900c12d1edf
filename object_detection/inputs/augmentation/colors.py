"""Colour and pixel changes of a sample; boxes stay. Images come as uint8 or float32 RGB, 0..255; they leave as float32.
"""
import tensorflow as tf

from object_detection.utils.errors import UserError


def normalize_image(sample, random, original_minval=0.0, original_maxval=0.0, target_minval=0.0, target_maxval=1.0):
    """Map the range [original_minval, original_maxval] linearly to [target_minval, target_maxval]."""
    if original_minval == original_maxval:
        raise UserError('normalize_image: original_minval and original_maxval are equal; set both')
    scale = (target_maxval - target_minval) / (original_maxval - original_minval)
    return _change(sample, lambda image: (image - original_minval) * scale + target_minval)


def subtract_channel_mean(sample, random, means=()):
    """Subtract one value from each channel."""
    if len(means) != 3:
        raise UserError(f'subtract_channel_mean: three means are needed, one for each channel; got {list(means)}')
    return _change(sample, lambda image: image - means)


def rgb_to_gray(sample, random):
    """Luminance, in all three channels: the models take three."""
    return _change(sample, _gray)


def random_rgb_to_gray(sample, random, probability=0.1):
    """rgb_to_gray with a probability."""
    return _maybe(sample, random.chance(probability), _gray)


def random_pixel_value_scale(sample, random, minval=0.9, maxval=1.1):
    """Multiply every value by a number of its own."""
    return _change(sample, lambda image: _clip(image * random.uniform(minval, maxval, tf.shape(image))))


def random_adjust_brightness(sample, random, max_delta=0.2):
    """Add up to max_delta of the value range to all values, or subtract it."""
    delta = random.uniform(-max_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_brightness(image / 255, delta) * 255))


def random_adjust_contrast(sample, random, min_delta=0.8, max_delta=1.25):
    """Scale the distance of all values to their channel's mean."""
    factor = random.uniform(min_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_contrast(image / 255, factor) * 255))


def random_adjust_hue(sample, random, max_delta=0.02):
    """Turn the hue by up to this share of the circle."""
    delta = random.uniform(-max_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_hue(image / 255, delta) * 255))


def random_adjust_saturation(sample, random, min_delta=0.8, max_delta=1.25):
    """Scale the saturation."""
    factor = random.uniform(min_delta, max_delta)
    return _change(sample, lambda image: _clip(tf.image.adjust_saturation(image / 255, factor) * 255))


def adjust_gamma(sample, random, gamma=1.0, gain=1.0):
    """gain * value ** gamma, of values in 0..1."""
    return _change(sample, lambda image: _clip(tf.image.adjust_gamma(image / 255, gamma, gain) * 255))


def random_distort_color(sample, random, color_ordering=0):
    """Brightness, saturation, hue and contrast, strongly; color_ordering 1 puts contrast second."""
    if color_ordering not in (0, 1):
        raise UserError(f'random_distort_color: color_ordering is {color_ordering}; it may be 0 or 1')
    sample = random_adjust_brightness(sample, random, 32 / 255)
    if color_ordering == 1:
        sample = random_adjust_contrast(sample, random, 0.5, 1.5)
    sample = random_adjust_saturation(sample, random, 0.5, 1.5)
    sample = random_adjust_hue(sample, random, 0.2)
    return sample if color_ordering == 1 else random_adjust_contrast(sample, random, 0.5, 1.5)


def random_jpeg_quality(sample, random, random_coef=0.0, min_jpeg_quality=0, max_jpeg_quality=100):
    """Compress as a JPEG of a random quality. random_coef: chance of leaving the image alone."""
    quality = random.integer(min_jpeg_quality, max_jpeg_quality)

    def compress(image):
        return tf.cast(tf.image.adjust_jpeg_quality(tf.cast(image, tf.uint8), quality), tf.float32)

    return _maybe(sample, random.uniform() >= random_coef, compress)


def random_black_patches(sample, random, max_black_patches=10, probability=0.5, size_to_image_ratio=0.1):
    """Up to max_black_patches black squares, each there with this probability."""
    size = tf.shape(sample['image'])[:2]
    side = tf.cast(tf.cast(tf.reduce_min(size), tf.float32) * size_to_image_ratio, tf.int32)
    there = random.uniform(shape=[max_black_patches, 1]) <= probability
    rows, columns = (_stripes(random, max_black_patches, size[i], side, 1 - size_to_image_ratio) for i in range(2))
    patches = tf.matmul(rows * tf.cast(there, tf.float32), columns, transpose_a=True)
    return _change(sample, lambda image: tf.where(patches[..., tf.newaxis] > 0, 0.0, image))


def _stripes(random, count, length, width, last):
    """float32 [count, length]: ones from a random place before `last` of the length on, `width` of them."""
    start = tf.cast(random.uniform(0.0, last, [count, 1]) * tf.cast(length, tf.float32), tf.int32)
    place = tf.range(length)
    return tf.cast((place >= start) & (place < start + width), tf.float32)


def random_patch_gaussian(sample, random, random_coef=0.0, min_patch_size=1, max_patch_size=250,
                          min_gaussian_stddev=0.0, max_gaussian_stddev=1.0):
    """Gaussian noise in a square around a random pixel (Patch Gaussian, arXiv 1906.02611).

    random_coef: chance of leaving the image alone. The deviation is in units of the value range.
    """
    if min_patch_size < 1:
        raise UserError(f'random_patch_gaussian: min_patch_size is {min_patch_size}; it must be at least 1')
    patch = random.integer(min_patch_size, max_patch_size)
    deviation = random.uniform(min_gaussian_stddev, max_gaussian_stddev)

    def add_noise(image):
        size = tf.shape(image)
        in_rows, in_columns = (_around(random.integer(0, size[i]), patch, size[i]) for i in range(2))
        noisy = _clip(image + 255 * random.normal(size, deviation))
        return tf.where((in_rows[:, tf.newaxis] & in_columns)[..., tf.newaxis], noisy, image)

    return _maybe(sample, random.uniform() >= random_coef, add_noise)


def _around(center, width, length):
    """bool [length]: the `width` places around center."""
    place = tf.range(length)
    return (place >= center - width // 2) & (place < center + (width + 1) // 2)


def _gray(image):
    return tf.repeat(tf.reduce_sum(image * [0.2989, 0.587, 0.114], axis=2, keepdims=True), 3, axis=2)


def _clip(image):
    return tf.clip_by_value(image, 0.0, 255.0)


def _change(sample, function):
    return dict(sample, image=function(tf.cast(sample['image'], tf.float32)))


def _maybe(sample, condition, function):
    return _change(sample, lambda image: tf.cond(condition, lambda: function(image), lambda: image))
