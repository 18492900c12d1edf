"""Which files may hold annotations, and what each of them is."""
import dataclasses
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from object_detection.preparation.annotations import coco, cvat, table, voc, xml_file, yolo
from object_detection.preparation.annotations.class_names import ClassNames
from object_detection.preparation.annotations.entry import Entry, Unknown, Unreadable, read_bytes, read_json, read_text
from object_detection.preparation.options import Options
from object_detection.preparation.scan import EMPTY, Scan, Source, list_sides, text
from object_detection.utils.errors import UserError

FORMATS = ('Pascal VOC XML, YOLO txt, COCO JSON, "CVAT for images" XML, and CSV with the columns filename, class, '
           'xmin, ymin, xmax, ymax')
SUFFIXES = ('.xml', '.txt', '.json', '.csv')  # XML first: where a picture has one, its txt is not read
SINGLE = ('.xml', '.txt')  # of files that may describe one picture
LARGE_JSON = 8 << 20  # bytes, from which a file is not held in memory
MEANT = (b'"images"', b'"annotations"', b'"categories"', b'xmin')  # in a broken file, it was meant to hold annotations


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A file that may hold annotations. path: relative to the folder it was found in. named: by the user, alone."""
    path: str
    file: str
    problem: str | None = None
    named: bool = False


def find(listing: Scan, options: Options) -> Iterator[File]:
    """Yield the files that may hold annotations, XML first.

    They are those of the data set, or those in the folders that --annotations names. If it names files, those of single
    pictures in the data set count, too.
    """
    folders = [path for path in options.annotations if path.is_dir()]
    root = (options.images or options.dataset).resolve()
    named = [_single(path.resolve(), root) for path in options.annotations if path not in folders]
    listed = [list_sides(folder) for folder in folders]
    known = {file.file for file in named}
    here = [] if folders else [(listing.sides, known)]
    if here and options.images:
        here.append((list_sides(options.dataset), known | {os.path.realpath(side.file) for side in listing.sides}))
    for suffixes in (SUFFIXES[:1], SUFFIXES[1:]):
        for sides in listed:
            yield from _with_suffix(sides, suffixes)
        yield from (file for file in named if file.path.lower().endswith(suffixes))
        beside = tuple(suffix for suffix in suffixes if not named or suffix in SINGLE)
        for sides, others in here:
            yield from _with_suffix(sides, beside, others)


def _with_suffix(sides: Iterable[Source], suffixes: tuple[str, ...], others: Collection[str] = ()) -> Iterator[File]:
    """Yield the files with one of the suffixes, without those that are among others (real paths)."""
    return (_file(source) for source in sides if source.path.lower().endswith(suffixes)
            and not (others and os.path.realpath(source.file) in others))


def _file(source: Source) -> File:
    return File(source.path, source.file, source.problem if source.problem != EMPTY else None)


def _single(path: Path, root: Path) -> File:
    """Return a file that --annotations names, with its path in the data set if it lies there."""
    if not path.name.lower().endswith(SUFFIXES):
        raise UserError(f'--annotations {path}: is none of the formats that are read: {FORMATS}')
    return File(text(path.relative_to(root).as_posix() if root in path.parents else path.name), str(path), named=True)


def read(file: File, names: ClassNames, named_like_a_picture: bool,
         masks: Mapping[str, str]) -> tuple[Iterable[Entry], dict[str, list[str]]]:
    """Return the Entries of a file, and {class: names of its keypoints}.

    masks: {stem of a file of Pascal VOC: its file in SegmentationObject}, of those that are wanted.

    Raises:
        Unknown: it is no annotation file.
        Unreadable: it is the annotation file of one picture, and broken.
        UserError: it lists the annotations of many pictures, and is broken.
    """
    if file.problem:
        raise Unreadable(file.problem)
    suffix = file.path.lower().rpartition('.')[2]
    if suffix == 'xml':
        return _read_xml(file, masks)
    if suffix == 'txt':
        entry, keypoints = yolo.read(file.file, file.path, names, named_like_a_picture)
        return [entry], keypoints
    if suffix not in ('json', 'csv'):
        raise Unknown('')
    try:
        if suffix == 'csv':
            return table.read(read_text(file.file), file.path), {}
        if large := _read_large(file):
            return large
        data = read_json(file.file)
        if coco.looks_like(data):
            return coco.read(data, file.path)
    except Unreadable as error:
        if file.named or _is_meant(file):
            raise UserError(f'{file.file}: {error}') from error
        raise Unknown('') from error
    raise Unknown(_json_kind(data))


def _read_large(file):
    """Return what a large JSON file of COCO holds; None for others, which are read as a whole, or said to be broken."""
    try:
        status = Path(file.file).stat()
        if stat.S_ISREG(status.st_mode) and status.st_size > LARGE_JSON:
            return coco.read_pieces(file.file, file.path)
    except (OSError, ValueError, RecursionError):
        pass
    return None


def _read_xml(file, masks):
    root = xml_file.read(file.file)
    if root.tag == 'annotation':
        return [voc.read(root, file.path, masks)], {}
    if root.tag == 'annotations':
        return cvat.read(root, file.path)
    raise Unknown(f'XML with the root <{root.tag}>')


def _is_meant(file):
    try:
        start = read_bytes(file.file)[:1 << 16].replace(b'\0', b'')  # what remains of UTF-16 are its letters
    except Unreadable:
        return False
    return any(key in start.lower() for key in MEANT)


def _json_kind(data: Any) -> str:
    """Return what a JSON file that is not COCO is, as far as it holds annotations; '' if it does not."""
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict):
        return ''
    if 'shapes' in first and 'imagePath' in first:
        return 'JSON of Labelme'
    if isinstance(data, list) and 'annotations' in first:
        return 'JSON of CreateML' if {'image', 'imagefilename'} & first.keys() else 'JSON of Label Studio'
    if isinstance(data, list) and any(isinstance(value, list) and value and isinstance(value[0], dict)
                                      and 'original_width' in value[0] for value in first.values()):
        return 'JSON-MIN of Label Studio'
    if 'assets' in first or ('asset' in first and 'regions' in first):
        return 'JSON of VoTT'
    if 'objects' in first and 'size' in first:
        return 'JSON of Supervisely'
    inner = next((value for value in first.values() if isinstance(value, dict)), {})
    return 'JSON of VGG Image Annotator' if '_via_img_metadata' in first or 'regions' in inner else ''
