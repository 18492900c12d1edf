"""Turn one source file into an upright JPEG and the facts about it, with one read and one decode; runs in the workers.

Workers import what this module imports, so it imports only what decoding needs: they start faster.
"""
import dataclasses
import hashlib
import io
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from object_detection.preparation.decode import Unusable, decode
from object_detection.preparation.manifest import Picture
from object_detection.utils.files import naming_file

QUALITY = 95
THUMBNAIL = 16  # pixels a side
PARTIAL = '.partial'  # folder in --output for half-written pictures
UNREADABLE = 'cannot be read'
LOW = 8  # frequencies of the hash in each direction
FLATTEST = 4.0  # gray levels, standard deviation; below (a wall, a blank page) all bits of a hash are noise
GRAY = np.array([0.299, 0.587, 0.114])
# [LOW, THUMBNAIL]: the lowest frequencies of the discrete cosine transform.
_DCT = np.cos(np.pi / THUMBNAIL * (np.arange(THUMBNAIL) + 0.5) * np.arange(LOW)[:, None])


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One source to read. number: of the task. file: its path; output: the folder in which picture.jpg is written."""
    number: int
    picture: Picture
    file: str
    output: str
    mindim: int | None
    bits: int | None = None


Window = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclasses.dataclass(frozen=True, slots=True)
class TileTask:
    """Tiles to cut from one source. sha256, file: of the source. windows: {jpg: Window}, in the shrunk picture."""
    sha256: str
    file: str
    output: str
    mindim: int | None
    bits: int | None
    windows: dict[str, Window]


def read_picture(task: Task) -> Picture:
    """Read one source, write its jpg, and return its Picture with the facts found, `problem` among them."""
    try:
        data = Path(task.file).read_bytes()
    except OSError as error:
        return dataclasses.replace(task.picture, problem=f'{UNREADABLE}: {error.strerror}')
    checksum = hashlib.sha256(data).hexdigest()
    try:
        decoded = decode(data, task.mindim, task.bits)
    except Unusable as error:
        return dataclasses.replace(task.picture, sha256=checksum, problem=str(error))
    image = decoded.image
    small = thumbnail(image)
    jpg, stat = _write(image, task.output, task.picture.jpg)
    return dataclasses.replace(
        task.picture, sha256=checksum, format=decoded.format, width=decoded.width, height=decoded.height,
        turned=decoded.turned, note=decoded.note, thumbnail=small, hash=hashes([small])[0], jpg_size=stat.st_size,
        jpg_mtime_ns=stat.st_mtime_ns, jpg_width=image.width, jpg_height=image.height, jpg_sha256=jpg)


def cut_tiles(task: TileTask) -> dict[str, tuple[int, int, str]] | str:
    """Write tiles of one source and return {jpg: (size, mtime_ns, SHA-256)}, or why that is not possible."""
    try:
        data = Path(task.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != task.sha256:
            return 'has changed since it was read'
        image = decode(data, task.mindim, task.bits).image
    except (OSError, Unusable) as error:
        return f'{UNREADABLE}: {error}'
    rows = {}
    for jpg, (left, top, width, height) in task.windows.items():
        checksum, stat = _write(image.crop((left, top, left + width, top + height)), task.output, jpg)
        rows[jpg] = stat.st_size, stat.st_mtime_ns, checksum
    return rows


def thumbnail(image: Image.Image) -> bytes:
    """Return the pixels of a picture shrunk to 16x16 RGB."""
    return image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR, reducing_gap=3.0).tobytes()


def hashes(thumbnails: Sequence[bytes]) -> list[int | None]:
    """Return the perceptual hashes of thumbnails (16x16 RGB) as signed 64-bit integers; None for flat pictures.

    The hash is pHash (Zauner 2010): which of the 8x8 lowest DCT coefficients of the gray picture are above their
    median. Resizing and recompression change few of them.
    """
    gray = np.frombuffer(b''.join(thumbnails), np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL, 3) @ GRAY
    low = (_DCT @ gray @ _DCT.T).reshape(len(gray), LOW * LOW)
    median = np.median(low[:, 1:], axis=1, keepdims=True)  # without the mean brightness, an outlier
    bits = np.packbits(low > median, axis=1).view('>i8')[:, 0]
    return [value if deviation >= FLATTEST else None
            for value, deviation in zip(bits.tolist(), gray.std(axis=(1, 2)).tolist())]


def _write(image, output, name):
    """Save a jpg atomically; return its SHA-256 and stat."""
    partial = Path(output, PARTIAL, f'{uuid.uuid4().hex}.jpg')  # processes of other machines write there, too
    image.info = {}
    stream = io.BytesIO()
    image.save(stream, 'JPEG', quality=QUALITY)
    with naming_file(name):
        partial.write_bytes(stream.getvalue())
    stat = partial.stat()
    partial.replace(Path(output, name))
    return hashlib.sha256(stream.getvalue()).hexdigest(), stat
