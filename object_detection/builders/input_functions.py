"""The data sets of training and evaluation under the reference's names; object_detection.inputs offers them too.

    from object_detection import inputs
    dataset = inputs.train_input(configs['train_config'], configs['train_input_config'], configs['model'])
    for features, labels in dataset: ...
"""
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from object_detection import inputs, protos
from object_detection.builders import checked, model_builder
from object_detection.builders.dataset_builder import per_replica
from object_detection.builders.input_transforms import (  # noqa: F401, object_detection.inputs finds them here
    assert_or_prune_invalid_boxes,
    convert_labeled_classes_to_k_hot,
    pad_input_data_to_static_shapes,
    transform_input_data,
)
from object_detection.config import checks, label_map
from object_detection.core import preprocessor
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.meta_architectures.detector_model import DetectorModel
from object_detection.models import resizers
from object_detection.utils import config_util

HASH_KEY = 'hash'
HASH_BINS = 1 << 31


def train_input(train_config: protos.TrainConfig, train_input_config: protos.InputReader,
                model_config: protos.DetectionModel, model: DetectorModel | None = None,
                params: dict[str, Any] | None = None,
                input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
    """Return the augmented batches of training, endless unless num_epochs is set.

    Args:
        train_config, train_input_config, model_config: of a pipeline.config.
        model: from model_builder.build; None to build one, whose preprocessing is needed.
        params: {'batch_size': ...} to use instead of train_config.batch_size.
        input_context: the batch size is of all its replicas.
    Returns:
        Pairs (features, labels) of dicts. B: batch size, M: max_number_of_boxes, C: classes.
        features: image float32 [B, h, w, 3], preprocessed; true_image_shape int32 [B, 3], without padding;
            original_image_spatial_shape int32 [B, 2]; hash int32 [B], of the file name; original_image uint8
            [B, h, w, 3], before preprocessing, with retain_original_images.
        labels: num_groundtruth_boxes int32 [B]; groundtruth_boxes float32 [B, M, 4] (ymin, xmin, ymax, xmax),
            normalized to the padded image; groundtruth_classes and groundtruth_confidences float32 [B, M, C], one-hot;
            groundtruth_weights, _area float32 [B, M]; groundtruth_is_crowd, _group_of bool [B, M];
            groundtruth_difficult int32 [B, M]; with masks groundtruth_instance_masks float32 [B, M, h, w], and
            _instance_mask_weights float32 [B, M]; with keypoints groundtruth_keypoints float32 [B, M, K, 2], and
            _keypoint_visibilities bool [B, M, K].
    Raises:
        TypeError: a config is no message of its type.
        ConfigError: something in them is wrong or not supported.
    """
    config = _config(model_config, train_config=train_config, train_input_reader=train_input_config)
    checked.demand(checks.check_inputs(config))
    model = model or model_builder.build(model_config, is_training=True)
    dataset = inputs.train_dataset(config, *_resizer_and_labels(model_config, train_input_config),
                                   batch_size=_batch_size(params, train_config, input_context))
    return _as_reference(dataset, model, train_config.retain_original_images)


def eval_input(eval_config: protos.EvalConfig, eval_input_config: protos.InputReader,
               model_config: protos.DetectionModel, model: DetectorModel | None = None,
               params: dict[str, Any] | None = None,
               input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
    """Return the batches of an evaluation: one pass over the records unless num_epochs says more.

    As train_input, without augmentation; the batch size is eval_config.batch_size, and original_image is there unless
    eval_config.retain_original_images is false. As in the reference, a last incomplete batch is dropped unless
    drop_remainder is false.
    """
    config = _config(model_config, eval_config=eval_config, eval_input_reader=[eval_input_config])
    checked.demand(checks.check_inputs(config))
    model = model or model_builder.build(model_config, is_training=False)
    batch_size = _batch_size(params, eval_config, input_context)
    dataset = inputs.eval_dataset(config, eval_input_config, *_resizer_and_labels(model_config, eval_input_config),
                                  batch_size=batch_size)
    if eval_input_config.drop_remainder:  # unstack_batch needs to know the batch size inside a tf.function
        dataset = dataset.unbatch().batch(batch_size, drop_remainder=True)
    return _as_reference(dataset, model, eval_config.retain_original_images)


def create_train_input_fn(train_config: protos.TrainConfig, train_input_config: protos.InputReader,
                          model_config: protos.DetectionModel) -> Callable[..., tf.data.Dataset]:
    """Return fn(params=None) -> train_input(...)."""
    return lambda params=None: train_input(train_config, train_input_config, model_config, params=params)


def create_eval_input_fn(eval_config: protos.EvalConfig, eval_input_config: protos.InputReader,
                         model_config: protos.DetectionModel) -> Callable[..., tf.data.Dataset]:
    """Return fn(params=None) -> eval_input(...)."""
    return lambda params=None: eval_input(eval_config, eval_input_config, model_config, params=params)


def augment_input_data(tensor_dict: dict[str, tf.Tensor],
                       data_augmentation_options: Iterable[tuple[Callable[..., Any], dict[str, Any]]]
                       ) -> dict[str, tf.Tensor]:
    """Return an example with augmentations applied in order.

    Args:
        tensor_dict: image [H, W, 3], 0..255, of any dtype; and its objects, see core.preprocessor.preprocess.
        data_augmentation_options: from preprocessor_builder.build.
    """
    image = tf.cast(tensor_dict[Fields.image], tf.float32)[tf.newaxis]
    augmented = preprocessor.preprocess({**tensor_dict, Fields.image: image}, data_augmentation_options)
    return {**augmented, Fields.image: augmented[Fields.image][0]}


def _config(model_config: protos.DetectionModel, **sections: Any) -> protos.TrainEvalPipelineConfig:
    types = {'model': protos.DetectionModel, 'train_config': protos.TrainConfig, 'eval_config': protos.EvalConfig,
             'train_input_reader': protos.InputReader, 'eval_input_reader': protos.InputReader}
    for name, section in {'model': model_config, **sections}.items():
        for message in section if isinstance(section, list) else [section]:
            if not isinstance(message, types[name]):
                raise TypeError(f'{name} must be a {types[name].DESCRIPTOR.name} message, not a '
                                f'{type(message).__name__}')
    return protos.TrainEvalPipelineConfig(model=model_config, **sections)


def _resizer_and_labels(model_config: protos.DetectionModel, reader: protos.InputReader) -> tuple[Any, Any]:
    labels = label_map.load(reader.label_map_path) if reader.label_map_path else None
    return resizers.build(config_util.get_image_resizer_config(model_config)), labels


def _batch_size(params: dict[str, Any] | None, config: Any, input_context: tf.distribute.InputContext | None) -> int:
    return per_replica(params['batch_size'] if params else config.batch_size, input_context)


def _as_reference(dataset: tf.data.Dataset, model: DetectorModel, keep_images: bool) -> tf.data.Dataset:
    """Preprocess the images of a data set of object_detection.inputs, and give its batches the reference's form."""
    def convert(features: dict[str, tf.Tensor], labels: dict[str, tf.Tensor]) -> tuple[dict, dict]:
        images, shapes = features[Fields.image], features[Fields.true_image_shape]
        names = features[Fields.filename]
        anonymous = tf.strings.as_string(tf.random.uniform(tf.shape(names), maxval=2 ** 62, dtype=tf.int64))
        converted = {
            Fields.image: model.normalize(images, shapes), Fields.true_image_shape: shapes,
            Fields.original_image_spatial_shape: features[Fields.original_image_spatial_shape],
            HASH_KEY: tf.cast(tf.strings.to_hash_bucket_fast(tf.where(names == '', anonymous, names), HASH_BINS),
                              tf.int32)}
        if keep_images:
            converted[Fields.original_image] = tf.cast(images, tf.uint8)
        return converted, {**labels, Fields.groundtruth_confidences: labels[Fields.groundtruth_classes],
                           Fields.groundtruth_difficult: tf.cast(labels[Fields.groundtruth_difficult], tf.int32)}

    return dataset.map(tf.autograph.experimental.do_not_convert(convert)).prefetch(tf.data.AUTOTUNE)
