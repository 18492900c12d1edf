"""The second stage: classify each proposal and refine its box (Girshick 2015)."""
import dataclasses
from collections.abc import Callable

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.boxes.nms import NonMaxSuppression
from object_detection.boxes.samplers import BalancedSampler, Draw
from object_detection.boxes.targets import TargetAssigner, Targets
from object_detection.models import losses
from object_detection.models.detector import Predictions, Tensors, detection_dict
from object_detection.models.faster_rcnn.groundtruth import Groundtruth
from object_detection.models.faster_rcnn.regions import image_window


@dataclasses.dataclass(frozen=True)
class SecondStage:
    """Detections and their loss. Boxes are in pixels of the padded input.

    Attributes:
        assigner: matches proposals to groundtruth boxes.
        sampler: draws the proposals of an image to train on; None for all.
        non_max_suppression: selects the detections, whose boxes it normalizes to the image.
        score_converter: from logits to scores, float32 of one shape.
        classification: loss function of models/losses.py.
        localization_weight, classification_weight: factors of the two losses.
        hard_example_miner: limits the loss to proposals with a large one; None for all proposals.
    """
    assigner: TargetAssigner
    sampler: BalancedSampler | None
    non_max_suppression: NonMaxSuppression
    score_converter: Callable
    classification: Callable = dataclasses.field(default_factory=losses.Softmax)
    localization_weight: float = 1.
    classification_weight: float = 1.
    hard_example_miner: losses.HardExampleMiner | None = None

    def assign(self, boxes: tf.Tensor, groundtruth: Groundtruth) -> Targets:
        """Match boxes, float32 [B, P, 4], to the groundtruth."""
        background = [1.] + [0.] * (groundtruth.labels.shape[-1] - 1)
        return self.assigner.assign(boxes, groundtruth.boxes, groundtruth.labels, groundtruth.weights, background)

    def sample(self, boxes: tf.Tensor, count: tf.Tensor, groundtruth: Groundtruth, draw: Draw
               ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw the proposals to train on, some of which are objects.

        Args:
            boxes: float32 [B, P, 4].
            count: int32 [B], number of proposals; the boxes beyond it are padding.
            draw: as BalancedSampler.sample takes it.
        Returns:
            boxes and count of the sample, as above, with P = sampler.size; the arguments if there is no sampler.
        """
        if self.sampler is None:
            return boxes, count
        targets = self.assign(boxes, groundtruth)
        candidate = tf.logical_and(tf.sequence_mask(count, tf.shape(boxes)[1]), targets.class_weights > 0.)
        indices, count = self.sampler.sample(candidate, targets.matches >= 0, draw)
        sampled = tf.sequence_mask(count, tf.shape(indices)[1])[..., tf.newaxis]
        return tf.where(sampled, tf.gather(boxes, indices, batch_dims=1), 0.), count

    def detections(self, predictions: Predictions, true_image_shapes: tf.Tensor) -> Tensors:
        """Return what FasterRCNN.postprocess does, except for masks."""
        proposals, logits = predictions['proposal_boxes'], predictions['class_predictions_with_background']
        boxes = self.assigner.coder.decode(predictions['refined_box_encodings'], proposals[:, :, tf.newaxis])
        scores = self.score_converter(logits)
        is_proposal = tf.sequence_mask(predictions['num_proposals'], proposals.shape[1])[..., tf.newaxis]
        shared, window = boxes.shape[2] == 1, image_window(true_image_shapes)
        selected = self.non_max_suppression(boxes[:, :, 0] if shared else boxes,
                                            tf.where(is_proposal, scores[..., 1:], -1.), window)
        raw = boxes[:, :, 0] if shared else tf.gather(boxes, tf.argmax(logits[..., 1:], -1), batch_dims=2)
        return detection_dict(selected, tf.clip_by_value(ops.change_frame(raw, window), 0., 1.), scores)

    def loss(self, predictions: Predictions, groundtruth: Groundtruth) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the localization loss and the classification loss, scalars: the mean over the proposals of each
        image, then over the images.

        Args:
            predictions: of FasterRCNN.predict.
        """
        proposals = predictions['proposal_boxes']
        targets = self.assign(proposals, groundtruth)
        mean = losses.mean_weights(predictions['num_proposals'], proposals.shape[1])
        encodings = for_matched_class(predictions['refined_box_encodings'], targets)
        localization = losses.SmoothL1()(encodings, targets.boxes, targets.box_weights * mean)
        classification = self.classification(predictions['class_predictions_with_background'], targets.classes,
                                             targets.class_weights * mean)
        if self.hard_example_miner:
            mask = self.hard_example_miner.mask(classification, localization, proposals, targets.matches)
            localization, classification = localization * mask, classification * mask
        return (losses.batch_mean(localization) * self.localization_weight,
                losses.batch_mean(classification) * self.classification_weight)


def for_matched_class(values: tf.Tensor, targets: Targets) -> tf.Tensor:
    """Select the values of each box's matched class. Background selects class 0; mask it with weight 0.

    Args:
        values: [B, P, C, ...] with C = num_classes, or 1 if the classes share them.
        targets: of the boxes, with the background as the first class.
    Returns:
        [B, P, ...].
    """
    if values.shape[2] == 1:
        return values[:, :, 0]
    classes = tf.argmax(targets.classes, -1, tf.int32)
    return tf.gather(values, tf.maximum(classes - 1, 0), batch_dims=2)
