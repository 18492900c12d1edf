"""Augment one image and its objects.

    preprocessor.preprocess(example, [(preprocessor.random_horizontal_flip, {}),
                                      (preprocessor.random_adjust_brightness, {'max_delta': .1})])

The functions are the options of train_config.data_augmentation_options, and their arguments the option's fields. Pairs
may also have the reference's names, such as area_range=(0.1, 1) for min_area and max_area.
"""
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from object_detection import absent
from object_detection.core import resizing
from object_detection.core.resizing import (  # noqa: F401, for our callers
    resize_pad_to_multiple,
    resize_to_max_dimension,
    resize_to_min_dimension,
    resize_to_range,
)
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.inputs.augmentation import OPTIONS
from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample

SAMPLE_FIELDS = {  # entry of a sample (inputs/sample.py): the reference's name
    'image': Fields.image, 'boxes': Fields.groundtruth_boxes, 'classes': Fields.groundtruth_classes,
    'weights': Fields.groundtruth_weights, 'area': Fields.groundtruth_area, 'is_crowd': Fields.groundtruth_is_crowd,
    'difficult': Fields.groundtruth_difficult, 'group_of': Fields.groundtruth_group_of,
    'keypoints': Fields.groundtruth_keypoints, 'keypoint_visibilities': Fields.groundtruth_keypoint_visibilities,
    'masks': Fields.groundtruth_instance_masks, 'mask_weights': Fields.groundtruth_instance_mask_weights}
_FOLLOWING_FIELDS = (  # other entries with a row per object, which follows its object
    Fields.groundtruth_confidences, Fields.multiclass_scores, Fields.groundtruth_label_weights,
    Fields.groundtruth_track_ids, Fields.groundtruth_keypoint_weights, Fields.groundtruth_keypoint_depths,
    Fields.groundtruth_keypoint_depth_weights, Fields.groundtruth_dp_num_points, Fields.groundtruth_dp_part_ids,
    Fields.groundtruth_dp_surface_coords)

_ABSENT = dict.fromkeys(('retain_boxes_above_threshold', 'random_pad_to_aspect_ratio',
                         'convert_class_logits_to_softmax'), 'it is no option of data_augmentation_options here')

_FIELDS = {  # tensor that the reference's function takes: its entry
    'image': Fields.image, 'boxes': Fields.groundtruth_boxes, 'labels': Fields.groundtruth_classes,
    'label_weights': Fields.groundtruth_weights, 'label_confidences': Fields.groundtruth_confidences,
    'multiclass_scores': Fields.multiclass_scores, 'masks': Fields.groundtruth_instance_masks,
    'mask_weights': Fields.groundtruth_instance_mask_weights, 'keypoints': Fields.groundtruth_keypoints,
    'keypoint_visibilities': Fields.groundtruth_keypoint_visibilities,
    'keypoint_depths': Fields.groundtruth_keypoint_depths,
    'keypoint_depth_weights': Fields.groundtruth_keypoint_depth_weights}
_PADDED = ('image', 'boxes', 'masks', 'keypoints')
_FLIPPED = (*_PADDED, 'keypoint_visibilities', 'keypoint_depths', 'keypoint_depth_weights')
_OBJECTS = ('boxes', 'labels', 'label_weights', 'label_confidences', 'multiclass_scores', 'masks', 'keypoints')
_TENSORS: dict[str, tuple[str, ...]] = {  # augmentation: the tensors in their order; it returns those that it is given
    **dict.fromkeys(OPTIONS, ('image',)),
    **dict.fromkeys((name for name in OPTIONS if 'crop' in name or 'concat' in name), ('image', *_OBJECTS)),
    **dict.fromkeys(('random_horizontal_flip', 'random_vertical_flip', 'random_rotation90'), _FLIPPED),
    **dict.fromkeys(('random_pad_image', 'random_absolute_pad_image'), _PADDED),
    **dict.fromkeys(('random_image_scale', 'random_downscale_to_target_pixels'), ('image', 'masks')),
    'random_crop_image': ('image', *_OBJECTS[:6], 'mask_weights', 'keypoints', 'keypoint_visibilities'),
    'random_square_crop_by_scale': ('image', *_OBJECTS[:4], 'masks', 'keypoints'),
    'random_scale_crop_and_pad_to_square': ('image', *_OBJECTS[:3], 'masks', 'keypoints', 'label_confidences'),
    'scale_boxes_to_pixel_coordinates': ('image', 'boxes', 'keypoints'), 'autoaugment_image': ('image', 'boxes'),
    'drop_label_probabilistically': _OBJECTS, 'remap_labels': ('labels',), 'random_jitter_boxes': ('boxes',)}
PAIRS = {  # argument of the reference's function: fields of the option
    'aspect_ratio_range': ('min_aspect_ratio', 'max_aspect_ratio'), 'area_range': ('min_area', 'max_area'),
    'target_size': ('target_height', 'target_width'), 'min_image_size': ('min_image_height', 'min_image_width'),
    'max_image_size': ('max_image_height', 'max_image_width'), 'dropped_label': ('label',)}
OPERATION_PAIRS = {**PAIRS, 'pad_color': ('pad_color_r', 'pad_color_g', 'pad_color_b')}  # in operations of ssd_...
_METHODS = {**{getattr(tf.compat.v1.image.ResizeMethod, name.upper()): name for name in (
    'bilinear', 'nearest_neighbor', 'bicubic', 'area')}, tf.image.ResizeMethod.NEAREST_NEIGHBOR: 'nearest_neighbor'}


def preprocess(tensor_dict: Mapping[str, tf.Tensor],
               preprocess_options: Iterable[tuple[Callable[..., Any], Mapping[str, Any]]],
               func_arg_map: Any = None, preprocess_vars_cache: Any = None) -> dict[str, tf.Tensor]:
    """Return an example with augmentations applied in order. Random ones follow tf.random.set_seed.

    Args:
        tensor_dict: as TfExampleDecoder.decode returns it, but
            image: [1, H, W, 3], 0..255, of any dtype; it may be missing for augmentations that change objects only.
            Objects may lack everything but boxes and classes. Of other entries with a row per object, such as
            groundtruth_confidences, rows are dropped and repeated with the objects; what is in them stays, also
            coordinates of DensePose. Everything else is kept as it is.
        preprocess_options: functions of this module with their keyword arguments, or from preprocessor_builder.build.
        func_arg_map: accepted; every augmentation changes whatever there is.
        preprocess_vars_cache: not supported.
    """
    del func_arg_map
    if preprocess_vars_cache is not None:
        raise ValueError('preprocess_vars_cache is not supported; give None')
    image = tensor_dict.get(Fields.image)
    if image is not None and len(image.shape) != 4:
        raise ValueError('images in tensor_dict should be rank 4')
    known = {**SAMPLE_FIELDS, **{field.removeprefix('groundtruth_'): field for field in _FOLLOWING_FIELDS}}
    fields = {name: field for name, field in known.items() if field in tensor_dict}
    sample = {name: tf.convert_to_tensor(tensor_dict[field]) for name, field in fields.items()}
    if image is not None:
        sample['image'] = sample['image'][0]
    if 'boxes' in sample:
        sample['boxes'] = tf.reshape(sample['boxes'], [-1, 4])
    sample = {**_defaults(sample), **sample}
    random = _drawn()
    for function, arguments in preprocess_options:
        sample = function(sample, random, **arguments)
    augmented = {field: sample[name] for name, field in fields.items()}
    if image is not None:
        augmented[Fields.image] = sample['image'][tf.newaxis]
    if Fields.num_groundtruth_boxes in tensor_dict:
        augmented[Fields.num_groundtruth_boxes] = tf.shape(sample['boxes'])[0]
    return {**tensor_dict, **augmented}


def _defaults(sample: Sample) -> Sample:
    """Return what the objects of a sample (inputs/sample.py) may lack: plain ones, whose keypoints are all visible."""
    count = tf.shape(sample['boxes'])[0] if 'boxes' in sample else 0
    false = tf.fill([count], False)
    defaults = {'boxes': tf.zeros([count, 4]), 'classes': tf.ones([count], tf.int64), 'weights': tf.ones([count]),
                'area': tf.zeros([count]), 'is_crowd': false, 'difficult': false, 'group_of': false}
    if 'masks' in sample:
        defaults['mask_weights'] = tf.ones([count])
    if 'keypoints' in sample:
        defaults['keypoint_visibilities'] = ~tf.reduce_any(tf.math.is_nan(sample['keypoints']), 2)
    return defaults


def get_default_func_arg_map(*included: bool, **named: bool) -> dict[str, Any]:
    """Return what `preprocess` takes as func_arg_map: nothing, since augmentations change whatever there is."""
    del included, named
    return {}


def image_to_float(image: tf.Tensor) -> tf.Tensor:
    """Return the image as float32, its values as they are."""
    return tf.cast(image, tf.float32)


def one_hot_encoding(labels: tf.Tensor, num_classes: int | None = None) -> tf.Tensor:
    """Return int32 [num_classes]: 1 for each of the labels, which count from 0."""
    if num_classes is None:
        raise ValueError('num_classes must be specified')
    return tf.reduce_max(tf.one_hot(labels, num_classes, 1, 0), 0)


def _step(function: Callable[..., Sample]) -> Callable[..., Any]:
    """Return an augmentation for `preprocess`, which can be called with the tensors themselves, too."""
    name = function.__name__

    @functools.wraps(function)
    def step(*tensors: Any, **arguments: Any) -> Any:
        if len(tensors) == 2 and isinstance(tensors[1], Random):
            sample, random = tensors
            return function(sample, random, **_as_option(function, arguments))
        if name == 'resize_image':
            return resizing.resize_image(*tensors, **arguments)
        given = dict(zip(_TENSORS[name], tensors)) | {
            key: arguments.pop(key) for key in _TENSORS[name] if key in arguments}
        if rest := tensors[len(_TENSORS[name]):]:
            arguments |= dict(zip(_positional(function), rest, strict=True))
        given = {key: value for key, value in given.items() if value is not None}
        example = {_FIELDS[key]: tf.convert_to_tensor(value) for key, value in given.items()}
        if 'image' in given:
            example[Fields.image] = example[Fields.image][tf.newaxis]
        example = preprocess(example, [(step, arguments)])
        if 'image' in given:
            example[Fields.image] = example[Fields.image][0]
        results = tuple(example[_FIELDS[key]] for key in _TENSORS[name] if key in given)
        return results if len(results) > 1 else results[0]

    return step


def _positional(function: Callable[..., Sample]) -> list[str]:
    """Return the arguments after the tensors, where the reference has them in the order of the option."""
    names = list(inspect.signature(function).parameters)[2:]  # after sample and random
    if len(_TENSORS[function.__name__]) != 1 or 'random_coef' in names:
        raise TypeError(f'{function.__name__}: give the arguments after the tensors by their names')
    return names


def _drawn() -> Random:
    """Return random numbers that follow tf.random.set_seed."""
    return Random(0, tf.random.uniform([], maxval=2 ** 62, dtype=tf.int64))


def _as_option(function: Callable[..., Sample], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the reference's function as the fields of the option; None stands for the default."""
    arguments = {name: value for name, value in arguments.items() if value is not None}
    parameters = inspect.signature(function).parameters
    if 'operations' in parameters:  # the reference takes a list for each field instead, with an entry per operation
        lists = {name: arguments.pop(name) for name in list(arguments) if name not in parameters}
        operations = [_split(dict(zip(lists, values, strict=True)), OPERATION_PAIRS)
                      for values in zip(*lists.values(), strict=True)]
        defaults = parameters['operations'].default
        if len(operations) == len(defaults):
            operations = [{**default, **operation} for default, operation in zip(defaults, operations, strict=True)]
        if operations:
            if missing := defaults[0].keys() - operations[0].keys() - {'min_aspect_ratio', 'max_aspect_ratio'}:
                raise ValueError(f'{function.__name__}: {len(operations)} operations without '
                                 f'{", ".join(sorted(missing))}; give them, or {len(defaults)} operations')
            arguments['operations'] = operations
    arguments = _split(arguments, PAIRS)
    if 'method' in arguments:
        arguments['method'] = _METHODS.get(arguments['method'], arguments['method'])
    return arguments


def _split(arguments: dict[str, Any], pairs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in arguments.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        fields.update(zip(pairs[name], values, strict=True) if name in pairs else [(name, value)])
    return fields


_STEPS = {name: _step(function) for name, function in OPTIONS.items()}


def __getattr__(name: str) -> Callable[..., Any]:
    return _STEPS[name] if name in _STEPS else absent.explain_name(__name__, name, _ABSENT)


def __dir__() -> list[str]:
    return [*globals(), *_STEPS]
