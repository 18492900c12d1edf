"""Evaluators of Pascal VOC's and Open Images' metrics under the reference's names. Imports no TensorFlow.

    evaluator = object_detection_evaluation.PascalDetectionEvaluator(categories)
    evaluator.add_single_ground_truth_image_info('a', {'groundtruth_boxes': ..., 'groundtruth_classes': ...})
    evaluator.add_single_detected_image_info('a', {'detection_boxes': ..., 'detection_scores': ...,
                                                   'detection_classes': ...})
    evaluator.evaluate()        # {'PascalBoxes_Precision/mAP@0.5IOU': ..., ...}

They collect images for evaluation.metrics.PascalVoc. metrics.coco_evaluation has those of COCO.
"""
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.core.standard_fields import DetectionResultFields, InputDataFields

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

    def add_eval_dict(self, eval_dict: Mapping[str, Any]) -> Any:
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

        return tf.numpy_function(add, list(tensors.values()), [])

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
