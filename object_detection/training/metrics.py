"""COCO metrics of boxes and masks (pycocotools), with the reference's names and conventions. Imports no TensorFlow."""
import contextlib
import io

import numpy as np
from pycocotools import mask as rle
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
COCO_MASKS = 'coco_mask_metrics'


class CocoBoxes:
    """Collects pictures, then computes the twelve COCO numbers.

    As in the reference: crowd boxes are ignored regions, `difficult` plays no part, the area of an object is that of
    its box, and boxes of classes outside `categories` do not count. A number without any object behind it is -1.

    Args:
        categories: {class id (from 1): name}.
        per_category: also DetectionBoxes_PerformanceByCategory/mAP/NAME.
        all_per_category: also each of the twelve, as `DetectionBoxes_Precision/mAP ByCategory/NAME`.
    """

    _KIND, _PREFIX = 'bbox', 'DetectionBoxes_'

    def __init__(self, categories, per_category=False, all_per_category=False):
        self._categories = dict(categories)
        self._per_category, self._all_per_category = per_category or all_per_category, all_per_category
        self._pictures, self._truth, self._found = [], [], []

    def add(self, truth_boxes, truth_classes, truth_crowd, boxes, classes, scores):
        """One picture: boxes float32 [n, 4] (ymin, xmin, ymax, xmax; pixels), class ids from 1, crowd flags, scores."""
        self._pictures.append({'id': len(self._pictures) + 1})
        self._add(self._truth, truth_classes, _corners_and_areas(truth_boxes), iscrowd=truth_crowd)
        self._add(self._found, classes, _corners_and_areas(boxes), score=scores)

    def evaluate(self):
        """[(name, value)], the names with `DetectionBoxes_` (or `DetectionMasks_`) in front as in TensorBoard."""
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
            evaluation = COCOeval(self._coco(self._truth), self._coco(self._found), self._KIND)
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
        return [(self._PREFIX + name, value) for name, value in metrics]

    def _add(self, annotations, classes, columns, **more):
        """Append one annotation for each object of the newest picture that has a class we know."""
        columns = columns | {name: np.asarray(values).tolist() for name, values in more.items()}
        for category, *values in zip(map(int, classes), *columns.values()):
            if category in self._categories:  # an id of 0 would mean "no match" to pycocotools
                annotations.append({'id': len(annotations) + 1, 'image_id': len(self._pictures),
                                    'category_id': category, 'iscrowd': 0, **dict(zip(columns, values))})

    def _coco(self, annotations):
        coco = COCO()
        coco.dataset = {'images': self._pictures, 'annotations': annotations,
                        'categories': [{'id': i, 'name': name} for i, name in self._categories.items()]}
        coco.createIndex()
        return coco


class CocoMasks(CocoBoxes):
    """The same twelve numbers for instance masks. The area of an object is that of its box, too."""

    _KIND, _PREFIX = 'segm', 'DetectionMasks_'

    def add(self, truth_boxes, truth_classes, truth_crowd, truth_masks, classes, scores, masks):
        """One picture: as for boxes, and masks bool [n, height, width] of the picture's size."""
        height, width = np.shape(truth_masks)[1:]
        self._pictures.append({'id': len(self._pictures) + 1, 'height': height, 'width': width})
        self._add(self._truth, truth_classes, _corners_and_areas(truth_boxes) | _encoded(truth_masks),
                  iscrowd=truth_crowd)
        found = _encoded(masks)
        self._add(self._found, classes, found | {'area': [float(rle.area(mask)) for mask in found['segmentation']]},
                  score=scores)


KINDS = {'coco_detection_metrics': CocoBoxes, COCO_MASKS: CocoMasks}  # what eval_config.metrics_set may name


def check_metrics_set(metrics_set):
    """UserError for metrics that eval_config.metrics_set names and this engine does not compute."""
    unknown = [name for name in metrics_set if name not in KINDS]
    if unknown:
        raise UserError(f'eval_config.metrics_set: {", ".join(unknown)} is not supported; use {" or ".join(KINDS)}')


def _corners_and_areas(boxes):
    """Columns of annotations for boxes [n, 4]: bbox (x, y, width, height) and area."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    sizes = boxes[:, 2:] - boxes[:, :2]
    return {'bbox': np.concatenate([boxes[:, 1::-1], sizes[:, ::-1]], 1).astype(np.float64).tolist(),
            'area': (sizes[:, 0] * sizes[:, 1]).astype(np.float64).tolist()}


def _encoded(masks):
    """The column of annotations for masks [n, height, width]: run lengths."""
    masks = np.asfortranarray(np.moveaxis(np.asarray(masks), 0, -1), np.uint8)
    return {'segmentation': rle.encode(masks) if masks.shape[-1] else []}


def _mean(tables, thresholds, table, threshold, area, most, category=slice(None)):
    """precision is [thresholds, recalls, categories, areas, max detections]; recall has no second axis."""
    values = tables[table]
    if threshold is not None:
        values = values[np.isclose(thresholds, threshold)]
    values = values[..., category, area, most]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.
