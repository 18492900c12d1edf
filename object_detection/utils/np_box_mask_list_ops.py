"""Operations on np_box_mask_list.BoxMaskList, under the reference's names: areas and overlaps are those of the masks.
"""
from collections.abc import Sequence

import numpy as np

from object_detection.utils import np_box_list_ops, np_mask_ops
from object_detection.utils.np_box_list import BoxList
from object_detection.utils.np_box_list_ops import SortOrder
from object_detection.utils.np_box_mask_list import BoxMaskList


def box_list_to_box_mask_list(boxlist: BoxList) -> BoxMaskList:
    """Return a BoxList with the field 'masks' as a BoxMaskList.

    Raises:
        ValueError: there is no such field.
    """
    result = BoxMaskList(boxlist.get(), boxlist.get_field('masks'))
    for name in boxlist.get_extra_fields():
        if name != 'masks':
            result.add_field(name, boxlist.get_field(name))
    return result


def area(box_mask_list: BoxMaskList) -> np.ndarray:
    """Return the areas of the masks, float32 [N]."""
    return np_mask_ops.area(box_mask_list.get_masks())


def intersection(box_mask_list1: BoxMaskList, box_mask_list2: BoxMaskList) -> np.ndarray:
    """Return the intersection areas, float32 [N, M], of all pairs."""
    return np_mask_ops.intersection(box_mask_list1.get_masks(), box_mask_list2.get_masks())


def iou(box_mask_list1: BoxMaskList, box_mask_list2: BoxMaskList) -> np.ndarray:
    """Return the intersection over union, float32 [N, M], of all pairs."""
    return np_mask_ops.iou(box_mask_list1.get_masks(), box_mask_list2.get_masks())


def ioa(box_mask_list1: BoxMaskList, box_mask_list2: BoxMaskList) -> np.ndarray:
    """Return the intersection over the area of the mask of box_mask_list2, float32 [N, M], of all pairs."""
    return np_mask_ops.ioa(box_mask_list1.get_masks(), box_mask_list2.get_masks())


def gather(box_mask_list: BoxMaskList, indices: np.ndarray, fields: Sequence[str] | None = None) -> BoxMaskList:
    """Like np_box_list_ops.gather; the result always has masks."""
    return box_list_to_box_mask_list(np_box_list_ops.gather(box_mask_list, indices, _with_masks(fields)))


def sort_by_field(box_mask_list: BoxMaskList, field: str, order: int = SortOrder.DESCEND) -> BoxMaskList:
    """Like np_box_list_ops.sort_by_field."""
    return box_list_to_box_mask_list(np_box_list_ops.sort_by_field(box_mask_list, field, order))


def non_max_suppression(box_mask_list: BoxMaskList, max_output_size: int = 10000, iou_threshold: float = 1.,
                        score_threshold: float = -10.) -> BoxMaskList:
    """Like np_box_list_ops.non_max_suppression, with the IoU of masks."""
    np_box_list_ops.check_nms(box_mask_list, iou_threshold, max_output_size)
    box_mask_list = sort_by_field(filter_scores_greater_than(box_mask_list, score_threshold), 'scores')
    masks = box_mask_list.get_masks()
    return gather(box_mask_list, np_box_list_ops.select(
        len(masks), max_output_size, iou_threshold,
        lambda i, others: np_mask_ops.iou(masks[i:i + 1], masks[others])[0]))


def multi_class_non_max_suppression(box_mask_list: BoxMaskList, score_thresh: float, iou_thresh: float,
                                    max_output_size: int) -> BoxMaskList:
    """Like np_box_list_ops.multi_class_non_max_suppression, with the IoU of masks."""
    if not isinstance(box_mask_list, BoxMaskList):
        raise ValueError('box_mask_list must be a box_mask_list')
    np_box_list_ops.check_nms(box_mask_list, iou_thresh, max_output_size)
    results: list[BoxList] = []
    for class_index, scores in enumerate(np_box_list_ops.scores_by_class(box_mask_list).T):
        of_class = BoxMaskList(box_mask_list.get(), box_mask_list.get_masks())
        of_class.add_field('scores', scores)
        result = non_max_suppression(of_class, max_output_size, iou_thresh, score_thresh)
        result.add_field('classes', np.full_like(result.get_field('scores'), class_index))
        results.append(result)
    return box_list_to_box_mask_list(np_box_list_ops.sort_by_field(np_box_list_ops.concatenate(results), 'scores'))


def prune_non_overlapping_masks(box_mask_list1: BoxMaskList, box_mask_list2: BoxMaskList, minoverlap: float = 0.
                                ) -> BoxMaskList:
    """Return the objects of the first list of whose mask at least this share lies in one mask of the second."""
    return gather(box_mask_list1, np.flatnonzero(ioa(box_mask_list2, box_mask_list1).max(0) >= minoverlap))


def concatenate(box_mask_lists: Sequence[BoxMaskList], fields: Sequence[str] | None = None) -> BoxMaskList:
    """Like np_box_list_ops.concatenate; the result always has masks."""
    return box_list_to_box_mask_list(np_box_list_ops.concatenate(box_mask_lists, _with_masks(fields)))


def filter_scores_greater_than(box_mask_list: BoxMaskList, thresh: float) -> BoxMaskList:
    """Like np_box_list_ops.filter_scores_greater_than."""
    if not isinstance(box_mask_list, BoxMaskList):
        raise ValueError('box_mask_list must be a BoxMaskList')
    return box_list_to_box_mask_list(np_box_list_ops.filter_scores_greater_than(box_mask_list, thresh))


def _with_masks(fields: Sequence[str] | None) -> list[str] | None:
    return None if fields is None else [*fields, *({'masks'} - set(fields))]
