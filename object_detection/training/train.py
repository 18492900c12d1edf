"""The train phase: continue a model_dir to a given step, and leave a checkpoint there.

    build -> restore -> (trace the step | write ckpt-1 | read the first batch, all at once) -> steps -> checkpoint
"""
import contextlib
import errno
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection import checkpoints, inputs
from object_detection.config import label_map, pipeline
from object_detection.evaluation import summaries
from object_detection.inputs.skipping import Skipping
from object_detection.layers import devices
from object_detection.layers.machines import Machines
from object_detection.models import build
from object_detection.training import mixed_precision, optimizer, suspects
from object_detection.training.monitor import Monitor, check_weights
from object_detection.training.step import in_a_loop, trace_step, trainable
from object_detection.utils.errors import UserError
from object_detection.utils.phases import (
    BAD_INPUT,
    EarlyExit,
    Interrupted,
    NotFinite,
    Report,
    Stopping,
    keep_alive,
    without_gc,
)

_OUT_OF_MEMORY = ('Make the batch_size smaller, and learning_rate_base with it by the same factor, or the '
                  'image_resizer smaller')


_MOST_KEPT = 7  # steps whose pictures are kept besides that of a loss that is not finite


class ReadAgain(EarlyExit):
    """Broken records were met inside a loop of steps, and reported; the next phase reads others instead."""

    kind = BAD_INPUT


def train(report: Report, stopping: Stopping, config_text: str, model_dir: str | Path, num_steps: int,
          checkpoint_every_n: int = 1000, checkpoint_max_to_keep: int = 100, keep_optimizer: int | None = None,
          log_every_n: int = 100, seed: int = 0, cpus: int | None = None, record_summaries: bool = True,
          to_the_end: bool = False, accumulate: int = 1, precision: str | None = None,
          xla: bool = False, steps_per_loop: int = 1, learning_rate_factor: float = 1.,
          skipped: Collection[int] = (), most_skipped: int = 0, cluster: Mapping[str, Any] | None = None,
          examine: Callable[[Any], None] | None = None) -> dict[str, Any]:
    """Train to the next multiple of checkpoint_every_n, or to num_steps: a phase (utils/phases.py).

    Args:
        config_text: the content of pipeline.config.
        keep_optimizer: the slots of the optimizer are kept in the newest this many checkpoints; None: in all of them.
        cpus: see devices.strategy.
        record_summaries: write the first images of the batch for TensorBoard; numbers are written always.
        seed: of initial values, order of the records, augmentation, dropout and samples; below 2**31.
        to_the_end: do not stop at the next checkpoint, but train to num_steps.
        accumulate: compute each batch in this many parts and add up their gradients.
        precision: auto, float32, mixed_bfloat16 or mixed_float16; None: what train_config.use_bfloat16 says. See
            mixed_precision.resolve.
        xla: compile the step with XLA; for images of one size, and one device.
        steps_per_loop: steps that are trained without coming back to Python; what happens at a step (log, checkpoint)
            shortens a loop.
        learning_rate_factor: the learning rates of the config are multiplied by this.
        skipped: indices of records that are not read; see inputs.train_dataset.
        most_skipped: broken records are skipped, too, until there are this many; on several machines none
            is, because each reads its own part of the records.
        examine: called at the end with the _Run, whose step and batches can be used further.
        cluster: of a phase on several machines, the attributes of layers.machines.Machines.
    Events:
        device(device, count); precision(precision); restored(checkpoint, step), fine_tuned(checkpoint, table,
        reshaped), warning(text);
        started(step, target); progress(step, loss, steps_per_second) twice a second; log(step, steps_per_second,
        values: {tag: number}) every log_every_n steps; saved(checkpoint, step); slimmed(checkpoints): which have lost
        the slots of the optimizer; skipped(reader, records: {index: reason}).
    Returns:
        {'step', 'checkpoint', 'trained'}: the step reached, its checkpoint, and how many steps this phase did: none if
        the checkpoint was at num_steps already.
    Raises:
        UserError, OutOfMemory, NotFinite (a loss or a weight; nothing is saved but the pictures, whose folder is its
            data['suspects']), Interrupted (after saving).
    """
    config = pipeline.parse(config_text, 'pipeline.config')
    machines = Machines(**cluster or {})
    strategy = devices.strategy(report, cpus, training=True, machines=machines)
    stopping = machines.any(strategy, stopping)
    with (machines.noticing_losses(), strategy.scope(),
          devices.out_of_memory(config.train_config.batch_size, _OUT_OF_MEMORY)):
        with without_gc():
            run = _Run(config, strategy, machines, Path(model_dir), (checkpoint_max_to_keep, keep_optimizer), seed,
                       report, accumulate, mixed_precision.resolve(precision, config.train_config.use_bfloat16), xla,
                       steps_per_loop, learning_rate_factor,
                       Skipping('train_input_reader', skipped, most_skipped if machines.count == 1 else 0, report))
            start = step = run.restore()
            if start >= num_steps:
                return {'step': start, 'checkpoint': run.checkpoint, 'trained': 0}
            if stopping():
                raise Interrupted('stopped as asked', step=start, checkpoint=run.checkpoint)
            run.prepare(start)
        last = num_steps if to_the_end else _next_checkpoint(start, checkpoint_every_n, num_steps)
        report('started', step=start, target=last)
        with summaries.Writer(run.folder / 'train' if machines.chief else None) as writer:
            if record_summaries and machines.chief:
                writer.images(start + 1, 'train_input_images', run.pictures())
            monitor = Monitor(report, writer, run.optimizer.learning_rate, log_every_n, last)
            with run.keeping_pictures(start):
                while step < last:
                    target, before = _next_checkpoint(step, checkpoint_every_n, num_steps), step
                    step = run.loop(step, target, last, stopping, monitor)
                    if step > before:
                        run.save()
                    if step < last and stopping():
                        raise Interrupted('stopped as asked', step=step, checkpoint=run.checkpoint)
        if examine:
            examine(run)
        return {'step': step, 'checkpoint': run.checkpoint, 'trained': step - start}


def _next_checkpoint(step: int, every_n: int, num_steps: int) -> int:
    return min((step // every_n + 1) * every_n, num_steps)


def _check_divisible(batch_size, devices, count):
    """Check that a batch can be divided among devices, and each one's share into `count` parts."""
    if batch_size % devices:
        raise UserError(f'train_config.batch_size is {batch_size}; it is divided among {devices} devices, so it must '
                        'be a multiple of that')
    share = batch_size // devices
    if share % count:
        allowed = ', '.join(str(n) for n in range(1, share + 1) if share % n == 0)
        on_each = f' on each of {devices} devices' if devices > 1 else ''
        raise UserError(f'--accumulate {count}: a batch of {share} pictures{on_each} (train_config.batch_size '
                        f'{batch_size}) cannot be divided into {count} equal parts; allowed: {allowed}')


def _check_compilable(model, devices):
    if devices > 1:
        raise UserError(f'--xla: compiles the step of one device, and there are {devices}; leave it out, or set '
                        'CUDA_VISIBLE_DEVICES to one GPU')
    if not model.resizer.size:
        raise UserError('--xla: needs images of one size; set a fixed_shape_resizer, or a keep_aspect_ratio_resizer '
                        'with pad_to_max_dimension: true, or leave --xla out')


class _Run:
    """What lives as long as the phase: model, optimizer, data, checkpoints."""

    def __init__(self, config, strategy, machines, folder, kept, seed, report, count, precision, xla, steps_per_loop,
                 learning_rate_factor, skipping):
        self.config, self.strategy, self.folder, self.seed, self.report = config, strategy, folder, seed, report
        self.machines, self.skipping = machines, skipping
        self.batch_size, self.count = config.train_config.batch_size, count
        _check_divisible(self.batch_size, strategy.num_replicas_in_sync, count)
        self.xla, self.steps_per_loop = xla, steps_per_loop
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.model = build.build(config.model, seed)
        if xla:
            _check_compilable(self.model, strategy.num_replicas_in_sync)
        self.variables = trainable(self.model, config.train_config)
        self.optimizer = optimizer.build(config.train_config.optimizer, list(self.model.trainable_variables),
                                         learning_rate_factor)
        if precision == mixed_precision.FLOAT16:
            self.optimizer.loss_scale = mixed_precision.LossScale()  # so its checkpoint keys are those of Keras
        self.dtype = mixed_precision.DTYPES[precision]
        report('precision', precision=precision)
        self.manager = checkpoints.Manager(folder, self.step, self.model, self.optimizer, *kept)
        self.checkpoint = None  # prefix of the newest

    def restore(self):
        """Take the newest checkpoint of the folder, else the fine_tune_checkpoint, else the initial values.

        Returns:
            The global step.
        """
        self.checkpoint = self.manager.resume(lambda text: self.report('warning', text=text), self.machines.chief)
        step, train_config = int(self.step.numpy()), self.config.train_config
        if self.checkpoint:
            self.optimizer.reset_hypers()
            self.report('restored', checkpoint=self.checkpoint, step=step)
        elif train_config.fine_tune_checkpoint:
            done = checkpoints.fine_tune(self.model, train_config.fine_tune_checkpoint,
                                         pipeline.restore_type(train_config))
            self.report('fine_tuned', checkpoint=train_config.fine_tune_checkpoint, table=done.table(),
                        reshaped=list(done.shape_differs))
        self.agree(step)
        return step

    def agree(self, step):
        """UserError if the machines have restored different things."""
        weights = hashlib.sha256()
        for _, variable in sorted(checkpoints.keys(self.model).items()) if self.machines.count > 1 else ():
            weights.update(variable.numpy().tobytes())
        own = json.dumps([step, self.checkpoint and Path(self.checkpoint).name, weights.hexdigest()]).encode()
        first, *others = map(json.loads, self.machines.gather(self.strategy, own))
        if different := [i for i, other in enumerate(others, 1) if other != first]:
            raise UserError([f'machine {i} starts from {others[i - 1][1] or "no checkpoint"} at step '
                             f'{others[i - 1][0]}, the chief from {first[1] or "no checkpoint"} at step {first[0]}, or '
                             'their weights differ; model_dir and fine_tune_checkpoint must be the same files on all '
                             'machines' for i in different])

    def prepare(self, step):
        """Get ready for the step after `step`: while Python traces it, TensorFlow's kernels read pictures and save."""
        reader = self.config.train_input_reader
        reader.num_epochs = 0  # training repeats its data, as in the reference
        self.labels = label_map.load(reader.label_map_path) if reader.label_map_path else None
        spec = self.read_from(step)
        with ThreadPoolExecutor(2) as pool:
            reading = pool.submit(self.next_batch, step)
            saving = None if self.checkpoint else pool.submit(self.save)  # ckpt-1 has step 0, as in the reference
            self.train_step = trace_step(self.model, self.variables, self.optimizer, self.step,
                                         self.config.train_config, self.strategy, spec, self.count, self.seed,
                                         self.dtype, self.optimizer.loss_scale, self.xla)
            self.train_steps = in_a_loop(self.train_step, self.batches, self.count) if self.steps_per_loop > 1 else None
            self.batch = reading.result()
            if saving:
                saving.result()

    def read_from(self, step):
        """Read batches from that of the step after `step` on; return the tf.TypeSpecs of a part."""
        dataset = inputs.train_dataset(self.config, self.model.resizer, self.labels, self.batch_size // self.count,
                                       step * self.count, self.seed, self.skipping.indices, self.machines.share)
        if self.machines.count > 1:
            dataset = self.machines.distribute(self.strategy, dataset)
        elif self.strategy.num_replicas_in_sync > 1:
            dataset = self.strategy.experimental_distribute_dataset(dataset)
        self.batches = iter(dataset)
        keep_alive(self.batches)
        return dataset.element_spec

    def loop(self, step, target, last, stopping, monitor):
        """Train from `step` to `target`, or until stopping() says so; return the last step done.

        Args:
            last: where the phase ends; no batch is read for the step after it.
        """
        while step < target and not stopping():
            count = 1
            if self.batch is not None:
                losses, self.batch = self.train_step(self.batch), None
            else:
                count = min(self.steps_per_loop, target - step, monitor.until_log(step))
                losses = self.steps_in_a_loop(step, count)
            step += count
            if self.steps_per_loop == 1 and step < last:
                self.batch = self.next_batch(step)
            monitor.after(step, losses, count)
        return step

    def steps_in_a_loop(self, step, count):
        """Train `count` steps after `step`; ReadAgain if a broken record was met that may be skipped."""
        try:
            with self.naming_broken_records(step, count):
                return self.train_steps(tf.constant(count))
        except inputs.BrokenRecords as error:  # some steps are done, and perhaps some parts of a batch
            self.skipping.add(error)
            raise ReadAgain('a broken record is skipped from the last checkpoint on', again=True) from error

    def next_batch(self, step):
        """Return the parts of the batch for the step after `step`; UserError that names the picture if it holds a
        broken one that may not be skipped."""
        while True:
            try:
                with self.naming_broken_records(step):
                    return [next(self.batches) for _ in range(self.count)]
            except inputs.BrokenRecords as error:
                self.skipping.add(error)
                self.read_from(step)

    def naming_broken_records(self, step, steps=1):
        """The context manager of that name, for the batches of `steps` steps after `step`."""
        return inputs.naming_broken_records(self.config.train_input_reader, self.labels, step, self.batch_size,
                                            self.seed, steps, self.skipping.indices)

    def save(self):
        """Write the next checkpoint, on the chief. NotFinite if a weight is NaN or infinite: nothing could continue
        from it."""
        step = int(self.step.numpy())
        check_weights(step, self.model)
        if not self.machines.chief:
            return
        self.checkpoint = self.manager.save()
        self.report('saved', checkpoint=self.checkpoint, step=step)
        try:
            if slimmed := self.manager.slim():
                self.report('slimmed', checkpoints=[path.name for path in slimmed])
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.report('warning', text='no space left on the device to rewrite older checkpoints without the state of '
                        'the optimizer; they stay as they are')

    @contextlib.contextmanager
    def keeping_pictures(self, start):
        """If a loss or weight is not finite inside the block, keep the pictures of that step and of the one before,
        whose update may be the cause, or of those of a loop; start: the last step that the phase did not do."""
        try:
            yield
        except NotFinite as end:
            last = end.data['step']
            steps = range(max(start + 1, last - min(self.steps_per_loop, _MOST_KEPT)), last + 1)
            try:
                end.data['suspects'] = str(suspects.keep(self.folder, self.config, self.model.resizer, self.labels,
                                                         self.seed, self.skipping.indices, steps))
            except (OSError, UserError, tf.errors.OpError) as error:
                self.report('warning', text=f'the pictures of step {steps[-1]} could not be kept: {error}')
            raise

    def pictures(self):
        """Return the first images of the batch, uint8 [at most 3, H, W, 3], as they are before normalization."""
        images = self.strategy.experimental_local_results(self.batch[0][0]['image'])[0]
        return np.clip(images[:3].numpy(), 0, 255).astype(np.uint8)
