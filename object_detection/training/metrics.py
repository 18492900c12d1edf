"""COCO box metrics (pycocotools), with the reference's names and conventions. Imports no TensorFlow."""
import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from utils.errors import UserError

# name: which table of COCOeval, IoU threshold (None: mean over .5 to .95), index of area range, index of max detections
_SUMMARY = {
    'Precision/mAP': ('precision', None, 0, 2),
    'Precision/mAP@.50IOU': ('precision', .5, 0, 2),
    'Precision/mAP@.75IOU': ('precision', .75, 0, 2),
    'Precision/mAP (small)': ('precision', None, 1, 2),
    'Precision/mAP (medium)': ('precision', None, 2, 2),
    'Precision/mAP (large)': ('precision', None, 3, 2),
    'Recall/AR@1': ('recall', None, 0, 0),
    'Recall/AR@10': ('recall', None, 0, 1),
    'Recall/AR@100': ('recall', None, 0, 2),
    'Recall/AR@100 (small)': ('recall', None, 1, 2),
    'Recall/AR@100 (medium)': ('recall', None, 2, 2),
    'Recall/AR@100 (large)': ('recall', None, 3, 2),
}
COCO_BOXES = 'coco_detection_metrics'


class CocoBoxes:
    """Collects pictures, then computes the twelve COCO numbers.

    As in the reference: crowd boxes are ignored regions, `difficult` plays no part, the area of an object is that of
    its box, and boxes of classes outside `categories` do not count. A number without any object behind it is -1.

    Args:
        categories: {class id (from 1): name}.
        per_category: also DetectionBoxes_PerformanceByCategory/mAP/NAME.
        all_per_category: also each of the twelve, as `DetectionBoxes_Precision/mAP ByCategory/NAME`.
    """

    def __init__(self, categories, per_category=False, all_per_category=False):
        self._categories = dict(categories)
        self._per_category, self._all_per_category = per_category or all_per_category, all_per_category
        self._pictures, self._truth, self._found = 0, [], []

    def add(self, truth_boxes, truth_classes, truth_crowd, boxes, classes, scores):
        """One picture: boxes float32 [n, 4] (ymin, xmin, ymax, xmax; pixels), class ids from 1, crowd flags, scores."""
        self._pictures += 1
        self._truth += self._annotations(truth_boxes, truth_classes, len(self._truth), 'iscrowd', truth_crowd)
        self._found += self._annotations(boxes, classes, len(self._found), 'score', scores)

    def evaluate(self):
        """[(name, value)], the names with `DetectionBoxes_` in front as in TensorBoard."""
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
            evaluation = COCOeval(self._coco(self._truth), self._coco(self._found), 'bbox')
            evaluation.evaluate()
            evaluation.accumulate()
        thresholds = evaluation.params.iouThrs
        metrics = [(name, _mean(evaluation.eval, thresholds, *which)) for name, which in _SUMMARY.items()]
        for index, category in enumerate(evaluation.params.catIds if self._per_category else ()):
            name = self._categories[category]
            values = [(metric, _mean(evaluation.eval, thresholds, *which, index)) for metric, which in _SUMMARY.items()]
            metrics.append((f'PerformanceByCategory/mAP/{name}', values[0][1]))
            if self._all_per_category:
                metrics += [(f'{metric} ByCategory/{name}', value) for metric, value in values]
        return [(f'DetectionBoxes_{name}', value) for name, value in metrics]

    def _annotations(self, boxes, classes, count, extra_name, extra):
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        sizes = boxes[:, 2:] - boxes[:, :2]
        corners_and_sizes = np.concatenate([boxes[:, 1::-1], sizes[:, ::-1]], 1).astype(np.float64).tolist()
        areas = (sizes[:, 0] * sizes[:, 1]).astype(np.float64).tolist()
        columns = zip(map(int, classes), corners_and_sizes, areas, np.asarray(extra).tolist())
        found = [{'image_id': self._pictures, 'category_id': category, 'bbox': box, 'area': area, 'iscrowd': 0,
                  extra_name: value} for category, box, area, value in columns if category in self._categories]
        for number, annotation in enumerate(found, count + 1):  # an id of 0 would mean "no match" to pycocotools
            annotation['id'] = number
        return found

    def _coco(self, annotations):
        coco = COCO()
        coco.dataset = {'images': [{'id': i + 1} for i in range(self._pictures)], 'annotations': annotations,
                        'categories': [{'id': i, 'name': name} for i, name in self._categories.items()]}
        coco.createIndex()
        return coco


def check_metrics_set(metrics_set):
    """UserError for metrics that eval_config.metrics_set names and this engine does not compute."""
    unknown = [name for name in metrics_set if name != COCO_BOXES]
    if unknown:
        raise UserError(f'eval_config.metrics_set: {", ".join(unknown)} is not supported; use "{COCO_BOXES}"')


def _mean(tables, thresholds, table, threshold, area, most, category=slice(None)):
    """precision is [thresholds, recalls, categories, areas, max detections]; recall has no second axis."""
    values = tables[table]
    if threshold is not None:
        values = values[np.isclose(thresholds, threshold)]
    values = values[..., category, area, most]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.
