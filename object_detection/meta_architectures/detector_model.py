"""A detector of object_detection.models, called as the TF2 Object Detection API calls its models."""
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection.core import learning_phase
from object_detection.core.model import DetectionModel
from object_detection.core.standard_fields import BoxListFields
from object_detection.layers.core import Untracked
from object_detection.models.detector import Detector, Predictions, Tensors

_GROUNDTRUTH = {  # entry of the groundtruth that Detector.loss takes: field of the groundtruth lists
    'groundtruth_boxes': BoxListFields.boxes, 'groundtruth_classes': BoxListFields.classes,
    'groundtruth_weights': BoxListFields.weights, 'groundtruth_instance_masks': BoxListFields.masks,
    'groundtruth_instance_mask_weights': BoxListFields.mask_weights,
    'groundtruth_keypoints': BoxListFields.keypoints,
    'groundtruth_keypoint_visibilities': BoxListFields.keypoint_visibilities}
# Parts of one object in the order in which the reference lists their variables; parts that are not named come last.
_ORDER = (
    '_first_stage_box_predictor_first_conv', '_first_stage_box_predictor', '_mask_rcnn_box_predictor',
    '_box_predictor', '_box_prediction_head', '_class_prediction_head', '_prediction_heads', '_third_stage_heads',
    '_base_tower_layers_for_heads', '_coarse_feature_layers', '_efficientnet', 'classification_backbone',
    '_fpn_features_generator', 'top_layers', 'residual_blocks', 'conv_layers', 'node_input_blocks',
    'node_combine_op')


class DetectorModel(DetectionModel):
    """Base class of SSDMetaArch, FasterRCNNMetaArch, and CenterNetMetaArch.

    Parts of the network (`_feature_extractor`, `_box_predictor`, ...) are attributes, as in the reference. Its
    checkpoints and those of the detector are the same.

    Args:
        is_training: the model is built for training. BatchNorm and dropout then follow Keras's learning phase
            (tf.keras.backend.set_learning_phase); they never train otherwise.
    """

    def __init__(self, detector: Detector, is_training: bool) -> None:
        super().__init__(detector.num_classes)
        self._is_training = is_training
        self._adapted = Untracked(detector=detector, is_training=is_training)
        for name, part in tf.train.TrackableView.children(detector).items():
            setattr(self, name, part)

    @tf.autograph.experimental.do_not_convert
    def preprocess(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Resize, pad and normalize images.

        Args:
            inputs: [B, H, W, 3], RGB, 0..255, of any dtype.
        Returns:
            float32 [B, h, w, 3], and int32 [B, 3], (height, width, 3) of the image in each without padding.
        """
        return self._adapted.detector.preprocess(tf.cast(inputs, tf.float32))

    @tf.autograph.experimental.do_not_convert
    def normalize(self, images: tf.Tensor, true_image_shapes: tf.Tensor) -> tf.Tensor:
        """Preprocess images that were resized and padded already: float32 [B, h, w, 3], 0..255 -> the same shape."""
        return self._adapted.detector.normalize(images, true_image_shapes)

    @tf.autograph.experimental.do_not_convert
    def predict(self, preprocessed_inputs: tf.Tensor, true_image_shapes: tf.Tensor,
                **side_inputs: tf.Tensor) -> Predictions:
        """Run the network.

        Args:
            preprocessed_inputs: float32 [B, h, w, 3], from `preprocess`.
            true_image_shapes: int32 [B, 3].
        Returns:
            See `predict` of the detector (object_detection.models).
        """
        if side_inputs:
            raise TypeError(f'{type(self).__name__}.predict takes no {", ".join(side_inputs)}')
        training = self._trains()
        return self._adapted.detector.predict(
            tf.convert_to_tensor(preprocessed_inputs), _shapes(true_image_shapes), training=training,
            groundtruth=self._groundtruth() if training and self._samples_in_training else None)

    @tf.autograph.experimental.do_not_convert
    def postprocess(self, prediction_dict: Predictions, true_image_shapes: tf.Tensor, **params: Any) -> Tensors:
        """Turn predictions into detections, best first.

        Args:
            prediction_dict: from `predict`.
            true_image_shapes: int32 [B, 3].
        Returns:
            detection_boxes: float32 [B, D, 4] (ymin, xmin, ymax, xmax), normalized to the image.
            detection_scores, detection_classes: [B, D]; classes count from 0.
            num_detections: [B].
            and others, see `postprocess` of the detector (object_detection.models).
        """
        del params
        return self._adapted.detector.postprocess(prediction_dict, _shapes(true_image_shapes))

    @tf.autograph.experimental.do_not_convert
    def loss(self, prediction_dict: Predictions, true_image_shapes: tf.Tensor, scope: str | None = None) -> Tensors:
        """Compute the losses against the groundtruth that was provided, without regularization.

        Args:
            prediction_dict: from `predict`.
            true_image_shapes: int32 [B, 3].
        Returns:
            {'Loss/...': scalar}
        """
        del scope
        return self._adapted.detector.loss(prediction_dict, _shapes(true_image_shapes), self._groundtruth())

    @tf.autograph.experimental.do_not_convert
    def regularization_losses(self) -> list[tf.Tensor]:
        """Return scalars, one for each kind of regularizer; their sum is the reference's."""
        return self._adapted.detector.regularization_losses()

    def restore_from_objects(self, fine_tune_checkpoint_type: str = 'detection') -> dict[str, Any]:
        """Return {name in a checkpoint: object to restore from there}, for tf.train.Checkpoint(**objects).

        Args:
            fine_tune_checkpoint_type: classification, detection, full; for CenterNet also fine_tune.
        Raises:
            ValueError: the model has no such type.
        """
        detector = self._adapted.detector
        try:
            objects = detector.restore_map(fine_tune_checkpoint_type)
        except KeyError:
            raise ValueError(f'fine_tune_checkpoint_type is {fine_tune_checkpoint_type!r}, which {type(self).__name__} '
                             f'with this feature extractor does not have; use detection or full') from None
        return {name: self if part is detector else part for name, part in objects.items()}

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All variables, in the order of the reference's Keras model: those that are not trained are last."""
        return self.trainable_variables + self.non_trainable_variables

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        return tuple(variable for variable in _variables(self, set()) if variable.trainable)

    @property
    def non_trainable_variables(self) -> tuple[tf.Variable, ...]:
        return tuple(variable for variable in _variables(self, set()) if not variable.trainable)

    @property
    def weights(self) -> list[tf.Variable]:
        """All variables, as of a Keras layer."""
        return list(self.variables)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return list(self.trainable_variables)

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return list(self.non_trainable_variables)

    def get_weights(self) -> list[np.ndarray]:
        """Return the values of `weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Assign what get_weights returned."""
        if len(weights) != len(self.weights):
            raise ValueError(f'got {len(weights)} arrays for {len(self.weights)} variables')
        for variable, value in zip(self.weights, weights):
            variable.assign(value)

    _samples_in_training = False  # `predict` needs the groundtruth in training

    def _trains(self) -> bool:
        """Return whether `predict` runs the network as in training."""
        return self._adapted.is_training and learning_phase.is_training()

    def _groundtruth(self) -> Tensors:
        """Return the groundtruth lists as Detector.loss takes them, padded to the same number of boxes."""
        boxes = [tf.convert_to_tensor(boxes, tf.float32) for boxes in self.groundtruth_lists(BoxListFields.boxes)]
        lists = {BoxListFields.weights: [tf.ones([tf.shape(one)[0]]) for one in boxes], **self._provided.lists}
        counts = tf.stack([tf.shape(one)[0] for one in boxes])
        rows = tf.maximum(tf.reduce_max(counts), 1)
        return {'num_groundtruth_boxes': counts,
                **{name: tf.stack([_pad(values, rows) for values in lists[field]])
                   for name, field in _GROUNDTRUTH.items() if field in lists}}


def _variables(part: Any, seen: set[int]) -> Iterator[tf.Variable]:
    """Yield the variables below a part of a model, depth first."""
    children = tf.train.TrackableView.children(part)
    for name in sorted(children, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)):
        child = children[name]
        if id(child) not in seen:
            seen.add(id(child))
            yield from [child] if isinstance(child, tf.Variable) else _variables(child, seen)


def _shapes(true_image_shapes: Any) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(true_image_shapes), tf.int32)


def _pad(values: Any, rows: tf.Tensor) -> tf.Tensor:
    """Pad [N, ...] with zeros to [rows, ...]; numbers become float32."""
    values = tf.convert_to_tensor(values)
    values = values if values.dtype == tf.bool else tf.cast(values, tf.float32)
    return tf.pad(values, [[0, rows - tf.shape(values)[0]], *[[0, 0]] * (values.shape.rank - 1)])
