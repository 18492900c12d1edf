"""List a data set: labels, files that may be pictures, annotation files. Opens no file and writes nothing."""
import dataclasses
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_dir

ANNOTATION_SUFFIXES = ('.xml', '.txt')
CLASS_LISTS = ('classes.txt', 'predefined_classes.txt')
LITTER = {'thumbs.db', 'desktop.ini', 'icon\r', '__macosx', '@eadir'}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file that may be a picture. path: relative to the data set, with '/'. problem: why it cannot be opened."""
    path: str
    label: str
    file: str
    size: int
    mtime_ns: int
    problem: str | None = None


@dataclasses.dataclass
class Scan:
    """A data set. labels: sorted. sources: sorted by path. annotations: {path without suffix: .xml and .txt files}."""
    labels: list[str]
    sources: list[Source]
    annotations: dict[str, list[str]]


def scan(dataset: Path) -> Scan:
    """List a data set of one folder per label; UserError if it has no label folders or no pictures.

    Folders inside a label's folder belong to the label. Hidden files and the litter of operating systems are ignored.
    Label folders may be links; deeper down, only links to files are followed.
    """
    dataset = existing_dir(dataset)
    folders = label_folders(dataset)
    files = [(path, entry, label) for label, folder in folders.items()
             for path, entry in _walk(folder, f'{text(folder.name)}/')]
    loose = [(text(entry.name), entry, '') for entry in _entries(dataset)
             if not entry.is_dir() and not entry.name.lower().endswith(('.json', '.txt', '.yaml', '.yml'))]
    if not files:
        raise UserError(f'{dataset}: its {len(folders)} label folders hold no files; put the pictures of each label '
                        'into the folder of its name')
    annotations = _annotations(files)
    taken = {file for beside in annotations.values() for file in beside}
    sources = [_source(*item) for item in files + loose
               if item[1].path not in taken and item[1].name.lower() not in CLASS_LISTS]
    if not sources:
        raise UserError(f'{dataset}: there are {len(files)} files, but no picture among them')
    return Scan(sorted(folders), sorted(sources, key=lambda source: source.path), annotations)


def label_folders(dataset: Path) -> dict[str, Path]:
    """Return {label: folder}. A label is the folder's name in composed Unicode (NFC), as keyboards type it."""
    folders: dict[str, Path] = {}
    findings = []
    for entry in _entries(dataset):
        if not entry.is_dir():
            continue
        label = unicodedata.normalize('NFC', text(entry.name))
        if '\\udc' in label:
            findings.append(f'{dataset / label}: the name of this folder is not valid text; rename it')
        elif label in folders:
            findings.append(f'{dataset}: two folders are named {label!r} (in different Unicode forms); merge them')
        folders[label] = Path(entry.path)
    if not folders and not findings:
        count = sum(1 for entry in _entries(dataset))
        holds = f'holds {count} files but no folders' if count else 'is empty'
        findings.append(f'{dataset}: {holds}; it needs one folder per label, which holds the pictures of that label')
    if findings:
        raise UserError(findings)
    return folders


def text(name: str) -> str:
    """Return a file name as valid Unicode: bytes that are not UTF-8 become a literal \\udcXX."""
    return name.encode('utf-8', 'backslashreplace').decode('utf-8')


def _entries(folder):
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries
                       if not entry.name.startswith('.') and entry.name.lower() not in LITTER), key=lambda e: e.name)


def _walk(folder, prefix) -> Iterator[tuple[str, os.DirEntry]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f'{prefix}{text(entry.name)}/')
        else:
            yield prefix + text(entry.name), entry


def _annotations(files):
    """Return {stem: files} of the .xml and .txt files that are named like a picture beside them."""
    stems = {path.rpartition('.')[0] or path for path, _, _ in files if not path.lower().endswith(ANNOTATION_SUFFIXES)}
    stems |= {path for path, _, _ in files if '.' not in path.rpartition('/')[2]}  # pictures without an extension
    annotations: dict[str, list[str]] = {}
    for path, entry, _ in files:
        stem = path.rpartition('.')[0]
        if path.lower().endswith(ANNOTATION_SUFFIXES) and stem in stems and entry.name.lower() not in CLASS_LISTS:
            annotations.setdefault(stem, []).append(entry.path)
    return annotations


def _source(path, entry, label):
    try:
        status = entry.stat()
    except OSError as error:
        return Source(path, label, entry.path, 0, 0, f'cannot be read: {error.strerror}')
    problem = None
    if not label:
        problem = "lies in no label's folder"
    elif not stat.S_ISREG(status.st_mode):
        problem = 'not a regular file'  # opening a pipe would block forever
    elif not status.st_size:
        problem = 'empty file'
    return Source(path, label, entry.path, status.st_size, status.st_mtime_ns, problem)
