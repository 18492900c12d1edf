"""Box coders: a box as numbers relative to its anchor, and back.

`encode(boxes, anchors)` and `decode(codes, anchors)` take float tensors [..., 4] or [..., code_size] whose leading
dimensions broadcast, so that anchors [A, 4] serve a batch [B, A, 4].
"""
import tensorflow as tf

from object_detection.boxes import ops

EPSILON = 1e-8  # added to sizes before a division or logarithm, as the reference does


class FasterRcnnCoder:
    """Offsets of the centre in anchor sizes, and logarithms of the size ratio (Ren et al. 2015): ty, tx, th, tw.

    Args:
        scales: four factors for ty, tx, th, tw.
    """
    code_size = 4

    def __init__(self, scales=(10., 10., 5., 5.)):
        self._scales = tuple(scales)

    def encode(self, boxes, anchors):
        anchor_y, anchor_x, anchor_height, anchor_width = ops.center_and_size(anchors)
        y, x, height, width = ops.center_and_size(boxes)
        anchor_height, anchor_width = anchor_height + EPSILON, anchor_width + EPSILON
        return tf.stack([(y - anchor_y) / anchor_height, (x - anchor_x) / anchor_width,
                         tf.math.log((height + EPSILON) / anchor_height),
                         tf.math.log((width + EPSILON) / anchor_width)], -1) * self._scales

    def decode(self, codes, anchors):
        anchor_y, anchor_x, anchor_height, anchor_width = ops.center_and_size(anchors)
        ty, tx, th, tw = tf.unstack(codes / self._scales, axis=-1)
        return ops.from_center_and_size(ty * anchor_height + anchor_y, tx * anchor_width + anchor_x,
                                        tf.exp(th) * anchor_height, tf.exp(tw) * anchor_width)


class MeanStddevCoder:
    """Corner offsets in units of `stddev` (Erhan et al. 2014)."""
    code_size = 4

    def __init__(self, stddev=.01):
        self._stddev = stddev

    def encode(self, boxes, anchors):
        return (boxes - anchors) / self._stddev

    def decode(self, codes, anchors):
        return codes * self._stddev + anchors
