"""COCO metrics of boxes and masks (faster-coco-eval), with the reference's names and conventions."""
from collections.abc import Mapping
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import mask as rle

# name: (table of COCOeval, IoU threshold or None for the mean over .5 to .95, index of the area range, index of the
# maximum number of detections)
SUMMARY = {
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

Arrays = dict[str, np.ndarray]


class Annotations:
    """Groundtruth and detections of all images, as COCOeval reads them.

    Args:
        categories: {class id (from 1): name}; objects of other classes do not count.
    """

    def __init__(self, categories: dict[int, str]):
        self._categories = dict(categories)
        self._images: list[dict[str, int]] = []
        self._groundtruth: list[dict[str, Any]] = []
        self._detections: list[dict[str, Any]] = []

    def add_image(self, groundtruth: Mapping[str, Any], detections: Mapping[str, Any],
                  size: tuple[int, int] = (0, 0)) -> None:
        """Add one image.

        Args:
            groundtruth, detections: {annotation field: n values}, with category_id; detections with score.
            size: (height, width), which only masks need.
        """
        self._images.append({'id': len(self._images) + 1, 'height': size[0], 'width': size[1]})
        scores = np.asarray(detections['score'], np.float64)
        scores[np.isnan(scores)] = -np.inf  # COCOeval accepts no NaN
        self._append(self._groundtruth, groundtruth)
        self._append(self._detections, {**detections, 'score': scores})

    def extend(self, other: 'Annotations') -> None:
        """Add the images of another one after those of this one."""
        images = len(self._images)
        self._images += [{**image, 'id': images + image['id']} for image in other._images]
        for own, later in (self._groundtruth, other._groundtruth), (self._detections, other._detections):
            own += [{**annotation, 'id': len(own) + i, 'image_id': images + annotation['image_id']}
                    for i, annotation in enumerate(later, 1)]

    def compare(self, kind: str, sigmas: np.ndarray | None = None) -> COCOeval_faster:
        """Run COCOeval on the classes that have groundtruth; the others are in no mean.

        Its tables and their copies take 400 kB for each class: 10,000 would take 4 GB.

        Args:
            kind: 'bbox', 'segm' or 'keypoints'.
            sigmas: float64 [K], of keypoints.
        Returns:
            The COCOeval with its tables.
        """
        evaluation = COCOeval_faster(self._coco(self._groundtruth), self._coco(self._detections), kind,
                                     kpt_oks_sigmas=sigmas)
        present = {annotation['category_id'] for annotation in self._groundtruth}
        evaluation.params.catIds = [number for number in evaluation.params.catIds if number in present] or \
            evaluation.params.catIds[:1]
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation

    def _append(self, annotations: list[dict[str, Any]], columns: Mapping[str, Any]) -> None:
        """Append an annotation for each object of the newest image whose class is known."""
        for values in zip(*(np.asarray(column).tolist() for column in columns.values())):
            annotation = {'id': len(annotations) + 1, 'image_id': len(self._images), 'iscrowd': 0,
                          **dict(zip(columns, values))}
            if annotation['category_id'] in self._categories:
                annotations.append(annotation)  # ids start at 1: COCOeval reads 0 as "no match"

    def _coco(self, annotations: list[dict[str, Any]]) -> COCO:
        coco = COCO()
        coco.dataset = {'images': self._images, 'annotations': annotations,
                        'categories': [{'id': i, 'name': name} for i, name in self._categories.items()]}
        coco.createIndex()
        return coco


class Coco:
    """The twelve COCO metrics of boxes or masks.

    As in the reference, crowd boxes are regions to ignore, `difficult` plays no part, and the area of an object is that
    of its box, for masks too. A metric without any groundtruth object is -1. For masks, images whose records have no
    masks do not count.

    Args:
        categories: {class id (from 1): name}; other classes do not count.
        prefix: first part of all names.
        masks: compare masks instead of boxes.
        per_category: add DetectionBoxes_PerformanceByCategory/mAP/NAME.
        all_per_category: also add all twelve metrics of each class, as DetectionBoxes_Precision/mAP ByCategory/NAME.
    """

    def __init__(self, categories: dict[int, str], prefix: str = 'DetectionBoxes', masks: bool = False,
                 per_category: bool = False, all_per_category: bool = False):
        self._categories, self._annotations = dict(categories), Annotations(categories)
        self._prefix, self._masks = prefix, masks
        self._per_category, self._all_per_category = per_category or all_per_category, all_per_category

    def add(self, groundtruth: Arrays, detections: Arrays) -> None:
        """Add one image; see evaluation.metrics for the arrays."""
        if self._masks and not np.all(groundtruth.get('instance_mask_weights', 1)):
            return  # the record has boxes only, so detected masks are neither right nor wrong
        objects = {'category_id': groundtruth['classes'], **boxes_and_areas(groundtruth['boxes']),
                   'iscrowd': groundtruth['is_crowd']}
        found = {'category_id': detections['classes'], **boxes_and_areas(detections['boxes']),
                 'score': detections['scores']}
        size = (0, 0)
        if self._masks:
            size = groundtruth['masks'].shape[1:]
            objects['segmentation'], found['segmentation'] = encode(groundtruth['masks']), encode(detections['masks'])
            found['area'] = [float(rle.area(mask)) for mask in found['segmentation']]
        self._annotations.add_image(objects, found, size)

    def extend(self, other: 'Coco') -> None:
        """Add the images of another one after those of this one."""
        self._annotations.extend(other._annotations)

    def evaluate(self) -> list[tuple[str, float]]:
        """Return (name, value) of each metric; the names are TensorBoard tags."""
        evaluation = self._annotations.compare('segm' if self._masks else 'bbox')
        metrics = [(name, table_mean(evaluation, *entry)) for name, entry in SUMMARY.items()]
        indices = {category: index for index, category in enumerate(evaluation.params.catIds)}
        for category, name in sorted(self._categories.items()) if self._per_category else ():
            values = [(metric, table_mean(evaluation, *entry, indices[category]) if category in indices else -1.)
                      for metric, entry in SUMMARY.items()]
            metrics.append((f'PerformanceByCategory/mAP/{name}', values[0][1]))
            if self._all_per_category:
                metrics += [(f'{metric} ByCategory/{name}', value) for metric, value in values]
        return [(f'{self._prefix}_{name}', value) for name, value in metrics]


def boxes_and_areas(boxes: np.ndarray) -> dict[str, Any]:
    """Return the annotation fields of boxes.

    Args:
        boxes: float32 [n, 4] (ymin, xmin, ymax, xmax), pixels.
    Returns:
        bbox: n lists (xmin, ymin, width, height).
        area: n numbers.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    sizes = boxes[:, 2:] - boxes[:, :2]
    return {'bbox': np.concatenate([boxes[:, 1::-1], sizes[:, ::-1]], 1).astype(np.float64).tolist(),
            'area': (sizes[:, 0] * sizes[:, 1]).astype(np.float64).tolist()}


def encode(masks: np.ndarray) -> list[dict[str, Any]]:
    """Return the run-length encodings of masks, bool [n, height, width]."""
    masks = np.asfortranarray(np.moveaxis(np.asarray(masks), 0, -1), np.uint8)
    return rle.encode(masks) if masks.shape[-1] else []


def table_mean(evaluation: COCOeval_faster, table: str, iou_threshold: float | None, area: int, max_detections: int,
               category: int | slice = slice(None)) -> float:
    """Return the mean of the defined entries (above -1) of a COCOeval table, or -1 if there are none.

    Args:
        table: 'precision' [IoU thresholds, recalls, categories, areas, maximum numbers of detections], or 'recall',
            the same without the second axis.
        iou_threshold: one of the thresholds; None for all of them.
        area, max_detections, category: indices.
    """
    values = evaluation.eval[table]
    if iou_threshold is not None:
        values = values[np.isclose(evaluation.params.iouThrs, iou_threshold)]
    values = values[..., category, area, max_detections]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.
