"""Which picture an annotation belongs to: the one whose path it names, else the only one that it can mean."""
import dataclasses
import urllib.parse
from collections.abc import Iterable, Sequence

from object_detection.preparation.columns import Index
from object_detection.preparation.folders import CONTAINERS, part_of
from object_detection.preparation.scan import composed

EXACT, SURE, LIKELY = range(3)  # the path; the file name; the file name without its suffix


@dataclasses.dataclass(frozen=True)
class Match:
    """The paths of the pictures, and how they were found; none and the reason if there is no such picture."""
    paths: tuple[str, ...]
    level: int = EXACT
    reason: str = ''


class Pictures:
    """The paths of a data set, to find pictures by what annotation files call them.

    Names are compared exactly first; upper and lower case, Unicode forms and %20 count as equal where only one picture
    remains. Folders named like `images` and `labels` are passed over. index: of the paths.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """paths: sorted."""
        def name(i):
            return paths[i].rpartition('/')[2]
        self._list = paths
        self.index = Index(len(paths), lambda i: paths[i])
        self._stems = Index(len(paths), lambda i: _fold(stem(paths[i])))  # of paths without suffixes
        self._names = Index(len(paths), lambda i: _fold(name(i)))  # of files
        self._shorts = Index(len(paths), lambda i: _fold(stem(name(i))))  # of files without suffixes
        self._folders: set[str] = set()  # folded names of the folders that hold pictures
        for folder in {paths[i].rpartition('/')[0] for i in range(len(paths))}:
            self._folders.update(_folders(f'{folder}/'))

    def __len__(self) -> int:
        return len(self._list)

    def path(self, row: int) -> str:
        """Return the path of the picture with this number."""
        return self._list[row]

    def row(self, path: str) -> int | None:
        """Return the number of the picture of a path, None if there is none."""
        rows = self.index.rows(path)
        return rows[0] if rows else None

    def beside(self, path: str) -> tuple[str, ...]:
        """Return the pictures that differ from a file in the suffix alone (or that it only adds a suffix to)."""
        base = path.rpartition('.')[0]
        found = self._found(self._stems, _fold(base)) + [other for other in (base,) if self.index.rows(other)]
        exact = [other for other in found if base in (stem(other), other)]
        return tuple(dict.fromkeys(exact or found))

    def _found(self, index: Index, key: str) -> list[str]:
        return [self._list[row] for row in index.rows(key)]

    def described_by(self, path: str, names: Iterable[str]) -> Match:
        """Find the picture of a file that describes one picture. names: what the file itself calls it."""
        names = [name for given in names for name in _spellings(given)]
        found = self.beside(path)
        if len(found) > 1:  # 1.jpg and 1.png: the file may say which
            files = {_fold(name.rpartition('/')[2]) for name in names}
            told = [other for other in found if _fold(other.rpartition('/')[2]) in files]
            return Match(tuple(told) if len(told) == 1 else found)
        if found:
            return Match(found)
        base = path.rpartition('.')[0]
        match = self._closest(base, self._found(self._shorts, _fold(base.rpartition('/')[2])), LIKELY)
        if match.paths:
            return match
        by_name = self._named(names, SURE)
        return by_name if by_name.paths or not match.reason else match

    def listed(self, names: Iterable[str], folder: str, part: str | None = None) -> Match:
        """Find the picture that a list calls by one of `names`.

        folder: of the list, relative to the data set. part: of the split, if the list is about one.
        """
        names = [name for given in names for name in _spellings(given)]
        for name in names:
            for path in (f'{folder}/{name}' if folder else name, name):
                if self.index.rows(path):
                    return Match((path,))
        return self._named(names, SURE, part)

    def _named(self, names, level, part=None):
        reason = ''
        for by_suffix in (True, False):
            for name in names:
                base = name.rpartition('/')[2]
                known = self._found(self._names, _fold(base)) if by_suffix else (
                    self._found(self._shorts, _fold(stem(base))) or self._found(self._shorts, _fold(base)))
                match = self._closest(name if by_suffix else stem(name), known, level + (not by_suffix), part)
                if match.paths:
                    return match
                reason = reason or match.reason
        return Match((), reason=reason)

    def _closest(self, name, candidates, level, part=None):
        """Return the candidate that shares most of the end of its path with `name`, if there is only one."""
        possible = [path for path in candidates if not self._elsewhere(name, path, part)]
        if not possible:
            other = f'; {candidates[0]} lies in another folder' if candidates else ''
            return Match((), reason=f'no picture of this name{other}')
        base = name.rpartition('/')[2]
        exact = [path for path in possible if base in (other := path.rpartition('/')[2], stem(other))]
        tails = {path: _tail(path, name) for path in exact or possible}
        best = [path for path, tail in tails.items() if tail == max(tails.values())]
        if len(best) > 1:
            return Match((), reason=f'fits {len(best)} pictures: {", ".join(best[:3])}')
        return Match((best[0],), level)

    def _elsewhere(self, name, path, part):
        """Return whether a name lies in another folder of the data set or another part of the split than a path."""
        if (part := part_of(name) or part) and part_of(path) and part != part_of(path):
            return True
        folders, others = _folders(name), _folders(path)
        return bool(folders and folders[-1] in self._folders and folders[-1] not in others)


def stem(path: str) -> str:
    """Return a path without the suffix of its file."""
    folder, slash, name = path.rpartition('/')
    return folder + slash + (name.rpartition('.')[0] or name)


def _fold(text):
    return composed(text).casefold()


def _spellings(name):
    """Return a name as given, with forward slashes, and with %20 and the like decoded."""
    name = name.replace('\\', '/').removeprefix('./').lstrip('/')
    return list(dict.fromkeys([name, urllib.parse.unquote(name)]))


def _folders(path):
    """Return the folded names of the folders of a path that may tell pictures apart."""
    return [folder for part in path.split('/')[:-1] if (folder := _fold(part)) not in CONTAINERS]


def _tail(path, name):
    """Return how many names at the end, folders and file, a path and a name share; suffixes do not count."""
    count = 0
    ours, theirs = ([_fold(stem(text.rpartition('/')[2])), *reversed(_folders(text))] for text in (path, name))
    for one, other in zip(ours, theirs):
        if one != other:
            break
        count += 1
    return count
