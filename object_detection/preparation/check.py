"""--check: hold the boxes of a data set against a detector trained on it, and write them as COCO JSON to correct."""
import collections
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.config import label_map, pipeline
from object_detection.preparation.annotations.labels import Labels
from object_detection.preparation.boxes import Annotation
from object_detection.preparation.columns import Index, Keyed, sorted_by
from object_detection.preparation.detections import Detections, saved_model
from object_detection.preparation.label_errors import KINDS, Finding, check
from object_detection.preparation.manifest import Manifest, Picture, parse_detections
from object_detection.preparation.options import Options
from object_detection.preparation.stats import Flattened, Listing, json_text
from object_detection.preparation.table import select
from object_detection.preparation.workers import Workers
from object_detection.utils import console, files
from object_detection.utils.errors import UserError

KEPT = 100  # detections per picture: every object counts
FILE = 'label_errors.json'


class Checker:
    """Holds boxes against the detector that --check names; made early, so that mistakes show before any work."""

    def __init__(self, labels: Sequence[str], options: Options, manifest: Manifest, workers: Workers,
                 stack: contextlib.ExitStack) -> None:
        """stack: ends the detector's process when it closes."""
        assert options.check
        folder = saved_model(options.check, '--check')
        self._labels, self._options, self._manifest = labels, options, manifest
        self._detections = Detections(folder, options, manifest, workers, stack, KEPT, stretch=False)
        self._names = matching(trained_names(folder), labels, folder)
        self._refuse_to_overwrite()

    def check(self, pictures: Sequence[Picture], annotations: Mapping[str, Annotation],
              keypoints: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Check boxes, write label_errors.json, and return the numbers for stats.json.

        Whole pictures as boxes are left out, and pictures without boxes unless an annotation or --background says that
        there is none.
        """
        pictures = select(pictures, lambda picture: _has_boxes(picture, annotations.get(picture.path)))
        self._detections.detect(pictures)
        index = Index(len(pictures), lambda i: pictures[i].path)
        findings, qualities = check(pictures, _Detected(pictures, index, self._detections.by_picture()), self._names)
        self._write(coco(pictures, findings, qualities, self._labels, keypoints))
        count = collections.Counter(finding.kind for finding in findings)
        console.log(f'{FILE}: {", ".join(f"{count[kind]} {kind}" for kind in KINDS)}, in {len(pictures)} pictures')
        return {'pictures': len(pictures), 'boxes': sum(len(picture.boxes) for picture in pictures),
                'counts': {kind: count[kind] for kind in KINDS},
                'findings': Listing(findings, lambda finding: _listed(finding, pictures[index.rows(finding.path)[0]]))}

    def _write(self, content):
        """Write label_errors.json; before it takes the place of the one before, the manifest knows its digest, too."""
        self._refuse_to_overwrite()
        file = self._options.output / FILE
        before = [_digest(files.read_bytes(file))] if file.exists() else []

        def parts():
            total = hashlib.sha256()
            for part in json_text(content):
                total.update(part.encode())
                yield part
            self._manifest.keep_value(FILE, [*before, total.hexdigest()])
        files.write_parts(file, parts())

    def _refuse_to_overwrite(self):
        """Raise UserError if label_errors.json is not as a run has written it: somebody may have corrected it."""
        file = self._options.output / FILE
        if file.exists() and _digest(files.read_bytes(file)) not in (self._manifest.value(FILE, [str]) or []):
            raise UserError(f'{file} has changed since it was written, and --check would write it anew. Move your file '
                            'elsewhere, and name it with --annotations to use it')


def trained_names(folder: Path) -> dict[int, str]:
    """Return {class id: name} of a SavedModel that this suite or the reference has exported.

    They come from the label_map.pbtxt in its folder or the one above, else from the label map that the pipeline.config
    there names. UserError if there is neither: class numbers alone would be a guess.
    """
    for place in (folder, folder.parent):
        if (file := place / 'label_map.pbtxt').is_file():
            return {item.id: item.name for item in label_map.load(file).items}
    for place in (folder, folder.parent):
        if (file := place / 'pipeline.config').is_file():
            named = Path(pipeline.read(file).train_input_reader.label_map_path)
            if files.is_file(named):
                return {item.id: item.name for item in label_map.load(named).items}
            raise UserError(f'--check {folder}: {file} names the label map {named}, which does not exist; copy the '
                            f'label_map.pbtxt that the detector was trained with to {place}')
    raise UserError(f'--check {folder}: nothing says which classes its numbers stand for; copy the label_map.pbtxt '
                    f'that the detector was trained with to {folder.parent}')


def matching(names: Mapping[int, str], labels: Sequence[str], folder: Path) -> dict[int, str]:
    """Return {class id: label} for the classes that are labels of the data set; UserError if there is none.

    Names are compared exactly, else in lower case where that is unambiguous.
    """
    known = Labels(labels)
    matched = {number: label for number, name in names.items() if (label := known.find(name))}
    if not matched:
        raise UserError(f'--check {folder}: none of its classes ({", ".join(list(names.values())[:8])}) is a label of '
                        f'the data set ({", ".join(labels[:8])}); it takes a detector trained on this data set')
    if missing := [label for label in labels if label not in matched.values()]:
        console.warn(f'--check {folder}: the detector does not know {", ".join(missing[:8])}; boxes with '
                     f'{"these labels" if len(missing) > 1 else "this label"} are only compared with those of others')
    return matched


class _Detected(Keyed[list[list[float]]]):
    """{path: detections} of pictures, read one by one. known: {jpg_sha256: JSON text}."""

    def __init__(self, pictures: Sequence[Picture], index: Index, known: Mapping[str, str]) -> None:
        super().__init__(index)
        self._pictures, self._known = pictures, known

    def value(self, row: int) -> list[list[float]]:
        return parse_detections(self._known[self._pictures[row].jpg_sha256])

    def rows(self) -> range:
        return range(len(self._pictures))


def coco(pictures: Sequence[Picture], findings: Sequence[Finding], qualities: np.ndarray,
         labels: Sequence[str], keypoints: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the boxes of pictures as COCO JSON, the picture with the worst ObjectLab score first.

    Pictures of --background are not listed. The boxes are as they are, in pixels of the upright picture; nothing is
    corrected. `findings` is beyond COCO, and tools pass over it. The lists are Listings.
    """
    ids = {label: number for number, label in enumerate(labels, start=1)}
    rows = np.array([i for i, picture in enumerate(pictures) if not picture.background], np.int64)
    order = rows[sorted_by(qualities[rows], lambda place: pictures[int(rows[place])].path)]
    images = np.zeros(len(pictures), np.int64)  # the number of each picture's image, 0 for background
    images[order] = np.arange(1, len(order) + 1)
    firsts = np.zeros(len(pictures), np.int64)  # the number of each picture's first box
    sizes = np.array([len(pictures[i].boxes) for i in order.tolist()], np.int64)
    firsts[order] = 1 + np.cumsum(sizes) - sizes
    index = Index(len(pictures), lambda i: pictures[i].path)
    listed = [(index.rows(finding.path)[0], finding) for finding in findings]

    def image(i):
        picture = pictures[i]
        return {'id': int(images[i]), 'file_name': picture.path, 'width': picture.width, 'height': picture.height}

    def boxes(i):
        picture = pictures[i]
        return [{'id': int(firsts[i]) + number, 'image_id': int(images[i]), 'category_id': ids[box.label],
                 **_annotation(box, picture, len(keypoints.get(box.label, ())))}
                for number, box in enumerate(picture.boxes)]

    def found(item):
        i, finding = item
        return {'image_id': int(images[i]), 'kind': finding.kind, 'score': finding.score,
                'annotation_id': None if finding.annotation is None else int(firsts[i]) + finding.annotation,
                'detection': {'bbox': _bbox(finding.detection, pictures[i]), 'category_id': ids[finding.label],
                              'score': finding.confidence}}
    return {
        'info': {'description': 'Boxes to correct, written by prepare_data.py --check. The first images need it most. '
                                'Name the corrected file with --annotations.'},
        'images': Listing(order.tolist(), image),
        'annotations': Flattened([i for i in order.tolist() if pictures[i].boxes], boxes),
        'categories': [{'id': number, 'name': label, 'supercategory': '',
                        **({'keypoints': [*keypoints[label]], 'skeleton': []} if label in keypoints else {})}
                       for label, number in ids.items()],
        'findings': Listing([(i, finding) for i, finding in listed if images[i]], found)}


def _annotation(box, picture, points):
    """Return what COCO says of a box, with its outline and its keypoints, `points` of them, if it has any."""
    bbox = _bbox(box.corners, picture)
    entry: dict[str, Any] = {'bbox': bbox, 'area': round(bbox[2] * bbox[3], 2), 'iscrowd': 0, 'segmentation': []}
    if box.difficult:
        entry['difficult'] = 1  # as Pascal VOC has it; COCO has no such thing
    if box.mask and box.mask.polygons:
        sides = (picture.width, picture.height)
        entry['segmentation'] = [(polygon.reshape(-1, 2) * sides).round(2).ravel().tolist()
                                 for polygon in box.mask.polygons]
    elif box.mask:
        pixels = box.mask.pixels(picture.width, picture.height)
        changes = np.flatnonzero(np.diff(np.r_[False, pixels.T.ravel()]))  # COCO's runs go by columns
        entry['segmentation'] = {'size': [picture.height, picture.width],
                                 'counts': np.diff(np.r_[0, changes, pixels.size]).tolist()}
    if points and box.keypoints:
        entry['keypoints'] = [value for y, x, visible in box.keypoints
                              for value in (round(x * picture.width, 2), round(y * picture.height, 2), visible)]
        entry['num_keypoints'] = sum(visible > 0 for *_, visible in box.keypoints)
    return entry


def _has_boxes(picture, annotation):
    if annotation is not None and annotation.boxes is not None and annotation.origin != 'none':
        return not annotation.unclear
    return picture.background or (bool(picture.boxes) and all(box.origin != 'whole' for box in picture.boxes))


def _bbox(corners, picture):
    """Return [x, y, width, height] in pixels of the upright source, to a hundredth."""
    ymin, xmin, ymax, xmax = (round(value * side, 2) for value, side
                              in zip(corners, (picture.height, picture.width) * 2))
    return [xmin, ymin, round(xmax - xmin, 2), round(ymax - ymin, 2)]


def _listed(finding, picture):
    """Return a finding as stats.json and the report have it. box, label: of the annotation, None without one."""
    box = None if finding.annotation is None else picture.boxes[finding.annotation]
    return {'path': finding.path, 'kind': finding.kind, 'score': finding.score,
            'box': box and [*box.corners], 'label': box and box.label,
            'detection': [*finding.detection], 'detected': finding.label, 'confidence': finding.confidence}


def _digest(data):
    return hashlib.sha256(data).hexdigest()
