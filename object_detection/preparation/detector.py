"""A detector's SavedModel, in a process of its own on this machine or in each worker of a cluster.

The parent, which imports no TensorFlow, plans the batches. Threads decode them ahead, so that the model never waits for
a picture.
"""
import abc
import collections
import dataclasses
import functools
import itertools
import math
import multiprocessing
import os
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import LEAST_SCORE
from object_detection.preparation.workers import Crashed, Workers, end_with_parent
from object_detection.utils import console, environment
from object_detection.utils.errors import UserError

AHEAD = 4  # batches decoded in advance
SENT = AHEAD + 4  # batches that the process has been given; more than it wants before it answers
RESOURCE = 'detector'  # of the workers of a cluster that are to run it, such as those with a GPU
KEPT = 20  # detections per picture, to choose its boxes from
ASPECT_STEP = 0.1  # of log(width / height) between the shapes of batches: a picture is stretched by 5 % at most
SIDES = (640, 1024)  # longer side of a batch in pixels: for smaller pictures, and for others
_TURN = threading.Lock()  # threads of a worker share the model


class Detector(abc.ABC):
    """A detector that runs elsewhere.

    pictures, batches: processed so far. busy, seconds: time the model has computed, and time since the first picture.
    """

    def __init__(self, folder: Path, batch: int, kept: int, stretch: bool = True) -> None:
        """folder: of the SavedModel. batch: pictures at a time, if the model takes several. kept: boxes per picture.

        stretch: bring pictures of about one shape to a common size; else only those of one size share a batch.
        """
        self.folder, self._batch, self._kept, self._stretch = folder, batch, kept, stretch
        self.busy = self.seconds = 0.0
        self.pictures = self.batches = 0
        self._takes_batches: bool | None = None

    def __enter__(self) -> 'Detector':
        return self

    @abc.abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @property
    def utilization(self) -> float:
        """The fraction of the time since the first picture in which models were computing."""
        return self.busy / max(self.seconds, 1e-9)

    def ready(self) -> bool:
        """Wait for the model and return whether it takes batches; UserError if it is not a detector that loads."""
        if self._takes_batches is None:
            self._takes_batches = self._load()
        return self._takes_batches

    def detect(self, pictures: Sequence[Picture], output: Path) -> Iterator[dict[str, list[list[float]]]]:
        """Yield {jpg_sha256: [[ymin, xmin, ymax, xmax, score, class id], ...]} for each batch of the jpgs in `output`.

        Best first, boxes normalized to 0..1. The last digits of a network depend on the batch, so the batches follow
        from the pictures alone.
        """
        start = time.monotonic()
        batches = (Batch(str(self.folder), [str(output / picture.jpg) for picture in batch], shape, self._kept,
                         [picture.jpg_sha256 for picture in batch])
                   for batch, shape in plan(pictures, self._batch if self.ready() else None, self._stretch))
        for batch, (detections, busy) in self._run(batches, len(pictures)):
            self.busy += busy
            self.seconds = time.monotonic() - start
            self.pictures += len(detections)
            self.batches += 1
            yield dict(zip(batch.sha256, detections))

    @abc.abstractmethod
    def _load(self) -> bool:
        """Do so for the first time."""

    @abc.abstractmethod
    def _run(self, batches: Iterator['Batch'], count: int) -> Iterator[tuple['Batch', tuple[list, float]]]:
        """Yield (batch, (detections, seconds that the model took)) of the batches of `count` pictures."""


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Pictures for a model. folder: of the model. shape: (height, width) they are stretched to, None: as they are.

    kept: detections for each. sha256: of the files.
    """
    folder: str
    files: list[str]
    shape: tuple[int, int] | None
    kept: int
    sha256: list[str]


class OwnProcess(Detector):
    """A detector in a process of this machine. It loads the model while the caller does other things."""

    def __init__(self, folder: Path, batch: int, kept: int, stretch: bool = True) -> None:
        super().__init__(folder, batch, kept, stretch)
        context = multiprocessing.get_context('spawn')
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, str(folder)), daemon=True)
        self._process.start()
        other.close()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def _load(self):
        return self._receive()

    def _run(self, batches, count):
        sent, all_sent = collections.deque[Batch](), False
        while True:
            while not all_sent and len(sent) < SENT:
                batch = next(batches, None)
                self._pipe.send(batch)
                if batch is None:
                    all_sent = True
                else:
                    sent.append(batch)
            if not sent:
                return
            yield sent[0], self._receive()
            sent.popleft()

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


class OnWorkers(Detector):
    """A detector in each worker of a cluster, which loads it with its first batch and holds it from then on."""

    def __init__(self, workers: Workers, folder: Path, batch: int, kept: int, stretch: bool = True) -> None:
        super().__init__(folder, batch, kept, stretch)
        self._workers = workers

    def __exit__(self, *_: object) -> None:
        """Nothing is to be ended: the processes are not ours."""

    @property
    def utilization(self) -> float:
        return super().utilization / max(1, self._workers.count)

    def _load(self):
        (_, found), = self._workers.unordered(_takes_batches, [str(self.folder)], 1, RESOURCE)
        return self._whole(found)

    def _run(self, batches, count):
        for batch, result in self._workers.unordered(detect_batch, batches, -(-count // self._batch), RESOURCE):
            yield batch, self._whole(result)

    def _whole(self, result):
        if isinstance(result, Crashed):
            raise UserError(f'{self.folder}: the detector has taken the processes of three workers down; if memory ran '
                            'out, --detector_batch 1 needs less. What it has detected is kept')
        if isinstance(result, str):
            raise UserError(f'{self.folder}: {result}')
        return result


def plan(pictures: Sequence[Picture], size: int | None,
         stretch: bool = True) -> Iterator[tuple[list[Picture], tuple[int, int] | None]]:
    """Yield batches of pictures and the (height, width) each batch is stretched to; None: as they are.

    size: pictures in a batch; None: one at a time, as it is. stretch: batches are of about one shape, else of one size.
    """
    if size is None:
        yield from (([picture], None) for picture in pictures)
        return
    shapes: dict[tuple[int, int], array] = collections.defaultdict(lambda: array('q'))
    for i, picture in enumerate(pictures):
        own = (picture.jpg_height, picture.jpg_width)
        shapes[common_shape(*own[::-1]) if stretch else own].append(i)
    for shape, members in sorted(shapes.items()):
        for start in range(0, len(members), size):
            yield [pictures[i] for i in members[start:start + size]], shape


def common_shape(width: int, height: int) -> tuple[int, int]:
    """Return the (height, width) that pictures of about this aspect ratio are stretched to."""
    side = SIDES[max(width, height) > SIDES[0]]
    step = round(math.log(width / height) / ASPECT_STEP)
    other = max(32, round(side * math.exp(-ASPECT_STEP * abs(step))))
    return (other, side) if step > 0 else (side, other)


def _serve(pipe, folder):
    """Run the detector's process: load, report whether batches are taken, then answer batches until None comes."""
    end_with_parent()
    model = _model(folder)
    if isinstance(model, str):
        pipe.send(('error', model))
        return
    pipe.send(('ready', model.takes_batches))
    batches = iter(pipe.recv, None)
    with ThreadPoolExecutor(max(2, min(AHEAD, os.cpu_count() or 1))) as threads:
        for number, (batch, images) in enumerate(_ahead(threads, model.decode, batches)):
            pipe.send(('detections', _detect(model, images, batch.kept, first=not number)))


def _detect(model, images, kept, first):
    """Return (detections, seconds). first: whether the model has not run yet, so that TensorFlow has things to say."""
    start = time.monotonic()
    with console.muffled(when=first):
        detections = model.detect(images, kept, LEAST_SCORE)
    return detections, time.monotonic() - start


def _ahead(threads, decode, batches):
    """Yield (batch, its images) in order, with the next AHEAD batches under way."""
    def submit(count):
        return [(batch, threads.submit(decode, batch.files, batch.shape)) for batch in itertools.islice(batches, count)]
    waiting = collections.deque(submit(AHEAD))
    while waiting:
        batch, images = waiting.popleft()
        images = images.result()
        waiting.extend(submit(1))
        yield batch, images


@functools.lru_cache(1)
def _model(folder: str) -> Any:
    """Load the model of a folder, once for each process; return it, or why it does not load."""
    environment.prepare_tensorflow()
    with console.muffled():
        from object_detection.inference.saved_model import Unfit
        from object_detection.preparation.saved_model import load
    try:
        return load(folder)
    except Unfit as error:
        return str(error)


def _takes_batches(folder: str) -> bool | str:
    """Return whether a model takes batches, or why it does not load; in a worker."""
    with _TURN:
        model = _model(folder)
    return model if isinstance(model, str) else model.takes_batches


def detect_batch(batch: Batch) -> tuple[list, float] | str:
    """Return (detections of each picture, seconds), or why the model does not load; in a worker."""
    with _TURN:
        model = _model(batch.folder)
    if isinstance(model, str):
        return model
    images = model.decode(batch.files, batch.shape)
    with _TURN:
        return _detect(model, images, batch.kept, first=False)
