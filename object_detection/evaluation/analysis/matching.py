"""Match detections with groundtruth boxes, picture by picture, at all IoU thresholds of COCO at once."""
import dataclasses

import numpy as np

IOUS = np.arange(.5, 1., .05)  # COCO's thresholds; the first one is that of everything but mAP
_LEAST = IOUS[0] - 1e-9  # 0.5 itself counts
BACKGROUND_IOU = .1  # below this IoU with all objects, a detection is of the background (Bolya et al. 2020)

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass
class Matched:
    """N detections, the best of a picture first, and M groundtruth boxes that are no crowds.

    Attributes:
        picture, cls, score: [N], index of the picture, class id, score.
        right: bool [N, 10], whether the detection matches a groundtruth box of its class, at each of IOUS.
        ignored: bool [N, 10], whether it matches a crowd instead, so that it is neither right nor wrong.
        paired: int [N], the groundtruth box that it takes at IoU 0.5 when classes do not count; -1 for none.
        same, other: float [N], the highest IoU with any box of its class, and of other classes.
        object_picture, object_cls: [M], of the groundtruth boxes.
    """
    picture: np.ndarray
    cls: np.ndarray
    score: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    paired: np.ndarray
    same: np.ndarray
    other: np.ndarray
    object_picture: np.ndarray
    object_cls: np.ndarray


class Matches:
    """Collects the pictures of an evaluation.

    Attributes:
        pictures, objects: added so far, and groundtruth boxes in them that are no crowds.
    """

    def __init__(self) -> None:
        self.pictures = 0
        self.objects = 0
        self._parts: list[Matched] = []

    def add(self, groundtruth: Arrays, detections: Arrays) -> Matched:
        """Add a picture, and return its part; see evaluation.metrics for the arrays."""
        boxes, classes = (np.asarray(groundtruth[name]) for name in ('boxes', 'classes'))
        crowd = np.asarray(groundtruth['is_crowd'], bool)
        order = np.argsort(-np.asarray(detections['scores']), kind='stable')
        found, cls, score = (np.asarray(detections[name])[order] for name in ('boxes', 'classes', 'scores'))
        iou = ious(found, boxes, crowd)
        same = cls[:, np.newaxis] == classes[np.newaxis]
        right, ignored = _by_class(iou, same, crowd)
        regular = np.where(crowd, -1., iou)
        part = Matched(
            np.full(len(cls), self.pictures), cls.astype(np.int64), score.astype(np.float64), right, ignored,
            _pairs(regular[:, ~crowd], same[:, ~crowd], self.objects), _most(regular, same), _most(regular, ~same),
            np.full(int((~crowd).sum()), self.pictures), classes[~crowd].astype(np.int64))
        self._parts.append(part)
        self.pictures += 1
        self.objects += len(part.object_cls)
        return part

    def extend(self, other: 'Matches') -> None:
        """Add the pictures of another one after those of this one; its parts are numbered anew in place."""
        for part in other._parts:
            part.picture += self.pictures
            part.object_picture += self.pictures
            part.paired[part.paired >= 0] += self.objects
        self._parts += other._parts
        self.pictures += other.pictures
        self.objects += other.objects

    def all(self) -> Matched:
        """Return all pictures as one."""
        names = [field.name for field in dataclasses.fields(Matched)]
        empty = Matched(*(np.zeros([0, *shape], kind) for shape, kind in (
            ([], int), ([], int), ([], float), ([10], bool), ([10], bool), ([], int), ([], float), ([], float),
            ([], int), ([], int))))
        return Matched(*(np.concatenate([getattr(part, name) for part in [empty, *self._parts]]) for name in names))


def ious(found: np.ndarray, boxes: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU [N, M] of boxes [N, 4] and [M, 4]; of a crowd, the share of the detection inside it."""
    found, boxes = found.astype(np.float64).reshape(-1, 1, 4), boxes.astype(np.float64).reshape(1, -1, 4)
    sides = np.minimum(found[..., 2:], boxes[..., 2:]) - np.maximum(found[..., :2], boxes[..., :2])
    shared = np.clip(sides, 0., None).prod(-1)
    area_found, area_boxes = ((each[..., 2:] - each[..., :2]).prod(-1) for each in (found, boxes))
    union = np.where(crowd, area_found, area_found + area_boxes - shared)
    return np.where(union > 0., shared / np.where(union > 0., union, 1.), 0.)


def _by_class(iou: np.ndarray, same: np.ndarray, crowd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match as COCO does: the best detection first takes the free box of its class with the highest IoU."""
    right, ignored = np.zeros([len(iou), len(IOUS)], bool), np.zeros([len(iou), len(IOUS)], bool)
    taken = np.zeros([len(IOUS), iou.shape[1]], bool)
    possible = np.where(same, iou, -1.)
    levels = np.arange(len(IOUS))
    for number in np.flatnonzero(possible.max(-1, initial=-1.) >= _LEAST):
        row = possible[number]
        enough = row >= IOUS[:, np.newaxis] - 1e-9
        free = np.where(enough & ~taken & ~crowd, row, -1.)
        choice = free.argmax(-1)
        matched = free[levels, choice] >= 0.
        taken[levels[matched], choice[matched]] = True
        right[number] = matched
        ignored[number] = ~matched & (enough & crowd).any(-1)
    return right, ignored


def _pairs(iou: np.ndarray, same: np.ndarray, first: int) -> np.ndarray:
    """Pair detections with boxes whatever their class, best score first; its own class wins between equals."""
    paired = np.full(len(iou), -1)
    free = np.ones(iou.shape[1], bool)
    for number in np.flatnonzero(iou.max(-1, initial=-1.) >= _LEAST):
        row = np.where(free, iou[number] + 1e-6 * same[number], -1.)
        choice = int(row.argmax())
        if row[choice] >= _LEAST:
            paired[number], free[choice] = first + choice, False
    return paired


def _most(iou: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.where(chosen, iou, 0.).max(-1, initial=0.)
