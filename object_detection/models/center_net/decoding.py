"""Read CenterNet's maps: values at pixels, peaks of the heatmaps, and the boxes at the peaks.

Pixels are (y, x). D is the number of detections, K of keypoints.
"""
import typing

import tensorflow as tf

MapSize = tuple[int | tf.Tensor, int | tf.Tensor]

_SAME = 1e-6  # a pixel this close to the largest around it is a peak


class Peaks(typing.NamedTuple):
    """The D best peaks of B images, best first.

    Attributes:
        scores: float32 [B, D].
        pixels: int32 [B, D, 2].
        channels: int32 [B, D].
    """
    scores: tf.Tensor
    pixels: tf.Tensor
    channels: tf.Tensor


def gather_pixels(maps: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Gather the values of maps at pixels.

    Args:
        maps: [B, H, W, C].
        pixels: int32 or float32 [B, ..., 2], whole numbers inside the map.
    Returns:
        [B, ..., C].
    """
    size = tf.shape(maps)
    y, x = tf.unstack(tf.cast(pixels, tf.int32), axis=-1)
    return tf.gather(tf.reshape(maps, [size[0], size[1] * size[2], maps.shape[-1]]), y * size[2] + x, batch_dims=1)


def gather_pixel_pairs(maps: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Gather a pair of values for each keypoint: channels 2k and 2k + 1 for the k-th.

    Args:
        maps: [B, H, W, 2K], or [B, H, W, 2] if the keypoints share one pair.
        pixels: int32 or float32 [B, N, K, R, 2], whole numbers inside the map.
    Returns:
        [B, N, K, R, 2].
    """
    size, pairs = tf.shape(maps), maps.shape[-1] // 2
    y, x = tf.unstack(tf.cast(pixels, tf.int32), axis=-1)
    indices = (y * size[2] + x) * pairs + tf.range(pairs)[:, tf.newaxis]
    return tf.gather(tf.reshape(maps, [size[0], size[1] * size[2] * pairs, 2]), indices, batch_dims=1)


def valid_pixels(true_image_shapes: tf.Tensor, stride: int, map_size: MapSize) -> tf.Tensor:
    """Mark the pixels of a map that cover some of the image and not only padding.

    Args:
        true_image_shapes: int32 [B, 3].
    Returns:
        float32 [B, H, W, 1], 1 or 0.
    """
    height, width = map_size
    limits = tf.math.ceil(tf.cast(true_image_shapes, tf.float32) / stride)[:, :2, tf.newaxis]
    rows = tf.range(tf.cast(height, tf.float32)) < limits[:, 0]
    columns = tf.range(tf.cast(width, tf.float32)) < limits[:, 1]
    return tf.cast(tf.logical_and(rows[:, :, tf.newaxis], columns[:, tf.newaxis]), tf.float32)[..., tf.newaxis]


def keep_peaks(scores: tf.Tensor, kernel: int) -> tf.Tensor:
    """Set scores, float32 [B, H, W, C], to 0 where they are not the largest within kernel x kernel pixels."""
    if kernel <= 1:
        return scores
    largest = tf.nn.max_pool2d(scores, kernel, 1, 'SAME')
    return scores * tf.cast(tf.abs(scores - largest) < _SAME, tf.float32)


def best_peaks(scores: tf.Tensor, count: int, kernel: int) -> Peaks:
    """Find the best peaks of all channels together.

    Args:
        scores: float32 [B, H, W, C].
        count: D, unless the maps have fewer values.
        kernel: see keep_peaks.
    """
    _, height, width, channels = tf.unstack(tf.shape(scores))
    flat = tf.reshape(keep_peaks(scores, kernel), [tf.shape(scores)[0], height * width * channels])
    best, indices = tf.math.top_k(flat, tf.minimum(count, height * width * channels))
    pixels = indices // channels
    return Peaks(best, tf.stack([pixels // width, pixels % width], -1), indices % channels)


def best_peaks_per_channel(scores: tf.Tensor, count: int, kernel: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the best peaks of each channel.

    Args:
        scores: float32 [B, H, W, C].
        count, kernel: see best_peaks.
    Returns:
        Scores float32 [B, C, count] and pixels int32 [B, C, count, 2], best first, padded with zeros if a map has fewer
        than `count` pixels.
    """
    _, height, width, channels = tf.unstack(tf.shape(scores))
    flat = tf.reshape(tf.transpose(keep_peaks(scores, kernel), [0, 3, 1, 2]),
                      [tf.shape(scores)[0], channels, height * width])
    possible = tf.minimum(count, height * width)
    best, indices = (tf.pad(values, [[0, 0], [0, 0], [0, count - possible]])
                     for values in tf.math.top_k(flat, possible))
    return best, tf.stack([indices // width, indices % width], -1)


def boxes_at(pixels: tf.Tensor, scales: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Decode the boxes at pixels.

    Args:
        pixels: int32 [B, D, 2].
        scales, offsets: float32 [B, H, W, 2], height and width of the box and offset of its center, in cells.
    Returns:
        float32 [B, D, 4], (ymin, xmin, ymax, xmax) in cells, clipped to the map.
    """
    centers = tf.cast(pixels, tf.float32) + gather_pixels(offsets, pixels)
    half = tf.maximum(gather_pixels(scales, pixels), 0.) / 2.
    limits = tf.cast(tf.shape(scales)[1:3], tf.float32)
    return tf.concat([tf.clip_by_value(corner, 0., limits) for corner in (centers - half, centers + half)], -1)
