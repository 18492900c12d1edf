"""Annotations that a detector contradicts: objects overlooked, labels swapped, boxes badly placed.

The scores are those of ObjectLab (Tkachenko, Thyagarajan, Mueller 2023, arXiv 2309.00832): from 0, surely an error, to
1. Two boxes are as similar as 0.9 IoU + 0.1 exp(-distance / 10), the distance being that of their centers in pixels.

    overlooked       for a confident detection on no annotation: its similarity to the nearest annotation of its label;
                     without one, the least similarity in the data set times (1 - probability)
    badly placed     for an annotation: its similarity to the nearest likely detection of its label that overlaps it
    swapped          for an annotation: 1 - its similarity to the nearest confident detection of another label

Two things differ from cleanlab, by the paper's authors. It takes the detector's scores for probabilities and calls
0.95 confident, 0.5 likely; detectors trained with a focal loss, such as those of the zoo, give a certain object 0.6. So
scores are scaled to the ones that a label's detections have where they agree with an annotation (`calibrate`). And each
error is reported once, with one detection per object (`_contradictions`): a swapped label is neither an object
overlooked nor a box badly placed. benchmarks/README.md has what both are worth.

cleanlab is no dependency: its license (AGPL) would bind everyone who uses this package.
"""
import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from object_detection.preparation.boxes import Detection, one_per_object
from object_detection.preparation.manifest import Picture

KINDS = ('overlooked', 'swapped', 'badly placed')
IOU_WEIGHT = 0.9
DISTANCE = 10.0  # pixels in which the similarity of centers falls to 1/e
CONFIDENT, LIKELY = 0.95, 0.5  # probabilities
TEMPERATURE = 0.1  # of the softmin that pools the scores of a picture
SAME = 0.5  # IoU from which a detection and an annotation mean the same object
QUANTILE = 0.1  # of the scores of detections that agree with an annotation: nine in ten of them are confident
ENOUGH = 10  # agreeing detections of a label to calibrate it by itself
LOOSE = 0.7  # a box that is more similar to its detection is well placed
EPSILON = 1e-100


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction between a picture's annotation and a detection.

    score: from 0, surely an error, to 1. annotation: index of the picture's box, None for an overlooked object.
    detection: (ymin, xmin, ymax, xmax), normalized to 0..1; label, confidence: its label and the detector's score.
    """
    path: str
    kind: str
    score: float
    annotation: int | None
    detection: tuple[float, float, float, float]
    label: str
    confidence: float


@dataclasses.dataclass(frozen=True)
class Pair:
    """The annotations (L) and detections (M) of one picture as arrays.

    boxes: [L, 4], detections: [M, 4]: ymin, xmin, ymax, xmax in pixels. labels: [L], detected: [M]: their labels.
    probabilities: [M].
    """
    boxes: np.ndarray
    labels: np.ndarray
    detections: np.ndarray
    detected: np.ndarray
    probabilities: np.ndarray


def check(pictures: Sequence[Picture], detections: Mapping[str, Sequence[Detection]],
          names: Mapping[int, str]) -> tuple[list[Finding], np.ndarray]:
    """Hold the boxes of pictures against detections. Goes through the pictures four times, holding one at a time.

    Args:
        pictures: with the boxes that are annotated; none: no object.
        detections: {path: [[ymin, xmin, ymax, xmax, score, class id], ...]}, normalized to 0..1, best first.
        names: {class id: label}; detections of other classes do not count.
    Returns:
        The findings, for each kind the worst first, and the ObjectLab score of each picture, [len(pictures)].
    """
    def known(picture):
        return [d for d in detections[picture.path] if d[5] in names]
    typical = calibrate(_pair(picture, known(picture), names) for picture in pictures)

    def pairs() -> Iterator[tuple[Picture, list[Detection], Pair]]:
        for picture in pictures:
            kept = one_per_object(d for d in known(picture) if _probability(d[4], typical[names[int(d[5])]]) > LIKELY)
            yield picture, kept, _pair(picture, kept, names, typical)
    least = least_similarity(pair for _, _, pair in pairs())
    qualities, findings = np.zeros(len(pictures)), []
    for i, (picture, kept, pair) in enumerate(pairs()):
        qualities[i] = quality(scores(pair, least))
        findings += [Finding(picture.path, kind, round(score, 6), annotation, (d[0], d[1], d[2], d[3]),
                             names[int(d[5])], d[4])
                     for kind, score, annotation, number in _contradictions(pair, least) for d in [kept[number]]]
    return sorted(findings, key=lambda f: (KINDS.index(f.kind), f.score, -f.confidence, f.path)), qualities


def calibrate(pairs: Iterable[Pair]) -> dict[str, float]:
    """Return {label: lowest decile of the scores of its detections that agree with an annotation}.

    A label with few of them has the decile of all labels; without any, scores count as probabilities.
    pairs: with scores as their probabilities.
    """
    agreeing = defaultdict(list)
    for pair in pairs:
        iou, _ = similarity(pair.boxes, pair.detections)
        agree = (iou >= SAME) & (pair.labels[:, None] == pair.detected[None])
        for i in np.flatnonzero(agree.any(1)):
            agreeing[str(pair.labels[i])].append(float(pair.probabilities[agree[i]].max()))
    every = [score for scores in agreeing.values() for score in scores]
    common = float(np.quantile(every, QUANTILE)) if every else CONFIDENT
    return defaultdict(lambda: common, {label: float(np.quantile(scores, QUANTILE))
                                        for label, scores in agreeing.items() if len(scores) >= ENOUGH})


def _probability(score, typical):
    return min(score * CONFIDENT / typical, 1.0)


def _pair(picture, detections, names, typical=None):
    """Return the Pair of a picture. typical: from calibrate; None leaves the detector's scores as they are."""
    sides = np.array([picture.jpg_height, picture.jpg_width] * 2, np.float64)
    detected = [names[int(d[5])] for d in detections]
    probabilities = [_probability(d[4], typical[label]) if typical else d[4] for d, label in zip(detections, detected)]
    return Pair(np.array([box.corners for box in picture.boxes]).reshape(-1, 4) * sides,
                np.array([box.label for box in picture.boxes], object),
                np.array([d[:4] for d in detections]).reshape(-1, 4) * sides,
                np.array(detected, object), np.array(probabilities, np.float64))


def _contradictions(pair: Pair, least: float) -> Iterator[tuple[str, float, int | None, int]]:
    """Yield (kind, score, index of the annotation or None, index of the detection), each error once.

    A detection on an annotation of its label explains that annotation and contradicts nothing. Of the others, one on an
    annotation of another label means a swapped label; one that overlaps its nearest annotation, a badly placed box; one
    that lies on no annotation, an overlooked object.
    """
    if not len(pair.detected):
        return
    by_kind = scores(pair, least)
    iou, similar = similarity(pair.boxes, pair.detections)
    same = pair.labels[:, None] == pair.detected[None]
    likely, confident = pair.probabilities > LIKELY, pair.probabilities >= CONFIDENT
    agree = same & (iou >= SAME)
    free = ~agree.any(0)  # detections that still need an explanation
    others = np.where(~same & confident & free & (iou >= SAME), similar, 0.0)
    swapped = others.any(1) & ~(agree & likely).any(1)
    for i in np.flatnonzero(swapped).tolist():
        j = int(others[i].argmax())
        free[j] = False
        yield 'swapped', max(1 - float(similar[i, j]), least), i, j
    nearest = np.where(same & likely & (iou > 0), similar, 0.0)
    for i in np.flatnonzero(nearest.any(1) & ~swapped).tolist():
        j = int(nearest[i].argmax())
        if nearest[:, j].argmax() == i:  # not the detection of another object of this label
            free[j] = False
            if nearest[i, j] <= LOOSE:
                yield 'badly placed', float(nearest[i, j]), i, j
    for j in np.flatnonzero(free & ~np.isnan(by_kind['overlooked'])).tolist():
        yield 'overlooked', float(by_kind['overlooked'][j]), None, j


def similarity(boxes: np.ndarray, detections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the IoU and the similarity, each [L, M], of boxes [L, 4] and detections [M, 4] in pixels."""
    start = np.maximum(boxes[:, None, :2], detections[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], detections[None, :, 2:])
    shared = np.clip(end - start, 0, None).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)[:, None] + (detections[:, 2:] - detections[:, :2]).prod(-1)
    iou = shared / np.maximum(areas - shared, 1e-9)
    centers = [(corners[:, :2] + corners[:, 2:]) / 2 for corners in (boxes, detections)]
    distance = np.linalg.norm(centers[0][:, None] - centers[1][None], axis=-1)
    return iou, IOU_WEIGHT * iou + (1 - IOU_WEIGHT) * np.exp(-distance / DISTANCE)


def least_similarity(pairs: Iterable[Pair]) -> float:
    """Return the smallest similarity above 0 of an annotation and a detection of one picture; 1 if there is none."""
    least = 1.0
    for pair in pairs:
        _, similar = similarity(pair.boxes, pair.detections)
        least = min(least, similar[similar > 0].min(initial=1.0))
    return least


def scores(pair: Pair, least: float) -> dict[str, np.ndarray]:
    """Return ObjectLab's scores: overlooked [M], NaN for detections that it does not apply to; others [L]."""
    iou, similar = similarity(pair.boxes, pair.detections)
    same = pair.labels[:, None] == pair.detected[None]
    confident, likely = pair.probabilities >= CONFIDENT, pair.probabilities > LIKELY
    nearest = np.where(same, similar, -1.0).max(0, initial=-1.0)
    overlooked = np.where(same.any(0), nearest, least * (1 - pair.probabilities))
    placed = np.where(same & likely & (iou > 0), similar, -1.0).max(1, initial=-1.0)
    others = np.where(~same & confident, similar, -1.0).max(1, initial=-1.0)
    return {'overlooked': np.where(confident & (iou < SAME).all(0), overlooked, np.nan),
            'swapped': np.where(others < 0, 1.0, np.maximum(1 - others, least)),
            'badly placed': np.where(placed < 0, 1.0, placed)}


def quality(by_kind: Mapping[str, np.ndarray]) -> float:
    """Return ObjectLab's score of a picture, the geometric mean of the softmins of its scores of each kind."""
    return float(np.exp(np.mean([np.log(EPSILON + _softmin(by_kind[kind])) for kind in KINDS])))


def _softmin(values):
    values = values[~np.isnan(values)]
    if not len(values):
        return 1.0
    weights = np.exp((values.min() - values) / TEMPERATURE)
    return float(values @ weights / weights.sum())
