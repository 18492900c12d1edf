"""Paths that a pipeline.config names: do they exist, and are they what they should be?

The checks yield (severity, message), severity 'error' or 'warning'. Relative paths are resolved from the current
folder, as in the reference.
"""
import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from object_detection.utils import cache, files, shards, store
from object_detection.utils.errors import UserError


def is_placeholder(path: str) -> bool:
    """Return whether a path of a zoo tarball is still to be set."""
    return re.search(r'PATH_TO_BEE?_CONFIGURED', path) is not None


def records(pattern: str) -> Iterator[tuple[str, str]]:
    """Check the TFRecord files of a path or pattern: they exist, no shard of a set is missing, none is empty."""
    yield from _control_characters(pattern)
    if url := store.url_of(pattern):
        try:
            found = shards.expand(pattern)
        except UserError as error:
            yield 'error', str(error)
            return
        if not found:
            yield 'error', f'{pattern}: no file matches' if re.search(r'[*?\[]', url) else cache.missing(url)
        yield from _whole(pattern, found)
        return
    if message := files.refused(pattern):
        yield 'error', message
        return
    if Path(pattern).is_dir():
        yield 'error', f'{pattern}: is a folder; name the records in it{files.contents(pattern)}'
        return
    found = shards.expand(pattern)
    if not found:
        folder, name = Path(pattern).parent, Path(pattern).name
        if re.search(r'[*?\[]', name if folder.is_dir() else pattern):  # folders may have brackets in their names
            near = files.contents(folder) if folder.is_dir() else f'; {files.missing(folder)}'
            yield 'error', f'{pattern}: no file matches{near}'
        elif sets := shards.sets_beside(pattern):
            yield 'error', f'{pattern}: is in shards; write {" or ".join(map(repr, sets))}'
        else:
            yield 'error', files.missing(pattern)
    yield from _whole(pattern, found)


def _whole(pattern: str, found: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Check that no shard of a set is missing, and that the files are not empty."""
    if lost := shards.missing_shards(found):
        yield 'error', f'{pattern}: {len(lost)} of its shards are missing, starting with {lost[0]}'
    empty = [path for path in found if path.stat().st_size == 0]
    if empty and len(empty) == len(found):
        yield 'error', f'{empty[0]}: is empty; was its preparation interrupted?'
    elif empty:  # also what a script writes that has more shards than pictures
        yield 'warning', f'{pattern}: {len(empty)} of {len(found)} files are empty, starting with {empty[0]}'


def checkpoint(prefix: str) -> Iterator[tuple[str, str]]:
    """Check the prefix of a checkpoint, .../ckpt-0 for .../ckpt-0.index and .../ckpt-0.data-00000-of-00001."""
    yield from _control_characters(prefix)
    if url := store.url_of(prefix):
        try:
            cache.checkpoint(url)
        except UserError as error:
            yield 'error', str(error)
        return
    if message := files.refused(f'{prefix}.index'):
        yield 'error', message
        return
    path = Path(prefix)
    if Path(f'{prefix}.index').is_file():
        if not list(path.parent.glob(f'{glob.escape(path.name)}.data-?????-of-?????')):
            yield 'error', f'{prefix}: has {path.name}.index but no {path.name}.data-...; unpack or copy it again'
        return
    stem = re.sub(r'\.(index|data-\d+-of-\d+|meta)$', '', prefix)
    if stem != prefix and Path(f'{stem}.index').is_file():
        yield 'error', f'{prefix}: is a file of the checkpoint; give its prefix, {stem!r}'
        return
    if path.is_dir():
        inside = prefixes(path) or prefixes(path / 'checkpoint')
        advice = f'give the prefix of a checkpoint in it, {inside[-1].as_posix()!r}' if inside else \
            'there is no *.index file in it or in its checkpoint folder'
        yield 'error', f'{prefix}: is a folder; {advice}'
        return
    beside = prefixes(path.parent)
    if beside:
        names = ', '.join(repr(other.as_posix()) for other in beside[-6:])
        yield 'error', f'{prefix}: there is no {path.name}.index; the folder has {names}'
    else:
        yield 'error', files.missing(f'{prefix}.index')


def prefixes(folder: str | Path) -> list[Path]:
    """Return the prefixes of all checkpoints in a folder (model.ckpt too), by their last number, the highest last."""
    def number(path: Path) -> int:
        return int((re.findall(r'\d+', path.name) or ['0'])[-1])

    return sorted((path.with_suffix('') for path in Path(folder).glob('*.index')), key=number)


def training_checkpoints(folder: str | Path) -> list[Path]:
    """Return the prefixes of the checkpoints that training wrote (ckpt-N and nothing else), the highest N first."""
    found = {int(match[1]): path.with_suffix('') for path in Path(folder).glob('ckpt-*.index')
             if (match := re.fullmatch(r'ckpt-(\d+)\.index', path.name))}
    return [found[number] for number in sorted(found, reverse=True)]


def _control_characters(path: str) -> Iterator[tuple[str, str]]:
    if re.search(r'[\x00-\x1f]', path):
        yield 'warning', f'{path!r}: contains a control character; write / or \\\\ instead of \\ in paths'
