"""What the maps of a CenterNet should show, given the groundtruth of a padded batch.

Boxes are [B, N, 4] and keypoints [B, N, K, 2] (y, x), both in cells of maps of H x W pixels. Padding has weight 0.
"""
import tensorflow as tf

from object_detection.boxes import ops


def peak_size(height, width, min_iou):
    """Standard deviation [...] of the peak of a box of height and width [...] (Law and Deng 2018, CornerNet).

    The radius is the least of three: how far both corners may move, together, inwards or outwards, with the IoU still
    at least min_iou. The roots are those of the published CenterNet (the larger one, not divided by a), on which
    released weights rely.
    """
    area, total = height * width, height + width
    both = _root(1., -total, area * (1. - min_iou) / (1. + min_iou))
    inwards = _root(4., -2. * total, area * (1. - min_iou))
    outwards = _root(4. * min_iou, 2. * min_iou * total, area * (min_iou - 1.))
    radius = tf.minimum(both, tf.minimum(inwards, outwards))
    return (2. * tf.maximum(tf.floor(radius), 0.) + 1.) / 6.


def _root(a, b, c):
    return (tf.sqrt(b * b - 4. * a * c) - b) / 2.


def heatmaps(points, sizes, weights, shape):
    """Gaussian peaks around the pixel of each point; where several meet, the largest counts.

    Args:
        points: float32 [B, N, C or 1, 2]; sizes: float32 [B, N, C or 1], standard deviations.
        weights: float32 [B, N, C], height of each peak; 0 for none.
        shape: (H, W).
    Returns:
        float32 [B, H, W, C], a constant to the gradient.
    """
    # only the peaks that exist are drawn: of all B x N x C, mostly padding and other classes, H x W pixels each would
    # take gigabytes
    (height, width), size = shape, tf.shape(weights)
    exists = weights > 0.
    y, x = tf.unstack(tf.floor(tf.boolean_mask(tf.broadcast_to(points, tf.concat([size, [2]], 0)), exists)), axis=-1)
    spread = -.5 / tf.square(tf.boolean_mask(tf.broadcast_to(sizes, size), exists))
    squares = (tf.square(tf.range(tf.cast(height, tf.float32)) - y[:, tf.newaxis])[:, :, tf.newaxis] +
               tf.square(tf.range(tf.cast(width, tf.float32)) - x[:, tf.newaxis])[:, tf.newaxis])
    peaks = tf.exp(squares * spread[:, tf.newaxis, tf.newaxis])
    peaks *= tf.boolean_mask(weights, exists)[:, tf.newaxis, tf.newaxis]
    found = tf.cast(tf.where(exists), tf.int32)
    largest = tf.math.unsorted_segment_max(peaks, found[:, 0] * size[2] + found[:, 2], size[0] * size[2])
    largest = tf.reshape(tf.nn.relu(largest), [size[0], size[2], height, width])  # without any, it is the lowest number
    return tf.stop_gradient(tf.transpose(largest, [0, 2, 3, 1]))


def center_heatmaps(boxes, classes, weights, min_iou, shape):
    """Heatmaps [B, H, W, C] of box centers. classes: float32 [B, N, C], one or several hot; weights: float32 [B, N]."""
    y, x, height, width = ops.center_and_size(boxes)
    return heatmaps(tf.stack([y, x], -1)[:, :, tf.newaxis], peak_size(height, width, min_iou)[..., tf.newaxis],
                    classes * weights[..., tf.newaxis], shape)


def keypoint_heatmaps(keypoints, weights, boxes, std_dev, shape):
    """Heatmaps [B, H, W, K] of keypoints, whose peaks grow with the box; weights: float32 [B, N, K]."""
    _, _, height, width = ops.center_and_size(boxes)
    sizes = peak_size(height, width, .7)[..., tf.newaxis] * tf.constant(std_dev)
    return heatmaps(keypoints, sizes, weights, shape)


def outside_unlabelled(boxes, weights, shape):
    """float32 [B, H, W, K]: 0 in boxes whose k-th keypoint has no weight: it may be there, only nobody said where."""
    height, width = shape
    ymin, xmin, ymax, xmax = (side[:, tf.newaxis] for side in tf.unstack(boxes, axis=-1))
    y, x = (tf.range(tf.cast(size, tf.float32))[:, tf.newaxis] for size in (height, width))
    rows = tf.cast(tf.logical_and(y >= ymin, y < ymax), tf.float32)[:, :, tf.newaxis]  # [B, H, 1, N]
    columns = tf.cast(tf.logical_and(x >= xmin, x < xmax), tf.float32)[:, tf.newaxis]  # [B, 1, W, N]
    unlabelled = tf.cast(weights < 1e-3, tf.float32)
    covered = tf.matmul(rows * columns, unlabelled[:, tf.newaxis])
    return tf.stop_gradient(tf.cast(tf.equal(covered, 0.), tf.float32))


def labelled_keypoints(groundtruth, task, shape):
    """Keypoints of one task, in cells, and their weights.

    Args:
        groundtruth: dict of the batch, boxes and keypoints normalised to the padded image. A keypoint is not labelled
            where it is NaN or groundtruth_keypoint_visibilities is False.
        task: tasks.Keypoints.
    Returns:
        float32 [B, N, K, 2], 0 where not labelled, and float32 [B, N, K], 0 there and on objects of other classes.
    """
    keypoints = tf.gather(groundtruth['groundtruth_keypoints'], task.indices, axis=2)
    labelled = tf.logical_not(tf.math.is_nan(keypoints[..., 0]))
    if 'groundtruth_keypoint_visibilities' in groundtruth:
        visible = tf.gather(groundtruth['groundtruth_keypoint_visibilities'], task.indices, axis=2)
        labelled = tf.logical_and(labelled, tf.cast(visible, tf.bool))
    weights = groundtruth['groundtruth_classes'][..., task.class_id] * groundtruth['groundtruth_weights']
    cells = tf.where(labelled[..., tf.newaxis], keypoints, 0.) * tf.cast(shape, tf.float32)
    return cells, tf.where(labelled, weights[..., tf.newaxis], 0.)


def pixels_around(points, radius, shape):
    """The pixels within radius of the pixel of each point [..., 2].

    Returns:
        float32 [..., R, 2], (y, x), 0 where outside the map; bool [..., R], whether inside.
    """
    steps = range(-radius, radius + 1)
    offsets = tf.constant([(y, x) for y in steps for x in steps if y * y + x * x <= radius * radius], tf.float32)
    pixels = tf.floor(points)[..., tf.newaxis, :] + offsets
    inside = tf.reduce_all(tf.logical_and(pixels >= 0., pixels < tf.cast(shape, tf.float32)), -1)
    return tf.where(inside[..., tf.newaxis], pixels, 0.), inside


def nearest_pixel(points, shape):
    """The pixel float32 [..., 2] of each point; a point on or beyond the map's border has the border's."""
    return tf.clip_by_value(tf.floor(points), 0., tf.cast(shape, tf.float32) - 1.)
