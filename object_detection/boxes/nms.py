"""Non-max suppression of a batch, many classes at once.

Greedy suppression treats each class on its own, so it may as well run through the (class, box) pairs of all classes in
one order of falling score. The detections asked for are nearly always among the best few hundred pairs, so with many
classes these are tried first: one sort and one suppression of a short list, instead of one over every box for each
class. Where a short list does not fill its image's detections although pairs are left, all is done class by class.
Both ways give what the reference gives, ties included: equal scores go by class, then by box.
"""
import dataclasses
import typing

import tensorflow as tf

from object_detection.boxes import ops

_SHORTLIST = 10  # pairs tried first, per detection asked for
_FEW_CLASSES = 4  # up to here the short list costs more than it saves


class Detections(typing.NamedTuple):
    """The selected boxes of B images, best first, zero beyond `count`.

    boxes: float32 [B, D, 4], clipped; in the window's frame where asked for.
    scores, classes: float32 [B, D]; classes count from 0.
    indices: int32 [B, D], the box selected.
    count: int32 [B].
    """
    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    indices: tf.Tensor
    count: tf.Tensor


@dataclasses.dataclass(frozen=True)
class NonMaxSuppression:
    """Settings of batch_non_max_suppression, and the call.

    score_threshold: only higher scores are looked at; negative scores never are.
    iou_threshold: a box that overlaps a better one of its class by more than this is dropped.
    max_per_class: a class's best boxes that are kept; counted before those outside the window are dropped.
    max_total: D, detections per image.
    soft_sigma: above 0, overlap lowers scores by exp(-iou**2 / (2 sigma)) instead (Bodla et al. 2017).
    class_agnostic: each box has its best class only, and suppresses boxes of all classes. max_per_class is unused.
    change_frame: boxes come out in coordinates of the window.
    """
    score_threshold: float = 0.
    iou_threshold: float = .6
    max_per_class: int = 100
    max_total: int = 100
    soft_sigma: float = 0.
    class_agnostic: bool = False
    change_frame: bool = True

    def __call__(self, boxes, scores, window):
        """Select detections.

        Args:
            boxes: float32 [B, A, 4], shared by the classes, or [B, A, C, 4], one for each class (not with
                class_agnostic).
            scores: float32 [B, A, C], background left out; below 0 for boxes that are none.
            window: float32 [B, 4] in the unit of the boxes. Boxes are clipped to it after the suppression, and those
                without area are dropped.
        Returns:
            Detections.
        """
        stride = 0
        if boxes.shape.rank == 4:  # class by class; those of one class begin `stride` after those of the class before
            stride = tf.shape(boxes)[1]
            boxes = tf.reshape(tf.transpose(boxes, [0, 2, 1, 3]), [tf.shape(boxes)[0], -1, 4])
        inside = ops.area(ops.clip(boxes, window)) > 0.
        rows, classes, scores = self._select(boxes, scores, inside, stride)
        valid = scores >= 0.
        rows, classes = tf.where(valid, rows, 0), tf.where(valid, classes, 0)
        selected = ops.clip(tf.gather(boxes, rows, batch_dims=1), window)
        if self.change_frame:
            selected = ops.change_frame(selected, window)
        return Detections(boxes=tf.where(valid[..., tf.newaxis], selected, 0.), scores=tf.where(valid, scores, 0.),
                          classes=tf.cast(classes, tf.float32), indices=rows - classes * stride,
                          count=tf.reduce_sum(tf.cast(valid, tf.int32), -1))

    def _select(self, boxes, scores, inside, stride):
        """Rows of boxes [B, rows, 4], classes and scores [B, max_total] of the detections, score -1 where there is
        nothing. Box i of class c is row c * stride + i."""
        if self.class_agnostic:
            indices, best = self._suppress(boxes, tf.reduce_max(scores, -1)[:, tf.newaxis], self.max_total, stride)
            classes = tf.gather(tf.argmax(scores, -1, tf.int32), indices, batch_dims=1)
            return self._best(indices, classes, best, inside)
        scores = tf.transpose(scores, [0, 2, 1])
        if self.soft_sigma > 0. or scores.shape[1] <= _FEW_CLASSES:
            return self._class_by_class(boxes, scores, inside, stride)
        *selected, complete = self._shortlist(boxes, scores, inside, stride)
        return tf.cond(complete, lambda: tuple(selected), lambda: self._class_by_class(boxes, scores, inside, stride))

    def _shortlist(self, boxes, scores, inside, stride):
        """As _select, from the best pairs only, for scores [B, C, A]; and whether no other pair can matter."""
        num_images, num_classes, num_boxes = tf.unstack(tf.shape(scores))
        pairs = tf.reshape(scores, [num_images, num_classes * num_boxes])
        length = tf.minimum(_SHORTLIST * self.max_total, num_classes * num_boxes)
        best, order = tf.math.top_k(pairs, length)
        classes = order // num_boxes
        rows = classes * stride + order % num_boxes
        same_class = tf.equal(classes[:, :, tf.newaxis], classes[:, tf.newaxis])
        candidates = _ordered(tf.gather(boxes, rows, batch_dims=1))
        overlaps = tf.where(same_class, ops.iou(candidates, candidates), 0.)
        kept = tf.map_fn(lambda image: self._kept(*image), (overlaps, best),
                         fn_output_signature=tf.TensorSpec([None], tf.bool))
        earlier = tf.linalg.band_part(tf.cast(tf.logical_and(same_class, kept[:, tf.newaxis]), tf.int32), -1, 0)
        kept = tf.logical_and(kept, tf.reduce_sum(earlier, -1) <= self.max_per_class)  # rank within the class
        last = best[:, -1]
        *selected, best = self._best(rows, classes, tf.where(kept, best, -1.), inside)
        complete = tf.logical_or(best[:, -1] >= 0., last <= self.score_threshold)
        return *selected, best, tf.logical_or(tf.reduce_all(complete), length == num_classes * num_boxes)

    def _kept(self, overlaps, scores):
        """Which of L candidates, best first, survive: bool [L], for overlaps [L, L]."""
        length = tf.size(scores)
        kept = tf.image.non_max_suppression_overlaps(overlaps, scores, length, self.iou_threshold,
                                                     self.score_threshold)
        return tf.scatter_nd(kept[:, tf.newaxis], tf.ones_like(kept, tf.bool), [length])

    def _class_by_class(self, boxes, scores, inside, stride):
        """As _select, one suppression per class, for scores [B, C, A]."""
        indices, best = self._suppress(boxes, scores, self.max_per_class, stride)
        classes = tf.repeat(tf.range(tf.shape(scores)[1]), self.max_per_class)[tf.newaxis]
        return self._best(indices + classes * stride, tf.broadcast_to(classes, tf.shape(indices)), best, inside)

    def _suppress(self, boxes, scores, size, stride):
        """Box indices and scores [B, C * size] of each class in turn, score -1 where there is nothing."""
        def one_class(row):
            first = row % num_classes * stride
            indices, kept_scores, count = tf.raw_ops.NonMaxSuppressionV5(
                boxes=boxes[row // num_classes, first:first + num_boxes], scores=rows[row], max_output_size=size,
                iou_threshold=self.iou_threshold, score_threshold=self.score_threshold,
                soft_nms_sigma=self.soft_sigma, pad_to_max_output_size=True)
            return indices, tf.where(tf.range(size) < count, kept_scores, -1.)
        num_images, num_classes, num_boxes = tf.unstack(tf.shape(scores))
        rows = tf.reshape(scores, [num_images * num_classes, num_boxes])
        signature = tf.TensorSpec([size], tf.int32), tf.TensorSpec([size], tf.float32)
        kept = tf.map_fn(one_class, tf.range(num_images * num_classes), fn_output_signature=signature)
        return tuple(tf.reshape(v, [num_images, num_classes * size]) for v in kept)

    def _best(self, rows, classes, scores, inside):
        """The max_total best of candidates [B, N] inside the window, the earlier of equals first."""
        scores = tf.where(tf.gather(inside, rows, batch_dims=1), scores, -1.)
        missing = [[0, 0], [0, tf.maximum(self.max_total - tf.shape(scores)[1], 0)]]
        scores, order = tf.math.top_k(tf.pad(scores, missing, constant_values=-1.), self.max_total)
        return (*(tf.gather(tf.pad(v, missing), order, batch_dims=1) for v in (rows, classes)), scores)


def _ordered(boxes):
    """The same boxes with their smaller coordinates first, as the suppression kernel takes them."""
    return tf.concat([tf.minimum(boxes[..., :2], boxes[..., 2:]), tf.maximum(boxes[..., :2], boxes[..., 2:])], -1)
