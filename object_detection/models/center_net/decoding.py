"""Detections read off the maps of a CenterNet: peaks of the heatmaps, and the boxes at the peaks."""
import typing

import tensorflow as tf

from object_detection.models.center_net.losses import at_pixels

_SAME = 1e-6  # a pixel this close to the largest around it is a peak


class Peaks(typing.NamedTuple):
    """The D best peaks of B images, best first.

    scores: float32 [B, D]; pixels: int32 [B, D, 2], (y, x); channels: int32 [B, D].
    """
    scores: tf.Tensor
    pixels: tf.Tensor
    channels: tf.Tensor


def inside_image(true_image_shapes, shape):
    """float32 [B, H, W, 1]: 1 in the top left true height x true width pixels of a map.

    The reference compares pixels of the map with the size of the image, not of the image on the map; so this only tells
    where one side of the image is less than a quarter of the other. Kept, for equal detections.
    """
    inside = [tf.range(size) < true_image_shapes[:, axis, tf.newaxis] for axis, size in enumerate(shape)]
    return tf.cast(tf.logical_and(inside[0][:, :, tf.newaxis], inside[1][:, tf.newaxis]), tf.float32)[..., tf.newaxis]


def peaks_only(scores, kernel):
    """Scores [B, H, W, C] with 0 at each pixel that is not the largest of the kernel x kernel around it."""
    if kernel <= 1:
        return scores
    largest = tf.nn.max_pool2d(scores, kernel, 1, 'SAME')
    return scores * tf.cast(tf.abs(scores - largest) < _SAME, tf.float32)


def best_peaks(scores, count, kernel):
    """The `count` best Peaks of scores [B, H, W, C]; fewer where the maps have fewer values."""
    _, height, width, channels = tf.unstack(tf.shape(scores))
    flat = tf.reshape(peaks_only(scores, kernel), [tf.shape(scores)[0], height * width * channels])
    best, places = tf.math.top_k(flat, tf.minimum(count, height * width * channels))
    pixels = places // channels
    return Peaks(best, tf.stack([pixels // width, pixels % width], -1), places % channels)


def best_peaks_per_channel(scores, count, kernel):
    """(scores [B, C, count], pixels int32 [B, C, count, 2]) of the best peaks of each channel, best first.

    Where a map has fewer than `count` pixels, score 0 and pixel (0, 0) follow.
    """
    _, height, width, channels = tf.unstack(tf.shape(scores))
    flat = tf.reshape(tf.transpose(peaks_only(scores, kernel), [0, 3, 1, 2]),
                      [tf.shape(scores)[0], channels, height * width])
    possible = tf.minimum(count, height * width)
    best, places = (tf.pad(values, [[0, 0], [0, 0], [0, count - possible]]) for values in tf.math.top_k(flat, possible))
    return best, tf.stack([places // width, places % width], -1)


def boxes_at(pixels, scales, offsets):
    """Boxes [B, D, 4], in cells and clipped to the map, at pixels [B, D, 2] of maps [B, H, W, 2]."""
    centers = tf.cast(pixels, tf.float32) + at_pixels(offsets, pixels)
    half = tf.maximum(at_pixels(scales, pixels), 0.) / 2.
    limits = tf.cast(tf.shape(scales)[1:3], tf.float32)
    return tf.concat([tf.clip_by_value(corner, 0., limits) for corner in (centers - half, centers + half)], -1)


def image_size(true_image_shapes, stride):
    """float32 [B, 2]: height and width of the image in cells."""
    return tf.cast(true_image_shapes[:, :2], tf.float32) / stride
