"""Faster R-CNN (Ren et al. 2015), on demand with a feature pyramid (Lin et al. 2017) or masks (He et al. 2017)."""
import tensorflow as tf

from object_detection.layers import core
from object_detection.models.faster_rcnn import masks, rpn
from object_detection.models.faster_rcnn.regions import RegionPooling
from object_detection.models.faster_rcnn.rpn import FirstStage
from object_detection.models.faster_rcnn.second_stage import SecondStage, Truth
from object_detection.utils.errors import UserError

DETECTIONS = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections', 'raw_detection_boxes',
              'raw_detection_scores', 'detection_multiclass_scores', 'detection_anchor_indices', 'detection_masks')


class FasterRCNN(tf.Module):
    """The four calls of a detector: preprocess, predict, postprocess, loss.

    Args:
        num_classes: without the background.
        resizer: from models/resizers.py; without a fixed size, the sizes of a batch come from its tensors.
        feature_extractor: from layers/feature_extractors/faster_rcnn.py.
        rpn_features: network on each of its feature maps, and rpn_predictor: on the results, layers.heads box predictor
            with two classes.
        first_stage, second_stage: FirstStage, SecondStage.
        pooling: RegionPooling.
        box_predictor: layers.heads.mask_rcnn.MaskRCNNBoxPredictor.
        mask_weight: of the mask loss; None: the model knows no masks.
    """

    def __init__(self, num_classes, resizer, feature_extractor, rpn_features, rpn_predictor, first_stage: FirstStage,
                 second_stage: SecondStage, pooling: RegionPooling, box_predictor, mask_weight=None):
        super().__init__()
        self.num_classes, self.resizer = num_classes, resizer
        self._extractor = feature_extractor
        self._feature_extractor_for_proposal_features = feature_extractor.first_stage
        self._feature_extractor_for_box_classifier_features = feature_extractor.second_stage
        self._first_stage_box_predictor_first_conv = rpn_features
        self._first_stage_box_predictor = rpn_predictor
        self._mask_rcnn_box_predictor = box_predictor
        self._first_stage, self._second_stage, self._pooling = first_stage, second_stage, pooling
        self._mask_weight = mask_weight

    def preprocess(self, images):
        """Float images [B, H, W, 3], 0..255, of one size -> network inputs [B, h, w, 3] and the size (height, width, 3)
        of the picture in each, int32 [B, 3]."""
        images, true_image_shapes = self.resizer.batch(images)
        return self.normalize(images, true_image_shapes), true_image_shapes

    def normalize(self, images, true_image_shapes):
        """Resized and padded images [B, h, w, 3], 0..255 -> network inputs. Padding is normalised like a picture."""
        del true_image_shapes  # other detectors need it
        return self._extractor.normalize(images)

    @tf.autograph.experimental.do_not_convert
    def predict(self, inputs, true_image_shapes, training=False, groundtruth=None):
        """What the network says of inputs [B, h, w, 3], in the names of the reference.

        In training the second stage sees a sample of the proposals, drawn with the help of the groundtruth (see
        `loss`). Boxes are in pixels of the padded input unless said otherwise. P proposals, D detections:

        Returns:
            rpn_box_predictor_features, rpn_features_to_crop, feature_maps: lists of [B, h_i, w_i, channels].
            image_shape: int32 [4], that of the inputs.
            anchors: float32 [A, 4]; rpn_box_encodings: [B, A, 4]; rpn_objectness_predictions_with_background [B, A, 2].
            proposal_boxes: float32 [B, P, 4]; proposal_boxes_normalized and final_anchors: as fractions of the input.
            num_proposals: int32 [B]; the others are zeros.
            box_classifier_features: [B, P, h', w', channels].
            refined_box_encodings: float32 [B, P, num_classes or 1, 4].
            class_predictions_with_background: float32 [B, P, 1 + num_classes], logits.
            With masks, mask_predictions: float32 [B, P in training, else D, num_classes or 1, mask h, mask w], logits;
            and unless in training what postprocess gives.
        """
        image_size = tuple(inputs.shape[1:3] if None not in inputs.shape[1:3] else tf.unstack(tf.shape(inputs))[1:3])
        maps = self._extractor.feature_maps(inputs, training)
        features = [self._first_stage_box_predictor_first_conv(x, training) for x in maps]
        encodings, objectness = (tf.cast(x, tf.float32) for x in self._first_stage_box_predictor(
            features, training).values())
        anchors, inside = self._first_stage.anchors_of(maps, image_size, training)
        if inside is not None:
            encodings, objectness = (tf.gather(x, inside, axis=1) for x in (encodings, objectness))
        proposals, count = self._proposals(encodings, objectness, anchors, true_image_shapes, image_size, groundtruth,
                                           training)
        normalized = rpn.fractions(proposals, image_size)
        regions = self._region_features(maps, normalized, image_size, training)
        boxes, classes = (tf.cast(x, tf.float32) for x in self._mask_rcnn_box_predictor(regions, training))
        predictions = {
            'rpn_box_predictor_features': features, 'rpn_features_to_crop': maps, 'feature_maps': maps,
            'image_shape': tf.shape(inputs), 'anchors': tf.convert_to_tensor(anchors), 'rpn_box_encodings': encodings,
            'rpn_objectness_predictions_with_background': objectness, 'num_proposals': count,
            'proposal_boxes': proposals, 'proposal_boxes_normalized': normalized, 'final_anchors': normalized,
            'box_classifier_features': _per_image(regions, proposals.shape[1]),
            'refined_box_encodings': _per_image(boxes, proposals.shape[1]),
            'class_predictions_with_background': _per_image(classes, proposals.shape[1])}
        if self._mask_weight is not None:
            predictions |= self._masks(predictions, regions, true_image_shapes, image_size, training)
        return predictions

    def postprocess(self, predictions, true_image_shapes):
        """Detections of a batch, best first.

        Returns:
            detection_boxes: float32 [B, D, 4], fractions of the picture without its padding.
            detection_scores, detection_classes: float32 [B, D]; classes count from 0, without the background.
            num_detections: float32 [B]; beyond it the others hold zeros.
            detection_multiclass_scores: float32 [B, D, 1 + num_classes], scores of the selected boxes for all classes.
            detection_anchor_indices: int32 [B, D], their proposals.
            raw_detection_boxes, raw_detection_scores: float32 [B, P, 4] and [B, P, 1 + num_classes], before the
                suppression; boxes of each proposal's best class, as fractions of the picture.
            detection_masks: float32 [B, D, mask h, mask w], 0..1, within the boxes; where the model knows masks.
        """
        if 'detection_boxes' in predictions:
            return {name: predictions[name] for name in DETECTIONS}
        return self._second_stage.detections(predictions, true_image_shapes)

    def loss(self, predictions, true_image_shapes, groundtruth):
        """Losses of a batch, scalars: localization and objectness or classification of both stages, and of masks.

        On several devices the mean over them is the loss of the whole batch.

        Args:
            groundtruth: groundtruth_boxes float32 [B, N, 4], fractions of the padded input; groundtruth_classes
                float32 one-hot [B, N, num_classes]; groundtruth_weights float32 [B, N]; num_groundtruth_boxes int32
                [B], the boxes beyond which are padding with weight 0; with masks, groundtruth_instance_masks
                [B, N, h, w], 0 or 1, of the padded input, and groundtruth_instance_mask_weights float32 [B, N], 0 for
                objects whose mask is not known (left out: all are).
        """
        image_size = tuple(tf.unstack(predictions['image_shape'])[1:3])
        truth = Truth.of(groundtruth, image_size)
        names = ('RPNLoss/localization_loss', 'RPNLoss/objectness_loss', 'BoxClassifierLoss/localization_loss',
                 'BoxClassifierLoss/classification_loss')
        values = dict(zip(names, (*self._first_stage.loss(predictions, truth),
                                  *self._second_stage.loss(predictions, truth))))
        if self._mask_weight is not None:
            boxes, count = predictions['proposal_boxes'], predictions['num_proposals']
            if 'detection_boxes' in predictions:
                boxes = rpn.pixels(_in_input(predictions['detection_boxes'], true_image_shapes, image_size), image_size)
                count = predictions['num_detections']
            values['BoxClassifierLoss/mask_loss'] = self._mask_weight * masks.loss(
                predictions['mask_predictions'], boxes, count, truth, self._second_stage.assign(boxes, truth),
                image_size, self._pooling.clamp)
        return {f'Loss/{name}': value for name, value in values.items()}

    def regularization_losses(self):
        """List of scalars, one for each kind of regularizer."""
        return core.regularization_losses(self)

    def restore_map(self, fine_tune_checkpoint_type):
        """{name in the checkpoint: object to restore}: of a classifier its backbone (classification), of a detector the
        feature extractor (detection) or everything (full)."""
        if fine_tune_checkpoint_type == 'classification':
            return {'feature_extractor': self._extractor.classification_backbone()}
        if fine_tune_checkpoint_type == 'detection':
            return {'model': tf.train.Checkpoint(**{name: getattr(self, name) for name in (
                '_feature_extractor_for_proposal_features', '_feature_extractor_for_box_classifier_features')})}
        if fine_tune_checkpoint_type == 'full':
            return {'model': self}
        raise UserError(f'fine_tune_checkpoint_type is "{fine_tune_checkpoint_type}"; a faster_rcnn model allows '
                        'classification, detection, full')

    def _proposals(self, encodings, objectness, anchors, true_image_shapes, image_size, groundtruth, training):
        """Boxes float32 [B, P, 4] in pixels and their number int32 [B]."""
        found = self._first_stage.propose(encodings, objectness, anchors, true_image_shapes)
        boxes, count = found.boxes, found.count
        if not training:
            return boxes, count
        boxes = tf.stop_gradient(boxes)
        if self._second_stage.sampler is None:
            return boxes, count
        return self._second_stage.sample(boxes, count, Truth.of(groundtruth, image_size), rpn.seed(objectness, 1))

    def _region_features(self, maps, boxes, image_size, training):
        """[B * P, h, w, C] of boxes [B, P, 4], fractions of the input."""
        return self._extractor.region_features(self._pooling(maps, boxes, image_size), training)

    def _masks(self, predictions, regions, true_image_shapes, image_size, training):
        """Of the proposals in training, otherwise of the detections, which are looked at once more."""
        detections = {} if training else self._second_stage.detections(predictions, true_image_shapes)
        count = predictions['proposal_boxes'].shape[1]
        if detections:
            boxes = _in_input(detections['detection_boxes'], true_image_shapes, image_size)
            regions = self._region_features(predictions['feature_maps'], boxes, image_size, training)
            count = boxes.shape[1]
        logits = tf.cast(self._mask_rcnn_box_predictor.masks(regions, training), tf.float32)
        logits = _per_image(logits, count)
        if detections:
            detections['detection_masks'] = masks.of_detections(logits, detections['detection_classes'])
        return {'mask_predictions': logits, **detections}


def _in_input(boxes, true_image_shapes, image_size):
    """Boxes [B, D, 4] as fractions of the padded input, from fractions of the picture. (The reference leaves this step
    out, and so cuts out the wrong regions where pictures are padded.)"""
    share = rpn.fractions(rpn.window(true_image_shapes), image_size)[:, 2:]
    return boxes * tf.tile(share, [1, 2])[:, tf.newaxis]


def _per_image(values, count):
    """[B, count, ...] of values [B * count, ...]."""
    return tf.reshape(values, [-1, count, *values.shape[1:]])
