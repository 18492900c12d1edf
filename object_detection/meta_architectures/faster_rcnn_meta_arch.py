"""Faster R-CNN and Mask R-CNN under the reference's class name."""
from typing import Any

import tensorflow as tf

from object_detection.meta_architectures.detector_model import DetectorModel
from object_detection.models.detector import Predictions, Tensors

# Predictions of the second stage, which the reference stacks over images and regions: [B * P, ...].
_PER_REGION = ('refined_box_encodings', 'class_predictions_with_background', 'box_classifier_features',
               'mask_predictions')


class FasterRCNNMetaArch(DetectorModel):
    """What model_builder.build makes of `model { faster_rcnn { ... } }`.

    Built for training, `predict` draws a sample of the proposals, for which it needs the groundtruth: call
    provide_groundtruth before it. `_is_training = False` turns that off, as in the reference.
    """

    _samples_in_training = True

    def _trains(self) -> bool:
        return self._is_training

    @tf.autograph.experimental.do_not_convert
    def predict(self, preprocessed_inputs: tf.Tensor, true_image_shapes: tf.Tensor,
                **side_inputs: tf.Tensor) -> Predictions:
        """As DetectorModel.predict. Values of the P regions of B images are [B * P, ...], as in the reference."""
        predictions = super().predict(preprocessed_inputs, true_image_shapes, **side_inputs)
        return {**predictions, **{name: tf.reshape(predictions[name], [-1, *predictions[name].shape[2:]])
                                  for name in _PER_REGION if name in predictions}}

    @tf.autograph.experimental.do_not_convert
    def postprocess(self, prediction_dict: Predictions, true_image_shapes: tf.Tensor, **params: Any) -> Tensors:
        """As DetectorModel.postprocess."""
        return super().postprocess(_per_image(prediction_dict), true_image_shapes, **params)

    @tf.autograph.experimental.do_not_convert
    def loss(self, prediction_dict: Predictions, true_image_shapes: tf.Tensor, scope: str | None = None) -> Tensors:
        """As DetectorModel.loss."""
        return super().loss(_per_image(prediction_dict), true_image_shapes, scope)


def _per_image(predictions: Predictions) -> Predictions:
    """Return the predictions with [B * P, ...] as [B, P, ...]; outside training, masks are those of the detections."""
    with_masks = predictions['detection_boxes' if 'detection_boxes' in predictions else 'proposal_boxes']
    counts = {**dict.fromkeys(_PER_REGION, predictions['proposal_boxes'].shape[1]),
              'mask_predictions': with_masks.shape[1]}
    return {**predictions, **{name: tf.reshape(predictions[name], [-1, count, *predictions[name].shape[1:]])
                              for name, count in counts.items() if name in predictions}}
