"""Random borders around a sample, alone and after a crop."""
import tensorflow as tf

from object_detection.inputs.augmentation.crops import SSD_OPERATIONS, choose, random_crop_image, ssd_random_crop
from object_detection.inputs.augmentation.windows import move_frame, pad_pixels
from object_detection.utils.errors import UserError


def random_pad_image(sample, random, min_image_height=0, min_image_width=0, max_image_height=0, max_image_width=0,
                     pad_color=()):
    """Put the image at a random place of a larger canvas, whose size is drawn between min and max.

    Sizes in pixels; 0: the image's own size for min, twice that for max. pad_color: three values, none: the image's
    mean colour.
    """
    if bool(min_image_height) != bool(min_image_width) or bool(max_image_height) != bool(max_image_width):
        raise UserError('random_pad_image: set both height and width of min_image and of max_image, or neither')
    size = tf.shape(sample['image'])[:2]
    least = [min_image_height, min_image_width] if min_image_height else size
    most = [max_image_height, max_image_width] if max_image_height else 2 * size
    return _pad(sample, random, least, most, pad_color)


def random_absolute_pad_image(sample, random, max_height_padding=1, max_width_padding=1, pad_color=()):
    """As random_pad_image, with a canvas that is less than the paddings (pixels) larger than the image."""
    size = tf.shape(sample['image'])[:2]
    return _pad(sample, random, size, size + [max_height_padding, max_width_padding], pad_color)


def _pad(sample, random, least, most, pad_color):
    """Draw a canvas from `least` to below `most` (int32 [2], height and width; at least the image's size) and pad."""
    if len(pad_color) not in (0, 3):
        raise UserError(f'pad_color: three values are needed, red, green and blue; got {list(pad_color)}')
    size = tf.shape(sample['image'])[:2]
    most = tf.maximum(most, size)
    least = tf.minimum(tf.maximum(least, size), most)
    canvas = tf.stack([random.integer(least[i], most[i]) for i in range(2)])
    offset = tf.stack([random.integer(0, canvas[i] - size[i]) for i in range(2)])
    mean = tf.reduce_mean(tf.cast(sample['image'], tf.float32), axis=[0, 1])
    color = tf.constant(pad_color, tf.float32) if pad_color else mean
    padded = pad_pixels(sample, offset[0], offset[1], canvas[0], canvas[1], color)
    window = tf.concat([-offset / size, (canvas - offset) / size], 0)
    return move_frame(padded, tf.cast(window, tf.float32))


def random_crop_pad_image(sample, random, min_padded_size_ratio=(), max_padded_size_ratio=(), pad_color=(), **crop):
    """random_crop_image, then a border.

    The canvas is between min and max_padded_size_ratio (height, width; (1, 1) and (2, 2) if not given) times the size
    before the crop. crop: keywords of random_crop_image.
    """
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    least = tf.cast(size * _pair('min_padded_size_ratio', min_padded_size_ratio, 1.0), tf.int32)
    most = tf.cast(size * _pair('max_padded_size_ratio', max_padded_size_ratio, 2.0), tf.int32)
    return _pad(random_crop_image(sample, random, **crop), random, least, most, pad_color)


def ssd_random_crop_pad(sample, random, operations=SSD_OPERATIONS[1:]):
    """One of several random_crop_pad_image, each with the same chance."""
    return choose(random, [lambda keywords=operation: _crop_pad(sample, random, **keywords)
                           for operation in operations])


def _crop_pad(sample, random, pad_color_r=None, pad_color_g=0.0, pad_color_b=0.0, **keywords):
    color = () if pad_color_r is None else (pad_color_r, pad_color_g, pad_color_b)
    return random_crop_pad_image(sample, random, pad_color=color, **keywords)


def ssd_random_crop_pad_fixed_aspect_ratio(sample, random, operations=SSD_OPERATIONS, aspect_ratio=1.0,
                                           min_padded_size_ratio=(), max_padded_size_ratio=()):
    """ssd_random_crop, then black below and right up to this width over height, times a random scale."""
    sample = ssd_random_crop(sample, random, operations)
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    target = tf.stack([tf.maximum(size[0], size[1] / aspect_ratio), tf.maximum(size[1], size[0] * aspect_ratio)])
    least = tf.maximum(size * _pair('min_padded_size_ratio', min_padded_size_ratio, 1.0), target)
    most = tf.maximum(size * _pair('max_padded_size_ratio', max_padded_size_ratio, 2.0), target)
    max_scale = tf.reduce_min(most / target)
    min_scale = tf.minimum(max_scale, tf.reduce_max(least / target))
    canvas = tf.round(random.uniform(min_scale, max_scale) * target)
    padded = pad_pixels(sample, 0, 0, tf.cast(canvas[0], tf.int32), tf.cast(canvas[1], tf.int32))
    return move_frame(padded, tf.concat([[0.0, 0.0], canvas / size], 0))


def _pair(name, ratio, default):
    if len(ratio) not in (0, 2):
        raise UserError(f'{name}: two values are needed, of height and of width; got {list(ratio)}')
    return tf.constant(ratio or (default, default), tf.float32)
