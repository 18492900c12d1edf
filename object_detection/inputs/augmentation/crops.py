"""Random crops of a sample."""
import tensorflow as tf

from object_detection.inputs.augmentation.windows import look_through, pad_pixels, slice_pixels

_SSD_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
SSD_OPERATIONS = tuple({'min_object_covered': overlap, 'min_aspect_ratio': 0.5, 'max_aspect_ratio': 2.0,
                        'min_area': 0.1, 'max_area': 1.0, 'overlap_thresh': overlap, 'clip_boxes': True,
                        'random_coef': 0.15} for overlap in _SSD_OVERLAPS)


def random_crop_image(sample, random, min_object_covered=1.0, min_aspect_ratio=0.75, max_aspect_ratio=1.33,
                      min_area=0.1, max_area=1.0, overlap_thresh=0.3, clip_boxes=True, random_coef=0.0):
    """A random part of the image that shows at least min_object_covered of some box.

    Its width over height and its share of the image's area lie within the ranges; if 100 attempts fail, it is the
    whole image. Objects stay with at least overlap_thresh of their area inside. random_coef: chance of no crop.
    """
    def crop():
        size = tf.shape(sample['image'])
        begin, extent, window = tf.image.stateless_sample_distorted_bounding_box(
            size, tf.clip_by_value(sample['boxes'], 0.0, 1.0)[tf.newaxis], random.seed(), min_object_covered,
            (min_aspect_ratio, max_aspect_ratio), (min_area, max_area), max_attempts=100,
            use_image_if_no_bounding_boxes=True)
        cut = slice_pixels(sample, begin[0], begin[1], extent[0], extent[1])
        return look_through(cut, window[0, 0], overlap_thresh, clip_boxes)

    if isinstance(random_coef, float) and random_coef == 0:
        return crop()
    return tf.cond(random.uniform() > random_coef, crop, lambda: dict(sample))


def ssd_random_crop(sample, random, operations=SSD_OPERATIONS):
    """One of several random_crop_image, each with the same chance (SSD: Single Shot MultiBox Detector, section 2.2)."""
    varying = ('min_object_covered', 'overlap_thresh', 'random_coef')
    shared = [{name: value for name, value in operation.items() if name not in varying} for operation in operations]
    if all(keywords == shared[0] for keywords in shared):  # usually so; one crop with drawn numbers is built faster
        number = random.integer(0, len(operations))
        drawn = {name: tf.constant([operation[name] for operation in operations])[number] for name in varying}
        return random_crop_image(sample, random, **shared[0], **drawn)
    return choose(random, [lambda keywords=keywords: random_crop_image(sample, random, **keywords)
                           for keywords in operations])


def choose(random, branches):
    """The result of one of the functions, each with the same chance."""
    return tf.switch_case(random.integer(0, len(branches)), branches)


def random_crop_to_aspect_ratio(sample, random, aspect_ratio=1.0, overlap_thresh=0.3, clip_boxes=True):
    """The largest part of this width over height, at a random place; objects stay as in random_crop_image."""
    size = tf.shape(sample['image'])[:2]
    height, width = tf.unstack(tf.cast(size, tf.float32))
    part = tf.stack([tf.minimum(height, tf.round(width / aspect_ratio)),
                     tf.minimum(width, tf.round(height * aspect_ratio))])
    part = tf.cast(part, tf.int32)
    begin = tf.stack([random.integer(0, size[i] - part[i] + 1) for i in range(2)])
    cut = slice_pixels(sample, begin[0], begin[1], part[0], part[1])
    window = tf.concat([begin / size, (begin + part) / size], 0)
    return look_through(cut, tf.cast(window, tf.float32), overlap_thresh, clip_boxes)


def ssd_random_crop_fixed_aspect_ratio(sample, random, operations=SSD_OPERATIONS, aspect_ratio=1.0):
    """ssd_random_crop to this width over height, then random_crop_to_aspect_ratio for what an early exit left."""
    operations = [dict(operation, min_aspect_ratio=aspect_ratio, max_aspect_ratio=aspect_ratio)
                  for operation in operations]
    return random_crop_to_aspect_ratio(ssd_random_crop(sample, random, operations), random, aspect_ratio)


def random_square_crop_by_scale(sample, random, max_border=128, scale_min=0.6, scale_max=1.3, num_scales=8):
    """A square around a random point, its side a scale times the image's longer side (CornerNet, CenterNet).

    The point keeps a distance from the border (max_border, less for small images). What the square shows of the
    outside is black.
    """
    size = tf.shape(sample['image'])[:2]
    scale = tf.linspace(scale_min, scale_max, num_scales)[random.integer(0, num_scales)]
    side = tf.cast(scale * tf.cast(tf.reduce_max(size), tf.float32), tf.int32)
    border = _crop_border(max_border, size)
    center = tf.stack([random.integer(border[i], size[i] - border[i] + 1) for i in range(2)])
    top_left = center - side // 2
    begin = tf.maximum(top_left, 0)
    end = tf.minimum(center + side // 2, size - 1)  # the last row and column are never shown: so does the reference
    cut = slice_pixels(sample, begin[0], begin[1], end[0] - begin[0], end[1] - begin[1])
    padded = pad_pixels(cut, begin[0] - top_left[0], begin[1] - top_left[1], side, side)
    window = tf.concat([top_left / size, (top_left + side) / size], 0)
    return look_through(padded, tf.cast(window, tf.float32))


def _crop_border(border, size):
    """The border, halved until twice of it is smaller than each side (int32 [2] of sides)."""
    halvings = tf.math.ceil(tf.math.log(2.0 * border / tf.cast(size, tf.float32)) / tf.math.log(2.0))
    return border // tf.cast(tf.clip_by_value(2.0 ** halvings, 1.0, float(border)), tf.int32)


def random_scale_crop_and_pad_to_square(sample, random, output_size=512, scale_min=0.1, scale_max=2.0):
    """Scale jittering (EfficientDet, section 5.1): resize, keeping the aspect ratio, so that the longer side is a
    random scale times output_size; show a random output_size square of it, filled up with black below and right.
    """
    size = tf.cast(tf.shape(sample['image'])[:2], tf.float32)
    scaled = tf.cast(random.uniform(scale_min, scale_max) * output_size * (size / tf.reduce_max(size)), tf.int32)
    room = tf.maximum(0.0, tf.cast(scaled - output_size, tf.float32))
    offset = tf.cast(room * random.uniform(shape=[2]), tf.int32)
    resized = dict(sample, image=tf.compat.v1.image.resize(tf.cast(sample['image'], tf.float32), scaled))
    if 'masks' in sample:
        resized['masks'] = tf.compat.v1.image.resize(sample['masks'][..., tf.newaxis], scaled)[..., 0]
    cut = slice_pixels(resized, offset[0], offset[1], output_size, output_size)
    padded = pad_pixels(cut, 0, 0, output_size, output_size)
    return look_through(padded, tf.cast(tf.concat([offset / scaled, (offset + output_size) / scaled], 0), tf.float32))
