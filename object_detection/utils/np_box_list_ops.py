"""Operations on np_box_list.BoxList, under the reference's names. A `window` is (ymin, xmin, ymax, xmax)."""
from collections.abc import Callable, Sequence

import numpy as np

from object_detection.utils import np_box_ops
from object_detection.utils.np_box_list import BoxList


class SortOrder:
    """Order of sort_by_field."""

    ASCEND = 1
    DESCEND = 2


def area(boxlist: BoxList) -> np.ndarray:
    """Return the areas [N]."""
    return np_box_ops.area(boxlist.get())


def intersection(boxlist1: BoxList, boxlist2: BoxList) -> np.ndarray:
    """Return the intersection areas [N, M] of all pairs."""
    return np_box_ops.intersection(boxlist1.get(), boxlist2.get())


def iou(boxlist1: BoxList, boxlist2: BoxList) -> np.ndarray:
    """Return the intersection over union [N, M] of all pairs."""
    return np_box_ops.iou(boxlist1.get(), boxlist2.get())


def ioa(boxlist1: BoxList, boxlist2: BoxList) -> np.ndarray:
    """Return the intersection over the area of the box of boxlist2, [N, M], of all pairs."""
    return np_box_ops.ioa(boxlist1.get(), boxlist2.get())


def gather(boxlist: BoxList, indices: np.ndarray, fields: Sequence[str] | None = None) -> BoxList:
    """Return the boxes at these indices [K].

    Args:
        fields: names of the fields that the result has; None for all.
    Raises:
        ValueError: an index is out of range, or there is no such field.
    """
    if indices.size and (indices.max() >= boxlist.num_boxes() or indices.min() < 0):
        raise ValueError('indices are out of valid range.')
    names = boxlist.get_extra_fields() if fields is None else fields
    return _with_fields(boxlist.get()[indices], {name: boxlist.get_field(name)[indices] for name in names})


def sort_by_field(boxlist: BoxList, field: str, order: int = SortOrder.DESCEND) -> BoxList:
    """Return the boxes sorted by a field [N].

    Raises:
        ValueError: there is no such field, it has more than one dimension, or the order is none of SortOrder.
    """
    if boxlist.get_field(field).ndim != 1:
        raise ValueError(f'Field {field} should be single dimension.')
    if order not in (SortOrder.DESCEND, SortOrder.ASCEND):
        raise ValueError('Invalid sort order')
    indices = np.argsort(boxlist.get_field(field))
    return gather(boxlist, indices[::-1] if order == SortOrder.DESCEND else indices)


def non_max_suppression(boxlist: BoxList, max_output_size: int = 10000, iou_threshold: float = 1.,
                        score_threshold: float = -10.) -> BoxList:
    """Return the boxes that non-max suppression keeps, the highest scores first.

    Args:
        boxlist: with scores [N] of one class.
        max_output_size: most boxes of the result.
        iou_threshold: boxes that overlap a kept one by more than this are dropped; 1 drops none.
        score_threshold: boxes with this score or less are dropped.
    Raises:
        ValueError: there are no scores, or an argument is out of range.
    """
    check_nms(boxlist, iou_threshold, max_output_size)
    boxlist = sort_by_field(filter_scores_greater_than(boxlist, score_threshold), 'scores')
    boxes = boxlist.get()
    return gather(boxlist, select(len(boxes), max_output_size, iou_threshold,
                                  lambda i, others: np_box_ops.iou(boxes[i:i + 1], boxes[others])[0]))


def select(count: int, max_output_size: int, iou_threshold: float,
           iou_with: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the indices [K] that greedy non-max suppression keeps of `count` objects, best first.

    Args:
        iou_with: function of an index and of other indices [M] that returns their IoUs [M].
    """
    if iou_threshold == 1.:
        return np.arange(min(count, max_output_size))
    kept: list[int] = []
    remaining = np.arange(count)
    while len(remaining) and len(kept) < max_output_size:
        kept.append(int(remaining[0]))
        remaining = remaining[1:]
        remaining = remaining[iou_with(kept[-1], remaining) <= iou_threshold]
    return np.array(kept, np.int64)


def multi_class_non_max_suppression(boxlist: BoxList, score_thresh: float, iou_thresh: float, max_output_size: int
                                    ) -> BoxList:
    """Return the boxes that non-max suppression keeps of each class, the highest scores first.

    Args:
        boxlist: with scores [N] or [N, classes].
        max_output_size: most boxes of each class.
    Returns:
        Boxes with scores [K] and classes [K], which are the columns of the scores, from 0.
    Raises:
        ValueError: an argument is of the wrong kind or out of range.
    """
    if not isinstance(boxlist, BoxList):
        raise ValueError('boxlist must be a BoxList')
    check_nms(boxlist, iou_thresh, max_output_size)
    scores = scores_by_class(boxlist)
    results = []
    for class_index, class_scores in enumerate(scores.T):
        of_class = _with_fields(boxlist.get(), {'scores': class_scores})
        result = non_max_suppression(of_class, max_output_size, iou_thresh, score_thresh)
        result.add_field('classes', np.full_like(result.get_field('scores'), class_index))
        results.append(result)
    return sort_by_field(concatenate(results), 'scores')


def scores_by_class(boxlist: BoxList) -> np.ndarray:
    """Return the scores as [N, classes]; ValueError if they have another rank."""
    scores = boxlist.get_field('scores')
    if scores.ndim not in (1, 2):
        raise ValueError('scores field must be of rank 1 or 2')
    return scores if scores.ndim == 2 else scores[:, np.newaxis]


def scale(boxlist: BoxList, y_scale: float, x_scale: float) -> BoxList:
    """Return the boxes with their y and x coordinates multiplied."""
    return _like(boxlist, boxlist.get() * np.array([y_scale, x_scale] * 2, boxlist.get().dtype))


def clip_to_window(boxlist: BoxList, window: np.ndarray, filter_nonoverlapping: bool = True) -> BoxList:
    """Return the boxes clipped to a window, without those of which nothing remains unless filter_nonoverlapping=False.
    """
    window = np.asarray(window)
    clipped = _like(boxlist, np.clip(boxlist.get(), np.tile(window[:2], 2), np.tile(window[2:], 2)))
    return gather(clipped, np.flatnonzero(area(clipped) > 0.)) if filter_nonoverlapping else clipped


def prune_non_overlapping_boxes(boxlist1: BoxList, boxlist2: BoxList, minoverlap: float = 0.) -> BoxList:
    """Return the boxes of boxlist1 of which at least this share lies in one box of boxlist2."""
    return gather(boxlist1, np.flatnonzero(ioa(boxlist2, boxlist1).max(0) >= minoverlap))


def prune_outside_window(boxlist: BoxList, window: np.ndarray) -> tuple[BoxList, np.ndarray]:
    """Return the boxes that lie wholly in a window, and their indices [K]."""
    window = np.asarray(window)
    boxes = boxlist.get()
    indices = np.flatnonzero((boxes[:, :2] >= window[:2]).all(1) & (boxes[:, 2:] <= window[2:]).all(1))
    return gather(boxlist, indices), indices


def concatenate(boxlists: Sequence[BoxList], fields: Sequence[str] | None = None) -> BoxList:
    """Return all boxes of several lists.

    Args:
        fields: names of the fields that the result has; None for those of the first list.
    Raises:
        ValueError: there are no lists, or one lacks a field or has it in another shape.
    """
    if not isinstance(boxlists, list) or not boxlists:
        raise ValueError('boxlists should be a list with nonzero length')
    if not all(isinstance(boxlist, BoxList) for boxlist in boxlists):
        raise ValueError('all elements of boxlists should be BoxList objects')
    names = boxlists[0].get_extra_fields() if fields is None else fields
    for name in names:
        if len({boxlist.get_field(name).shape[1:] for boxlist in boxlists}) > 1:
            raise ValueError(f'field {name} must have same shape for all boxlists except for the 0th dimension.')
    return _with_fields(np.concatenate([boxlist.get() for boxlist in boxlists]),
                        {name: np.concatenate([boxlist.get_field(name) for boxlist in boxlists]) for name in names})


def filter_scores_greater_than(boxlist: BoxList, thresh: float) -> BoxList:
    """Return the boxes whose score, [N] or [N, 1], is above a threshold.

    Raises:
        ValueError: there are no such scores.
    """
    if not isinstance(boxlist, BoxList):
        raise ValueError('boxlist must be a BoxList')
    scores = scores_by_class(boxlist)
    if scores.shape[1] != 1:
        raise ValueError('Scores should have rank 1 or have shape consistent with [None, 1]')
    return gather(boxlist, np.flatnonzero(scores > thresh))


def change_coordinate_frame(boxlist: BoxList, window: np.ndarray) -> BoxList:
    """Return the boxes relative to a window, whose corners become (0, 0) and (1, 1)."""
    window = np.asarray(window)
    moved = _like(boxlist, boxlist.get() - np.tile(window[:2], 2).astype(boxlist.get().dtype))
    return scale(moved, 1. / (window[2] - window[0]), 1. / (window[3] - window[1]))


def check_nms(boxlist: BoxList, iou_threshold: float, max_output_size: int) -> None:
    if not boxlist.has_field('scores'):
        raise ValueError('Field scores does not exist')
    if not 0. <= iou_threshold <= 1.:
        raise ValueError(f'IOU threshold must be in [0, 1], not {iou_threshold}')
    if max_output_size < 0:
        raise ValueError(f'max_output_size must not be negative, not {max_output_size}')


def _like(boxlist: BoxList, boxes: np.ndarray) -> BoxList:
    return _with_fields(boxes, {name: boxlist.get_field(name) for name in boxlist.get_extra_fields()})


def _with_fields(boxes: np.ndarray, fields: dict[str, np.ndarray]) -> BoxList:
    result = BoxList(boxes)
    for name, values in fields.items():
        result.add_field(name, values)
    return result
