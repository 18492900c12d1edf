"""Turn source files into upright JPEGs, again only where something has changed."""
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import PIL
import pyvips
import simplejpeg

from object_detection.preparation.duplicates import hashes
from object_detection.preparation.manifest import Manifest, Picture
from object_detection.preparation.options import Options
from object_detection.preparation.reading import PARTIAL, QUALITY, UNREADABLE, Task, read_picture
from object_detection.preparation.scan import Source
from object_detection.preparation.workers import Crashed, unordered
from object_detection.utils import console

COMMIT_SECONDS = 1.0


def prepare(sources: Sequence[Source], names: Mapping[str, str], manifest: Manifest, options: Options,
            on_work: Callable[[], object]) -> list[Picture]:
    """Read new and changed sources, write their jpgs, and return the Pictures of all sources, sorted by path.

    A source is new or changed unless the manifest has facts with its size, time, name and picture options. A run that
    was killed is continued where its manifest ends. names: {source path: jpg}. on_work: called before any reading.
    """
    key = picture_options(options)
    known = manifest.facts()
    manifest.forget(known.keys() - {source.path for source in sources})
    pictures, todo = {}, []
    for source in sources:
        fresh = Picture(source.path, source.label, source.size, source.mtime_ns, key, problem=source.problem,
                        jpg=names[source.path])
        old = known.get(source.path)
        if source.problem:
            pictures[source.path] = fresh
        elif old and _same_source(old, fresh):
            old.label = source.label
            pictures[source.path] = old
        else:
            todo.append(Task(fresh, source.file, str(options.output), options.mindim, options.bits))
    manifest.keep_facts(picture for picture in pictures.values() if picture.path not in known)
    if todo:
        on_work()
    for picture in _read(todo, manifest, options, 'reading pictures'):
        pictures[picture.path] = picture
    return [pictures[source.path] for source in sources]


def restore(pictures: Sequence[Picture], sources: Sequence[Source], manifest: Manifest, options: Options) -> None:
    """Write missing jpgs of `pictures` again, and delete all others that a run has written."""
    files = {source.path: source.file for source in sources}
    lost = [Task(picture, files[picture.path], str(options.output), options.mindim, options.bits)
            for picture in pictures if not _intact(picture, options.output)]
    again = {picture.path: picture for picture in pictures}
    for result in _read(lost, manifest, options, 'writing pictures again'):
        if result.problem:  # the source has changed since it was read
            again[result.path].verdict, again[result.path].reason = 'skipped', result.problem
    unwanted = manifest.written() - {picture.jpg for picture in pictures}
    for jpg in unwanted:
        (options.output / jpg).unlink(missing_ok=True)
    manifest.deleted(unwanted)
    (options.output / 'jpg').mkdir(exist_ok=True)
    for folder in (options.output / 'jpg').iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def picture_options(options: Options) -> str:
    """Return everything that the bytes of a jpg depend on, other than its source."""
    vips = '.'.join(str(pyvips.version(part)) for part in range(3))
    return (f'mindim={options.mindim} quality={QUALITY} pillow={PIL.__version__} vips={vips} '
            f'simplejpeg={simplejpeg.__version__} depth={options.bits or "auto"}')


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


def _read(tasks, manifest, options, title) -> Iterator[Picture]:
    """Yield the Pictures of tasks in the order they finish, once they are in the manifest."""
    if not tasks:
        return
    manifest.will_write(task.picture.jpg for task in tasks)
    partial = options.output / PARTIAL
    for folder in {(options.output / task.picture.jpg).parent for task in tasks} | {partial}:
        folder.mkdir(parents=True, exist_ok=True)
    workers = min(options.workers, len(tasks))
    with console.progress(title, len(tasks), 'pictures') as bar:
        results = (dataclasses.replace(task.picture, problem='broken: decoding it takes the process down')
                   if isinstance(result, Crashed) else result
                   for task, result in unordered(read_picture, tasks, workers))
        done = 0
        for batch in _by_time(results):
            _add_hashes(batch)
            manifest.keep_facts(batch)
            done += len(batch)
            bar.update(done)
            yield from batch
    shutil.rmtree(partial, ignore_errors=True)


def _by_time(results):
    """Yield lists of results, one a second: a commit for each picture would take longer than reading it."""
    batch, start = list[Picture](), time.monotonic()
    for result in results:
        batch.append(result)
        if time.monotonic() - start > COMMIT_SECONDS:
            yield batch
            batch, start = [], time.monotonic()
    yield batch


def _add_hashes(batch):
    readable = [picture for picture in batch if picture.thumbnail]
    for picture, value in zip(readable, hashes([picture.thumbnail for picture in readable])):
        picture.hash = value
