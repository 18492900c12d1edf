"""What evaluation loops of people's own use of the TF2 Object Detection API's eval_util.

    evaluators = eval_util.get_evaluators(eval_config, categories,
                                          eval_util.evaluator_options_from_eval_config(eval_config))
    for evaluator in evaluators:
        evaluator.add_eval_dict(eval_util.result_dict_for_batched_example(images, keys, detections, groundtruth))
        evaluator.evaluate()
"""
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import tensorflow as tf

from object_detection import absent, protos
from object_detection.config.metrics_set import KEYPOINTS
from object_detection.core.standard_fields import DetectionResultFields, InputDataFields
from object_detection.metrics import coco_evaluation
from object_detection.utils import object_detection_evaluation, ops, shape_utils
from object_detection.utils.object_detection_evaluation import DetectionEvaluator

Tensors = dict[str, tf.Tensor]

EVAL_DEFAULT_METRIC = 'coco_detection_metrics'
EVAL_KEYPOINT_METRIC = KEYPOINTS
EVAL_METRICS_CLASS_DICT: dict[str, Any] = {
    'coco_detection_metrics': coco_evaluation.CocoDetectionEvaluator,
    KEYPOINTS: coco_evaluation.CocoKeypointEvaluator,
    'coco_mask_metrics': coco_evaluation.CocoMaskEvaluator,
    'coco_panoptic_metrics': coco_evaluation.CocoPanopticSegmentationEvaluator,
    'oid_V2_detection_metrics': object_detection_evaluation.OpenImagesDetectionEvaluator,
    'pascal_voc_detection_metrics': object_detection_evaluation.PascalDetectionEvaluator,
    'weighted_pascal_voc_detection_metrics': object_detection_evaluation.WeightedPascalDetectionEvaluator,
    'precision_at_recall_detection_metrics': object_detection_evaluation.PrecisionAtRecallDetectionEvaluator,
    'pascal_voc_instance_segmentation_metrics': object_detection_evaluation.PascalInstanceSegmentationEvaluator,
    'weighted_pascal_voc_instance_segmentation_metrics':
        object_detection_evaluation.WeightedPascalInstanceSegmentationEvaluator}

_PER_IMAGE = (InputDataFields.original_image, DetectionResultFields.num_detections,
              InputDataFields.num_groundtruth_boxes)
_ESTIMATOR = 'it is for tf.estimator or sessions of TensorFlow 1; add eval_dicts to the evaluators of get_evaluators'
_ABSENT = dict.fromkeys(('get_eval_metric_ops_for_evaluators', 'repeated_checkpoint_run', 'visualize_detection_results',
                         'write_metrics'), _ESTIMATOR)


def result_dict_for_batched_example(images: tf.Tensor, keys: tf.Tensor, detections: Tensors,
                                    groundtruth: Tensors | None = None, class_agnostic: bool = False,
                                    scale_to_absolute: bool = False,
                                    original_image_spatial_shapes: tf.Tensor | None = None,
                                    true_image_shapes: tf.Tensor | None = None,
                                    max_gt_boxes: tf.Tensor | None = None, label_id_offset: int = 1) -> Tensors:
    """Return detections and groundtruth of a batch, in the same frame, as evaluators take them.

    B images, M groundtruth boxes, D detections. Boxes are (ymin, xmin, ymax, xmax), keypoints (y, x).

    Args:
        images: uint8 [B, H, W, 3], padded.
        keys: [B], ids of the images.
        detections: from DetectionModel.postprocess: normalized to the image without padding, classes from 0.
        groundtruth: by the names of InputDataFields, [B, M, ...]: boxes and keypoints normalized to the padded image,
            groundtruth_classes [B, M] from 1, groundtruth_instance_masks [B, M, H, W]; and num_groundtruth_boxes [B].
        class_agnostic: all classes become 1.
        scale_to_absolute: boxes and keypoints in pixels of the original images instead of normalized.
        original_image_spatial_shapes: int32 [B, 2], (height, width) of the original images; None: those of `images`.
        true_image_shapes: int32 [B, 3], (height, width, 3) without padding; None: there is none.
        max_gt_boxes: [B], instead of num_groundtruth_boxes.
        label_id_offset: added to the classes of the detections.
    Returns:
        groundtruth and detections, normalized to the images without padding, or in pixels; masks uint8 [B, n, h, w] of
        the original images, padded to the largest; original_image, original_image_spatial_shape, true_image_shape, key,
        num_detections, num_groundtruth_boxes.
    Raises:
        ValueError: a shape is wrong, or there is groundtruth without the number of boxes.
    """
    batch = tf.shape(images)[0]
    if original_image_spatial_shapes is None:
        original_image_spatial_shapes = tf.tile(tf.shape(images)[tf.newaxis, 1:3], [batch, 1])
    if true_image_shapes is None:
        true_image_shapes = tf.tile(tf.shape(images)[tf.newaxis, 1:], [batch, 1])
    sizes, true_shapes = original_image_spatial_shapes, true_image_shapes
    for name, shapes, columns in (('original_image_spatial_shape', sizes, 2), ('true_image_shapes', true_shapes, 3)):
        if len(shapes.shape) != 2 or shapes.shape[1] != columns:
            raise ValueError(f'`{name}` should be a 2D tensor of shape [batch_size, {columns}].')
    found = {name: values for name, values in detections.items() if name in _DETECTIONS}
    found[DetectionResultFields.num_detections] = tf.cast(detections[DetectionResultFields.num_detections], tf.int32)
    classes = tf.ones_like(detections[DetectionResultFields.detection_scores], tf.int64) if class_agnostic else (
        tf.cast(detections[DetectionResultFields.detection_classes], tf.int64) + label_id_offset)
    found[DetectionResultFields.detection_classes] = classes
    keypoints = found.get(DetectionResultFields.detection_keypoints)
    if keypoints is not None and DetectionResultFields.detection_keypoint_scores not in found:
        found[DetectionResultFields.detection_keypoint_scores] = tf.ones_like(keypoints[..., 0])
    if DetectionResultFields.detection_masks in found:
        found[DetectionResultFields.detection_masks] = resize_detection_masks(
            found[DetectionResultFields.detection_boxes], found[DetectionResultFields.detection_masks], sizes)
    objects = {}
    if groundtruth:
        counts = groundtruth.get(InputDataFields.num_groundtruth_boxes) if max_gt_boxes is None else max_gt_boxes
        if counts is None:
            raise ValueError('max_gt_boxes must be provided when processing batched examples.')
        objects = _groundtruth(groundtruth, tf.shape(images)[1:3], true_shapes, sizes)
        objects[InputDataFields.num_groundtruth_boxes] = counts
        if class_agnostic:
            objects[InputDataFields.groundtruth_classes] = tf.ones_like(
                groundtruth[InputDataFields.groundtruth_classes], tf.int64)
    results = {InputDataFields.original_image: images, InputDataFields.key: keys,
               InputDataFields.original_image_spatial_shape: sizes, InputDataFields.true_image_shape: true_shapes,
               **found, **objects}
    if scale_to_absolute:
        pixels = tf.cast(sizes, tf.float32)
        results.update({name: _scale(results[name], pixels) for name in _POINTS if name in results})
    return results


_POINTS = (DetectionResultFields.detection_boxes, DetectionResultFields.detection_keypoints,
           InputDataFields.groundtruth_boxes, InputDataFields.groundtruth_keypoints)
_DETECTIONS = (DetectionResultFields.detection_boxes, DetectionResultFields.detection_scores,
               DetectionResultFields.detection_masks, DetectionResultFields.detection_keypoints,
               DetectionResultFields.detection_keypoint_scores)


def _scale(points: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Multiply boxes [B, n, 4] or keypoints [B, n, K, 2] by sizes float32 [B, 2]."""
    if len(points.shape) == 3:
        return points * tf.tile(sizes, [1, 2])[:, tf.newaxis]
    return points * sizes[:, tf.newaxis, tf.newaxis]


def _groundtruth(groundtruth: Tensors, padded_size: tf.Tensor, true_shapes: tf.Tensor, sizes: tf.Tensor) -> Tensors:
    """Return a groundtruth normalized to the images without padding, with masks of the original images."""
    objects = dict(groundtruth)
    window = tf.cast(padded_size, tf.float32) / tf.cast(true_shapes[:, :2], tf.float32)
    for name in (InputDataFields.groundtruth_boxes, InputDataFields.groundtruth_keypoints):
        if name in objects:
            objects[name] = _scale(objects[name], window)
    largest = tf.reduce_max(sizes, 0)

    def resize(arguments: tuple[tf.Tensor, ...]) -> tf.Tensor:
        masks, true_shape, size = arguments
        masks = masks[:, :true_shape[0], :true_shape[1], tf.newaxis]
        resized = tf.compat.v1.image.resize_nearest_neighbor(masks, size, align_corners=True)[..., 0]
        return tf.cast(_pad(resized, largest), tf.uint8)

    if InputDataFields.groundtruth_instance_masks in objects:
        objects[InputDataFields.groundtruth_instance_masks] = shape_utils.static_or_dynamic_map_fn(
            resize, [objects[InputDataFields.groundtruth_instance_masks], true_shapes, sizes], tf.uint8)
    return objects


def _pad(masks: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Pad [n, h, w] with zeros to [n, *size]."""
    missing = size - tf.shape(masks)[1:]
    return tf.pad(masks, [[0, 0], [0, missing[0]], [0, missing[1]]])


def resize_detection_masks(detection_boxes: tf.Tensor, detection_masks: tf.Tensor,
                           original_image_spatial_shapes: tf.Tensor) -> tf.Tensor:
    """Paste masks that each fill their box into images.

    Args:
        detection_boxes: float32 [B, D, 4], normalized.
        detection_masks: [B, D, h, w]; floats above 0.5 become 1, integers stay.
        original_image_spatial_shapes: int32 [B, 2], (height, width).
    Returns:
        uint8 [B, D, H, W], padded to the largest height and width.
    """
    largest = tf.reduce_max(original_image_spatial_shapes, 0)

    def paste(arguments: tuple[tf.Tensor, ...]) -> tf.Tensor:
        boxes, masks, size = arguments
        pasted = ops.reframe_box_masks_to_image_masks(masks, boxes, size[0], size[1])
        return tf.cast(_pad(pasted > .5 if pasted.dtype.is_floating else pasted, largest), tf.uint8)

    return shape_utils.static_or_dynamic_map_fn(
        paste, [detection_boxes, detection_masks, original_image_spatial_shapes], tf.uint8)


def result_dict_for_single_example(image: tf.Tensor, key: tf.Tensor, detections: Tensors,
                                   groundtruth: Tensors | None = None, class_agnostic: bool = False,
                                   scale_to_absolute: bool = False) -> Tensors:
    """Return detections and groundtruth of one image as evaluators take them: result_dict_for_batched_example for one.

    Args:
        image: uint8 [1, H, W, 3]; original_image of the result.
        key: id of the image, a scalar.
        detections: [B, D, ...], of which the first image counts.
        groundtruth: as for a batch, without its dimension: groundtruth_boxes [M, 4], ...
    Returns:
        As for a batch, without its dimension, num_detections, and num_groundtruth_boxes.
    """
    batched = None
    if groundtruth:
        batched = {name: tf.convert_to_tensor(values)[tf.newaxis] for name, values in groundtruth.items()}
    results = result_dict_for_batched_example(
        image, tf.convert_to_tensor(key)[tf.newaxis], {name: values[:1] for name, values in detections.items()},
        batched, class_agnostic, scale_to_absolute,
        max_gt_boxes=tf.shape(groundtruth[InputDataFields.groundtruth_boxes])[:1] if groundtruth else None)
    return {InputDataFields.original_image: image,
            **{name: values[0] for name, values in results.items() if name not in _PER_IMAGE}}


def get_evaluators(eval_config: protos.EvalConfig, categories: Sequence[Mapping[str, Any]],
                   evaluator_options: Mapping[str, Mapping[str, Any]] | None = None) -> list[DetectionEvaluator]:
    """Return an evaluator for each metric of eval_config; for COCO's metrics of boxes if it names none.

    Args:
        categories: [{'id': 1, 'name': 'dog', 'keypoints': {'nose': 0}}, ...].
        evaluator_options: {name in metrics_set: keyword arguments of the evaluator}.
    Raises:
        ValueError: a metric is not here.
    """
    evaluators = []
    for name in eval_config.metrics_set or [EVAL_DEFAULT_METRIC]:
        if name not in EVAL_METRICS_CLASS_DICT:
            raise ValueError(f'Metric not found: {name}; allowed: {", ".join(EVAL_METRICS_CLASS_DICT)}')
        evaluators.append(EVAL_METRICS_CLASS_DICT[name](categories, **(evaluator_options or {}).get(name, {})))
    by_name = {category['name']: category for category in categories}
    for metric in eval_config.parameterized_metric:
        options = metric.coco_keypoint_metrics
        if category := by_name.get(options.class_label):
            keypoints = [{'id': index, 'name': name} for name, index in category['keypoints'].items()]
            evaluators.append(coco_evaluation.CocoKeypointEvaluator(
                category['id'], keypoints, options.class_label, dict(options.keypoint_label_to_sigmas)))
    return evaluators


def evaluator_options_from_eval_config(eval_config: protos.EvalConfig) -> dict[str, dict[str, Any]]:
    """Return {name in metrics_set: keyword arguments of its evaluator}, for get_evaluators."""
    options: dict[str, dict[str, Any]] = {}
    for name in eval_config.metrics_set:
        if name in ('coco_detection_metrics', 'coco_mask_metrics'):
            options[name] = {'include_metrics_per_category': eval_config.include_metrics_per_category}
            if eval_config.all_metrics_per_category:
                options[name]['all_metrics_per_category'] = True
            if name == 'coco_detection_metrics':
                options[name]['skip_predictions_for_unlabeled_class'] = eval_config.skip_predictions_for_unlabeled_class
            if eval_config.super_categories:
                options[name]['super_categories'] = {
                    group: names.split(',') for group, names in eval_config.super_categories.items()}
        elif name == 'precision_at_recall_detection_metrics':
            options[name] = {
                'recall_lower_bound': eval_config.recall_lower_bound,
                'recall_upper_bound': eval_config.recall_upper_bound,
                'skip_predictions_for_unlabeled_class': eval_config.skip_predictions_for_unlabeled_class}
    return options


def has_densepose(eval_dict: Tensors) -> bool:
    """Return whether there are detections of DensePose, which no model here makes."""
    return {DetectionResultFields.detection_masks, DetectionResultFields.detection_surface_coords} <= eval_dict.keys()


def __getattr__(name: str) -> NoReturn:
    absent.explain_name(__name__, name, _ABSENT)
