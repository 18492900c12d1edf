"""The second stage: what is in each proposal, and where exactly (Girshick 2015)."""
import dataclasses
import typing

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.boxes.nms import NonMaxSuppression
from object_detection.boxes.samplers import BalancedSampler
from object_detection.boxes.targets import TargetAssigner
from object_detection.models import losses
from object_detection.models.faster_rcnn import rpn


class Truth(typing.NamedTuple):
    """Groundtruth of a batch, N >= 1 boxes per image.

    boxes: float32 [B, N, 4] in pixels of the padded input.
    labels: float32 [B, N, 1 + num_classes], one-hot, the background in front.
    weights: float32 [B, N], 0 for padding.
    masks: float32 [B, N, h, w] of the padded input, or None.
    mask_weights: float32 [B, N], 0 for objects whose mask is not known, or None: all are.
    """
    boxes: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    masks: tf.Tensor | None
    mask_weights: tf.Tensor | None

    @classmethod
    def of(cls, groundtruth, image_size):
        """From the dict that the input pipeline gives; what is padding in every image is left out."""
        count = tf.maximum(tf.reduce_max(groundtruth['num_groundtruth_boxes']), 1)
        masks, mask_weights = (value if value is None else value[:, :count] for value in map(
            groundtruth.get, ('groundtruth_instance_masks', 'groundtruth_instance_mask_weights')))
        return cls(rpn.pixels(groundtruth['groundtruth_boxes'][:, :count], image_size),
                   tf.pad(groundtruth['groundtruth_classes'][:, :count], [[0, 0], [0, 0], [1, 0]]),
                   groundtruth['groundtruth_weights'][:, :count], masks, mask_weights)


@dataclasses.dataclass(frozen=True)
class SecondStage:
    """Detections and their loss. Boxes are in pixels of the padded input.

    assigner: which proposals are which object.
    sampler: how many proposals of an image are trained on; None for all.
    suppression: of detections; boxes come out as fractions of the picture.
    score_converter: function of logits.
    classification: loss function of models/losses.py.
    hard_example_miner: losses.HardExampleMiner or None.
    """
    assigner: TargetAssigner
    sampler: BalancedSampler | None
    suppression: NonMaxSuppression
    score_converter: typing.Callable
    classification: typing.Callable = losses.Softmax()
    localization_weight: float = 1.
    classification_weight: float = 1.
    hard_example_miner: losses.HardExampleMiner | None = None

    def assign(self, boxes, truth):
        """boxes.targets.Targets of boxes [B, P, 4]."""
        background = [1.] + [0.] * (truth.labels.shape[-1] - 1)
        return self.assigner.assign(boxes, truth.boxes, truth.labels, truth.weights, background)

    def sample(self, boxes, count, truth, seed):
        """A random part of the proposals, with a share of objects: as the arguments, P being sampler.size.

        Args:
            boxes: float32 [B, P, 4], of which count int32 [B] are proposals.
        """
        targets = self.assign(boxes, truth)
        candidate = tf.logical_and(tf.sequence_mask(count, tf.shape(boxes)[1]), targets.class_weights > 0.)
        indices, count = self.sampler.sample(candidate, targets.matches >= 0, seed)
        sampled = tf.sequence_mask(count, tf.shape(indices)[1])[..., tf.newaxis]
        return tf.where(sampled, tf.gather(boxes, indices, batch_dims=1), 0.), count

    def detections(self, predictions, true_image_shapes):
        """What postprocess of the model gives, less masks."""
        proposals, logits = predictions['proposal_boxes'], predictions['class_predictions_with_background']
        boxes = self.assigner.coder.decode(predictions['refined_box_encodings'], proposals[:, :, tf.newaxis])
        scores = self.score_converter(logits)
        is_proposal = tf.sequence_mask(predictions['num_proposals'], proposals.shape[1])[..., tf.newaxis]
        shared, window = boxes.shape[2] == 1, rpn.window(true_image_shapes)
        found = self.suppression(boxes[:, :, 0] if shared else boxes, tf.where(is_proposal, scores[..., 1:], -1.),
                                 window)
        raw = boxes[:, :, 0] if shared else tf.gather(boxes, tf.argmax(logits[..., 1:], -1), batch_dims=2)
        multiclass = tf.gather(scores, found.indices, batch_dims=1)
        is_detection = tf.sequence_mask(found.count, multiclass.shape[1])
        return {'detection_boxes': found.boxes, 'detection_scores': found.scores, 'detection_classes': found.classes,
                'num_detections': tf.cast(found.count, tf.float32),
                'raw_detection_boxes': tf.clip_by_value(ops.change_frame(raw, window), 0., 1.),
                'raw_detection_scores': scores,
                'detection_multiclass_scores': tf.where(is_detection[..., tf.newaxis], multiclass, 0.),
                'detection_anchor_indices': found.indices}

    def loss(self, predictions, truth):
        """(localization, classification): each image's mean over its proposals, then the mean over the images."""
        proposals, count = predictions['proposal_boxes'], predictions['num_proposals']
        targets = self.assign(proposals, truth)
        share = (tf.sequence_mask(count, proposals.shape[1], tf.float32)
                 / tf.cast(tf.maximum(count, 1), tf.float32)[:, tf.newaxis])
        encodings = predictions['refined_box_encodings']
        encodings = encodings[:, :, 0] if encodings.shape[2] == 1 else of_class(encodings, targets)
        localization = losses.SmoothL1()(encodings, targets.boxes, targets.box_weights * share)
        classification = self.classification(predictions['class_predictions_with_background'], targets.classes,
                                             targets.class_weights * share)
        if self.hard_example_miner:
            mask = self.hard_example_miner.mask(classification, localization, proposals, targets.matches)
            localization, classification = localization * mask, classification * mask
        return tuple(tf.reduce_mean(tf.reduce_sum(loss, 1)) * weight for loss, weight in (
            (localization, self.localization_weight), (classification, self.classification_weight)))


def of_class(values, targets):
    """values[b, p, c] for the class c that box p is to have: [B, P, ...] of [B, P, num_classes, ...]. Of background it
    is that of the first class, which should have weight 0."""
    classes = tf.argmax(targets.classes, -1, tf.int32)
    return tf.gather(values, tf.maximum(classes - 1, 0), batch_dims=2)
