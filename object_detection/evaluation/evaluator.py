"""The evaluation phase: one checkpoint, one set of records, metrics and losses and pictures."""
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from object_detection import checkpoints, inputs
from object_detection.config import label_map, metrics_set
from object_detection.config import pipeline as configs
from object_detection.evaluation import drawing, metrics, summaries
from object_detection.evaluation.samples import samples
from object_detection.layers import devices
from object_detection.models import build, resizers
from object_detection.utils import console
from object_detection.utils.errors import UserError
from object_detection.utils.phases import Interrupted, keep, uncollected

PIXELS_AT_ONCE = 8 * 512 * 512  # pictures per batch where the config asks for fewer; the numbers do not depend on it
PICTURE_SIDE = 480, 1024  # least and most pixels of the longer side in TensorBoard, so that captions can be read


def evaluate(report, stopping, config_text, model_dir, checkpoint_path=None, known=(), on_train_data=False,
             sample_1_of_n=1):
    """A phase (utils/phases.py): evaluate one checkpoint; numbers and pictures go to model_dir/eval for TensorBoard.

    Args:
        config_text: the pipeline.config.
        checkpoint_path: see checkpoints.load; None: the newest whole one of model_dir, unless it is of step 0.
        known: names (ckpt-7) of checkpoints that need no evaluation.
        on_train_data: take the records of train_input_reader, and write to model_dir/eval_train.
        sample_1_of_n: take every n-th picture only.
    Events:
        device(device, count); warning(text); restored(checkpoint, step); evaluated(pictures) as it goes.
    Returns:
        {'step', 'checkpoint', 'pictures', 'metrics': [[name, value]]}; an empty dict if there is nothing to do.
    """
    config = configs.parse(config_text, 'pipeline.config')
    reader = config.train_input_reader if on_train_data else config.eval_input_reader[0]
    labels = label_map.load(reader.label_map_path)
    metrics_set.demand(config, reader, 'train_input_reader' if on_train_data else 'eval_input_reader[0]', labels)
    devices.strategy(report)
    reader.num_epochs = 1
    reader.sample_1_of_n_examples = max(1, reader.sample_1_of_n_examples) * sample_1_of_n
    reader.shuffle = False
    reader.ClearField('sample_from_datasets_weights')  # draws take some pictures twice and others never
    if checkpoint_path:
        saved = checkpoints.load(checkpoint_path)
    else:
        saved = checkpoints.newest(model_dir, lambda text: report('warning', text=text))
        if not saved or not saved.step or Path(saved.prefix).name in known:
            return {}
    with devices.out_of_memory(config.eval_config.batch_size):
        with uncollected():
            model = build.build(config.model)
            step = checkpoints.restore_model(model, saved, config.eval_config.use_moving_averages) or 0
        report('restored', checkpoint=saved.prefix, step=step)
        folder = Path(model_dir) / ('eval_train' if on_train_data else 'eval') / reader.name
        with summaries.Writer(folder) as writer:
            pictures, values = _evaluate(config, reader, labels, model, step, writer, report, stopping)
            writer.scalars(step, values)
    return {'step': step, 'checkpoint': saved.prefix, 'pictures': pictures, 'metrics': values}


def _evaluate(config, reader, labels, model, step, writer, report, stopping):
    """(number of pictures, [(name, value)]): the metrics, then the mean of each loss over the pictures."""
    options = config.eval_config
    collected = metrics.collectors(options, labels)
    dataset, batch_size = _dataset(config, reader, labels)
    run = _runner(model, config.train_config.add_regularization_loss, dataset.element_spec)
    losses, pictures, need_masks = {}, 0, metrics_set.need_masks(options)
    for features, truth in _batches(dataset, reader, labels, batch_size):
        if stopping():
            raise Interrupted('stopped as asked')
        with console.muffled(when=not pictures):
            batch_losses, found = run(features, truth)
        for name, values in batch_losses.items():
            losses.setdefault(name, []).append(values.numpy())
        to_draw = options.num_visualizations - pictures
        for i, sample in enumerate(samples(features, truth, found, masked=batch_size if need_masks else to_draw)):
            for metric in collected:
                metric.add(sample.truth, sample.found)
            if i < to_draw:
                writer.images(step, f'eval_side_by_side_{pictures}_0', [_picture(sample, labels, options)])
            pictures += 1
        report('evaluated', pictures=pictures)
    if not pictures:
        raise UserError(f'{", ".join(reader.tf_record_input_reader.input_path)}: no picture to evaluate')
    values = [value for metric in collected for value in metric.evaluate()]
    return pictures, values + [(name, float(np.mean(np.concatenate(v)))) for name, v in losses.items()]


def _dataset(config, reader, labels):
    """(dataset, its batch size). Pictures that end in one size go several at once."""
    resize, batch_size = resizers.resizer(config.model), max(1, config.eval_config.batch_size)
    if not resize.size:
        batch_size = 1
    elif batch_size * resize.size[0] * resize.size[1] < PIXELS_AT_ONCE:
        batch_size = PIXELS_AT_ONCE // (resize.size[0] * resize.size[1])
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
        losses = model.with_total_loss(dict(zip(names, tf.unstack(values, len(names), axis=1))),
                                       add_regularization_loss)
        losses = {name: loss + tf.zeros_like(values[:, 0]) for name, loss in losses.items()}
        return losses, model.postprocess(predictions, shapes)
    return tf.function(run, input_signature=spec, autograph=False)


def _picture(sample, labels, options):
    """The side-by-side picture, in the shape of the original."""
    scale = float(np.clip(max(sample.size), *PICTURE_SIDE)) / max(sample.size)
    height, width = (max(1, round(float(side) * scale)) for side in sample.size)
    image = np.asarray(Image.fromarray(sample.image).resize((width, height), Image.Resampling.BILINEAR))
    found, truth = (objects | {name: objects[name] * scale for name in ('boxes', 'keypoints') if name in objects}
                    for objects in (sample.found, sample.truth))
    return drawing.side_by_side(image, found, truth, labels.name_of, options.min_score_threshold,
                                  options.max_num_boxes_to_visualize,
                                  [(edge.start, edge.end) for edge in options.keypoint_edge])
