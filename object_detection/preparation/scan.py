"""List a data set: files that may be pictures, and files beside them that may say what is on them. Opens no file."""
import dataclasses
import itertools
import os
import stat
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from object_detection.preparation.columns import Categories, Texts
from object_detection.preparation.manifest import BACKGROUND
from object_detection.utils import console
from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_dir

SIDE_SUFFIXES = ('.xml', '.txt', '.csv', '.json', '.yaml', '.yml', '.names', '.labels', '.data')
LITTER = {'thumbs.db', 'desktop.ini', 'icon\r', '__macosx', '@eadir'}
MASK_FOLDERS = {'segmentationclass', 'segmentationobject'}  # of Pascal VOC, beside JPEGImages
EMPTY = 'empty file'


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file of a data set. path: relative to the folder, with '/'. label: '' unless it comes from a folder.

    problem: why the file cannot be opened, or is no picture for certain.
    """
    path: str
    label: str
    file: str
    size: int
    mtime_ns: int
    problem: str | None = None


class Files:
    """Files of data sets: a column for each field of Source, so that a million take little memory."""

    def __init__(self) -> None:
        self.paths, self.labels, self._problems = Texts(), Categories(first=''), Categories()
        self._sizes, self._times = array('q'), array('q')
        self._roots = Categories()  # (folder that was listed, how the paths of its files start)
        self._files: dict[int, str] = {}  # those whose names are no text

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Source:
        return Source(self.path(i), self.labels[i], self._file(i), self._sizes[i], self._times[i], self._problems[i])

    def __iter__(self) -> Iterator[Source]:
        return map(self.__getitem__, range(len(self)))

    def path(self, i: int) -> str:
        """Return the path of a file, which takes less time than all its fields."""
        return self.paths[i]

    def append(self, source: Source, root: tuple[str, str]) -> None:
        """Add a file. root: the folder that was listed, and how the paths of its files start."""
        self.paths.append(source.path)
        self.labels.append(source.label)
        self._problems.append(source.problem)
        self._sizes.append(source.size)
        self._times.append(source.mtime_ns)
        self._roots.append(root)
        if self._file(len(self) - 1) != source.file:
            self._files[len(self) - 1] = source.file

    def label(self, i: int, label: str, problem: str | None) -> None:
        """Change the label of a file, and why it is not read."""
        self.labels[i], self._problems[i] = label, problem

    def extend(self, other: 'Files', rows: Iterable[int]) -> None:
        """Add the files of other Files that have these numbers."""
        for i in rows:
            self.append(other[i], other._roots[i])

    def _file(self, i: int) -> str:
        if i in self._files:
            return self._files[i]
        folder, prefix = self._roots[i]
        return os.path.join(folder, self.path(i)[len(prefix):].replace('/', os.sep))  # noqa: PTH118, a million times


def by_path(*parts: Files) -> Files:
    """Return all files of the parts, sorted by path; the first part itself if it has them in this order."""
    joined = parts[0]
    if any(map(len, parts[1:])):
        joined = Files()
        for part in parts:
            joined.extend(part, range(len(part)))
    if all(one <= other for one, other in itertools.pairwise(joined.paths)):
        return joined
    ordered = Files()
    ordered.extend(joined, sorted(range(len(joined)), key=joined.path))
    return ordered


@dataclasses.dataclass
class Scan:
    """The files of a folder, sorted by path.

    labels: top folders that hold files other than side files, or none at all; sorted. sources: files that may be
    pictures, each with its top folder as label. sides: files that may describe pictures, by their suffix.
    masks: paths of files that Pascal VOC keeps for segmentation.
    """
    labels: list[str]
    sources: Files
    sides: Files
    masks: list[str]


def scan(folder: Path) -> Scan:
    """List a data set; UserError if there is no file that may be a picture.

    Hidden files and the litter of operating systems are ignored. Top folders may be links; deeper down, only links to
    files are followed.
    """
    folder = existing_dir(folder)
    tops, root = top_folders(folder), (str(folder), '')
    listing = Scan([], Files(), Files(), [])
    described, counts = set[str](), [0, 0]  # labels that hold files; files in their folders, and beside these
    for label, top in [*tops.items(), ('', None)]:
        inside = _walk(top, f'{text(top.name)}/') if top else _loose(folder)
        for path, entry in inside:
            described.add(label)
            counts[top is None] += 1
            if is_side(path):
                listing.sides.append(_source(path, entry, label), root)
            elif _is_mask(path, folder):
                listing.masks.append(path)
            else:
                listing.sources.append(_source(path, entry, label), root)
    if not len(listing.sources):
        raise UserError(f'{folder}: {_why_no_picture(tops, *counts)}')
    listing.sources, listing.sides = by_path(listing.sources), by_path(listing.sides)
    listing.masks.sort()
    held = {listing.sources.labels.values[code] for code in set(listing.sources.labels.codes)}
    listing.labels = sorted(tops.keys() - (described - held))
    return listing


def list_background(folder: Path) -> Files:
    """List the files below a folder of pictures without objects, sorted by path; none has a label.

    Their paths start with BACKGROUND and the name of the folder.
    """
    prefix = f'{BACKGROUND}{text(existing_dir(folder).resolve().name)}/'
    sources, sides = Files(), Files()
    for path, entry in _walk(folder, prefix):
        (sides if is_side(path) else sources).append(_source(path, entry, ''), (str(folder), prefix))
    if not len(sources):
        raise UserError(f'--background {folder}: there are {len(sides)} files, but no picture among them')
    texts = [side for side in by_path(sides) if side.path.endswith(('.xml', '.txt')) and side.size]
    stems = {sources.path(i).rpartition('.')[0] for i in range(len(sources))} if texts else set()
    drawn = [side for side in texts if side.path.rpartition('.')[0] in stems]
    if drawn:
        console.warn(f'--background {folder}: {len(drawn)} files beside pictures look like annotations '
                     f'({Path(drawn[0].file).name}, for example). They are not read: these pictures count as empty')
    return by_path(sources)


def list_sides(folder: Path) -> Files:
    """List the files below a folder that may describe pictures, sorted by path."""
    found = Files()
    for path, entry in _walk(existing_dir(folder), ''):
        if is_side(path):
            found.append(_source(path, entry, ''), (str(folder), ''))
    return by_path(found)


def is_side(path: str) -> bool:
    """Return whether the suffix of a file is that of a description, in upper or lower case."""
    return path.lower().endswith(SIDE_SUFFIXES)


def top_folders(folder: Path) -> dict[str, Path]:
    """Return {label: folder}. A label is the folder's name in composed Unicode (NFC), as keyboards type it."""
    folders: dict[str, Path] = {}
    findings = []
    for entry in sorted((entry for entry in _entries(folder) if entry.is_dir()), key=lambda entry: entry.name):
        label = composed(text(entry.name))
        if '\\udc' in label:
            findings.append(f'{folder / label}: the name of this folder is not valid text; rename it')
        elif label in folders:
            findings.append(f'{folder}: two folders are named {label!r} (in different Unicode forms); merge them')
        folders[label] = Path(entry.path)
    if findings:
        raise UserError(findings)
    return folders


def text(name: str) -> str:
    """Return a file name as valid Unicode: bytes that are not UTF-8 become a literal \\udcXX."""
    return name.encode('utf-8', 'backslashreplace').decode('utf-8')


def composed(name: str) -> str:
    """Return a name in composed Unicode (NFC): macOS lists file names in the decomposed form."""
    return unicodedata.normalize('NFC', name)


def _why_no_picture(tops, files, loose):
    rule = 'it needs one folder per label, which holds the pictures of that label'
    if not tops:
        return f'holds {loose} files but no folders; {rule}' if loose else f'is empty; {rule}'
    if files:
        return f'there are {files} files, but no picture among them'
    return f'its {len(tops)} label folders hold no files; put the pictures of each label into the folder of its name'


def _entries(folder) -> Iterator[os.DirEntry]:
    """Yield what a folder holds, one by one: it may be a million files."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries
                        if not entry.name.startswith('.') and entry.name.lower() not in LITTER)
    except OSError as error:
        raise UserError(f'{folder}: this folder cannot be read: {error.strerror}') from error


def _loose(folder) -> Iterator[tuple[str, os.DirEntry]]:
    return ((text(entry.name), entry) for entry in _entries(folder) if not entry.is_dir())


def _walk(folder, prefix) -> Iterator[tuple[str, os.DirEntry]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f'{prefix}{text(entry.name)}/')
        else:
            yield prefix + text(entry.name), entry


def _is_mask(path, folder):
    parts = path.split('/')
    return any(part.lower() in MASK_FOLDERS and folder.joinpath(*parts[:i], 'JPEGImages').is_dir()
               for i, part in enumerate(parts[:-1]))


def _source(path, entry, label):
    try:
        status = entry.stat()
    except OSError as error:
        return Source(path, label, entry.path, 0, 0, f'cannot be read: {error.strerror}')
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = 'not a regular file'  # opening a pipe would block forever
    elif not status.st_size:
        problem = EMPTY
    return Source(path, label, entry.path, status.st_size, status.st_mtime_ns, problem)
