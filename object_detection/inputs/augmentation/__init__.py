"""train_config.data_augmentation_options -> one function that augments a sample.

An option of the config is a function of the same name in one of the files here, one file per kind:

    def random_rgb_to_gray(sample: Sample, random: Random, probability: float = 0.1) -> Sample:

sample: the image and its objects, see inputs/sample.py; a new dict is returned. random: all randomness comes from it,
see random.py. The other parameters are the fields of the option's message in protos/preprocessor.proto; a default is
what the reference computes when the config does not set the field.

To add an augmentation: write the function in the file of its kind (what it does to boxes, keypoints and masks too) and
name it in OPTIONS. If the schema has no such option, add it to PreprocessingStep in protos/preprocessor.proto. A rule
about its fields, such as a minimum, belongs in config/checks/augmentation.py.
"""
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from object_detection import protos
from object_detection.inputs.augmentation import autoaugment, colors, crops, flips, objects, pads, resizes
from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample

OPTIONS: dict[str, Callable[..., Sample]] = {function.__name__: function for function in (
    autoaugment.autoaugment_image,
    colors.adjust_gamma, colors.normalize_image, colors.random_adjust_brightness, colors.random_adjust_contrast,
    colors.random_adjust_hue, colors.random_adjust_saturation, colors.random_black_patches,
    colors.random_distort_color, colors.random_jpeg_quality, colors.random_patch_gaussian,
    colors.random_pixel_value_scale, colors.random_rgb_to_gray, colors.rgb_to_gray, colors.subtract_channel_mean,
    crops.random_crop_image, crops.random_crop_to_aspect_ratio, crops.random_scale_crop_and_pad_to_square,
    crops.random_square_crop_by_scale, crops.ssd_random_crop, crops.ssd_random_crop_fixed_aspect_ratio,
    flips.random_horizontal_flip, flips.random_rotation90, flips.random_vertical_flip,
    objects.drop_label_probabilistically, objects.random_jitter_boxes, objects.random_self_concat_image,
    objects.remap_labels, objects.scale_boxes_to_pixel_coordinates,
    pads.random_absolute_pad_image, pads.random_crop_pad_image, pads.random_pad_image, pads.ssd_random_crop_pad,
    pads.ssd_random_crop_pad_fixed_aspect_ratio,
    resizes.random_downscale_to_target_pixels, resizes.random_image_scale, resizes.random_resize_method,
    resizes.resize_image,
)}


def build(options: Sequence[protos.PreprocessingStep]) -> Callable[[Sample, Random], Sample]:
    """Return a function that applies the options in order; they must have passed config/checks."""
    steps = [function_of(option) for option in options]

    def augment(sample: Sample, random: Random) -> Sample:
        for function, keywords in steps:
            sample = function(sample, random, **keywords)
        return sample

    return augment


def function_of(option: protos.PreprocessingStep) -> tuple[Callable[..., Sample], dict[str, Any]]:
    """Return the function of an option, and its keyword arguments."""
    name = option.WhichOneof('preprocessing_step')
    return OPTIONS[name], _keywords(getattr(option, name))


def _keywords(message: Message) -> dict[str, Any]:
    """Return the fields that are set: lists as tuples, enum values as lower-case names, messages as dicts."""
    keywords = {}
    for field, value in message.ListFields():
        if field.message_type:  # operations of ssd_random_crop and the like: unset fields too, as in the reference
            value = [{f.name: _plain(getattr(item, f.name)) for f in item.DESCRIPTOR.fields} for item in value]
        elif field.enum_type:
            value = field.enum_type.values_by_number[value].name.lower()
        keywords[field.name] = _plain(value)
    return keywords


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, bool, int, float)) else tuple(value)
