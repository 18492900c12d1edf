"""The evaluation phase: one checkpoint, one set of records, metrics and losses and pictures."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from object_detection import config as configs
from object_detection import inputs, label_map
from object_detection.models import build, resizers
from object_detection.training import checkpoint, devices, masks, metrics, summaries
from object_detection.training.step import with_total
from utils.errors import UserError
from utils.phases import Interrupted, keep, uncollected

PIXELS_AT_ONCE = 8 * 512 * 512  # pictures per batch where the config asks for fewer; the numbers do not depend on it
PICTURE_SIDE = 480, 1024  # least and most pixels of the longer side in TensorBoard, so that captions can be read


def evaluate(report, stopping, config_text, model_dir, checkpoint_path=None, known=(), on_train_data=False,
             sample_1_of_n=1):
    """A phase (utils/phases.py): evaluate one checkpoint; numbers and pictures go to model_dir/eval for TensorBoard.

    Args:
        config_text: the pipeline.config.
        checkpoint_path: as checkpoint.find; None: the newest whole one of model_dir, unless it is of step 0.
        known: names (ckpt-7) of checkpoints that need no evaluation.
        on_train_data: take the records of train_input_reader, and write to model_dir/eval_train.
        sample_1_of_n: take every n-th picture only.
    Events:
        device(device, count); warning(text); restored(checkpoint, step); evaluated(pictures) as it goes.
    Returns:
        {'step', 'checkpoint', 'pictures', 'metrics': [[name, value]]}; an empty dict if there is nothing to do.
    """
    config = configs.parse(config_text, 'pipeline.config')
    metrics.check_metrics_set(config.eval_config.metrics_set)
    devices.strategy(report)
    reader = config.train_input_reader if on_train_data else config.eval_input_reader[0]
    _check_masks(config, reader)
    reader.num_epochs = 1
    reader.sample_1_of_n_examples = max(1, reader.sample_1_of_n_examples) * sample_1_of_n
    reader.shuffle = False
    if checkpoint_path:
        saved = checkpoint.Saved(checkpoint.find(checkpoint_path))
    else:
        saved = checkpoint.newest_whole(model_dir, lambda text: report('warning', text=text))
        if not saved or not saved.step or Path(saved.prefix).name in known:
            return {}
    with devices.out_of_memory(config.eval_config.batch_size):
        with uncollected():
            model = build.build(config.model)
            step = checkpoint.restore_model(model, saved, config.eval_config.use_moving_averages) or 0
        report('restored', checkpoint=saved.prefix, step=step)
        folder = Path(model_dir) / ('eval_train' if on_train_data else 'eval') / reader.name
        with summaries.Writer(folder) as writer:
            pictures, values = _evaluate(config, reader, model, step, writer, report, stopping)
            writer.scalars(step, values)
    return {'step': step, 'checkpoint': saved.prefix, 'pictures': pictures, 'metrics': values}


def _check_masks(config, reader):
    """UserError where metrics of masks are asked for, but the records or the model give none."""
    if metrics.COCO_MASKS not in config.eval_config.metrics_set:
        return
    if not reader.load_instance_masks:
        raise UserError(f'eval_config.metrics_set has {metrics.COCO_MASKS}, but the input_reader does not load masks; '
                        'set load_instance_masks: true, and mask_type as the records have them')
    if config.model.faster_rcnn.number_of_stages != 3 or not config.model.HasField('faster_rcnn'):
        raise UserError(f'eval_config.metrics_set has {metrics.COCO_MASKS}, but the model finds no masks; that takes '
                        'faster_rcnn with number_of_stages: 3')


def _evaluate(config, reader, model, step, writer, report, stopping):
    """(number of pictures, [(name, value)]): the metrics, then the mean of each loss over the pictures."""
    options = config.eval_config
    labels = label_map.load(reader.label_map_path)
    names = {item.id: item.display_name or item.name for item in labels.items}
    wanted = dict.fromkeys(options.metrics_set or ['coco_detection_metrics'])
    collected = [metrics.KINDS[kind](names, options.include_metrics_per_category, options.all_metrics_per_category)
                 for kind in wanted]
    dataset, batch_size = _dataset(config, reader, labels)
    run = _runner(model, config.train_config.add_regularization_loss, dataset.element_spec)
    losses, pictures = {}, 0
    for features, truth in _batches(dataset, reader, labels, batch_size):
        if stopping():
            raise Interrupted('stopped as asked')
        batch_losses, found = run(features, truth)
        for name, values in batch_losses.items():
            losses.setdefault(name, []).append(values.numpy())
        for sample in _samples(features, truth, found, with_masks=metrics.COCO_MASKS in wanted):
            for metric in collected:
                metric.add(*(sample.masks if isinstance(metric, metrics.CocoMasks) else (*sample.truth, *sample.found)))
            if pictures < options.num_visualizations:
                writer.images(step, f'eval_side_by_side_{pictures}_0', [_picture(sample, names, options)])
            pictures += 1
        report('evaluated', pictures=pictures)
    if not pictures:
        raise UserError(f'{", ".join(reader.tf_record_input_reader.input_path)}: no picture to evaluate')
    values = [value for metric in collected for value in metric.evaluate()]
    return pictures, values + [(name, float(np.mean(np.concatenate(v)))) for name, v in losses.items()]


def _dataset(config, reader, labels):
    """(dataset, its batch size). Pictures that end in one size go several at once."""
    resize, batch_size = resizers.resizer(config.model), max(1, config.eval_config.batch_size)
    if resize.size:
        batch_size = max(batch_size, PIXELS_AT_ONCE // (resize.size[0] * resize.size[1]))
    return inputs.eval_dataset(config, reader, resize, labels, batch_size), batch_size


def _batches(dataset, reader, labels, batch_size):
    """The batches; a UserError that names the picture where one is broken."""
    batches, count = iter(dataset), 0
    keep(batches)
    while True:
        try:
            batch = next(batches, None)
        except tf.errors.InvalidArgumentError as error:
            raise inputs.blame(reader, labels, count, batch_size) or error from error
        if batch is None:
            return
        yield batch
        count += 1


def _runner(model, add_regularization_loss, spec):
    """fn(features, truth) -> ({name: [B] losses}, detections), traced once for batches of any size.

    A loss is normalised by the objects of its batch: only picture by picture is it what batches of one give.
    """
    names = []

    def one(values, i):
        """The i-th picture of the batched tensors, as a batch of one; anchors and image_shape are the same for all."""
        return {name: value if name in ('anchors', 'image_shape') else
                tf.nest.map_structure(lambda v: v[i:i + 1], value) for name, value in values.items()}

    def run(features, truth):
        def losses_of(i):
            losses = model.loss(one(predictions, i), shapes[i:i + 1], one(truth, i))
            names[:] = losses
            return tf.stack(list(losses.values()))

        shapes = features['true_image_shape']
        predictions = model.predict(model.normalize(features['image'], shapes), shapes, training=False)
        values = tf.map_fn(losses_of, tf.range(tf.shape(shapes)[0]), fn_output_signature=tf.float32)
        losses = with_total(dict(zip(names, tf.unstack(values, len(names), axis=1))), model, add_regularization_loss)
        losses = {name: loss + tf.zeros_like(values[:, 0]) for name, loss in losses.items()}
        return losses, model.postprocess(predictions, shapes)
    return tf.function(run, input_signature=spec, autograph=False)


@dataclass
class _Sample:
    """One picture, with boxes in pixels of the original.

    image: uint8 [h, w, 3] as the model saw it, without padding. size: (height, width) of the original.
    truth: (boxes [n, 4], classes from 1, crowd flags). found: (boxes, classes from 1, scores), the best first.
    masks: what metrics.CocoMasks.add takes; None without masks.
    """

    image: np.ndarray
    size: np.ndarray
    truth: tuple
    found: tuple
    masks: tuple | None = None


def _samples(features, truth, found, with_masks=False):
    features, truth, found = (tf.nest.map_structure(lambda t: t.numpy(), part) for part in (features, truth, found))
    padded = np.array(features['image'].shape[1:3], np.float32)
    for i, (height, width) in enumerate(features['true_image_shape'][:, :2]):
        size = features['original_image_spatial_shape'][i]
        objects, detections = truth['num_groundtruth_boxes'][i], int(found['num_detections'][i])
        share = np.array([height, width], np.float32) / padded  # of the picture in its padded version
        sample = _Sample(
            np.clip(features['image'][i, :height, :width], 0, 255).astype(np.uint8), size,
            (truth['groundtruth_boxes'][i, :objects] / np.tile(share, 2) * np.tile(size, 2).astype(np.float32),
             truth['groundtruth_classes'][i, :objects].argmax(-1) + 1,
             truth['groundtruth_is_crowd'][i, :objects]),
            (found['detection_boxes'][i, :detections] * np.tile(size, 2).astype(np.float32),
             found['detection_classes'][i, :detections].astype(np.int64) + 1,
             found['detection_scores'][i, :detections]))
        if with_masks:
            whole = masks.original(truth['groundtruth_instance_masks'][i, :objects, :height, :width], size)
            contents, boxes = (found[f'detection_{name}'][i, :detections] for name in ('masks', 'boxes'))
            sample.masks = *sample.truth, whole, *sample.found[1:], masks.paste(contents, boxes, size)
        yield sample


def _picture(sample, names, options):
    """The side-by-side picture, in the shape of the original."""
    scale = float(np.clip(max(sample.size), *PICTURE_SIDE)) / max(sample.size)
    height, width = (max(1, round(float(side) * scale)) for side in sample.size)
    image = np.asarray(Image.fromarray(sample.image).resize((width, height), Image.Resampling.BILINEAR))
    return summaries.side_by_side(
        image, (sample.found[0] * scale, *sample.found[1:]), (sample.truth[0] * scale, sample.truth[1]), names,
        options.min_score_threshold, options.max_num_boxes_to_visualize)
