"""The evaluation phase: one checkpoint and one set of records in; metrics, losses and side-by-side images out."""
import dataclasses
import itertools
import pickle
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection import checkpoints, inputs, protos
from object_detection.config import label_map, metrics_set, pipeline
from object_detection.evaluation import drawing, metrics, summaries
from object_detection.evaluation.analysis import files as analysis_files
from object_detection.evaluation.analysis.analysis import Analysis
from object_detection.evaluation.samples import samples
from object_detection.inputs.dataset import Share
from object_detection.inputs.order import Stream
from object_detection.inputs.skipping import Skipping
from object_detection.layers import devices
from object_detection.layers.machines import Machines
from object_detection.models import build
from object_detection.models.detector import Detector, Tensors
from object_detection.models.resizers import Resizer
from object_detection.utils import console
from object_detection.utils.errors import UserError
from object_detection.utils.phases import Interrupted, Report, Stopping, keep_alive, without_gc

PIXELS_AT_ONCE = 8 * 512 * 512  # smaller batches are enlarged to this; the numbers do not depend on the batch size
_OUT_OF_MEMORY = 'Make the image_resizer smaller, or end other programs that use the same memory'

Batch = tuple[Tensors, Tensors]  # features, groundtruth: see inputs.eval_dataset


def evaluate(report: Report, stopping: Stopping, config_text: str, model_dir: str,
             checkpoint_path: str | None = None, known: Collection[str] = (), on_train_data: bool = False,
             sample_1_of_n: int = 1, skipped: Collection[int] = (), most_skipped: int = 0,
             cluster: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Evaluate one checkpoint: a phase (utils/phases.py). Numbers and images go to model_dir/eval for TensorBoard.

    Args:
        config_text: the content of pipeline.config.
        checkpoint_path: see checkpoints.load; None for the newest complete one of model_dir, unless its step is 0.
        known: names (ckpt-7) of checkpoints that need no evaluation.
        on_train_data: evaluate the records of train_input_reader, and write to model_dir/eval_train.
        sample_1_of_n: evaluate every n-th picture only.
        skipped: indices of records that are not evaluated.
        most_skipped: broken records are skipped, too, until there are this many; on several machines none is.
        cluster: of a phase on several machines, the attributes of layers.machines.Machines. Each evaluates its share of
            the pictures, and the chief computes the metrics of all; the others return an empty dict.
    Events:
        device(device, count); warning(text); restored(checkpoint, step); evaluated(pictures) after each batch;
        skipped(reader, records: {index: reason}).
    Returns:
        {'step', 'checkpoint', 'pictures', 'skipped', 'metrics': [(name, value)], 'analysis'}, 'skipped' being how many
        were; 'analysis' is what analysis.Analysis.finish returns without what only its files need. An empty dict if
        there is nothing to do.
    Raises:
        UserError, OutOfMemory (not even one image fits), Interrupted.
    """
    config = pipeline.parse(config_text, 'pipeline.config')
    reader = config.train_input_reader if on_train_data else config.eval_input_reader[0]
    labels = label_map.load(reader.label_map_path)
    machines = Machines(**cluster or {})
    strategy = devices.strategy(report, machines=machines)
    reader.num_epochs = 1
    reader.sample_1_of_n_examples = max(1, reader.sample_1_of_n_examples) * sample_1_of_n
    reader.shuffle = False
    reader.ClearField('sample_from_datasets_weights')  # sampling repeats some pictures and misses others
    if checkpoint_path:
        saved = checkpoints.load(checkpoint_path)
    else:
        newest = checkpoints.newest(model_dir, lambda text: report('warning', text=text))
        if not newest or not newest.step or Path(newest.prefix).name in known:
            return {}
        saved = newest
    with machines.noticing_losses(), devices.out_of_memory(1, _OUT_OF_MEMORY):  # _run_all halves larger batches
        with without_gc():
            model = build.build(config.model)
            step = checkpoints.restore_model(model, saved, config.eval_config.use_moving_averages) or 0
        report('restored', checkpoint=saved.prefix, step=step)
        if stopping():
            raise Interrupted('stopped as asked')
        folder = Path(model_dir) / ('eval_train' if on_train_data else 'eval') / reader.name
        skipping = Skipping('train_input_reader' if on_train_data else 'eval_input_reader[0]', skipped,
                            most_skipped if machines.count == 1 else 0, report)
        with summaries.Writer(folder if machines.chief else None) as writer:
            found = _evaluate(config, reader, labels, model, step, writer, report, stopping, skipping, machines.share)
            if machines.count > 1:
                # Pickled for our own processes, which run any graph that comes over the same connections anyway.
                found, *others = map(pickle.loads, machines.gather(strategy, pickle.dumps(found)))
                if not machines.chief:
                    return {}
                for other in others:
                    found.extend(other)
            if not found.pictures:
                raise UserError(f'{", ".join(reader.tf_record_input_reader.input_path)}: no picture to evaluate')
            pictures, analysis, values = found.pictures, found.analysis, found.numbers()
            writer.scalars(step, values)
            content = analysis.finish(Stream(reader).size)
            for text in content['warnings']:
                report('warning', text=text)
            writer.scalars(step, [(f'analysis/{name}/{entry["name"]}', entry[name]) for entry in content['classes']
                                  for name in ('ap', 'ar', 'threshold') if entry[name] is not None])
            drawn = analysis.draw(content)
            for name, image in drawn.items():
                writer.images(step, f'analysis/{name}', [image])
        if not on_train_data:
            analysis_files.write(_analysis_folder(model_dir, saved.prefix, sample_1_of_n),
                                 {'checkpoint': Path(saved.prefix).name, 'step': step, **content}, drawn)
    return {'step': step, 'checkpoint': saved.prefix, 'pictures': pictures,
            'skipped': sum(index % reader.sample_1_of_n_examples == 0 for index in skipping.indices), 'metrics': values,
            'analysis': {name: content[name] for name in ('map', 'interval', 'threshold', 'classes', 'errors',
                                                          'resamples', 'warnings', 'expected')}}


@dataclasses.dataclass
class _Results:
    """What an evaluation has found in the pictures so far.

    Attributes:
        losses: {name: arrays [b] of the pictures' losses}.
    """
    collectors: list[metrics.Collector]
    analysis: Analysis
    losses: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)
    pictures: int = 0

    def extend(self, later: '_Results') -> None:
        """Add those of the pictures that follow."""
        for collector, other in zip(self.collectors, later.collectors):
            collector.extend(other)
        self.analysis.extend(later.analysis)
        for name, values in later.losses.items():
            self.losses.setdefault(name, []).extend(values)
        self.pictures += later.pictures

    def numbers(self) -> list[tuple[str, float]]:
        """Return (name, value) of all metrics and of all losses (means over the pictures)."""
        found = [number for collector in self.collectors for number in collector.evaluate()]
        return found + [(name, float(np.mean(np.concatenate(values)))) for name, values in self.losses.items()]


def _analysis_folder(model_dir: str, prefix: str, sample_1_of_n: int) -> Path:
    """Return the folder of an analysis; those of a part of the pictures, or of checkpoints from elsewhere, have their
    own."""
    name = Path(prefix).name
    if Path(prefix).resolve().parent != Path(model_dir).resolve():
        name = f'{Path(prefix).resolve().parent.name}_{name}'
    return analysis_files.folder_of(model_dir, name if sample_1_of_n == 1 else f'{name}_1_of_{sample_1_of_n}')


def _evaluate(config: protos.TrainEvalPipelineConfig, reader: protos.InputReader, labels: label_map.LabelMap,
              model: Detector, step: int, writer: summaries.Writer, report: Report, stopping: Stopping,
              skipping: Skipping, share: Share) -> _Results:
    """Evaluate a share of the pictures."""
    options = config.eval_config
    found = _Results(metrics.collectors(options, labels), Analysis(labels))
    need_masks = metrics_set.need_masks(options)
    batch_size = _batch_size(config, model.resizer)

    def read_from(first: int) -> tf.data.Dataset:
        return inputs.eval_dataset(config, reader, model.resizer, labels, batch_size, start_step=first,
                                   left_out=skipping.indices, share=share)

    dataset = read_from(0)
    batches = _batches(dataset, read_from, reader, labels, batch_size, skipping, share)
    with ThreadPoolExecutor(1) as pool, without_gc():  # while Python traces, TensorFlow's kernels read pictures
        reading = pool.submit(next, batches, None)
        run = _traced(model, config.train_config.add_regularization_loss, dataset.element_spec)
        first = reading.result()
    batches = itertools.chain([first] if first else [], batches)
    for features, groundtruth, batch_losses, detections in _run_all(run, batches, batch_size, report):
        if stopping():
            raise Interrupted('stopped as asked')
        for name, values in batch_losses.items():
            found.losses.setdefault(name, []).append(values.numpy())
        to_draw = options.num_visualizations - found.pictures
        masks = batch_size if need_masks else to_draw
        names = features['filename'].numpy()
        for i, sample in enumerate(samples(features, groundtruth, detections, masks)):
            for collector in found.collectors:
                collector.add(sample.groundtruth, sample.detections)
            found.analysis.add(names[i].decode('utf-8', 'replace'), sample)
            if i < to_draw:
                writer.images(step, f'eval_side_by_side_{found.pictures}_0',
                              [drawing.side_by_side(sample, labels, options)])
            found.pictures += 1
        report('evaluated', pictures=found.pictures)
    return found


def _batch_size(config: protos.TrainEvalPipelineConfig, resizer: Resizer) -> int:
    """Return 1 where images differ in size, else the config's batch size or what PIXELS_AT_ONCE allows."""
    if not resizer.size:
        return 1
    return max(config.eval_config.batch_size, PIXELS_AT_ONCE // (resizer.size[0] * resizer.size[1]))


def _batches(dataset: tf.data.Dataset, read_from: Callable[[int], tf.data.Dataset], reader: protos.InputReader,
             labels: label_map.LabelMap, batch_size: int, skipping: Skipping, share: Share) -> Iterator[Batch]:
    """Yield the batches; raise a UserError that names the picture if one is broken and may not be skipped.

    Args:
        dataset: all of them, as far as nothing is broken.
        read_from: returns the data set from a batch on, without the records that are skipped so far.
    """
    batches, count = iter(dataset), 0
    keep_alive(batches)
    while True:
        try:
            with inputs.naming_broken_records(reader, labels, count, batch_size, left_out=skipping.indices,
                                              share=share):
                batch = next(batches, None)
        except inputs.BrokenRecords as error:
            skipping.add(error)
            batches = iter(read_from(count))
            keep_alive(batches)
            continue
        if batch is None:
            return
        yield batch
        count += 1


def _run_all(run: Callable, batches: Iterable[Batch], batch_size: int, report: Report
             ) -> Iterator[tuple[Tensors, Tensors, Tensors, Tensors]]:
    """Yield (features, groundtruth, losses, detections) of all batches; see `_traced`.

    When memory runs out, this batch and all later ones run in parts of half the size. A part of one image raises the
    ResourceExhaustedError.
    """
    first = True
    for batch in batches:
        done, count = 0, len(batch[0]['filename'])
        while done < count:
            size = min(batch_size, count - done)
            with tf.device('CPU'):  # where the data set left the batch
                features, groundtruth = _rows(batch, slice(done, done + size))
            try:
                with console.muffled(when=first):
                    losses, detections = run(features, groundtruth)
            except tf.errors.ResourceExhaustedError:
                if size == 1:
                    raise
                batch_size = size // 2
                report('warning', text=f'memory ran out at batch size {size}; evaluation continues at batch size '
                       f'{batch_size}, which gives the same numbers')
                continue
            yield features, groundtruth, losses, detections
            done, first = done + size, False


def _rows(tensors: Any, rows: slice) -> Any:
    """Return the nested `tensors` [B, ...] with these rows only."""
    return tf.nest.map_structure(lambda tensor: tensor[rows], tensors)


def _traced(model: Detector, add_regularization_loss: bool, spec: Any) -> Callable:
    """Return fn(features, groundtruth) -> (losses, detections), traced once for batches of any size.

    Detector.loss normalizes by the objects of its batch. It is called image by image, so that the losses do not depend
    on the batch size.

    Args:
        spec: (features, groundtruth) of a batch as tf.TypeSpecs.
    Returns:
        losses: {name: float32 [B]}, with Loss/total_loss.
        detections: as Detector.postprocess.
    """
    names: list[str] = []

    def image(values: dict[str, Any], i: tf.Tensor) -> dict[str, Any]:
        """The i-th image's part of batched tensors, as a batch of one; anchors and image_shape are of all images."""
        return {name: value if name in ('anchors', 'image_shape') else _rows(value, slice(i, i + 1))
                for name, value in values.items()}

    def run(features: Tensors, groundtruth: Tensors) -> tuple[Tensors, Tensors]:
        def losses_of(i: tf.Tensor) -> tf.Tensor:
            losses = model.loss(image(predictions, i), shapes[i:i + 1], image(groundtruth, i))
            names[:] = losses
            return tf.stack(list(losses.values()))

        shapes = features['true_image_shape']
        predictions = model.predict(model.normalize(features['image'], shapes), shapes, training=False)
        values = tf.map_fn(losses_of, tf.range(tf.shape(shapes)[0]), fn_output_signature=tf.float32)
        losses = dict(zip(names, tf.unstack(values, len(names), axis=1)))
        losses = model.with_total_loss(losses, add_regularization_loss)
        losses = {name: loss + tf.zeros_like(values[:, 0]) for name, loss in losses.items()}  # a scalar becomes [B]
        return losses, model.postprocess(predictions, shapes)
    return tf.function(run, input_signature=spec, autograph=False).get_concrete_function()
