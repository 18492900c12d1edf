"""Pascal VOC XML, one file for each picture, as LabelImg, CVAT and Roboflow write it."""
from xml.etree import ElementTree

from object_detection.preparation.annotations.entry import Entry, Shape, Unreadable, number, size_of
from object_detection.preparation.scan import composed

SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


def read(root: ElementTree.Element, file: str) -> Entry:
    """Return the Entry of an <annotation>; Unreadable if it is broken. file: its path, which tells the picture."""
    size = size_of(root.findtext('size/width'), root.findtext('size/height'))
    name, folder = ((root.findtext(tag) or '').strip() for tag in ('filename', 'folder'))
    names = [(root.findtext('path') or '').strip(), f'{folder}/{name}' if folder and name else '', name]
    return Entry('voc', file, [name for name in names if name], [_shape(item) for item in root.iter('object')], size)


def _shape(item):
    corners = [number(item.findtext(f'bndbox/{side}')) for side in SIDES]
    missing = [side for side, value in zip(SIDES, corners) if value != value]
    if item.find('bndbox') is not None and missing:
        raise Unreadable(f'an object has no {missing[0]} that is a number')
    problem = None if item.find('bndbox') is not None else 'without a bndbox'
    return Shape(composed((item.findtext('name') or '').strip()), (corners[0], corners[1], corners[2], corners[3]),
                 difficult=(item.findtext('difficult') or '').strip() in ('1', 'true', 'True'), problem=problem)
