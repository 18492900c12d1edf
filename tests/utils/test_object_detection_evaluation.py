import math

import numpy as np
import pytest
import tensorflow as tf

from object_detection.utils import object_detection_evaluation as evaluation

PETS = [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}]
UNIT = [0., 0., 10., 10.]


def truth(boxes=(UNIT,), classes=(1,), **flags):
    return {'groundtruth_boxes': np.array(boxes, float).reshape(-1, 4), 'groundtruth_classes': np.array(classes, int),
            **{f'groundtruth_{name}': np.array(values) for name, values in flags.items()}}


def found(boxes=(UNIT,), scores=(.9,), classes=(1,), **arrays):
    return {'detection_boxes': np.array(boxes, float).reshape(-1, 4), 'detection_scores': np.array(scores, float),
            'detection_classes': np.array(classes, int), **arrays}


def run(evaluator, *images):
    for i, (groundtruth, detections) in enumerate(images):
        evaluator.add_single_ground_truth_image_info(f'image{i}', groundtruth)
        if detections:
            evaluator.add_single_detected_image_info(f'image{i}', detections)
    return evaluator.evaluate()


def test_pascal():
    """Dogs: one of two found, and a wrong one with a higher score: precision 1 / 2 up to recall 1 / 2."""
    metrics = run(evaluation.PascalDetectionEvaluator(PETS),
                  (truth(), found([UNIT, [50, 50, 60, 60]], [.5, .9], [1, 1])), (truth(), None))
    assert metrics['PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog'] == .25
    assert metrics['PascalBoxes_Precision/mAP@0.5IOU'] == .25
    assert math.isnan(metrics['PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat'])


def test_iou_threshold():
    """The overlap is 6 / 10."""
    for threshold, expected in ((.5, 1.), (.6, 1.), (.7, 0.)):
        metrics = run(evaluation.PascalDetectionEvaluator(PETS, matching_iou_threshold=threshold),
                      (truth(), found([[0, 0, 6, 10]])))
        assert metrics[f'PascalBoxes_Precision/mAP@{threshold}IOU'] == expected


def test_difficult_objects_do_not_count():
    metrics = run(evaluation.PascalDetectionEvaluator(PETS), (
        truth([UNIT, [20, 20, 30, 30]], [1, 1], difficult=[False, True]),
        found([[20, 20, 30, 30], UNIT], [.9, .8], [1, 1])))
    assert metrics['PascalBoxes_Precision/mAP@0.5IOU'] == 1.


def test_weighted():
    """One curve: right, wrong, of 3 objects."""
    metrics = run(evaluation.WeightedPascalDetectionEvaluator(PETS), (
        truth([UNIT, [20, 20, 30, 30], [40, 40, 50, 50]], [1, 2, 2]),
        found([UNIT, [70, 70, 80, 80]], [.9, .8], [1, 2])))
    assert metrics['WeightedPascalBoxes_Precision/mAP@0.5IOU'] == pytest.approx(1 / 3)
    assert metrics['WeightedPascalBoxes_PerformanceByCategory/AP@0.5IOU/dog'] == 1.


def test_masks():
    mask, half = np.zeros([1, 8, 8], np.uint8), np.zeros([1, 8, 8], np.uint8)
    mask[:, :4], half[:, :3] = 1, 1  # IoU 3 / 4
    groundtruth = {**truth(), 'groundtruth_instance_masks': mask}
    for evaluator, prefix in ((evaluation.PascalInstanceSegmentationEvaluator, 'PascalMasks'),
                              (evaluation.WeightedPascalInstanceSegmentationEvaluator, 'WeightedPascalMasks')):
        for detected, expected in ((half, 1.), (1 - half, 0.)):
            metrics = run(evaluator(PETS), (groundtruth, found(detection_masks=detected)), (groundtruth, None))
            assert metrics[f'{prefix}_Precision/mAP@0.5IOU'] == expected / 2
    with pytest.raises(ValueError, match='groundtruth_instance_masks are not'):
        evaluation.PascalInstanceSegmentationEvaluator(PETS).add_single_ground_truth_image_info('a', truth())


def test_precision_at_recall():
    """Precision 1, 1 / 2, 2 / 3 at recall 1 / 2, 1 / 2, 1; only that between .6 and 1 counts."""
    evaluator = evaluation.PrecisionAtRecallDetectionEvaluator(PETS, recall_lower_bound=.6, recall_upper_bound=1.)
    metrics = run(evaluator, (truth([UNIT, [20, 20, 30, 30]], [1, 1]),
                              found([UNIT, [70, 70, 80, 80], [20, 20, 30, 30]], [.9, .8, .7], [1, 1, 1])))
    assert metrics['PrecisionAtRecallBoxes_Precision/mAP@0.5IOU@[0.6,1.0]Recall'] == pytest.approx(2 / 3)


def test_classes_that_were_not_looked_for():
    labeled = np.array([0., 1., 0.])
    for skip, expected in ((False, .5), (True, 1.)):
        evaluator = evaluation.PrecisionAtRecallDetectionEvaluator(PETS, skip_predictions_for_unlabeled_class=skip)
        run(evaluator, (truth([UNIT], [2]), found([[50, 50, 60, 60]], [.95], [1])),  # an image with cats looked for
            (truth(), found()))
        evaluator.clear()
        metrics = run(evaluator, (truth(labeled_classes=labeled), found([UNIT, UNIT], [.9, .95], [1, 2])),
                      (truth([UNIT], [2]), found([UNIT], [.5], [2])))
        assert metrics['PrecisionAtRecallBoxes_PerformanceByCategory/AP@0.5IOU/cat'] == expected
    with pytest.raises(ValueError, match=r'\(2,\)'):
        evaluation.PrecisionAtRecallDetectionEvaluator(PETS, skip_predictions_for_unlabeled_class=True
                                                       ).add_single_ground_truth_image_info(
            'a', truth(labeled_classes=[0, 1]))


def test_groups_of_open_images():
    """A detection in a group is neither right nor wrong."""
    metrics = run(evaluation.OpenImagesDetectionEvaluator(PETS), (
        truth([UNIT, [20, 20, 60, 60]], [1, 1], group_of=[False, True]),
        found([[22, 22, 30, 30], UNIT], [.9, .8], [1, 1])))
    assert metrics['OpenImagesV2_Precision/mAP@0.5IOU'] == 1.


def test_plain_evaluator_has_no_prefix():
    metrics = run(evaluation.ObjectDetectionEvaluator([{'id': 1, 'name': b'dog'}]), (truth(), found()))
    assert metrics == {'Precision/mAP@0.5IOU': 1., 'PerformanceByCategory/AP@0.5IOU/dog': 1.}


@pytest.mark.parametrize('options, problem', [
    ({'evaluate_corlocs': True}, 'evaluate_corlocs=True is not supported; it has to be False'),
    ({'evaluate_precision_recall': True}, 'evaluate_precision_recall'), ({'group_of_weight': 1.}, 'group_of_weight'),
    ({'nms_iou_threshold': .5}, 'nms_iou_threshold'), ({'nms_max_output_boxes': 5}, 'nms_max_output_boxes')])
def test_options_that_are_not_supported(options, problem):
    with pytest.raises(ValueError, match=problem):
        evaluation.ObjectDetectionEvaluator(PETS, **options)
    with pytest.raises(ValueError, match='1-indexed'):
        evaluation.ObjectDetectionEvaluator([{'id': 0, 'name': 'dog'}])


def test_images_twice_and_without_groundtruth(caplog):
    evaluator = evaluation.PascalDetectionEvaluator(PETS)
    for _ in range(2):
        evaluator.add_single_ground_truth_image_info('a', truth())
    for _ in range(2):
        evaluator.add_single_detected_image_info('a', found())
    assert caplog.text.count('already added') == 2
    assert evaluator.evaluate()['PascalBoxes_Precision/mAP@0.5IOU'] == 1.
    evaluator.add_single_detected_image_info('b', found(scores=[.95]))
    assert evaluator.evaluate()['PascalBoxes_Precision/mAP@0.5IOU'] == .5
    evaluator.clear()
    assert math.isnan(evaluator.evaluate()['PascalBoxes_Precision/mAP@0.5IOU'])


def test_evaluate_changes_nothing():
    evaluator = evaluation.PascalDetectionEvaluator(PETS)
    evaluator.add_single_ground_truth_image_info('a', truth())
    assert evaluator.evaluate()['PascalBoxes_Precision/mAP@0.5IOU'] == 0.
    evaluator.add_single_detected_image_info('a', found())
    assert evaluator.evaluate()['PascalBoxes_Precision/mAP@0.5IOU'] == 1.


@pytest.mark.parametrize('traced', [False, True])
def test_tensors(traced):
    """A batch of two padded images, then one image alone."""
    evaluator = evaluation.PascalDetectionEvaluator(PETS)
    add = tf.function(evaluator.add_eval_dict) if traced else evaluator.add_eval_dict
    boxes = tf.constant([[UNIT, UNIT]] * 2)
    add({'key': tf.constant(['a', 'b']), 'groundtruth_boxes': boxes, 'groundtruth_classes': tf.constant([[1, 1]] * 2),
         'num_groundtruth_boxes': tf.constant([1, 0]), 'detection_boxes': boxes,
         'detection_scores': tf.constant([[.9, .8], [.3, .2]]), 'detection_classes': tf.constant([[1, 1]] * 2),
         'num_detections': tf.constant([1., 0.]), 'original_image': tf.zeros([2, 5, 5, 3])})
    add({'key': tf.constant('c'), 'groundtruth_boxes': boxes[0, :1], 'groundtruth_classes': tf.constant([1]),
         'detection_boxes': boxes[0, :1], 'detection_scores': tf.constant([.7]),
         'detection_classes': tf.constant([2])})
    assert evaluator.evaluate()['PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog'] == .5


def test_what_is_not_here_says_why():
    with pytest.raises(AttributeError, match='Open Images Challenge'):
        evaluation.OpenImagesChallengeEvaluator  # noqa: B018
