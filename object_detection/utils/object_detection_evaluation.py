"""Evaluators of Pascal VOC's and Open Images' metrics under the reference's names. Imports no TensorFlow.

    evaluator = object_detection_evaluation.PascalDetectionEvaluator(categories)
    evaluator.add_single_ground_truth_image_info('a', {'groundtruth_boxes': ..., 'groundtruth_classes': ...})
    evaluator.add_single_detected_image_info('a', {'detection_boxes': ..., 'detection_scores': ...,
                                                   'detection_classes': ...})
    evaluator.evaluate()        # {'PascalBoxes_Precision/mAP@0.5IOU': ..., ...}

They collect images for evaluation.metrics.PascalVoc. metrics.coco_evaluation has those of COCO.
"""
import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from object_detection import absent
from object_detection.core.standard_fields import DetectionResultFields, InputDataFields
from object_detection.evaluation.metrics import PascalVoc

Category = Mapping[str, Any]
ImageId = int | str | bytes

# What add_eval_dict reads of each image; the evaluators of the reference look for two names of each number.
_OF_IMAGE = (InputDataFields.key, InputDataFields.num_groundtruth_boxes, 'num_groundtruth_boxes_per_image',
             DetectionResultFields.num_detections, 'num_det_boxes_per_image', InputDataFields.is_annotated,
             InputDataFields.original_image_spatial_shape)


class DetectionEvaluator(ABC):
    """Base class of evaluators: add the groundtruth of each image, then its detections, then evaluate.

    Args:
        categories: [{'id': 1, 'name': 'dog'}, ...].
    """

    _fields: tuple[str, ...] = ()  # what add_eval_dict reads of each object

    def __init__(self, categories: Sequence[Category]) -> None:
        self._categories = list(categories)

    @abstractmethod
    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Mapping[str, Any]) -> None:
        """Add the groundtruth of an image: arrays by the names of standard_fields.InputDataFields."""

    @abstractmethod
    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Mapping[str, Any]) -> None:
        """Add the detections of an image: arrays by the names of standard_fields.DetectionResultFields."""

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Return the metrics by name."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all images."""

    def add_eval_dict(self, eval_dict: Mapping[str, Any]) -> None:
        """Add images from tensors, in eager mode or in a tf.function.

        Args:
            eval_dict: groundtruth and detections by the names of standard_fields, and `key`, the image id: of one
                image, or of a batch [B, ...] with num_groundtruth_boxes and num_detections.
        """
        import tensorflow as tf
        tensors = {name: tf.convert_to_tensor(eval_dict[name]) for name in (*_OF_IMAGE, *self._fields)
                   if name in eval_dict}
        if tensors[InputDataFields.key].shape.rank == 0:
            tensors = {name: value[tf.newaxis] for name, value in tensors.items()}

        def add(*arrays: np.ndarray) -> None:
            for values in zip(*arrays):
                self._add_image(dict(zip(tensors, values)))

        tf.numpy_function(add, list(tensors.values()), [])

    def _add_image(self, image: dict[str, Any]) -> None:
        """Add one image of a batch, without the padding behind its objects."""
        if not image.get(InputDataFields.is_annotated, True):
            return
        image_id, size = image[InputDataFields.key], image.get(InputDataFields.original_image_spatial_shape)
        for add, prefix, counts in ((self.add_single_ground_truth_image_info, 'groundtruth_', _OF_IMAGE[1:3]),
                                    (self.add_single_detected_image_info, 'detection_', _OF_IMAGE[3:5])):
            count = next((int(image[name]) for name in counts if name in image), None)
            arrays = {}
            for name, values in image.items():
                if name == InputDataFields.groundtruth_labeled_classes:
                    arrays[name] = values
                elif name.startswith(prefix):
                    arrays[name] = values[:count]
                    if name.endswith('masks') and size is not None:
                        arrays[name] = arrays[name][:, :size[0], :size[1]]
            add(image_id, arrays)


class ObjectDetectionEvaluator(DetectionEvaluator):
    """Mean average precision at one IoU; see evaluation.metrics.PascalVoc.

    Args:
        categories: [{'id': 1, 'name': 'dog'}, ...]; objects of other classes do not count.
        matching_iou_threshold: least IoU of a detection with the object that it is matched to.
        recall_lower_bound, recall_upper_bound: part of the precision-recall curve that counts.
        metric_prefix: first part of all names.
        use_weighted_mean_ap: one precision-recall curve of all classes together instead of the mean.
        evaluate_masks: IoU of masks instead of boxes.
        evaluate_corlocs, evaluate_precision_recall, group_of_weight, nms_iou_threshold, nms_max_output_boxes: have to
            be the defaults.
    Raises:
        ValueError: a class id is below 1, or an option is not supported.
    """

    _fields = (InputDataFields.groundtruth_boxes, InputDataFields.groundtruth_classes,
               InputDataFields.groundtruth_difficult, InputDataFields.groundtruth_group_of,
               InputDataFields.groundtruth_instance_masks, InputDataFields.groundtruth_labeled_classes,
               DetectionResultFields.detection_boxes, DetectionResultFields.detection_scores,
               DetectionResultFields.detection_classes, DetectionResultFields.detection_masks)
    _use_groups = False

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5,
                 recall_lower_bound: float = 0., recall_upper_bound: float = 1., evaluate_corlocs: bool = False,
                 evaluate_precision_recall: bool = False, metric_prefix: str | None = None,
                 use_weighted_mean_ap: bool = False, evaluate_masks: bool = False, group_of_weight: float = 0.,
                 nms_iou_threshold: float = 1., nms_max_output_boxes: int = 10000) -> None:
        super().__init__(categories)
        if any(category['id'] < 1 for category in categories):
            raise ValueError('Classes should be 1-indexed.')
        for name, value, supported in (
                ('evaluate_corlocs', evaluate_corlocs, False), ('group_of_weight', group_of_weight, 0.),
                ('evaluate_precision_recall', evaluate_precision_recall, False),
                ('nms_iou_threshold', nms_iou_threshold, 1.), ('nms_max_output_boxes', nms_max_output_boxes, 10000)):
            if value != supported:
                raise ValueError(f'{name}={value!r} is not supported; it has to be {supported!r}.')
        self._metric_prefix = f'{metric_prefix}_' if metric_prefix else ''
        self._masks = evaluate_masks
        self._empty = PascalVoc({category['id']: _text(category['name']) for category in categories},
                                metric_prefix or '', evaluate_masks, use_weighted_mean_ap, self._use_groups,
                                (recall_lower_bound, recall_upper_bound), matching_iou_threshold)
        self.clear()

    def clear(self) -> None:
        """Forget all images."""
        self._collector = copy.deepcopy(self._empty)
        self._image_ids: set[ImageId] = set()
        self._pending: dict[ImageId, dict[str, np.ndarray]] = {}  # groundtruth of images without detections

    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Mapping[str, Any]) -> None:
        """Add the groundtruth of an image.

        Args:
            groundtruth_dict: groundtruth_boxes float [N, 4] (ymin, xmin, ymax, xmax) in pixels, groundtruth_classes
                int [N], and optionally groundtruth_difficult bool [N]; groundtruth_instance_masks [N, H, W] for masks.
        Raises:
            ValueError: the masks are missing.
        """
        if image_id in self._image_ids:
            logging.warning('Image with id %s already added.', image_id)
            return
        classes = np.asarray(groundtruth_dict[InputDataFields.groundtruth_classes])
        objects = {'boxes': groundtruth_dict[InputDataFields.groundtruth_boxes], 'classes': classes}
        for name, field in (('difficult', InputDataFields.groundtruth_difficult),
                            ('group_of', InputDataFields.groundtruth_group_of)):
            flags = np.asarray(groundtruth_dict.get(field, ()))
            objects[name] = flags.astype(bool) if len(flags) else np.zeros(len(classes), bool)
        if self._masks:
            objects['masks'] = _masks(groundtruth_dict, InputDataFields.groundtruth_instance_masks)
        self._image_ids.add(image_id)
        self._pending[image_id] = objects

    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Mapping[str, Any]) -> None:
        """Add the detections of an image; those of an image without groundtruth are wrong.

        Args:
            detections_dict: detection_boxes float [N, 4] (ymin, xmin, ymax, xmax) in pixels, detection_scores float
                [N], detection_classes int [N]; detection_masks [N, H, W] for masks.
        Raises:
            ValueError: the masks are missing.
        """
        found = {'boxes': detections_dict[DetectionResultFields.detection_boxes],
                 'classes': detections_dict[DetectionResultFields.detection_classes],
                 'scores': detections_dict[DetectionResultFields.detection_scores]}
        if self._masks:
            found['masks'] = _masks(detections_dict, DetectionResultFields.detection_masks)
        if image_id in self._image_ids and image_id not in self._pending:
            logging.warning('Detections of image with id %s already added.', image_id)
            return
        self._image_ids.add(image_id)
        self._collector.add(self._pending.pop(image_id, _nothing(found, self._masks)), found)

    def evaluate(self) -> dict[str, float]:
        """Return Precision/mAP@0.5IOU and PerformanceByCategory/AP@0.5IOU/NAME, with the prefix before each."""
        collector = copy.deepcopy(self._collector)
        for objects in self._pending.values():
            collector.add(objects, _nothing(objects, self._masks))
        return {name.removeprefix('_'): value for name, value in collector.evaluate()}


class PascalDetectionEvaluator(ObjectDetectionEvaluator):
    """Pascal VOC's mean average precision of boxes."""

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5,
                 nms_iou_threshold: float = 1., nms_max_output_boxes: int = 10000) -> None:
        super().__init__(categories, matching_iou_threshold, metric_prefix='PascalBoxes',
                         nms_iou_threshold=nms_iou_threshold, nms_max_output_boxes=nms_max_output_boxes)


class WeightedPascalDetectionEvaluator(ObjectDetectionEvaluator):
    """Average precision of the boxes of all classes together."""

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5) -> None:
        super().__init__(categories, matching_iou_threshold, metric_prefix='WeightedPascalBoxes',
                         use_weighted_mean_ap=True)


class PascalInstanceSegmentationEvaluator(ObjectDetectionEvaluator):
    """Pascal VOC's mean average precision of masks."""

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5) -> None:
        super().__init__(categories, matching_iou_threshold, metric_prefix='PascalMasks', evaluate_masks=True)


class WeightedPascalInstanceSegmentationEvaluator(ObjectDetectionEvaluator):
    """Average precision of the masks of all classes together."""

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5) -> None:
        super().__init__(categories, matching_iou_threshold, metric_prefix='WeightedPascalMasks',
                         use_weighted_mean_ap=True, evaluate_masks=True)


class PrecisionAtRecallDetectionEvaluator(ObjectDetectionEvaluator):
    """Mean average precision of boxes over a part of the precision-recall curve.

    Args:
        skip_predictions_for_unlabeled_class: detections of classes that groundtruth_labeled_classes, [number of
            classes + 1], does not name do not count.
    """

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5,
                 recall_lower_bound: float = 0., recall_upper_bound: float = 1.,
                 skip_predictions_for_unlabeled_class: bool = False) -> None:
        super().__init__(categories, matching_iou_threshold, recall_lower_bound, recall_upper_bound,
                         metric_prefix='PrecisionAtRecallBoxes')
        self._num_classes = max(category['id'] for category in categories)
        self._skip_unlabeled = skip_predictions_for_unlabeled_class
        self._labeled_classes: dict[ImageId, np.ndarray] = {}

    def add_single_ground_truth_image_info(self, image_id: ImageId, groundtruth_dict: Mapping[str, Any]) -> None:
        """Like ObjectDetectionEvaluator's, with groundtruth_labeled_classes."""
        labeled = groundtruth_dict.get(InputDataFields.groundtruth_labeled_classes)
        if self._skip_unlabeled and labeled is not None:
            if labeled.shape != (self._num_classes + 1,):
                raise ValueError(f'Invalid shape for groundtruth labeled classes: {labeled.shape}, '
                                 f'num_categories_including_background: {self._num_classes + 1}')
            self._labeled_classes[image_id] = np.flatnonzero(labeled == 1)
        super().add_single_ground_truth_image_info(image_id, groundtruth_dict)

    def add_single_detected_image_info(self, image_id: ImageId, detections_dict: Mapping[str, Any]) -> None:
        """Like ObjectDetectionEvaluator's."""
        if image_id in self._labeled_classes:
            kept = np.isin(detections_dict[DetectionResultFields.detection_classes], self._labeled_classes[image_id])
            detections_dict = {name: values[kept] for name, values in detections_dict.items()
                               if name.startswith('detection_')}
        super().add_single_detected_image_info(image_id, detections_dict)


class OpenImagesDetectionEvaluator(ObjectDetectionEvaluator):
    """Open Images V2's mean average precision of boxes, which reads groundtruth_group_of, bool [N]."""

    _use_groups = True

    def __init__(self, categories: Sequence[Category], matching_iou_threshold: float = .5,
                 evaluate_masks: bool = False, evaluate_corlocs: bool = False, metric_prefix: str = 'OpenImagesV2',
                 group_of_weight: float = 0.) -> None:
        if evaluate_masks:
            raise ValueError('evaluate_masks=True is not supported with groups.')
        super().__init__(categories, matching_iou_threshold, evaluate_corlocs=evaluate_corlocs,
                         metric_prefix=metric_prefix, group_of_weight=group_of_weight)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _masks(arrays: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f'{name} are not in the dictionary.')
    return np.asarray(arrays[name]) > 0


def _nothing(arrays: Mapping[str, Any], masks: bool) -> dict[str, np.ndarray]:
    """Return groundtruth and detections of no object, with masks of the size of others."""
    nothing: dict[str, np.ndarray] = {'boxes': np.zeros([0, 4]), 'classes': np.zeros(0, int), 'scores': np.zeros(0),
                                      'difficult': np.zeros(0, bool), 'group_of': np.zeros(0, bool)}
    return {**nothing, 'masks': np.asarray(arrays['masks'])[:0]} if masks else nothing


_CHALLENGE = 'the metrics of the Open Images Challenge are not computed; OpenImagesDetectionEvaluator has those of V2'
_ABSENT = {'OpenImagesChallengeEvaluator': _CHALLENGE, 'OpenImagesDetectionChallengeEvaluator': _CHALLENGE,
           'OpenImagesInstanceSegmentationChallengeEvaluator': _CHALLENGE,
           'ObjectDetectionEvaluation': 'use ObjectDetectionEvaluator'}


def __getattr__(name: str) -> NoReturn:
    absent.explain_name(__name__, name, _ABSENT)
