"""What a detector is: four calls, tensors in, dict of tensors out.

    inputs, true_image_shapes = detector.preprocess(images)
    predictions = detector.predict(inputs, true_image_shapes)
    detections = detector.postprocess(predictions, true_image_shapes)
    losses = detector.loss(predictions, true_image_shapes, groundtruth)

The keys of all dicts are those of the TF2 Object Detection API. Boxes are (ymin, xmin, ymax, xmax). An image that was
resized lies in the top left corner of its input, of which it may fill only a part; the rest is padding. Boxes are
"normalized to the image" if (0, 0, 1, 1) is the image without that padding, "normalized to the input" if it is all of
the input. Shapes are written with B images, N groundtruth boxes, A anchors, P proposals and D detections.
"""
import abc
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection.boxes import nms
from object_detection.boxes.anchors import AnchorGenerator
from object_detection.layers import core
from object_detection.models.resizers import Resizer
from object_detection.utils import tracing

Tensors = dict[str, tf.Tensor]
Predictions = dict[str, Any]  # tensors, and lists of one tensor per feature map

_PER_BOX = ('groundtruth_boxes', 'groundtruth_classes', 'groundtruth_weights', 'groundtruth_keypoints',
            'groundtruth_keypoint_visibilities', 'groundtruth_instance_masks', 'groundtruth_instance_mask_weights')


class Detector(tf.Module, abc.ABC):
    """Base class of SSD, FasterRCNN and CenterNet. The attribute names of sub-modules are the keys of a checkpoint.

    Attributes:
        num_classes: number of classes, background not counted.
        resizer: models.resizers.Resizer, from an image of any size to one that `normalize` takes.
    """

    _feature_extractor: Any  # set by subclasses
    _DETECTION_ALIASES: tuple[str, ...] = ()  # further names of fine_tune_checkpoint_type "detection"

    def __init__(self, num_classes: int, resizer: Resizer):
        super().__init__()
        self.num_classes, self.resizer = num_classes, resizer

    def preprocess(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Resize, pad and normalize images.

        Args:
            images: float32 [B, H, W, 3], RGB, 0..255.
        Returns:
            inputs: float32 [B, h, w, 3], what `predict` takes.
            true_image_shapes: int32 [B, 3], (height, width, 3) of the image in each input.
        """
        images, true_image_shapes = self.resizer.batch(images)
        return self.normalize(images, true_image_shapes), true_image_shapes

    def normalize(self, images: tf.Tensor, true_image_shapes: tf.Tensor) -> tf.Tensor:
        """Bring resized and padded images into the range that the backbone was trained with, padding included.

        Args:
            images: float32 [B, h, w, 3], RGB, 0..255.
            true_image_shapes: int32 [B, 3].
        Returns:
            float32 [B, h, w, 3].
        """
        del true_image_shapes  # for subclasses
        return self._feature_extractor.normalize(images)

    @property
    def anchor_generator(self) -> AnchorGenerator | None:
        """What makes the anchors that groundtruth boxes are matched with; None for a model without."""
        return None

    def matched_anchors(self, groundtruth: Tensors, image_size: tuple[int, int]) -> tuple[np.ndarray, tf.Tensor] | None:
        """Return the anchors, float32 [A, 4], normalized to the input, and which box each is matched with in training.

        Args:
            groundtruth: as in `loss`.
            image_size: (height, width) of the inputs; `predict` was called with inputs of this size before.
        Returns:
            The second is int32 [B, A]: indices of groundtruth boxes, negative without one. None without anchors.
        """
        del groundtruth, image_size
        return None

    @abc.abstractmethod
    def predict(self, inputs: tf.Tensor, true_image_shapes: tf.Tensor, training: bool = False,
                groundtruth: Tensors | None = None) -> Predictions:
        """Run the network.

        Args:
            inputs: float32 [B, h, w, 3], normalized.
            true_image_shapes: int32 [B, 3].
            training: BatchNorm and dropout as in training; Faster R-CNN samples its proposals.
            groundtruth: as `loss` takes it, for detectors that sample with it in training.
        Returns:
            Raw outputs, which each detector documents.
        """

    @abc.abstractmethod
    def postprocess(self, predictions: Predictions, true_image_shapes: tf.Tensor) -> Tensors:
        """Turn predictions into detections, best first.

        Args:
            predictions: from `predict`.
            true_image_shapes: int32 [B, 3].
        Returns:
            detection_boxes: float32 [B, D, 4], normalized to the image.
            detection_scores: float32 [B, D].
            detection_classes: float32 [B, D], from 0, background not counted.
            num_detections: float32 [B]; the rows beyond it are padding.
            detection_multiclass_scores: float32 [B, D, C], scores of all classes; C may count the background.
            and further tensors, which each detector documents.
        """

    @abc.abstractmethod
    def loss(self, predictions: Predictions, true_image_shapes: tf.Tensor, groundtruth: Tensors) -> Tensors:
        """Compute the losses of a batch, without regularization. `with_total_loss` adds them up.

        Args:
            predictions: from `predict`.
            true_image_shapes: int32 [B, 3].
            groundtruth: dict of
                groundtruth_boxes: float32 [B, N, 4], normalized to the input.
                groundtruth_classes: float32 [B, N, num_classes], one-hot.
                groundtruth_weights: float32 [B, N], 0 for padding.
                num_groundtruth_boxes: int32 [B]; the rows beyond it are padding.
                For masks also groundtruth_instance_masks: float32 [B, N, h, w], 0 or 1, of the input; and optionally
                groundtruth_instance_mask_weights: float32 [B, N], 0 for objects whose mask is unknown.
                For keypoints also groundtruth_keypoints: float32 [B, N, K, 2], (y, x) normalized to the input, NaN
                where not labeled; and optionally groundtruth_keypoint_visibilities: bool [B, N, K].
        Returns:
            {'Loss/...': float32 scalar}. On several devices, the mean over them is the loss of the whole batch.
        """

    def with_total_loss(self, losses: Tensors, add_regularization_loss: bool) -> Tensors:
        """Add Loss/regularization_loss, if asked for, and Loss/total_loss, the sum of all.

        Args:
            losses: {'Loss/...': float32 [...]}, from `loss`, all of one shape: scalars, or [B] where each image has
                losses of its own.
        """
        regularization = self.regularization_losses() if add_regularization_loss else []
        if regularization:
            losses = {**losses, 'Loss/regularization_loss': tf.add_n(regularization)}
        return {**losses, 'Loss/total_loss': functools.reduce(tf.add, losses.values())}

    def regularization_losses(self) -> list[tf.Tensor]:
        """Return a list of scalars, one for each kind of regularizer."""
        return core.regularization_losses(self)

    def restore_map(self, fine_tune_checkpoint_type: str) -> dict[str, tf.Module | tf.train.Checkpoint]:
        """Return {name in the checkpoint: object to restore from there}.

        Args:
            fine_tune_checkpoint_type: classification (the backbone, from a classifier), detection (the feature
                extractor, from a detector) or full (everything, from a detector of the same kind).
        Raises:
            KeyError: the detector has no such type, which config/checks refuses.
        """
        backbone = self._feature_extractor.classification_backbone
        objects = {'classification': {'feature_extractor': backbone}} if backbone is not None else {}
        objects |= {'detection': {'model': tf.train.Checkpoint(**self._feature_extractors())}, 'full': {'model': self}}
        objects |= dict.fromkeys(self._DETECTION_ALIASES, objects['detection'])
        return objects[fine_tune_checkpoint_type]

    def _feature_extractors(self) -> dict[str, tf.Module]:
        """Return {attribute name: feature extractor}."""
        return {'_feature_extractor': self._feature_extractor}


def trim_padding(groundtruth: Tensors) -> Tensors:
    """Cut the groundtruth down to the longest list of boxes in the batch, but at least one row.

    Args:
        groundtruth: as Detector.loss takes it, N rows per image.
    Returns:
        Its tensors [B, N, ...] as [B, n, ...], 1 <= n <= N; num_groundtruth_boxes is left out. n is N inside
        tracing.fixed_shapes.
    """
    if tracing.shapes_are_fixed():
        return {name: groundtruth[name] for name in _PER_BOX if name in groundtruth}
    count = tf.maximum(tf.reduce_max(groundtruth['num_groundtruth_boxes']), 1)
    return {name: groundtruth[name][:, :count] for name in _PER_BOX if name in groundtruth}


def detection_dict(selected: nms.Detections, raw_boxes: tf.Tensor, scores: tf.Tensor) -> Tensors:
    """Name the result of non-max suppression as Detector.postprocess does.

    Args:
        selected: D detections per image; selected.indices are rows of raw_boxes.
        raw_boxes: float32 [B, A, 4], all boxes before NMS.
        scores: float32 [B, A, C], their scores of all classes; C may count the background.
    Returns:
        detection_boxes, detection_scores, detection_classes, num_detections, detection_multiclass_scores: as
            Detector.postprocess, zeros beyond num_detections.
        detection_anchor_indices: int32 [B, D], rows of raw_boxes.
        raw_detection_boxes, raw_detection_scores: raw_boxes and scores.
    """
    multiclass = tf.gather(scores, selected.indices, batch_dims=1)
    is_detection = tf.sequence_mask(selected.count, multiclass.shape[1])
    return {'detection_boxes': selected.boxes, 'detection_scores': selected.scores,
            'detection_classes': selected.classes, 'num_detections': tf.cast(selected.count, tf.float32),
            'raw_detection_boxes': raw_boxes, 'raw_detection_scores': scores,
            'detection_multiclass_scores': tf.where(is_detection[..., tf.newaxis], multiclass, 0.),
            'detection_anchor_indices': selected.indices}
