"""Single-shot detectors: SSD (Liu et al. 2016), RetinaNet (Lin et al. 2017), EfficientDet (Tan et al. 2020).

One pass over the picture, one score per class and one box for each anchor.
"""
import dataclasses

import tensorflow as tf

from object_detection.boxes.nms import NonMaxSuppression
from object_detection.boxes.targets import TargetAssigner
from object_detection.layers import core
from object_detection.models.losses import HardExampleMiner
from object_detection.models.replicas import per_device
from object_detection.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class SsdLoss:
    """How the loss of an SSD is put together.

    classification, localization: functions of predictions, targets and weights (models/losses.py).
    normalize_by_matches: divide by the number of matched anchors, weighted; over all devices together.
    normalize_localization_by_code_size: divide the localization loss by the numbers in a box code as well.
    encode_background_as_zeros: background is no class at all instead of class 0.
    """
    classification: object
    localization: object
    classification_weight: float = 1.
    localization_weight: float = 1.
    normalize_by_matches: bool = True
    normalize_localization_by_code_size: bool = False
    encode_background_as_zeros: bool = True
    hard_example_miner: HardExampleMiner | None = None


class SSD(tf.Module):
    """The four calls of a detector: preprocess, predict, postprocess, loss.

    Args:
        num_classes: without the background.
        resizer: from models/resizers.py, with a fixed size.
        feature_extractor: has normalize(images), feature_maps(inputs, training), classification_backbone.
        box_predictor: list of feature maps -> {'box_encodings', 'class_predictions_with_background'}.
        anchors: from boxes/anchors.py.
        target_assigner: boxes.targets.TargetAssigner.
        loss: SsdLoss.
        score_converter: function of logits.
        suppression: boxes.nms.NonMaxSuppression.
        background_class: predictions have a class 0 for the background in front.
    """

    def __init__(self, num_classes, resizer, feature_extractor, box_predictor, anchors, target_assigner: TargetAssigner,
                 loss: SsdLoss, score_converter, suppression: NonMaxSuppression, background_class=True):
        super().__init__()
        self.num_classes, self.resizer = num_classes, resizer
        self._feature_extractor, self._box_predictor = feature_extractor, box_predictor
        self._anchors, self._target_assigner, self._loss = anchors, target_assigner, loss
        self._suppression, self._score_converter = suppression, score_converter
        self._background_class = background_class

    def preprocess(self, images):
        """Float images [B, H, W, 3], 0..255, of one size -> network inputs [B, h, w, 3] and the size (height, width, 3)
        of the picture in each, int32 [B, 3]."""
        images, true_image_shapes = self.resizer.batch(images)
        return self.normalize(images, true_image_shapes), true_image_shapes

    def normalize(self, images, true_image_shapes):
        """Resized and padded images [B, h, w, 3], 0..255 -> network inputs. The reference pads after the normalization:
        padding holds the resizer's pad value (0 by default), not what a black pixel is turned into."""
        images = self._feature_extractor.normalize(images)
        if self.resizer.pad_value is None:
            return images
        height, width = images.shape[1:3]
        inside = tf.logical_and(tf.sequence_mask(true_image_shapes[:, 0], height)[:, :, tf.newaxis],
                                tf.sequence_mask(true_image_shapes[:, 1], width)[:, tf.newaxis])
        return tf.where(inside[..., tf.newaxis], images, tf.constant(self.resizer.pad_value, images.dtype))

    def predict(self, inputs, true_image_shapes, training=False, groundtruth=None):
        """What the network says of inputs [B, h, w, 3], in the names of the reference.

        Returns:
            preprocessed_inputs: the inputs.
            feature_maps: list of [B, h_i, w_i, channels].
            anchors: float32 [A, 4], and final_anchors: [B, A, 4], fractions of the input.
            box_encodings: float32 [B, A, code_size], to be decoded with the anchors.
            class_predictions_with_background: float32 [B, A, C], logits; C counts the background if there is a class.
        """
        del true_image_shapes, groundtruth  # two-stage detectors need them
        maps = self._feature_extractor.feature_maps(inputs, training)
        heads = self._box_predictor(maps, training)
        anchors = tf.constant(self._anchors.generate([tuple(x.shape[1:3]) for x in maps], tuple(inputs.shape[1:3])))
        return {'preprocessed_inputs': inputs, 'feature_maps': maps, 'anchors': anchors,
                'final_anchors': tf.tile(anchors[tf.newaxis], [tf.shape(inputs)[0], 1, 1]),
                **{name: tf.cast(value, tf.float32) for name, value in heads.items()}}

    def postprocess(self, predictions, true_image_shapes):
        """Detections of a batch, best first.

        Returns:
            detection_boxes: float32 [B, D, 4], fractions of the picture without its padding.
            detection_scores, detection_classes: float32 [B, D]; classes count from 0, without the background.
            num_detections: float32 [B]; beyond it the others hold zeros.
            detection_multiclass_scores: float32 [B, D, C], scores of the selected boxes for all classes.
            detection_anchor_indices: int32 [B, D].
            raw_detection_boxes, raw_detection_scores: float32 [B, A, 4] and [B, A, C], before the suppression, boxes as
                fractions of the padded input.
        """
        boxes = self._decode(predictions)
        scores = self._score_converter(predictions['class_predictions_with_background'])
        window = self._window(predictions['preprocessed_inputs'], true_image_shapes)
        found = self._suppression(boxes, scores[..., 1:] if self._background_class else scores, window)
        multiclass = tf.gather(scores, found.indices, batch_dims=1)
        is_detection = tf.sequence_mask(found.count, multiclass.shape[1])
        return {'detection_boxes': found.boxes, 'detection_scores': found.scores, 'detection_classes': found.classes,
                'num_detections': tf.cast(found.count, tf.float32),
                'raw_detection_boxes': boxes, 'raw_detection_scores': scores,
                'detection_multiclass_scores': tf.where(is_detection[..., tf.newaxis], multiclass, 0.),
                'detection_anchor_indices': found.indices}

    def loss(self, predictions, true_image_shapes, groundtruth):
        """Losses of a batch: {'Loss/localization_loss', 'Loss/classification_loss'}, scalars.

        On several devices the mean over them is the loss of the whole batch.

        Args:
            groundtruth: groundtruth_boxes float32 [B, N, 4], fractions of the padded input; groundtruth_classes
                float32 one-hot [B, N, num_classes]; groundtruth_weights float32 [B, N]; num_groundtruth_boxes int32
                [B], the boxes beyond which are padding with weight 0.
        """
        del true_image_shapes
        config = self._loss
        targets = self._targets(predictions, groundtruth)
        localization = config.localization(
            predictions['box_encodings'], _where_known(targets.boxes, predictions['box_encodings']),
            targets.box_weights)
        classification = config.classification(
            predictions['class_predictions_with_background'], targets.classes, targets.class_weights)
        if config.hard_example_miner:
            mask = config.hard_example_miner.mask(classification, localization, self._decode(predictions),
                                                  targets.matches)
            classification, localization = classification * mask, localization * mask
        normalizer = per_device(tf.reduce_sum(targets.box_weights)) if config.normalize_by_matches else 1.
        code_size = self._target_assigner.coder.code_size if config.normalize_localization_by_code_size else 1
        return {'Loss/localization_loss':
                tf.reduce_sum(localization) * (config.localization_weight / (normalizer * code_size)),
                'Loss/classification_loss':
                tf.reduce_sum(classification) * (config.classification_weight / normalizer)}

    def regularization_losses(self):
        """List of scalars, one for each kind of regularizer."""
        return core.regularization_losses(self)

    def restore_map(self, fine_tune_checkpoint_type):
        """{name in the checkpoint: object to restore}: of a classifier its backbone (classification), of a detector the
        feature extractor (detection) or everything (full)."""
        if fine_tune_checkpoint_type == 'classification':
            return {'feature_extractor': self._feature_extractor.classification_backbone}
        if fine_tune_checkpoint_type == 'detection':
            return {'model': tf.train.Checkpoint(_feature_extractor=self._feature_extractor)}
        if fine_tune_checkpoint_type == 'full':
            return {'model': self}
        raise UserError(f'fine_tune_checkpoint_type is "{fine_tune_checkpoint_type}"; an ssd model allows '
                        'classification, detection, full')

    def _decode(self, predictions):
        return self._target_assigner.coder.decode(predictions['box_encodings'], predictions['anchors'])

    def _window(self, inputs, true_image_shapes):
        """[B, 4]: where the picture lies in the padded input, as fractions."""
        share = tf.cast(true_image_shapes[:, :2], tf.float32) / tf.cast(tf.shape(inputs)[1:3], tf.float32)
        return tf.concat([tf.zeros_like(share), share], -1)

    def _targets(self, predictions, groundtruth):
        boxes = tf.maximum(tf.reduce_max(groundtruth['num_groundtruth_boxes']), 1)  # the rest is padding everywhere
        labels = groundtruth['groundtruth_classes'][:, :boxes]
        unmatched = [0.] * self.num_classes
        if self._background_class:
            labels = tf.pad(labels, [[0, 0], [0, 0], [1, 0]])
            unmatched = [0. if self._loss.encode_background_as_zeros else 1., *unmatched]
        return self._target_assigner.assign(predictions['anchors'], groundtruth['groundtruth_boxes'][:, :boxes], labels,
                                            groundtruth['groundtruth_weights'][:, :boxes], unmatched)


def _where_known(targets, predictions):
    """The targets, but where a box without positive size made them NaN the prediction, which has no loss."""
    return tf.where(tf.math.is_nan(targets), predictions, targets)
