"""The graph of a .tflite: an input of one size -> the four outputs that apps on devices read."""
from typing import Any

import tensorflow as tf

from object_detection.boxes import ops
from object_detection.models.detector import Detector, Predictions, Tensors
from object_detection.models.ssd.model import SSD

OPERATOR = 'TFLite_Detection_PostProcess'  # of LiteRT: decodes boxes and runs NMS
# In this order Android's and the Task Library's detectors read them. Keypoints follow, where there are any.
OUTPUTS = ('detection_boxes', 'detection_classes', 'detection_scores', 'num_detections')
KEYPOINTS = ('detection_keypoints', 'detection_keypoint_scores')


def trace(model: Detector, max_detections: int, regular_nms: bool, normalizes: bool, keypoints: bool,
          score_threshold: float | None = None) -> Any:
    """Trace the function from an input to detections.

    Args:
        model: an SSD or a CenterNet; in whose config limits.lite finds nothing.
        max_detections: D, detections per image.
        regular_nms: NMS of each class on its own, as in the SavedModel; False: one NMS over the best class of each
            box, which is faster. Of SSD only.
        normalizes: the input is pixels 0..255; False: it is normalized already.
        keypoints: a CenterNet returns its keypoints, too.
        score_threshold: of an SSD's NMS, in place of the config's.
    Returns:
        A concrete function of float32 [1, h, w, 3] that returns a dict of
            detection_boxes: float32 [1, D, 4] (ymin, xmin, ymax, xmax), normalized to the input.
            detection_classes: float32 [1, D], from 0.
            detection_scores: float32 [1, D].
            num_detections: float32 [1].
            and with `keypoints` also detection_keypoints: float32 [1, D, K, 2], (y, x) normalized to the input, and
            detection_keypoint_scores: float32 [1, D, K].
    """
    height, width = model.resizer.size or (0, 0)
    shapes = tf.constant([[height, width, 3]])

    def detect(image: tf.Tensor) -> Tensors:
        inputs = model.normalize(image, shapes) if normalizes else image
        predictions = model.predict(inputs, shapes)
        if isinstance(model, SSD):
            operator = _operator(model, max_detections, regular_nms, score_threshold)
            return dict(zip(OUTPUTS, operator(*_raw(model, predictions))))
        found = model.postprocess(predictions, shapes)
        kept = {name: found[name][:, :max_detections] for name in (*OUTPUTS[:3], *(KEYPOINTS if keypoints else ()))}
        return {**kept, OUTPUTS[3]: tf.minimum(found[OUTPUTS[3]], float(max_detections))}

    signature = [tf.TensorSpec([1, height, width, 3], tf.float32, 'input')]
    return tf.function(detect, input_signature=signature, autograph=False).get_concrete_function()


def _raw(model: SSD, predictions: Predictions) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return what the operator takes: box encodings, scores without background, anchors as (y, x, height, width)."""
    anchors = tf.stack(ops.center_and_size(predictions['anchors']), -1)
    return predictions['box_encodings'], model.scores(predictions)[..., -model.num_classes:], anchors


def _operator(model: SSD, max_detections: int, regular_nms: bool, score_threshold: float | None) -> Any:
    """Return a function that the converter replaces by LiteRT's operator. It has no body of its own."""
    nms = model.non_max_suppression
    y_scale, x_scale, h_scale, w_scale = model.box_coder.scales  # type: ignore[union-attr]  # limits.lite
    integers = {'max_detections': max_detections, 'max_classes_per_detection': 1, 'num_classes': model.num_classes,
                'detections_per_class': nms.max_per_class}
    threshold = max(nms.score_threshold, 0.) if score_threshold is None else score_threshold
    numbers = {'nms_score_threshold': threshold, 'nms_iou_threshold': nms.iou_threshold, 'y_scale': y_scale,
               'x_scale': x_scale, 'h_scale': h_scale, 'w_scale': w_scale}
    attributes = [f'name: "{OPERATOR}"',
                  *(f'attr {{ key: "{name}" value {{ i: {value} }} }}' for name, value in integers.items()),
                  *(f'attr {{ key: "{name}" value {{ f: {float(value)!r} }} }}' for name, value in numbers.items()),
                  f'attr {{ key: "use_regular_nms" value {{ b: {str(regular_nms).lower()} }} }}']

    @tf.function(experimental_implements=' '.join(attributes), autograph=False)
    def post_process(box_encodings, scores, anchors):
        rows = tf.zeros([1, max_detections])
        return tf.zeros([1, max_detections, 4]), rows, rows, tf.zeros([1])

    return post_process
