"""Box coders: from boxes to encodings relative to anchors, and back.

`code_size` is the length of an encoding. Leading dimensions broadcast, so that anchors [A, 4] serve a batch [B, A, 4].
"""
from collections.abc import Iterable

import tensorflow as tf

from object_detection.boxes import ops

EPSILON = 1e-8  # added to sizes before a division or logarithm, as the reference does


class FasterRcnnCoder:
    """Center offsets in units of the anchor size, and logarithms of the size ratio: ty, tx, th, tw (Ren et al. 2015).

    Args:
        scales: factors of ty, tx, th, tw.
    """
    code_size = 4

    def __init__(self, scales: Iterable[float] = (10., 10., 5., 5.)) -> None:
        self.scales = tuple(scales)

    def encode(self, boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
        """Boxes and anchors float [..., 4], in one unit -> encodings [..., 4]."""
        anchor_y, anchor_x, anchor_height, anchor_width = ops.center_and_size(anchors)
        y, x, height, width = ops.center_and_size(boxes)
        anchor_height, anchor_width = anchor_height + EPSILON, anchor_width + EPSILON
        return tf.stack([(y - anchor_y) / anchor_height, (x - anchor_x) / anchor_width,
                         tf.math.log((height + EPSILON) / anchor_height),
                         tf.math.log((width + EPSILON) / anchor_width)], -1) * self.scales

    def decode(self, encodings: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
        """Encodings and anchors float [..., 4] -> boxes [..., 4] in the unit of the anchors."""
        anchor_y, anchor_x, anchor_height, anchor_width = ops.center_and_size(anchors)
        ty, tx, th, tw = tf.unstack(encodings / self.scales, axis=-1)
        return ops.from_center_and_size(ty * anchor_height + anchor_y, tx * anchor_width + anchor_x,
                                        tf.exp(th) * anchor_height, tf.exp(tw) * anchor_width)


class MeanStddevCoder:
    """Offsets of the four coordinates from the anchor's, in units of `stddev` (Erhan et al. 2014)."""
    code_size = 4

    def __init__(self, stddev: float = .01) -> None:
        self._stddev = stddev

    def encode(self, boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
        """Boxes and anchors float [..., 4], in one unit -> encodings [..., 4]."""
        return (boxes - anchors) / self._stddev

    def decode(self, encodings: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
        """Encodings and anchors float [..., 4] -> boxes [..., 4] in the unit of the anchors."""
        return encodings * self._stddev + anchors


BoxCoder = FasterRcnnCoder | MeanStddevCoder
