"""Single-shot detectors: SSD (Liu et al. 2016), RetinaNet (Lin et al. 2017), EfficientDet (Tan et al. 2020).

One pass over the image predicts box encodings and class scores for every anchor.
"""
import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from object_detection.boxes.anchors import AnchorGenerator
from object_detection.boxes.coders import BoxCoder
from object_detection.boxes.nms import NonMaxSuppression
from object_detection.boxes.targets import TargetAssigner, Targets
from object_detection.layers import core, parts
from object_detection.layers.feature_extractors.base import FeatureExtractor
from object_detection.models.detector import Detector, Predictions, Tensors, detection_dict, trim_padding
from object_detection.models.losses import Focal, HardExampleMiner
from object_detection.models.resizers import Resizer
from object_detection.utils import tracing


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """Settings of the loss.

    Attributes:
        classification, localization: functions of predictions, targets and weights (models/losses.py).
        classification_weight, localization_weight: factors of the two losses.
        normalize_by_matches: divide by the number of matched anchors, each counted with its weight.
        normalize_localization_by_code_size: divide the localization loss by the size of a box encoding too.
        encode_background_as_zeros: the target of the background is all zeros instead of one-hot class 0.
        hard_example_miner: limits the loss to anchors with a large one; None for all anchors.
    """
    classification: Callable
    localization: Callable
    classification_weight: float = 1.
    localization_weight: float = 1.
    normalize_by_matches: bool = True
    normalize_localization_by_code_size: bool = False
    encode_background_as_zeros: bool = True
    hard_example_miner: HardExampleMiner | None = None


class SSD(Detector):
    """A single-shot detector. The arguments other than those of Detector:

    Args:
        feature_extractor: from a constructor in layers.feature_extractors.SSD.
        box_predictor: a ConvolutionalBoxPredictor or WeightSharedBoxPredictor (layers/heads).
        anchors: generates the anchors, normalized.
        target_assigner: matches anchors to groundtruth boxes.
        loss: settings of the loss.
        score_converter: function of logits -> scores, float32 of the same shape.
        non_max_suppression: selects the detections.
        background_class: class 0 of the predictions is the background.
    """

    def __init__(self, num_classes: int, resizer: Resizer, feature_extractor: FeatureExtractor, box_predictor: Callable,
                 anchors: AnchorGenerator, target_assigner: TargetAssigner, loss: LossSettings,
                 score_converter: Callable, non_max_suppression: NonMaxSuppression, background_class: bool = True):
        super().__init__(num_classes, resizer)
        self._feature_extractor, self._box_predictor = feature_extractor, box_predictor
        self._anchors, self._target_assigner, self._loss_settings = anchors, target_assigner, loss
        self.non_max_suppression, self._score_converter = non_max_suppression, score_converter
        self._background_class = background_class

    def preprocess(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.resizer.pad_value is None or any(self.resizer.pad_value):
            return super().preprocess(images)
        images, true_image_shapes = self.resizer.resize(images)  # the same as to mask the padding, and less work
        return self.resizer.add_padding(self._feature_extractor.normalize(images)), true_image_shapes

    def normalize(self, images: tf.Tensor, true_image_shapes: tf.Tensor) -> tf.Tensor:
        """As Detector.normalize. The reference pads normalized images: padding holds the resizer's pad value as it is,
        0 by default."""
        images = self._feature_extractor.normalize(images)
        if self.resizer.pad_value is None:
            return images
        height, width = images.shape[1:3]
        inside = tf.logical_and(tf.sequence_mask(true_image_shapes[:, 0], height)[:, :, tf.newaxis],
                                tf.sequence_mask(true_image_shapes[:, 1], width)[:, tf.newaxis])
        return tf.where(inside[..., tf.newaxis], images, tf.constant(self.resizer.pad_value, images.dtype))

    def predict(self, inputs: tf.Tensor, true_image_shapes: tf.Tensor, training: bool = False,
                groundtruth: Tensors | None = None) -> Predictions:
        """As Detector.predict.

        Returns:
            preprocessed_inputs: float32 [B, h, w, 3], the inputs.
            feature_maps: list of [B, h_i, w_i, channels], finest first.
            anchors: float32 [A, 4], and final_anchors: [B, A, 4], normalized to the input.
            box_encodings: float32 [B, A, code_size], relative to the anchors.
            class_predictions_with_background: float32 [B, A, C], logits; C counts the background if it is a class.
        """
        del true_image_shapes, groundtruth  # two-stage detectors need them
        maps = self._feature_extractor.feature_maps(inputs, training)
        heads = self._box_predictor(maps, training)
        anchors = tf.constant(self._anchors.generate([tuple(x.shape[1:3]) for x in maps], tuple(inputs.shape[1:3])))
        return {'preprocessed_inputs': inputs, 'feature_maps': maps, 'anchors': anchors,
                'final_anchors': tf.tile(anchors[tf.newaxis], [tf.shape(inputs)[0], 1, 1]),
                **{name: core.cast(value, tf.float32) for name, value in heads.items()}}

    def postprocess(self, predictions: Predictions, true_image_shapes: tf.Tensor) -> Tensors:
        """As Detector.postprocess.

        Returns:
            Also detection_anchor_indices: int32 [B, D], raw_detection_boxes: float32 [B, A, 4], normalized to the
            input, and raw_detection_scores: float32 [B, A, C], before NMS.
        """
        boxes = self._decode(predictions)
        scores = self.scores(predictions)
        window = self._window(predictions['preprocessed_inputs'], true_image_shapes)
        class_scores = scores[..., 1:] if self._background_class else scores
        return detection_dict(self.non_max_suppression(boxes, class_scores, window), boxes, scores)

    def loss(self, predictions: Predictions, true_image_shapes: tf.Tensor, groundtruth: Tensors) -> Tensors:
        """As Detector.loss.

        Returns:
            Loss/localization_loss and Loss/classification_loss.
        """
        del true_image_shapes
        settings = self._loss_settings
        targets = self._targets(predictions, groundtruth)
        localization = settings.localization(
            predictions['box_encodings'], _where_known(targets.boxes, predictions['box_encodings']),
            targets.box_weights)
        logits = predictions['class_predictions_with_background']
        if isinstance(settings.classification, Focal) and not any(self._unmatched_label) \
                and not tracing.shapes_are_fixed():
            classification = settings.classification.of_matched(logits, targets.labels, targets.matches,
                                                                targets.class_weights)
        else:
            classification = settings.classification(logits, targets.classes, targets.class_weights)
        if settings.hard_example_miner:
            mask = settings.hard_example_miner.mask(classification, localization, self._decode(predictions),
                                                    targets.matches)
            classification, localization = classification * mask, localization * mask
        normalizer = (parts.loss_normalizer(tf.reduce_sum(targets.box_weights)) if settings.normalize_by_matches
                      else parts.sum_normalizer())
        code_size = self._target_assigner.coder.code_size if settings.normalize_localization_by_code_size else 1
        return {'Loss/localization_loss':
                tf.reduce_sum(localization) * (settings.localization_weight / (normalizer * code_size)),
                'Loss/classification_loss':
                tf.reduce_sum(classification) * (settings.classification_weight / normalizer)}

    def scores(self, predictions: Predictions) -> tf.Tensor:
        """Return the scores of all anchors and classes, float32 [B, A, C]; C counts the background if it is a class."""
        return self._score_converter(predictions['class_predictions_with_background'])

    @property
    def anchor_generator(self) -> AnchorGenerator:
        return self._anchors

    def matched_anchors(self, groundtruth: Tensors, image_size: tuple[int, int]) -> tuple[np.ndarray, tf.Tensor]:
        anchors = self._anchors.generate(self._anchors.grid_sizes, image_size)
        return anchors, self._targets({'anchors': tf.constant(anchors)}, groundtruth).matches

    @property
    def box_coder(self) -> BoxCoder:
        """How `box_encodings` are relative to the anchors."""
        return self._target_assigner.coder

    @property
    def _unmatched_label(self) -> list[float]:
        """The class targets of the background and of ignored anchors."""
        background = [0. if self._loss_settings.encode_background_as_zeros else 1.] if self._background_class else []
        return [*background, *self.num_classes * [0.]]

    def _decode(self, predictions: Predictions) -> tf.Tensor:
        """Decode the boxes, float32 [B, A, 4], normalized to the input."""
        return self._target_assigner.coder.decode(predictions['box_encodings'], predictions['anchors'])

    def _window(self, inputs: tf.Tensor, true_image_shapes: tf.Tensor) -> tf.Tensor:
        """Return the box of each image, float32 [B, 4], normalized to the input."""
        corner = tf.cast(true_image_shapes[:, :2], tf.float32) / tf.cast(tf.shape(inputs)[1:3], tf.float32)
        return tf.concat([tf.zeros_like(corner), corner], -1)

    def _targets(self, predictions: Predictions, groundtruth: Tensors) -> Targets:
        groundtruth = trim_padding(groundtruth)
        labels = groundtruth['groundtruth_classes']
        if self._background_class:
            labels = tf.pad(labels, [[0, 0], [0, 0], [1, 0]])
        return self._target_assigner.assign(predictions['anchors'], groundtruth['groundtruth_boxes'], labels,
                                            groundtruth['groundtruth_weights'], self._unmatched_label)


def _where_known(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Replace targets that are NaN, of boxes without a positive size, by the predictions: they cost nothing."""
    return tf.where(tf.math.is_nan(targets), predictions, targets)
