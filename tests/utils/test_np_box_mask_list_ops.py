"""np_mask_ops, np_box_mask_list, and np_box_mask_list_ops."""
import numpy as np
import pytest

from object_detection.utils import np_box_list, np_box_mask_list, np_box_mask_list_ops, np_mask_ops

BOXES = np.array([[0., 0., 1., 4.], [0., 0., 1., 4.], [0., 0., 1., 4.]])
MASKS = np.array([[[1, 1, 1, 0]], [[0, 1, 1, 0]], [[0, 0, 0, 1]]], np.uint8)  # [3, 1, 4]


def objects(indices=(0, 1, 2), **fields):
    indices = list(indices)
    result = np_box_mask_list.BoxMaskList(BOXES[indices], MASKS[indices])
    for name, values in fields.items():
        result.add_field(name, np.array(values))
    return result


def test_areas_and_overlaps():
    np.testing.assert_array_equal(np_mask_ops.area(MASKS), [3, 2, 1])
    np.testing.assert_array_equal(np_mask_ops.intersection(MASKS, MASKS[:2]), [[3, 2], [2, 2], [0, 0]])
    np.testing.assert_allclose(np_mask_ops.iou(MASKS, MASKS[:1]), [[1], [2 / 3], [0]], rtol=1e-6)
    np.testing.assert_allclose(np_mask_ops.ioa(MASKS[:1], MASKS), [[1, 1, 0]], rtol=1e-6)
    np.testing.assert_array_equal(np_mask_ops.iou(0 * MASKS, 0 * MASKS), np.zeros([3, 3]))
    assert np_mask_ops.iou(MASKS[:0], MASKS).shape == (0, 3)
    for function, number in ((np_mask_ops.area, 1), (np_mask_ops.iou, 2), (np_mask_ops.ioa, 2)):
        with pytest.raises(ValueError, match=r'np\.uint8'):
            function(*[MASKS.astype(bool)] * number)


def test_the_same_of_lists():
    np.testing.assert_array_equal(np_box_mask_list_ops.area(objects()), [3, 2, 1])
    for name in ('intersection', 'iou', 'ioa'):
        np.testing.assert_array_equal(getattr(np_box_mask_list_ops, name)(objects(), objects([1])),
                                      getattr(np_mask_ops, name)(MASKS, MASKS[[1]]))


@pytest.mark.parametrize('masks', [[[1]], MASKS[0], MASKS.astype(bool), MASKS[:2]])
def test_masks_that_do_not_fit(masks):
    with pytest.raises(ValueError):
        np_box_mask_list.BoxMaskList(BOXES, masks)


def test_box_list_with_masks():
    box_list = np_box_list.BoxList(BOXES)
    with pytest.raises(ValueError, match='masks'):
        np_box_mask_list_ops.box_list_to_box_mask_list(box_list)
    box_list.add_field('masks', MASKS)
    box_list.add_field('scores', np.arange(3))
    result = np_box_mask_list_ops.box_list_to_box_mask_list(box_list)
    np.testing.assert_array_equal(result.get_masks(), MASKS)
    assert result.get_extra_fields() == ['masks', 'scores']


def test_masks_stay_with_their_boxes():
    given = objects(scores=[.1, .9, .5])
    fields = ['scores']
    picked = np_box_mask_list_ops.gather(given, np.array([2, 0]), fields)
    np.testing.assert_array_equal(picked.get_masks(), MASKS[[2, 0]])
    assert fields == ['scores']
    np.testing.assert_array_equal(np_box_mask_list_ops.sort_by_field(given, 'scores').get_masks(), MASKS[[1, 2, 0]])
    both = np_box_mask_list_ops.concatenate([given, objects([0], scores=[.3])], fields=['scores'])
    assert both.get_masks().shape == (4, 1, 4)
    assert np_box_mask_list_ops.filter_scores_greater_than(given, .4).num_boxes() == 2
    with pytest.raises(ValueError, match='BoxMaskList'):
        np_box_mask_list_ops.filter_scores_greater_than(np_box_list.BoxList(BOXES), .4)


def test_nms_of_masks():
    given = objects(scores=[.9, .8, .7])
    def kept(threshold):
        return np_box_mask_list_ops.non_max_suppression(given, iou_threshold=threshold).get_field('scores').tolist()
    assert kept(.6) == [.9, .7]
    assert kept(.7) == [.9, .8, .7]
    result = np_box_mask_list_ops.multi_class_non_max_suppression(
        objects(scores=[[.9, .1], [.8, .6], [.7, .2]]), .15, .5, 5)
    assert result.get_field('scores').tolist() == [.9, .7, .6, .2]
    assert result.get_field('classes').tolist() == [0, 0, 1, 1]
    assert np_box_mask_list_ops.multi_class_non_max_suppression(objects(scores=[.1] * 3), .5, .5, 5).num_boxes() == 0
    with pytest.raises(ValueError):
        np_box_mask_list_ops.multi_class_non_max_suppression(np_box_list.BoxList(BOXES), .5, .5, 5)


def test_prune_by_overlap():
    pruned = np_box_mask_list_ops.prune_non_overlapping_masks(objects(), objects([1]), minoverlap=.5)
    np.testing.assert_array_equal(pruned.get_masks(), MASKS[:2])
