"""Detections and groundtruth brought into one frame; the expected numbers are computed by hand."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection import eval_util, protos
from object_detection.metrics import coco_evaluation

CATEGORIES = [{'id': 1, 'name': 'dog', 'keypoints': {'nose': 0, 'tail': 1}}, {'id': 2, 'name': 'cat'}]


def batch():
    """Two images 10 x 20; the second is padded from 5 x 10 and was 50 x 100 pixels originally."""
    detections = {
        'detection_boxes': tf.constant([[[.1, .2, .3, .4]], [[0, 0, .5, 1.]]]), 'detection_scores': tf.ones([2, 1]),
        'detection_classes': tf.constant([[0.], [1.]]), 'num_detections': tf.constant([1., 1.])}
    groundtruth = {
        'groundtruth_boxes': tf.constant([[[.1, .2, .3, .4]], [[0, 0, .25, .5]]]),
        'groundtruth_classes': tf.constant([[1], [2]], tf.int64), 'num_groundtruth_boxes': tf.constant([1, 1])}
    return {'images': tf.zeros([2, 10, 20, 3], tf.uint8), 'keys': tf.constant(['a', 'b']), 'detections': detections,
            'groundtruth': groundtruth, 'true_image_shapes': tf.constant([[10, 20, 3], [5, 10, 3]]),
            'original_image_spatial_shapes': tf.constant([[10, 20], [50, 100]])}


def test_both_are_normalized_to_the_image_without_padding():
    results = eval_util.result_dict_for_batched_example(**batch())
    for name in ('detection_boxes', 'groundtruth_boxes'):
        np.testing.assert_allclose(results[name], [[[.1, .2, .3, .4]], [[0, 0, .5, 1]]], rtol=1e-6)
    assert results['detection_classes'].numpy().tolist() == [[1], [2]]
    results = eval_util.result_dict_for_batched_example(**batch(), scale_to_absolute=True, class_agnostic=True)
    for name in ('detection_boxes', 'groundtruth_boxes'):
        np.testing.assert_allclose(results[name], [[[1, 4, 3, 8]], [[0, 0, 25, 100]]], rtol=1e-6)
    for name in ('detection_classes', 'groundtruth_classes'):
        assert results[name].numpy().tolist() == [[1], [1]]


def test_evaluators_take_the_result():
    [evaluator] = eval_util.get_evaluators(protos.EvalConfig(), CATEGORIES)
    assert type(evaluator) is coco_evaluation.CocoDetectionEvaluator
    evaluator.add_eval_dict(eval_util.result_dict_for_batched_example(**batch(), scale_to_absolute=True))
    assert evaluator.evaluate()['DetectionBoxes_Precision/mAP'] == pytest.approx(1)


def test_masks():
    """A mask of ones fills its box; groundtruth masks are cut to the image and enlarged."""
    arguments = batch()
    arguments['detections']['detection_masks'] = tf.ones([2, 1, 3, 3])
    corner = np.zeros([2, 1, 10, 20], np.float32)
    corner[:, :, :5, :10] = 1
    arguments['groundtruth']['groundtruth_instance_masks'] = tf.constant(corner)
    results = eval_util.result_dict_for_batched_example(**arguments)
    found, objects = results['detection_masks'].numpy(), results['groundtruth_instance_masks'].numpy()
    assert found.shape == objects.shape == (2, 1, 50, 100) and found.dtype == objects.dtype == np.uint8
    assert found[1, 0, 2:23, 2:98].all() and not found[1, 0, 27:].any()
    assert not eval_util.has_densepose(results)
    assert objects[0, 0].sum() == 50 and objects[0, 0, :5, :10].all() and objects[1, 0].all()


def test_single_example():
    arguments = batch()
    results = eval_util.result_dict_for_single_example(
        arguments['images'][:1], tf.constant('a'), arguments['detections'],
        {'groundtruth_boxes': tf.constant([[.1, .2, .3, .4]]), 'groundtruth_classes': tf.constant([1], tf.int64)},
        scale_to_absolute=True)
    np.testing.assert_allclose(results['groundtruth_boxes'], [[1, 4, 3, 8]], rtol=1e-6)
    np.testing.assert_allclose(results['detection_boxes'], [[1, 4, 3, 8]], rtol=1e-6)
    assert results['original_image'].shape == [1, 10, 20, 3] and results['key'].shape == []
    assert 'groundtruth_boxes' not in eval_util.result_dict_for_single_example(
        arguments['images'][:1], tf.constant('a'), arguments['detections'])


def test_evaluators_of_a_config():
    config = protos.EvalConfig(metrics_set=['coco_detection_metrics', 'precision_at_recall_detection_metrics'],
                               include_metrics_per_category=True, recall_lower_bound=.25)
    keypoints = config.parameterized_metric.add().coco_keypoint_metrics
    keypoints.class_label = 'dog'
    keypoints.keypoint_label_to_sigmas.update({'nose': .1, 'tail': .2})
    options = eval_util.evaluator_options_from_eval_config(config)
    assert options['coco_detection_metrics'] == {'include_metrics_per_category': True,
                                                 'skip_predictions_for_unlabeled_class': False}
    assert options['precision_at_recall_detection_metrics']['recall_lower_bound'] == .25
    names = [type(evaluator).__name__ for evaluator in eval_util.get_evaluators(config, CATEGORIES, options)]
    assert names == ['CocoDetectionEvaluator', 'PrecisionAtRecallDetectionEvaluator', 'CocoKeypointEvaluator']


def test_mistakes():
    with pytest.raises(ValueError, match='Metric not found: coco; allowed: coco_detection_metrics'):
        eval_util.get_evaluators(protos.EvalConfig(metrics_set=['coco']), CATEGORIES)
    with pytest.raises(ValueError, match=r'2D tensor of shape \[batch_size, 3\]'):
        eval_util.result_dict_for_batched_example(**{**batch(), 'true_image_shapes': tf.constant([[10, 20]])})
    arguments = batch()
    del arguments['groundtruth']['num_groundtruth_boxes']
    with pytest.raises(ValueError, match='max_gt_boxes must be provided'):
        eval_util.result_dict_for_batched_example(**arguments)
    with pytest.raises(AttributeError, match=r'tf\.estimator .* \(docs/api\.md\)'):
        eval_util.get_eval_metric_ops_for_evaluators  # noqa: B018
