"""Evaluators of COCO's metrics under the reference's names. Imports no TensorFlow.

    evaluator = coco_evaluation.CocoDetectionEvaluator(categories)
    evaluator.add_single_ground_truth_image_info('a', {'groundtruth_boxes': ..., 'groundtruth_classes': ...})
    evaluator.add_single_detected_image_info('a', {'detection_boxes': ..., 'detection_scores': ...,
                                                   'detection_classes': ...})
    evaluator.evaluate()        # {'DetectionBoxes_Precision/mAP': ..., ...}

Arrays are called as in core.standard_fields. Boxes are (ymin, xmin, ymax, xmax) in pixels, keypoints (y, x), class ids
start at 1. An image that was added before is ignored with a line in the log.
"""
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.core.standard_fields import DetectionResultFields, InputDataFields
from object_detection.metrics import coco_tools
from object_detection.utils import gfile, json_utils, np_mask_ops
from object_detection.utils.object_detection_evaluation import Category, DetectionEvaluator, ImageId

Arrays = Mapping[str, np.ndarray]

# As in the reference, add_eval_dict reads no areas of boxes and masks.
_DETECTIONS = (DetectionResultFields.detection_scores, DetectionResultFields.detection_classes)
_GROUNDTRUTH = (InputDataFields.groundtruth_classes, InputDataFields.groundtruth_is_crowd)
_BOXES = (*_GROUNDTRUTH, InputDataFields.groundtruth_boxes, *_DETECTIONS, DetectionResultFields.detection_boxes)


class CocoDetectionEvaluator(DetectionEvaluator):
    """The twelve COCO metrics of boxes.

    Args:
        categories: [{'id': 1, 'name': 'dog'}, ...]; objects of other classes do not count.
        include_metrics_per_category: also return the mAP of each class.
        all_metrics_per_category: also return all metrics of each class.
        skip_predictions_for_unlabeled_class: detections of classes that groundtruth_labeled_classes does not name do
            not count.
        super_categories: {name: names of classes}, whose means are returned too.
    """

    _fields: tuple[str, ...] = (*_BOXES, InputDataFields.groundtruth_labeled_classes)

    def __init__(self, categories: Sequence[Category], include_metrics_per_category: bool = False,
                 all_metrics_per_category: bool = False, skip_predictions_for_unlabeled_class: bool = False,
                 super_categories: Mapping[str, Collection[str]] | None = None) -> None:
        super().__init__(categories)
        self._category_id_set = {category['id'] for category in categories}
        self._options = (include_metrics_per_category, all_metrics_per_category, super_categories)
        self._skip_unlabeled = skip_predictions_for_unlabeled_class
        self._annotation_id = 1
        self._image_ids: dict[ImageId, bool] = {}  # whether the detections are there
        self._labeled_classes: dict[ImageId, np.ndarray] = {}
        self._groundtruth_list: list[coco_tools.Annotation] = []
        self._detection_boxes_list: list[coco_tools.Annotation] = []

    def clear(self) -> None:
        """Forget all images."""
        self._image_ids.clear()
        self._labeled_classes.clear()
        self._groundtruth_list, self._detection_boxes_list = [], []

    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Arrays) -> None:
        """Add the groundtruth of an image.

        Args:
            groundtruth_dict: groundtruth_boxes float [N, 4], groundtruth_classes int [N], and optionally
                groundtruth_is_crowd int [N], groundtruth_area float [N], groundtruth_keypoints float [N, K, 2],
                groundtruth_keypoint_visibilities int [N, K], groundtruth_labeled_classes [number of classes + 1], 1 for
                each class that was looked for in this image.
        """
        if _is_known(image_id, self._image_ids, 'ground truth'):
            return
        boxes = groundtruth_dict[InputDataFields.groundtruth_boxes]
        labeled = groundtruth_dict.get(InputDataFields.groundtruth_labeled_classes)
        if labeled is not None:
            if labeled.shape != (len(self._category_id_set) + 1,):
                raise ValueError(f'Invalid shape for groundtruth labeled classes: {labeled.shape}, '
                                 f'num_categories_including_background: {len(self._category_id_set) + 1}')
            self._labeled_classes[image_id] = np.flatnonzero(labeled == 1)
        self._groundtruth_list += coco_tools.ExportSingleImageGroundtruthToCoco(
            image_id, self._annotation_id, self._category_id_set, boxes,
            groundtruth_dict[InputDataFields.groundtruth_classes],
            groundtruth_keypoints=_optional(groundtruth_dict, InputDataFields.groundtruth_keypoints),
            groundtruth_keypoint_visibilities=_optional(groundtruth_dict,
                                                        InputDataFields.groundtruth_keypoint_visibilities),
            groundtruth_is_crowd=_optional(groundtruth_dict, InputDataFields.groundtruth_is_crowd),
            groundtruth_area=_optional(groundtruth_dict, InputDataFields.groundtruth_area))
        self._annotation_id += len(boxes)
        self._image_ids[image_id] = False

    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Arrays) -> None:
        """Add the detections of an image.

        Args:
            detections_dict: detection_boxes float [N, 4], detection_scores float [N], detection_classes int [N], and
                optionally detection_keypoints float [N, K, 2].
        Raises:
            ValueError: there is no groundtruth of this image.
        """
        if image_id not in self._image_ids:
            raise ValueError(f'Missing groundtruth for image id: {image_id!r}')
        if _is_known(image_id, {known for known, added in self._image_ids.items() if added}, 'detection'):
            return
        classes = detections_dict[DetectionResultFields.detection_classes]
        kept = np.arange(len(classes))
        if self._skip_unlabeled and image_id in self._labeled_classes:
            kept = np.flatnonzero(np.isin(classes, self._labeled_classes[image_id]))
        keypoints = _optional(detections_dict, DetectionResultFields.detection_keypoints)
        self._detection_boxes_list += coco_tools.ExportSingleImageDetectionBoxesToCoco(
            image_id, self._category_id_set, detections_dict[DetectionResultFields.detection_boxes][kept],
            detections_dict[DetectionResultFields.detection_scores][kept], classes[kept],
            None if keypoints is None else keypoints[kept])
        self._image_ids[image_id] = True

    def dump_detections_to_json_file(self, json_output_path: str | os.PathLike | None) -> None:
        """Write the detections as COCO JSON; None writes nothing."""
        _dump(self._detection_boxes_list, json_output_path)

    def evaluate(self) -> dict[str, float]:
        """Return DetectionBoxes_Precision/mAP and the others, -1 where there is no object; print COCO's table."""
        groundtruth = coco_tools.COCOWrapper(self._dataset())
        detections = groundtruth.LoadAnnotations(self._detection_boxes_list)
        return _evaluate('DetectionBoxes', coco_tools.COCOEvalWrapper(groundtruth, detections), self._options)

    def _dataset(self) -> dict[str, Any]:
        return {'annotations': self._groundtruth_list, 'images': [{'id': image_id} for image_id in self._image_ids],
                'categories': self._categories}


class CocoKeypointEvaluator(CocoDetectionEvaluator):
    """The ten COCO metrics of the keypoints of one class.

    Args:
        category_id: id of the class.
        category_keypoints: its keypoints, [{'id': index in the arrays, 'name': name}, ...].
        class_text: name of the class.
        oks_sigmas: {name of a keypoint: standard deviation relative to the object's size}; 0.05 for all without it.
    """

    _fields = (*_BOXES, InputDataFields.groundtruth_area, InputDataFields.groundtruth_keypoints,
               InputDataFields.groundtruth_keypoint_visibilities, DetectionResultFields.detection_keypoints)

    def __init__(self, category_id: int, category_keypoints: Sequence[Category], class_text: str,
                 oks_sigmas: Mapping[str, float] | None = None) -> None:
        super().__init__([{'id': category_id, 'name': class_text}])
        self._category_id = category_id
        names = {keypoint['id']: keypoint['name'] for keypoint in category_keypoints}
        self._keypoint_ids = sorted(names)
        if not oks_sigmas:
            logging.warning('No default keypoint OKS sigmas provided. Will use 0.05')
        self._oks_sigmas = np.array([oks_sigmas[names[i]] if oks_sigmas else .05 for i in self._keypoint_ids])

    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Arrays) -> None:
        """Like CocoDetectionEvaluator's, with groundtruth_keypoints."""
        super().add_single_ground_truth_image_info(image_id, self._of_class(
            groundtruth_dict, InputDataFields.groundtruth_classes, (
                InputDataFields.groundtruth_boxes, InputDataFields.groundtruth_is_crowd,
                InputDataFields.groundtruth_area, InputDataFields.groundtruth_keypoints,
                InputDataFields.groundtruth_keypoint_visibilities)))

    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Arrays) -> None:
        """Like CocoDetectionEvaluator's, with detection_keypoints."""
        super().add_single_detected_image_info(image_id, self._of_class(
            detections_dict, DetectionResultFields.detection_classes, (
                DetectionResultFields.detection_boxes, DetectionResultFields.detection_scores,
                DetectionResultFields.detection_keypoints)))

    def evaluate(self) -> dict[str, float]:
        """Return 'Keypoints_Precision/mAP ByCategory/NAME' and the others; print COCO's table."""
        groundtruth = coco_tools.COCOWrapper(self._dataset())
        detections = groundtruth.LoadAnnotations(self._detection_boxes_list)
        return _evaluate('Keypoints', coco_tools.COCOEvalWrapper(
            groundtruth, detections, iou_type='keypoints', oks_sigmas=self._oks_sigmas))

    def _of_class(self, arrays: Arrays, classes: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the arrays of the objects of this class, with its keypoints only; missing and empty ones are left out.
        """
        own = np.flatnonzero(arrays[classes] == self._category_id)
        of_class = {name: arrays[name][own] for name in (classes, *names)
                    if name in arrays and len(arrays[name]) == len(arrays[classes])}
        return {name: values[:, self._keypoint_ids] if 'keypoint' in name else values
                for name, values in of_class.items()}


class CocoMaskEvaluator(DetectionEvaluator):
    """The twelve COCO metrics of masks.

    Args:
        categories: [{'id': 1, 'name': 'dog'}, ...]; objects of other classes do not count.
        include_metrics_per_category: also return the mAP of each class.
        all_metrics_per_category: also return all metrics of each class.
        super_categories: {name: names of classes}, whose means are returned too.
    """

    _fields = (*_BOXES, InputDataFields.groundtruth_instance_masks, DetectionResultFields.detection_masks)

    def __init__(self, categories: Sequence[Category], include_metrics_per_category: bool = False,
                 all_metrics_per_category: bool = False,
                 super_categories: Mapping[str, Collection[str]] | None = None) -> None:
        super().__init__(categories)
        self._category_id_set = {category['id'] for category in categories}
        self._options = (include_metrics_per_category, all_metrics_per_category, super_categories)
        self._annotation_id = 1
        self._image_id_to_mask_shape_map: dict[ImageId, tuple[int, ...]] = {}
        self._image_ids_with_detections: set[ImageId] = set()
        self._groundtruth_list: list[coco_tools.Annotation] = []
        self._detection_masks_list: list[coco_tools.Annotation] = []

    def clear(self) -> None:
        """Forget all images."""
        self._image_id_to_mask_shape_map.clear()
        self._image_ids_with_detections.clear()
        self._groundtruth_list, self._detection_masks_list = [], []

    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Arrays) -> None:
        """Add the groundtruth of an image.

        Args:
            groundtruth_dict: groundtruth_boxes float [N, 4], groundtruth_classes int [N], groundtruth_instance_masks
                [N, H, W], nonzero where the object is, and optionally groundtruth_is_crowd int [N] and groundtruth_area
                float [N].
        """
        if _is_known(image_id, self._image_id_to_mask_shape_map, 'ground truth'):
            return
        masks = groundtruth_dict[InputDataFields.groundtruth_instance_masks]
        boxes = groundtruth_dict[InputDataFields.groundtruth_boxes]
        self._groundtruth_list += coco_tools.ExportSingleImageGroundtruthToCoco(
            image_id, self._annotation_id, self._category_id_set, boxes,
            groundtruth_dict[InputDataFields.groundtruth_classes], groundtruth_masks=convert_masks_to_binary(masks),
            groundtruth_is_crowd=_optional(groundtruth_dict, InputDataFields.groundtruth_is_crowd),
            groundtruth_area=_optional(groundtruth_dict, InputDataFields.groundtruth_area))
        self._annotation_id += len(boxes)
        self._image_id_to_mask_shape_map[image_id] = masks.shape

    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Arrays) -> None:
        """Add the detections of an image.

        Args:
            detections_dict: detection_scores float [N], detection_classes int [N], detection_masks [N, H, W], nonzero
                where the object is.
        Raises:
            ValueError: there is no groundtruth of this image, or its masks are of another size.
        """
        if image_id not in self._image_id_to_mask_shape_map:
            raise ValueError(f'Missing groundtruth for image id: {image_id!r}')
        if _is_known(image_id, self._image_ids_with_detections, 'detection'):
            return
        masks = detections_dict[DetectionResultFields.detection_masks]
        _check_size(image_id, self._image_id_to_mask_shape_map[image_id], masks.shape)
        self._detection_masks_list += coco_tools.ExportSingleImageDetectionMasksToCoco(
            image_id, self._category_id_set, convert_masks_to_binary(masks),
            detections_dict[DetectionResultFields.detection_scores],
            detections_dict[DetectionResultFields.detection_classes])
        self._image_ids_with_detections.add(image_id)

    def dump_detections_to_json_file(self, json_output_path: str | os.PathLike | None) -> None:
        """Write the detections as COCO JSON; None writes nothing."""
        _dump(self._detection_masks_list, json_output_path)

    def evaluate(self) -> dict[str, float]:
        """Return DetectionMasks_Precision/mAP and the others, -1 where there is no object; print COCO's table."""
        images = [{'id': image_id, 'height': shape[1], 'width': shape[2]}
                  for image_id, shape in self._image_id_to_mask_shape_map.items()]
        groundtruth = coco_tools.COCOWrapper({'annotations': self._groundtruth_list, 'images': images,
                                              'categories': self._categories}, 'segmentation')
        detections = groundtruth.LoadAnnotations(self._detection_masks_list)
        return _evaluate('DetectionMasks', coco_tools.COCOEvalWrapper(groundtruth, detections, iou_type='segm'),
                         self._options)


class CocoPanopticSegmentationEvaluator(DetectionEvaluator):
    """Panoptic quality (Kirillov et al. 2018) of masks.

    Args:
        categories: [{'id': 1, 'name': 'dog'}, ...]; all classes of the images.
        include_metrics_per_category: also return the quality of each class.
        iou_threshold: least IoU of a detection with the object that it is matched to.
        ioa_threshold: detections of which at least this share lies in a crowd do not count.
    """

    _fields = (*_GROUNDTRUTH, InputDataFields.groundtruth_instance_masks,
               DetectionResultFields.detection_classes, DetectionResultFields.detection_masks)

    def __init__(self, categories: Sequence[Category], include_metrics_per_category: bool = False,
                 iou_threshold: float = .5, ioa_threshold: float = .5) -> None:
        super().__init__(categories)
        self._per_category = include_metrics_per_category
        self._iou_threshold, self._ioa_threshold = iou_threshold, ioa_threshold
        self._groundtruth: dict[ImageId, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}  # masks, classes, is_crowd
        self._detections: dict[ImageId, tuple[np.ndarray, np.ndarray]] = {}  # masks, classes

    def clear(self) -> None:
        """Forget all images."""
        self._groundtruth.clear()
        self._detections.clear()

    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Arrays) -> None:
        """Add the groundtruth of an image.

        Args:
            groundtruth_dict: groundtruth_classes int [N], groundtruth_instance_masks uint8 [N, H, W] of 0 and 1, and
                optionally groundtruth_is_crowd int [N].
        """
        if _is_known(image_id, self._groundtruth, 'ground truth'):
            return
        masks = groundtruth_dict[InputDataFields.groundtruth_instance_masks]
        classes = groundtruth_dict[InputDataFields.groundtruth_classes]
        is_crowd = _optional(groundtruth_dict, InputDataFields.groundtruth_is_crowd)
        is_crowd = np.zeros(len(classes), bool) if is_crowd is None else is_crowd.astype(bool)
        if not len(masks) == len(classes) == len(is_crowd):
            raise ValueError(f'image {image_id!r} has {len(masks)} masks, {len(classes)} classes, and {len(is_crowd)} '
                             'is_crowd flags.')
        self._groundtruth[image_id] = masks, classes, is_crowd

    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Arrays) -> None:
        """Add the detections of an image.

        Args:
            detections_dict: detection_classes int [N], detection_masks uint8 [N, H, W] of 0 and 1.
        Raises:
            ValueError: there is no groundtruth of this image, or its masks are of another size.
        """
        if image_id not in self._groundtruth:
            raise ValueError(f'Missing groundtruth for image id: {image_id!r}')
        masks = detections_dict[DetectionResultFields.detection_masks]
        classes = detections_dict[DetectionResultFields.detection_classes]
        _check_size(image_id, self._groundtruth[image_id][0].shape, masks.shape)
        if len(masks) != len(classes):
            raise ValueError(f'image {image_id!r} has {len(masks)} masks and {len(classes)} classes.')
        self._detections[image_id] = masks, classes

    def evaluate(self) -> dict[str, float]:
        """Return PanopticQuality@0.50IOU, SegmentationQuality, RecognitionQuality (means over the classes that occur),
        NumValidClasses, and NumTotalClasses.
        """
        # IoUs of the matched detections, number of detections that are wrong, number of objects that are missed
        found: dict[int, tuple[list[float], int, int]] = {category['id']: ([], 0, 0) for category in self._categories}
        for image_id, groundtruth in self._groundtruth.items():
            nothing = groundtruth[0][:0], groundtruth[1][:0]
            for class_id in found:
                self._count(found, class_id, groundtruth, self._detections.get(image_id, nothing))
        threshold = f'@{self._iou_threshold:.2f}IOU'
        metrics, qualities = {}, []
        for category in self._categories:
            ious, wrong, missed = found[category['id']]
            if divisor := len(ious) + .5 * wrong + .5 * missed:
                segmentation, recognition = float(np.mean(ious)) if ious else 0., len(ious) / divisor
                qualities.append((segmentation * recognition, segmentation, recognition))
                if self._per_category:
                    metrics[f'PanopticQuality{threshold}_ByCategory/{category["name"]}'] = qualities[-1][0]
        means = np.mean(qualities, 0).tolist() if qualities else [float('nan')] * 3
        metrics.update(zip((f'{name}Quality{threshold}' for name in ('Panoptic', 'Segmentation', 'Recognition')),
                           means))
        return {**metrics, 'NumValidClasses': len(qualities), 'NumTotalClasses': len(self._categories)}

    def _count(self, found: dict[int, tuple[list[float], int, int]], class_id: int,
               groundtruth: tuple[np.ndarray, np.ndarray, np.ndarray], detections: tuple[np.ndarray, np.ndarray]
               ) -> None:
        """Add the objects and detections of a class in one image to `found`."""
        masks, classes, is_crowd = groundtruth
        objects, crowds = (masks[(classes == class_id) & (is_crowd == crowd)] for crowd in (False, True))
        detected = detections[0][detections[1] == class_id]
        overlaps = np_mask_ops.iou(detected, objects)
        in_crowd = np.any(np_mask_ops.ioa(crowds, detected) >= self._ioa_threshold, 0)
        ious, wrong, missed = found[class_id]
        free = np.ones(len(objects), bool)
        for overlap, ignored in zip(overlaps, in_crowd):
            candidates = np.where(free & (overlap >= self._iou_threshold), overlap, 0.)
            if candidates.any():
                free[candidates.argmax()] = False
                ious.append(float(candidates.max()))
            elif not ignored:
                wrong += 1
        found[class_id] = ious, wrong, missed + int(free.sum())


def convert_masks_to_binary(masks: np.ndarray) -> np.ndarray:
    """Return masks as uint8, 1 where they are above 0."""
    return (masks > 0).astype(np.uint8)


def _evaluate(prefix: str, evaluation: coco_tools.COCOEvalWrapper, options: tuple[Any, ...] = ()) -> dict[str, float]:
    metrics, of_categories = evaluation.ComputeMetrics(*options)
    return {f'{prefix}_{name}': value for name, value in {**metrics, **of_categories}.items()}


def _is_known(image_id: ImageId, known: Collection[ImageId], what: str) -> bool:
    if image_id in known:
        logging.warning('Ignoring %s with image id %s since it was previously added', what, image_id)
    return image_id in known


def _check_size(image_id: ImageId, groundtruth: tuple[int, ...], detections: tuple[int, ...]) -> None:
    if groundtruth[1:] != detections[1:]:
        raise ValueError(f'image {image_id!r}: spatial shape of groundtruth masks and detection masks are '
                         f'incompatible: {groundtruth} vs {detections}')


def _optional(arrays: Arrays, name: str) -> np.ndarray | None:
    """Return an array; None if it is missing or empty."""
    values = arrays.get(name)
    return None if values is None or not len(values) else values


def _dump(annotations: list[coco_tools.Annotation], path: str | os.PathLike | None) -> None:
    if path:
        gfile.write_text(path, json_utils.Dumps(annotations, float_digits=4, indent=2))
