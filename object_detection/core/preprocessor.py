"""Augment one image and its objects."""
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.inputs.augmentation.random import Random

SAMPLE_FIELDS = {  # entry of a sample (inputs/sample.py): the reference's name
    'image': Fields.image, 'boxes': Fields.groundtruth_boxes, 'classes': Fields.groundtruth_classes,
    'weights': Fields.groundtruth_weights, 'area': Fields.groundtruth_area, 'is_crowd': Fields.groundtruth_is_crowd,
    'difficult': Fields.groundtruth_difficult, 'group_of': Fields.groundtruth_group_of,
    'keypoints': Fields.groundtruth_keypoints, 'keypoint_visibilities': Fields.groundtruth_keypoint_visibilities,
    'masks': Fields.groundtruth_instance_masks, 'mask_weights': Fields.groundtruth_instance_mask_weights}


def preprocess(tensor_dict: Mapping[str, tf.Tensor],
               preprocess_options: Iterable[tuple[Callable[..., Any], Mapping[str, Any]]],
               func_arg_map: Any = None, preprocess_vars_cache: Any = None) -> dict[str, tf.Tensor]:
    """Return an example with augmentations applied in order. Random ones follow tf.random.set_seed.

    Args:
        tensor_dict: as TfExampleDecoder.decode returns it, but
            image: [1, H, W, 3], 0..255, of any dtype.
            Objects may lack everything but boxes and classes; keys that an image or its objects do not have are kept as
            they are.
        preprocess_options: from preprocessor_builder.build.
        func_arg_map: accepted; every augmentation changes whatever there is.
        preprocess_vars_cache: not supported.
    """
    del func_arg_map
    if preprocess_vars_cache is not None:
        raise ValueError('preprocess_vars_cache is not supported; give None')
    image = tensor_dict[Fields.image]
    if image.shape.rank != 4:
        raise ValueError('images in tensor_dict should be rank 4')
    fields = {name: field for name, field in SAMPLE_FIELDS.items() if field in tensor_dict}
    sample = {**_defaults(tf.shape(tensor_dict[Fields.groundtruth_boxes])[0] if 'boxes' in fields else 0),
              **{name: tensor_dict[field] for name, field in fields.items()}, 'image': image[0]}
    random = Random(0, tf.random.uniform([], maxval=2 ** 62, dtype=tf.int64))
    for function, arguments in preprocess_options:
        sample = function(sample, random, **arguments)
    augmented = {field: sample[name] for name, field in fields.items()}
    if Fields.num_groundtruth_boxes in tensor_dict:
        augmented[Fields.num_groundtruth_boxes] = tf.shape(sample['boxes'])[0]
    return {**tensor_dict, **augmented, Fields.image: sample['image'][tf.newaxis]}


def _defaults(count: int | tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the entries of a sample (inputs/sample.py) with `count` plain objects, but for image, masks, keypoints."""
    false = tf.fill([count], False)
    return {'boxes': tf.zeros([count, 4]), 'classes': tf.ones([count], tf.int64), 'weights': tf.ones([count]),
            'area': tf.zeros([count]), 'is_crowd': false, 'difficult': false, 'group_of': false}
