"""COCO metrics of boxes and masks (pycocotools), with the reference's names and conventions."""
import contextlib
import io

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

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


class Annotations:
    """Groundtruth and detections of pictures as pycocotools wants them.

    Args:
        categories: {class id (from 1): name}; objects of other classes do not count.
    """

    def __init__(self, categories):
        self._categories = dict(categories)
        self._pictures, self._truth, self._found = [], [], []

    def add_picture(self, size, truth_classes, truth, classes, found):
        """truth, found: columns {field of an annotation: n values}; size: (height, width), or None if masks have it."""
        picture = {'id': len(self._pictures) + 1}
        self._pictures.append(picture | dict(zip(('height', 'width'), size or ())))
        self._append(self._truth, truth_classes, truth)
        self._append(self._found, classes, found)

    def compare(self, kind, **parameters):
        """The COCOeval after its accumulate; kind: 'bbox', 'segm' or 'keypoints'; parameters: of COCOeval.params."""
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
            evaluation = COCOeval(self._coco(self._truth), self._coco(self._found), kind)
            vars(evaluation.params).update(parameters)
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _append(self, annotations, classes, columns):
        """One annotation for each object of the newest picture that has a class we know."""
        columns = {name: np.asarray(values).tolist() for name, values in columns.items()}
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


class Coco:
    """The twelve COCO numbers of boxes or masks.

    As in the reference: crowd boxes are ignored regions, `difficult` plays no part, the area of an object is that of
    its box, of masks too, and classes outside `categories` do not count. A number without any object behind it is -1.
    Pictures whose records have no masks do not count for masks.

    Args:
        categories: {class id (from 1): name}.
        prefix: of the names.
        masks: compare masks instead of boxes.
        per_category: also DetectionBoxes_PerformanceByCategory/mAP/NAME.
        all_per_category: also each of the twelve, as `DetectionBoxes_Precision/mAP ByCategory/NAME`.
    """

    def __init__(self, categories, prefix='DetectionBoxes', masks=False, per_category=False, all_per_category=False):
        self._categories, self._annotations = dict(categories), Annotations(categories)
        self._prefix, self._masks = prefix, masks
        self._per_category, self._all_per_category = per_category or all_per_category, all_per_category

    def add(self, truth, found):
        """One picture (training/metrics)."""
        if self._masks and not np.all(truth.get('instance_mask_weights', 1)):
            return  # its record has boxes only: what is found there is neither right nor wrong
        there, detected = corners_and_areas(truth['boxes']), corners_and_areas(found['boxes'])
        if self._masks:
            there['segmentation'], detected['segmentation'] = encode(truth['masks']), encode(found['masks'])
            detected['area'] = [float(rle.area(mask)) for mask in detected['segmentation']]
        self._annotations.add_picture(
            np.shape(truth['masks'])[1:] if self._masks else None,
            truth['classes'], there | {'iscrowd': truth['is_crowd']},
            found['classes'], detected | {'score': found['scores']})

    def evaluate(self):
        """[(name, value)], the names as in TensorBoard."""
        evaluation = self._annotations.compare('segm' if self._masks else 'bbox')
        metrics = [(name, mean(evaluation, *which)) for name, which in _SUMMARY.items()]
        for index, category in enumerate(evaluation.params.catIds if self._per_category else ()):
            name = self._categories[category]
            values = [(metric, mean(evaluation, *which, index)) for metric, which in _SUMMARY.items()]
            metrics.append((f'PerformanceByCategory/mAP/{name}', values[0][1]))
            if self._all_per_category:
                metrics += [(f'{metric} ByCategory/{name}', value) for metric, value in values]
        return [(f'{self._prefix}_{name}', value) for name, value in metrics]


def corners_and_areas(boxes):
    """Columns of annotations for boxes [n, 4]: bbox (x, y, width, height) and area."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    sizes = boxes[:, 2:] - boxes[:, :2]
    return {'bbox': np.concatenate([boxes[:, 1::-1], sizes[:, ::-1]], 1).astype(np.float64).tolist(),
            'area': (sizes[:, 0] * sizes[:, 1]).astype(np.float64).tolist()}


def encode(masks):
    """Run lengths of masks [n, height, width], a list of n."""
    masks = np.asfortranarray(np.moveaxis(np.asarray(masks), 0, -1), np.uint8)
    return rle.encode(masks) if masks.shape[-1] else []


def mean(evaluation, table, threshold, area, most, category=slice(None)):
    """Mean over the part of a table of COCOeval that says something, -1 if none does.

    precision is [thresholds, recalls, categories, areas, max detections]; recall has no second axis.
    """
    values = evaluation.eval[table]
    if threshold is not None:
        values = values[np.isclose(evaluation.params.iouThrs, threshold)]
    values = values[..., category, area, most]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.
