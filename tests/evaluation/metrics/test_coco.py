"""COCO metrics of boxes and masks, on sets small enough to compute by hand."""
import numpy as np
import pytest

from object_detection.evaluation.metrics import Coco
from tests.support.masks import filled

NAMES = {1: 'cat', 2: 'dog'}
NOTHING = np.zeros((0, 4), np.float32), [], []


class Boxes(Coco):
    """Coco whose `add` takes the arrays one by one."""

    def add(self, truth_boxes, truth_classes, truth_crowd, boxes, classes, scores):
        super().add({'boxes': truth_boxes, 'classes': truth_classes, 'is_crowd': truth_crowd},
                    {'boxes': boxes, 'classes': classes, 'scores': scores})


def values(collected):
    return {name.removeprefix('DetectionBoxes_'): value for name, value in collected.evaluate()}


def test_all_detected():
    coco = Boxes(NAMES)
    boxes = np.array([[10, 10, 30, 30], [0, 0, 50, 50], [0, 0, 100, 100]], np.float32)  # 20, 50 and 100 pixels a side
    coco.add(boxes, [1, 2, 1], [0, 0, 0], boxes, [1, 2, 1], [.9, .8, .7])
    found = values(coco)
    assert list(found) == [
        'Precision/mAP', 'Precision/mAP@.50IOU', 'Precision/mAP@.75IOU', 'Precision/mAP (small)',
        'Precision/mAP (medium)', 'Precision/mAP (large)', 'Recall/AR@1', 'Recall/AR@10', 'Recall/AR@100',
        'Recall/AR@100 (small)', 'Recall/AR@100 (medium)', 'Recall/AR@100 (large)']
    # AR@1 keeps the best detection of each class: of the two cats one is missed.
    assert found == {name: pytest.approx(.75 if name == 'Recall/AR@1' else 1.) for name in found}


def test_thresholds_and_size_ranges():
    coco = Boxes({1: 'cat'})
    coco.add([[0, 0, 10, 10]], [1], [0], [[0, 0, 10, 7.2]], [1], [.9])  # IoU .72: right up to .70, 5 of 10 thresholds
    found = values(coco)
    assert found['Precision/mAP'] == pytest.approx(.5) and found['Precision/mAP@.50IOU'] == pytest.approx(1.)
    assert found['Precision/mAP@.75IOU'] == 0. and found['Precision/mAP (small)'] == pytest.approx(.5)
    assert found['Precision/mAP (medium)'] == found['Precision/mAP (large)'] == -1.


def test_a_false_positive_with_a_higher_score_halves_precision():
    coco = Boxes({1: 'cat'})
    coco.add([[0, 0, 10, 10]], [1], [0], [[50, 50, 60, 60], [0, 0, 10, 10]], [1, 1], [.9, .8])
    assert values(coco)['Precision/mAP'] == pytest.approx(.5)


def test_a_score_that_is_not_a_number_ranks_last():
    coco = Boxes({1: 'cat'})
    coco.add([[0, 0, 10, 10]], [1], [0], [[50, 50, 60, 60], [0, 0, 10, 10]], [1, 1], [np.nan, .1])
    assert values(coco)['Precision/mAP'] == pytest.approx(1.)


def test_crowds_are_ignored():
    coco = Boxes({1: 'cat'})
    coco.add([[0, 0, 10, 10], [50, 50, 90, 90]], [1, 1], [False, True],
             [[60, 60, 70, 70], [0, 0, 10, 10]], [1, 1], [.9, .8])  # the first lies in the crowd
    assert values(coco)['Precision/mAP'] == pytest.approx(1.)


def test_pictures_without_objects_and_without_detections():
    coco = Boxes({1: 'cat'})
    coco.add([[0, 0, 10, 10]], [1], [0], [[0, 0, 10, 10]], [1], [.8])
    coco.add(*NOTHING, [[0, 0, 10, 10]], [1], [.9])  # wrong, and before the right one
    coco.add([[0, 0, 10, 10]], [1], [0], *NOTHING)  # missed
    found = values(coco)
    assert found['Recall/AR@100'] == pytest.approx(.5)
    assert found['Precision/mAP'] == pytest.approx(51 / 101 * .5)  # precision 1/2 up to recall 1/2


def test_no_objects():
    coco = Boxes(NAMES)
    coco.add(*NOTHING, *NOTHING)
    assert set(values(coco).values()) == {-1.}


def test_classes_outside_the_label_map_do_not_count():
    coco = Boxes({1: 'cat'})
    coco.add([[0, 0, 10, 10], [0, 0, 10, 10]], [1, 7], [0, 0],
             [[0, 0, 10, 10], [0, 0, 10, 10]], [7, 1], [.9, .8])
    assert values(coco)['Precision/mAP'] == pytest.approx(1.)


def test_per_category():
    coco = Boxes(NAMES, all_per_category=True)
    coco.add([[0, 0, 10, 10], [50, 50, 90, 90]], [1, 2], [0, 0], [[0, 0, 10, 10]], [1], [.9])
    found = values(coco)
    assert found['PerformanceByCategory/mAP/cat'] == pytest.approx(1.)
    assert found['PerformanceByCategory/mAP/dog'] == 0.
    assert found['Precision/mAP@.50IOU ByCategory/cat'] == pytest.approx(1.)
    assert found['Precision/mAP'] == pytest.approx(.5)


@pytest.mark.parametrize('boxes_only', [True, False])
def test_pictures_without_masks_do_not_count_for_masks(boxes_only):
    """One image whose mask is detected, and one whose object is detected but has no mask in the record."""
    coco = Coco({1: 'cat'}, 'DetectionMasks', masks=True)
    mask, box = np.zeros((1, 20, 20), np.uint8), np.array([[0, 0, 10, 10]], np.float32)
    mask[0, :10, :10] = 1
    found = {'boxes': box, 'classes': [1], 'scores': [.9], 'masks': mask}
    coco.add({'boxes': box, 'classes': [1], 'is_crowd': [0], 'masks': mask, 'instance_mask_weights': [1.]}, found)
    coco.add({'boxes': box, 'classes': [1], 'is_crowd': [0], 'masks': 0 * mask,
              'instance_mask_weights': [0. if boxes_only else 1.]}, found)
    # Counted, the second is one object of two missed: recall 1/2, so precision is 1 at 51 of the 101 recalls.
    assert dict(coco.evaluate())['DetectionMasks_Precision/mAP'] == pytest.approx(1. if boxes_only else 51 / 101)


def test_masks():
    coco = Coco({1: 'cat', 2: 'dog'}, 'DetectionMasks', masks=True, per_category=True)
    truth = filled((0, 0, 20, 20), (20, 20, 40, 60))
    boxes = np.array([[0, 0, 20, 20], [20, 20, 40, 60]], np.float32)
    found = filled((0, 0, 20, 20), (20, 20, 40, 46))  # the second covers 26 of 40 columns: IoU .65
    coco.add({'boxes': boxes, 'classes': [1, 2], 'is_crowd': [False, False], 'masks': truth},
             {'boxes': boxes, 'classes': [1, 2], 'scores': [.9, .8], 'masks': found})
    nothing = {'boxes': np.zeros((0, 4)), 'classes': [], 'masks': filled()}
    coco.add(nothing | {'is_crowd': []}, nothing | {'scores': []})
    values = dict(coco.evaluate())
    assert values['DetectionMasks_Precision/mAP@.50IOU'] == pytest.approx(1.)
    assert values['DetectionMasks_Precision/mAP@.75IOU'] == pytest.approx(.5)
    assert values['DetectionMasks_Precision/mAP'] == pytest.approx((1. + .4) / 2)  # .5, .55, .6, .65
    assert values['DetectionMasks_PerformanceByCategory/mAP/dog'] == pytest.approx(.4)
    assert values['DetectionMasks_Precision/mAP (small)'] == pytest.approx((1. + .4) / 2)
    assert len(values) == 14


def test_no_masks_at_all():
    coco = Coco({1: 'cat'}, 'DetectionMasks', masks=True)
    box, mask = np.array([[0, 0, 10, 10]], np.float32), np.ones((1, 20, 20), np.uint8)
    coco.add({'boxes': box, 'classes': [1], 'is_crowd': [0], 'masks': 0 * mask, 'instance_mask_weights': [0.]},
             {'boxes': box, 'classes': [1], 'scores': [.9], 'masks': mask})
    assert set(dict(coco.evaluate()).values()) == {-1.}


def test_classes_without_groundtruth_take_no_memory_and_change_nothing():
    """10,000 classes, of which two have groundtruth: tables of two classes, and the means of a run with two classes."""
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32)
    groundtruth = {'boxes': boxes, 'classes': np.array([7, 9000]), 'is_crowd': np.zeros(2, bool)}
    detections = {'boxes': np.concatenate([boxes + 1, boxes]), 'classes': np.array([7, 9000, 12, 7]),
                  'scores': np.array([.9, .8, .7, .6])}

    def evaluated(categories):
        metric = Coco(categories, per_category=True)
        metric.add(groundtruth, detections)
        return metric._annotations.compare('bbox').eval['precision'].shape[2], dict(metric.evaluate())

    (classes, many), (_, few) = (evaluated({number: str(number) for number in ids})
                                 for ids in (range(1, 10_001), (7, 9000)))
    assert classes == 2
    assert {name: many[name] for name in few} == few
    assert len(many) == 12 + 10_000 and many['DetectionBoxes_PerformanceByCategory/mAP/12'] == -1
