"""Non-max suppression (NMS) of a batch of images, for many classes at once.

NMS treats each class on its own, so one pass over the (class, box) pairs of all classes, best score first, gives the
same result. The detections asked for are nearly always among the best few hundred pairs. With more than _FEW_CLASSES:

1. Take the top pairs of all classes by score, _TOP_PAIRS for each detection asked for.
2. Run one greedy NMS on them, with an IoU of 0 between boxes of different classes.
3. Keep the best max_per_class of each class, and of these the best max_total inside the window.
4. If an image has fewer than max_total detections, and a pair that was not taken could be one: run NMS over all boxes,
   class by class, instead.

Both ways give the reference's detections, ties included: equal scores are ordered by class, then by box.

Inside of tracing.portable_ops it is _select_portably instead.
"""
import dataclasses
import typing

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.utils import tracing

_TOP_PAIRS = 10
_FEW_CLASSES = 4  # with so few, the top pairs cost more than they save
_PORTABLE_PAIRS = 40  # for each detection asked for


class Detections(typing.NamedTuple):
    """The selected boxes of B images, best first; zeros beyond `count`.

    boxes: float32 [B, D, 4], clipped to the window, and relative to it with change_frame.
    scores: float32 [B, D].
    classes: float32 [B, D], counting from 0.
    indices: int32 [B, D], the indices of the selected boxes.
    count: int32 [B].
    """
    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    indices: tf.Tensor
    count: tf.Tensor


@dataclasses.dataclass(frozen=True)
class NonMaxSuppression:
    """The reference's batch_non_max_suppression: call it with boxes, scores and window.

    score_threshold: drop boxes whose score is not higher. Negative scores are always dropped.
    iou_threshold: drop a box whose IoU with a better box of its class is higher.
    max_per_class: boxes kept per class, counted before those outside the window are dropped.
    max_total: D, detections per image.
    soft_sigma: above 0, multiply scores by exp(-iou**2 / (2 * soft_sigma)) instead of dropping boxes (Soft-NMS, Bodla
        et al. 2017).
    class_agnostic: give each box its best class only and suppress boxes of all classes together. max_per_class is
        unused.
    change_frame: return boxes relative to the window.
    """
    score_threshold: float = 0.
    iou_threshold: float = .6
    max_per_class: int = 100
    max_total: int = 100
    soft_sigma: float = 0.
    class_agnostic: bool = False
    change_frame: bool = True

    def __call__(self, boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor) -> Detections:
        """Select the detections of a batch.

        Args:
            boxes: float32 [B, A, 4], shared by the classes, or [B, A, C, 4], one for each class (not with
                class_agnostic).
            scores: float32 [B, A, C].
            window: float32 [B, 4] in the unit of the boxes. Selected boxes are clipped to it; those without any area
                inside are dropped.
        """
        if tracing.ops_are_portable():
            return self._select_portably(boxes, scores, window)
        class_offset = 0
        if boxes.shape.rank == 4:
            class_offset = tf.shape(boxes)[1]
            boxes = tf.reshape(tf.transpose(boxes, [0, 2, 1, 3]), [tf.shape(boxes)[0], -1, 4])
        has_area = ops.area(ops.clip(boxes, window)) > 0.
        flat_indices, classes, scores = self._select(boxes, scores, has_area, class_offset)
        valid = scores >= 0.
        flat_indices, classes = tf.where(valid, flat_indices, 0), tf.where(valid, classes, 0)
        selected = ops.clip(tf.gather(boxes, flat_indices, batch_dims=1), window)
        if self.change_frame:
            selected = ops.change_frame(selected, window)
        return Detections(boxes=tf.where(valid[..., tf.newaxis], selected, 0.), scores=tf.where(valid, scores, 0.),
                          classes=tf.cast(classes, tf.float32), indices=flat_indices - classes * class_offset,
                          count=tf.reduce_sum(tf.cast(valid, tf.int32), -1))

    # Below, boxes are float32 [B, F, 4]. Box i of class c is number c * class_offset + i of them: class_offset is A if
    # each class has boxes of its own (F = C * A), 0 if classes share them (F = A). has_area is bool [B, F]. Selections
    # are triples of flat indices, classes (int32) and scores (float32, -1 where there is no detection), each [B, D].

    def _select(self, boxes, scores, has_area, class_offset):
        """Select D boxes of each image, for scores [B, A, C]."""
        if self.class_agnostic:
            indices, best = self._nms_per_class(boxes, tf.reduce_max(scores, -1)[:, tf.newaxis], self.max_total,
                                                class_offset)
            classes = tf.gather(tf.argmax(scores, -1, tf.int32), indices, batch_dims=1)
            return self._take_best(indices, classes, best, has_area)
        scores = tf.transpose(scores, [0, 2, 1])
        if self.soft_sigma > 0. or scores.shape[1] <= _FEW_CLASSES:
            return self._select_class_by_class(boxes, scores, has_area, class_offset)
        *selection, complete = self._select_from_top_pairs(boxes, scores, has_area, class_offset)
        return tf.cond(complete, lambda: tuple(selection),
                       lambda: self._select_class_by_class(boxes, scores, has_area, class_offset))

    def _select_class_by_class(self, boxes, scores, has_area, class_offset):
        """Select from all boxes, for scores [B, C, A]."""
        indices, best = self._nms_per_class(boxes, scores, self.max_per_class, class_offset)
        classes = tf.repeat(tf.range(tf.shape(scores)[1]), self.max_per_class)[tf.newaxis]
        return self._take_best(indices + classes * class_offset, tf.broadcast_to(classes, tf.shape(indices)), best,
                               has_area)

    def _select_from_top_pairs(self, boxes, scores, has_area, class_offset):
        """Select from the top pairs, for scores [B, C, A]. Also return whether no other pair can be a detection (bool).
        """
        num_images, num_classes, num_boxes = tf.unstack(tf.shape(scores))
        length = tf.minimum(_TOP_PAIRS * self.max_total, num_classes * num_boxes)
        top_scores, pairs = tf.math.top_k(tf.reshape(scores, [num_images, num_classes * num_boxes]), length)
        classes = pairs // num_boxes
        flat_indices = classes * class_offset + pairs % num_boxes
        same_class = tf.equal(classes[:, :, tf.newaxis], classes[:, tf.newaxis])
        top_boxes = _ordered(tf.gather(boxes, flat_indices, batch_dims=1))
        overlaps = tf.where(same_class, ops.iou(top_boxes, top_boxes), 0.)
        kept = tf.map_fn(lambda image: self._greedy_nms(*image), (overlaps, top_scores),
                         fn_output_signature=tf.TensorSpec([None], tf.bool))
        kept_before = tf.linalg.band_part(tf.cast(tf.logical_and(same_class, kept[:, tf.newaxis]), tf.int32), -1, 0)
        rank_in_class = tf.reduce_sum(kept_before, -1)
        kept = tf.logical_and(kept, rank_in_class <= self.max_per_class)
        selection = self._take_best(flat_indices, classes, tf.where(kept, top_scores, -1.), has_area)
        full = selection[-1][:, -1] >= 0.
        complete = tf.logical_or(full, top_scores[:, -1] <= self.score_threshold)
        return *selection, tf.logical_or(tf.reduce_all(complete), length == num_classes * num_boxes)

    def _greedy_nms(self, overlaps, scores):
        """Return which of L boxes NMS keeps, bool [L], for their IoU [L, L] and falling scores [L]."""
        length = tf.size(scores)
        kept = tf.image.non_max_suppression_overlaps(overlaps, scores, length, self.iou_threshold,
                                                     self.score_threshold)
        return tf.scatter_nd(kept[:, tf.newaxis], tf.ones_like(kept, tf.bool), [length])

    def _nms_per_class(self, boxes, scores, size, class_offset):
        """Run NMS for each class, for scores [B, C, A].

        Returns:
            Box indices and scores [B, C * size], `size` for each class in turn, score -1 where there are fewer.
        """
        def one_class(number):
            first = number % num_classes * class_offset
            own = boxes[number // num_classes]
            own = own if shared else own[first:first + num_boxes]
            indices, kept_scores, count = self._kernel(own, class_scores[number], size)
            return indices, tf.where(tf.range(size) < count, kept_scores, -1.)
        shared = isinstance(class_offset, int)  # 0: all classes have the same boxes
        num_images, num_classes, num_boxes = tf.unstack(tf.shape(scores))
        class_scores = tf.reshape(scores, [num_images * num_classes, num_boxes])
        signature = tf.TensorSpec([size], tf.int32), tf.TensorSpec([size], tf.float32)
        kept = tf.map_fn(one_class, tf.range(num_images * num_classes), fn_output_signature=signature)
        return tuple(tf.reshape(v, [num_images, num_classes * size]) for v in kept)

    def _kernel(self, boxes, scores, size):
        """Return indices [size], scores [size] and count of what NMS keeps of boxes [A, 4] with scores [A]."""
        options = {'boxes': boxes, 'scores': scores, 'max_output_size': size, 'iou_threshold': self.iou_threshold,
                   'score_threshold': self.score_threshold, 'pad_to_max_output_size': True}
        if tracing.shapes_are_fixed() and not self.soft_sigma:  # XLA lacks version 5
            indices, count = tf.raw_ops.NonMaxSuppressionV4(**options)
            return indices, tf.gather(scores, indices), count
        return tf.raw_ops.NonMaxSuppressionV5(**options, soft_nms_sigma=self.soft_sigma)

    def _take_best(self, flat_indices, classes, scores, has_area):
        """Select the max_total best of N boxes inside the window, the first of equals first. All inputs but has_area
        are [B, N]."""
        scores = tf.where(tf.gather(has_area, flat_indices, batch_dims=1), scores, -1.)
        missing = [[0, 0], [0, tf.maximum(self.max_total - tf.shape(scores)[1], 0)]]
        scores, order = tf.math.top_k(tf.pad(scores, missing, constant_values=-1.), self.max_total)
        return (*(tf.gather(tf.pad(v, missing), order, batch_dims=1) for v in (flat_indices, classes)), scores)


    def _select_portably(self, boxes, scores, window):
        """Select with one operation that ONNX's converter knows, from the top pairs alone: more than in
        _select_from_top_pairs, as there is no other way if they are too few. `indices` of the result are zeros.

        Each pair is a box of its own whose scores of the other classes are below all thresholds.
        """
        assert self.soft_sigma <= 0. and not self.class_agnostic
        most = _PORTABLE_PAIRS * self.max_total
        if boxes.shape.rank == 3:  # the top pairs are among the boxes with the best scores
            _, rows = tf.math.top_k(tf.reduce_max(scores, -1), tf.minimum(most, tf.shape(scores)[1]))
            boxes, scores = (tf.gather(values, rows, batch_dims=1) for values in (boxes, scores))
        num_images, num_boxes, num_classes = tf.unstack(tf.shape(scores))
        size = tf.minimum(most, num_boxes * num_classes)
        top_scores, pairs = tf.math.top_k(tf.reshape(scores, [num_images, num_boxes * num_classes]), size)
        classes = pairs % num_classes
        rows = pairs // num_classes
        if boxes.shape.rank == 4:
            rows, boxes = pairs, tf.reshape(boxes, [num_images, num_boxes * num_classes, 4])
        own = tf.equal(classes[..., tf.newaxis], tf.range(num_classes))
        found = tf.image.combined_non_max_suppression(
            tf.gather(boxes, rows, batch_dims=1)[:, :, tf.newaxis], tf.where(own, top_scores[..., tf.newaxis], -1.),
            self.max_per_class, 2 * self.max_total, self.iou_threshold, max(self.score_threshold, 0.), clip_boxes=False)
        inside = ops.clip(found.nmsed_boxes, window)
        valid = tf.sequence_mask(found.valid_detections, 2 * self.max_total)
        best, order = tf.math.top_k(tf.where(valid & (ops.area(inside) > 0.), found.nmsed_scores, -1.), self.max_total)
        selected = tf.gather(inside, order, batch_dims=1)
        selected = ops.change_frame(selected, window) if self.change_frame else selected
        valid = best >= 0.
        return Detections(boxes=tf.where(valid[..., tf.newaxis], selected, 0.), scores=tf.where(valid, best, 0.),
                          classes=tf.where(valid, tf.gather(found.nmsed_classes, order, batch_dims=1), 0.),
                          indices=tf.zeros_like(order), count=tf.reduce_sum(tf.cast(valid, tf.int32), -1))


def _ordered(boxes):
    """Swap coordinates of boxes [..., 4] so that ymin <= ymax and xmin <= xmax, as TensorFlow's NMS kernel does."""
    return tf.concat([tf.minimum(boxes[..., :2], boxes[..., 2:]), tf.maximum(boxes[..., :2], boxes[..., 2:])], -1)
