"""What the maps of a CenterNet should show, given the groundtruth of a padded batch.

Boxes are float32 [B, N, 4], (ymin, xmin, ymax, xmax), and keypoints float32 [B, N, K, 2], (y, x), both in cells of maps
of H x W pixels. Padding has weight 0. A map size is (H, W).
"""
import tensorflow as tf

from object_detection.boxes import ops
from object_detection.models.center_net.decoding import MapSize
from object_detection.models.center_net.tasks import Keypoints
from object_detection.models.detector import Tensors

KEYPOINT_MIN_IOU = .7  # of the peaks of keypoints, fixed in the reference


def peak_size(height: tf.Tensor, width: tf.Tensor, min_iou: float) -> tf.Tensor:
    """Return the standard deviation of the peak of a box (Law and Deng 2018, CornerNet).

    The radius is the least of three: how far both corners may move, together, inward or outward, with the IoU still
    at least min_iou. Each is (sqrt(b ** 2 - 4 a c) - b) / 2, not divided by a, as in the published CenterNet, which
    released weights were trained with.

    Args:
        height, width: float32 [...], in cells.
    Returns:
        float32 [...], in cells.
    """
    area, total = height * width, height + width
    both = _root(1., -total, area * (1. - min_iou) / (1. + min_iou))
    inwards = _root(4., -2. * total, area * (1. - min_iou))
    outwards = _root(4. * min_iou, 2. * min_iou * total, area * (min_iou - 1.))
    radius = tf.minimum(both, tf.minimum(inwards, outwards))
    return (2. * tf.maximum(tf.floor(radius), 0.) + 1.) / 6.


def _root(a, b, c):
    return (tf.sqrt(b * b - 4. * a * c) - b) / 2.


def heatmaps(points: tf.Tensor, sizes: tf.Tensor, weights: tf.Tensor, map_size: MapSize) -> tf.Tensor:
    """Draw a Gaussian peak around the pixel of each point; where peaks overlap, the largest counts.

    Args:
        points: float32 [B, N, C, 2], or [B, N, 1, 2] for all channels, (y, x) in cells.
        sizes: float32 [B, N, C] or [B, N, 1], standard deviations.
        weights: float32 [B, N, C], height of each peak; 0 for none.
    Returns:
        float32 [B, H, W, C], without a gradient.
    """
    # draw only the peaks that exist: H x W pixels for each of B x N x C, most of them padding or of another class,
    # would take gigabytes
    (height, width), size = map_size, tf.shape(weights)
    exists = weights > 0.
    y, x = tf.unstack(tf.floor(tf.boolean_mask(tf.broadcast_to(points, tf.concat([size, [2]], 0)), exists)), axis=-1)
    spread = -.5 / tf.square(tf.boolean_mask(tf.broadcast_to(sizes, size), exists))
    squares = (tf.square(tf.range(tf.cast(height, tf.float32)) - y[:, tf.newaxis])[:, :, tf.newaxis] +
               tf.square(tf.range(tf.cast(width, tf.float32)) - x[:, tf.newaxis])[:, tf.newaxis])
    peaks = tf.exp(squares * spread[:, tf.newaxis, tf.newaxis])
    peaks *= tf.boolean_mask(weights, exists)[:, tf.newaxis, tf.newaxis]
    indices = tf.cast(tf.where(exists), tf.int32)
    largest = tf.math.unsorted_segment_max(peaks, indices[:, 0] * size[2] + indices[:, 2], size[0] * size[2])
    largest = tf.reshape(tf.nn.relu(largest), [size[0], size[2], height, width])  # no peak: the lowest float, so 0
    return tf.stop_gradient(tf.transpose(largest, [0, 2, 3, 1]))


def center_heatmaps(boxes: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor, min_iou: float, map_size: MapSize
                    ) -> tf.Tensor:
    """Draw the heatmaps of box centers.

    Args:
        boxes: float32 [B, N, 4].
        classes: float32 [B, N, C], one-hot or multi-hot.
        weights: float32 [B, N].
        min_iou: see peak_size.
    Returns:
        float32 [B, H, W, C].
    """
    y, x, height, width = ops.center_and_size(boxes)
    return heatmaps(tf.stack([y, x], -1)[:, :, tf.newaxis], peak_size(height, width, min_iou)[..., tf.newaxis],
                    classes * weights[..., tf.newaxis], map_size)


def keypoint_heatmaps(keypoints: tf.Tensor, weights: tf.Tensor, boxes: tf.Tensor, std_dev: tuple[float, ...],
                      map_size: MapSize) -> tf.Tensor:
    """Draw the heatmaps of keypoints, whose peaks grow with the box.

    Args:
        keypoints: float32 [B, N, K, 2].
        weights: float32 [B, N, K].
        boxes: float32 [B, N, 4].
        std_dev: K factors of the peak's size.
    Returns:
        float32 [B, H, W, K].
    """
    _, _, height, width = ops.center_and_size(boxes)
    sizes = peak_size(height, width, KEYPOINT_MIN_IOU)[..., tf.newaxis] * tf.constant(std_dev)
    return heatmaps(keypoints, sizes, weights, map_size)


def outside_unlabeled(boxes: tf.Tensor, weights: tf.Tensor, map_size: MapSize) -> tf.Tensor:
    """Mark where the heatmap of a keypoint has a loss: not in boxes whose keypoint is unlabeled, since it may be there.

    Args:
        boxes: float32 [B, N, 4].
        weights: float32 [B, N, K], 0 for unlabeled keypoints.
    Returns:
        float32 [B, H, W, K], 1 or 0.
    """
    height, width = map_size
    ymin, xmin, ymax, xmax = (side[:, tf.newaxis] for side in tf.unstack(boxes, axis=-1))
    y, x = (tf.range(tf.cast(size, tf.float32))[:, tf.newaxis] for size in (height, width))
    rows = tf.cast(tf.logical_and(y >= ymin, y < ymax), tf.float32)[:, :, tf.newaxis]  # [B, H, 1, N]
    columns = tf.cast(tf.logical_and(x >= xmin, x < xmax), tf.float32)[:, tf.newaxis]  # [B, 1, W, N]
    unlabeled = tf.cast(weights < 1e-3, tf.float32)
    covered = tf.matmul(rows * columns, unlabeled[:, tf.newaxis])
    return tf.stop_gradient(tf.cast(tf.equal(covered, 0.), tf.float32))


def labeled_keypoints(groundtruth: Tensors, task: Keypoints, map_size: MapSize) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the keypoints of one task in cells, and their weights.

    Args:
        groundtruth: as Detector.loss takes it. A keypoint is unlabeled where it is NaN or
            groundtruth_keypoint_visibilities is False.
    Returns:
        keypoints: float32 [B, N, K, 2], 0 where unlabeled.
        weights: float32 [B, N, K], 0 where unlabeled and on objects of other classes.
    """
    keypoints = tf.gather(groundtruth['groundtruth_keypoints'], task.indices, axis=2)
    labeled = tf.logical_not(tf.math.is_nan(keypoints[..., 0]))
    if 'groundtruth_keypoint_visibilities' in groundtruth:
        visible = tf.gather(groundtruth['groundtruth_keypoint_visibilities'], task.indices, axis=2)
        labeled = tf.logical_and(labeled, tf.cast(visible, tf.bool))
    weights = groundtruth['groundtruth_classes'][..., task.class_id] * groundtruth['groundtruth_weights']
    cells = tf.where(labeled[..., tf.newaxis], keypoints, 0.) * tf.cast(map_size, tf.float32)
    return cells, tf.where(labeled, weights[..., tf.newaxis], 0.)


def pixels_around(points: tf.Tensor, radius: int, map_size: MapSize) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the pixels within `radius` of the pixel of each point.

    Args:
        points: float32 [..., 2], (y, x) in cells.
    Returns:
        pixels: float32 [..., R, 2], (y, x), 0 where outside the map.
        inside: bool [..., R], whether a pixel is inside the map.
    """
    steps = range(-radius, radius + 1)
    offsets = tf.constant([(y, x) for y in steps for x in steps if y * y + x * x <= radius * radius], tf.float32)
    pixels = tf.floor(points)[..., tf.newaxis, :] + offsets
    inside = tf.reduce_all(tf.logical_and(pixels >= 0., pixels < tf.cast(map_size, tf.float32)), -1)
    return tf.where(inside[..., tf.newaxis], pixels, 0.), inside


def nearest_pixel(points: tf.Tensor, map_size: MapSize) -> tf.Tensor:
    """Return the pixel of each point, float32 [..., 2], (y, x) in cells; the nearest one for points outside the map."""
    return tf.clip_by_value(tf.floor(points), 0., tf.cast(map_size, tf.float32) - 1.)
