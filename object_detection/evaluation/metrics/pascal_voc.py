"""Average precision as in the Pascal VOC devkit and its relatives (numpy), with the reference's names."""
import unicodedata

import numpy as np
from pycocotools import mask as rle

from object_detection.evaluation.metrics.coco import encode

_OVERLAP = .5  # that a detection needs


class PascalVoc:
    """Mean average precision at an IoU of .5, the area under the precision-recall curve, class by class.

    As in the reference: a detection belongs to the object of its class that it overlaps most; of several the best one
    is right and the others are wrong; on a difficult object they count neither way. Crowds are objects like others.
    AP is 0 for a class that was never found, NaN for one without objects, which the mean leaves out.

    Args:
        categories: {class id (from 1): name}; other classes do not count.
        prefix: of the names.
        masks: overlap of masks instead of boxes. On an object that has no mask, what its box matches does not count.
        weighted: one precision-recall curve of all classes together instead of the mean.
        group_of: as in Open Images V2: boxes around groups are no objects, but detections that lie in them, by half of
            their area, do not count. Nothing is difficult then.
        recall: (lower, upper) bound of the part of the curve that counts.
    """

    def __init__(self, categories, prefix='PascalBoxes', masks=False, weighted=False, group_of=False, recall=(0., 1.)):
        self._categories, self._prefix, self._recall = dict(categories), prefix, recall
        self._masks, self._weighted, self._group_of = masks, weighted, group_of
        self._objects = dict.fromkeys(self._categories, 0)
        # of each picture, after an empty one: (classes, scores, right) of the detections that count
        self._found = [(np.zeros(0, int), np.zeros(0), np.zeros(0, bool))]

    def add(self, truth, found):
        """One picture (training/metrics)."""
        truth = {name: np.asarray(values) for name, values in truth.items()}
        found = {name: np.asarray(values) for name, values in found.items()}
        boxes = found['boxes'].reshape(-1, 4)
        order = np.argsort(-found['scores'], kind='stable')
        order = order[(boxes[order, :2] < boxes[order, 2:]).all(-1)]
        found = {name: values[order] for name, values in found.items()}
        nothing = np.zeros(len(truth['classes']), bool)
        group = truth['group_of'].astype(bool) if self._group_of else nothing
        difficult = nothing if self._group_of else truth['difficult'].astype(bool)
        has_mask = truth['masks'].any((1, 2)) if self._masks else nothing
        for name in truth['classes'][~difficult & ~group & (has_mask | (not self._masks))].tolist():
            if name in self._objects:
                self._objects[name] += 1
        self._found.append(self._judged(truth, found, difficult, group, has_mask))

    def evaluate(self):
        """[(name, value)], the names as in TensorBoard: the mean, then each class."""
        classes, scores, right = map(np.concatenate, zip(*self._found))
        precisions = {}
        for category, count in self._objects.items():
            own = classes == category
            precisions[category] = average_precision(scores[own], right[own], count, self._recall)
        values = [value for value in precisions.values() if not np.isnan(value)]
        overall = float(np.mean(values)) if values else float('nan')
        if self._weighted:
            own = np.isin(classes, [category for category, count in self._objects.items() if count])
            overall = average_precision(scores[own], right[own], sum(self._objects.values()), self._recall)
        bounds = '@[{:.1f},{:.1f}]Recall'.format(*self._recall) if self._recall != (0., 1.) else ''
        return [(f'{self._prefix}_Precision/mAP@{_OVERLAP}IOU{bounds}', overall)] + [
            (f'{self._prefix}_PerformanceByCategory/AP@{_OVERLAP}IOU/{unicodedata.normalize("NFKD", name)}',
             precisions[category]) for category, name in sorted(self._categories.items())]

    def _judged(self, truth, found, difficult, group, has_mask):
        """(classes, scores, right) of the detections of one picture, the best first, that count."""
        same = found['classes'][:, None] == truth['classes']
        right, left_out = np.zeros((2, len(found['classes'])), bool)
        boxes = found['boxes'].reshape(-1, 4), truth['boxes'].reshape(-1, 4)
        shared, own, others = _areas(*boxes)
        overlap = shared / np.maximum(own + others - shared, 1e-12)
        if self._masks and has_mask.any() and len(own):
            overlap[:, has_mask] = rle.iou(encode(found['masks']), encode(truth['masks'][has_mask]),
                                           [0] * np.count_nonzero(has_mask))
        overlap = np.where(same, overlap, -1.)
        for objects, count in ((has_mask if self._masks else ~group, True), (~has_mask & self._masks, False)):
            hits, ignored = _match(overlap[:, objects], difficult[objects], ~right & ~left_out)
            right |= hits & count
            left_out |= ignored | (hits & (not count))
        inside = np.where(same, shared / own, 0.)[:, group]
        left_out |= ~right & (inside >= _OVERLAP).any(1)
        return tuple(values[~left_out] for values in (found['classes'], found['scores'], right))


def _match(overlap, difficult, free):
    """Which detections (rows, the best first) are the first on their object, and which are on a difficult one.

    overlap: [n, objects]; difficult: bool [objects]; free: bool [n], those that may be matched.
    """
    hits, ignored = np.zeros((2, len(overlap)), bool)
    if overlap.size:
        nearest = overlap.argmax(1)
        near = free & (overlap.max(1) >= _OVERLAP)
        ignored = near & difficult[nearest]
        candidates = np.flatnonzero(near & ~ignored)
        hits[candidates[np.unique(nearest[candidates], return_index=True)[1]]] = True
    return hits, ignored


def _areas(boxes, others):
    """Areas of the intersections [n, m], of the boxes [n, 1] and of the others [m]."""
    boxes, others = boxes.astype(np.float64)[:, None], others.astype(np.float64)
    sides = np.minimum(boxes[..., 2:], others[:, 2:]) - np.maximum(boxes[..., :2], others[:, :2])
    own, theirs = ((b[..., 2:] - b[..., :2]).prod(-1) for b in (boxes, others))
    return np.maximum(sides, 0.).prod(-1), own, theirs


def average_precision(scores, right, count, bounds=(0., 1.)):
    """Area under the precision-recall curve; NaN without objects.

    Args:
        scores, right: [n], of all detections of a class. count: of its objects.
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
