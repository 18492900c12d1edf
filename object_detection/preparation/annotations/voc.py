"""Pascal VOC XML, one file for each picture, as LabelImg, CVAT and Roboflow write it.

Its masks are pictures in SegmentationObject, whose colors are numbers of a palette: 0 for the background, 255 for
edges, and n for the n-th object of the XML.
"""
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from object_detection.preparation.annotations.entry import Entry, Shape, Unreadable, number, size_of
from object_detection.preparation.annotations.match import stem
from object_detection.preparation.masks import encoded
from object_detection.preparation.scan import composed
from object_detection.utils.limits import MOST_PIXELS_OPENED

EDGE = 255
SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


def read(root: ElementTree.Element, file: str, masks: Mapping[str, str] | None = None) -> Entry:
    """Return the Entry of an <annotation>; Unreadable if it is broken.

    file: its path, which tells the picture. masks: {stem of a file: its file in SegmentationObject}.
    """
    size = size_of(root.findtext('size/width'), root.findtext('size/height'))
    name, folder = ((root.findtext(tag) or '').strip() for tag in ('filename', 'folder'))
    names = [(root.findtext('path') or '').strip(), f'{folder}/{name}' if folder and name else '', name]
    shapes = [_shape(item) for item in root.iter('object')]
    if masks and (mask := masks.get(stem(file.rpartition('/')[2]))):
        _add_masks(shapes, mask)
    return Entry('voc', file, [name for name in names if name], shapes, size)


def _add_masks(shapes, file):
    """Give shapes the masks in a file of SegmentationObject, or the reason why they have none."""
    try:
        with Image.open(file) as picture:
            if picture.mode not in ('P', 'L') or picture.width * picture.height > MOST_PIXELS_OPENED:
                raise ValueError('its pixels are no numbers of objects')
            pixels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        for shape in shapes:
            shape.no_mask = f'whose mask {file} cannot be read ({error})'
        return
    for i, shape in enumerate(shapes, start=1):
        inside = pixels == i
        if i < EDGE and inside.any():
            shape.runs = encoded(inside)
        else:
            shape.no_mask = f'without a mask in {file}'


def _shape(item):
    corners = [number(item.findtext(f'bndbox/{side}')) for side in SIDES]
    missing = [side for side, value in zip(SIDES, corners) if value != value]
    if item.find('bndbox') is not None and missing:
        raise Unreadable(f'an object has no {missing[0]} that is a number')
    problem = None if item.find('bndbox') is not None else 'without a bndbox'
    return Shape(composed((item.findtext('name') or '').strip()), (corners[0], corners[1], corners[2], corners[3]),
                 difficult=(item.findtext('difficult') or '').strip() in ('1', 'true', 'True'), problem=problem)
