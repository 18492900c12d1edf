"""The train phase: carry a model_dir on to a given step, and leave a checkpoint there.

    build -> restore -> (trace the step | write ckpt-1 | read the first batch, all at once) -> steps -> checkpoint
"""
import collections
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from object_detection import checkpoints, inputs
from object_detection.config import label_map
from object_detection.config import pipeline as configs
from object_detection.evaluation import summaries
from object_detection.layers import devices
from object_detection.models import build, resizers
from object_detection.training import optimizer
from object_detection.training.step import train_step, trainable
from object_detection.utils.errors import UserError
from object_detection.utils.phases import Interrupted, NotFinite, keep, uncollected

PROGRESS_SECONDS = .5  # how often the parent hears of the latest step
ADVICE = ('Lower the learning rate (or lengthen its warmup), set gradient_clipping_by_norm, and look for odd boxes in '
          'the records; training goes on from the last checkpoint')


def train(report, stopping, config_text, model_dir, num_steps, checkpoint_every_n=1000, checkpoint_max_to_keep=100,
          log_every_n=100, seed=0, cpus=None):
    """A phase (utils/phases.py): train to the next multiple of checkpoint_every_n, or to num_steps.

    Args:
        config_text: the pipeline.config.
        cpus: see devices.strategy.
    Events:
        device(device, count); restored(checkpoint, step), fine_tuned(checkpoint, table, new), warning(text);
        started(step, target); progress(step, loss, steps_per_second) twice a second; log(step, steps_per_second,
        values: {tag: number}) every log_every_n steps; saved(checkpoint, step).
    Returns:
        {'step', 'checkpoint', 'trained'}: where training stands, and how many steps this phase did: none if the step
        was num_steps already.
    Raises:
        UserError, OutOfMemory, NotFinite (a loss or a weight; nothing is saved), Interrupted (after saving).
    """
    config = configs.parse(config_text, 'pipeline.config')
    strategy = devices.strategy(report, cpus, optimize_graphs=False)
    with strategy.scope(), devices.out_of_memory(config.train_config.batch_size):
        with uncollected():
            run = _Run(config, strategy, Path(model_dir), checkpoint_max_to_keep, seed, report)
            run.restore()
            start = int(run.step.numpy())
            target = min((start // checkpoint_every_n + 1) * checkpoint_every_n, num_steps)
            if start < target:
                run.start()
        if start < target:
            report('started', step=start, target=target)
            with summaries.Writer(run.folder / 'train') as writer:
                reached = run.loop(start, target, log_every_n, stopping, writer)
            run.save()
            if reached < target:
                raise Interrupted('stopped as asked', step=reached, checkpoint=run.prefix)
        return {'step': max(start, target), 'checkpoint': run.prefix, 'trained': max(0, target - start)}


class _Run:
    """What lives as long as the phase: model, optimizer, data, checkpoints."""

    def __init__(self, config, strategy, folder, max_to_keep, seed, report):
        self.config, self.strategy, self.folder, self.seed, self.report = config, strategy, folder, seed, report
        self.batch_size = config.train_config.batch_size
        if self.batch_size % strategy.num_replicas_in_sync:
            raise UserError(f'train_config.batch_size is {self.batch_size}; it is divided among '
                            f'{strategy.num_replicas_in_sync} devices, so it must be a multiple of that')
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        try:
            self.model = build.build(config.model, seed)
        except UserError as error:
            raise UserError([f'model: {finding}' for finding in error.findings]) from error
        self.variables = trainable(self.model, config.train_config)
        self.optimizer = optimizer.build(config.train_config.optimizer, list(self.model.trainable_variables))
        self.manager = checkpoints.Manager(folder, self.step, self.model, self.optimizer, max_to_keep)
        self.prefix = None

    def restore(self):
        """Take the newest checkpoint of the folder, else the fine_tune_checkpoint, else the start values."""
        self.prefix = self.manager.resume(lambda text: self.report('warning', text=text))
        train_config = self.config.train_config
        if self.prefix:
            self.optimizer.reset_hypers()
            self.report('restored', checkpoint=self.prefix, step=int(self.step.numpy()))
        elif train_config.fine_tune_checkpoint:
            kind = train_config.fine_tune_checkpoint_type or (
                'detection' if train_config.from_detection_checkpoint else 'classification')
            done = checkpoints.fine_tune(self.model, train_config.fine_tune_checkpoint, kind)
            self.report('fine_tuned', checkpoint=train_config.fine_tune_checkpoint, table=done.table(),
                        new=list(done.shape_differs))

    def start(self):
        """Make everything ready for the first step: while Python traces it, kernels read pictures and save."""
        step = int(self.step.numpy())
        self.config.train_input_reader.num_epochs = 0  # training repeats its data, as in the reference
        reader = self.config.train_input_reader
        self.labels = label_map.load(reader.label_map_path) if reader.label_map_path else None
        dataset = inputs.train_dataset(self.config, resizers.resizer(self.config.model), self.labels, self.batch_size,
                                       step, self.seed)
        if self.strategy.num_replicas_in_sync > 1:
            dataset = self.strategy.experimental_distribute_dataset(dataset)
        self.batches = iter(dataset)
        keep(self.batches)
        with ThreadPoolExecutor(2) as pool:
            reading = pool.submit(self.next_batch, step)
            saving = None if self.prefix else pool.submit(self.save)  # ckpt-1 holds step 0, as in the reference
            self.train_step = train_step(self.model, self.variables, self.optimizer, self.step,
                                         self.config.train_config, self.strategy, dataset.element_spec)
            self.batch = reading.result()
            if saving:
                saving.result()

    def next_batch(self, step):
        """The batch that step + 1 will be made with; UserError that names the picture if it holds a broken one."""
        try:
            return next(self.batches)
        except tf.errors.InvalidArgumentError as error:
            blamed = inputs.blame(self.config.train_input_reader, self.labels, step, self.batch_size, self.seed)
            raise blamed or error from error

    def loop(self, start, target, log_every_n, stopping, writer):
        """Do the steps start + 1 ... target, fewer if stopping() says so; returns the last one."""
        step, before, told, times = start, None, 0., collections.deque(maxlen=50)
        while step < target and not stopping():
            features, losses = self.batch[0], self.train_step(*self.batch)
            step += 1
            if step < target:
                self.batch = self.next_batch(step)
            if before:  # a GPU is still busy with this step; looking at the one before does not hold it up
                self._check(step - 1, before)
            before = losses
            times.append(time.monotonic())
            pace = (len(times) - 1) / max(1e-9, times[-1] - times[0])
            log = step % log_every_n == 0 or step == target
            if log or times[-1] - told >= PROGRESS_SECONDS:
                told = times[-1]
                self._check(step, losses)
                self.report('progress', step=step, loss=float(losses['Loss/total_loss']), steps_per_second=pace)
            if log:
                self._log(step, losses, pace, writer)
            if step == start + 1:
                writer.images(step, 'train_input_images', self._pictures(features))
        return step

    def save(self):
        """Write the next checkpoint. NotFinite if a weight is NaN or infinite: such a checkpoint is worth nothing."""
        step = int(self.step.numpy())
        for key, variable in checkpoints.keys(self.model).items():
            if not np.isfinite(variable.numpy()).all():
                raise NotFinite(f'{key} is not finite after step {step}. {ADVICE}', step=step)
        self.prefix = self.manager.save()
        self.report('saved', checkpoint=self.prefix, step=step)

    def _check(self, step, losses):
        if not math.isfinite(float(losses['Loss/total_loss'])):
            parts = ', '.join(f'{name} {float(value):g}' for name, value in losses.items())
            raise NotFinite(f'the loss of step {step} is not finite ({parts}). {ADVICE}', step=step)

    def _log(self, step, losses, pace, writer):
        values = {name: float(value) for name, value in losses.items()}
        values['learning_rate'] = float(self.optimizer.learning_rate(tf.constant(step, tf.int64)))
        writer.scalars(step, [*values.items(), ('steps_per_sec', pace)])
        writer.flush()
        self.report('log', step=step, values=values, steps_per_second=pace)

    def _pictures(self, features):
        """The first three of the batch as they go into the model, but for the normalization."""
        images = self.strategy.experimental_local_results(features['image'])[0]
        return np.clip(images[:3].numpy(), 0, 255).astype(np.uint8)
