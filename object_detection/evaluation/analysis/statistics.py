"""Numbers of an evaluation by class, and over all of them: AP, recall, thresholds, confusions, curves, calibration."""
import dataclasses
from typing import Any

import numpy as np

from object_detection.evaluation.analysis.matching import IOUS, Matched

_RECALLS = np.linspace(0., 1., 101)  # of COCO's AP
_POINTS = 200  # of a curve that is kept
BINS = 10  # of the calibration


@dataclasses.dataclass(frozen=True)
class OneClass:
    """Numbers of one class. Those from `precision` on are at `threshold` and IoU 0.5.

    Attributes:
        label_id, name: the class.
        groundtruth: number of boxes that are no crowds.
        ap, ap50, ar: average precision over IOUS, at 0.5, and average recall; None without groundtruth.
        threshold: the score with the best F1; None if nothing right was found.
        precision, recall, f1: there.
        right, wrong, missed: numbers of detections and of groundtruth boxes there.
    """
    label_id: int
    name: str
    groundtruth: int
    ap: float | None
    ap50: float | None
    ar: float | None
    threshold: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    right: int
    wrong: int
    missed: int


def by_class(matched: Matched, names: dict[int, str]) -> list[OneClass]:
    """Return the numbers of each class of a label map {id: name}."""
    return [_one(matched, number, name) for number, name in sorted(names.items())]


def _one(matched: Matched, number: int, name: str) -> OneClass:
    rows = ranked(matched, matched.cls == number)
    total = int((matched.object_cls == number).sum())
    aps, recalls = [], []
    for level in range(len(IOUS)):
        counted = rows[~matched.ignored[rows, level]]
        right = matched.right[counted, level]
        aps.append(average_precision(right, total) if total else None)
        recalls.append(right.sum() / total if total else None)
    best = best_f1(matched, rows, total)
    mean = None if not total else float(np.mean([ap for ap in aps if ap is not None]))
    recall = None if not total else float(np.mean([value for value in recalls if value is not None]))
    return OneClass(number, name, total, mean, aps[0], recall, *best)


def ranked(matched: Matched, chosen: np.ndarray) -> np.ndarray:
    """Return the indices of chosen detections, best score first, the first picture first between equals."""
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(-matched.score[rows], kind='stable')]


def average_precision(right: np.ndarray, total: int) -> float:
    """Return COCO's AP: the mean of the precision, made falling, at 101 recalls.

    Args:
        right: bool [N], best score first.
        total: number of groundtruth boxes.
    """
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / total, _RECALLS, side='left')
    return float(np.append(precision, 0.)[np.minimum(places, len(right))].mean())


def best_f1(matched: Matched, rows: np.ndarray, total: int
            ) -> tuple[float | None, float | None, float | None, float | None, int, int, int]:
    """Return threshold, precision, recall, F1, and numbers of right, wrong and missed, at the best F1 and IoU 0.5.

    Args:
        rows: detections, best score first.
        total: number of groundtruth boxes.
    """
    rows = rows[~matched.ignored[rows, 0]]
    hits = np.cumsum(matched.right[rows, 0])
    if not total or not len(hits) or not hits[-1]:
        return None, None, None, None, 0, 0, total
    f1 = 2. * hits / (np.arange(1, len(rows) + 1) + total)
    scores = matched.score[rows]
    last = np.append(scores[1:] < scores[:-1], True)  # equal scores are on one side of any threshold
    best = int(np.where(last, f1, -1.).argmax())
    right, count = int(hits[best]), best + 1
    return float(scores[best]), right / count, right / total, float(f1[best]), right, count - right, total - right


def threshold(matched: Matched) -> float | None:
    """Return the score with the best F1 over all classes; None if nothing right was found."""
    return best_f1(matched, ranked(matched, np.ones(len(matched.cls), bool)), len(matched.object_cls))[0]


def confusion(matched: Matched, names: dict[int, str], least: float) -> dict[str, Any]:
    """Return {'labels', 'matrix'}: rows are groundtruth, columns detections with a score of at least `least`.

    The last row and column are the background: false and missed objects. Detections and boxes are paired at IoU 0.5
    whatever their classes.
    """
    ids = sorted(names)
    place = {number: index for index, number in enumerate(ids)}
    matrix = np.zeros([len(ids) + 1, len(ids) + 1], int)
    chosen = (matched.score >= least) & ~matched.ignored[:, 0]
    taken = np.zeros(len(matched.object_cls), bool)
    for cls, pair in zip(matched.cls[chosen], matched.paired[chosen]):
        row = place.get(int(matched.object_cls[pair]), -1) if pair >= 0 else -1
        matrix[row, place.get(int(cls), -1)] += 1
        if pair >= 0:
            taken[pair] = True
    for cls in matched.object_cls[~taken]:
        matrix[place.get(int(cls), -1), -1] += 1
    return {'labels': [*(names[number] for number in ids), 'background'], 'matrix': matrix.tolist()}


def curves(matched: Matched, chosen: np.ndarray, total: int) -> dict[str, list[float]]:
    """Return {'score', 'precision', 'recall', 'f1'} at IoU 0.5, thinned out to some points, by falling score."""
    rows = ranked(matched, chosen)
    rows = rows[~matched.ignored[rows, 0]]
    if not len(rows) or not total:
        return {'score': [], 'precision': [], 'recall': [], 'f1': []}
    hits, counts = np.cumsum(matched.right[rows, 0]), np.arange(1, len(rows) + 1)
    kept = np.unique(np.linspace(0, len(rows) - 1, _POINTS).astype(int))
    values = {'score': matched.score[rows], 'precision': hits / counts, 'recall': hits / total,
              'f1': 2. * hits / (counts + total)}
    return {name: np.round(value[kept], 5).tolist() for name, value in values.items()}


def calibration(matched: Matched) -> dict[str, Any]:
    """Return {'bins': [{'low', 'high', 'count', 'score', 'right'}], 'error'}.

    A bin has the mean score of its detections, and the share of them that are right at IoU 0.5. The error is the mean
    difference of the two, weighted by the detections (expected calibration error, Guo et al. 2017).
    """
    counted = ~matched.ignored[:, 0]
    score, right = matched.score[counted], matched.right[counted, 0]
    number = np.minimum((score * BINS).astype(int), BINS - 1)
    bins = [{'low': i / BINS, 'high': (i + 1) / BINS, 'count': int((number == i).sum()),
             'score': float(score[number == i].mean()), 'right': float(right[number == i].mean())}
            for i in range(BINS) if (number == i).any()]
    total = sum(entry['count'] for entry in bins)
    error = sum(entry['count'] * abs(entry['score'] - entry['right']) for entry in bins) / total if total else None
    return {'bins': bins, 'error': error}
