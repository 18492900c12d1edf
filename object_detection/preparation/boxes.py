"""Which boxes a picture gets, and which pictures a person should look at."""
import json
from collections import Counter

from object_detection.preparation.manifest import Box

NEARLY = 0.1  # of score: a second candidate that close may be the better one
SAME_PLACE = 0.5  # intersection over union from which two detections are one object with two names


def decide(pictures, annotations, detections, names, classes, options):
    """Give boxes to the Pictures without a verdict, in place; those that get none have the verdict 'no box'.

    annotations: {path: Annotation}, which win. detections: {jpg_sha256: JSON text} of the model. names: {class id:
    name}; classes: ids that may be it, None for any. With options.negatives pictures without a box stay in.
    """
    pictures = [picture for picture in pictures if not picture.verdict]
    seen = {picture.path: json.loads(detections[picture.jpg_sha256]) for picture in pictures
            if picture.jpg_sha256 in detections}
    expected = _expected_classes(pictures, seen, names, options.min_score)
    for picture in pictures:
        annotation = annotations.get(picture.path)
        if annotation:
            picture.review += annotation.findings
        if annotation and annotation.boxes is not None:
            picture.boxes = annotation.boxes
        elif options.boxes == 'whole':
            picture.boxes = [Box(0.0, 0.0, 1.0, 1.0, picture.label, None, 'whole')]
        else:
            found = seen.get(picture.path, [])
            allowed = [detection for detection in found if classes is None or detection[5] in classes]
            picture.boxes = _from_model(allowed, picture.label, options)
            picture.review += _doubts(found, allowed, expected.get(picture.label), names, options)
        if not picture.boxes and not options.negatives:
            picture.verdict, picture.reason = 'no box', _why_none(annotation)


def needs_detector(picture, annotations):
    """Whether a picture's boxes come from the model."""
    annotation = annotations.get(picture.path)
    return not picture.verdict and (annotation is None or annotation.boxes is None)


def overlap(a, b):
    """Intersection over union of two boxes (ymin, xmin, ymax, xmax, ...)."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    shared = height * width
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _from_model(allowed, label, options):
    most = 1 if options.boxes == 'best' else options.max_boxes
    good = _one_per_place([detection for detection in allowed if detection[4] >= options.min_score])
    return [Box(*detection[:4], label, detection[4], 'model', detection[5]) for detection in good[:most]]


def _one_per_place(detections):
    """Best first, without those that lie where a better one does: models name one object twice (dog, cat)."""
    kept = []
    for detection in detections:
        if all(overlap(detection, other) < SAME_PLACE for other in kept):
            kept.append(detection)
    return kept


def _expected_classes(pictures, seen, names, min_score):
    """{label: class id} that pictures of a label should show: the class of that name, else what most of them show."""
    ids = {name.casefold(): number for number, name in names.items()}
    best = {}
    for picture in pictures:
        found = seen.get(picture.path)
        if found and found[0][4] >= min_score:
            best.setdefault(picture.label, []).append(found[0][5])
    expected = {}
    for label, classes in best.items():
        (common, count), = Counter(classes).most_common(1)
        if label.casefold() in ids:
            expected[label] = ids[label.casefold()]
        elif 2 * count > len(classes):
            expected[label] = common
    return expected


def _doubts(found, allowed, expected, names, options):
    """Lines for the review list: nothing found, several candidates alike, or another class than the folder's."""
    best = allowed[0] if allowed else None
    if best is None or best[4] < options.min_score:
        nearest = f'; best is {_say(best, names)}' if best else ''
        yield f'no box: nothing allowed with a score of {options.min_score:g}{nearest}'
    elif options.boxes == 'best':
        rivals = [d for d in _one_per_place(allowed)[1:] if best[4] - d[4] <= NEARLY]
        if rivals:
            yield f'several candidates: {", ".join(_say(d, names) for d in [best, *rivals[:3]])}'
    if found and expected is not None and found[0][5] != expected and found[0][4] >= options.min_score:
        yield f'shows {_say(found[0], names)}, the folder should show {names.get(expected, expected)}'


def _say(detection, names):
    return f'{names.get(detection[5], detection[5])} {detection[4]:.2f}'


def _why_none(annotation):
    if annotation and annotation.boxes is not None:
        return 'annotated without a box'
    return 'the model found none'
