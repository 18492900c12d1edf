"""label_map.pbtxt: the names and ids of the classes. Ids start at 1; 0 is the background."""
import difflib
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from object_detection import protos
from object_detection.config import paths, textproto
from object_detection.utils import files
from object_detection.utils.errors import UserError

MOST_CLASSES = 100_000  # the highest id; a slip of the keyboard must not ask for a billion outputs
# What the zoo's configs mean by PATH_TO_BE_CONFIGURED as keypoint_label_map_path.
COCO_PERSON = '/m/01g317'
COCO_KEYPOINTS = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder',
                  'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee',
                  'right_knee', 'left_ankle', 'right_ankle')


@dataclass(frozen=True)
class Item:
    """One class.

    Attributes:
        id: from 1.
        name: as in the records.
        display_name: for people; '' if there is none.
        keypoints: {label: id}.
    """

    id: int
    name: str
    display_name: str = ''
    keypoints: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelMap:
    """The classes of a label map, in the order of the file; `warnings` are oddities that do no harm."""

    items: tuple[Item, ...]
    source: str = 'the label map'
    warnings: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """The largest id; num_classes of the model must be at least this."""
        return max(item.id for item in self.items)

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """{name or display name: id}; the higher id if two classes share it, as in the reference."""
        found: dict[str, int] = {}
        for item in self.items:
            for name in filter(None, (item.name, item.display_name)):
                found[name] = max(item.id, found.get(name, 0))
        return found

    def name_of(self, class_id: int) -> str:
        """Return the display name of a class, or its name; 'category_7' for an id that no class has."""
        return next((item.display_name or item.name for item in self.items if item.id == class_id),
                    f'category_{class_id}')

    def item_of(self, name: str) -> Item:
        """Return a class by its name or display name; UserError with similar names if there is none."""
        items = {known: item for item in self.items for known in (item.display_name, item.name) if known}
        if name in items:
            return items[name]
        close = difflib.get_close_matches(name, items, n=3)
        advice = f'did you mean {" or ".join(close)}?' if close else f'it has {", ".join(list(items)[:12])}'
        raise UserError(f'{self.source}: has no class {name!r}; {advice}')


def load(path: str | Path) -> LabelMap:
    """Read a label map; UserError with every broken entry and its line.

    As in the reference, only the background may have id 0; it is left out.
    """
    text = textproto.read_text(path)
    message = textproto.parse(text, protos.StringIntLabelMap(), str(path))
    lines = textproto.locate(text)
    entries = [(lines.get(('item', index, 'id', 0), lines.get(('item', index), 0)), entry)
               for index, entry in enumerate(message.item)
               if not (entry.id == 0 and entry.HasField('id') and 'background' in (entry.name, entry.display_name))]
    faults = [f'{path}:{line}: {fault}' for line, fault in _faults(entries)]
    if not entries:
        faults = [f'{path}: has no class; it needs entries like item {{ id: 1 name: "dog" }}']
    if faults:
        raise UserError(faults)
    items = tuple(Item(entry.id, entry.name or entry.display_name, entry.display_name,
                       {point.label: point.id for point in entry.keypoints}) for _, entry in entries)
    return LabelMap(items, str(path), tuple(_oddities(items, path)))


def keypoint_class(path: str, name: str, labels: Iterable[str] = ()) -> Item | None:
    """Return the class of a keypoint_label_map_path with this name and keypoints; None if there is none.

    Where no path is configured, COCO's person is known, with COCO's keypoints if `labels` are among them.
    """
    if path and not paths.is_placeholder(path):
        return next((item for item in load(path).items if item.name == name and item.keypoints), None)
    if name == COCO_PERSON and set(labels) <= set(COCO_KEYPOINTS):
        return Item(1, COCO_PERSON, 'person', {label: number for number, label in enumerate(COCO_KEYPOINTS)})
    return None


def write(path: str | Path, names: Iterable[str], keypoints: Mapping[str, Sequence[str]] | None = None) -> None:
    """Write a label map with ids 1, 2, ... for names, in their order.

    keypoints: {name: labels of its keypoints}, whose ids go on from name to name, 0, 1, ..., in the order of the dict.
    """
    message = protos.StringIntLabelMap()
    points, first = {}, 0
    for name, labels in (keypoints or {}).items():
        points[name] = list(enumerate(labels, start=first))
        first += len(labels)
    for number, name in enumerate(names, start=1):
        item = message.item.add(id=number, name=name)
        for key, label in points.get(name, ()):
            item.keypoints.add(id=key, label=label)
    files.write_text(path, text_format.MessageToString(message, as_utf8=True))


def _faults(entries: list[tuple[int, Any]]) -> Iterator[tuple[int, str]]:
    """Yield (line, message) for entries [(line, StringIntLabelMapItem)] that cannot be used."""
    ids: dict[int, int] = {}
    names: dict[str, int] = {}
    for line, entry in entries:
        name = entry.name or entry.display_name
        if not name:
            yield line, f'the class with id {entry.id} has no name'
        elif name in names:
            yield line, f'name {name!r} is given twice (first on line {names[name]}); each class needs its own'
        if not entry.HasField('id'):
            yield line, f'class {name!r} has no id; ids start at 1'
        elif entry.id < 1:
            yield line, f'class {name!r} has id {entry.id}; ids start at 1, 0 is the background'
        elif entry.id > MOST_CLASSES:
            yield line, (f'class {name!r} has id {entry.id}, and a model has as many outputs as the highest id; number '
                         f'the classes from 1, at most to {MOST_CLASSES}')
        elif entry.id in ids:
            yield line, f'id {entry.id} is given twice (first on line {ids[entry.id]}); each class needs its own'
        names.setdefault(name, line)
        ids.setdefault(entry.id, line)
        for what, values in (('id', [point.id for point in entry.keypoints]),
                             ('label', [point.label for point in entry.keypoints])):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                yield line, f'class {name!r}: keypoint {what} {twice[0]!r} is given twice'


def _oddities(items: tuple[Item, ...], path: str | Path) -> Iterator[str]:
    used = {item.id for item in items}
    if gaps := max(used) - len(used):
        first = itertools.islice((number for number in itertools.count(1) if number not in used), min(gaps, 10))
        shown = ', '.join(map(str, first)) + (' ...' if gaps > 10 else '')
        yield f'{path}: no class has id {shown}; the model keeps {gaps} unused outputs for them'
    names = {item.name: item.id for item in items}
    for item in items:
        if names.get(item.display_name, item.id) != item.id:
            yield (f'{path}: {item.display_name!r} is the display_name of class {item.id} and the name of class '
                   f'{names[item.display_name]}; in the records it means the higher of the two')
        if item.name != item.name.strip():
            yield f'{path}: the name {item.name!r} begins or ends with a space; the records must have it too'
