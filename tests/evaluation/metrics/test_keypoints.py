"""Object keypoint similarity of one person, computed by hand."""
import numpy as np
import pytest

from object_detection.evaluation.metrics import Keypoints

BOX = [[0., 0., 40., 50.]]  # area 2000: medium
POINTS = np.array([[[10., 10.], [5., 5.], [20., 30.]]])  # y, x; the middle one belongs to another class


def values(points, visible=(True, True, True), sigmas=(.1, .1), area=0., crowd=False, class_id=1):
    metric = Keypoints(1, 'person', {0: sigmas[0], 2: sigmas[1]})
    metric.add({'boxes': BOX, 'classes': [1], 'is_crowd': [crowd], 'area': [area], 'keypoints': POINTS,
                'keypoint_visibilities': [visible]},
               {'boxes': BOX, 'classes': [class_id], 'scores': [.9], 'keypoints': points})
    return {name.removeprefix('Keypoints_').removesuffix(' ByCategory/person'): value
            for name, value in metric.evaluate()}


def off(similarity, sigma, area):
    """Return the distance d of a keypoint with this similarity, exp(-d^2 / (2 area (2 sigma)^2))."""
    return np.sqrt(-np.log(similarity) * 2 * area) * 2 * sigma


def test_names():
    assert list(Keypoints(3, 'dog', {0: None}).evaluate()) == [(f'Keypoints_{name} ByCategory/dog', -1.) for name in (
        'Precision/mAP', 'Precision/mAP@.50IOU', 'Precision/mAP@.75IOU', 'Precision/mAP (medium)',
        'Precision/mAP (large)', 'Recall/AR@1', 'Recall/AR@10', 'Recall/AR@100', 'Recall/AR@100 (medium)',
        'Recall/AR@100 (large)')]


def test_similarity_is_the_mean_of_the_keypoints():
    moved = POINTS.copy()
    moved[0, 2, 1] += off(.44, .1, 2000)  # with a perfect first one .72: good for .5, .55, .6, .65, .7
    moved[0, 1] += 100.  # not one of this class
    found = values(moved)
    assert found['Precision/mAP'] == found['Precision/mAP (medium)'] == pytest.approx(.5)
    assert found['Precision/mAP@.50IOU'] == pytest.approx(1.) and found['Precision/mAP@.75IOU'] == 0.
    assert found['Recall/AR@1'] == pytest.approx(.5) and found['Recall/AR@10'] == 1.  # in truth AR at .5
    assert found['Recall/AR@100'] == 0.  # and AR at .75
    assert found['Precision/mAP (large)'] == -1.


@pytest.mark.parametrize(('sigma', 'default'), [(.05, None), (.2, .2)])
def test_sigmas_and_the_area_of_the_records(sigma, default):
    moved = POINTS.copy()
    moved[0, :, 0] += off(.72, sigma, 1500)
    assert values(moved, sigmas=(default, default), area=1500.)['Precision/mAP'] == pytest.approx(.5)
    assert values(moved, sigmas=(default, default))['Precision/mAP'] > .5  # the larger box forgives more


def test_hidden_keypoints_do_not_count():
    moved = POINTS.copy()
    moved[0, 2] += 50.
    assert values(moved)['Precision/mAP@.75IOU'] == 0.
    assert values(moved, visible=(True, True, False))['Precision/mAP'] == pytest.approx(1.)


def test_objects_without_keypoints_and_crowds_are_ignored():
    assert values(POINTS, visible=(False, True, False))['Precision/mAP'] == -1.
    assert values(POINTS, crowd=True)['Precision/mAP'] == -1.


def test_detections_of_other_classes_do_not_count():
    assert values(POINTS, class_id=2)['Precision/mAP'] == 0.
