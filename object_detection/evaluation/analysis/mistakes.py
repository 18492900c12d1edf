"""Kinds of errors, as in TIDE (Bolya et al. 2020), and the pictures with the most of them. Imports no TensorFlow."""
import heapq
from typing import TYPE_CHECKING

import numpy as np

from object_detection.evaluation.analysis.matching import BACKGROUND_IOU, IOUS, Matched

if TYPE_CHECKING:
    from object_detection.evaluation.samples import Sample

RIGHT, CONFUSED, MISPLACED, BOTH, DOUBLE, FALSE = ('right', 'confused', 'badly placed', 'confused and badly placed',
                                                   'found twice', 'false')
MISSED = 'missed'
KINDS = (CONFUSED, MISPLACED, BOTH, DOUBLE, FALSE, MISSED)
KEPT = 12  # pictures


def kinds(part: Matched) -> list[str]:
    """Return the kind of each detection: RIGHT, or TIDE's first error that fits. '' for one inside a crowd."""
    strong = IOUS[0] - 1e-9
    return [RIGHT if right else '' if ignored else DOUBLE if same >= strong else CONFUSED if other >= strong else
            MISPLACED if same >= BACKGROUND_IOU else BOTH if other >= BACKGROUND_IOU else FALSE
            for right, ignored, same, other in zip(part.right[:, 0], part.ignored[:, 0], part.same, part.other)]


def count(matched: Matched, least: float) -> dict[str, int]:
    """Return {kind of error: number} of detections with a score of at least `least`, and of boxes without any.

    A box is missed if no detection, of any class, takes it at IoU 0.5.
    """
    chosen = matched.score >= least
    found = [kind for kind, counts in zip(kinds(matched), chosen) if counts]
    taken = np.unique(matched.paired[chosen & (matched.paired >= 0)])
    return {**{kind: found.count(kind) for kind in KINDS[:-1]}, MISSED: len(matched.object_cls) - len(taken)}


class Worst:
    """Keeps the pictures with the most errors while the evaluation runs.

    The threshold for detections is known at the end only, so wrong ones count with their score, and missed boxes with
    what their best detection lacks to a score of 1.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, Sample, Matched, int]] = []
        self._number = 0

    def add(self, name: str, sample: 'Sample', part: Matched, first: int) -> None:
        """Add a picture: its file name, its Sample and Matched, and the number of groundtruth boxes before it."""
        wrong = part.score[~part.right[:, 0] & ~part.ignored[:, 0]].sum()
        best = np.zeros(len(part.object_cls))
        pairs = (part.paired >= 0) & part.right[:, 0]
        np.maximum.at(best, part.paired[pairs] - first, part.score[pairs])
        entry = (float(wrong + (1. - best).sum()), -self._number, name, sample, part, first)
        self._number += 1
        if len(self._heap) < KEPT:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def extend(self, other: 'Worst', pictures: int, objects: int) -> None:
        """Add the pictures of another one, whose parts Matches.extend has numbered anew.

        Args:
            pictures, objects: how many were before them.
        """
        entries = [(score, number - pictures, name, sample, part, first + objects)
                   for score, number, name, sample, part, first in other._heap]
        self._heap = heapq.nlargest(KEPT, [*self._heap, *entries], key=lambda entry: entry[:2])
        heapq.heapify(self._heap)
        self._number += other._number

    def pictures(self, least: float) -> list[tuple[str, 'Sample', list[str], list[bool]]]:
        """Return (name, sample, kinds of its detections, whether each groundtruth box is missed), the worst first.

        Only detections with a score of at least `least` are counted and kept in the sample; pictures without an error
        are left out.
        """
        found = []
        for _, _, name, sample, part, first in sorted(self._heap, key=lambda entry: entry[:2], reverse=True):
            chosen = part.score >= least
            shown = [kind for kind, counts in zip(kinds(part), chosen) if counts]
            taken = part.paired[chosen & (part.paired >= 0)] - first
            missed = [number not in taken for number in range(len(part.object_cls))]
            if any(missed) or set(shown) - {RIGHT, ''}:
                found.append((name, sample, shown, missed))
        return found
