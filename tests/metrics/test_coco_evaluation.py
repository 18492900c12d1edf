import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from object_detection.metrics import coco_evaluation

PETS = [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}]
BOX, OTHER = [0., 0., 50., 50.], [60., 60., 90., 90.]
MASK = np.zeros([1, 60, 60], np.uint8)
MASK[0, :50, :50] = 1


def truth(boxes=(BOX,), classes=(1,), **arrays):
    return {'groundtruth_boxes': np.array(boxes).reshape(-1, 4), 'groundtruth_classes': np.array(classes, int),
            **{f'groundtruth_{name}': np.array(values) for name, values in arrays.items()}}


def found(boxes=(BOX,), scores=(.9,), classes=(1,), **arrays):
    return {'detection_boxes': np.array(boxes).reshape(-1, 4), 'detection_scores': np.array(scores),
            'detection_classes': np.array(classes, int),
            **{f'detection_{name}': np.array(values) for name, values in arrays.items()}}


def run(evaluator, *images):
    for i, (groundtruth, detections) in enumerate(images):
        evaluator.add_single_ground_truth_image_info(f'image{i}', groundtruth)
        if detections:
            evaluator.add_single_detected_image_info(f'image{i}', detections)
    return evaluator.evaluate()


def test_boxes():
    """A dog found, a dog missed: precision 1 up to a recall of 1 / 2, which are 51 of 101 points."""
    metrics = run(coco_evaluation.CocoDetectionEvaluator(PETS), (truth(), found()), (truth(), None))
    assert metrics['DetectionBoxes_Precision/mAP'] == pytest.approx(51 / 101)
    assert metrics['DetectionBoxes_Recall/AR@1'] == .5
    assert metrics['DetectionBoxes_Precision/mAP (medium)'] == pytest.approx(51 / 101)
    assert metrics['DetectionBoxes_Precision/mAP (small)'] == -1
    assert len(metrics) == 12


def test_metrics_of_classes():
    metrics = run(coco_evaluation.CocoDetectionEvaluator(PETS, include_metrics_per_category=True),
                  (truth([BOX, OTHER], [1, 2]), found()))
    assert metrics['DetectionBoxes_PerformanceByCategory/mAP/dog'] == pytest.approx(1)
    assert metrics['DetectionBoxes_PerformanceByCategory/mAP/cat'] == 0
    every = run(coco_evaluation.CocoDetectionEvaluator(PETS, True, True, super_categories={'pet': ['dog', 'cat']}),
                (truth([BOX, OTHER], [1, 2]), found()))
    assert every['DetectionBoxes_Recall/AR@100 ByCategory/dog'] == 1
    assert every['DetectionBoxes_PerformanceBySuperCategory/pet'] == pytest.approx(.5)


def test_crowds_and_areas():
    """A detection in a crowd does not count; the area says which objects are large."""
    metrics = run(coco_evaluation.CocoDetectionEvaluator(PETS), (
        truth([BOX, OTHER], [1, 1], is_crowd=[0, 1], area=[10000., 10.]),
        found([OTHER, BOX], [.95, .9], [1, 1])))
    assert metrics['DetectionBoxes_Precision/mAP'] == pytest.approx(1)
    assert metrics['DetectionBoxes_Precision/mAP (large)'] == pytest.approx(1)
    assert metrics['DetectionBoxes_Precision/mAP (medium)'] == -1


def test_classes_that_were_not_looked_for():
    """Of two detections of cats, one in an image where nobody looked for cats."""
    for skip, expected in ((False, .5), (True, 1.)):
        evaluator = coco_evaluation.CocoDetectionEvaluator(PETS, skip_predictions_for_unlabeled_class=skip)
        metrics = run(evaluator, (truth([], [], labeled_classes=[0., 1., 0.]), found(scores=[.95], classes=[2])),
                      (truth(classes=[2], labeled_classes=[0., 1., 1.]), found(classes=[2])))
        assert metrics['DetectionBoxes_Precision/mAP'] == pytest.approx(expected)
    with pytest.raises(ValueError, match=r'\(2,\), num_categories_including_background: 3'):
        evaluator.add_single_ground_truth_image_info('x', truth(labeled_classes=[1., 0.]))


def test_images_twice_and_without_groundtruth(caplog):
    evaluator = coco_evaluation.CocoDetectionEvaluator(PETS)
    run(evaluator, (truth(), found()))
    evaluator.add_single_ground_truth_image_info('image0', truth([OTHER]))
    evaluator.add_single_detected_image_info('image0', found([OTHER]))
    assert caplog.text.count('previously added') == 2
    assert evaluator.evaluate()['DetectionBoxes_Precision/mAP'] == pytest.approx(1)
    with pytest.raises(ValueError, match="Missing groundtruth for image id: 'b'"):
        evaluator.add_single_detected_image_info('b', found())
    evaluator.clear()
    assert run(evaluator, (truth(), None))['DetectionBoxes_Precision/mAP'] == 0


def test_detections_as_json(tmp_path):
    evaluator = coco_evaluation.CocoDetectionEvaluator(PETS)
    run(evaluator, (truth(), found(scores=[1 / 3])))
    evaluator.dump_detections_to_json_file(tmp_path / 'found.json')
    evaluator.dump_detections_to_json_file(None)
    assert json.loads((tmp_path / 'found.json').read_text()) == [
        {'image_id': 'image0', 'category_id': 1, 'bbox': [0, 0, 50, 50], 'score': .3333}]


def test_masks():
    half = MASK.copy()
    half[:, 40:] = 0  # IoU 4 / 5: right at .5 to .8, that is 7 of 10 thresholds
    for detected, expected in ((MASK, 1.), (half, .7), (1 - MASK, 0.)):
        evaluator = coco_evaluation.CocoMaskEvaluator(PETS, True)
        metrics = run(evaluator, (truth(instance_masks=MASK), found(masks=detected * .5)))
        assert metrics['DetectionMasks_Precision/mAP'] == pytest.approx(expected)
        assert metrics['DetectionMasks_PerformanceByCategory/mAP/dog'] == pytest.approx(expected)
    with pytest.raises(ValueError, match=r'\(1, 60, 60\) vs \(1, 50, 60\)'):
        evaluator.add_single_ground_truth_image_info('b', truth(instance_masks=MASK))
        evaluator.add_single_detected_image_info('b', found(masks=MASK[:, :50]))
    with pytest.raises(ValueError, match='Missing groundtruth'):
        evaluator.add_single_detected_image_info('c', found(masks=MASK))
    evaluator.clear()
    assert run(evaluator, (truth(instance_masks=MASK), None))['DetectionMasks_Precision/mAP'] == 0


def test_masks_as_json(tmp_path):
    evaluator = coco_evaluation.CocoMaskEvaluator(PETS)
    run(evaluator, (truth(instance_masks=MASK), found(masks=MASK)))
    evaluator.dump_detections_to_json_file(str(tmp_path / 'masks.json'))
    assert json.loads((tmp_path / 'masks.json').read_text())[0]['segmentation']['size'] == [60, 60]


def keypoint_evaluator(**options):
    return coco_evaluation.CocoKeypointEvaluator(1, [{'id': 2, 'name': 'tail'}, {'id': 0, 'name': 'nose'}], 'dog',
                                                 **options)


def test_keypoints():
    """The keypoints with the ids 0 and 2 are the class's; the others may be anywhere."""
    points = np.array([[[10., 10.], [np.nan, np.nan], [40., 40.]]])
    detected = np.array([[[10., 10.], [0., 0.], [40., 40.]]])
    for visible in ({}, {'keypoint_visibilities': [[2, 0, 2]]}):
        metrics = run(keypoint_evaluator(), (truth(keypoints=points, **visible), found(keypoints=detected)),
                      (truth(classes=[2], keypoints=points), found(classes=[2], keypoints=detected)))
        assert metrics['Keypoints_Precision/mAP ByCategory/dog'] == pytest.approx(1)
        assert len(metrics) == 10
    # hidden from the groundtruth, a keypoint may be anywhere
    metrics = run(keypoint_evaluator(), (truth(keypoints=points, keypoint_visibilities=[[2, 0, 0]]),
                                         found(keypoints=detected * [[[1.], [1.], [9.]]])))
    assert metrics['Keypoints_Precision/mAP ByCategory/dog'] == pytest.approx(1)


def test_sigmas_of_keypoints():
    """exp(-d² / (2 s k²)), the mean of 1 and exp(-25 / (2 * 2500 * (2 σ)²)): .69 and .99."""
    points = np.array([[[10., 10.], [0., 0.], [40., 40.]]])
    moved = points + [[[0., 0.], [0., 0.], [5., 0.]]]
    for sigma, expected in ((.035, .4), (.25, 1.)):  # right at .5 to .65: 4 of 10 thresholds
        metrics = run(keypoint_evaluator(oks_sigmas={'nose': .05, 'tail': sigma}),
                      (truth(keypoints=points, area=[2500.]), found(keypoints=moved)))
        assert metrics['Keypoints_Precision/mAP ByCategory/dog'] == pytest.approx(expected)


def test_no_objects_of_the_class():
    points = np.zeros([1, 3, 2])
    metrics = run(keypoint_evaluator(), (truth(classes=[2], keypoints=points), found(classes=[2], keypoints=points)))
    assert metrics['Keypoints_Precision/mAP ByCategory/dog'] == -1


def test_panoptic_quality():
    """Dogs: one found with IoU .8, one missed, one wrong: SQ .8, RQ 1 / (1 + .5 + .5). Cats: one found in a crowd."""
    masks = np.zeros([3, 10, 10], np.uint8)
    masks[0, :5], masks[1, 5:7], masks[2, 8:] = 1, 1, 1
    detected = np.zeros([3, 10, 10], np.uint8)
    detected[0, :4], detected[1, 7], detected[2, 9] = 1, 1, 1
    evaluator = coco_evaluation.CocoPanopticSegmentationEvaluator(PETS, include_metrics_per_category=True)
    evaluator.add_single_ground_truth_image_info('a', {
        'groundtruth_classes': np.array([1, 1, 2]), 'groundtruth_instance_masks': masks,
        'groundtruth_is_crowd': np.array([0, 0, 1])})
    evaluator.add_single_detected_image_info('a', {'detection_classes': np.array([1, 1, 2]),
                                                   'detection_masks': detected})
    assert evaluator.evaluate() == {
        'PanopticQuality@0.50IOU_ByCategory/dog': pytest.approx(.4), 'PanopticQuality@0.50IOU': pytest.approx(.4),
        'SegmentationQuality@0.50IOU': pytest.approx(.8), 'RecognitionQuality@0.50IOU': pytest.approx(.5),
        'NumValidClasses': 1, 'NumTotalClasses': 2}
    evaluator.clear()
    evaluator.add_single_ground_truth_image_info('a', {'groundtruth_classes': np.array([1]),
                                                       'groundtruth_instance_masks': masks[:1]})
    assert evaluator.evaluate()['PanopticQuality@0.50IOU'] == 0  # nothing was found
    for classes, shape, problem in (([1], (1, 9, 10), 'incompatible'), ([1, 1], (1, 10, 10), '1 masks and 2 classes')):
        with pytest.raises(ValueError, match=problem):
            evaluator.add_single_detected_image_info('a', {'detection_classes': np.array(classes),
                                                           'detection_masks': np.zeros(shape, np.uint8)})
    with pytest.raises(ValueError, match='Missing groundtruth'):
        evaluator.add_single_detected_image_info('b', {})
    with pytest.raises(ValueError, match='3 masks, 1 classes'):
        evaluator.add_single_ground_truth_image_info('b', {'groundtruth_classes': np.array([1]),
                                                           'groundtruth_instance_masks': masks})


@pytest.mark.parametrize('traced', [False, True])
def test_tensors(traced):
    """Padded objects do not count, nor do images that nobody annotated; masks end where the picture does."""
    masks = np.zeros([2, 2, 80, 80], np.uint8)
    masks[:, :, :60, :60] = MASK
    masks[:, :, 60:] = 1
    batch = {'key': tf.constant([3, 4]), 'groundtruth_boxes': tf.constant([[BOX, BOX]] * 2),
             'groundtruth_classes': tf.constant([[1, 1]] * 2), 'num_groundtruth_boxes': tf.constant([1, 2]),
             'groundtruth_instance_masks': tf.constant(masks), 'detection_masks': tf.constant(masks[:, :1]),
             'groundtruth_keypoints': tf.zeros([2, 2, 3, 2]), 'detection_keypoints': tf.zeros([2, 1, 3, 2]),
             'original_image_spatial_shape': tf.constant([[60, 60]] * 2), 'is_annotated': tf.constant([True, False]),
             'detection_boxes': tf.constant([[BOX]] * 2), 'detection_scores': tf.constant([[.9]] * 2),
             'detection_classes': tf.constant([[1.]] * 2), 'original_image': tf.zeros([2, 4, 4, 3])}
    single = {name: value[0] for name, value in batch.items() if 'num_' not in name}
    single.update(key=tf.constant('c'), groundtruth_boxes=tf.constant([BOX]), groundtruth_classes=tf.constant([1]),
                  groundtruth_instance_masks=tf.constant(masks[0, :1]), groundtruth_keypoints=tf.zeros([1, 3, 2]))
    for evaluator, name in ((coco_evaluation.CocoDetectionEvaluator(PETS), 'DetectionBoxes_Precision/mAP'),
                            (coco_evaluation.CocoMaskEvaluator(PETS), 'DetectionMasks_Precision/mAP'),
                            (keypoint_evaluator(), 'Keypoints_Precision/mAP ByCategory/dog'),
                            (coco_evaluation.CocoPanopticSegmentationEvaluator(PETS), 'PanopticQuality@0.50IOU')):
        add = tf.function(evaluator.add_eval_dict) if traced else evaluator.add_eval_dict
        add(batch)
        add(single)
        assert evaluator.evaluate()[name] == pytest.approx(1)


def test_binary_masks():
    assert coco_evaluation.convert_masks_to_binary(np.array([0., .1, 2.])).tolist() == [0, 1, 1]


def test_imports_no_tensorflow():
    code = 'import sys; from object_detection.metrics import coco_evaluation; print("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True
                          ).stdout.strip() == 'False'
