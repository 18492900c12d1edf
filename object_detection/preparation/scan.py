"""What lies in the data set folder: labels, candidate pictures, annotation files. Opens no file and writes nothing."""
import dataclasses
import os
import stat
import unicodedata
from pathlib import Path

from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_dir

ANNOTATION_SUFFIXES = ('.xml', '.txt')
CLASS_LISTS = ('classes.txt', 'predefined_classes.txt')
LITTER = {'thumbs.db', 'desktop.ini', 'icon\r', '__macosx', '@eadir'}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A file that may be a picture. path: relative to the data set, with '/'; problem: why it is not even opened."""
    path: str
    label: str
    file: str
    size: int
    mtime_ns: int
    problem: str | None = None


@dataclasses.dataclass
class Scan:
    """labels: sorted. sources: sorted by path. annotations: path without suffix -> files (.xml, .txt) beside it."""
    labels: list
    sources: list
    annotations: dict


def scan(dataset):
    """Walk a data set of one folder per label. UserError when it has no label folder or no file in them.

    Folders inside a label's folder belong to the label; hidden files and what operating systems leave behind are
    passed over. Linked label folders are followed, links deeper down only to files.
    """
    dataset = existing_dir(dataset)
    folders = label_folders(dataset)
    files = [(path, entry, label) for label, folder in folders.items()
             for path, entry in _walk(folder, f'{text(folder.name)}/')]
    loose = [(text(entry.name), entry, '') for entry in _entries(dataset)
             if not entry.is_dir() and not entry.name.lower().endswith(('.json', '.txt', '.yaml', '.yml'))]
    if not files:
        raise UserError(f'{dataset}: its {len(folders)} label folders hold no files; put the pictures of a label into '
                        'the folder with its name')
    annotations = _annotations(files)
    taken = {file for found in annotations.values() for file in found}
    sources = [_source(*item) for item in files + loose
               if item[1].path not in taken and item[1].name.lower() not in CLASS_LISTS]
    if not sources:
        raise UserError(f'{dataset}: there are {len(files)} files, but no picture among them')
    return Scan(sorted(folders), sorted(sources, key=lambda source: source.path), annotations)


def label_folders(dataset):
    """{label: folder}. A label is the folder's name, its Unicode composed (NFC), as keyboards type it."""
    folders, findings = {}, []
    for entry in _entries(dataset):
        if not entry.is_dir():
            continue
        label = unicodedata.normalize('NFC', text(entry.name))
        if '\\udc' in label:
            findings.append(f'{dataset / label}: the name of this folder is not valid text; rename it')
        elif label in folders:
            findings.append(f'{dataset}: two folders are named {label!r} (spelt with different Unicode); merge them')
        folders[label] = Path(entry.path)
    if not folders and not findings:
        count = sum(1 for entry in _entries(dataset))
        holds = f'holds {count} files but no folders' if count else 'is empty'
        findings.append(f'{dataset}: {holds}; one folder per label belongs here, with the pictures of the label in it')
    if findings:
        raise UserError(findings)
    return folders


def text(name):
    """A file name as text that every encoding of ours can hold; bytes that are no UTF-8 become \\udcXX."""
    return name.encode('utf-8', 'backslashreplace').decode('utf-8')


def _entries(folder):
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries
                       if not entry.name.startswith('.') and entry.name.lower() not in LITTER), key=lambda e: e.name)


def _walk(folder, prefix):
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f'{prefix}{text(entry.name)}/')
        else:
            yield prefix + text(entry.name), entry


def _annotations(files):
    """Files named like a picture beside them: .xml or .txt with the stem of another file that is neither."""
    stems = {path.rpartition('.')[0] or path for path, _, _ in files if not path.lower().endswith(ANNOTATION_SUFFIXES)}
    stems |= {path for path, _, _ in files if '.' not in path.rpartition('/')[2]}  # pictures without an extension
    found = {}
    for path, entry, _ in files:
        stem = path.rpartition('.')[0]
        if path.lower().endswith(ANNOTATION_SUFFIXES) and stem in stems and entry.name.lower() not in CLASS_LISTS:
            found.setdefault(stem, []).append(entry.path)
    return found


def _source(path, entry, label):
    try:
        found = entry.stat()
    except OSError as error:
        return Source(path, label, entry.path, 0, 0, f'cannot be read: {error.strerror}')
    problem = None
    if not label:
        problem = "lies in no label's folder"
    elif not stat.S_ISREG(found.st_mode):
        problem = 'not a regular file'  # opening a pipe would wait for ever
    elif not found.st_size:
        problem = 'empty file'
    return Source(path, label, entry.path, found.st_size, found.st_mtime_ns, problem)
