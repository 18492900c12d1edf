"""Everything that is wrong with one record, for the input pipeline (inputs/decode.py) that is to read it."""
import dataclasses
import difflib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from object_detection import protos
from object_detection.config.label_map import LabelMap
from object_detection.records import pictures
from object_detection.records.example import BOX_KEYS, KEYPOINT_KEYS, KEYS, PNG_MASKS, features_read
from object_detection.records.pictures import Fault, fatal

PIXELS = 2  # a normalized coordinate above this is in pixels
_ROUNDING = 1e-3  # so far a box may extend beyond the picture


@dataclasses.dataclass
class Look:
    """What a look at one record found.

    Attributes:
        faults: everything that is wrong.
        name: file name of the picture, or its source_id; '' if it has neither.
        labels: class of each box, as the input pipeline finds it: by name, or by number where names do not count.
        pairs: (name, number) of each box that has both.
        boxes: number of boxes.
        kept: number of boxes that the input pipeline hands on.
        usable: number of those that a model can learn and be evaluated on.
        others: keys of features that are not part of the schema.
    """

    faults: list[Fault]
    name: str = ''
    labels: list[str | int] = dataclasses.field(default_factory=list)
    pairs: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    boxes: int = 0
    kept: int = 0
    usable: int = 0
    others: list[str] = dataclasses.field(default_factory=list)


def examine(data: bytes, label_map: LabelMap | None = None, reader: protos.InputReader | None = None,
            num_classes: int = 0, labels: bool = True, picture: bool = True) -> Look:
    """Look at a serialized tf.train.Example.

    Args:
        label_map: of the reader; None if class numbers alone count.
        reader: input_reader, whose keypoints and masks are checked; None for neither.
        num_classes: of the model; 0 if unknown.
        labels: look at the labels; off where there is a label map, but it cannot be read.
        picture: decode the picture and the masks, which takes almost all of the time.
    """
    try:
        record = _Record(data, reader)
    except DecodeError:
        return Look([fatal('not a tf.train.Example')])
    look = Look(list(record.type_faults()), record.text('filename') or record.text('source_id'))
    known = {*BOX_KEYS, *KEYPOINT_KEYS, *(key for key, _ in KEYS.values())}
    look.others = sorted(set(record.features) - known)
    size = None
    if not record.values('encoded') and record.sound(KEYS['encoded'][0]):
        look.faults.append(fatal('it has no picture (image/encoded)', ', '.join(sorted(record.features)[:5])))
    elif picture and record.values('encoded'):
        found = _picture(record)
        size = found.size
        look.faults += found.faults
    if record.boxes is not None:
        look.boxes = len(record.boxes)
        ids = _labels(look, record, label_map, num_classes) if labels else np.ones(len(record.boxes), np.int64)
        _objects(look, record, record.boxes, ids, num_classes)
        if reader is not None and reader.num_keypoints:
            look.faults += _keypoints(record, look.boxes, reader.num_keypoints)
        if reader is not None and reader.load_instance_masks:
            look.faults += _masks(record, look.boxes, size, reader.mask_type == PNG_MASKS, picture)
    return look


class _Record:
    """The features of a record. boxes: float64 [N, 4], None if their coordinates cannot be read."""

    def __init__(self, data: bytes, reader: protos.InputReader | None) -> None:
        self.features: Mapping[str, Any] = protos.Example.FromString(data).features.feature
        self.read = features_read(reader)
        columns = [self.values(key) for key in BOX_KEYS]
        self.boxes: np.ndarray | None = None
        if all(map(self.sound, BOX_KEYS)) and len({len(column) for column in columns}) == 1:
            self.boxes = np.array(columns, np.float64).T.reshape(-1, 4)

    def kind(self, key: str) -> str | None:
        """The list that a feature has its values in: 'float_list', ...; None if the record lacks it."""
        return self.features[key].WhichOneof('kind') if key in self.features else None

    def sound(self, key: str) -> bool:
        """Return whether a feature is missing or has values of the right type."""
        return self.kind(key) in (None, self.read[key].kind)

    def values(self, name: str) -> Sequence[Any]:
        """Return the values of a feature, by its name in Example or its key; none if their type is wrong."""
        key, kind = KEYS.get(name, (name, ''))
        kind = self.read[key].kind if key in self.read else kind
        return getattr(self.features[key], kind).value if self.kind(key) == kind else ()

    def text(self, name: str) -> str:
        return next((value.decode('utf-8', 'replace') for value in self.values(name)), '')

    def type_faults(self) -> Iterator[Fault]:
        """Yield features of a wrong type, or with a wrong number of values."""
        for key, (kind, values) in self.read.items():
            has = self.kind(key)
            if has is None:
                continue
            if has != kind:
                if key == KEYS['masks'][0] and has != 'int64_list':
                    png = kind == 'bytes_list'
                    form, name = ('numbers', 'NUMERICAL_MASKS') if png else ('PNGs', 'PNG_MASKS')
                    yield fatal(f'its masks are {form}; set mask_type: {name} in the input_reader')
                else:
                    yield fatal(f'feature {key} is of type {has} and must be of type {kind}; write the records again')
            elif values is None and len(self.values(key)) != 1:
                yield fatal(f'feature {key} must have one value', f'it has {len(self.values(key))}')
        for what, keys in (('boxes', BOX_KEYS), ('keypoints', KEYPOINT_KEYS)):
            if all(key in self.read and self.sound(key) for key in keys):
                counts = {key: len(self.values(key)) for key in keys}
                if len(set(counts.values())) > 1:
                    said = ', '.join(f'{count} of {key.rsplit("/")[-1]}' for key, count in counts.items())
                    yield fatal(f'its {what} have unequal numbers of coordinates', said)


def _picture(record: _Record) -> pictures.Picture:
    data = record.values('encoded')[0]
    height, width = (next(iter(record.values(name)), 0) for name in ('height', 'width'))
    found = pictures.examine(data, record.text('format'))
    if found.size is None and height > 0 and width > 0 and len(data) in (width * height, 3 * width * height):
        return found._replace(faults=[fatal(pictures.BROKEN, f'{len(data)} bytes, the bare pixels of {width}x{height}; '
                                            'encode them as JPEG or PNG')])
    if found.size and (width, height) not in {found.size, (0, 0)}:
        found.faults.append(Fault('warning', 'width and height are not those of the picture', f'the record says '
                                  f'{width}x{height}, the picture is {found.size[0]}x{found.size[1]}'))
    return found


def _objects(look: Look, record: _Record, boxes: np.ndarray, ids: np.ndarray, num_classes: int) -> None:
    """Check boxes [N, 4] with their class ids, int64 [N], and count them in `look`."""
    if len(ids) != look.boxes:
        return
    not_nan = ~np.isnan(boxes).any(1)
    kept = not_nan & (ids > -1)
    look.kept = int(kept.sum())
    look.faults += _boxes(boxes, kept, not_nan)
    weights = np.ones(look.boxes)
    for name in ('weights', 'area', 'is_crowd', 'difficult', 'group_of'):
        values = np.array(record.values(name), np.float64)
        if len(values) not in (0, look.boxes):
            look.faults.append(fatal(f'feature {KEYS[name][0]} must have one value for each box',
                                     f'{len(values)} values, {look.boxes} boxes'))
        elif name == 'weights' and len(values):
            weights = values
        look.faults += _odd_values(name, values)
    ymin, xmin, ymax, xmax = boxes.T
    inside = (ymin < 1) & (xmin < 1) & (ymax > 0) & (xmax > 0) & (ymin < ymax) & (xmin < xmax)
    inside &= (boxes <= PIXELS).all(1)
    learned = (ids > 0) & (ids <= (num_classes or math.inf)) & (weights > 0)
    look.usable = int((kept & inside & learned).sum())


def _boxes(boxes: np.ndarray, kept: np.ndarray, not_nan: np.ndarray) -> Iterator[Fault]:
    """Check boxes [N, 4]; `kept`, bool [N]: the input pipeline hands them on."""
    if not not_nan.all():
        yield Fault('warning', 'a box has coordinates that are not numbers; it is left out')
    if np.isinf(boxes[kept]).any():
        yield fatal('a box has infinite coordinates')
    ymin, xmin, ymax, xmax = boxes[not_nan].T
    finite = boxes[np.isfinite(boxes).all(1)]
    if (finite > PIXELS).any():
        yield Fault('error', 'a box is in pixels; coordinates are fractions of height and width, 0 to 1')
    elif (finite < -_ROUNDING).any() or (finite > 1 + _ROUNDING).any():
        yield Fault('warning', 'a box extends beyond the picture')
    inverted = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if inverted.any():
        yield Fault('error', 'a box has its maximum before its minimum', fatal=bool((inverted & kept).any()))
    elif (ymax == ymin).any() or (xmax == xmin).any():
        yield Fault('warning', 'a box has no area')


def _labels(look: Look, record: _Record, label_map: LabelMap | None, num_classes: int) -> np.ndarray:
    """Check labels, and list them in `look`.

    Returns:
        The class ids as the input pipeline finds them: int64 [N], or of another length if that is a fault.
    """
    texts = [text.decode('utf-8', 'replace') for text in record.values('texts')]
    numbers = list(record.values('labels'))
    by_name = label_map is not None and len(texts) > 0
    look.labels = list(texts if by_name else numbers)
    if len(texts) == len(numbers):
        look.pairs = list(zip(texts, numbers))
    if len(look.labels) != look.boxes and all(record.sound(KEYS[name][0]) for name in ('texts', 'labels')):
        if look.boxes and texts and not numbers:
            look.faults.append(fatal('its labels are names (image/object/class/text) without numbers; that takes a '
                                     'label_map_path in the input_reader'))
        else:
            look.faults.append(fatal('there are not as many labels as boxes', f'{len(look.labels)} and {look.boxes}'))
    if label_map is None:
        highest = num_classes or math.inf
        look.faults += [Fault('error', f'label {number} is no class; they are numbered from 1' + (
            f' to {num_classes} (num_classes)' if num_classes else ''), _count(numbers.count(number)))
            for number in sorted(set(numbers)) if not 0 < number <= highest]
        return np.array(numbers, np.int64)
    known: Any = label_map.ids if by_name else {item.id for item in label_map.items}
    for label in sorted(set(look.labels) - set(known)):
        near = _similar(str(label), tuple(label_map.ids)) if by_name else None
        has = f', which has {near!r}' if near else ''
        look.faults.append(Fault('error', f'label {label!r} is not in the label map{has}',
                                 _count(look.labels.count(label))))
    if not by_name:
        return np.array(numbers, np.int64)
    if numbers and len(numbers) != len(texts):
        look.faults.append(Fault('warning', 'its boxes have names and numbers of classes, not as many of the one as of '
                                 'the other; the names count', f'{len(texts)} and {len(numbers)}'))
    for text, number in look.pairs:
        if label_map.ids.get(text, number) != number:
            look.faults.append(Fault('warning', 'the name of a class and its number contradict each other; the name '
                                     'counts', f'{text!r} is {label_map.ids[text]} in the label map, not {number}'))
            break
    return np.array([label_map.ids.get(text, -1) for text in texts], np.int64)


def _count(boxes: int) -> str:
    return '1 box' if boxes == 1 else f'{boxes} boxes'


@functools.lru_cache(maxsize=1000)
def _similar(label: str, names: tuple[str, ...]) -> str | None:
    """Return the name that a label is probably meant to be."""
    folded = {name.strip().casefold(): name for name in names}
    close = difflib.get_close_matches(label.strip().casefold(), folded, n=1, cutoff=0.8)
    return folded[close[0]] if close else None


def _odd_values(name: str, values: np.ndarray) -> Iterator[Fault]:
    """Check the range of a feature with one value for each box."""
    key = KEYS[name][0]
    if name == 'weights':
        if not np.isfinite(values).all():
            yield fatal(f'feature {key} has values that are not finite numbers')
        elif (values < 0).any():
            yield Fault('error', f'feature {key} has negative values')
    elif name == 'area':
        if not np.isfinite(values).all() or (values < 0).any():
            yield Fault('warning', f'feature {key} has values that are no area in square pixels')
    elif not np.isin(values, (0, 1)).all():
        yield Fault('warning', f'feature {key} has values other than 0 and 1; they count as 1')


def _keypoints(record: _Record, boxes: int, per_box: int) -> Iterator[Fault]:
    if not all(map(record.sound, KEYPOINT_KEYS)):
        return
    points = record.values(KEYPOINT_KEYS[0])
    if len(points) not in (0, boxes * per_box):
        yield fatal(f'there are not {per_box} keypoints (num_keypoints of the input_reader) for each box',
                    f'{len(points)} for {boxes}')
    values = np.concatenate([np.array(record.values(key), np.float64) for key in KEYPOINT_KEYS])
    if np.isinf(values).any():
        yield fatal('a keypoint has infinite coordinates')
    elif (values > PIXELS).any():
        yield Fault('error', 'a keypoint is in pixels; coordinates are fractions of height and width, 0 to 1')
    visibility = record.values('keypoint_visibility')
    if len(visibility) not in (0, len(points)):
        yield Fault('warning', 'there are not as many keypoint visibilities as keypoints; they do not count',
                    f'{len(visibility)} and {len(points)}')
    elif set(visibility) - {0, 1, 2}:
        yield Fault('warning', 'keypoint visibilities are 0 (not labeled), 1 (hidden), or 2 (visible); others count '
                    'as 0', f'has {min(set(visibility) - {0, 1, 2})}')


def _masks(record: _Record, boxes: int, size: tuple[int, int] | None, png: bool, decode: bool) -> Iterator[Fault]:
    """Check the masks of a record whose picture has this size (width, height); None if it is unknown."""
    values = record.values('masks')
    per_mask = 1 if png else math.prod(size) if size else 0
    if per_mask and len(values) not in (0, boxes * per_mask):
        yield fatal('there are not as many masks as boxes', f'{len(values) / per_mask:g} and {boxes}')
    for mask in values if png and decode else ():
        found = pictures.examine(mask, channels=1)
        if broken := next((fault for fault in found.faults if fault.fatal), None):
            yield fatal('a mask cannot be decoded', broken.detail or broken.kind)
            return
        if size and found.size != size:
            yield fatal('a mask has another size than its picture', f'{found.size} and {size}')
            return
