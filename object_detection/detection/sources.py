"""Which pictures and videos the --input paths mean. Opens no file."""
import dataclasses
import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from object_detection.detection.item import Source
from object_detection.preparation.annotations.match import stem
from object_detection.preparation.names import SUFFIXES, distinct
from object_detection.preparation.scan import LITTER, text
from object_detection.utils import files
from object_detection.utils.errors import UserError

PICTURES = frozenset({f'.{suffix}' for suffix in SUFFIXES} | {'.ppm', '.pgm', '.pnm', '.mpo', '.ico', '.qoi', '.jpx'})
VIDEOS = frozenset({'.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.3gp', '.ts',
                    '.mts', '.m2ts', '.ogv', '.mjpeg', '.mjpg'})


@dataclasses.dataclass(frozen=True)
class Sources:
    """What to look at.

    Attributes:
        pictures, videos: sorted by name within each input, each file once.
        others: the number of files in folders that are neither.
    """
    pictures: list[Source]
    videos: list[Source]
    others: int


def find(inputs: Sequence[str]) -> Sources:
    """Find the pictures, videos and cameras that paths mean.

    Args:
        inputs: files, folders (with all that lies below), globs (** for any depth), and numbers of cameras. Names are
            relative to the folder; with several inputs to the folder that they have in common.
    Raises:
        UserError: with every path that does not exist or holds neither pictures nor videos.
    """
    found: dict[Path, None] = {}
    roots: list[Path] = []
    cameras: dict[int, None] = {}
    findings: list[str] = []
    others = 0
    for given in inputs:
        if given.isdecimal() and not Path(given).exists():
            cameras[int(given)] = None
            continue
        if message := files.refused(given):
            findings.append(message)
            continue
        path = Path(given)
        if path.is_dir():
            paths, unknown = _below(path)
            others += unknown
            roots.append(path.absolute())
        elif path.exists():
            paths = [path]
            roots.append(path.absolute().parent)
        elif glob.has_magic(given):
            root = _before_the_glob(given)
            paths = [match for match in sorted(root.glob(_glob_of(given))) if match.is_file()]
            roots.append(root)
        else:
            findings.append(f'--input {files.missing(path)}')
            continue
        if not paths:
            findings.append(f'--input {given}: holds no picture and no video')
        found.update(dict.fromkeys(path.absolute() for path in paths))
    if findings:
        raise UserError(findings)
    names = _names(list(found), roots)
    stems = _stems(names.values())
    every = [Source(path, name, stems[name], path.suffix.lower() in VIDEOS) for path, name in names.items()]
    every += [Source(Path(str(number)), f'camera{number}', f'camera{number}', True, number) for number in cameras]
    return Sources([one for one in every if not one.is_video], [one for one in every if one.is_video], others)


def _below(folder: Path) -> tuple[list[Path], int]:
    """Return the pictures and videos below a folder, sorted, and the number of other files. Hidden ones are ignored."""
    found, others = [], 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_litter(name))
        for name in sorted(name for name in names if not _is_litter(name)):
            if Path(name).suffix.lower() in PICTURES | VIDEOS:
                found.append(Path(place, name))
            else:
                others += 1
    return found, others


def _is_litter(name):
    return name.startswith('.') or name.lower() in LITTER


def _before_the_glob(pattern: str) -> Path:
    """Return the folder that a pattern starts in, absolute."""
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)).absolute()


def _glob_of(pattern: str) -> str:
    """Return the rest of a pattern, as Path.glob takes it."""
    return str(Path(*itertools.dropwhile(lambda part: not glob.has_magic(part), Path(pattern).parts)))


def _names(paths: Sequence[Path], roots: Sequence[Path]) -> dict[Path, str]:
    """Return {path: its name relative to the root that all have in common, with '/'}."""
    if not paths:
        return {}
    try:
        root = os.path.commonpath(roots)
    except ValueError:  # Windows: several drives
        return {path: text('/'.join([path.drive.strip(':\\/'), *path.parts[1:]])) for path in paths}
    return {path: text(path.relative_to(root).as_posix()) for path in paths}


def _stems(names: Iterable[str]) -> dict[str, str]:
    """Return {name: name without suffix}, with the suffix where several would be alike (a.jpg and a.png)."""
    plain = {name: stem(name) for name in names}
    count = Counter(short.casefold() for short in plain.values())
    return dict(distinct({name: short if count[short.casefold()] == 1 else name for name, short in plain.items()}))
