"""One training step as one TensorFlow graph, and which variables it trains."""
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from object_detection import checkpoints, protos
from object_detection.layers import core
from object_detection.models.detector import Detector, Tensors
from object_detection.training.optimizer import MovingAverage, Optimizer, clip_by_global_norm
from object_detection.utils.errors import UserError

# How configs from the days of TensorFlow 1 name the parts of a model in freeze_variables.
_FORMER_NAMES = {'_feature_extractor': 'FeatureExtractor', '_box_predictor': 'BoxPredictor'}


def trace_step(model: Detector, variables: list[tf.Variable], optimizer: Optimizer | MovingAverage, step: tf.Variable,
               train_config: protos.TrainConfig, strategy: tf.distribute.Strategy,
               spec: Any) -> Callable[[Tensors, Tensors], Tensors]:
    """Trace the training step: forward pass, losses, gradients, update.

    Args:
        variables: those to train.
        step: the global step, an int64 variable.
        spec: (features, groundtruth) of a batch, as tf.TypeSpecs.
    Returns:
        fn(features, groundtruth) -> {name: scalar}: the losses before the update, with Loss/total_loss. It updates
        the variables and adds 1 to step. On several devices each computes its part of the batch, and all make the same
        update, by the sum of their gradients.
    """
    replicas = strategy.num_replicas_in_sync
    multiplier = train_config.bias_grad_multiplier
    biases = {id(v) for key, v in checkpoints.keys(model).items() if key.endswith('/bias')} if multiplier else ()

    def on_device(features, groundtruth):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            shapes = features['true_image_shape']
            inputs = model.normalize(features['image'], shapes)
            with core.randomness(step.read_value()):
                predictions = model.predict(inputs, shapes, training=True, groundtruth=groundtruth)
                losses = model.loss(predictions, shapes, groundtruth)
            losses = model.with_total_loss(losses, train_config.add_regularization_loss)
            losses = {name: loss / replicas for name, loss in losses.items()} if replicas > 1 else losses
        gradients = tape.gradient(losses['Loss/total_loss'], variables)
        if replicas > 1:
            losses, gradients = _sum_over_devices(losses, gradients)
        if multiplier:
            gradients = [g * multiplier if g is not None and id(v) in biases else g
                         for g, v in zip(gradients, variables)]
        if train_config.gradient_clipping_by_norm > 0:
            gradients = clip_by_global_norm(gradients, train_config.gradient_clipping_by_norm)
        optimizer.apply(gradients, variables, step)
        step.assign_add(1, read_value=False)
        return losses

    def on_all_devices(features, groundtruth):
        if not tf.distribute.has_strategy():
            return on_device(features, groundtruth)
        return strategy.experimental_local_results(strategy.run(on_device, (features, groundtruth)))[0]

    return tf.function(on_all_devices, input_signature=spec, autograph=False).get_concrete_function()


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

    def matching(field, patterns):
        chosen = set()
        for pattern in patterns:
            matches = {id(v) for v in variables if any(re.match(pattern, name) for name in names[id(v)])}
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


def _sum_over_devices(losses, gradients):
    """Sum {name: loss} and a list of gradients over all devices; gradients that are None stay None."""
    devices = tf.distribute.get_replica_context()
    present = [g for g in gradients if g is not None]
    summed = iter(devices.all_reduce(tf.distribute.ReduceOp.SUM, [*losses.values(), *present]))
    losses = {name: next(summed) for name in losses}
    return losses, [None if g is None else next(summed) for g in gradients]
