import copy
import json

import numpy as np
import pytest

from object_detection.metrics import coco_tools

PETS = [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}, {'id': 3, 'name': 'car'}]
BOXES = np.array([[10., 20., 60., 100.], [0., 0., 10., 10.]])  # ymin, xmin, ymax, xmax


def groundtruth(**options):
    return coco_tools.ExportSingleImageGroundtruthToCoco('a', 5, {1, 2}, BOXES, np.array([1, 2]), **options)


def test_groundtruth_of_an_image():
    first, second = groundtruth()
    assert first == {'id': 5, 'image_id': 'a', 'category_id': 1, 'bbox': [20., 10., 80., 50.], 'area': 4000.,
                     'iscrowd': 0}
    assert (second['id'], second['bbox']) == (6, [0., 0., 10., 10.])


def test_areas_crowds_and_classes():
    first, second = groundtruth(groundtruth_is_crowd=np.array([1, 0]), groundtruth_area=np.array([0., 7.]))
    assert (first['iscrowd'], first['area'], second['area']) == (1, 4000., 7.)
    [kept] = coco_tools.ExportSingleImageGroundtruthToCoco('a', 5, {2}, BOXES, np.array([1, 2]))
    assert (kept['id'], kept['category_id']) == (6, 2)
    json.dumps([first, second])


def test_masks_are_run_lengths():
    """Column by column: 0 zeros, 4 ones; 3 zeros, 1 one; 4 zeros."""
    masks = np.array([[[1, 1], [1, 1]], [[0, 0], [0, 1]], [[0, 0], [0, 0]]], np.uint8)
    annotations = coco_tools.ExportSingleImageDetectionMasksToCoco('a', {1}, masks, np.array([.9, .8, .7]),
                                                                   np.array([1, 1, 1]))
    assert [annotation['segmentation'] for annotation in annotations] == [
        {'size': [2, 2], 'counts': counts} for counts in ('04', '31', '4')]
    assert groundtruth(groundtruth_masks=masks[:2])[1]['segmentation']['counts'] == '31'


def test_keypoints():
    points = np.array([[[1., 2.], [3., 4.]]] * 2)
    first, _ = groundtruth(groundtruth_keypoints=points, groundtruth_keypoint_visibilities=np.array([[2, 0], [1, 1]]))
    assert (first['keypoints'], first['num_keypoints']) == ([2, 1, 2, 4, 3, 0], 1)
    assert groundtruth(groundtruth_keypoints=points)[0]['keypoints'] == [2, 1, 2, 4, 3, 2]
    detected = coco_tools.ExportSingleImageDetectionBoxesToCoco('a', {1}, BOXES, np.array([.5, .25]), np.array([1, 3]),
                                                                points)
    assert detected == [{'image_id': 'a', 'category_id': 1, 'bbox': [20., 10., 80., 50.], 'score': .5,
                         'keypoints': [2, 1, 2, 4, 3, 2], 'num_keypoints': 2}]


def test_files(tmp_path):
    ids, classes = ['a', 'b'], [np.array([1, 2]), np.array([2])]
    boxes, scores = [BOXES, BOXES[1:]], [np.array([.5, .25]), np.array([1 / 3])]
    dataset = coco_tools.ExportGroundtruthToCOCO(ids, boxes, classes, PETS, tmp_path / 'truth.json')
    assert json.loads((tmp_path / 'truth.json').read_text()) == dataset
    assert [annotation['id'] for annotation in dataset['annotations']] == [1, 2, 3]
    found = coco_tools.ExportDetectionsToCOCO(ids, boxes, scores, classes, PETS, str(tmp_path / 'found.json'))
    written = json.loads((tmp_path / 'found.json').read_text())
    assert (found[2]['score'], written[2]['score']) == (1 / 3, .3333)
    masks = [np.ones([2, 3, 4, 1], np.uint8), np.ones([1, 3, 4, 1], np.uint8)]
    assert len(coco_tools.ExportSegmentsToCOCO(ids, masks, scores, classes, PETS, tmp_path / 'masks.json')) == 3
    points = [np.array([[[1, 2], [3, 4], [5, 6]]] * 2), np.array([[[1, 2], [3, 4], [5, 6]]])]
    categories = [{'id': 1, 'name': 'dog', 'num_keypoints': 2}, *PETS[1:]]
    assert coco_tools.ExportKeypointsToCOCO(ids, points, scores, classes, categories, tmp_path / 'points.json') == [
        {'image_id': 'a', 'category_id': 1, 'keypoints': [1, 2, 1, 3, 4, 1], 'score': .5}]


@pytest.mark.parametrize('function, arrays', [
    (coco_tools.ExportGroundtruthToCOCO, ([BOXES], [np.array([1])])),  # two boxes, one class
    (coco_tools.ExportGroundtruthToCOCO, ([BOXES[:, :3]], [np.array([1, 2])])),
    (coco_tools.ExportGroundtruthToCOCO, ([BOXES[0]], [np.array([1])])),
    (coco_tools.ExportGroundtruthToCOCO, ([BOXES], [np.array([[1], [2]])])),
    (coco_tools.ExportGroundtruthToCOCO, ([], [])),
    (coco_tools.ExportDetectionsToCOCO, ([BOXES], [np.array([.5])], [np.array([1, 2])])),
    (coco_tools.ExportDetectionsToCOCO, ([BOXES], [], [np.array([1, 2])])),
    (coco_tools.ExportSegmentsToCOCO, ([np.ones([1, 3, 4], np.uint8)], [np.array([.5])], [np.array([1])])),
    (coco_tools.ExportKeypointsToCOCO, ([np.ones([1, 2])], [np.array([.5])], [np.array([1])])),
    (coco_tools.ExportKeypointsToCOCO, ([np.ones([1, 3, 2])], [np.array([.5])], [np.array([9])]))])
def test_arrays_that_do_not_fit(function, arrays):
    with pytest.raises(ValueError):
        function(['a'], *arrays, PETS)


def evaluate(ids, **options):
    """Two dogs found, one of two cats found: mAP of dogs 1, of cats 1 / 2 (51 of 101 points of recall)."""
    boxes, classes = [BOXES, BOXES], [np.array([1, 2]), np.array([1, 2])]
    dataset = coco_tools.ExportGroundtruthToCOCO(ids, boxes, classes, PETS)
    detections = coco_tools.ExportDetectionsToCOCO(ids, [BOXES, BOXES[:1]], [np.array([.9, .8]), np.array([.7])],
                                                   [np.array([1, 2]), np.array([1])], PETS)
    given = copy.deepcopy([dataset, detections])
    wrapper = coco_tools.COCOWrapper(dataset)
    evaluator = coco_tools.COCOEvalWrapper(wrapper, wrapper.LoadAnnotations(detections), **options)
    assert [dataset, detections] == given
    return evaluator


@pytest.mark.parametrize('ids', [['a', 'b'], [b'a', b'b'], [0, 7], [np.int64(3), np.int64(1)], [7, 'a']])
def test_metrics_whatever_the_image_ids_are(ids, capsys):
    summary, of_classes = evaluate(ids).ComputeMetrics()
    assert summary['Precision/mAP'] == pytest.approx((1 + 51 / 101) / 2)
    assert (summary['Recall/AR@1'], summary['Precision/mAP (large)'], of_classes) == (.75, -1, {})
    assert list(summary) == [name for name, _ in coco_tools.COCO_METRIC_NAMES_AND_INDEX]
    assert 'Average Precision  (AP) @[ IoU=0.50:0.95' in capsys.readouterr().out


def test_metrics_of_classes():
    summary, of_classes = evaluate([1, 2]).ComputeMetrics(True)
    assert of_classes == {'PerformanceByCategory/mAP/dog': pytest.approx(1),
                          'PerformanceByCategory/mAP/cat': pytest.approx(51 / 101),
                          'PerformanceByCategory/mAP/car': -1}
    _, everything = evaluate([1, 2]).ComputeMetrics(True, True, {'pet': ['dog', 'cat'], 'none': ['tree']})
    assert len(everything) == 3 * 13 + 2 * 13
    assert everything['Recall/AR@100 ByCategory/cat'] == .5
    assert everything['PerformanceBySuperCategory/pet'] == pytest.approx(summary['Precision/mAP'])
    assert everything['Recall/AR@1 BySuperCategory/pet'] == .75
    assert everything['PerformanceBySuperCategory/none'] == 0


def test_agnostic_mode():
    evaluator = evaluate([1, 2], agnostic_mode=True)
    summary, of_classes = evaluator.ComputeMetrics(True)
    assert evaluator.GetAgnosticMode() and of_classes == {}
    assert summary['Recall/AR@100'] == .75
    assert evaluator.GetCategory(2)['name'] == 'cat' and evaluator.GetCategoryIdList() == [1, 2, 3]


def test_wrong_use():
    dataset = coco_tools.ExportGroundtruthToCOCO(['a'], [BOXES], [np.array([1, 2])], PETS)
    with pytest.raises(ValueError, match='Unsupported detection type: boxes'):
        coco_tools.COCOWrapper(dataset, 'boxes')
    with pytest.raises(ValueError, match='not a list'):
        coco_tools.COCOWrapper(dataset).LoadAnnotations({})
    with pytest.raises(ValueError, match="no image 'b'"):
        coco_tools.COCOWrapper(dataset).LoadAnnotations([{'image_id': 'b', 'category_id': 1, 'bbox': [0, 0, 1, 1],
                                                          'score': 1}])
