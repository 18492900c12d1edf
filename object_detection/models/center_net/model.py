"""The four calls of a CenterNet."""
import tensorflow as tf

from object_detection.layers.feature_extractors.center_net import CenterNetFeatureExtractor
from object_detection.layers.heads.convolutional import CenterNetHead
from object_detection.models.center_net import decoding, keypoints, losses
from object_detection.models.center_net.tasks import CENTER, OFFSET, SCALE, Tasks
from object_detection.models.detector import Detector, Predictions, Tensors, trim_padding
from object_detection.models.resizers import Resizer


class CenterNet(Detector):
    """A detector of objects as points. The arguments other than those of Detector:

    Args:
        feature_extractor: from a constructor in layers.feature_extractors.CENTER_NET.
        tasks: what is predicted, with its losses.
        use_depthwise: separable convolutions in the heads.
    """

    _DETECTION_ALIASES = ('fine_tune',)  # its former name in the reference

    def __init__(self, num_classes: int, resizer: Resizer, feature_extractor: CenterNetFeatureExtractor,
                 tasks: Tasks, use_depthwise: bool = False):
        super().__init__(num_classes, resizer)
        self._tasks, self._feature_extractor = tasks, feature_extractor
        self._prediction_head_dict = {
            name: [CenterNetHead(channels, count, head.filters, head.kernel_sizes, bias, use_depthwise)
                   for channels in feature_extractor.channels]
            for name, (count, head, bias) in tasks.heads(num_classes).items()}

    def predict(self, inputs: tf.Tensor, true_image_shapes: tf.Tensor, training: bool = False,
                groundtruth: Tensors | None = None) -> Predictions:
        """As Detector.predict.

        Returns:
            preprocessed_inputs: float32 [B, h, w, 3], the inputs.
            All others are lists of [B, h / stride, w / stride, channels], one map for each output of the feature
            extractor; the last one makes the detections. The channels are
            extracted_features: those of the feature extractor.
            object_center: num_classes logits.
            box/scale, box/offset: 2, in cells.
            TASK/keypoint/heatmap: K logits.
            TASK/keypoint/regression: 2K, in cells.
            TASK/keypoint/offset: 2K, or 2 for all keypoints, in cells.
        """
        del true_image_shapes, groundtruth  # two-stage detectors need them
        maps = self._feature_extractor.feature_maps(inputs, training)
        heads = {name: [head(x) for head, x in zip(heads, maps)] for name, heads in self._prediction_head_dict.items()}
        return {**heads, 'extracted_features': maps, 'preprocessed_inputs': inputs}

    def postprocess(self, predictions: Predictions, true_image_shapes: tf.Tensor) -> Tensors:
        """As Detector.postprocess. Without a box task, the boxes are those around the keypoints.

        Returns:
            Also, with a box task, detection_boxes_strided: float32 [B, D, 4], the boxes in cells; and with keypoint
            tasks, detection_keypoints: float32 [B, D, K, 2], (y, x) normalized to the image, and
            detection_keypoint_scores: float32 [B, D, K], of the keypoints of all tasks, 0 for objects of other classes.
        """
        center, boxes = self._tasks.center, None
        scores = tf.sigmoid(predictions[CENTER][-1])
        # The reference compares pixels of the map with the size of the image, as if the stride were 1: this hides
        # padding only where one side of the image is less than a quarter of the other. Kept for equal detections.
        scores *= decoding.valid_pixels(true_image_shapes, 1, _map_size(scores))
        peaks = decoding.best_peaks(scores, center.max_detections, center.peak_kernel)
        image_size = tf.cast(true_image_shapes[:, :2], tf.float32) / self._feature_extractor.stride
        detections = {'detection_scores': peaks.scores, 'detection_classes': tf.cast(peaks.channels, tf.float32),
                      'num_detections': tf.reduce_sum(tf.cast(peaks.scores > 0., tf.float32), -1),
                      'detection_multiclass_scores': decoding.gather_pixels(scores, peaks.pixels)}
        if self._tasks.boxes:
            boxes = decoding.boxes_at(peaks.pixels, predictions[SCALE][-1], predictions[OFFSET][-1])
            normalized = boxes / tf.tile(image_size, [1, 2])[:, tf.newaxis]
            detections |= {'detection_boxes': tf.clip_by_value(normalized, 0., 1.), 'detection_boxes_strided': boxes}
        if self._tasks.keypoints:
            detections |= self._keypoints(predictions, peaks, boxes, image_size)
        return detections

    def _keypoints(self, predictions: Predictions, peaks: decoding.Peaks, boxes: tf.Tensor | None,
                   image_size: tf.Tensor) -> Tensors:
        """Return the detections that depend on keypoints; boxes float32 [B, D, 4] and image_size [B, 2] are in cells.
        """
        tasks, parts = self._tasks.keypoints, []
        order: list[int] = []
        for task in tasks:
            points, scores = keypoints.decode(predictions, task, peaks.pixels, boxes)
            if self.num_classes > 1:
                own = tf.logical_and(tf.equal(peaks.channels, task.class_id), peaks.scores > 0.)[..., tf.newaxis]
                points, scores = tf.where(own[..., tf.newaxis], points, 0.), tf.where(own, scores, 0.)
            parts.append(tf.concat([points, scores[..., tf.newaxis]], -1))
            order += task.indices
        # reorder as in the groundtruth; indices that no task has take the zeros appended here
        joined = tf.pad(tf.concat(parts, 2), [[0, 0], [0, 0], [0, 1], [0, 0]])
        joined = tf.gather(joined, [order.index(index) if index in order else len(order)
                                    for index in range(max(order) + 1)], axis=2)
        points, scores = keypoints.normalize(joined[..., :2], joined[..., 2], image_size, all(t.clip for t in tasks))
        detections = {'detection_keypoints': points, 'detection_keypoint_scores': scores}
        if boxes is None:
            detections['detection_boxes'] = tf.concat([tf.reduce_min(points, 2), tf.reduce_max(points, 2)], -1)
        rescored = peaks.scores
        for task in tasks:
            if task.rescore:
                rescored = keypoints.rescore(rescored, peaks.channels, scores, task)
        return detections | {'detection_scores': rescored}

    def loss(self, predictions: Predictions, true_image_shapes: tf.Tensor, groundtruth: Tensors) -> Tensors:
        """As Detector.loss.

        Returns:
            'Loss/' and the name of each prediction: Loss/object_center, Loss/box/scale, Loss/box/offset,
            Loss/TASK/keypoint/heatmap, .../offset and .../regression.
        """
        tasks, map_size = self._tasks, _map_size(predictions[CENTER][-1])
        groundtruth = trim_padding(groundtruth)
        boxes = groundtruth['groundtruth_boxes'] * tf.cast([*map_size, *map_size], tf.float32)
        valid = decoding.valid_pixels(true_image_shapes, self._feature_extractor.stride, map_size)
        terms = {CENTER: losses.center_loss(predictions[CENTER], tasks.center, boxes, groundtruth, valid, map_size)}
        if tasks.boxes:
            terms[SCALE], terms[OFFSET] = losses.box_losses(
                predictions[SCALE], predictions[OFFSET], tasks.boxes, boxes, groundtruth, map_size)
        for task in tasks.keypoints:
            terms |= losses.keypoint_losses(predictions, task, boxes, groundtruth, valid, map_size)
        return {f'Loss/{name}': term for name, term in terms.items()}


def _map_size(maps: tf.Tensor) -> decoding.MapSize:
    """Return (H, W) of maps [B, H, W, C], as ints where they are known while tracing."""
    return tuple(size or tf.shape(maps)[axis] for axis, size in ((1, maps.shape[1]), (2, maps.shape[2])))
