"""Label maps under the reference's names. Imports no TensorFlow.

    category_index = label_map_util.create_category_index_from_labelmap('label_map.pbtxt', use_display_name=True)
    category_index[1]                  # {'id': 1, 'name': 'dog'}

A label map is given as a path or as a StringIntLabelMap message. Our own reader, config.label_map, is stricter.
"""
import logging
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from object_detection import protos
from object_detection.config import textproto
from object_detection.protos import string_int_label_map_pb2
from object_detection.utils import gfile

if TYPE_CHECKING:
    import numpy as np

Category = dict[str, Any]  # id, name; keypoints, frequency, instance_count where the label map has them
PathOrProto = str | os.PathLike | Message  # path, or StringIntLabelMap

_FREQUENCIES = {string_int_label_map_pb2.FREQUENT: 'f', string_int_label_map_pb2.COMMON: 'c',
                string_int_label_map_pb2.RARE: 'r'}  # of LVIS


def load_labelmap(path: str | os.PathLike) -> protos.StringIntLabelMap:
    """Read a label map.

    Raises:
        FileNotFoundError, UserError (with file:line:column where the text does not fit the schema).
        ValueError: an id is negative, or 0 and not the background's.
    """
    label_map = textproto.merge(gfile.read_text(path), protos.StringIntLabelMap(), str(path))
    return _validated(label_map)


def get_label_map_dict(label_map_path_or_proto: PathOrProto, use_display_name: bool = False,
                       fill_in_gaps_and_background: bool = False) -> dict[str, int]:
    """Return {name: id}.

    Args:
        use_display_name: take display_name for the name.
        fill_in_gaps_and_background: add 'background' with id 0, and each missing id below the highest, called by its
            number.
    """
    label_map = _message(label_map_path_or_proto)
    ids = {item.display_name if use_display_name else item.name: item.id for item in label_map.item}
    if fill_in_gaps_and_background:
        present = set(ids.values())
        if 0 not in present:
            ids['background'] = 0
        ids.update((str(number), number) for number in range(1, max(present)) if number not in present)
    return ids


def get_keypoint_label_map_dict(label_map_path_or_proto: PathOrProto) -> dict[str, int]:
    """Return {label: id} of the keypoints of all classes.

    Raises:
        ValueError: a label or an id is given twice.
    """
    ids: dict[str, int] = {}
    for item in _message(label_map_path_or_proto).item:
        for keypoint in item.keypoints:
            if keypoint.label in ids:
                raise ValueError(f'Duplicated keypoint label: {keypoint.label}')
            if keypoint.id in ids.values():
                raise ValueError(f'Duplicated keypoint ID: {keypoint.id}')
            ids[keypoint.label] = keypoint.id
    return ids


def get_label_map_hierarchy_lut(label_map_path_or_proto: PathOrProto, include_identity: bool = False
                                ) -> tuple['np.ndarray', 'np.ndarray']:
    """Return which classes are ancestors and which are descendants of each class.

    Args:
        include_identity: each class is also its own ancestor and descendant.
    Returns:
        ancestors, descendants: float64 [highest id, highest id]; [i - 1, j - 1] is 1 where class j is an ancestor or
            descendant of class i.
    """
    import numpy as np  # here, because it takes longer to import than all of this module
    items = _message(label_map_path_or_proto).item
    size = max((item.id for item in items), default=0)
    tables = []
    for field in ('ancestor_ids', 'descendant_ids'):
        table = np.eye(size) if include_identity else np.zeros([size, size])
        for item in items:
            table[item.id - 1, [other - 1 for other in getattr(item, field)]] += 1.
        tables.append(table)
    return tables[0], tables[1]


def get_max_label_map_index(label_map: protos.StringIntLabelMap) -> int:
    """Return the highest id."""
    return max(item.id for item in label_map.item)


def convert_label_map_to_categories(label_map: protos.StringIntLabelMap | None, max_num_classes: int,
                                    use_display_name: bool = True) -> list[Category]:
    """Return the classes as a list of categories, as evaluators and COCO take them.

    Args:
        label_map: None for categories called category_1, category_2, ...
        max_num_classes: the highest id that is kept. Of several classes with one id the first is kept.
        use_display_name: take display_name for the name where there is one.
    Raises:
        ValueError: a class has two keypoints with one id.
    """
    if not label_map:
        return [{'id': number, 'name': f'category_{number}'} for number in range(1, max_num_classes + 1)]
    categories: dict[int, Category] = {}
    for item in label_map.item:
        if not 0 < item.id <= max_num_classes:
            logging.info('Ignore item %d since it falls outside of requested label range.', item.id)
        elif item.id not in categories:
            categories[item.id] = _category(item, use_display_name)
    return list(categories.values())


def create_category_index(categories: Iterable[Category]) -> dict[int, Category]:
    """Return {id: category}."""
    return {category['id']: category for category in categories}


def create_categories_from_labelmap(label_map_path: str | os.PathLike, use_display_name: bool = True
                                    ) -> list[Category]:
    """Like convert_label_map_to_categories, of all classes in a file."""
    label_map = load_labelmap(label_map_path)
    return convert_label_map_to_categories(label_map, get_max_label_map_index(label_map), use_display_name)


def create_category_index_from_labelmap(label_map_path: str | os.PathLike, use_display_name: bool = True
                                        ) -> dict[int, Category]:
    """Return {id: category} of all classes in a file: what the drawing functions take."""
    return create_category_index(create_categories_from_labelmap(label_map_path, use_display_name))


def create_class_agnostic_category_index() -> dict[int, Category]:
    """Return the category index of a detector that knows one class only, 'object'."""
    return {1: {'id': 1, 'name': 'object'}}


def _message(label_map_path_or_proto: PathOrProto) -> protos.StringIntLabelMap:
    if isinstance(label_map_path_or_proto, (str, os.PathLike)):
        return load_labelmap(label_map_path_or_proto)
    return _validated(label_map_path_or_proto)


def _validated(label_map: protos.StringIntLabelMap) -> protos.StringIntLabelMap:
    for item in label_map.item:
        if item.id < 0:
            raise ValueError(f'Label map ids should be >= 0; {item.name!r} has {item.id}.')
        if item.id == 0 and 'background' not in (item.name, item.display_name):
            raise ValueError(f'Label map id 0 is reserved for the background label; {item.name!r} has it.')
    return label_map


def _category(item: protos.StringIntLabelMapItem, use_display_name: bool) -> Category:
    shown = use_display_name and item.HasField('display_name')
    category: Category = {'id': item.id, 'name': item.display_name if shown else item.name}
    if item.frequency in _FREQUENCIES:
        category['frequency'] = _FREQUENCIES[item.frequency]
    if item.HasField('instance_count'):
        category['instance_count'] = item.instance_count
    if item.keypoints:
        keypoints: Mapping[str, int] = {keypoint.label: keypoint.id for keypoint in item.keypoints}
        ids = [keypoint.id for keypoint in item.keypoints]
        if twice := [number for number in ids if ids.count(number) > 1]:
            raise ValueError(f'Duplicate keypoint ids are not allowed. Found {twice[0]} more than once')
        category['keypoints'] = keypoints
    return category
