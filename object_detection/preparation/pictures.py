"""Turn source files into upright JPEGs, again only where something has changed."""
import dataclasses
import os
import shutil
import time
from array import array
from collections.abc import Callable, Iterator, Sequence

import PIL
import pyvips
import simplejpeg

from object_detection.preparation.columns import Texts
from object_detection.preparation.manifest import Manifest, Picture
from object_detection.preparation.options import Options
from object_detection.preparation.reading import PARTIAL, QUALITY, UNREADABLE, Task, read_picture
from object_detection.preparation.scan import Files
from object_detection.preparation.table import Pictures, Table
from object_detection.preparation.workers import Crashed, Workers
from object_detection.utils import console

COMMIT_SECONDS = 1.0


def prepare(sources: Files, names: Sequence[str], manifest: Manifest, options: Options, workers: Workers,
            on_work: Callable[[], object]) -> Pictures:
    """Read new and changed sources, write their jpgs, and return the Pictures of all sources, in their order.

    A source is new or changed unless the manifest has facts with its size, time, name and picture options. A run that
    was killed is continued where its manifest ends.

    Args:
        sources: sorted by path.
        names: the jpg of each source.
        on_work: called before any reading.
    """
    key = picture_options(options)
    pictures = Pictures(Table(len(sources), manifest.thumbnail))
    todo, gone, unreadable = array('q'), Texts(), array('q')
    known = manifest.facts()
    old = next(known, None)
    for i, source in enumerate(sources):
        while old and old.path < source.path:
            gone.append(old.path)
            old = next(known, None)
        mine = None
        if old and old.path == source.path:
            mine, old = old, next(known, None)
        fresh = Picture(source.path, source.label, source.size, source.mtime_ns, key, problem=source.problem,
                        jpg=names[i])
        if mine and not source.problem and _same_source(mine, fresh):
            mine.label = source.label
            fresh = mine
        elif not source.problem:
            todo.append(i)
        elif not mine:
            unreadable.append(i)
        pictures[i].put(fresh)
    while old:
        gone.append(old.path)
        old = next(known, None)
    manifest.forget(gone)
    manifest.keep_facts(pictures[i] for i in unreadable)
    if todo:
        on_work()
    for i, picture in _read(pictures, todo, sources, manifest, options, workers, 'reading pictures'):
        pictures[i].put(picture)
    return pictures


def restore(pictures: Pictures, sources: Files, manifest: Manifest, options: Options, workers: Workers) -> None:
    """Write missing jpgs of `pictures` again, and delete all others that a run has written.

    pictures: some of those of `sources`, whose rows are the places in `sources`.
    """
    lost = array('q', (i for i, picture in enumerate(pictures) if not _intact(picture, options.output)))
    for i, result in _read(pictures, lost, sources, manifest, options, workers, 'writing pictures again'):
        if result.problem:  # the source has changed since it was read
            pictures[i].verdict, pictures[i].reason = 'skipped', result.problem
    unwanted = manifest.unwanted(picture.jpg for picture in pictures)
    for jpg in unwanted:
        (options.output / jpg).unlink(missing_ok=True)
    manifest.deleted(unwanted)
    (options.output / 'jpg').mkdir(exist_ok=True)
    for folder in (options.output / 'jpg').iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def picture_options(options: Options) -> str:
    """Return everything that the bytes of a jpg depend on, other than its source."""
    return f'mindim={options.mindim} quality={QUALITY} {libraries()} depth={options.bits or "auto"}'


def libraries() -> str:
    """Return the versions of the libraries that decode and encode pictures."""
    vips = '.'.join(str(pyvips.version(part)) for part in range(3))
    return f'pillow={PIL.__version__} vips={vips} simplejpeg={simplejpeg.__version__}'


def _same_source(old, new):
    if (old.problem or '').startswith(UNREADABLE):  # permissions may have changed since
        return False
    return all(getattr(old, name) == getattr(new, name) for name in ('size', 'mtime_ns', 'options', 'jpg'))


def _intact(picture, output):
    try:
        stat = os.stat(output / picture.jpg)  # noqa: PTH116, faster for 100,000 of them
    except FileNotFoundError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (picture.jpg_size, picture.jpg_mtime_ns)


def _read(pictures, todo, sources, manifest, options, workers, title) -> Iterator[tuple[int, Picture]]:
    """Yield (i, its Picture) for each i in `todo`, in the order in which they finish, once they are in the manifest."""
    if not todo:
        return
    manifest.will_write(pictures[i].jpg for i in todo)
    partial = options.output / PARTIAL
    for folder in {pictures[i].jpg.rpartition('/')[0] for i in todo} | {PARTIAL}:
        (options.output / folder).mkdir(parents=True, exist_ok=True)
    tasks = (Task(i, pictures[i].value(), sources[int(pictures.rows[i])].file, str(options.output), options.mindim,
                  options.bits) for i in todo)
    with console.progress(title, len(todo), 'pictures') as bar:
        results = ((task.number, dataclasses.replace(task.picture, problem='broken: decoding it takes the process down')
                    if isinstance(result, Crashed) else result)
                   for task, result in workers.unordered(read_picture, tasks, len(todo)))
        done = 0
        for batch in _by_time(results):
            manifest.keep_facts(picture for _, picture in batch)
            done += len(batch)
            bar.update(done)
            yield from batch
    shutil.rmtree(partial, ignore_errors=True)


def _by_time(results):
    """Yield lists of results, one a second: a commit for each picture would take longer than reading it."""
    batch, start = list[tuple[int, Picture]](), time.monotonic()
    for result in results:
        batch.append(result)
        if time.monotonic() - start > COMMIT_SECONDS:
            yield batch
            batch, start = [], time.monotonic()
    yield batch
