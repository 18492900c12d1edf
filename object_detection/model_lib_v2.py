"""Train and evaluate in this process, under the reference's names.

    model_lib_v2.train_loop('models/d1/pipeline.config', model_dir='models/d1', train_steps=5000)
    model_lib_v2.eval_continuously('models/d1/pipeline.config', model_dir='models/d1', checkpoint_dir='models/d1',
                                   timeout=0)

train_and_eval_tf2.py does both in turn, each in a process of its own, which gives GPU memory back and survives crashes.
"""
import contextlib
import gc
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection import checkpoints, model_lib, protos
from object_detection.builders import checked
from object_detection.commands import runs
from object_detection.config import checks, label_map, pipeline
from object_detection.core import learning_phase
from object_detection.core.model import DetectionModel
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.evaluation import drawing, evaluator, metrics
from object_detection.evaluation.samples import samples
from object_detection.training import screen
from object_detection.training.train import train
from object_detection.utils import config_util, files, phases, stop
from object_detection.utils.errors import UserError

NUM_STEPS_PER_ITERATION = 100

Tensors = dict[str, tf.Tensor]


def train_loop(pipeline_config_path: str | Path, model_dir: str | Path, config_override: Any = None,
               train_steps: int | None = None, use_tpu: bool = False, save_final_config: bool = False,
               checkpoint_every_n: int = 1000, checkpoint_max_to_keep: int | None = 7, record_summaries: bool = True,
               performance_summary_exporter: Callable[[dict[str, float], str], Any] | None = None,
               num_steps_per_iteration: int = NUM_STEPS_PER_ITERATION, **kwargs: Any) -> None:
    """Train to num_steps, or continue to it from the newest checkpoint of model_dir.

    Ctrl-C saves a checkpoint before it ends the program; a second one ends it at once.

    Args:
        config_override: text of a pipeline.config, or a message, that is merged into the file.
        train_steps: instead of train_config.num_steps.
        use_tpu: not supported.
        save_final_config: write the config, with all overrides, to model_dir/pipeline.config.
        checkpoint_every_n: steps from one checkpoint to the next.
        checkpoint_max_to_keep: older checkpoints are deleted; None to keep all.
        record_summaries: show the first pictures in TensorBoard; numbers are always there.
        performance_summary_exporter: called at the end with {'steps_per_sec', 'steps_per_sec_p50', 'steps_per_sec_max',
            'last_batch_loss'} and 'fp32'.
        num_steps_per_iteration: steps from one point in TensorBoard to the next.
        kwargs: overrides, see config_util.merge_external_params_with_configs.
    Raises:
        UserError: something in the config is wrong or not supported (all of it at once), or a checkpoint does not fit.
        OutOfMemory, NotFinite (utils/phases.py): earlier checkpoints are as they were.
    """
    config = _read(pipeline_config_path, config_override, use_tpu, {**kwargs, 'train_steps': train_steps})
    checked.demand([*checks.check_model_dir(model_dir), *checks.check_model(config), *checks.check_training(config)])
    num_steps = config.train_config.num_steps
    if not num_steps:
        raise UserError('train_config.num_steps is 0, which means forever; set it, or give train_steps')
    points: list[dict[str, float]] = []
    with files.lock(model_dir, 'this model_dir'), _in_this_process(), screen.Screen('train', num_steps) as drawn:
        if save_final_config:
            config_util.save_pipeline_config(config, model_dir)

        def report(name: str, **values: Any) -> None:
            drawn.show(name, values)
            if name == 'log':
                points.append({'rate': values['steps_per_second'], 'loss': values['values']['Loss/total_loss']})

        with _stop_on_signals() as stopping:
            train(report, stopping, pipeline.to_text(config), model_dir, num_steps, checkpoint_every_n,
                  checkpoint_max_to_keep or sys.maxsize, log_every_n=num_steps_per_iteration,
                  record_summaries=record_summaries, to_the_end=True)
    if performance_summary_exporter and points:
        rates = [point['rate'] for point in points]
        performance_summary_exporter({
            'steps_per_sec': float(np.mean(rates)), 'steps_per_sec_p50': float(np.median(rates)),
            'steps_per_sec_max': max(rates), 'last_batch_loss': points[-1]['loss']}, 'fp32')


def eval_continuously(pipeline_config_path: str | Path, config_override: Any = None,
                      train_steps: int | None = None, sample_1_of_n_eval_examples: int | None = 1,
                      sample_1_of_n_eval_on_train_examples: int | None = 1, use_tpu: bool = False,
                      override_eval_num_epochs: bool = True, postprocess_on_cpu: bool = False,
                      model_dir: str | Path | None = None, checkpoint_dir: str | Path | None = None,
                      wait_interval: float = 180, timeout: float | None = 3600, eval_index: int = 0,
                      save_final_config: bool = False, **kwargs: Any) -> None:
    """Evaluate the newest checkpoint of a folder, and then each newer one when it appears.

    Ends with the checkpoint of train_config.num_steps. Numbers and pictures go to model_dir/eval for TensorBoard.

    Args:
        config_override, train_steps, use_tpu, save_final_config, kwargs: as for train_loop.
        sample_1_of_n_eval_examples: evaluate every n-th picture only.
        sample_1_of_n_eval_on_train_examples, postprocess_on_cpu, override_eval_num_epochs, wait_interval: accepted; an
            evaluation is one pass over the records of the eval_input_reader, and each checkpoint is evaluated.
        model_dir: None for checkpoint_dir.
        checkpoint_dir: where training writes its checkpoints; None for model_dir.
        timeout: end when no new checkpoint appears for this many seconds; 0: evaluate the newest only; None: never.
        eval_index: which eval_input_reader.
    Raises:
        UserError: see train_loop; or there is no checkpoint.
    """
    del sample_1_of_n_eval_on_train_examples, postprocess_on_cpu, override_eval_num_epochs, wait_interval
    folder = checkpoint_dir or model_dir
    if not folder:
        raise UserError('eval_continuously needs checkpoint_dir, where training writes its checkpoints')
    config = _read(pipeline_config_path, config_override, use_tpu, {
        **kwargs, 'train_steps': train_steps, 'sample_1_of_n_eval_examples': sample_1_of_n_eval_examples})
    if eval_index:
        if eval_index >= len(config.eval_input_reader):
            raise UserError(f'eval_index is {eval_index}, but there are {len(config.eval_input_reader)} '
                            'eval_input_reader; they count from 0')
        chosen = protos.InputReader.FromString(config.eval_input_reader[eval_index].SerializeToString())
        del config.eval_input_reader[:]
        config.eval_input_reader.append(chosen)
    checked.demand([*checks.check_model(config), *checks.check_evaluation(config)])
    if save_final_config:
        config_util.save_pipeline_config(config, model_dir or folder)
    for prefix in runs.checkpoints(folder, math.inf if timeout is None else timeout):
        with _in_this_process(), screen.Screen('eval') as drawn:
            done = evaluator.evaluate(lambda name, **values: drawn.show(name, values), lambda: False,
                                      pipeline.to_text(config), str(model_dir or folder), str(prefix))
        screen.show_evaluation('eval', done['step'], done['pictures'], done['metrics'])
        if done['step'] == config.train_config.num_steps:
            return


@tf.autograph.experimental.do_not_convert
def eager_train_step(detection_model: DetectionModel, features: Tensors, labels: Tensors,
                     unpad_groundtruth_tensors: bool, optimizer: Any, training_step: Any,
                     add_regularization_loss: bool = True, clip_gradients_value: float | None = None,
                     num_replicas: float = 1.) -> Tensors:
    """Do one training step on a batch, eagerly or inside a tf.function.

    Args:
        detection_model: from model_builder.build(..., is_training=True).
        features, labels: from inputs.train_input.
        unpad_groundtruth_tensors: see model_lib.unstack_batch; the losses are the same.
        optimizer: from optimizer_builder.build, or one of tf.keras.
        training_step: given to the model.
        clip_gradients_value: scale the gradients down to this global norm.
        num_replicas: number of devices that sum up their gradients.
    Returns:
        {'Loss/...': scalar}, before the update, with Loss/total_loss; divided by num_replicas.
    """
    _set_training(detection_model, True)
    lists = model_lib.unstack_batch(labels, unpad_groundtruth_tensors)
    variables = detection_model.trainable_variables
    with tf.GradientTape() as tape:
        losses, _ = _compute_losses_and_predictions_dicts(detection_model, features, lists, training_step,
                                                          add_regularization_loss)
        losses = {name: loss / num_replicas for name, loss in losses.items()}
    gradients = tape.gradient(losses['Loss/total_loss'], variables)
    if clip_gradients_value:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_gradients_value)
    optimizer.apply_gradients(zip(gradients, variables))
    return losses


@tf.autograph.experimental.do_not_convert
def _compute_losses_and_predictions_dicts(model: DetectionModel, features: Tensors, labels: dict[str, list[tf.Tensor]],
                                          training_step: Any = None, add_regularization_loss: bool = True
                                          ) -> tuple[Tensors, dict[str, Any]]:
    """Return ({'Loss/...': scalar} with Loss/total_loss, predictions); labels come from unstack_batch."""
    model_lib.provide_groundtruth(model, labels, training_step)
    shapes = features[Fields.true_image_shape]
    predictions = model.predict(features[Fields.image], shapes, **model.get_side_inputs(features))
    losses = dict(model.loss(predictions, shapes))
    if add_regularization_loss and (regularization := model.regularization_losses()):
        losses['Loss/regularization_loss'] = tf.add_n(regularization)
    return {**losses, 'Loss/total_loss': tf.add_n(list(losses.values()))}, predictions


def load_fine_tune_checkpoint(model: DetectionModel, checkpoint_path: str | Path, checkpoint_type: str,
                              checkpoint_version: int = protos.TrainConfig().fine_tune_checkpoint_version,
                              run_model_on_dummy_input: bool = False, input_dataset: Any = None,
                              unpad_groundtruth_tensors: bool = True) -> None:
    """Start a model from another checkpoint. Heads for another number of classes keep their values.

    Args:
        checkpoint_path: a prefix, or a folder of checkpoints.
        checkpoint_type: classification, detection, full; for CenterNet also fine_tune.
        checkpoint_version, run_model_on_dummy_input, input_dataset, unpad_groundtruth_tensors: accepted; checkpoints
            are those of TensorFlow 2, and the variables exist from the beginning.
    Raises:
        UserError: the checkpoint is damaged or does not fit the model.
    """
    del checkpoint_version, run_model_on_dummy_input, input_dataset, unpad_groundtruth_tensors
    checkpoints.fine_tune(SimpleNamespace(restore_map=model.restore_from_objects), checkpoint_path,
                          checkpoint_type)


def eager_eval_loop(detection_model: DetectionModel, configs: dict[str, Any],
                    eval_dataset: Iterable[tuple[Tensors, Tensors]], use_tpu: bool = False,
                    postprocess_on_cpu: bool = False, global_step: tf.Variable | None = None) -> dict[str, float]:
    """Evaluate a model, and write numbers and pictures to the default tf.summary writer, if there is one.

    Args:
        detection_model: from model_builder.build.
        configs: from config_util; eval_config and eval_input_config, and add_regularization_loss of train_config.
        eval_dataset: from inputs.eval_input.
        use_tpu, postprocess_on_cpu: accepted.
        global_step: for the summaries.
    Returns:
        {name: value} of all metrics in eval_config.metrics_set, and the mean over the batches of all losses.
    """
    del use_tpu, postprocess_on_cpu
    options, step = configs['eval_config'], 0 if global_step is None else int(global_step)
    labels = label_map.load(configs['eval_input_config'].label_map_path)
    collectors, pictures = metrics.collectors(options, labels), 0
    losses: dict[str, list[float]] = {}
    _set_training(detection_model, False)

    @tf.function(autograph=False)
    def run(features: Tensors, groundtruth: Tensors) -> tuple[Tensors, Tensors]:
        batch_losses, predictions = _compute_losses_and_predictions_dicts(
            detection_model, features, model_lib.unstack_batch(groundtruth, False),
            add_regularization_loss=configs['train_config'].add_regularization_loss)
        return batch_losses, detection_model.postprocess(predictions, features[Fields.true_image_shape])

    for features, groundtruth in eval_dataset:
        batch_losses, detections = run(features, groundtruth)
        for name, value in batch_losses.items():
            losses.setdefault(name, []).append(float(value))
        can_draw = Fields.original_image in features
        shown = {**features, Fields.image: features[Fields.original_image if can_draw else Fields.image]}
        for sample in samples(shown, groundtruth, detections, num_masks=len(shown[Fields.image])):
            for collector in collectors:
                collector.add(sample.groundtruth, sample.detections)
            if can_draw and pictures < options.num_visualizations:
                picture = drawing.side_by_side(sample, labels, options)
                tf.summary.image(f'eval_side_by_side_{pictures}_0', picture[np.newaxis], step)
            pictures += 1
    numbers = {name: value for collector in collectors for name, value in collector.evaluate()}
    numbers.update({name: float(np.mean(values)) for name, values in losses.items()})
    for name, value in numbers.items():
        tf.summary.scalar(name, value, step)
    return numbers


def _set_training(model: DetectionModel, training: bool) -> None:
    model._is_training = training
    learning_phase.set_training(training)


def _read(path: str | Path, override: Any, use_tpu: bool, kwargs: dict[str, Any]) -> Any:
    """Return the TrainEvalPipelineConfig of a file with overrides."""
    if use_tpu:
        raise UserError('use_tpu: TPUs are not supported')
    text = override if isinstance(override, str) or override is None else pipeline.to_text(override)
    configs = config_util.get_configs_from_pipeline_file(path, text)
    return config_util.create_pipeline_proto_from_configs(
        config_util.merge_external_params_with_configs(configs, None, kwargs))


@contextlib.contextmanager
def _in_this_process() -> Iterator[None]:
    """Undo what a phase changes in its process, which is not its own here: TensorFlow's options, frozen garbage."""
    options = tf.config.optimizer.get_experimental_options()
    try:
        yield
    finally:
        changed = tf.config.optimizer.get_experimental_options()
        tf.config.optimizer.set_experimental_options({name: options.get(name) for name in changed})  # None: the default
        gc.unfreeze()
        gc.collect()


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[phases.Stopping]:
    """Yield a function that says whether to stop: after Ctrl-C or SIGTERM. A second one raises KeyboardInterrupt."""
    signals = 0

    def count(times: int) -> None:
        nonlocal signals
        signals = times
        if times > 1:
            raise KeyboardInterrupt

    with stop.Requests(count):
        try:
            yield lambda: signals > 0
        except phases.Interrupted as end:
            kept = f'{end.data["checkpoint"]} was saved' if end.data['checkpoint'] else 'before the first step'
            raise KeyboardInterrupt(f'stopped as asked; {kept}') from None
