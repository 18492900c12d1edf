"""Faster R-CNN (Ren et al. 2015), optionally with a feature pyramid (Lin et al. 2017) or masks (He et al. 2017)."""
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from object_detection.boxes.anchors import AnchorGenerator
from object_detection.layers import core
from object_detection.layers.feature_extractors.faster_rcnn import TwoStageFeatureExtractor
from object_detection.layers.heads.mask_rcnn import MaskRCNNBoxPredictor
from object_detection.models.detector import Detector, Predictions, Tensors
from object_detection.models.faster_rcnn import masks
from object_detection.models.faster_rcnn.groundtruth import Groundtruth
from object_detection.models.faster_rcnn.regions import ImageSize, RegionPooling, image_window, to_normalized, to_pixels
from object_detection.models.faster_rcnn.rpn import FirstStage, drawing
from object_detection.models.faster_rcnn.second_stage import SecondStage
from object_detection.models.resizers import Resizer

DETECTIONS = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections', 'raw_detection_boxes',
              'raw_detection_scores', 'detection_multiclass_scores', 'detection_anchor_indices', 'detection_masks')


class FasterRCNN(Detector):
    """A two-stage detector. The arguments other than those of Detector:

    Args:
        resizer: may have no fixed size; the sizes of a batch are then known only at run time.
        feature_extractor: from a constructor in layers.feature_extractors.FASTER_RCNN.
        rpn_features: an RPNFeatures (layers/heads), applied to each of its feature maps.
        rpn_predictor: a ConvolutionalBoxPredictor with two classes, applied to the results.
        first_stage, second_stage: settings and losses of the two stages.
        pooling: cuts the proposals out of the feature maps.
        box_predictor: a MaskRCNNBoxPredictor.
        mask_weight: factor of the mask loss; None for a model without masks.
    """

    def __init__(self, num_classes: int, resizer: Resizer, feature_extractor: TwoStageFeatureExtractor,
                 rpn_features: Callable, rpn_predictor: Callable, first_stage: FirstStage, second_stage: SecondStage,
                 pooling: RegionPooling, box_predictor: MaskRCNNBoxPredictor, mask_weight: float | None = None):
        super().__init__(num_classes, resizer)
        self._feature_extractor = feature_extractor  # no layer: the two networks are tracked
        self._feature_extractor_for_proposal_features = feature_extractor.image_network
        self._feature_extractor_for_box_classifier_features = feature_extractor.region_network
        self._first_stage_box_predictor_first_conv = rpn_features
        self._first_stage_box_predictor = rpn_predictor
        self._mask_rcnn_box_predictor = box_predictor
        self._first_stage, self._second_stage, self._pooling = first_stage, second_stage, pooling
        self._mask_weight = mask_weight

    @property
    def anchor_generator(self) -> AnchorGenerator:
        return self._first_stage.anchors

    def matched_anchors(self, groundtruth: Tensors, image_size: tuple[int, int]) -> tuple[np.ndarray, tf.Tensor]:
        generator, pixels = self._first_stage.anchors, np.array([*image_size, *image_size], np.float32)
        anchors = self._first_stage.fixed_anchors(generator.grid_sizes, image_size, training=True)[0]
        boxes, weights = groundtruth['groundtruth_boxes'] * pixels, groundtruth['groundtruth_weights']
        is_object = tf.ones_like(weights)[..., tf.newaxis]
        targets = self._first_stage.assigner.assign(tf.constant(anchors), boxes, is_object, weights, [0.])
        return anchors / pixels, targets.matches

    @tf.autograph.experimental.do_not_convert
    def predict(self, inputs: tf.Tensor, true_image_shapes: tf.Tensor, training: bool = False,
                groundtruth: Tensors | None = None) -> Predictions:
        """As Detector.predict. In training, the second stage sees a sample of the proposals drawn with the help of
        the groundtruth.

        Returns:
            rpn_box_predictor_features, rpn_features_to_crop, feature_maps: lists of [B, h_i, w_i, channels].
            image_shape: int32 [4], of the inputs.
            anchors: float32 [A, 4], in pixels of the input.
            rpn_box_encodings: float32 [B, A, 4], relative to the anchors.
            rpn_objectness_predictions_with_background: float32 [B, A, 2], logits.
            proposal_boxes: float32 [B, P, 4], in pixels of the input.
            proposal_boxes_normalized, final_anchors: the same, normalized to the input.
            num_proposals: int32 [B]; the rows beyond it are zeros.
            box_classifier_features: [B, P, h', w', channels].
            refined_box_encodings: float32 [B, P, num_classes, 4], relative to the proposals; 1 for num_classes if the
                classes share their boxes.
            class_predictions_with_background: float32 [B, P, 1 + num_classes], logits.
            With masks, mask_predictions: float32 [B, P, num_classes, mask height, mask width], logits; 1 for
                num_classes if they are class-agnostic. Outside training they are masks of the D detections instead of
                the proposals, and come with all that `postprocess` returns.
        """
        image_size = tuple(inputs.shape[1:3] if None not in inputs.shape[1:3] else tf.unstack(tf.shape(inputs))[1:3])
        maps = self._feature_extractor.feature_maps(inputs, training)
        features = [self._first_stage_box_predictor_first_conv(x, training) for x in maps]
        encodings, objectness = (core.cast(x, tf.float32) for x in self._first_stage_box_predictor(
            features, training).values())
        anchors, inside = self._first_stage.generate_anchors(maps, image_size, training)
        if inside is not None:
            encodings, objectness = (tf.gather(x, inside, axis=1) for x in (encodings, objectness))
        proposals = self._first_stage.propose(encodings, objectness, anchors, true_image_shapes)
        boxes, count = proposals.boxes, proposals.count
        if training:
            assert groundtruth is not None, 'in training, predict needs the groundtruth'
            boxes, count = self._second_stage.sample(
                tf.stop_gradient(boxes), count, Groundtruth.from_batch(groundtruth, image_size),
                drawing(objectness, 1))
        normalized = to_normalized(boxes, image_size)
        regions = self._region_features(maps, normalized, image_size, training)
        refined, classes = (_per_image(core.cast(x, tf.float32), boxes.shape[1])
                            for x in self._mask_rcnn_box_predictor(regions, training))
        predictions = {
            'rpn_box_predictor_features': features, 'rpn_features_to_crop': maps, 'feature_maps': maps,
            'image_shape': tf.shape(inputs), 'anchors': tf.convert_to_tensor(anchors), 'rpn_box_encodings': encodings,
            'rpn_objectness_predictions_with_background': objectness, 'num_proposals': count,
            'proposal_boxes': boxes, 'proposal_boxes_normalized': normalized, 'final_anchors': normalized,
            'box_classifier_features': _per_image(regions, boxes.shape[1]), 'refined_box_encodings': refined,
            'class_predictions_with_background': classes}
        if self._mask_weight is None:
            return predictions
        if training:
            return predictions | {'mask_predictions': self._mask_logits(regions, boxes.shape[1], training)}
        return predictions | self._detections_with_masks(predictions, true_image_shapes, image_size)

    def postprocess(self, predictions: Predictions, true_image_shapes: tf.Tensor) -> Tensors:
        """As Detector.postprocess.

        Returns:
            Also detection_anchor_indices: int32 [B, D], the proposals of the detections; raw_detection_boxes: float32
            [B, P, 4], the boxes of each proposal's best class before NMS, normalized to the image;
            raw_detection_scores: float32 [B, P, 1 + num_classes]; and with masks, detection_masks: float32 [B, D, mask
            height, mask width], 0..1, within the boxes.
        """
        if 'detection_boxes' in predictions:
            return {name: predictions[name] for name in DETECTIONS}
        return self._second_stage.detections(predictions, true_image_shapes)

    def loss(self, predictions: Predictions, true_image_shapes: tf.Tensor, groundtruth: Tensors) -> Tensors:
        """As Detector.loss.

        Returns:
            Loss/RPNLoss/localization_loss and .../objectness_loss, Loss/BoxClassifierLoss/localization_loss and
            .../classification_loss, and with masks .../mask_loss.
        """
        image_size = tuple(tf.unstack(predictions['image_shape'])[1:3])
        objects = Groundtruth.from_batch(groundtruth, image_size)
        names = ('RPNLoss/localization_loss', 'RPNLoss/objectness_loss', 'BoxClassifierLoss/localization_loss',
                 'BoxClassifierLoss/classification_loss')
        values = dict(zip(names, (*self._first_stage.loss(predictions, objects),
                                  *self._second_stage.loss(predictions, objects))))
        if self._mask_weight is not None:
            boxes, count = predictions['proposal_boxes'], predictions['num_proposals']
            if 'detection_boxes' in predictions:
                boxes = to_pixels(_to_input(predictions['detection_boxes'], true_image_shapes, image_size), image_size)
                count = predictions['num_detections']
            values['BoxClassifierLoss/mask_loss'] = self._mask_weight * masks.loss(
                predictions['mask_predictions'], boxes, count, objects, self._second_stage.assign(boxes, objects),
                image_size, self._pooling.clamp)
        return {f'Loss/{name}': value for name, value in values.items()}

    def _feature_extractors(self) -> dict[str, tf.Module]:
        return {name: getattr(self, name) for name in ('_feature_extractor_for_proposal_features',
                                                       '_feature_extractor_for_box_classifier_features')}

    def _region_features(self, maps: list[tf.Tensor], boxes: tf.Tensor, image_size: ImageSize, training: bool
                         ) -> tf.Tensor:
        """Compute the features of boxes, float32 [B, P, 4], normalized to the input: [B * P, h, w, C]."""
        return self._feature_extractor.region_features(self._pooling(maps, boxes, image_size), training)

    def _mask_logits(self, regions: tf.Tensor, count: int, training: bool) -> tf.Tensor:
        """Predict the masks of regions, [B * count, h, w, C]: float32 [B, count, ...]."""
        return _per_image(core.cast(self._mask_rcnn_box_predictor.masks(regions, training), tf.float32), count)

    def _detections_with_masks(self, predictions: Predictions, true_image_shapes: tf.Tensor, image_size: ImageSize
                               ) -> Tensors:
        """Cut the detections out of the feature maps once more and predict their masks."""
        detections = self._second_stage.detections(predictions, true_image_shapes)
        boxes = _to_input(detections['detection_boxes'], true_image_shapes, image_size)
        regions = self._region_features(predictions['feature_maps'], boxes, image_size, training=False)
        logits = self._mask_logits(regions, boxes.shape[1], training=False)
        return {'mask_predictions': logits, **detections,
                'detection_masks': masks.detection_masks(logits, detections['detection_classes'])}


def _to_input(boxes: tf.Tensor, true_image_shapes: tf.Tensor, image_size: ImageSize) -> tf.Tensor:
    """Convert boxes, float32 [B, D, 4], from normalized to the image to normalized to the input. (The reference omits
    this and so cuts out the wrong regions of padded images.)"""
    corner = to_normalized(image_window(true_image_shapes), image_size)[:, 2:]
    return boxes * tf.tile(corner, [1, 2])[:, tf.newaxis]


def _per_image(values: tf.Tensor, count: int) -> tf.Tensor:
    """Reshape [B * count, ...] to [B, count, ...]."""
    return tf.reshape(values, [-1, count, *values.shape[1:]])
