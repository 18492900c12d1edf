"""Read, change, and write a pipeline.config under the reference's names. Imports no TensorFlow.

    configs = config_util.get_configs_from_pipeline_file('pipeline.config')
    configs['model'].ssd.num_classes = 3
    config_util.save_pipeline_config(config_util.create_pipeline_proto_from_configs(configs), 'models/mine')

`configs` is a dict of messages: model, train_config, train_input_config, eval_config, eval_input_configs (a list),
eval_input_config (its first element), and graph_rewriter_config if there is one. Functions change it in place. Nothing
here checks whether a config makes sense; training, evaluation, and export do that before they start.
"""
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from google.protobuf.message import Message

from object_detection import protos
from object_detection.config import pipeline, textproto
from object_detection.utils import gfile
from object_detection.utils.config_overrides import (  # noqa: F401, some of them for our callers
    Configs,
    check_and_parse_input_config_key,
    merge_external_params_with_configs,
    update_input_reader_config,
)

_AnyMessage = TypeVar('_AnyMessage', bound=Message)


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


def _read(path: str | os.PathLike, message: _AnyMessage) -> _AnyMessage:
    return textproto.merge(gfile.read_text(path), message, str(path))


def _model_field(model_config: protos.DetectionModel, field: str) -> Any:
    name = model_config.WhichOneof('model')
    model = getattr(model_config, name)
    if not hasattr(model, field):
        raise ValueError(f'{name} has no {field}.')
    return getattr(model, field)


