"""Read, change, and write a pipeline.config under the reference's names. Imports no TensorFlow.

    configs = config_util.get_configs_from_pipeline_file('pipeline.config')
    configs['model'].ssd.num_classes = 3
    config_util.save_pipeline_config(config_util.create_pipeline_proto_from_configs(configs), 'models/mine')

`configs` is a dict of messages: model, train_config, train_input_config, eval_config, eval_input_configs (a list),
eval_input_config (its first element), and graph_rewriter_config if there is one. Functions change it in place. Nothing
here checks whether a config makes sense; training, evaluation, and export do that before they start.
"""
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from google.protobuf.message import Message

from object_detection import protos
from object_detection.config import pipeline, textproto
from object_detection.utils import gfile

Configs = dict[str, Any]
_AnyMessage = TypeVar('_AnyMessage', bound=Message)

_GENERIC = ('graph_rewriter_config.', 'model.', 'train_input_config.', 'train_config.', 'eval_config.')
_INPUT_FIELDS = ('input_path', 'label_map_path', 'shuffle', 'mask_type', 'sample_1_of_n_examples')
_INPUT_KEYS = {  # short name of an override -> entry of configs, field of InputReader
    'train_shuffle': ('train_input_config', 'shuffle'),
    'eval_shuffle': ('eval_input_configs', 'shuffle'),
    'train_input_path': ('train_input_config', 'input_path'),
    'eval_input_path': ('eval_input_configs', 'input_path'),
    'append_train_input_path': ('train_input_config', 'input_path'),
    'append_eval_input_path': ('eval_input_configs', 'input_path')}
_RANKING_MODES = ('min_distance', 'score_distance_ratio', 'score_scaled_distance_ratio', 'gaussian_weighted')
# Overrides of CenterNet's keypoint task, called as the field. Those of the second line need a CenterNet.
_KEYPOINT_FIELDS = ('peak_max_pool_kernel_size', 'candidate_search_scale', 'candidate_ranking_mode',
                    'score_distance_offset', 'box_scale', 'keypoint_candidate_score_threshold', 'rescore_instances',
                    'unmatched_keypoint_score')
_CENTER_NET_FIELDS = ('score_distance_multiplier', 'std_dev_multiplier', 'rescoring_threshold')


def get_configs_from_pipeline_file(pipeline_config_path: str | os.PathLike, config_override: str | None = None
                                   ) -> Configs:
    """Read a pipeline.config.

    Args:
        config_override: text of a TrainEvalPipelineConfig that is merged into it.
    Raises:
        FileNotFoundError, UserError (with file:line:column where the text does not fit the schema).
    """
    config = _read(pipeline_config_path, protos.TrainEvalPipelineConfig())
    if config_override:
        textproto.merge(config_override, config, 'config_override')
    return create_configs_from_pipeline_proto(config)


def create_configs_from_pipeline_proto(pipeline_config: protos.TrainEvalPipelineConfig) -> Configs:
    """Return the parts of a config; changes of them are changes of the config."""
    configs = {'model': pipeline_config.model, 'train_config': pipeline_config.train_config,
               'train_input_config': pipeline_config.train_input_reader, 'eval_config': pipeline_config.eval_config,
               'eval_input_configs': pipeline_config.eval_input_reader}
    if configs['eval_input_configs']:
        configs['eval_input_config'] = configs['eval_input_configs'][0]
    if pipeline_config.HasField('graph_rewriter'):
        configs['graph_rewriter_config'] = pipeline_config.graph_rewriter
    return configs


def create_pipeline_proto_from_configs(configs: Mapping[str, Any]) -> protos.TrainEvalPipelineConfig:
    """Return the TrainEvalPipelineConfig of which these are the parts."""
    config = protos.TrainEvalPipelineConfig(
        model=configs['model'], train_config=configs['train_config'], train_input_reader=configs['train_input_config'],
        eval_config=configs['eval_config'], eval_input_reader=configs['eval_input_configs'])
    if 'graph_rewriter_config' in configs:
        config.graph_rewriter.CopyFrom(configs['graph_rewriter_config'])
    return config


def save_pipeline_config(pipeline_config: protos.TrainEvalPipelineConfig, directory: str | os.PathLike) -> None:
    """Write a config to directory/pipeline.config; the folder is made, and a file of that name replaced."""
    folder = os.fspath(directory)
    path = f'{folder}/pipeline.config' if gfile.is_remote(folder) else PurePath(folder, 'pipeline.config')
    gfile.write_text(path, pipeline.to_text(pipeline_config))


def clear_fine_tune_checkpoint(pipeline_config_path: str | os.PathLike, new_pipeline_config_path: str | os.PathLike
                               ) -> None:
    """Write a copy of a pipeline.config that starts from no checkpoint."""
    configs = get_configs_from_pipeline_file(pipeline_config_path)
    configs['train_config'].fine_tune_checkpoint = ''
    configs['train_config'].load_all_detection_checkpoint_vars = False
    gfile.write_text(new_pipeline_config_path, pipeline.to_text(create_pipeline_proto_from_configs(configs)))


def get_configs_from_multiple_files(model_config_path: str | os.PathLike = '',
                                    train_config_path: str | os.PathLike = '',
                                    train_input_config_path: str | os.PathLike = '',
                                    eval_config_path: str | os.PathLike = '',
                                    eval_input_config_path: str | os.PathLike = '',
                                    graph_rewriter_config_path: str | os.PathLike = '') -> Configs:
    """Read the parts of a config from a file each; parts without a file are left out."""
    paths: dict[str, tuple[str | os.PathLike, Callable[[], Message]]] = {
        'model': (model_config_path, protos.DetectionModel),
        'train_config': (train_config_path, protos.TrainConfig),
        'train_input_config': (train_input_config_path, protos.InputReader),
        'eval_config': (eval_config_path, protos.EvalConfig),
        'eval_input_configs': (eval_input_config_path, protos.InputReader),
        'graph_rewriter_config': (graph_rewriter_config_path, protos.GraphRewriter)}
    configs: Configs = {name: _read(path, new()) for name, (path, new) in paths.items() if path}
    if 'eval_input_configs' in configs:
        configs['eval_input_configs'] = [configs['eval_input_configs']]
    return configs


def get_graph_rewriter_config_from_file(graph_rewriter_config_file: str | os.PathLike) -> protos.GraphRewriter:
    """Read a GraphRewriter message."""
    return _read(graph_rewriter_config_file, protos.GraphRewriter())


def get_image_resizer_config(model_config: protos.DetectionModel) -> protos.ImageResizer:
    """Return the image_resizer of a model.

    Raises:
        ValueError: the model has none.
    """
    return _model_field(model_config, 'image_resizer')


def get_spatial_image_size(image_resizer_config: protos.ImageResizer) -> list[int]:
    """Return [height, width] of the resized image, [-1, -1] if the picture decides it.

    Raises:
        ValueError: no resizer is given.
    """
    kind = image_resizer_config.WhichOneof('image_resizer_oneof')
    if kind is None:
        raise ValueError('Unknown image resizer type.')
    resizer = getattr(image_resizer_config, kind)
    if kind == 'fixed_shape_resizer':
        return [resizer.height, resizer.width]
    if kind == 'keep_aspect_ratio_resizer' and resizer.pad_to_max_dimension:
        return [resizer.max_dimension] * 2
    return [-1, -1]


def get_number_of_classes(model_config: protos.DetectionModel) -> int:
    """Return num_classes of a model.

    Raises:
        ValueError: the model has none.
    """
    return _model_field(model_config, 'num_classes')


def get_max_num_context_features(model_config: protos.DetectionModel) -> int | None:
    """Return max_num_context_features of a Context R-CNN, None for other models."""
    model = getattr(model_config, model_config.WhichOneof('model'))
    return model.context_config.max_num_context_features if hasattr(model, 'context_config') else None


def get_context_feature_length(model_config: protos.DetectionModel) -> int | None:
    """Return context_feature_length of a Context R-CNN, None for other models."""
    model = getattr(model_config, model_config.WhichOneof('model'))
    return model.context_config.context_feature_length if hasattr(model, 'context_config') else None


def get_optimizer_type(train_config: protos.TrainConfig) -> str | None:
    """Return 'momentum_optimizer', 'adam_optimizer', or 'rms_prop_optimizer'."""
    return train_config.optimizer.WhichOneof('optimizer')


def get_learning_rate_type(optimizer_config: Message) -> str | None:
    """Return the learning rate's kind, such as 'cosine_decay_learning_rate', of a MomentumOptimizer or the like."""
    return optimizer_config.learning_rate.WhichOneof('learning_rate')  # type: ignore[attr-defined]


def update_fine_tune_checkpoint_type(train_config: protos.TrainConfig) -> None:
    """Set fine_tune_checkpoint_type, if it is empty, from the older from_detection_checkpoint."""
    if not train_config.fine_tune_checkpoint_type:
        detection = train_config.from_detection_checkpoint
        train_config.fine_tune_checkpoint_type = 'detection' if detection else 'classification'


def remove_unnecessary_ema(variables_to_restore: dict[str, Any], no_ema_collection: Iterable[str] | None = None
                           ) -> dict[str, Any]:
    """Return the variables by name, without /ExponentialMovingAverage in names that contain one of a collection."""
    def renamed(name: str) -> str:
        matches = any(part in name for part in no_ema_collection or ())
        return name.replace('/ExponentialMovingAverage', '') if matches else name

    return {renamed(name): variable for name, variable in variables_to_restore.items()}


def merge_external_params_with_configs(configs: Configs, hparams: Any = None,
                                       kwargs_dict: dict[str, Any] | None = None) -> Configs:
    """Override values of configs.

    A key is the path of a field (`model.ssd.loss.localization_weight`), a reader's field
    (`eval_input_configs:NAME:input_path`), or a short name: learning_rate, batch_size, train_steps, num_classes,
    label_map_path, train_input_path, eval_input_path, train_shuffle, eval_shuffle, mask_type, eval_num_epochs,
    sample_1_of_n_eval_examples, momentum_optimizer_value, classification_localization_weight_ratio, focal_loss_alpha,
    focal_loss_gamma, eval_with_moving_averages, retain_original_images_in_eval, use_bfloat16,
    retain_original_image_additional_channels_in_eval, sample_from_datasets_weights, and those of CenterNet's keypoints.
    Other keys are ignored with a line in the log, and so are values that are None or ''.

    Args:
        hparams: an object whose values() is a dict, which goes before kwargs_dict.
    Returns:
        configs.
    Raises:
        ValueError: a key has a reader or field that does not exist.
        TypeError: the value is of the wrong type, or the optimizer, learning rate, or loss has no such value.
    """
    for key, value in {**(kwargs_dict or {}), **(hparams.values() if hparams else {})}.items():
        if value is None or (isinstance(value, str) and not value):
            continue
        if not (_override(configs, key, value) or _override_generic(configs, key, value)):
            logging.info('Ignoring config override key: %s', key)
    return configs


def check_and_parse_input_config_key(configs: Mapping[str, Any], key: str
                                     ) -> tuple[bool, str | None, str | None, str]:
    """Take a key of merge_external_params_with_configs apart.

    Returns:
        Whether the key is about a reader; 'train_input_config' or 'eval_input_configs'; the reader's name, None if the
        key does not say it; and the field, which is the key itself if it is not about a reader.
    Raises:
        ValueError: the key names a reader or a field that cannot be overridden.
    """
    parts = key.split(':')
    if len(parts) == 1:
        entry, field = _INPUT_KEYS.get(key, (None, key))
        return entry is not None, entry, None, field
    if len(parts) != 3:
        raise ValueError(f'Invalid key format when overriding configs: {key!r}; it is ENTRY:READER:FIELD.')
    entry, name, field = parts
    if entry not in ('eval_input_configs', 'train_input_config'):
        raise ValueError(f'Invalid key_name when overriding input config: {entry!r}; '
                         'it is eval_input_configs or train_input_config.')
    readers = configs[entry]
    names = [readers.name] if isinstance(readers, protos.InputReader) else [reader.name for reader in readers]
    if name not in names:
        raise ValueError(f'Invalid input_name when overriding input config: {name!r}; there is {", ".join(names)}.')
    if field not in _INPUT_FIELDS:
        raise ValueError(f'Invalid field_name when overriding input config: {field!r}; '
                         f'it is one of {", ".join(_INPUT_FIELDS)}.')
    return True, entry, name, field


def _update_tf_record_input_path(input_config: protos.InputReader, input_path: str | list[str]) -> None:
    if input_config.WhichOneof('input_reader') != 'tf_record_input_reader':
        raise TypeError('Input reader type must be `tf_record_input_reader`.')
    paths = input_path if isinstance(input_path, list) else [input_path]
    input_config.tf_record_input_reader.input_path[:] = paths


def update_input_reader_config(configs: Configs, key_name: str | None = None, input_name: str | None = None,
                               field_name: str | None = None, value: Any = None,
                               path_updater: Callable[..., None] = _update_tf_record_input_path) -> None:
    """Set a field of a reader.

    Args:
        key_name: 'train_input_config' or 'eval_input_configs'.
        input_name: name of the reader; None if there is only one.
        field_name: of InputReader; 'input_path' is set by path_updater(input_config=, input_path=).
    Raises:
        ValueError: there is no such reader, or more than one.
    """
    readers = configs[key_name] if key_name else []
    if isinstance(readers, Message):
        chosen = [readers]
    elif input_name is None:
        chosen = list(readers)
        if len(chosen) != 1:
            raise ValueError(f'Unknown input config overriding: key_name:{key_name}, input_name:None, '
                             f'field_name:{field_name}. There are {len(chosen)} readers, so the name is needed.')
    else:
        chosen = [reader for reader in readers if reader.name == input_name]
        if not chosen:
            raise ValueError(f'Input name {input_name} not found when overriding.')
        if len(chosen) > 1:
            raise ValueError(f'Duplicate input name found when overriding: {input_name}.')
    if field_name == 'input_path':
        path_updater(input_config=chosen[0], input_path=value)
    else:
        setattr(chosen[0], str(field_name), value)


def _read(path: str | os.PathLike, message: _AnyMessage) -> _AnyMessage:
    return textproto.merge(gfile.read_text(path), message, str(path))


def _model_field(model_config: protos.DetectionModel, field: str) -> Any:
    name = model_config.WhichOneof('model')
    model = getattr(model_config, name)
    if not hasattr(model, field):
        raise ValueError(f'{name} has no {field}.')
    return getattr(model, field)


def _override(configs: Configs, key: str, value: Any) -> bool:
    """Apply an override with a short name; return whether there is such a name."""
    is_reader, entry, name, field = check_and_parse_input_config_key(configs, key)
    if is_reader:
        update_input_reader_config(configs, entry, name, field, value)
    elif field in (*_KEYPOINT_FIELDS, *_CENTER_NET_FIELDS):
        _override_keypoints(configs['model'], field, value)
    elif field in _OVERRIDES:
        _OVERRIDES[field](configs, value)
    else:
        return False
    return True


def _override_generic(configs: Configs, key: str, value: Any) -> bool:
    """Set the field at a path, which has to be set already; return whether the key is such a path."""
    if not key.startswith(_GENERIC):
        return False
    entry, *sections, field = key.split('.')
    message = configs[entry]
    for section in (*sections, field):
        if not message.HasField(section):
            raise ValueError(f'Expecting message to have field {section}: {key!r}')
        message, parent = getattr(message, section), message
    setattr(parent, field, value)
    return True


def _set_learning_rate(configs: Configs, rate: float) -> None:
    """Set the initial learning rate; the others of its schedule keep their ratio to it."""
    optimizer = _optimizer(configs, 'rms_prop_optimizer', 'momentum_optimizer', 'adam_optimizer')
    kind = get_learning_rate_type(optimizer)
    schedule: Any = getattr(optimizer.learning_rate, kind) if kind else None
    if kind == 'constant_learning_rate':
        schedule.learning_rate = rate
    elif kind == 'exponential_decay_learning_rate':
        schedule.initial_learning_rate = rate
    elif kind == 'manual_step_learning_rate':
        factor = float(rate) / schedule.initial_learning_rate
        schedule.initial_learning_rate = rate
        for step in schedule.schedule:
            step.learning_rate *= factor
    elif kind == 'cosine_decay_learning_rate':
        schedule.warmup_learning_rate *= rate / schedule.learning_rate_base
        schedule.learning_rate_base = rate
    else:
        raise TypeError(f'Learning rate {kind} is not supported.')


def _set_momentum(configs: Configs, momentum: float) -> None:
    optimizer = _optimizer(configs, 'rms_prop_optimizer', 'momentum_optimizer')
    optimizer.momentum_optimizer_value = min(max(0., momentum), 1.)


def _optimizer(configs: Configs, *supported: str) -> Any:
    kind = get_optimizer_type(configs['train_config'])
    if kind not in supported:
        raise TypeError(f'Optimizer {kind} is not supported; it has to be {" or ".join(supported)}.')
    return getattr(configs['train_config'].optimizer, kind)


def _set_weight_ratio(configs: Configs, ratio: float) -> None:
    """Set the weights of classification (and objectness) losses; those of localization become 1."""
    kind = configs['model'].WhichOneof('model')
    if kind == 'faster_rcnn':
        model = configs['model'].faster_rcnn
        model.first_stage_localization_loss_weight = model.second_stage_localization_loss_weight = 1.
        model.first_stage_objectness_loss_weight = model.second_stage_classification_loss_weight = ratio
    elif kind == 'ssd':
        loss = configs['model'].ssd.loss
        loss.localization_weight, loss.classification_weight = 1., ratio


def _set_focal_loss(field: str) -> Callable[[Configs, float], None]:
    def set_value(configs: Configs, value: float) -> None:
        kind = configs['model'].WhichOneof('model')
        if kind == 'ssd':
            loss = configs['model'].ssd.loss.classification_loss
        elif kind == 'faster_rcnn':
            loss = configs['model'].faster_rcnn.second_stage_classification_loss
        else:
            raise TypeError(f'{kind} has no focal loss to set; it has to be ssd or faster_rcnn.')
        if loss.WhichOneof('classification_loss') != 'weighted_sigmoid_focal':
            raise TypeError('Classification loss must be `weighted_sigmoid_focal`.')
        setattr(loss.weighted_sigmoid_focal, field, value)
    return set_value


def _set_num_classes(configs: Configs, count: int) -> None:
    kind = configs['model'].WhichOneof('model')
    if kind in ('faster_rcnn', 'ssd'):
        getattr(configs['model'], kind).num_classes = count


def _set_dataset_weights(configs: Configs, weights: list[float]) -> None:
    present = configs['train_input_config'].sample_from_datasets_weights
    if len(weights) != len(present):
        raise ValueError(f'sample_from_datasets_weights has {len(present)} values, its override {len(weights)}.')
    present[:] = weights


def _override_keypoints(model: protos.DetectionModel, field: str, value: Any) -> None:
    if field == 'candidate_ranking_mode' and value not in _RANKING_MODES:
        raise ValueError(f'candidate_ranking_mode is {value!r}; allowed: {", ".join(_RANKING_MODES)}.')
    if field == 'rescore_instances' and isinstance(value, str):
        value = value == 'True'
    kind = model.WhichOneof('model')
    if kind != 'center_net':
        if field in _CENTER_NET_FIELDS:
            raise ValueError(f'{field} can be set in center_net only; the model is {kind}.')
        return
    tasks = model.center_net.keypoint_estimation_task
    if len(tasks) == 1:
        setattr(tasks[0], field, value)
    else:
        logging.warning('Ignoring config override key %s: there are %d keypoint estimation tasks.', field, len(tasks))


def _set(entry: str, field: str, convert: Callable[[Any], Any] = lambda value: value
         ) -> Callable[[Configs, Any], None]:
    """Return fn(configs, value) that sets one field; of all readers if the entry is eval_input_configs."""
    def set_value(configs: Configs, value: Any) -> None:
        for message in configs[entry] if entry == 'eval_input_configs' else [configs[entry]]:
            setattr(message, field, convert(value))
    return set_value


def _set_in_all_readers(field: str) -> Callable[[Configs, Any], None]:
    def set_value(configs: Configs, value: Any) -> None:
        _set('train_input_config', field)(configs, value)
        _set('eval_input_configs', field)(configs, value)
    return set_value


_OVERRIDES: dict[str, Callable[[Configs, Any], None]] = {
    'learning_rate': _set_learning_rate,
    'batch_size': _set('train_config', 'batch_size', lambda size: max(1, round(size))),
    'momentum_optimizer_value': _set_momentum,
    'classification_localization_weight_ratio': _set_weight_ratio,
    'focal_loss_gamma': _set_focal_loss('gamma'),
    'focal_loss_alpha': _set_focal_loss('alpha'),
    'train_steps': _set('train_config', 'num_steps', int),
    'label_map_path': _set_in_all_readers('label_map_path'),
    'mask_type': _set_in_all_readers('mask_type'),
    'sample_1_of_n_eval_examples': _set('eval_input_configs', 'sample_1_of_n_examples'),
    'eval_num_epochs': _set('eval_input_configs', 'num_epochs'),
    'eval_with_moving_averages': _set('eval_config', 'use_moving_averages'),
    'retain_original_images_in_eval': _set('eval_config', 'retain_original_images'),
    'use_bfloat16': _set('train_config', 'use_bfloat16'),
    'retain_original_image_additional_channels_in_eval': _set('eval_config',
                                                              'retain_original_image_additional_channels'),
    'num_classes': _set_num_classes,
    'sample_from_datasets_weights': _set_dataset_weights,
}
