"""List a data set: files that may be pictures, and files beside them that may say what is on them. Opens no file."""
import dataclasses
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

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


@dataclasses.dataclass
class Scan:
    """The files of a folder, sorted by path.

    labels: top folders that hold files other than side files, or none at all; sorted. sources: files that may be
    pictures, each with its top folder as label. sides: files that may describe pictures, by their suffix.
    masks: paths of files that Pascal VOC keeps for segmentation.
    """
    labels: list[str]
    sources: list[Source]
    sides: list[Source]
    masks: list[str]


def scan(folder: Path) -> Scan:
    """List a data set; UserError if there is no file that may be a picture.

    Hidden files and the litter of operating systems are ignored. Top folders may be links; deeper down, only links to
    files are followed.
    """
    folder = existing_dir(folder)
    tops = top_folders(folder)
    files = [(path, entry, label) for label, top in tops.items() for path, entry in _walk(top, f'{text(top.name)}/')]
    loose = [(text(entry.name), entry, '') for entry in _entries(folder) if not entry.is_dir()]
    listing = Scan([], [], [], [])
    for path, entry, label in files + loose:
        if is_side(path):
            listing.sides.append(_source(path, entry, label))
        elif _is_mask(path, folder):
            listing.masks.append(path)
        else:
            listing.sources.append(_source(path, entry, label))
    if not listing.sources:
        raise UserError(f'{folder}: {_why_no_picture(tops, files, loose)}')
    for group in (listing.sources, listing.sides):
        group.sort(key=lambda source: source.path)
    described = {label for _, _, label in files} - {source.label for source in listing.sources}
    listing.labels = sorted(tops.keys() - described)
    return listing


def list_background(folder: Path) -> list[Source]:
    """List the files below a folder of pictures without objects, sorted by path; none has a label.

    Their paths start with BACKGROUND and the name of the folder.
    """
    prefix = f'{BACKGROUND}{text(existing_dir(folder).resolve().name)}/'
    files = [_source(path, entry, '') for path, entry in _walk(folder, prefix)]
    sources = [source for source in files if not is_side(source.path)]
    if not sources:
        raise UserError(f'--background {folder}: there are {len(files)} files, but no picture among them')
    stems = {source.path.rpartition('.')[0] for source in sources}
    drawn = [source for source in files if source.path.endswith(('.xml', '.txt')) and source.size
             and source.path.rpartition('.')[0] in stems]
    if drawn:
        console.warn(f'--background {folder}: {len(drawn)} files beside pictures look like annotations '
                     f'({Path(drawn[0].file).name}, for example). They are not read: these pictures count as empty')
    return sorted(sources, key=lambda source: source.path)


def list_sides(folder: Path) -> list[Source]:
    """List the files below a folder that may describe pictures, sorted by path."""
    found = [_source(path, entry, '') for path, entry in _walk(existing_dir(folder), '') if is_side(path)]
    return sorted(found, key=lambda source: source.path)


def is_side(path: str) -> bool:
    """Return whether the suffix of a file is that of a description, in upper or lower case."""
    return path.lower().endswith(SIDE_SUFFIXES)


def top_folders(folder: Path) -> dict[str, Path]:
    """Return {label: folder}. A label is the folder's name in composed Unicode (NFC), as keyboards type it."""
    folders: dict[str, Path] = {}
    findings = []
    for entry in _entries(folder):
        if not entry.is_dir():
            continue
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
        return f'holds {len(loose)} files but no folders; {rule}' if loose else f'is empty; {rule}'
    if files:
        return f'there are {len(files)} files, but no picture among them'
    return f'its {len(tops)} label folders hold no files; put the pictures of each label into the folder of its name'


def _entries(folder):
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries
                           if not entry.name.startswith('.') and entry.name.lower() not in LITTER),
                          key=lambda e: e.name)
    except OSError as error:
        raise UserError(f'{folder}: this folder cannot be read: {error.strerror}') from error


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
