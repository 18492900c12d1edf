"""CenterNet under the reference's class name."""
from typing import Any

import tensorflow as tf

from object_detection.meta_architectures.detector_model import DetectorModel
from object_detection.models.detector import Predictions, Tensors


class CenterNetMetaArch(DetectorModel):
    """What model_builder.build makes of `model { center_net { ... } }`."""

    @property
    def _stride(self) -> int:
        """Pixels of the input per pixel of the output maps."""
        return self._feature_extractor.stride

    @tf.autograph.experimental.do_not_convert
    def postprocess(self, prediction_dict: Predictions, true_image_shapes: tf.Tensor, **params: Any) -> Tensors:
        """As DetectorModel.postprocess; detection_classes and num_detections are int32, as in the reference."""
        detections = super().postprocess(prediction_dict, true_image_shapes)
        integers = {name: tf.cast(detections[name], tf.int32) for name in ('detection_classes', 'num_detections')}
        return {**detections, **integers}
