"""Average precision (AP) as in the Pascal VOC devkit and its variants (NumPy), with the reference's names."""
import unicodedata

import numpy as np
from faster_coco_eval import mask as rle

from object_detection.evaluation.metrics.coco import Arrays, encode


class PascalVoc:
    """Mean average precision at one IoU: the area under each class's precision-recall curve.

    As in the reference, a detection is matched to the object of its class that it overlaps most. Of several detections
    of one object, the one with the highest score is right and the others are wrong. Detections of a difficult object do
    not count. Crowds are objects like any other. AP is 0 for a class that was never detected, and NaN for one without
    objects, which the mean leaves out.

    Args:
        categories: {class id (from 1): name}; other classes do not count.
        prefix: first part of all names.
        masks: IoU of masks instead of boxes. Detections whose box matches an object that has no mask do not count.
        weighted: one precision-recall curve of all classes together instead of the mean.
        group_of: as in Open Images V2, a box around a group is no object, but detections of which at least the share
            iou_threshold lies in it do not count. Nothing is difficult then.
        recall: (lower, upper) bound of the part of the curve that counts.
        iou_threshold: least IoU of a detection with the object that it is matched to.
    """

    def __init__(self, categories: dict[int, str], prefix: str = 'PascalBoxes', masks: bool = False,
                 weighted: bool = False, group_of: bool = False, recall: tuple[float, float] = (0., 1.),
                 iou_threshold: float = .5):
        self._categories, self._prefix, self._recall = dict(categories), prefix, recall
        self._masks, self._weighted, self._group_of = masks, weighted, group_of
        self._threshold = iou_threshold
        self._num_objects = dict.fromkeys(self._categories, 0)
        # (classes, scores, right) of the detections that count, per image; the first image is empty
        self._detections: list[tuple[np.ndarray, ...]] = [(np.zeros(0, int), np.zeros(0), np.zeros(0, bool))]

    def add(self, groundtruth: Arrays, detections: Arrays) -> None:
        """Add one image; see evaluation.metrics for the arrays."""
        groundtruth = {name: np.asarray(values) for name, values in groundtruth.items()}
        detections = {name: np.asarray(values) for name, values in detections.items()}
        boxes = detections['boxes'].reshape(-1, 4)
        order = np.argsort(-detections['scores'], kind='stable')
        order = order[(boxes[order, :2] < boxes[order, 2:]).all(-1)]
        detections = {name: values[order] for name, values in detections.items()}
        nothing: np.ndarray = np.zeros(len(groundtruth['classes']), bool)
        group = groundtruth['group_of'].astype(bool) if self._group_of else nothing
        difficult = nothing if self._group_of else groundtruth['difficult'].astype(bool)
        has_mask = np.any(groundtruth['masks'], (1, 2)) if self._masks else nothing
        for class_id in groundtruth['classes'][~difficult & ~group & (has_mask | (not self._masks))].tolist():
            if class_id in self._num_objects:
                self._num_objects[class_id] += 1
        self._detections.append(self._judge(groundtruth, detections, difficult, group, has_mask))

    def extend(self, other: 'PascalVoc') -> None:
        """Add the images of another one after those of this one."""
        self._detections += other._detections
        for class_id, count in other._num_objects.items():
            self._num_objects[class_id] += count

    def evaluate(self) -> list[tuple[str, float]]:
        """Return (name, value) of the mean, then of each class; the names are TensorBoard tags."""
        classes, scores, right = map(np.concatenate, zip(*self._detections))
        precisions = {}
        for category, count in self._num_objects.items():
            own = classes == category
            precisions[category] = average_precision(scores[own], right[own], count, self._recall)
        values = [value for value in precisions.values() if not np.isnan(value)]
        overall = float(np.mean(values)) if values else float('nan')
        if self._weighted:
            own = np.isin(classes, [category for category, count in self._num_objects.items() if count])
            overall = average_precision(scores[own], right[own], sum(self._num_objects.values()), self._recall)
        bounds = '@[{:.1f},{:.1f}]Recall'.format(*self._recall) if self._recall != (0., 1.) else ''
        return [(f'{self._prefix}_Precision/mAP@{self._threshold}IOU{bounds}', overall)] + [
            (f'{self._prefix}_PerformanceByCategory/AP@{self._threshold}IOU/{unicodedata.normalize("NFKD", name)}',
             precisions[category]) for category, name in sorted(self._categories.items())]

    def _judge(self, groundtruth: Arrays, detections: Arrays, difficult: np.ndarray, group: np.ndarray,
               has_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (classes, scores, right) of the detections of one image that count, best first.

        Args:
            detections: best first.
            difficult, group, has_mask: bool [n], of the groundtruth.
        """
        same_class = detections['classes'][:, None] == groundtruth['classes']
        right: np.ndarray = np.zeros(len(detections['classes']), bool)
        left_out = right.copy()
        intersections, own, others = _areas(detections['boxes'].reshape(-1, 4), groundtruth['boxes'].reshape(-1, 4))
        iou = intersections / np.maximum(own + others - intersections, 1e-12)
        if self._masks and has_mask.any() and len(own):
            iou[:, has_mask] = rle.iou(encode(detections['masks']), encode(groundtruth['masks'][has_mask]),
                                       [0] * np.count_nonzero(has_mask))
        iou = np.where(same_class, iou, -1.)
        # First the objects that count, then those without a mask, whose detections do not count.
        for objects, count in ((has_mask if self._masks else ~group, True), (~has_mask & self._masks, False)):
            hits, ignored = _match(iou[:, objects], difficult[objects], ~right & ~left_out, self._threshold)
            right |= hits & count
            left_out |= ignored | (hits & (not count))
        inside = np.where(same_class, intersections / own, 0.)[:, group]
        left_out |= ~right & (inside >= self._threshold).any(1)
        return detections['classes'][~left_out], detections['scores'][~left_out], right[~left_out]


def _match(iou: np.ndarray, difficult: np.ndarray, free: np.ndarray, threshold: float
           ) -> tuple[np.ndarray, np.ndarray]:
    """Match detections to objects.

    Args:
        iou: float64 [n, objects], detections best first.
        difficult: bool [objects].
        free: bool [n], the detections that may be matched.
        threshold: least IoU of a match.
    Returns:
        hits: bool [n], the first detection of each object.
        ignored: bool [n], the detections of difficult objects.
    """
    hits: np.ndarray = np.zeros(len(iou), bool)
    ignored = hits.copy()
    if iou.size:
        nearest = iou.argmax(1)
        near = free & (iou.max(1) >= threshold)
        ignored = near & difficult[nearest]
        candidates = np.flatnonzero(near & ~ignored)
        hits[candidates[np.unique(nearest[candidates], return_index=True)[1]]] = True
    return hits, ignored


def _areas(boxes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the areas of the intersections [n, m], of `boxes` [n, 4] as [n, 1], and of `others` [m, 4] as [m]."""
    boxes, others = boxes.astype(np.float64)[:, None], others.astype(np.float64)
    sides = np.minimum(boxes[..., 2:], others[:, 2:]) - np.maximum(boxes[..., :2], others[:, :2])
    own, theirs = ((b[..., 2:] - b[..., :2]).prod(-1) for b in (boxes, others))
    return np.maximum(sides, 0.).prod(-1), own, theirs


def average_precision(scores: np.ndarray, right: np.ndarray, count: int,
                      bounds: tuple[float, float] = (0., 1.)) -> float:
    """Return the area under the precision-recall curve; NaN without objects.

    Args:
        scores: float [n], of all detections of a class.
        right: bool [n], whether each is right.
        count: number of the class's objects.
        bounds: lowest and highest recall that counts.
    """
    if not count:
        return float('nan')
    right = right[np.argsort(-scores, kind='stable')]
    hits = np.cumsum(right)
    precision, recall = hits / np.arange(1, len(right) + 1), hits / count
    within = (recall >= bounds[0]) & (recall <= bounds[1])
    precision = np.maximum.accumulate(precision[within][::-1])[::-1]  # the best at this recall or above
    return float(np.sum(np.diff(recall[within], prepend=0.) * precision))
