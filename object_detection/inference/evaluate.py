"""The metrics of any detector on records: those of the evaluation phase, without its losses."""
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from object_detection import inputs, protos
from object_detection.config import metrics_set
from object_detection.config.label_map import LabelMap
from object_detection.evaluation import metrics
from object_detection.evaluation.samples import samples
from object_detection.inference.detections import Detections, Runner
from object_detection.models import resizers
from object_detection.utils import console
from object_detection.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Score:
    """How good and how fast a detector is.

    Attributes:
        metrics: (name, value) of each metric, with the names that training writes.
        pictures: evaluated.
        milliseconds: per picture, from pixels to detections; the median, one picture at a time.
    """
    metrics: list[tuple[str, float]]
    pictures: int
    milliseconds: float

    @property
    def first(self) -> tuple[str, float]:
        """The first metric: mAP, unless eval_config asks for others."""
        return self.metrics[0]


def evaluate(runner: Runner, options: protos.EvalConfig, reader: protos.InputReader, labels: LabelMap,
             limit: int | None = None, on_picture: Callable[[int], object] = lambda done: None) -> Score:
    """Run a detector on the pictures of records, in their own size, and compare with the groundtruth.

    Args:
        runner: the detector.
        options: which metrics.
        reader: of the records; each is read once, in order.
        labels: the classes of the metrics.
        limit: only so many pictures, the first ones; None for all.
        on_picture: called after each picture with the number of those that are done.
    Raises:
        UserError: there is no picture, or a record is broken.
    """
    collectors = metrics.collectors(options, labels)
    need_masks = metrics_set.need_masks(options)
    times: list[float] = []
    for features, groundtruth in itertools.islice(_pictures(reader, labels), limit):
        image = features['image'][0].numpy().astype(np.uint8)
        start = time.perf_counter()
        found = runner.detect([image])[0]
        times.append(time.perf_counter() - start)
        sample = next(samples(features, groundtruth, _batch(found), int(need_masks)))
        for collector in collectors:
            collector.add(sample.groundtruth, sample.detections)
        on_picture(len(times))
    if not times:
        raise UserError(f'{", ".join(reader.tf_record_input_reader.input_path)}: no picture to evaluate')
    values = [value for collector in collectors for value in collector.evaluate()]
    warm = times[1:] or times  # the first call prepares the network
    return Score(values, len(times), float(np.median(warm)) * 1000)


def images(reader: protos.InputReader, labels: LabelMap, limit: int | None = None) -> list[np.ndarray]:
    """Return the pictures of records, uint8 [H, W, 3], the first `limit` of them."""
    return [features['image'][0].numpy().astype(np.uint8)
            for features, _ in itertools.islice(_pictures(reader, labels), limit)]


class Renumbered:
    """A Runner that returns the detections of another one under other class ids, and drops those without one."""

    def __init__(self, runner: Runner, ids: dict[int, int], labels: dict[int, str]) -> None:
        self.name, self.batch, self.labels = runner.name, runner.batch, labels
        self._runner, self._ids = runner, ids

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As Runner.detect."""
        return [self._renumbered(found) for found in self._runner.detect(images)]

    def _renumbered(self, found: Detections) -> Detections:
        kept = found.select(np.isin(found.classes, list(self._ids)))
        classes = np.array([self._ids[class_id] for class_id in kept.classes.tolist()], np.int64)
        return dataclasses.replace(kept, classes=classes)


def matched(runner: Runner, labels: LabelMap) -> Runner:
    """Return a Runner whose class ids are those of a label map: classes of the same name are the same class.

    A detector without names, or without any of these, is taken as it is.
    """
    known = {name.casefold(): class_id for name, class_id in labels.ids.items()}
    ids = {class_id: known[name.casefold()] for class_id, name in runner.labels.items() if name.casefold() in known}
    if all(class_id == other for class_id, other in ids.items()) and len(ids) == len(runner.labels):
        return runner
    names = {item.id: item.display_name or item.name for item in labels.items}
    if not ids:
        console.warn(f'{runner.name}: none of its classes ({", ".join(list(runner.labels.values())[:5])}) is in '
                     f'{labels.source} ({", ".join(list(names.values())[:5])}); they are taken by their numbers')
        return runner
    lost = [name for class_id, name in runner.labels.items() if class_id not in ids]
    console.log(f'{runner.name}: its classes are matched with {labels.source} by name'
                + (f'; {len(lost)} of them are not there ({", ".join(lost[:5])})' if lost else ''))
    return Renumbered(runner, ids, names)


def _pictures(reader: protos.InputReader, labels: LabelMap) -> Iterator[tuple[dict, dict]]:
    """Yield (features, groundtruth) of one picture at a time, see inputs.eval_dataset."""
    once = type(reader)()
    once.CopyFrom(reader)
    once.shuffle, once.num_epochs = False, 1
    once.ClearField('sample_from_datasets_weights')
    config = protos.TrainEvalPipelineConfig()
    config.model.ssd.num_classes = labels.num_classes
    batches = iter(inputs.eval_dataset(config, once, resizers.Identity(), labels, batch_size=1))
    for number in itertools.count():
        with inputs.naming_broken_records(once, labels, number, 1):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _batch(found: Detections) -> dict[str, tf.Tensor]:
    """Return detections as Detector.postprocess does, of a batch of one image."""
    arrays = {'boxes': found.boxes, 'scores': found.scores, 'classes': found.classes - 1, 'masks': found.masks,
              'keypoints': found.keypoints, 'keypoint_scores': found.keypoint_scores}
    return {'num_detections': tf.constant([len(found)]),
            **{f'detection_{name}': tf.constant(value[np.newaxis]) for name, value in arrays.items()
               if value is not None}}
