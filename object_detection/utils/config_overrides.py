"""Override values of a config, by the keys that the reference knows; config_util offers these functions, too."""
import logging
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from object_detection import protos

Configs = dict[str, Any]

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
    kind = optimizer.learning_rate.WhichOneof('learning_rate')
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
    kind = configs['train_config'].optimizer.WhichOneof('optimizer')
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
