"""COCO annotations and metrics under the reference's names. Imports no TensorFlow.

    groundtruth = coco_tools.COCOWrapper(coco_tools.ExportGroundtruthToCOCO(ids, boxes, classes, categories))
    detections = groundtruth.LoadAnnotations(coco_tools.ExportDetectionsToCOCO(ids, boxes, scores, classes, categories))
    metrics, of_categories = coco_tools.COCOEvalWrapper(groundtruth, detections).ComputeMetrics()

Boxes are (ymin, xmin, ymax, xmax) in pixels, `categories` [{'id': 1, 'name': 'dog'}, ...]. The metrics come from
faster-coco-eval; they are those of pycocotools.
"""
import copy
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import mask as rle

from object_detection.evaluation.metrics import coco, keypoints
from object_detection.utils import gfile, json_utils

Annotation = dict[str, Any]
Category = Mapping[str, Any]
ImageId = int | str | bytes
Summary = dict[str, float]

COCO_METRIC_NAMES_AND_INDEX = tuple((name, index) for index, name in enumerate(coco.SUMMARY))
COCO_KEYPOINT_METRIC_NAMES_AND_INDEX = tuple((name, index) for index, name in enumerate(keypoints.SUMMARY))


class COCOWrapper(COCO):
    """A COCO data set from a dict instead of a file.

    Args:
        dataset: with images, annotations, and categories. Images whose ids are not integers are numbered; `dataset` of
            the wrapper then has the numbers.
        detection_type: 'bbox' or 'segmentation', what LoadAnnotations is given.
    Raises:
        ValueError: another detection_type.
    """

    def __init__(self, dataset: Mapping[str, Any], detection_type: str = 'bbox') -> None:
        if detection_type not in ('bbox', 'segmentation'):
            raise ValueError(f'Unsupported detection type: {detection_type}. Supported values are: bbox, segmentation')
        super().__init__()
        self._detection_type = detection_type
        ids = [image['id'] for image in dataset['images']]
        whole = all(isinstance(image_id, (int, np.integer)) for image_id in ids)
        self._numbers = {image_id: int(image_id) if whole else number for number, image_id in enumerate(ids, start=1)}
        self.dataset = {**dataset, 'images': [{**image, 'id': self._numbers[image['id']]}
                                              for image in dataset['images']],
                        'annotations': self._numbered(dataset['annotations'])}
        self.createIndex()

    def LoadAnnotations(self, annotations: list[Annotation]) -> COCO:
        """Return detections as a data set, for COCOEvalWrapper.

        Args:
            annotations: dicts with image_id, category_id, score, and bbox or segmentation.
        Raises:
            ValueError: they are no list, or one is of an image that is not in this data set.
        """
        if not isinstance(annotations, list):
            raise ValueError('annotations is not a list of objects')
        if lost := {annotation['image_id'] for annotation in annotations} - set(self._numbers):
            raise ValueError(f'Results do not correspond to current coco set: it has no image {lost.pop()!r}')
        results = COCO()
        results.dataset = {'images': self.dataset['images'], 'categories': copy.deepcopy(self.dataset['categories']),
                           'annotations': self._numbered(annotations)}
        for number, annotation in enumerate(results.dataset['annotations'], start=1):
            if self._detection_type == 'segmentation':
                annotation['area'] = float(rle.area(annotation['segmentation']))
                annotation['bbox'] = rle.toBbox(annotation['segmentation']).tolist()
            else:
                annotation['area'] = annotation['bbox'][2] * annotation['bbox'][3]
            annotation.update(id=number, iscrowd=0)
        results.createIndex()
        return results

    def _numbered(self, annotations: Iterable[Annotation]) -> list[Annotation]:
        return [{**annotation, 'image_id': self._numbers[annotation['image_id']]} for annotation in annotations]


class COCOEvalWrapper(COCOeval_faster):
    """COCO's metrics of boxes, masks, or keypoints.

    Args:
        groundtruth: a COCOWrapper or COCO.
        detections: from COCOWrapper.LoadAnnotations.
        agnostic_mode: all classes count as one.
        iou_type: 'bbox', 'segm', or 'keypoints'.
        oks_sigmas: float [K], standard deviations of the keypoints.
    """

    def __init__(self, groundtruth: COCO | None = None, detections: COCO | None = None, agnostic_mode: bool = False,
                 iou_type: str = 'bbox', oks_sigmas: np.ndarray | None = None) -> None:
        super().__init__(groundtruth, detections, iou_type, kpt_oks_sigmas=oks_sigmas)
        if groundtruth is not None:
            self.params.catIds = sorted(groundtruth.getCatIds())  # of keypoints too, those without objects included
        if agnostic_mode:
            self.params.useCats = 0

    def GetCategory(self, category_id: int) -> Category:
        """Return {'id', 'name'} of a class."""
        return self.cocoGt.cats[category_id]

    def GetAgnosticMode(self) -> bool:
        """Return whether all classes count as one."""
        return self.params.useCats == 0

    def GetCategoryIdList(self) -> list[int]:
        """Return the class ids."""
        return self.params.catIds

    def ComputeMetrics(self, include_metrics_per_category: bool = False, all_metrics_per_category: bool = False,
                       super_categories: Mapping[str, Collection[str]] | None = None) -> tuple[Summary, Summary]:
        """Evaluate, print COCO's table, and return the metrics.

        Args:
            include_metrics_per_category: add the mAP of each class.
            all_metrics_per_category: add all of its metrics.
            super_categories: {name: names of classes}, whose means are added.
        Returns:
            The metrics, such as 'Precision/mAP', -1 where there is no object; and those of classes, such as
            'PerformanceByCategory/mAP/dog', 'Precision/mAP ByCategory/dog', and 'PerformanceBySuperCategory/animal'.
        """
        self.evaluate()
        self.accumulate()
        self.print_function = print
        self.summarize()
        if self.params.iouType == 'keypoints':
            name = self.GetCategory(self.GetCategoryIdList()[0])['name']
            return {f'{metric} ByCategory/{name}': coco.table_mean(self, *entry)
                    for metric, entry in keypoints.SUMMARY.items()}, {}
        summary = {metric: coco.table_mean(self, *entry) for metric, entry in coco.SUMMARY.items()}
        if not include_metrics_per_category or self.GetAgnosticMode():
            return summary, {}
        values = {self.GetCategory(category_id)['name']: [coco.table_mean(self, *entry, index)
                                                          for entry in coco.SUMMARY.values()]
                  for index, category_id in enumerate(self.GetCategoryIdList())}
        return summary, _of_categories(values, all_metrics_per_category, super_categories or {})


def _of_categories(values: Mapping[str, list[float]], all_metrics: bool,
                   super_categories: Mapping[str, Collection[str]]) -> Summary:
    """Return the metrics of classes by name; `values` are those of SUMMARY, of each class."""
    metrics = {}
    for name, of_class in values.items():
        metrics[f'PerformanceByCategory/mAP/{name}'] = of_class[0]
        if all_metrics:
            metrics.update((f'{metric} ByCategory/{name}', of_class[i]) for metric, i in COCO_METRIC_NAMES_AND_INDEX)
    for name, members in super_categories.items():
        means = [sum(column) / len(members) for column in zip(*(values[member] for member in members
                                                                if member in values))]
        means = means or [0.] * len(COCO_METRIC_NAMES_AND_INDEX)
        metrics[f'PerformanceBySuperCategory/{name}'] = means[0]
        if all_metrics:
            metrics.update((f'{metric} BySuperCategory/{name}', means[i]) for metric, i in COCO_METRIC_NAMES_AND_INDEX)
    return metrics


def ExportSingleImageGroundtruthToCoco(
        image_id: ImageId, next_annotation_id: int, category_id_set: Collection[int], groundtruth_boxes: np.ndarray,
        groundtruth_classes: np.ndarray, groundtruth_keypoints: np.ndarray | None = None,
        groundtruth_keypoint_visibilities: np.ndarray | None = None, groundtruth_masks: np.ndarray | None = None,
        groundtruth_is_crowd: np.ndarray | None = None, groundtruth_area: np.ndarray | None = None
        ) -> list[Annotation]:
    """Return the objects of an image as COCO annotations.

    Args:
        next_annotation_id: id of the first one.
        category_id_set: objects of other classes are left out.
        groundtruth_boxes: float [N, 4].
        groundtruth_classes: int [N].
        groundtruth_keypoints: float [N, K, 2] (y, x).
        groundtruth_keypoint_visibilities: int [N, K]: 0 not labeled, 1 hidden, 2 visible; without it all are visible.
        groundtruth_masks: uint8 [N, H, W].
        groundtruth_is_crowd: int [N].
        groundtruth_area: float [N]; the area of the box where it is 0, and without it.
    Raises:
        ValueError: the shapes do not fit.
    """
    _check(image_id, classes=groundtruth_classes, boxes=groundtruth_boxes)
    if groundtruth_is_crowd is not None and groundtruth_is_crowd.ndim != 1:
        raise ValueError('groundtruth_is_crowd is expected to be of rank 1.')
    sizes = groundtruth_boxes[:, 2:] - groundtruth_boxes[:, :2]
    annotations = []
    for i, class_id in enumerate(groundtruth_classes.tolist()):
        if class_id not in category_id_set:
            continue
        given = 0. if groundtruth_area is None else float(groundtruth_area[i])
        annotation: Annotation = {
            'id': next_annotation_id + i, 'image_id': image_id, 'category_id': int(class_id),
            'bbox': _bbox(groundtruth_boxes[i]), 'area': given if given > 0. else float(sizes[i, 0] * sizes[i, 1]),
            'iscrowd': 0 if groundtruth_is_crowd is None else int(groundtruth_is_crowd[i])}
        if groundtruth_masks is not None:
            annotation['segmentation'] = _encode(groundtruth_masks[i])
        if groundtruth_keypoints is not None:
            visible = _visibilities(groundtruth_keypoints, groundtruth_keypoint_visibilities, i)
            annotation['keypoints'] = _keypoints(groundtruth_keypoints[i], visible)
            annotation['num_keypoints'] = sum(value > 0 for value in visible)
        annotations.append(annotation)
    return annotations


def ExportGroundtruthToCOCO(image_ids: Sequence[ImageId], groundtruth_boxes: Sequence[np.ndarray],
                            groundtruth_classes: Sequence[np.ndarray], categories: Sequence[Category],
                            output_path: str | os.PathLike | None = None) -> dict[str, Any]:
    """Return the objects of several images as a COCO data set, and write it as JSON if a path is given.

    Args:
        groundtruth_boxes: of each image, float [N, 4].
        groundtruth_classes: of each image, int [N].
    Raises:
        ValueError: the lists are not of one length, or shapes do not fit.
    """
    _check_lengths(image_ids, groundtruth_boxes, groundtruth_classes)
    known = {category['id'] for category in categories}
    annotations: list[Annotation] = []
    first = 1  # COCOeval takes id 0 for "no object"
    for image_id, boxes, classes in zip(image_ids, groundtruth_boxes, groundtruth_classes):
        annotations += ExportSingleImageGroundtruthToCoco(image_id, first, known, boxes, classes)
        first += len(classes)
    dataset = {'annotations': annotations, 'images': [{'id': image_id} for image_id in image_ids],
               'categories': categories}
    _write(dataset, output_path)
    return dataset


def ExportSingleImageDetectionBoxesToCoco(
        image_id: ImageId, category_id_set: Collection[int], detection_boxes: np.ndarray, detection_scores: np.ndarray,
        detection_classes: np.ndarray, detection_keypoints: np.ndarray | None = None,
        detection_keypoint_visibilities: np.ndarray | None = None) -> list[Annotation]:
    """Return the detections of an image as COCO annotations.

    Args:
        category_id_set: detections of other classes are left out.
        detection_boxes: float [N, 4].
        detection_scores: float [N].
        detection_classes: int [N].
        detection_keypoints: float [N, K, 2] (y, x).
        detection_keypoint_visibilities: int [N, K]; without it all are 2, visible.
    Raises:
        ValueError: the shapes do not fit.
    """
    _check(image_id, classes=detection_classes, scores=detection_scores, boxes=detection_boxes)
    annotations = []
    for i, class_id in enumerate(detection_classes.tolist()):
        if class_id in category_id_set:
            annotation = {'image_id': image_id, 'category_id': int(class_id), 'bbox': _bbox(detection_boxes[i]),
                          'score': float(detection_scores[i])}
            if detection_keypoints is not None:
                visible = _visibilities(detection_keypoints, detection_keypoint_visibilities, i)
                annotation['keypoints'] = _keypoints(detection_keypoints[i], visible)
                annotation['num_keypoints'] = len(visible)
            annotations.append(annotation)
    return annotations


def ExportSingleImageDetectionMasksToCoco(image_id: ImageId, category_id_set: Collection[int],
                                          detection_masks: np.ndarray, detection_scores: np.ndarray,
                                          detection_classes: np.ndarray) -> list[Annotation]:
    """Return the detected masks of an image, uint8 [N, H, W], as COCO annotations.

    Args:
        category_id_set: detections of other classes are left out.
        detection_scores: float [N].
        detection_classes: int [N].
    Raises:
        ValueError: the shapes do not fit.
    """
    _check(image_id, classes=detection_classes, scores=detection_scores, masks=detection_masks)
    return [{'image_id': image_id, 'category_id': int(class_id), 'segmentation': _encode(detection_masks[i]),
             'score': float(detection_scores[i])}
            for i, class_id in enumerate(detection_classes.tolist()) if class_id in category_id_set]


def ExportDetectionsToCOCO(image_ids: Sequence[ImageId], detection_boxes: Sequence[np.ndarray],
                           detection_scores: Sequence[np.ndarray], detection_classes: Sequence[np.ndarray],
                           categories: Sequence[Category], output_path: str | os.PathLike | None = None
                           ) -> list[Annotation]:
    """Return the detections of several images as COCO annotations, and write them as JSON if a path is given.

    Args:
        detection_boxes, detection_scores, detection_classes: of each image, float [N, 4], float [N], and int [N].
    Raises:
        ValueError: the lists are not of one length, or shapes do not fit.
    """
    _check_lengths(image_ids, detection_boxes, detection_scores, detection_classes)
    known = {category['id'] for category in categories}
    annotations = [annotation for of_image in zip(image_ids, detection_boxes, detection_scores, detection_classes)
                   for annotation in ExportSingleImageDetectionBoxesToCoco(of_image[0], known, *of_image[1:])]
    _write(annotations, output_path)
    return annotations


def ExportSegmentsToCOCO(image_ids: Sequence[ImageId], detection_masks: Sequence[np.ndarray],
                         detection_scores: Sequence[np.ndarray], detection_classes: Sequence[np.ndarray],
                         categories: Sequence[Category], output_path: str | os.PathLike | None = None
                         ) -> list[Annotation]:
    """Like ExportDetectionsToCOCO, of masks: uint8 [N, H, W, 1] of each image."""
    _check_lengths(image_ids, detection_masks, detection_scores, detection_classes)
    known = {category['id'] for category in categories}
    annotations: list[Annotation] = []
    for image_id, masks, scores, classes in zip(image_ids, detection_masks, detection_scores, detection_classes):
        if masks.ndim != 4:
            raise ValueError(f'All entries in masks expected to be of rank 4. Given {masks.shape}')
        annotations += ExportSingleImageDetectionMasksToCoco(image_id, known, masks[..., 0], scores, classes)
    _write(annotations, output_path)
    return annotations


def ExportKeypointsToCOCO(image_ids: Sequence[ImageId], detection_keypoints: Sequence[np.ndarray],
                          detection_scores: Sequence[np.ndarray], detection_classes: Sequence[np.ndarray],
                          categories: Sequence[Category], output_path: str | os.PathLike | None = None
                          ) -> list[Annotation]:
    """Like ExportDetectionsToCOCO, of keypoints: [N, K, 2] (x, y) in pixels of each image.

    Args:
        categories: with num_keypoints; detections of classes without it are left out.
    """
    _check_lengths(image_ids, detection_keypoints, detection_scores, detection_classes)
    known = {category['id']: category.get('num_keypoints') for category in categories}
    annotations = []
    for image_id, points, scores, classes in zip(image_ids, detection_keypoints, detection_scores, detection_classes):
        if points.ndim != 3:
            raise ValueError(f'All entries in keypoints expected to be of rank 3. Given {points.shape}')
        _check(image_id, classes=classes, scores=scores, keypoints=points)
        for i, class_id in enumerate(classes.tolist()):
            if class_id not in known:
                raise ValueError(f'class id should be in category_id_set, which has no {class_id}')
            if known[class_id] is not None:
                visible = np.insert(points[i, :known[class_id]].astype(int), 2, 1, axis=1)
                annotations.append({'image_id': image_id, 'category_id': int(class_id),
                                    'keypoints': visible.ravel().tolist(), 'score': float(scores[i])})
    _write(annotations, output_path)
    return annotations


def _check(image_id: ImageId, **arrays: np.ndarray) -> None:
    """Raise a ValueError unless the arrays are of N objects: classes and scores [N], boxes [N, 4]."""
    ranks = {'classes': 1, 'scores': 1, 'boxes': 2}
    for name, array in arrays.items():
        if ranks.get(name, array.ndim) != array.ndim:
            raise ValueError(f'{name} of image {image_id!r} are expected to be of rank {ranks[name]}, '
                             f'not {array.shape}.')
    if 'boxes' in arrays and arrays['boxes'].shape[1] != 4:
        raise ValueError(f'boxes of image {image_id!r} should have shape[1] == 4, not {arrays["boxes"].shape}.')
    if len({len(array) for array in arrays.values()}) > 1:
        shapes = ', '.join(f'{name} {array.shape}' for name, array in arrays.items())
        raise ValueError(f'image {image_id!r}: shapes should agree on the 0th dimension: {shapes}.')


def _check_lengths(*lists: Sequence[Any]) -> None:
    if len({len(values) for values in lists}) > 1:
        raise ValueError('Input lists must have the same length, '
                         f'not {", ".join(str(len(values)) for values in lists)}')


def _bbox(box: np.ndarray) -> list[float]:
    ymin, xmin, ymax, xmax = box
    return [float(xmin), float(ymin), float(xmax - xmin), float(ymax - ymin)]


def _encode(mask: np.ndarray) -> Annotation:
    """Return the run-length encoding of a mask [H, W], with text that JSON can hold."""
    encoded = coco.encode(mask[np.newaxis])[0]
    counts = encoded['counts']
    return {**encoded, 'counts': counts.decode() if isinstance(counts, bytes) else counts}


def _visibilities(points: np.ndarray, visibilities: np.ndarray | None, i: int) -> list[int]:
    return [2] * points.shape[1] if visibilities is None else np.asarray(visibilities[i]).astype(int).ravel().tolist()


def _keypoints(points: np.ndarray, visible: list[int]) -> list[float]:
    """Return (x, y, visibility) of keypoints [K, 2] (y, x), one after the other."""
    return [value for (y, x), flag in zip(points.tolist(), visible) for value in (float(x), float(y), flag)]


def _write(content: Any, path: str | os.PathLike | None) -> None:
    if path:
        gfile.write_text(path, json_utils.Dumps(content, float_digits=4, indent=2))
