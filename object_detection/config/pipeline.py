"""pipeline.config: read, override, write. config/checks checks its content."""
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from object_detection import protos
from object_detection.config import textproto
from object_detection.utils import files

# A TrainEvalPipelineConfig: its class is made at run time, so type checkers cannot know its fields.
Config = Any


def read(path: str | Path) -> Config:
    """Read a TrainEvalPipelineConfig from a file; UserError with file:line:column where it does not fit the schema.

    Only the syntax is checked: the config of a zoo tarball, with PATH_TO_BE_CONFIGURED in it, can be read.
    """
    return parse(textproto.read_text(path), str(path))


def parse(text: str, source: str = '<text>') -> Config:
    """Like read, from a string; errors call it `source`."""
    return textproto.parse(text, protos.TrainEvalPipelineConfig(), source)


def override(config: Config, text: str) -> Config:
    """Return a copy of config with `text`, itself a piece of pipeline.config, merged into it (--config_override).

    As in the reference's exporter, single fields are replaced, sections merged field by field, and repeated fields
    (eval_input_reader, data_augmentation_options, aspect_ratios) are extended.
    """
    merged = type(config)()
    merged.CopyFrom(config)
    return textproto.merge(text, merged, '--config_override')


def to_text(config: Config) -> str:
    """Return the config as text that read accepts."""
    return text_format.MessageToString(config, as_utf8=True)


def write(config: Config, path: str | Path) -> None:
    """Write config to path, whole or not at all; comments and layout of the file it came from are lost."""
    files.write_text(path, to_text(config))


def architecture(config: Config) -> tuple[str | None, Any]:
    """Return 'ssd', 'faster_rcnn' or 'center_net', and its section; (None, None) if the model section is empty."""
    name = config.model.WhichOneof('model')
    return name, getattr(config.model, name) if name else None


def fixed_size(resizer: protos.ImageResizer) -> tuple[int, int] | None:
    """Return the (height, width) of all images that an ImageResizer makes, in pixels; None if they differ."""
    fixed, kept = resizer.fixed_shape_resizer, resizer.keep_aspect_ratio_resizer
    if resizer.HasField('fixed_shape_resizer'):
        return fixed.height, fixed.width
    return (kept.max_dimension, kept.max_dimension) if kept.pad_to_max_dimension else None


def restore_type(train: protos.TrainConfig) -> str:
    """Return fine_tune_checkpoint_type, by default what the older from_detection_checkpoint says, as the reference."""
    return train.fine_tune_checkpoint_type or ('detection' if train.from_detection_checkpoint else 'classification')


def fields(message: Any, path: str = '') -> dict[str, str]:
    """Return {path of a field (train_config.batch_size, eval_input_reader[0].shuffle): value} of all that are set.

    Args:
        message: a config or a part of it.
        path: what to call that part.
    """
    found: dict[str, str] = {}
    for descriptor, value in message.ListFields():
        name = f'{path}.{descriptor.name}' if path else descriptor.name
        several = not isinstance(value, str | bytes) and hasattr(value, '__len__')
        for index, single in enumerate(value if several else [value]):
            place = f'{name}[{index}]' if several else name
            if descriptor.message_type:
                found |= fields(single, place) or {place: '{}'}
            elif descriptor.enum_type:
                found[place] = descriptor.enum_type.values_by_number[single].name
            else:
                found[place] = f'{single:g}' if isinstance(single, float) else str(single)
    return found
