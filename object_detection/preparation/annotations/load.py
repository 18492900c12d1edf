"""All annotation files of a data set, each annotation with the picture that it belongs to."""
import dataclasses
import itertools
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from object_detection.preparation import folders
from object_detection.preparation.annotations import files, yolo
from object_detection.preparation.annotations.class_names import ClassNames, is_class_list
from object_detection.preparation.annotations.entry import (
    OF_ONE_PICTURE,
    ORIGINS,
    Entry,
    Unknown,
    Unreadable,
    alike,
)
from object_detection.preparation.annotations.match import Pictures, stem
from object_detection.preparation.columns import Categories, Keyed, Shelf, Texts, runs
from object_detection.preparation.options import Options
from object_detection.preparation.scan import Scan
from object_detection.utils import console
from object_detection.utils.errors import UserError

SINGLE = 'annotation files'  # the group of the files that describe one picture each
SHOWN = 3  # examples in a message


@dataclasses.dataclass
class Group:
    """One file that lists many pictures, or all the files that describe one each.

    count: of the pictures described. unmatched: [(name, why it fits no picture)]. unused: how many of those that fit
    give way to another file, which comes first in ORIGINS.
    """
    count: int = 0
    unmatched: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    unused: int = 0


@dataclasses.dataclass
class Drawn:
    """What people have drawn.

    entries: {path of a picture: what holds for it}. broken: {path, '' if unknown: [problem of a file]}. other: {path:
    [other objects that another file has, which does not count]}. parts: what files say about the split. keypoints:
    {class: names of its keypoints}. groups: {name: Group}. unread: {path of an annotation file: its format, which is
    not read}. captions: paths of other texts that are named like pictures. idle: files that say nothing about any
    picture. class_files: where class numbers have their names from. pictures: the index of all pictures.
    """
    pictures: Pictures
    entries: 'Entries'
    parts: 'Parts'
    broken: dict[str, list[str]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    other: dict[str, list[str]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    keypoints: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    groups: dict[str, Group] = dataclasses.field(default_factory=dict)
    unread: dict[str, str] = dataclasses.field(default_factory=dict)
    captions: Texts = dataclasses.field(default_factory=Texts)
    idle: set[str] = dataclasses.field(default_factory=set)
    class_files: list[str] = dataclasses.field(default_factory=list)

    def names(self, crowds: bool) -> Counter[str]:
        """Return how many objects have each name. crowds: whether crowd regions count."""
        return Counter(shape.name for entry in self.entries.values() for shape in entry.shapes or ()
                       if shape.name and not shape.problem and (crowds or not shape.crowd))

    @property
    def any(self) -> bool:
        """Return whether there is any annotation file, whatever it holds."""
        return bool(self.groups or self.broken)


class Entries(Keyed[Entry]):
    """{path of a picture: the Entry that holds for it}, in the order in which they were chosen. They lie on disk."""

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures.index)
        self._shelf, self._count = Shelf(), 0
        self._numbers, self._order = array('i', [-1]) * len(pictures), array('i')

    def keep(self, entry: Entry) -> int:
        """Put an entry on the shelf, without choosing it; return its number there."""
        self._shelf[self._count] = entry
        self._count += 1
        return self._count - 1

    def kept(self, number: int) -> Entry:
        """Return the entry that is kept under a number."""
        return self._shelf.get(number)

    def choose(self, row: int, number: int) -> None:
        """Make an entry that is kept hold for the picture with a number."""
        if self._numbers[row] == -1:
            self._order.append(row)
        self._numbers[row] = number

    def value(self, row: int) -> Entry | None:
        return None if self._numbers[row] == -1 else self.kept(self._numbers[row])

    def rows(self) -> array:
        return self._order


class Parts:
    """What files say about the split: the picture's number, the subset and the file, in the order of the files."""

    def __init__(self) -> None:
        self._rows, self._said = array('i'), Categories()

    def add(self, row: int, part: str, file: str) -> None:
        """Note that a file says that a picture, given by its number, is in a subset."""
        self._rows.append(row)
        self._said.append((part, file))

    def __iter__(self) -> Iterator[tuple[int, str, str]]:
        return ((row, *said) for row, said in zip(self._rows, self._said))


def load(listing: Scan, options: Options) -> Drawn:
    """Read all annotation files and find the picture of each annotation.

    A picture takes its boxes from a file that --annotations names, else from the first of ORIGINS that describes it.
    UserError for a file that lists pictures and cannot be read, class numbers without names, two files that list the
    same picture, and if nothing fits a picture.
    """
    reader = _Reader(listing, options)
    for file in files.find(listing, options):
        reader.read(file)
    reader.choose()
    reader.drawn.class_files = [str(known.file) for known in reader.names.used()]
    _report(reader.drawn, options)
    return reader.drawn


class _Claim(NamedTuple):
    """An entry that may belong to a picture. number: of the entry. level: how the picture was found, see match."""
    entry: Entry
    number: int
    level: int
    group: Group


class _Reader:
    """Reads annotation files one by one."""

    def __init__(self, listing: Scan, options: Options) -> None:
        paths = listing.sources.paths
        self._pictures = Pictures(paths)
        self.drawn = Drawn(self._pictures, Entries(self._pictures), Parts())
        self._claims = {name: array('i') for name in ('row', 'number', 'level', 'group')}  # a row for each claim
        self._groups: dict[str, int] = {}  # the number of each in drawn.groups
        self.names = ClassNames([*(path.absolute().parent for path in options.annotations),
                                 options.images or options.dataset, options.dataset])
        self._only_named = any(path.is_file() for path in options.annotations)
        root = options.images or options.dataset
        self._masks = {stem(path.rpartition('/')[2]): str(root / path) for path in listing.masks
                       if options.masks and path.lower().split('/')[-2] == 'segmentationobject'}
        self._with_xml = bytearray(len(paths))  # 1 for each picture that has one
        self._unread = array('i', [-1]) * len(paths)  # for each picture the number of objects in a YOLO file
        self._unread_files = Texts(len(paths))

    def read(self, file: files.File) -> None:
        name = file.path.rpartition('/')[2]
        beside = self._pictures.beside(file.path)
        if not beside and (is_class_list(name) or folders.is_split_list(name)):
            return
        rows = [self._row(path) for path in beside]
        if beside and name.lower().endswith('.txt') and all(self._with_xml[row] for row in rows):
            self._group(SINGLE).count += 1  # only counted: the names of its class numbers may be nowhere
            self._group(SINGLE).unused += 1
            if not file.problem and (count := yolo.count_objects(file.file)) is not None:
                for row in rows:
                    self._unread[row], self._unread_files[row] = count, file.path
            return
        named = bool(beside or (name.lower().endswith('.txt') and self._pictures.described_by(file.path, ()).paths))
        try:
            entries, keypoints = files.read(file, self.names, named, self._masks)
        except Unknown as unknown:
            self._set_aside(file, str(unknown), named)
        except Unreadable as error:
            self._set_broken(file, error)
        else:
            for number, entry in enumerate(entries):
                if not number and entry.origin not in OF_ONE_PICTURE and self._only_named and not file.named:
                    return  # --annotations names another list
                entry.named = file.named
                self._claim(entry)
            self.drawn.keypoints |= keypoints

    def _claim(self, entry):
        """Find the picture of an entry."""
        file, single = entry.file, entry.origin in OF_ONE_PICTURE
        part = folders.part(entry.part or '') or folders.part_of(file) or (not single and folders.part_in(file)) or None
        match = (self._pictures.described_by(file, entry.names) if single else
                 self._pictures.listed(entry.names, file.rpartition('/')[0], part))
        name = SINGLE if single else file
        group = self._group(name)
        group.count += 1
        if not match.paths:
            group.unmatched.append((file if single else entry.names[0], match.reason))
            return
        number = self.drawn.entries.keep(entry)
        for row in map(self._row, match.paths):
            for column, value in (('row', row), ('number', number), ('level', match.level),
                                  ('group', self._groups[name])):
                self._claims[column].append(value)
            if part:
                self.drawn.parts.add(row, part, file)
            if entry.origin == 'voc':
                self._with_xml[row] = 1

    def _row(self, path):
        row = self._pictures.row(path)
        assert row is not None
        return row

    def _set_broken(self, file, error):
        match = self._pictures.described_by(file.path, ())
        if file.named and not match.paths:
            raise UserError(f'{file.file}: {error}') from error
        if not match.paths and file.path.lower().endswith('.txt'):
            self.drawn.idle.add(file.file)  # any text that is not about a picture
            return
        for path in match.paths or ('',):
            self.drawn.broken[path].append(f'{file.path}: {error}')

    def _set_aside(self, file, what, named):
        if file.named:
            raise UserError(f'{file.file}: is {what or "another file"}; the formats that are read are {files.FORMATS}')
        if file.path.lower().endswith('.txt'):
            if named:
                self.drawn.captions.append(file.path)
            else:
                self.drawn.idle.add(file.file)
        elif what:
            self.drawn.unread[file.path] = what
        else:
            self.drawn.idle.add(file.file)

    def _group(self, name):
        self._groups.setdefault(name, len(self._groups))
        return self.drawn.groups.setdefault(name, Group())

    def choose(self) -> None:
        """Set drawn.entries: one for each picture, in the order of their first claims."""
        rows, numbers, levels, places = (self._claims[name] for name in ('row', 'number', 'level', 'group'))
        first: np.ndarray = np.full(len(self._pictures), len(rows))
        np.minimum.at(first, np.array(rows, int), np.arange(len(rows)))
        groups = list(self.drawn.groups.values())
        for claims in runs(first[np.array(rows, int)]):
            row = rows[claims[0]]
            found = [_Claim(self.drawn.entries.kept(numbers[i]), numbers[i], levels[i], groups[places[i]])
                     for i in claims]
            for named in (True, False):
                self._choose(row, [claim for claim in found if claim.entry.named == named])
        for row, count in enumerate(self._unread):
            entry = self.drawn.entries.value(row) if count >= 0 else None
            if entry and entry.origin == 'voc' and not entry.named and len(entry.shapes or ()) != count:
                self._set_other(row, self._unread_files[row], entry)

    def _set_other(self, row, place, counts):
        self.drawn.other[self._pictures.path(row)].append(
            f'{place}: has other objects than {counts.place}, which counts')

    def _choose(self, row, claims):
        without_objects, path = None, self._pictures.path(row)
        for origin in ORIGINS if claims else ():
            claim = _winner(path, [claim for claim in claims if claim.entry.origin == origin])
            if not claim:
                continue
            entry = claim.entry
            if entry.shapes is None:
                self.drawn.broken[path].append(f'{entry.place}: {entry.problem}')
            elif counts := self.drawn.entries.value(row):
                claim.group.unused += 1
                chosen = counts.named and not entry.named  # by the user
                listed = not entry.shapes and origin not in OF_ONE_PICTURE  # tools list pictures without objects, too
                if not chosen and not listed and not alike(entry, counts):
                    self._set_other(row, entry.place, counts)
            elif entry.shapes or origin in OF_ONE_PICTURE:
                self.drawn.entries.choose(row, claim.number)
            else:
                without_objects = without_objects or claim
        if without_objects and not self.drawn.entries.value(row):
            self.drawn.entries.choose(row, without_objects.number)


def _winner(path, claims: Sequence[_Claim]) -> _Claim | None:
    """Return the claim of one origin that a picture belongs to, or None; UserError for two that are as good."""
    best = [claim for claim in claims if claim.level == min(claim.level for claim in claims)]
    if len({claim.entry.file for claim in best}) > 1:
        best = [claim for claim in best if claim.entry.shapes != []] or best[:1]  # one file may list it without objects
    files_ = sorted({claim.entry.file for claim in best})
    if len(files_) > 1 and len({tuple(claim.entry.names) for claim in best}) == 1:
        raise UserError(f'several {best[0].entry.origin.upper()} files ({", ".join(files_)}) describe the same '
                        f'pictures, {path} for example; name the one to use with --annotations')
    winner = best[0] if len(best) == 1 else None
    for claim in claims:
        if claim is not winner and (winner is None or claim.level > winner.level):
            entry = claim.entry
            reason = f'{path} belongs to {winner.entry.place}' if winner else f'{len(best)} fit {path}'
            claim.group.unmatched.append((entry.names[0] if entry.origin not in OF_ONE_PICTURE else entry.file,
                                          reason))
    return winner


def _report(drawn: Drawn, options: Options) -> None:
    """Say what fits no picture and what is not read; UserError if nothing fits."""
    nothing = [name for name, group in drawn.groups.items() if group.count and group.count == len(group.unmatched)]
    named = {name for name in nothing if options.annotations
             and not (name == SINGLE and all(path.is_file() for path in options.annotations))}
    if nothing and (named or len(nothing) == len(drawn.groups)):
        raise UserError([_none_fits(name, drawn.groups[name], options) for name in named or nothing])
    for name, group in drawn.groups.items():
        if group.unmatched:
            what = f'{group.count} {name}' if name == SINGLE else f'{group.count} pictures that {name} lists'
            verb = 'fit no picture' if name == SINGLE else 'are not in the data set'
            console.warn(f'{len(group.unmatched)} of {what} {verb}: {_examples(group.unmatched)}')
        if group.unused:
            console.log(f'{name}: {group.unused} are not used, because another file describes their pictures, too')
    if drawn.other:
        console.warn(f'{len(drawn.other)} pictures have other objects in two files: '
                     f'{_examples([said for every in drawn.other.values() for said in every])}. --annotations names '
                     'the files that count')
    broken = [problem for problems in drawn.broken.values() for problem in problems]
    if broken:
        console.warn(f'{len(broken)} annotation files cannot be read: {_examples(broken)}')
    for what, count in Counter(drawn.unread.values()).items():
        paths = [path for path, its in drawn.unread.items() if its == what]
        console.warn(f'{count} files are {what}, which is not read: {_examples(paths)}. Formats: {files.FORMATS}')
    if drawn.captions:
        console.log(f'{len(drawn.captions)} txt files named like pictures hold no boxes: {_examples(drawn.captions)}')


def _none_fits(name, group, options):
    folder = options.images or options.dataset
    if name == SINGLE:
        return (f'none of the {group.count} annotation files fits a picture in {folder} '
                f'({_examples(group.unmatched)}). The file of dogs/1.jpg is dogs/1.xml (or .txt) beside it or in the '
                'folder that --annotations names; elsewhere, its name must be that of one picture alone')
    return (f'{name}: none of the {group.count} pictures that it lists is in {folder} ({_examples(group.unmatched)}). '
            'A picture is listed by its path, from that folder or from the folder of the file; another path will do '
            'where the file name is that of one picture alone')


def _examples(items) -> str:
    texts = [item if isinstance(item, str) else f'{item[0]} ({item[1]})' if item[1] else item[0]
             for item in itertools.islice(items, SHOWN)]
    return ', '.join(texts) + (f' and {len(items) - SHOWN} more' if len(items) > SHOWN else '')
