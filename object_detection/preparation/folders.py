"""Folder names that say how a data set is laid out rather than what its pictures show."""
import re

CONTAINERS = {'images', 'image', 'img', 'imgs', 'jpegimages', 'pictures', 'pics', 'photos', 'frames', 'data', 'labels',
              'label', 'annotations', 'annotation', 'xml', 'xmls', 'imagesets', 'main'}
PARTS = {'train': 'train', 'training': 'train', 'val': 'validation', 'valid': 'validation', 'validation': 'validation',
         'dev': 'validation', 'test': 'test', 'testing': 'test'}
_DARKNET = re.compile(r'obj_([^_]+)_data')  # of CVAT's YOLO export
_YEAR = re.compile(r'(?<=[a-z])[-_]?(19|20)\d\d$')  # train2017


def part(name: str) -> str | None:
    """Return the subset that a folder, or a part of a file name, stands for: train, validation, test or None."""
    name = name.lower()
    if match := _DARKNET.fullmatch(name):
        name = match[1]
    return PARTS.get(_YEAR.sub('', name))


def part_of(path: str) -> str | None:
    """Return the subset that the folders of a path name; None without one, or if they name several."""
    parts = {found for name in path.split('/')[:-1] if (found := part(name))}
    return parts.pop() if len(parts) == 1 else None


def part_in(path: str) -> str | None:
    """Return the subset that the name of a file speaks of (instances_val2017.json, train_labels.csv), or None."""
    name = path.rpartition('/')[2].partition('.')[0]
    parts = {found for word in re.split(r'[^A-Za-z0-9]+', name) if (found := part(word))}
    return parts.pop() if len(parts) == 1 else None


def is_split_list(name: str) -> bool:
    """Return whether a file of this name lists the pictures of a part of the split: train.txt, val.txt, ..."""
    return name.lower().endswith('.txt') and part(name[:-4]) is not None


def is_structure(name: str) -> bool:
    """Return whether a folder of this name is a part of a split, or holds all pictures or all annotations."""
    return name.lower() in CONTAINERS or part(name) is not None
