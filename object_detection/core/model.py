"""What every model of the TF2 Object Detection API has in common: groundtruth lists, and calls that a model defines."""
import abc
from typing import Any

import tensorflow as tf

from object_detection.core import learning_phase
from object_detection.core.standard_fields import BoxListFields, InputDataFields
from object_detection.layers.core import Untracked

Lists = list[tf.Tensor] | None  # one tensor for each image of the batch

learning_phase.provide()


class DetectionModel(tf.Module, abc.ABC):
    """Base class of models; a subclass defines the abstract methods.

    Images are [B, H, W, 3]. Boxes are (ymin, xmin, ymax, xmax), normalized. Classes count from 0, without the
    background. N_i is the number of groundtruth boxes of image i, C the number of classes, K of keypoints.

    Args:
        num_classes: number of classes, background not counted.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self._num_classes = num_classes
        self._provided = Untracked(lists={}, training_step=None)

    @property
    def num_classes(self) -> int:
        return self._num_classes

    @property
    def training_step(self) -> Any:
        """The step given to provide_groundtruth; ValueError if none was."""
        if self._provided.training_step is None:
            raise ValueError('Training step was not provided to the model.')
        return self._provided.training_step

    def groundtruth_lists(self, field: str) -> list[tf.Tensor]:
        """Return what provide_groundtruth got: a list with one tensor per image.

        Args:
            field: one of BoxListFields or InputDataFields.
        Raises:
            RuntimeError: it got nothing for this field.
        """
        if field not in self._provided.lists:
            raise RuntimeError(f'Groundtruth tensor {field} has not been provided')
        return self._provided.lists[field]

    def groundtruth_has_field(self, field: str) -> bool:
        """Return whether provide_groundtruth got this field."""
        return field in self._provided.lists

    def provide_groundtruth(
            self, groundtruth_boxes_list: list[tf.Tensor], groundtruth_classes_list: list[tf.Tensor],
            groundtruth_masks_list: Lists = None, groundtruth_mask_weights_list: Lists = None,
            groundtruth_keypoints_list: Lists = None, groundtruth_keypoint_visibilities_list: Lists = None,
            groundtruth_dp_num_points_list: Lists = None, groundtruth_dp_part_ids_list: Lists = None,
            groundtruth_dp_surface_coords_list: Lists = None, groundtruth_track_ids_list: Lists = None,
            groundtruth_temporal_offsets_list: Lists = None, groundtruth_track_match_flags_list: Lists = None,
            groundtruth_weights_list: Lists = None, groundtruth_confidences_list: Lists = None,
            groundtruth_is_crowd_list: Lists = None, groundtruth_group_of_list: Lists = None,
            groundtruth_area_list: Lists = None, is_annotated_list: Lists = None,
            groundtruth_labeled_classes: Lists = None, groundtruth_verified_neg_classes: Lists = None,
            groundtruth_not_exhaustive_classes: Lists = None, groundtruth_keypoint_depths_list: Lists = None,
            groundtruth_keypoint_depth_weights_list: Lists = None, groundtruth_image_classes: Lists = None,
            training_step: Any = None) -> None:
        """Give the groundtruth of the next batch to the model. Fields left out keep what they got before.

        Args:
            groundtruth_boxes_list: float32 [N_i, 4].
            groundtruth_classes_list: float32 [N_i, C], one-hot.
            groundtruth_masks_list: float32 [N_i, h, w], 0 or 1, of the preprocessed image.
            groundtruth_mask_weights_list: float32 [N_i].
            groundtruth_keypoints_list: float32 [N_i, K, 2], (y, x), NaN where not labeled.
            groundtruth_keypoint_visibilities_list: bool [N_i, K].
            groundtruth_weights_list: float32 [N_i]; 1 for all boxes if it is left out.
            training_step: global step.
            The others are kept for groundtruth_lists; the losses do not read them.
        """
        lists = {
            BoxListFields.masks: groundtruth_masks_list,
            BoxListFields.mask_weights: groundtruth_mask_weights_list,
            BoxListFields.keypoints: groundtruth_keypoints_list,
            BoxListFields.keypoint_visibilities: groundtruth_keypoint_visibilities_list,
            BoxListFields.densepose_num_points: groundtruth_dp_num_points_list,
            BoxListFields.densepose_part_ids: groundtruth_dp_part_ids_list,
            BoxListFields.densepose_surface_coords: groundtruth_dp_surface_coords_list,
            BoxListFields.track_ids: groundtruth_track_ids_list,
            BoxListFields.temporal_offsets: groundtruth_temporal_offsets_list,
            BoxListFields.track_match_flags: groundtruth_track_match_flags_list,
            BoxListFields.weights: groundtruth_weights_list,
            BoxListFields.confidences: groundtruth_confidences_list,
            BoxListFields.is_crowd: groundtruth_is_crowd_list,
            BoxListFields.group_of: groundtruth_group_of_list,
            BoxListFields.keypoint_depths: groundtruth_keypoint_depths_list,
            BoxListFields.keypoint_depth_weights: groundtruth_keypoint_depth_weights_list,
            InputDataFields.groundtruth_area: groundtruth_area_list,
            InputDataFields.is_annotated: is_annotated_list,
            InputDataFields.groundtruth_labeled_classes: groundtruth_labeled_classes,
            InputDataFields.groundtruth_verified_neg_classes: groundtruth_verified_neg_classes,
            InputDataFields.groundtruth_not_exhaustive_classes: groundtruth_not_exhaustive_classes,
            InputDataFields.groundtruth_image_classes: groundtruth_image_classes}
        self._provided.lists.update({field: values for field, values in lists.items() if values})
        self._provided.lists.update({BoxListFields.boxes: groundtruth_boxes_list,
                                     BoxListFields.classes: groundtruth_classes_list})
        if training_step is not None:
            self._provided.training_step = training_step

    @staticmethod
    def get_side_inputs(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return keyword arguments for `predict` from the features of a batch: none."""
        del features
        return {}

    @abc.abstractmethod
    def preprocess(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, H, W, 3], 0..255 -> preprocessed images, and int32 [B, 3], their sizes without padding."""

    @abc.abstractmethod
    def predict(self, preprocessed_inputs: tf.Tensor, true_image_shapes: tf.Tensor,
                **side_inputs: tf.Tensor) -> dict[str, Any]:
        """Return the raw outputs of the network."""

    @abc.abstractmethod
    def postprocess(self, prediction_dict: dict[str, Any], true_image_shapes: tf.Tensor,
                    **params: Any) -> dict[str, tf.Tensor]:
        """Return the detections."""

    @abc.abstractmethod
    def loss(self, prediction_dict: dict[str, Any], true_image_shapes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return {name: scalar}, the losses against the groundtruth that was provided."""

    @abc.abstractmethod
    def regularization_losses(self) -> list[tf.Tensor]:
        """Return scalars."""

    @abc.abstractmethod
    def restore_from_objects(self, fine_tune_checkpoint_type: str = 'detection') -> dict[str, Any]:
        """Return {name in a checkpoint: object to restore from there}."""

    def updates(self) -> list[Any]:
        """Return operations to run at each step: none in TensorFlow 2, where BatchNorm updates itself."""
        return []

    def call(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the detections in images, float32 [B, H, W, 3], 0..255."""
        inputs, true_image_shapes = self.preprocess(images)
        return self.postprocess(self.predict(inputs, true_image_shapes), true_image_shapes)

    __call__ = call
