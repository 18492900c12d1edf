"""A split that a data set has already: by folders, by lists of pictures, by a file of annotations for each part."""
import bisect
import itertools
import posixpath
from collections import Counter
from collections.abc import Iterator

import numpy as np

from object_detection.preparation import folders
from object_detection.preparation.annotations import data_yaml
from object_detection.preparation.annotations.entry import Unreadable, read_text
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.columns import Categories, Index, Keyed
from object_detection.preparation.options import Options
from object_detection.preparation.scan import Scan
from object_detection.utils import console
from object_detection.utils.errors import UserError

YAML_PARTS = {'train': 'train', 'val': 'validation', 'test': 'test'}
ORDER = ('train', 'validation', 'test')
ANEW = '--split 0.8 splits anew'
AFTER_SLASH = chr(ord('/') + 1)  # FOLDER/ and this enclose the sorted paths in a folder


def find(listing: Scan, drawn: Drawn, automatic: bool, options: Options) -> 'Split | None':
    """Return {path: subset} of the split that is there, None to split anew.

    automatic: keep a split of which there are two parts at least, even if the user has not asked for it. UserError if
    the split contradicts itself, or if the user has asked for one that is not there.
    """
    if options.split_given is False or not (automatic or options.split_given):
        return None
    pictures = drawn.pictures
    facts = {part: Categories(len(pictures)) for part in ORDER}  # where it stands that a picture belongs to a part
    first = Categories(len(pictures))  # the part that was named first
    said = itertools.chain(_from_folders(listing), drawn.parts, _from_lists(listing, drawn), _from_yaml(listing, drawn))
    for row, part, where in said:
        if facts[part][row] is None:
            facts[part][row] = where
            first[row] = first[row] or part
    named = sum(np.array(column.codes, np.int32) > 0 for column in facts.values())
    if wrong := np.flatnonzero(named > 1).tolist():
        parts = [first[wrong[0]], *(part for part in ORDER if part != first[wrong[0]])]
        texts = [f'{part} ({facts[part][wrong[0]]})' for part in parts if facts[part][wrong[0]]]
        raise UserError(f'the split of the data set contradicts itself for {len(wrong)} pictures: '
                        f'{pictures.path(wrong[0])} belongs to {", ".join(texts)}; {ANEW}')
    counts = Counter(first)
    if not counts['train'] or (len(counts.keys() - {None}) < 2 and not options.split_given):
        if options.split_given:
            raise UserError(f'--split given: {options.dataset} has no part for training. Parts are folders named '
                            'train, valid and test, lists (train.txt, ImageSets/Main/val.txt), and annotation files '
                            'named after them')
        return None
    shown = ', '.join(f'{counts[part]} {part}' for part in ORDER if counts[part])
    console.log(f'the split of the data set is kept: {shown} ({ANEW})')
    return Split(pictures.index, first)


class Split(Keyed[str]):
    """{path: subset} of the pictures that are in a part of a split."""

    def __init__(self, index: Index, parts: Categories) -> None:
        super().__init__(index)
        self._parts = parts

    def value(self, row: int) -> str | None:
        return self._parts[row]

    def rows(self) -> Iterator[int]:
        return (row for row, code in enumerate(self._parts.codes) if code)


def _from_folders(listing) -> Iterator[tuple[int, str, str]]:
    for row in range(len(listing.sources)):
        if part := folders.part_of(listing.sources.path(row)):
            yield row, part, 'its folder'


def _from_lists(listing, drawn):
    for source in listing.sides:
        folder, _, name = source.path.rpartition('/')
        known = [part for part in folder.lower().split('/') if part == 'imagesets']
        if folders.is_split_list(name) and not drawn.pictures.beside(source.path) and (
                not known or folder.lower().endswith(('imagesets', 'imagesets/main'))):
            yield from _read_list(source, folders.part(name[:-4]), drawn)


def _read_list(source, part, drawn):
    """Yield (number of the picture, part, file) for each line of a list; a line of VOC's may end in -1, 0 or 1."""
    try:
        lines = [line.strip() for line in read_text(source.file).splitlines() if line.strip()]
    except Unreadable as error:
        raise UserError(f'{source.file}: {error}') from error
    folder, lost = source.path.rpartition('/')[0], []
    for line in lines:
        name, _, mark = line.rpartition(' ')
        names = [line, name.strip()] if mark in ('-1', '0', '1') and name else [line]
        match = drawn.pictures.listed(names, folder, part)
        if match.paths:
            yield drawn.pictures.row(match.paths[0]), part, source.path
        else:
            lost.append(line)
    if lost:
        console.warn(f'{len(lost)} of {len(lines)} pictures that {source.path} lists are not in the data set: '
                     f'{", ".join(lost[:3])}')


def _from_yaml(listing, drawn):
    for source in listing.sides:
        if not source.path.lower().endswith(('.yaml', '.yml')) or source.problem:
            continue
        try:
            values = data_yaml.read(read_text(source.file))
        except Unreadable:
            continue  # of another kind; as a list of class names it has been read
        top = posixpath.dirname(source.path)
        base = ''.join(data_yaml.texts(values.get('path'))[:1])
        for key, part in YAML_PARTS.items():
            for place in data_yaml.texts(values.get(key)):
                # Roboflow writes ../train/images for train/images.
                options = [posixpath.join(top, base, place), posixpath.join(top, place),
                           posixpath.join(top, place.lstrip('./'))]
                yield from _below(list(map(posixpath.normpath, options)), part, source, listing, drawn)


def _below(places, part, source, listing, drawn):
    """Yield (number, part, file) for the pictures in the first of the places, folders or lists, that is there."""
    sides, pictures = listing.sides.paths, listing.sources.paths  # both sorted
    for place in dict.fromkeys(places):
        i = bisect.bisect_left(sides, place)
        if i < len(sides) and sides[i] == place:
            yield from _read_list(listing.sides[i], part, drawn)
            return
        inside = range(bisect.bisect_left(pictures, f'{place}/'), bisect.bisect_left(pictures, f'{place}{AFTER_SLASH}'))
        if inside:
            yield from ((row, part, source.path) for row in inside)
            return
