"""Boxes drawn by hand: Pascal VOC XML and YOLO txt beside the pictures, or one COCO JSON for the data set."""
import collections
import dataclasses
import json
import math
from pathlib import Path
from xml.etree import ElementTree

from object_detection.preparation.manifest import Box
from object_detection.preparation.scan import CLASS_LISTS, text
from object_detection.utils.errors import UserError

LEAST_PIXELS = 1.0  # a box thinner than that is a slip of the hand
# EXIF orientation -> where the point (x, y) of the stored picture, 0..1, lies in the upright one.
UPRIGHT = {1: lambda x, y: (x, y), 2: lambda x, y: (1 - x, y), 3: lambda x, y: (1 - x, 1 - y),
           4: lambda x, y: (x, 1 - y), 5: lambda x, y: (y, x), 6: lambda x, y: (1 - y, x),
           7: lambda x, y: (1 - y, 1 - x), 8: lambda x, y: (y, 1 - x)}


class Unreadable(Exception):
    """An annotation file that is not what its name promises."""


@dataclasses.dataclass
class Annotation:
    """The boxes of one picture, and what was odd about them (lines for the review list)."""
    boxes: list
    origin: str
    findings: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Mark:
    """One box as its file has it. xmin .. ymax: pixels of a picture of this size (width, height), None if unknown."""
    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    size: tuple | None
    difficult: bool = False


def read(pictures, scan, options):
    """{path: Annotation} for the Pictures that have one. The first of VOC, YOLO, COCO JSON counts.

    Names of boxes are compared with the labels, whatever their case; a box whose name is no label is left out and
    reported, for the label of the folder may be wrong for it. An empty file says that there is nothing to see.
    """
    files, coco_file = _places(scan, options)
    coco = _read_coco(coco_file, pictures) if coco_file else {}
    labels = {label.casefold(): label for label in scan.labels}
    classes = {}
    found = {}
    for picture in pictures:
        stem = picture.path.rpartition('.')[0]
        for file in sorted(files.get(stem, files.get(picture.path, ())), key=lambda name: not name.endswith('.xml')):
            try:
                marks = _voc(file) if file.lower().endswith('.xml') else _yolo(file, classes, scan.labels, options)
            except Unreadable as error:
                found[picture.path] = Annotation(None, 'none', [f'{Path(file).name}: {error}'])
                continue
            if marks is not None:
                found[picture.path] = _annotation(marks, picture, labels, 'voc' if file.endswith('.xml') else 'yolo')
                break
        else:
            if picture.path in coco:
                found[picture.path] = _annotation(coco[picture.path], picture, labels, 'coco')
    return found


def are_there(scan, options):
    """Whether there is any file of annotations, whatever is in it."""
    return any(_places(scan, options))


def _places(scan, options):
    """Files by stem, and the COCO JSON or None."""
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
        raise UserError(f'{options.dataset}: several COCO files ({names}); say which counts with --annotations')
    return scan.annotations, candidates[0] if candidates else None


def _annotation(marks, picture, labels, origin):
    boxes, findings = [], []
    for mark in marks:
        label = labels.get(mark.name.strip().casefold())
        if label is None:
            findings.append(f'{origin} box named {mark.name!r}, which is no label: left out')
            continue
        corners = _normalised(mark, picture)
        if corners is None:
            findings.append(f'{origin} box of {label!r} has no area inside the picture: left out')
        else:
            boxes.append(Box(*corners, label, None, origin, difficult=mark.difficult))
    return Annotation(boxes, origin, findings)


def _normalised(mark, picture):
    """(ymin, xmin, ymax, xmax), 0..1 of the upright picture; None without area.

    Tools show pictures upright, most of them; where the size in the file is that of the picture lying on its side, the
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
    """Marks of a Pascal VOC file, as LabelImg writes it."""
    try:
        data = Path(file).read_bytes()
        if b'<!ENTITY' in data:
            raise Unreadable('declares entities, which annotations have no use for')
        root = ElementTree.fromstring(data)
        if root.tag != 'annotation':
            return None
        size = tuple(int(float(root.findtext(f'size/{side}') or 0)) for side in ('width', 'height'))
        return [Mark(item.findtext('name') or '', *_corners(item), size if min(size) > 0 else None,
                     (item.findtext('difficult') or '').strip() == '1') for item in root.iter('object')]
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable(f'cannot be read as Pascal VOC: {error}') from error


def _corners(item):
    return [float(item.findtext(f'bndbox/{side}') or 'nan') for side in ('xmin', 'ymin', 'xmax', 'ymax')]


def _yolo(file, classes, labels, options):
    """Marks of a YOLO file: lines of class, centre x, centre y, width, height (0..1), or class and a polygon.

    None for other texts, which lie beside pictures too (captions).
    """
    try:
        lines = [line.split() for line in Path(file).read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f'cannot be read as text: {error}') from error
    if lines and not lines[0][0].isdecimal():
        return None
    folder = str(Path(file).parent)
    if folder not in classes:
        classes[folder] = _class_names(Path(file).parent, options) or labels
    return [_yolo_mark(number, line, classes[folder]) for number, line in enumerate(lines, start=1)]


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


def _class_names(folder, options):
    """Names for YOLO's numbers: classes.txt beside the file or at the top; without one, the sorted labels count."""
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
    """{path: marks}. A picture that is listed without boxes counts as not annotated: tools list all they have."""
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
    """File names of a COCO file are paths from the data set, or, where that is not so, names without a folder."""
    paths = {picture.path for picture in pictures}
    named = collections.defaultdict(list)
    for path in paths:
        named[path.rpartition('/')[2]].append(path)
    found = {}
    for name, entries in marks.items():
        name = name.replace('\\', '/')
        alike = [name] if name in paths else named[name.rpartition('/')[2]]
        if len(alike) == 1:
            found[alike[0]] = entries
    return found


