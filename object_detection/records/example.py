"""The records a data set is made of: one tf.train.Example per picture, in TFRecord files. Imports no TensorFlow.

Example holds one picture with its boxes and turns into bytes and back; Writer and index (of tfrecord.py) put many of
them into files and find them again; check looks for everything in them that would spoil a training.
"""
import dataclasses
from collections import Counter
from io import BytesIO

import numpy as np
from google.protobuf.message import DecodeError
from PIL import Image, UnidentifiedImageError

from object_detection import protos
from object_detection.records.tfrecord import Records, Writer, expand, index, shard_names
from object_detection.utils.errors import UserError

__all__ = ['Example', 'Records', 'Report', 'Writer', 'check', 'expand', 'faults', 'index', 'shard_names']

BOX_KEYS = tuple(f'image/object/bbox/{side}' for side in ('ymin', 'xmin', 'ymax', 'xmax'))
KEYPOINT_KEYS = ('image/object/keypoint/y', 'image/object/keypoint/x')
PNG_MASKS = 2  # InputReader.mask_type; the other one, which is also the default, is numbers
# Field of Example -> feature key of the reference's decoder and its list type; boxes and keypoints have theirs above.
KEYS = {
    'encoded': ('image/encoded', 'bytes_list'),
    'format': ('image/format', 'bytes_list'),
    'filename': ('image/filename', 'bytes_list'),
    'source_id': ('image/source_id', 'bytes_list'),
    'sha256': ('image/key/sha256', 'bytes_list'),
    'height': ('image/height', 'int64_list'),
    'width': ('image/width', 'int64_list'),
    'labels': ('image/object/class/label', 'int64_list'),
    'texts': ('image/object/class/text', 'bytes_list'),
    'area': ('image/object/area', 'float_list'),
    'is_crowd': ('image/object/is_crowd', 'int64_list'),
    'difficult': ('image/object/difficult', 'int64_list'),
    'group_of': ('image/object/group_of', 'int64_list'),
    'weights': ('image/object/weight', 'float_list'),
    'keypoint_visibility': ('image/object/keypoint/visibility', 'int64_list'),
    'masks': ('image/object/mask', 'bytes_list'),
    'mask_weights': ('image/object/mask/weight', 'float_list'),
}
_SCALARS = ('encoded', 'format', 'filename', 'source_id', 'sha256', 'height', 'width')
_TEXT = ('format', 'filename', 'source_id', 'sha256', 'texts')
BROKEN = 'the picture cannot be decoded'
_DECODABLE = ('JPEG', 'PNG', 'GIF', 'BMP')  # what tf.io.decode_image takes


@dataclasses.dataclass
class Example:
    """One picture and its N objects. An empty list means that the record does not say.

    boxes: N times (ymin, xmin, ymax, xmax), normalised to 0..1. labels: ids from 1. texts: names from the label map.
    area: square pixels. is_crowd, difficult, group_of: 0 or 1. weights: of each box in the loss.
    keypoints: N times K times (y, x), normalised; keypoint_visibility: the N * K of COCO (0 not labelled, 1 hidden,
    2 visible). masks: N encoded PNGs of the picture's size, not 0 where the object is.
    """
    encoded: bytes
    height: int
    width: int
    format: str = 'jpeg'
    filename: str = ''
    source_id: str = ''
    sha256: str = ''
    boxes: list = dataclasses.field(default_factory=list)
    labels: list = dataclasses.field(default_factory=list)
    texts: list = dataclasses.field(default_factory=list)
    area: list = dataclasses.field(default_factory=list)
    is_crowd: list = dataclasses.field(default_factory=list)
    difficult: list = dataclasses.field(default_factory=list)
    group_of: list = dataclasses.field(default_factory=list)
    weights: list = dataclasses.field(default_factory=list)
    keypoints: list = dataclasses.field(default_factory=list)
    keypoint_visibility: list = dataclasses.field(default_factory=list)
    masks: list = dataclasses.field(default_factory=list)
    mask_weights: list = dataclasses.field(default_factory=list)

    def to_bytes(self):
        """The serialised tf.train.Example; equal examples give equal bytes."""
        message = protos.Example()
        features = message.features.feature
        for name, (key, kind) in KEYS.items():
            values = getattr(self, name)
            values = [values] if name in _SCALARS else values
            if name in _TEXT:
                values = [text.encode() for text in values]
            getattr(features[key], kind).value.extend(values)
        for keys, points in ((BOX_KEYS, self.boxes), (KEYPOINT_KEYS, [p for k in self.keypoints for p in k])):
            for i, key in enumerate(keys):
                features[key].float_list.value.extend(point[i] for point in points)
        for key in [key for key, feature in features.items() if not getattr(feature, feature.WhichOneof('kind')).value]:
            if key not in BOX_KEYS:  # a picture without objects still says that it has no boxes
                del features[key]
        return message.SerializeToString(deterministic=True)

    @classmethod
    def from_bytes(cls, data):
        """Parse one record; UserError for what is not an Example or whose lists do not belong together.

        Numerical masks (float_list) are left out: the input pipeline reads them, nothing else does.
        """
        try:
            features = protos.Example.FromString(data).features.feature
        except DecodeError as error:
            raise UserError('not a tf.train.Example') from error
        values = {'encoded': b'', 'height': 0, 'width': 0}
        for name, (key, kind) in KEYS.items():
            if key in features:
                found = list(getattr(features[key], kind).value)
                if name in _TEXT:
                    found = [text.decode('utf-8', 'replace') for text in found]
                if name not in _SCALARS:
                    values[name] = found
                elif found:
                    values[name] = found[0]
        for name, keys in (('boxes', BOX_KEYS), ('keypoints', KEYPOINT_KEYS)):
            columns = [list(features[key].float_list.value) if key in features else [] for key in keys]
            if len({len(column) for column in columns}) != 1:
                counts = ', '.join(f'{len(column)} of {key.rsplit("/")[-1]}' for key, column in zip(keys, columns))
                raise UserError(f'the coordinates of its {name} do not belong together: {counts}')
            values[name] = list(zip(*columns))
        per_box = len(values['keypoints']) // max(len(values['boxes']), 1)
        if per_box:
            points = values['keypoints']
            values['keypoints'] = [points[i:i + per_box] for i in range(0, len(points), per_box)]
        return cls(**values)


@dataclasses.dataclass
class Report:
    """What `check` found. errors spoil or stop a training; warnings are worth a look. Both are lists of lines."""
    records: int
    checked: int
    boxes_of: Counter
    without_boxes: int
    errors: list
    warnings: list


def faults(data, label_map=None, reader=None):
    """All that is wrong with one record: its Example (None where unreadable) and a list of (severity, kind, detail).

    severity is 'error' or 'warning'; kind is the same line for the same fault anywhere in the data set.
    label_map: a LabelMap, or None to leave labels alone. reader: the InputReader message that says which masks and
    keypoints are to be loaded, or None to leave them alone.
    """
    try:
        example = Example.from_bytes(data)
    except UserError as error:
        return None, [('error', str(error), '')]
    loaded = _loaded_faults(example, protos.Example.FromString(data).features.feature, reader) if reader else ()
    return example, [*_picture_faults(example), *_box_faults(example), *_label_faults(example, label_map), *loaded]


def _picture_faults(example):
    try:
        with Image.open(BytesIO(example.encoded)) as image:
            size, kind = image.size, image.format
            orientation = image.getexif().get(0x0112, 1)
            image.draft('RGB', (1, 1))  # JPEG: an eighth of the size is enough to walk through all of the data
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        unknown = not example.encoded or isinstance(error, UnidentifiedImageError)
        yield 'error', BROKEN, f'{len(example.encoded)} bytes that are no picture' if unknown else str(error)
        return
    if kind not in _DECODABLE:
        yield 'error', f'the picture is {kind}; TensorFlow decodes {", ".join(_DECODABLE)}', ''
    if orientation != 1:
        yield 'warning', 'the picture is to be turned when shown (EXIF orientation), which training ignores', ''
    if (example.width, example.height) not in {size, (0, 0)}:
        said = f'the record says {example.width}x{example.height}, the picture is {size[0]}x{size[1]}'
        yield 'warning', 'width and height are not those of the picture', said


def _box_faults(example):
    if not example.boxes:
        return
    boxes = np.array(example.boxes)
    ymin, xmin, ymax, xmax = boxes.T
    if np.isnan(boxes).any():
        yield 'warning', 'a box has coordinates that are no numbers; it is left out', ''
        return
    if (boxes > 2).any():
        yield 'error', 'a box is in pixels; coordinates are fractions of height and width, 0 to 1', ''
    elif (boxes < -1e-3).any() or (boxes > 1 + 1e-3).any():
        yield 'warning', 'a box reaches out of the picture', ''
    if (ymax < ymin).any() or (xmax < xmin).any():
        yield 'error', 'a box has its maximum before its minimum', ''
    elif (ymax == ymin).any() or (xmax == xmin).any():
        yield 'warning', 'a box has no area', ''


def _label_faults(example, label_map):
    labels = example.texts or example.labels
    if len(labels) != len(example.boxes):
        yield 'error', 'there are not as many labels as boxes', f'{len(labels)} and {len(example.boxes)}'
    if label_map is None:
        return
    names = {name for item in label_map.items for name in (item.name, item.display_name) if name}
    known = names if example.texts else {item.id for item in label_map.items}
    for label in sorted(set(labels) - known):
        yield 'error', f'label {label!r} is not in the label map', f'{labels.count(label)} boxes'


def _loaded_faults(example, features, reader):
    """Faults of the masks and keypoints that the reader loads; a record may be without any."""
    boxes = len(example.boxes)
    points = len(features[KEYPOINT_KEYS[0]].float_list.value)
    if reader.num_keypoints and points not in {0, boxes * reader.num_keypoints}:
        yield ('error', f'there are not {reader.num_keypoints} keypoints (num_keypoints of the input_reader) for each '
               'box', f'{points} for {boxes}')
    kind = features['image/object/mask'].WhichOneof('kind')
    if not reader.load_instance_masks or not kind:
        return
    count, png = len(getattr(features['image/object/mask'], kind).value), reader.mask_type == PNG_MASKS
    if count and png != (kind == 'bytes_list'):
        has, name = ('numbers', 'NUMERICAL_MASKS') if png else ('PNGs', 'PNG_MASKS')
        yield 'error', f'its masks are {has}; set mask_type: {name} in the input_reader', ''
        return
    size = 1 if png else example.height * example.width
    if size and count not in {0, boxes * size}:
        yield 'error', 'there are not as many masks as boxes', f'{count / size:g} and {boxes}'


def check(patterns, label_map=None, sample=None, intact=True, reader=None):
    """Look at all records (or at `sample` of them, evenly spread) and return a Report.

    Each line names a fault, how many records have it, and the first picture and record with it; pictures that cannot be
    decoded are named up to ten times. intact: also compare the checksums of the data. reader: as in faults.
    """
    records = index(patterns)
    chosen = range(len(records)) if not sample else sorted({i * len(records) // sample for i in range(sample)})
    boxes_of, without_boxes, places = Counter(), 0, {}
    for i in chosen:
        example, found = faults(records[i], label_map, reader)
        if intact and not records.intact(i):
            found.append(('error', 'the data has a wrong checksum', ''))
        if example:
            boxes_of.update(example.texts or example.labels)
            without_boxes += not example.boxes
        name = example.filename or example.source_id if example else ''
        for severity, kind, detail in found:
            place = f'{name or "no file name"} ({records.where(i)}{"; " + detail if detail else ""})'
            places.setdefault((severity, kind), []).append(place)
    lines = {severity: [_line(kind, found) for (its, kind), found in places.items() if its == severity]
             for severity in ('error', 'warning')}
    return Report(len(records), len(chosen), boxes_of, without_boxes, lines['error'], lines['warning'])


def _line(kind, places):
    shown = places[:10] if kind == BROKEN else places[:1]
    more = f' and {len(places) - len(shown)} more' if len(places) > len(shown) else ''
    return f'{kind}: {", ".join(shown)}{more}'
