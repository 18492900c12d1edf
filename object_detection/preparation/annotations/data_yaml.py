"""data.yaml of Ultralytics, Roboflow and CVAT: class names, the parts of the split, keypoints.

All values stay text, so that a class named `no` or `1` does not become a boolean or a number.
"""
import re
from typing import Any

import yaml

from object_detection.preparation.annotations.entry import Unreadable

MOST_DIGITS = 6  # of a class number, and of a number of keypoints


class _Loader(yaml.BaseLoader):
    """Keeps scalars as text, and refuses a key that stands twice: the second would replace the first in silence."""

    def construct_mapping(self, node, deep=False):
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f'{key.value} stands twice', key.start_mark)
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def read(text: str) -> dict[str, Any]:
    """Return the top of a YAML file, {} if it is no map, or is broken and does not list class names.

    Unreadable for a broken file that does.
    """
    try:
        data = yaml.load(text, _Loader)  # constructs texts, lists and maps only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if not re.search(r'^\s*names\s*:', text, re.MULTILINE):
            return {}
        mark = getattr(error, 'problem_mark', None)
        what = getattr(error, 'problem', None) or 'nested too deep'
        raise Unreadable(f'{f"line {mark.line + 1}: " if mark else ""}cannot be read as YAML: {what}') from error
    return data if isinstance(data, dict) else {}


def class_names(data: dict[str, Any]) -> dict[int, str]:
    """Return {class number: name} of the `names` of a file, a list or a map; {} without.

    Unreadable for anything else, and if `nc` says another number of classes.
    """
    names = data.get('names')
    if not names:
        return {}
    found = _numbered(names)
    if found is None or not all(isinstance(name, str) for name in found.values()):
        raise Unreadable('names is neither a list of names nor a map from class numbers to names; write it as one '
                         'item a line, - NAME')
    count = data.get('nc')
    if count is not None and count != '' and count != str(len(found)):
        raise Unreadable(f'nc says {count} classes, but names has {len(found)}; correct the one that is wrong')
    return found


def keypoint_shape(data: dict[str, Any]) -> tuple[int, int]:
    """Return (number of keypoints of each object, numbers of each: 2 or 3) of `kpt_shape`, (0, 3) without."""
    shape = data.get('kpt_shape') or ['0', '3']
    if not (isinstance(shape, list) and len(shape) == 2 and _is_number(shape[0]) and shape[1] in ('2', '3')):
        raise Unreadable('kpt_shape is not [number of keypoints, 2 or 3]')
    return int(shape[0]), int(shape[1])


def keypoint_names(data: dict[str, Any], classes: dict[int, str], count: int) -> dict[int, list[str]]:
    """Return {class number: names of its keypoints} of `kpt_names`, a map of lists or one list for all; {} without.

    count: of the keypoints of each object; Unreadable for any other number of names.
    """
    names = data.get('kpt_names')
    if not names or not count:
        return {}
    found = dict.fromkeys(classes, names) if _is_plain(names) else _numbered(names)
    if found is None or not all(_is_plain(points) and len(points) == count for points in found.values()):
        raise Unreadable(f'kpt_names does not list {count} names for each class, as many as kpt_shape says')
    return {number: [point.strip() for point in points] for number, points in found.items()}


def texts(value: Any) -> list[str]:
    """Return a text, or a list of texts, as a list; what is neither is passed over."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item]


def _numbered(items: Any) -> dict[int, Any] | None:
    """Return {number: item} of a list, or of a map whose keys are numbers; None of anything else."""
    if isinstance(items, list):
        return dict(enumerate(items))
    if isinstance(items, dict) and all(map(_is_number, items)) and len(set(map(int, items))) == len(items):
        return {int(key): item for key, item in items.items()}
    return None


def _is_number(value):
    return isinstance(value, str) and value.isdecimal() and len(value) <= MOST_DIGITS


def _is_plain(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
