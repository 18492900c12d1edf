"""Names of data sets in shards (NAME-00000-of-00010, ...) and the files that a pattern matches."""
import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from object_detection.utils import cache, store


def shard_names(path: str | os.PathLike, count: int) -> list[str]:
    """Return the file names of a data set: `path` itself, or path-00000-of-00010 and so on if count > 1."""
    return [f'{path}-{i:05d}-of-{count:05d}' for i in range(count)] if count > 1 else [str(path)]


def shard_pattern(path: str | os.PathLike, count: int) -> str:
    """Return the pattern that matches shard_names(path, count), such as path-?????-of-00010."""
    return f'{path}-?????-of-{count:05d}' if count > 1 else str(path)


def sets_beside(path: str | os.PathLike) -> list[str]:
    """Return the patterns of all sets of shards that lie beside `path` under its name."""
    folder, name = Path(path).parent, Path(path).name
    counts = {int(match[1]) for shard in folder.glob(f'{glob.escape(name)}-*-of-*')
              if (match := re.search(r'-\d{5}-of-(\d{5})$', shard.name))}
    return [shard_pattern(path, count) for count in sorted(counts)]


def missing_shards(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Return the names of shards that are not in `paths`, though others of their set are."""
    present = {str(path) for path in paths}
    expected: set[str] = set()
    for path in present:
        if match := re.fullmatch(r'(.*)-\d{5}-of-(\d{5})', path):
            expected.update(shard_names(match[1], int(match[2])))
    return sorted(expected - present)


def expand(pattern: str | os.PathLike) -> list[Path]:
    """Return the files that a path or pattern (`*`, `?`, `[0-4]` in any part of it) matches, sorted.

    A part that exists as it is written is not a pattern, so folders and files may have brackets in their names. On an
    object store, local copies of the files (utils/cache.py).
    """
    if url := store.url_of(pattern):
        return cache.matching(url)
    found = [Path(Path(pattern).anchor)]
    for part in Path(pattern).relative_to(found[0]).parts:
        found = [match for folder in found for match in _matches(folder, part)]
    return sorted(path for path in found if path.is_file())


def _matches(folder: Path, part: str) -> Iterator[Path]:
    if (folder / part).exists():
        yield folder / part
    else:
        yield from (folder / name for name in glob.glob(part, root_dir=folder))  # noqa: PTH207 (skips hidden files)
