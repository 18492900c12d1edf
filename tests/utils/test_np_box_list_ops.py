"""np_box_ops, np_box_list, and np_box_list_ops."""
import numpy as np
import pytest

from object_detection.utils import np_box_list, np_box_list_ops, np_box_ops

A = np.array([[0., 0., 2., 2.], [1., 1., 3., 3.]])
B = np.array([[0., 0., 2., 4.], [5., 5., 6., 6.]])


def boxes(array, **fields):
    result = np_box_list.BoxList(np.array(array, float))
    for name, values in fields.items():
        result.add_field(name, np.array(values))
    return result


def test_areas_and_overlaps():
    np.testing.assert_array_equal(np_box_ops.area(B), [8, 1])
    np.testing.assert_array_equal(np_box_ops.intersection(A, B), [[4, 0], [2, 0]])
    np.testing.assert_allclose(np_box_ops.iou(A, B), [[4 / 8, 0], [2 / 10, 0]])
    np.testing.assert_allclose(np_box_ops.ioa(A, B), [[4 / 8, 0], [2 / 8, 0]])
    assert np_box_ops.iou(A[:0], B).shape == (0, 2)


def test_the_same_of_lists():
    a, b = boxes(A), boxes(B)
    np.testing.assert_array_equal(np_box_list_ops.area(b), np_box_ops.area(B))
    for name in ('intersection', 'iou', 'ioa'):
        np.testing.assert_array_equal(getattr(np_box_list_ops, name)(a, b), getattr(np_box_ops, name)(A, B))


def test_fields():
    box_list = boxes(A, scores=[.5, .7])
    assert (box_list.num_boxes(), box_list.get_extra_fields(), box_list.has_field('masks')) == (2, ['scores'], False)
    np.testing.assert_array_equal(box_list.get(), A)
    np.testing.assert_array_equal(box_list.get_coordinates(), A.T)
    with pytest.raises(ValueError, match='scores already exists'):
        box_list.add_field('scores', np.zeros(2))
    with pytest.raises(ValueError, match='there are 2 boxes'):
        box_list.add_field('classes', np.zeros(3))
    with pytest.raises(ValueError, match='masks does not exist'):
        box_list.get_field('masks')


@pytest.mark.parametrize('data', [[[0., 0., 1., 1.]], np.zeros(4), np.zeros([2, 3]), np.zeros([1, 4], int),
                                  np.array([[0., 0., -1., 1.]]), np.array([[0., 2., 1., 1.]])])
def test_what_is_no_box_list(data):
    with pytest.raises(ValueError):
        np_box_list.BoxList(data)


def test_gather_and_sort():
    box_list = boxes(np.repeat(A, 2, 0), scores=[.5, .7, .1, .6], classes=[1, 2, 3, 4])
    picked = np_box_list_ops.gather(box_list, np.array([3, 1]), ['classes'])
    assert (picked.get_field('classes').tolist(), picked.get_extra_fields()) == ([4, 2], ['classes'])
    assert np_box_list_ops.sort_by_field(box_list, 'scores').get_field('classes').tolist() == [2, 4, 1, 3]
    ascending = np_box_list_ops.sort_by_field(box_list, 'scores', np_box_list_ops.SortOrder.ASCEND)
    assert ascending.get_field('classes').tolist() == [3, 1, 4, 2]
    for indices in ([4], [-1]):
        with pytest.raises(ValueError, match='valid range'):
            np_box_list_ops.gather(box_list, np.array(indices))
    with pytest.raises(ValueError, match='does not exist'):
        np_box_list_ops.sort_by_field(box_list, 'area')
    with pytest.raises(ValueError, match='sort order'):
        np_box_list_ops.sort_by_field(box_list, 'scores', 3)


def test_nms():
    """The second box overlaps the first by 2 / 3, the third none."""
    box_list = boxes([[0, 0, 2, 2], [0, 0, 2, 3], [5, 5, 6, 6], [0, 0, 2, 2]], scores=[.9, .8, .7, -20])
    def kept(**options):
        return np_box_list_ops.non_max_suppression(box_list, **options).get_field('scores').tolist()
    assert kept(iou_threshold=.6) == [.9, .7]
    assert kept(iou_threshold=.7) == [.9, .8, .7]
    assert kept() == [.9, .8, .7]  # 1 turns it off; -20 is below the lowest score
    assert kept(max_output_size=1) == kept(iou_threshold=.6, max_output_size=1) == [.9]
    assert kept(score_threshold=.95) == []
    for options, problem in (({'iou_threshold': 1.5}, r'\[0, 1\], not 1.5'), ({'max_output_size': -1}, 'negative')):
        with pytest.raises(ValueError, match=problem):
            kept(**options)
    with pytest.raises(ValueError, match='scores'):
        np_box_list_ops.non_max_suppression(boxes(A))


def test_nms_of_classes():
    box_list = boxes([[0, 0, 2, 2], [0, 0, 2, 2.5]], scores=[[.9, .2], [.8, .3]])
    result = np_box_list_ops.multi_class_non_max_suppression(box_list, .25, .5, 5)
    assert result.get_field('scores').tolist() == [.9, .3]
    assert result.get_field('classes').tolist() == [0, 1]
    assert result.get().tolist() == [[0, 0, 2, 2], [0, 0, 2, 2.5]]
    one = np_box_list_ops.multi_class_non_max_suppression(boxes(A, scores=[.1, .2]), .5, .5, 5)
    assert one.num_boxes() == 0
    with pytest.raises(ValueError, match='must be a BoxList'):
        np_box_list_ops.multi_class_non_max_suppression(A, .5, .5, 5)


def test_windows():
    box_list = boxes([[0, 0, 2, 2], [1, 1, 5, 5], [8, 8, 9, 9]], scores=[1, 2, 3])
    window = np.array([0., 0., 4., 4.])
    clipped = np_box_list_ops.clip_to_window(box_list, window)
    assert (clipped.get().tolist(), clipped.get_field('scores').tolist()) == ([[0, 0, 2, 2], [1, 1, 4, 4]], [1, 2])
    assert np_box_list_ops.clip_to_window(box_list, window, filter_nonoverlapping=False).num_boxes() == 3
    inside, indices = np_box_list_ops.prune_outside_window(box_list, window)
    assert (inside.get_field('scores').tolist(), indices.tolist()) == ([1], [0])
    moved = np_box_list_ops.change_coordinate_frame(box_list, np.array([1., 1., 3., 5.]))
    assert moved.get()[1].tolist() == [0, 0, 2, 1]
    assert moved.get_field('scores').tolist() == [1, 2, 3]
    assert np_box_list_ops.scale(box_list, .5, 2.).get()[1].tolist() == [.5, 2, 2.5, 10]


def test_prune_by_overlap():
    """Shares of the boxes of A in the first of B: all, and 1 / 2."""
    for least, number in ((.9, 1), (.5, 2), (0., 2)):
        assert np_box_list_ops.prune_non_overlapping_boxes(boxes(A), boxes(B), least).num_boxes() == number


def test_concatenate():
    both = np_box_list_ops.concatenate([boxes(A, scores=[1, 2]), boxes(B, scores=[3, 4], classes=[5, 6])])
    assert (both.num_boxes(), both.get_field('scores').tolist(), both.get_extra_fields()) == (4, [1, 2, 3, 4],
                                                                                             ['scores'])
    for lists in ([], boxes(A), [A], [boxes(A, scores=[1, 2]), boxes(B)],
                  [boxes(A, scores=[1, 2]), boxes(B, scores=[[1], [2]])]):
        with pytest.raises(ValueError):
            np_box_list_ops.concatenate(lists)


def test_scores_above():
    for scores in ([.2, .6], [[.2], [.6]]):
        assert np_box_list_ops.filter_scores_greater_than(boxes(A, scores=scores), .2).num_boxes() == 1
    for bad in (A, boxes(A), boxes(A, scores=[[1, 2], [3, 4]]), boxes(A, scores=[[[1]], [[2]]])):
        with pytest.raises(ValueError):
            np_box_list_ops.filter_scores_greater_than(bad, .5)
