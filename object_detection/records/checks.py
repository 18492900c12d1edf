"""What is wrong with records, alone and against the pipeline.config that names them."""
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import Message
from PIL import Image, UnidentifiedImageError

from object_detection import protos
from object_detection.config import paths
from object_detection.config.checks import Finding, label_map_of
from object_detection.config.label_map import LabelMap
from object_detection.records.example import KEYPOINT_KEYS, PNG_MASKS, Example
from object_detection.records.tfrecord import Records
from object_detection.utils.errors import UserError

BROKEN = 'the picture cannot be decoded'
_DECODABLE = ('JPEG', 'PNG', 'GIF', 'BMP')  # what tf.io.decode_image takes


@dataclass
class Report:
    """What `check` found.

    Attributes:
        records: number of records.
        checked: number of records that were opened.
        boxes_of: number of boxes of each label (name, or id where the record has no names).
        without_boxes: number of opened records without boxes.
        errors: lines about what would spoil or stop a training.
        warnings: lines about what is worth a look.
    """

    records: int
    checked: int
    boxes_of: Counter[str | int]
    without_boxes: int
    errors: list[str]
    warnings: list[str]


class Fault(NamedTuple):
    """severity: 'error' or 'warning'. kind: the same text for the same fault in any record. detail: of this one."""

    severity: str
    kind: str
    detail: str = ''


def faults(data: bytes, label_map: LabelMap | None = None, reader: Message | None = None
           ) -> tuple[Example | None, list[Fault]]:
    """Find everything that is wrong with one record.

    Args:
        data: a serialized tf.train.Example.
        label_map: the labels must be in it; None to accept any label.
        reader: the InputReader message whose masks and keypoints are checked; None to check neither.
    Returns:
        The Example, None if it is unreadable, and its faults.
    """
    try:
        example = Example.from_bytes(data)
    except UserError as error:
        return None, [Fault('error', str(error))]
    loaded = _loaded_faults(example, protos.Example.FromString(data).features.feature, reader) if reader else ()
    return example, [*_picture_faults(example), *_box_faults(example), *_label_faults(example, label_map), *loaded]


def _picture_faults(example: Example) -> Iterator[Fault]:
    try:
        with Image.open(BytesIO(example.encoded)) as image:
            size, kind = image.size, image.format
            orientation = image.getexif().get(0x0112, 1)
            image.draft('RGB', (1, 1))  # JPEG: an eighth of the size is enough to walk through all of the data
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        unknown = not example.encoded or isinstance(error, UnidentifiedImageError)
        yield Fault('error', BROKEN, f'{len(example.encoded)} bytes that are no picture' if unknown else str(error))
        return
    if kind not in _DECODABLE:
        yield Fault('error', f'the picture is {kind}; TensorFlow decodes {", ".join(_DECODABLE)}')
    if orientation != 1:
        yield Fault('warning', 'the EXIF orientation asks to turn the picture, which training ignores')
    if (example.width, example.height) not in {size, (0, 0)}:
        yield Fault('warning', 'width and height are not those of the picture',
                    f'the record says {example.width}x{example.height}, the picture is {size[0]}x{size[1]}')


def _box_faults(example: Example) -> Iterator[Fault]:
    if not example.boxes:
        return
    boxes = np.array(example.boxes)
    ymin, xmin, ymax, xmax = boxes.T
    if np.isnan(boxes).any():
        yield Fault('warning', 'a box has coordinates that are not numbers; it is left out')
        return
    if (boxes > 2).any():
        yield Fault('error', 'a box is in pixels; coordinates are fractions of height and width, 0 to 1')
    elif (boxes < -1e-3).any() or (boxes > 1 + 1e-3).any():
        yield Fault('warning', 'a box extends beyond the picture')
    if (ymax < ymin).any() or (xmax < xmin).any():
        yield Fault('error', 'a box has its maximum before its minimum')
    elif (ymax == ymin).any() or (xmax == xmin).any():
        yield Fault('warning', 'a box has no area')


def _label_faults(example: Example, label_map: LabelMap | None) -> Iterator[Fault]:
    labels: list[Any] = example.texts or example.labels  # names, or ids where there are none
    if len(labels) != len(example.boxes):
        yield Fault('error', 'there are not as many labels as boxes', f'{len(labels)} and {len(example.boxes)}')
    if label_map is None:
        return
    names = {name for item in label_map.items for name in (item.name, item.display_name) if name}
    known: set[Any] = names if example.texts else {item.id for item in label_map.items}
    for label in sorted(set(labels) - known):
        yield Fault('error', f'label {label!r} is not in the label map', f'{labels.count(label)} boxes')


def _loaded_faults(example: Example, features: Mapping[str, Any], reader: Any) -> Iterator[Fault]:
    """Yield the faults of the masks and keypoints that the reader loads; a record may have none."""
    boxes = len(example.boxes)
    points = len(features[KEYPOINT_KEYS[0]].float_list.value)
    if reader.num_keypoints and points not in {0, boxes * reader.num_keypoints}:
        yield Fault('error', f'there are not {reader.num_keypoints} keypoints (num_keypoints of the input_reader) for '
                    'each box', f'{points} for {boxes}')
    kind = features['image/object/mask'].WhichOneof('kind')
    if not reader.load_instance_masks or not kind:
        return
    count, png = len(getattr(features['image/object/mask'], kind).value), reader.mask_type == PNG_MASKS
    if count and png != (kind == 'bytes_list'):
        has, name = ('numbers', 'NUMERICAL_MASKS') if png else ('PNGs', 'PNG_MASKS')
        yield Fault('error', f'its masks are {has}; set mask_type: {name} in the input_reader')
        return
    size = 1 if png else example.height * example.width
    if size and count not in {0, boxes * size}:
        yield Fault('error', 'there are not as many masks as boxes', f'{count / size:g} and {boxes}')


def check(patterns: str | os.PathLike | Sequence[str | os.PathLike], label_map: LabelMap | None = None,
          sample: int | None = None, reader: Message | None = None) -> Report:
    """Look at records and report each fault once: how many records have it, the first picture and record with it.

    Pictures that cannot be decoded are named up to ten times. Checksums are compared too.

    Args:
        patterns, label_map, reader: see Records and faults.
        sample: number of records to open, evenly spread; None for all.
    """
    records = Records(patterns)
    chosen = range(len(records)) if not sample else sorted({i * len(records) // sample for i in range(sample)})
    boxes_of: Counter[str | int] = Counter()
    without_boxes = 0
    places: dict[tuple[str, str], list[str]] = {}
    for i in chosen:
        example, found = faults(records[i], label_map, reader)
        if not records.intact(i):
            found.append(Fault('error', 'the data has a wrong checksum'))
        if example:
            boxes_of.update(example.texts or example.labels)
            without_boxes += not example.boxes
        name = example.filename or example.source_id if example else ''
        for severity, kind, detail in found:
            place = f'{name or "no file name"} ({records.where(i)}{"; " + detail if detail else ""})'
            places.setdefault((severity, kind), []).append(place)
    lines = {severity: [_line(kind, found_at) for (its, kind), found_at in places.items() if its == severity]
             for severity in ('error', 'warning')}
    return Report(len(records), len(chosen), boxes_of, without_boxes, lines['error'], lines['warning'])


def check_data(config: Any, sample: int | None = 1000) -> tuple[list[Finding], dict[str, Report]]:
    """Look at the records of all input_readers of a TrainEvalPipelineConfig.

    Args:
        sample: number of records of each reader to open, evenly spread; None for all.
    Returns:
        findings: what config.checks does not find; missing files and label maps are left to it.
        reports: {name of the reader: Report} of those whose records could be read.
    """
    readers = {'train_input_reader': config.train_input_reader}
    readers |= {f'eval_input_reader[{i}]': reader for i, reader in enumerate(config.eval_input_reader)}
    findings, reports = [], {}
    for name, reader in readers.items():
        field = f'{name}.tf_record_input_reader.input_path'
        patterns = list(reader.tf_record_input_reader.input_path)
        if not patterns or any(severity == 'error' for pattern in patterns for severity, _ in paths.records(pattern)):
            continue
        labels = label_map_of(reader)
        try:
            report = reports[name] = check(patterns, labels, sample, reader=reader)
        except UserError as error:
            findings += [Finding('error', field, message) for message in error.findings]
            continue
        findings += [Finding('error', field, line) for line in report.errors]
        findings += [Finding('warning', field, line) for line in [*report.warnings, *_unused(labels, report)]]
    return findings, reports


def _line(kind: str, places: list[str]) -> str:
    shown = places[:10] if kind == BROKEN else places[:1]
    more = f' and {len(places) - len(shown)} more' if len(places) > len(shown) else ''
    return f'{kind}: {", ".join(shown)}{more}'


def _unused(labels: LabelMap | None, report: Report) -> Iterator[str]:
    if not report.boxes_of:
        yield f'none of the {report.checked} records looked at has a box'
    elif labels:
        known = [item for item in labels.items if not {item.id, item.name, item.display_name} & report.boxes_of.keys()]
        if known:
            names = ', '.join(item.display_name or item.name for item in known[:10])
            more = f' and {len(known) - 10} more' if len(known) > 10 else ''
            yield f'no box in the {report.checked} records looked at has the label {names}{more}'
