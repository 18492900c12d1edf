"""Which boxes a picture gets, and which pictures a person should look at."""
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from object_detection.preparation.manifest import Box, Picture, parse_detections
from object_detection.preparation.options import Options
from object_detection.preparation.table import select

Detection = Sequence[float]  # [ymin, xmin, ymax, xmax, score, class id], box normalized to 0..1
CLOSE_SCORE = 0.1  # a second candidate whose score is at most this much lower may be the better one
NONE_FOUND = 'the model found none'
SAME_OBJECT = 0.5  # IoU from which two detections are one object with two names


@dataclasses.dataclass
class Annotation:
    """What people have drawn on one picture.

    boxes: None if the file cannot be used, and boxes from elsewhere can. origin: see Box, or none without a file that
    can be used. findings: lines for the review list. left_out: {reason: number of objects}. reason: why there may be
    no boxes. unclear: whether there may be objects all the same, so that the picture is no negative example.
    """
    boxes: list[Box] | None
    origin: str
    findings: list[str] = dataclasses.field(default_factory=list)
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    reason: str = 'annotated without a box'
    unclear: bool = False


def decide(pictures: Sequence[Picture], annotations: Mapping[str, Annotation], detections: Mapping[str, str],
           names: Mapping[int, str], classes: Set[int] | None, options: Options) -> None:
    """Give boxes to the pictures without a verdict, in place.

    A picture that gets none has the verdict 'no box', but with options.negatives it stays in if it shows no object.
    annotations: {path: Annotation}; they win. detections: {jpg_sha256: JSON text of a list of Detections, best first}.
    names: {class id: name} of the detector. classes: ids of the classes that a box may have; None for all.
    """
    pictures = select(pictures, lambda picture: not picture.verdict)
    expected = _expected_classes(pictures, detections, names, options.min_score)
    for picture in pictures:
        if picture.background:
            continue
        annotation = annotations.get(picture.path)
        if annotation and annotation.findings:
            picture.review += annotation.findings
        if annotation and annotation.boxes is not None:
            boxes = annotation.boxes
        elif options.boxes == 'whole':
            boxes = [Box(0.0, 0.0, 1.0, 1.0, picture.label, None, 'whole')]
        else:
            candidates = _candidates(picture, detections)
            allowed = [detection for detection in candidates if classes is None or detection[5] in classes]
            boxes = _from_detections(allowed, picture.label, options)
            picture.review += _doubts(candidates, allowed, expected.get(picture.label), names, options)
        picture.boxes = boxes
        if not boxes and (not options.negatives or (annotation and annotation.unclear)):
            annotated = annotation and annotation.boxes is not None
            picture.verdict = 'no box'
            picture.reason = annotation.reason if annotation and annotated else NONE_FOUND


def _candidates(picture, detections):
    text = detections.get(picture.jpg_sha256)
    return parse_detections(text) if text else []


def needs_detector(picture: Picture, annotations: Mapping[str, Annotation]) -> bool:
    """Return whether the boxes of a picture have to come from the detector."""
    annotation = annotations.get(picture.path)
    return (not picture.verdict and not picture.background
            and (annotation is None or annotation.boxes is None))


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two boxes (ymin, xmin, ymax, xmax, ...)."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    shared = height * width
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _from_detections(allowed, label, options):
    most = 1 if options.boxes == 'best' else options.max_boxes
    good = one_per_object([detection for detection in allowed if detection[4] >= options.min_score])
    return [Box(ymin, xmin, ymax, xmax, label, score, 'model', int(class_id))
            for ymin, xmin, ymax, xmax, score, class_id in good[:most]]


def one_per_object(detections: Iterable[Detection]) -> list[Detection]:
    """Drop detections that overlap a better one: NMS over all classes, as models find one object as dog and as cat."""
    kept: list[Detection] = []
    for detection in detections:
        if all(iou(detection, other) < SAME_OBJECT for other in kept):
            kept.append(detection)
    return kept


def _expected_classes(pictures, detections, names, min_score) -> dict[str, int]:
    """Return {label: class id} that its pictures should show: the class of that name, else what most of them show."""
    ids = {name.casefold(): number for number, name in names.items()}
    best: dict[str, Counter[int]] = {}
    for picture in pictures if detections else ():
        candidates = _candidates(picture, detections)
        if candidates and candidates[0][4] >= min_score:
            best.setdefault(picture.label, Counter())[candidates[0][5]] += 1
    expected = {}
    for label, classes in best.items():
        (common, count), = classes.most_common(1)
        if label.casefold() in ids:
            expected[label] = ids[label.casefold()]
        elif 2 * count > classes.total():
            expected[label] = common
    return expected


def _doubts(candidates, allowed, expected, names, options) -> Iterator[str]:
    """Yield lines for the review list: no box, several candidates, or another class than the folder's."""
    best = allowed[0] if allowed else None
    if best is None or best[4] < options.min_score:
        nearest = f'; best is {_describe(best, names)}' if best else ''
        yield f'no box: nothing allowed with a score of {options.min_score:g}{nearest}'
    elif options.boxes == 'best':
        rivals = [d for d in one_per_object(allowed)[1:] if best[4] - d[4] <= CLOSE_SCORE]
        if rivals:
            yield f'several candidates: {", ".join(_describe(d, names) for d in [best, *rivals[:3]])}'
    if candidates and expected is not None and candidates[0][5] != expected and candidates[0][4] >= options.min_score:
        yield f'shows {_describe(candidates[0], names)}, the folder should show {names.get(expected, expected)}'


def _describe(detection, names):
    return f'{names.get(detection[5], detection[5])} {detection[4]:.2f}'
