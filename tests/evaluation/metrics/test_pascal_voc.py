"""Average precision on sets small enough to compute by hand."""
import numpy as np
import pytest

from object_detection.evaluation.metrics import PascalVoc
from object_detection.evaluation.metrics.pascal_voc import average_precision

NAMES = {1: 'cat', 2: 'dog'}
ONE, FAR = [0, 0, 10, 10], [50, 50, 60, 60]


def truth(*boxes, classes=None, masks=None, **flags):
    count = len(boxes)
    return {'boxes': np.array(boxes, np.float32).reshape(-1, 4), 'classes': classes or [1] * count, 'masks': masks,
            'difficult': [False] * count, 'group_of': [False] * count, **flags}


def found(*boxes, classes=None, scores=None, masks=None):
    count = len(boxes)
    scores = np.linspace(.9, .5, count) if scores is None else scores
    return {'boxes': np.array(boxes, np.float32).reshape(-1, 4), 'classes': classes or [1] * count,
            'scores': scores, 'masks': masks}


def without_masks(side):
    return {name: values for name, values in side.items() if name != 'masks'}


def values(pictures, **arguments):
    """Return the metrics, without the prefix of their names."""
    metric = PascalVoc(NAMES, **arguments)
    for there, detected in pictures:
        metric.add(*((there, detected) if arguments.get('masks') else (without_masks(there), without_masks(detected))))
    return {name.split('_', 1)[1]: value for name, value in metric.evaluate()}


def cat(*pictures, **arguments):
    return values(pictures, **arguments)['PerformanceByCategory/AP@0.5IOU/cat']


def test_names_and_classes_without_objects():
    numbers = PascalVoc(NAMES, 'PascalBoxes').evaluate()
    assert [name for name, _ in numbers] == [
        'PascalBoxes_Precision/mAP@0.5IOU', 'PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat',
        'PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog']
    assert all(np.isnan(value) for _, value in numbers)
    only_cats = values([(truth(ONE), found(ONE, FAR, classes=[1, 2]))])
    assert only_cats['Precision/mAP@0.5IOU'] == 1. and np.isnan(only_cats['PerformanceByCategory/AP@0.5IOU/dog'])


@pytest.mark.parametrize(('there', 'detected', 'expected'), [
    (truth(ONE), found([0, 0, 10, 5]), 1.),  # IoU of exactly one half is enough
    (truth(ONE), found([0, 0, 10, 4.9]), 0.),
    (truth(ONE, FAR), found(ONE), .5),
    (truth(ONE), found(FAR, ONE), .5),  # the wrong one scores higher
    (truth(ONE), found(ONE, FAR), 1.),
    (truth(ONE, FAR), found(ONE, ONE, FAR), .5 + .5 * 2 / 3),  # found again is wrong
    (truth(ONE), found([5, 5, 5, 5], ONE), 1.),  # boxes without area do not count
    (truth(), found(ONE), np.nan),
    (truth(ONE), found(), 0.),
    (truth(ONE, FAR, difficult=[False, True]), found(FAR, FAR, ONE), 1.),  # neither right nor wrong
    (truth(ONE, difficult=[True]), found(ONE), np.nan),
    (truth(ONE, classes=[7]), found(ONE, classes=[7]), np.nan),
    (truth(ONE, [0, 0, 10, 11]), found([0, 0, 10, 10.8], [0, 0, 10, 10.9]), .5),  # both belong to the second
])
def test_one_class_of_one_image(there, detected, expected):
    assert cat((there, detected)) == pytest.approx(expected, nan_ok=True)


def test_weighted_is_one_curve():
    there = truth(ONE, FAR, [0, 0, 90, 90], classes=[1, 1, 2])
    detected = found(ONE, FAR, ONE, classes=[1, 1, 2], scores=np.array([.9, .7, .8]))
    assert values([(there, detected)])['Precision/mAP@0.5IOU'] == .5
    weighted = values([(there, detected)], weighted=True)
    assert weighted['Precision/mAP@0.5IOU'] == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
    assert weighted['PerformanceByCategory/AP@0.5IOU/cat'] == 1.


def test_detections_inside_groups_do_not_count():
    there = truth(ONE, [40, 40, 80, 80], group_of=[False, True], difficult=[True, False])
    inside, half_outside = [50, 50, 60, 60], [70, 70, 90, 90]
    assert cat((there, found(inside, ONE)), group_of=True) == 1.
    assert cat((there, found(half_outside, ONE)), group_of=True) == .5
    assert np.isnan(cat((truth(ONE, group_of=[True]), found(ONE)), group_of=True))


def test_masks_and_objects_without_a_mask():
    def mask(*box):
        whole = np.zeros((20, 20), bool)
        whole[slice(box[0], box[2]), slice(box[1], box[3])] = True
        return whole

    box, other = (0, 0, 10, 10), (10, 10, 20, 20)
    there = truth(box, other, masks=np.stack([mask(*box), mask(0, 0, 0, 0)]))
    half, less = mask(0, 0, 10, 5), mask(0, 0, 10, 4)
    assert cat((there, found(box, masks=half[None])), masks=True) == 1.
    assert cat((there, found(box, masks=less[None])), masks=True) == 0.
    # What the second object's box matches is left out; a second one on it is wrong.
    both = found(other, box, masks=np.stack([mask(*other), half]))
    assert cat((there, both), masks=True) == 1.
    three = found(other, other, box, masks=np.stack([mask(*other), mask(*other), half]))
    assert cat((there, three), masks=True) == .5


def test_recall_bounds():
    scores, right = np.array([.9, .8, .7, .6]), np.array([True, False, True, True])
    # recall 1/3, 1/3, 2/3, 1 with precision 1, 1/2, 2/3, 3/4, or better at a higher recall
    assert average_precision(scores, right, 3) == pytest.approx(1 / 3 + 2 / 3 * .75)
    assert average_precision(scores, right, 3, (.5, .9)) == pytest.approx(2 / 3 * 2 / 3)
    name, value = PascalVoc(NAMES, 'PrecisionAtRecallBoxes', recall=(.5, .9)).evaluate()[0]
    assert name == 'PrecisionAtRecallBoxes_Precision/mAP@0.5IOU@[0.5,0.9]Recall' and np.isnan(value)


def test_names_beyond_ascii_are_decomposed_as_in_the_reference():
    assert PascalVoc({1: 'caf\xe9'}).evaluate()[1][0].endswith('/cafe\u0301')
