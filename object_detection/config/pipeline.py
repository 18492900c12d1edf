"""pipeline.config: read, override, write. What is wrong with its content: config_checks.py."""
from google.protobuf import text_format

from object_detection import protos
from object_detection.config import textproto
from object_detection.utils import files


def read(path):
    """The TrainEvalPipelineConfig in a file; UserError with file:line:column where it does not fit the schema.

    Only the syntax is looked at: a zoo tarball's config with PATH_TO_BE_CONFIGURED in it reads well.
    """
    return textproto.read(path, protos.TrainEvalPipelineConfig)


def parse(text, source='<text>'):
    """As read, from a string; errors call it `source`."""
    return textproto.parse(text, protos.TrainEvalPipelineConfig(), source)


def override(config, text):
    """A copy of config with `text`, itself a piece of pipeline.config, laid over it (--config_override).

    As in the reference's exporter: single fields are replaced, sections merged field by field, and repeated fields
    (eval_input_reader, data_augmentation_options, aspect_ratios) get the new entries added to the old ones.
    """
    merged = type(config)()
    merged.CopyFrom(config)
    return textproto.merge(text, merged, '--config_override')


def to_text(config):
    return text_format.MessageToString(config, as_utf8=True)


def write(config, path):
    """Write config to path, whole or not at all; comments and layout of the file it came from are not kept."""
    files.write_text(path, to_text(config))


def architecture(config):
    """'ssd', 'faster_rcnn' or 'center_net', and its section; (None, None) if the model section holds none."""
    name = config.model.WhichOneof('model')
    return name, getattr(config.model, name) if name else None
