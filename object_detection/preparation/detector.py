"""The detector: a SavedModel in a process of its own, the only one that imports TensorFlow.

Batches are put together here, decoded ahead of time by threads there, so that the detector never waits for a picture.
"""
import collections
import hashlib
import itertools
import math
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

from object_detection.config import label_map
from object_detection.preparation import coco
from object_detection.preparation.options import LEAST_SCORE
from object_detection.preparation.workers import end_with_parent
from object_detection.utils import console, environment
from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_dir, missing
from object_detection.zoo import table

AHEAD = 4  # batches decoded before the detector asks for them
KEPT = 20  # detections of each picture
ASPECT_STEP = 0.1  # of the logarithm: pictures of one batch are stretched to one shape by 5 % at most
SIDES = (640, 1024)  # longer side of a batch


def saved_model(folder):
    """The folder of a SavedModel that --coco stands for, which may be the one around it; UserError if there is none."""
    if not folder.exists() and (known := {model.name for model in table.models()}.intersection(folder.parts)):
        raise UserError(f'{missing(folder)}. It is a model of the zoo: python -m object_detection.zoo download '
                        f'{known.pop()}')
    folder = existing_dir(folder)
    for place in (folder, folder / 'saved_model'):
        if (place / 'saved_model.pb').is_file():
            return place
    raise UserError(f'{folder}: holds no SavedModel (saved_model.pb); --coco wants the saved_model folder of an '
                    'exported detector or of a model of the TF2 detection zoo')


def class_names(folder):
    """{id: name} of a detector: from a label_map.pbtxt in its folder or the one around it, else COCO's."""
    for place in (folder, folder.parent):
        if (file := place / 'label_map.pbtxt').is_file():
            return {item.id: item.display_name or item.name for item in label_map.load(file).items}
    return coco.NAMES


def digest(folder):
    """What tells this detector from others: a hash of all its files."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob('*') if path.is_file()):
        total.update(f'{file.relative_to(folder).as_posix()} {file.stat().st_size}\n'.encode())
        with file.open('rb') as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return f'{total.hexdigest()[:32]} sides={SIDES} step={ASPECT_STEP} kept={KEPT}'


class Detector:
    """A running detector process. It loads while the caller does other things; `ready` waits for it."""

    def __init__(self, folder, batch):
        """folder: of the SavedModel. batch: pictures at a time, where the model takes several."""
        self.folder, self._batch = folder, batch
        self.busy = self.seconds = 0.0
        self.pictures = self.batches = 0
        context = multiprocessing.get_context('spawn')
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, str(folder)), daemon=True)
        self._process.start()
        other.close()
        self._takes_batches = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()

    @property
    def utilisation(self):
        """Share of the time since the first picture that the model was computing."""
        return self.busy / max(self.seconds, 1e-9)

    def ready(self):
        """Wait for the model; True if it takes batches. UserError if it cannot be loaded or is no detector."""
        if self._takes_batches is None:
            self._takes_batches = self._receive()
        return self._takes_batches

    def detect(self, pictures, output):
        """Yield {jpg_sha256: [[ymin, xmin, ymax, xmax, score, class], ...]} for each batch of Pictures, best first.

        The batches depend on the pictures alone, and what is left of them after a kill falls into the same batches:
        a network's last digits depend on the batch.
        """
        batches = plan(pictures, self._batch if self.ready() else None)
        start = time.monotonic()
        self._pipe.send([([str(output / picture.jpg) for picture in batch], shape) for batch, shape in batches])
        for batch, _ in batches:
            found, busy = self._receive()
            self.busy += busy
            self.seconds = time.monotonic() - start
            self.pictures += len(batch)
            self.batches += 1
            yield {picture.jpg_sha256: boxes for picture, boxes in zip(batch, found)}

    def _receive(self):
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise UserError(f'the process of the detector {self.folder} has ended with code {self._process.exitcode}; '
                            'if memory ran out, --detector_batch 1 needs less. What it found so far is kept') from None
        if kind == 'error':
            raise UserError(f'{self.folder}: {value}')
        return value


def plan(pictures, size):
    """[(batch of Pictures, (height, width))]: pictures of about one shape, `size` at a time; None: each as it is."""
    if size is None:
        return [([picture], None) for picture in pictures]
    shapes = collections.defaultdict(list)
    for picture in pictures:
        shapes[common_shape(picture.jpg_width, picture.jpg_height)].append(picture)
    return [(members[i:i + size], shape) for shape, members in sorted(shapes.items())
            for i in range(0, len(members), size)]


def common_shape(width, height):
    """(height, width) that pictures of nearly this aspect are stretched to."""
    side = SIDES[max(width, height) > SIDES[0]]
    step = round(math.log(width / height) / ASPECT_STEP)
    other = max(32, round(side * math.exp(-ASPECT_STEP * abs(step))))
    return (other, side) if step > 0 else (side, other)


def _serve(pipe, folder):
    """The detector's process: load, say whether batches are taken, then answer one list of batches."""
    end_with_parent()
    environment.prepare_tensorflow()
    with console.muffled():
        from object_detection.preparation.saved_model import Unfit, load
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
                found = model.detect(images, KEPT, LEAST_SCORE)
            pipe.send(('found', (found, time.monotonic() - start)))


def _ahead(threads, decode, batches):
    """decode(*batch) of each batch in order, computed AHEAD of the one that is asked for."""
    batches = iter(batches)
    waiting = collections.deque(threads.submit(decode, *batch) for batch in itertools.islice(batches, AHEAD))
    while waiting:
        images = waiting.popleft().result()
        waiting.extend(threads.submit(decode, *batch) for batch in itertools.islice(batches, 1))
        yield images
