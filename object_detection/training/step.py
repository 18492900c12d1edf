"""One training step as one TensorFlow graph, and which variables it trains."""
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from object_detection import checkpoints, protos
from object_detection.layers import core, parts, randomness
from object_detection.models.detector import Detector, Tensors
from object_detection.training.mixed_precision import LossScale
from object_detection.training.optimizer import MovingAverage, Optimizer, clip_by_global_norm
from object_detection.utils import regex, tracing
from object_detection.utils.errors import UserError

# How configs from the days of TensorFlow 1 name the parts of a model in freeze_variables.
_FORMER_NAMES = {'_feature_extractor': 'FeatureExtractor', '_box_predictor': 'BoxPredictor'}


Batch = tuple[Tensors, Tensors]  # features, groundtruth: see inputs.train_dataset


def trace_step(model: Detector, variables: list[tf.Variable], optimizer: Optimizer | MovingAverage, step: tf.Variable,
               train_config: protos.TrainConfig, strategy: tf.distribute.Strategy, spec: Any,
               count: int = 1, seed: int = 0, dtype: tf.DType = tf.float32, loss_scale: LossScale | None = None,
               xla: bool = False) -> Callable[[list[Batch]], Tensors]:
    """Trace the training step: forward pass, losses, gradients, update.

    Args:
        variables: those to train.
        step: the global step, an int64 variable.
        spec: (features, groundtruth) of a part, as tf.TypeSpecs.
        count: the number of equal parts that a batch comes in, one after the other on the device. Their gradients add
            up to those of the whole batch, but batch normalization that is not frozen takes the moments of each part.
        seed: of dropout and of the samples that a loss draws; below 2**31.
        dtype: that the network computes in.
        loss_scale: for float16; a step whose gradients are not finite changes nothing but it and `step`.
        xla: compile the step with XLA; `spec` must be of fixed shapes, and there may be one device only. The random
            numbers are others then.
    Returns:
        fn(the parts of a batch) -> {name: scalar}: the losses before the update, with Loss/total_loss. It updates
        the variables and adds 1 to step. On several devices each computes its share of a part, and all make the same
        update, by the sum of their gradients.
    """
    multiplier = train_config.bias_grad_multiplier
    biases = {id(v) for key, v in checkpoints.keys(model).items() if key.endswith('/bias')} if multiplier else ()
    shares = strategy.num_replicas_in_sync * count

    def forward(features, groundtruth):
        shapes = features['true_image_shape']
        inputs = model.normalize(features['image'], shapes)
        with randomness.at(step.read_value() + (seed << 32)):
            predictions = model.predict(core.cast(inputs, dtype), shapes, training=True, groundtruth=groundtruth)
            return model.loss(predictions, shapes, groundtruth)

    def losses_and_gradients(features, groundtruth):
        """Those of a share of the batch: over all shares they add up to those of the batch."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = model.with_total_loss(forward(features, groundtruth), train_config.add_regularization_loss)
            losses = {name: loss / shares for name, loss in losses.items()} if shares > 1 else losses
            total = losses['Loss/total_loss']
            total = loss_scale.scaled(total) if loss_scale else total
        return losses, tape.gradient(total, variables)

    def update(gradients):
        if loss_scale:
            gradients, finite = loss_scale.unscaled(gradients)
            tf.cond(finite, lambda: apply(gradients), lambda: None)
        else:
            apply(gradients)
        step.assign_add(1, read_value=False)

    def apply(gradients):
        if multiplier:
            gradients = [g * multiplier if g is not None and id(v) in biases else g
                         for g, v in zip(gradients, variables)]
        if train_config.gradient_clipping_by_norm > 0:
            gradients = clip_by_global_norm(gradients, train_config.gradient_clipping_by_norm)
        optimizer.apply(gradients, variables, step)

    def on_device(features, groundtruth):
        losses, gradients = losses_and_gradients(features, groundtruth)
        names = list(losses)
        summed = _sum_over_devices([*losses.values(), *gradients])
        update(summed[len(names):])
        return dict(zip(names, summed))

    trace, spec = functools.partial(_trace, strategy, xla), _without_names(spec)
    if count == 1:
        whole = trace(on_device, *spec)
        return lambda batch: whole(*_without_names(batch[0]))
    return _accumulating(trace, spec, count, forward, losses_and_gradients, update, variables)


def _accumulating(trace, spec, count, forward, losses_and_gradients, update, variables):
    """As trace_step, for a batch in `count` parts. Losses are divided by numbers of the whole batch (such as that of
    its matched anchors), so these are counted before the first gradient."""
    index = tf.TensorSpec([], tf.int32)
    # each device adds up its own gradients
    sums = [tf.Variable(tf.zeros_like(v), trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
                        aggregation=tf.VariableAggregation.SUM) for v in variables]
    has_gradient: list[bool] = []

    def count_part(i, features, groundtruth):
        with parts.counting(i, count) as counts:
            forward(features, groundtruth)
        return list(counts)

    def add_part(i, normalizers, features, groundtruth):
        with parts.accumulating(i, count, normalizers):
            losses, gradients = losses_and_gradients(features, groundtruth)
        has_gradient[:] = [gradient is not None for gradient in gradients]
        for gradient, total in zip(gradients, sums):
            if gradient is not None:
                total.assign_add(tf.cast(gradient, total.dtype), read_value=False)
        return dict(zip(losses, _sum_over_devices(list(losses.values()))))

    def finish():
        update(_sum_over_devices([total.read_value() if has else None for total, has in zip(sums, has_gradient)]))
        for total in sums:
            total.assign(tf.zeros_like(total), read_value=False)

    counter = trace(count_part, index, *spec)
    number = len(counter.structured_outputs)
    adder = trace(add_part, index, tf.TensorSpec([number], tf.float32), *spec)
    finisher = trace(finish)

    def run(batch):
        batch = [_without_names(part) for part in batch]
        normalizers = tf.zeros([0])
        if number:
            counts = [tf.stack(counter(tf.constant(i), *part)) for i, part in enumerate(batch)]
            normalizers = tf.add_n(counts)
        losses = [adder(tf.constant(i), normalizers, *part) for i, part in enumerate(batch)]
        finisher()
        return {name: tf.add_n([of_part[name] for of_part in losses]) for name in losses[0]}
    run.variables = sums  # which traced functions do not keep alive
    return run


def _without_names(part):
    """Leave the names of the pictures out of (features, groundtruth): XLA takes no strings."""
    features, groundtruth = part
    return {name: value for name, value in features.items() if name != 'filename'}, groundtruth


def _trace(strategy, xla, function, *spec):
    """Trace function(...) of one device to run on all of them; what it returns is the same on each."""
    on_gpu = bool(tf.config.list_physical_devices('GPU'))

    def with_ops(*arguments):  # in a thread of each device if there are several
        ops = tracing.fixed_shapes() if xla else contextlib.nullcontext() if on_gpu else tracing.ops_for_cpu()
        with tracing.training_step(), ops:
            return function(*arguments)

    def on_all_devices(*arguments):
        if not tf.distribute.has_strategy():
            return with_ops(*arguments)
        results = strategy.run(with_ops, arguments)
        return tf.nest.map_structure(lambda result: strategy.experimental_local_results(result)[0], results)
    return tf.function(on_all_devices, input_signature=spec, autograph=False,
                       jit_compile=xla or None).get_concrete_function()


def in_a_loop(train_step: Callable[[list[Batch]], Tensors], batches: Iterator[Batch], count: int
              ) -> Callable[[tf.Tensor], Tensors]:
    """Return a function that trains several steps without coming back to Python.

    Args:
        train_step: from trace_step.
        batches: yields the parts of the batches; the function takes them from here.
        count: the number of parts of a batch.
    Returns:
        fn(the number of steps, int32 scalar, at least 1) -> the losses of the last step.
    """
    def one():
        return train_step([next(batches) for _ in range(count)])

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int32)])
    def run(steps):
        losses = one()
        names = list(losses)
        _, *values = tf.while_loop(lambda i, *_: i < steps, lambda i, *_: (i + 1, *one().values()),
                                   (1, *losses.values()), parallel_iterations=1)
        return dict(zip(names, values))
    return run


def trainable(model: tf.Module, train_config: protos.TrainConfig) -> list[tf.Variable]:
    """Select the variables to train: update_trainable_variables (all, if it is empty) less freeze_variables.

    Each regular expression must match from the start of the variable's checkpoint key, with or without model/ in front,
    or of that key with FeatureExtractor and BoxPredictor in place of TensorFlow 2's names.

    Raises:
        UserError: an expression matches no variable, or none is left to train.
    """
    variables = list(model.trainable_variables)
    if not (train_config.freeze_variables or train_config.update_trainable_variables):
        return variables
    names = {id(v): _spellings(key) for key, v in checkpoints.keys(model).items()}
    spellings = [(id(v), name) for v in variables for name in names[id(v)]]

    def matching(field, patterns):
        chosen = set()
        for pattern in patterns:
            found = regex.matches(pattern, [name for _, name in spellings], f'train_config.{field}')
            matches = {number for (number, _), matched in zip(spellings, found) if matched}
            if not matches:
                raise UserError(f'train_config.{field}: {pattern!r} matches no variable; there are, for example, '
                                f'{", ".join(names[id(v)][0] for v in variables[::max(1, len(variables) // 3)])}')
            chosen |= matches
        return chosen

    frozen = matching('freeze_variables', train_config.freeze_variables)
    if train_config.update_trainable_variables:
        wanted = matching('update_trainable_variables', train_config.update_trainable_variables)
        variables = [v for v in variables if id(v) in wanted]
    variables = [v for v in variables if id(v) not in frozen]
    if not variables:
        raise UserError('train_config: freeze_variables and update_trainable_variables leave no variable to train')
    return variables


def _spellings(key):
    former = key
    for name, before in _FORMER_NAMES.items():
        former = former.replace(name, before, 1)
    return [key, f'model/{key}', former]


def _sum_over_devices(values):
    """Sum each tensor of a list over all devices; None stays None."""
    devices = tf.distribute.get_replica_context()
    if devices.num_replicas_in_sync == 1:
        return values
    present = [value for value in values if value is not None]
    summed = iter(devices.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if value is None else next(summed) for value in values]
