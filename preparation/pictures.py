"""From source files to upright JPEGs: one read and one decode for checksum, perceptual hash and the shrunk picture."""
import dataclasses
import hashlib
import io
import os
import shutil
import time
from pathlib import Path

import PIL

from preparation.decode import Unusable, decode
from preparation.fingerprint import fingerprint
from preparation.manifest import Picture
from preparation.workers import Crashed, unordered

QUALITY = 95
PARTIAL = '.partial'  # half-written pictures, under the output folder
COMMIT_SECONDS = 1.0
UNREADABLE = 'cannot be read'


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One source to read. file: where it lies; output: the folder under which `picture.jpg` is written."""
    picture: Picture
    file: str
    output: str
    mindim: int | None


def prepare(scan, names, manifest, options, progress, on_work):
    """Read what is new or changed, write its jpgs, and return the Pictures of all sources, sorted by path.

    names: {source path: jpg}. A source is new or changed when the manifest has no facts of its size, time, name and
    picture options. Killed half-way, this carries on where the manifest ends. on_work() is called if there are any.
    """
    key = picture_options(options)
    known = manifest.found()
    manifest.forget(known.keys() - {source.path for source in scan.sources})
    pictures, todo = {}, []
    for source in scan.sources:
        fresh = Picture(source.path, source.label, source.size, source.mtime_ns, key, problem=source.problem,
                        jpg=names[source.path])
        old = known.get(source.path)
        if source.problem:
            pictures[source.path] = fresh
        elif old and _same_source(old, fresh):
            pictures[source.path] = old
        else:
            todo.append(Task(fresh, source.file, str(options.output), options.mindim))
    manifest.keep_found(picture for picture in pictures.values() if picture.path not in known)
    if todo:
        on_work()
    for picture in _read(todo, manifest, options, progress, 'reading pictures'):
        pictures[picture.path] = picture
    return [pictures[source.path] for source in scan.sources]


def restore(pictures, scan, manifest, options, progress):
    """Make jpg/ hold the jpgs of `pictures` and no other of ours: write again what is missing, delete the rest."""
    files = {source.path: source.file for source in scan.sources}
    lost = [Task(picture, files[picture.path], str(options.output), options.mindim)
            for picture in pictures if not _intact(picture, options.output)]
    again = {picture.path: picture for picture in pictures}
    for result in _read(lost, manifest, options, progress, 'writing pictures again'):
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


def picture_options(options):
    """All that the bytes of a jpg depend on besides its source."""
    return f'mindim={options.mindim} quality={QUALITY} pillow={PIL.__version__}'


def _same_source(old, new):
    if (old.problem or '').startswith(UNREADABLE):  # permissions may have changed since
        return False
    return all(getattr(old, name) == getattr(new, name) for name in ('size', 'mtime_ns', 'options', 'label', 'jpg'))


def _intact(picture, output):
    try:
        found = os.stat(output / picture.jpg)  # noqa: PTH116, 100,000 of them
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (picture.jpg_size, picture.jpg_mtime_ns)


def _read(tasks, manifest, options, progress, title):
    """Yield the Pictures of tasks as they are done, after the manifest has them."""
    if not tasks:
        return
    manifest.will_write(task.picture.jpg for task in tasks)
    partial = options.output / PARTIAL
    for folder in {(options.output / task.picture.jpg).parent for task in tasks} | {partial}:
        folder.mkdir(parents=True, exist_ok=True)
    workers = min(options.workers, len(tasks))
    with progress(title, len(tasks), 'pictures') as bar:
        results = (_crashed(task) if isinstance(result, Crashed) else result
                   for task, result in unordered(read_picture, tasks, workers))
        done = 0
        for batch in _by_time(results):
            manifest.keep_found(batch)
            done += len(batch)
            bar.update(done)
            yield from batch
    shutil.rmtree(partial, ignore_errors=True)


def _by_time(results):
    """Lists of results, one a second: a commit for each would take longer than the picture."""
    batch, start = [], time.monotonic()
    for result in results:
        batch.append(result)
        if time.monotonic() - start > COMMIT_SECONDS:
            yield batch
            batch, start = [], time.monotonic()
    yield batch


def _crashed(task):
    return dataclasses.replace(task.picture, problem='broken: decoding it takes the process down')


def read_picture(task):
    """Read one source, write its jpg, and return its Picture with all that was found; runs in a worker."""
    try:
        data = Path(task.file).read_bytes()
    except OSError as error:
        return dataclasses.replace(task.picture, problem=f'{UNREADABLE}: {error.strerror}')
    checksum = hashlib.sha256(data).hexdigest()
    try:
        decoded = decode(data, task.mindim)
    except Unusable as error:
        return dataclasses.replace(task.picture, sha256=checksum, problem=str(error))
    image = decoded.image
    hashed, thumbnail = fingerprint(image)
    jpg, stat = _write(image, task.output, task.picture.jpg)
    return dataclasses.replace(
        task.picture, sha256=checksum, format=decoded.format, width=decoded.width, height=decoded.height,
        turned=decoded.turned, note=decoded.note, hash=hashed, thumbnail=thumbnail, jpg_size=stat.st_size,
        jpg_mtime_ns=stat.st_mtime_ns, jpg_width=image.width, jpg_height=image.height, jpg_sha256=jpg)


def _write(image, output, name):
    """Save a jpg whole or not at all; its SHA-256 and stat."""
    partial = Path(output, PARTIAL, f'{os.getpid()}.jpg')
    image.info = {}
    stream = io.BytesIO()
    image.save(stream, 'JPEG', quality=QUALITY)
    try:
        partial.write_bytes(stream.getvalue())
    except OSError as error:  # a full disk does not say which file it was
        raise OSError(error.errno, error.strerror, name) from error
    stat = partial.stat()
    partial.replace(Path(output, name))
    return hashlib.sha256(stream.getvalue()).hexdigest(), stat
