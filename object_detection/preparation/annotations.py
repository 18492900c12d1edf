"""Boxes drawn by hand: Pascal VOC XML and YOLO txt beside the pictures, or one COCO JSON for the data set."""
import collections
import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.options import Options
from object_detection.preparation.scan import CLASS_LISTS, Scan, text
from object_detection.utils.errors import UserError

LEAST_PIXELS = 1.0  # a box with a shorter side is a slip of the mouse
# EXIF orientation -> where the point (x, y) of the stored picture, 0..1, lies in the upright one.
UPRIGHT: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y), 2: lambda x, y: (1 - x, y), 3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y), 5: lambda x, y: (y, x), 6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x), 8: lambda x, y: (y, 1 - x)}


class Unreadable(Exception):
    """An annotation file that is not in the format its suffix promises."""


@dataclasses.dataclass
class Annotation:
    """What the annotation file of one picture holds.

    boxes: None if the file cannot be read. origin: voc, yolo, coco or none. findings: lines for the review list.
    """
    boxes: list[Box] | None
    origin: str
    findings: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Mark:
    """One box as its file has it. xmin .. ymax: pixels of a picture of `size` (width, height), None if unknown."""
    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    size: tuple[int, int] | None
    difficult: bool = False


def read(pictures: Iterable[Picture], scan: Scan, options: Options) -> dict[str, Annotation]:
    """Return {path: Annotation} for the pictures that have one: from VOC, else from YOLO, else from the COCO JSON.

    The name of a box is compared with the labels, ignoring case. A box whose name is not a label is left out and
    reported: it may be the folder that is wrong. An empty file means that the picture shows no object.
    """
    files, coco_file = _find_files(scan, options)
    coco = _read_coco(coco_file, pictures) if coco_file else {}
    labels = {label.casefold(): label for label in scan.labels}
    class_names: dict[str, Sequence[str]] = {}  # {folder: names of YOLO's numbers}
    annotations = {}
    for picture in pictures:
        stem = picture.path.rpartition('.')[0]
        for file in sorted(files.get(stem, files.get(picture.path, ())), key=lambda name: not name.endswith('.xml')):
            try:
                marks = _voc(file) if file.lower().endswith('.xml') else _yolo(file, class_names, scan.labels, options)
            except Unreadable as error:
                annotations[picture.path] = Annotation(None, 'none', [f'{Path(file).name}: {error}'])
                continue
            if marks is not None:
                annotations[picture.path] = _annotation(marks, picture, labels,
                                                        'voc' if file.endswith('.xml') else 'yolo')
                break
        else:
            if picture.path in coco:
                annotations[picture.path] = _annotation(coco[picture.path], picture, labels, 'coco')
    return annotations


def any_files(scan: Scan, options: Options) -> bool:
    """Return whether there are any annotation files, whatever they hold."""
    return any(_find_files(scan, options))


def _find_files(scan, options):
    """Return ({path without suffix: files}, COCO JSON or None)."""
    if options.annotations and options.annotations.is_dir():
        files = collections.defaultdict(list)
        for file in sorted(options.annotations.rglob('*')):
            if file.suffix.lower() in ('.xml', '.txt') and file.name not in CLASS_LISTS:
                stem = text(file.relative_to(options.annotations).with_suffix('').as_posix())
                files[stem].append(str(file))
        return files, None
    if options.annotations:
        return scan.annotations, options.annotations
    candidates = [file for file in sorted(options.dataset.glob('*.json')) if _looks_like_coco(file)]
    if len(candidates) > 1:
        names = ', '.join(file.name for file in candidates)
        raise UserError(f'{options.dataset}: several COCO files ({names}); name the one to use with --annotations')
    return scan.annotations, candidates[0] if candidates else None


def _annotation(marks, picture, labels, origin):
    boxes, findings = [], []
    for mark in marks:
        label = labels.get(mark.name.strip().casefold())
        if label is None:
            findings.append(f'{origin} box named {mark.name!r}, which is no label: left out')
            continue
        corners = _normalized(mark, picture)
        if corners is None:
            findings.append(f'{origin} box of {label!r} has no area inside the picture: left out')
        else:
            boxes.append(Box(*corners, label, None, origin, difficult=mark.difficult))
    return Annotation(boxes, origin, findings)


def _normalized(mark: Mark, picture: Picture) -> tuple[float, float, float, float] | None:
    """Return (ymin, xmin, ymax, xmax) of the upright picture, 0..1; None for a box without area.

    Most tools show pictures upright. If the size in the file is that of the picture as it is stored, on its side, the
    box is turned with it.
    """
    upright = (picture.width, picture.height)
    width, height = mark.size or upright
    turned = picture.turned if picture.turned > 4 and (height, width) == upright and width != height else 1
    corners = [UPRIGHT[turned](x / width, y / height) for x, y in ((mark.xmin, mark.ymin), (mark.xmax, mark.ymax))]
    if not all(math.isfinite(value) for corner in corners for value in corner):
        return None
    xs, ys = ([min(max(value, 0.0), 1.0) for value in axis] for axis in zip(*corners))
    if (max(xs) - min(xs)) * picture.width < LEAST_PIXELS or (max(ys) - min(ys)) * picture.height < LEAST_PIXELS:
        return None
    return min(ys), min(xs), max(ys), max(xs)


def _voc(file):
    """Return the Marks of a Pascal VOC file, as LabelImg writes it; None for other XML."""
    try:
        data = Path(file).read_bytes()
        if b'<!ENTITY' in data:
            raise Unreadable('declares entities, which annotations have no use for')
        root = ElementTree.fromstring(data)
        if root.tag != 'annotation':
            return None
        size = tuple(int(float(root.findtext(f'size/{side}') or 0)) for side in ('width', 'height'))
        return [_voc_mark(item, size if min(size) > 0 else None) for item in root.iter('object')]
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable(f'cannot be read as Pascal VOC: {error}') from error


def _voc_mark(item, size):
    xmin, ymin, xmax, ymax = (float(item.findtext(f'bndbox/{side}') or 'nan')
                              for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    return Mark(item.findtext('name') or '', xmin, ymin, xmax, ymax, size,
                (item.findtext('difficult') or '').strip() == '1')


def _yolo(file, class_names, labels, options):
    """Return the Marks of a YOLO file: lines of class, center x, center y, width, height (0..1), or class and polygon.

    None for other texts, such as captions.
    """
    try:
        lines = [line.split() for line in Path(file).read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f'cannot be read as text: {error}') from error
    if lines and not lines[0][0].isdecimal():
        return None
    folder = str(Path(file).parent)
    if folder not in class_names:
        class_names[folder] = _read_class_names(Path(file).parent, options) or labels
    return [_yolo_mark(number, line, class_names[folder]) for number, line in enumerate(lines, start=1)]


def _yolo_mark(number, line, names):
    try:
        index, values = int(line[0]), [float(value) for value in line[1:]]
    except ValueError as error:
        raise Unreadable(f'line {number} is not class and numbers') from error
    if not 0 <= index < len(names):
        raise Unreadable(f'line {number}: class {index}, but there are {len(names)} ({", ".join(names[:8])})')
    if len(values) in (4, 5):  # a fifth is a score
        x, y, width, height = values[:4]
        return Mark(names[index], x - width / 2, y - height / 2, x + width / 2, y + height / 2, (1, 1))
    if len(values) >= 6 and len(values) % 2 == 0:
        return Mark(names[index], min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]), (1, 1))
    raise Unreadable(f'line {number} has {len(values)} numbers after the class; a box has 4')


def _read_class_names(folder, options):
    """Return the names of YOLO's numbers: from classes.txt beside the file or at the top of the data set, else None."""
    for place in (folder, options.annotations or options.dataset, options.dataset):
        if (file := place / 'classes.txt').is_file():
            return [line.strip() for line in file.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    return None


def _looks_like_coco(file):
    try:
        with file.open(encoding='utf-8') as stream:
            start = stream.read(1 << 16)
    except (OSError, UnicodeDecodeError):
        return False
    keys = ('"images"', '"annotations"', '"categories"')
    return start.lstrip().startswith('{') and any(key in start for key in keys)


def _read_coco(file, pictures):
    """Return {path: Marks}. A picture listed without boxes counts as not annotated: tools list every picture."""
    try:
        data = json.loads(file.read_text(encoding='utf-8'))
        names = {category['id']: str(category['name']) for category in data['categories']}
        images = {image['id']: image for image in data['images']}
        marks = collections.defaultdict(list)
        for entry in data['annotations']:
            if entry.get('iscrowd') or 'bbox' not in entry:
                continue
            image = images[entry['image_id']]
            x, y, width, height = (float(value) for value in entry['bbox'])
            size = (image.get('width') or 0, image.get('height') or 0)
            marks[str(image['file_name'])].append(Mark(names.get(entry['category_id'], str(entry['category_id'])), x, y,
                                                       x + width, y + height, size if min(size) > 0 else None))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f'{file}: cannot be read as COCO annotations ({type(error).__name__}: {error}); it needs '
                        'images, annotations and categories') from error
    return _by_path(marks, pictures)


def _by_path(marks, pictures):
    """Replace the file names of a COCO JSON by paths in the data set; a name without its folder must be unique."""
    paths = {picture.path for picture in pictures}
    by_name = collections.defaultdict(list)
    for path in paths:
        by_name[path.rpartition('/')[2]].append(path)
    result = {}
    for name, entries in marks.items():
        name = name.replace('\\', '/')
        candidates = [name] if name in paths else by_name[name.rpartition('/')[2]]
        if len(candidates) == 1:
            result[candidates[0]] = entries
    return result
