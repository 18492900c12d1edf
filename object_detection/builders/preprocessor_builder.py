"""Build an augmentation from an option of train_config.data_augmentation_options.

    options = [preprocessor_builder.build(step) for step in train_config.data_augmentation_options]
    augmented = preprocessor.preprocess(example, options)
"""
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from object_detection import protos
from object_detection.builders import checked
from object_detection.config import checks
from object_detection.core import preprocessor
from object_detection.inputs import augmentation

_WITHOUT_DEFAULTS = {  # the reference returns only the fields of these that are set
    'normalize_image', 'random_pixel_value_scale', 'random_image_scale', 'random_rgb_to_gray',
    'random_adjust_brightness', 'random_adjust_contrast', 'random_adjust_hue', 'random_adjust_saturation',
    'random_distort_color', 'random_crop_to_aspect_ratio', 'random_black_patches', 'random_jpeg_quality',
    'random_downscale_to_target_pixels', 'random_patch_gaussian', 'subtract_channel_mean', 'adjust_gamma'}
_NONE = {'keypoint_flip_permutation', 'keypoint_rot_permutation', 'pad_color'}  # None where nothing is given
_AS_LISTS = {'original_labels', 'means', 'target_size', 'pad_color'}


def build(preprocessor_step_config: protos.PreprocessingStep) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function of an augmentation and its keyword arguments, for object_detection.core.preprocessor.

    Args:
        preprocessor_step_config: a PreprocessingStep message.
    Raises:
        ValueError: it is no PreprocessingStep message.
        ConfigError: something in it is wrong or not supported.
    """
    if not isinstance(preprocessor_step_config, protos.PreprocessingStep):
        raise ValueError('preprocessor_step_config not of type preprocessor_pb2.PreprocessingStep.')
    checked.demand(checks.check_part(preprocessor_step_config, 'data_augmentation_options'))
    function, fields = augmentation.function_of(preprocessor_step_config)
    return getattr(preprocessor, function.__name__), _arguments(function, fields)


def _arguments(function: Callable[..., Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an option as arguments of the reference's function: ranges, lists, and what is not set."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()
                if parameter.default is not inspect.Parameter.empty}
    operations = [_joined(operation, preprocessor.OPERATION_PAIRS) for operation in fields.pop('operations', ())]
    lists = {name: [operation[name] for operation in operations] for name in (operations or [{}])[0]}
    if 'operations' in defaults:
        ratio = {'aspect_ratio': defaults['aspect_ratio']} if operations and 'aspect_ratio' in defaults else {}
        return {**ratio, **fields, **lists}
    if function.__name__ not in _WITHOUT_DEFAULTS:
        fields = defaults | fields
    arguments = _joined(fields, preprocessor.PAIRS)
    for name, value in list(arguments.items()):
        if name in ('min_padded_size_ratio', 'max_padded_size_ratio') and not value:
            del arguments[name]
        elif (not value and name in _NONE) or value == (0, 0):
            arguments[name] = None
        elif name in _AS_LISTS:
            arguments[name] = list(value)
    if 'method' in arguments:
        arguments['method'] = getattr(tf.compat.v1.image.ResizeMethod, arguments['method'].upper())
    return arguments


def _joined(fields: dict[str, Any], pairs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return fields with those of a pair as one tuple under its name."""
    joined, fields = {}, dict(fields)
    for pair, names in pairs.items():
        if all(name in fields for name in names):
            values = tuple(fields.pop(name) for name in names)
            joined[pair] = values if len(values) > 1 else values[0]
    return {**joined, **fields}
