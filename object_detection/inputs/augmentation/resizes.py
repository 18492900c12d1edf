"""Augmentations that change a sample's size. All resize as the reference does: without half-pixel centres."""
import tensorflow as tf

from object_detection.utils.errors import UserError

_METHODS = {'bilinear': tf.image.ResizeMethod.BILINEAR, 'nearest_neighbor': tf.image.ResizeMethod.NEAREST_NEIGHBOR,
            'bicubic': tf.image.ResizeMethod.BICUBIC, 'area': tf.image.ResizeMethod.AREA}


def resize_image(sample, random, new_height=0, new_width=0, method='bilinear'):
    """Resize to exactly this size; masks by nearest neighbour."""
    if new_height < 1 or new_width < 1:
        raise UserError(f'resize_image: new_height and new_width must be set; got {new_height} and {new_width}')
    return _resize(sample, tf.stack([new_height, new_width]), method)


def random_resize_method(sample, random, target_height=0, target_width=0):
    """Resize to exactly this size with a random one of four methods."""
    if target_height < 1 or target_width < 1:
        raise UserError('random_resize_method: target_height and target_width must be set; '
                        f'got {target_height} and {target_width}')
    size = tf.stack([target_height, target_width])
    branches = [lambda method=method: _resize(sample, size, method) for method in _METHODS]
    return tf.switch_case(random.integer(0, len(branches)), branches)


def random_image_scale(sample, random, min_scale_ratio=0.5, max_scale_ratio=2.0):
    """Scale height and width by the same random ratio, corner pixels staying in the corners."""
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    return _resize(sample, tf.cast(size * random.uniform(min_scale_ratio, max_scale_ratio), tf.int32),
                   align_corners=True)


def random_downscale_to_target_pixels(sample, random, random_coef=0.0, min_target_pixels=300000,
                                      max_target_pixels=800000):
    """Shrink to a random number of pixels, where the image has more. random_coef: chance of leaving it alone.

    The reference's schema says 500000 for the maximum, its code 800000; the code counts.
    """
    if min(min_target_pixels, max_target_pixels) < 1:
        raise UserError('random_downscale_to_target_pixels: the numbers of pixels must be positive')
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    pixels = tf.cast(random.integer(min_target_pixels, max_target_pixels), tf.float32)
    smaller = tf.cast(tf.sqrt(pixels / tf.reduce_prod(size)) * size, tf.int32)
    shrink = (random.uniform() >= random_coef) & (tf.reduce_prod(size) > pixels)
    return tf.cond(shrink, lambda: _resize(sample, smaller),
                   lambda: dict(sample, image=tf.cast(sample['image'], tf.float32)))


def _resize(sample, size, method='bilinear', align_corners=False):
    image = tf.cast(sample['image'], tf.float32)
    out = dict(sample, image=tf.compat.v1.image.resize(image, size, _METHODS[method], align_corners))
    if 'masks' in sample:
        masks = sample['masks'][..., tf.newaxis]
        out['masks'] = tf.compat.v1.image.resize(masks, size, _METHODS['nearest_neighbor'], align_corners)[..., 0]
    return out
