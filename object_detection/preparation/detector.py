"""A detector's SavedModel in a process of its own, the only one that imports TensorFlow.

The parent plans the batches; threads of the process decode them ahead, so that the model never waits for a picture.
"""
import collections
import itertools
import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import LEAST_SCORE
from object_detection.preparation.workers import end_with_parent
from object_detection.utils import console, environment
from object_detection.utils.errors import UserError

AHEAD = 4  # batches decoded in advance
KEPT = 20  # detections per picture, to choose its boxes from
ASPECT_STEP = 0.1  # of log(width / height) between the shapes of batches: a picture is stretched by 5 % at most
SIDES = (640, 1024)  # longer side of a batch in pixels: for smaller pictures, and for others


class Detector:
    """A running detector process. It loads the model while the caller does other things; `ready` waits for it.

    pictures, batches: processed so far. busy, seconds: time the model has computed, and time since the first picture.
    """

    def __init__(self, folder: Path, batch: int, kept: int, stretch: bool = True) -> None:
        """folder: of the SavedModel. batch: pictures at a time, if the model takes several. kept: boxes per picture.

        stretch: bring pictures of about one shape to a common size; else only those of one size share a batch.
        """
        self.folder, self._batch, self._stretch = folder, batch, stretch
        self.busy = self.seconds = 0.0
        self.pictures = self.batches = 0
        context = multiprocessing.get_context('spawn')
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, str(folder), kept), daemon=True)
        self._process.start()
        other.close()
        self._takes_batches: bool | None = None

    def __enter__(self) -> 'Detector':
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    @property
    def utilization(self) -> float:
        """The fraction of the time since the first picture in which the model was computing."""
        return self.busy / max(self.seconds, 1e-9)

    def ready(self) -> bool:
        """Wait for the model and return whether it takes batches; UserError if it is not a detector that loads."""
        if self._takes_batches is None:
            self._takes_batches = self._receive()
        return bool(self._takes_batches)

    def detect(self, pictures: Sequence[Picture], output: Path) -> Iterator[dict[str, list[list[float]]]]:
        """Yield {jpg_sha256: [[ymin, xmin, ymax, xmax, score, class id], ...]} for each batch of the jpgs in `output`.

        Best first, boxes normalized to 0..1. The last digits of a network depend on the batch, so the batches follow
        from the pictures alone.
        """
        batches = plan(pictures, self._batch if self.ready() else None, self._stretch)
        start = time.monotonic()
        self._pipe.send([([str(output / picture.jpg) for picture in batch], shape) for batch, shape in batches])
        for batch, _ in batches:
            detections, busy = self._receive()
            self.busy += busy
            self.seconds = time.monotonic() - start
            self.pictures += len(batch)
            self.batches += 1
            yield {picture.jpg_sha256: boxes for picture, boxes in zip(batch, detections)}

    def _receive(self):
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise UserError(f'the process of the detector {self.folder} has ended with code {self._process.exitcode}; '
                            'if memory ran out, --detector_batch 1 needs less. What it has detected is kept') from None
        if kind == 'error':
            raise UserError(f'{self.folder}: {value}')
        return value


def plan(pictures: Sequence[Picture], size: int | None,
         stretch: bool = True) -> list[tuple[list[Picture], tuple[int, int] | None]]:
    """Return batches of pictures and the (height, width) each batch is stretched to; None: as they are.

    size: pictures in a batch; None: one at a time, as it is. stretch: batches are of about one shape, else of one size.
    """
    if size is None:
        return [([picture], None) for picture in pictures]
    shapes: dict[tuple[int, int], list[Picture]] = collections.defaultdict(list)
    for picture in pictures:
        own = (picture.jpg_height, picture.jpg_width)
        shapes[common_shape(*own[::-1]) if stretch else own].append(picture)
    return [(members[i:i + size], shape) for shape, members in sorted(shapes.items())
            for i in range(0, len(members), size)]


def common_shape(width: int, height: int) -> tuple[int, int]:
    """Return the (height, width) that pictures of about this aspect ratio are stretched to."""
    side = SIDES[max(width, height) > SIDES[0]]
    step = round(math.log(width / height) / ASPECT_STEP)
    other = max(32, round(side * math.exp(-ASPECT_STEP * abs(step))))
    return (other, side) if step > 0 else (side, other)


def _serve(pipe, folder, kept):
    """Run the detector's process: load, report whether batches are taken, then answer one list of batches."""
    end_with_parent()
    environment.prepare_tensorflow()
    with console.muffled():
        from object_detection.inference.saved_model import Unfit
        from object_detection.preparation.saved_model import load
    try:
        model = load(folder)
    except Unfit as error:
        pipe.send(('error', str(error)))
        return
    pipe.send(('ready', model.takes_batches))
    batches = pipe.recv()
    with ThreadPoolExecutor(max(2, min(AHEAD, os.cpu_count() or 1))) as threads:
        for number, images in enumerate(_ahead(threads, model.decode, batches)):
            start = time.monotonic()
            with console.muffled(when=not number):
                detections = model.detect(images, kept, LEAST_SCORE)
            pipe.send(('detections', (detections, time.monotonic() - start)))


def _ahead(threads, decode, batches):
    """Yield decode(*batch) of each batch in order, with the next AHEAD batches under way."""
    batches = iter(batches)
    waiting = collections.deque(threads.submit(decode, *batch) for batch in itertools.islice(batches, AHEAD))
    while waiting:
        images = waiting.popleft().result()
        waiting.extend(threads.submit(decode, *batch) for batch in itertools.islice(batches, 1))
        yield images
