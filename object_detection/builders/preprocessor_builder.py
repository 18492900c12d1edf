"""Build an augmentation from an option of train_config.data_augmentation_options.

    options = [preprocessor_builder.build(step) for step in train_config.data_augmentation_options]
    augmented = preprocessor.preprocess(example, options)
"""
from collections.abc import Callable
from typing import Any

from object_detection import protos
from object_detection.config import checks
from object_detection.core import preprocessor
from object_detection.inputs import augmentation


def build(preprocessor_step_config: protos.PreprocessingStep) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function of an augmentation and its keyword arguments, for object_detection.core.preprocessor.

    Args:
        preprocessor_step_config: a PreprocessingStep message.
    Raises:
        ValueError: it is no PreprocessingStep message.
        UserError: something in it is wrong or not supported.
    """
    if not isinstance(preprocessor_step_config, protos.PreprocessingStep):
        raise ValueError('preprocessor_step_config not of type preprocessor_pb2.PreprocessingStep.')
    checks.demand(checks.check_part(preprocessor_step_config, 'data_augmentation_options'))
    function, arguments = augmentation.function_of(preprocessor_step_config)
    return getattr(preprocessor, function.__name__), arguments
