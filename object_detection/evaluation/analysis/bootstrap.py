"""How much mAP would differ on another test set of the same size (Efron 1979): pictures drawn with replacement.

The detections are matched once. A resample only changes how often each picture counts, so precision and recall of all
resamples are cumulative sums of weights, for all at once. Two evaluations of the same pictures use the same resamples,
so the differences between theirs say whether one is better (a paired bootstrap).
"""
import numpy as np

from object_detection.evaluation.analysis.matching import IOUS, Matched
from object_detection.evaluation.analysis.statistics import ranked

RESAMPLES = 200
CONFIDENCE = .95
_AT_ONCE = 4_000_000  # weights in memory


def resamples(matched: Matched, pictures: int) -> np.ndarray:
    """Return mAP of each resample minus that of the pictures as they are: float64 [RESAMPLES].

    AP is the area below the falling precision here, of which COCO's is the mean at 101 points.

    Args:
        pictures: number of pictures, with and without objects.
    """
    random = np.random.default_rng(0)
    weights = random.multinomial(pictures, np.full(pictures, 1 / max(pictures, 1)), RESAMPLES).astype(np.float32)
    weights = np.concatenate([np.ones([1, pictures], np.float32), weights])
    total, count = np.zeros(len(weights)), np.zeros(len(weights))
    for number in np.unique(matched.object_cls):
        rows = ranked(matched, matched.cls == number)
        objects = matched.object_picture[matched.object_cls == number]
        size = max(_AT_ONCE // max(len(rows), 1), 1)
        for first in range(0, len(weights), size):
            part = weights[first:first + size]
            positive = part[:, objects].sum(-1)
            values = np.mean([_areas(matched, rows, level, part, positive) for level in range(len(IOUS))], 0)
            total[first:first + size] += np.where(positive > 0., values, 0.)
            count[first:first + size] += positive > 0.
    mean = total / np.maximum(count, 1.)
    return mean[1:] - mean[0]


def _areas(matched: Matched, rows: np.ndarray, level: int, weights: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the AP of each resample at one IoU; precision counts only where recall grows."""
    rows = rows[~matched.ignored[rows, level]]
    places = np.flatnonzero(matched.right[rows, level])
    if not len(places):
        return np.zeros(len(weights))
    own = weights[:, matched.picture[rows[:places[-1] + 1]]]
    hits = own[:, places]
    precision = np.cumsum(hits, -1) / np.maximum(np.cumsum(own, -1)[:, places], 1.)
    precision = np.maximum.accumulate(precision[:, ::-1], -1)[:, ::-1]
    return (hits * precision).sum(-1) / np.maximum(positive, 1.)


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Return what the (low, high) end of an interval with CONFIDENCE adds to mAP, given `resamples`.

    It is the basic bootstrap, which turns the quantiles around: mAP of few pictures is too high on average, that of
    resamples even more so. Of 100 drawn test sets of 60 pictures, 94 intervals held the mAP of a very large one; of the
    quantiles themselves 81.
    """
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(-high), float(-low)


def tells_apart(first: np.ndarray, second: np.ndarray, difference: float) -> bool:
    """Return whether a difference in mAP between two evaluations of the same pictures is more than chance.

    Args:
        first, second: their `resamples`.
        difference: of their mAP, second minus first.
    """
    low, high = interval(np.asarray(second) - np.asarray(first))
    return not difference + low <= 0. <= difference + high
