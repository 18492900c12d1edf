"""What a person should know about an evaluation before they believe its numbers."""
from collections.abc import Iterator

import numpy as np

from object_detection.evaluation.analysis.matching import IOUS, Matched

TOO_WIDE = .03  # half an interval of mAP


def zero(matched: Matched, names: dict[int, str]) -> Iterator[str]:
    """Yield what explains a mAP of 0.

    Args:
        names: of the label map, {id: name}.
    """
    objects, found = len(matched.object_cls), len(matched.cls)
    if not objects:
        yield 'the evaluation records have no groundtruth box'
        return
    if unknown := sorted(set(matched.object_cls.tolist()) - set(names)):
        yield f'groundtruth boxes have the class ids {_listed(unknown)}, which the label map lacks'
    if not found:
        yield f'the model detects nothing: {objects} groundtruth boxes, no detection'
        return
    best = float(np.maximum(matched.same, matched.other).max())
    yield (f'{objects} groundtruth boxes of {_classes(matched.object_cls, names)}; {found} detections of '
           f'{_classes(matched.cls, names)}, the best score {matched.score.max():.2g}')
    if best < IOUS[0]:
        yield (f'the highest IoU of a detection with any groundtruth box is {best:.2f}: the boxes are elsewhere. Early '
               'in a training this is usual; later look at the learning rate, the anchors, and pictures in TensorBoard')
    elif float(matched.same.max()) < IOUS[0]:
        yield (f'boxes fit (IoU {best:.2f}), but never with the right class: compare the label map with the class ids '
               'of the records')
    else:
        yield 'a few detections are right, but so many with higher scores are wrong that the metric rounds to 0'


def _classes(ids: np.ndarray, names: dict[int, str]) -> str:
    numbers, counts = np.unique(ids, return_counts=True)
    order = np.argsort(-counts, kind='stable')
    return _listed([f'{names.get(int(numbers[i]), int(numbers[i]))} ({counts[i]})' for i in order])


def _listed(values: list) -> str:
    return ', '.join(map(str, values[:5])) + (f' and {len(values) - 5} more' if len(values) > 5 else '')


def too_small(half_width: float, pictures: int) -> str | None:
    """Return a warning if mAP of so few pictures says little, else None.

    Args:
        half_width: of mAP's interval.
    """
    if half_width <= TOO_WIDE:
        return None
    return (f'the test set is small: mAP of {pictures} pictures is known to +-{half_width:.3f} only; smaller '
            'differences between checkpoints may be chance')


def incomplete(pictures: int, expected: int) -> str | None:
    """Return a warning if pictures were not evaluated, else None."""
    if pictures == expected:
        return None
    return f'{pictures} of {expected} pictures were evaluated; the metrics are those of these only'
