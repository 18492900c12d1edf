"""Build a data set of decoded records from an input_reader of a pipeline.config."""
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from object_detection import protos
from object_detection.builders import checked
from object_detection.config import checks
from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder
from object_detection.inputs.dataset import examples
from object_detection.inputs.order import Stream
from object_detection.utils.errors import UserError


def build(input_reader_config: protos.InputReader, batch_size: int | None = None,
          transform_input_data_fn: Callable[[dict[str, tf.Tensor]], Any] | None = None,
          input_context: tf.distribute.InputContext | None = None,
          reduce_to_frame_fn: None = None) -> tf.data.Dataset:
    """Return the decoded records of an input_reader, in the order of training.

    Endless unless num_epochs is set. An epoch with `shuffle` is a permutation of all records.

    Args:
        input_reader_config: an InputReader message, such as configs['train_input_config'] of config_util.
        batch_size: None for single examples. Examples of a batch must have the same shapes.
        transform_input_data_fn: applied to each example, a dict as of TfExampleDecoder.decode.
        input_context: batch_size is of all its replicas.
        reduce_to_frame_fn: for videos, which are not supported.
    Raises:
        ValueError: input_reader_config is no InputReader message, or names no records.
        ConfigError: something in it is wrong or not supported.
    """
    if not isinstance(input_reader_config, protos.InputReader):
        raise ValueError('input_reader_config not of type input_reader_pb2.InputReader.')
    if not input_reader_config.tf_record_input_reader.input_path:
        raise ValueError('At least one input path must be specified in `input_reader_config`.')
    checked.demand(checks.check_inputs(protos.TrainEvalPipelineConfig(train_input_reader=input_reader_config)))
    if reduce_to_frame_fn:
        raise UserError('reduce_to_frame_fn is for videos (tf.SequenceExample), which are not supported')
    decoder = TfExampleDecoder(
        load_instance_masks=input_reader_config.load_instance_masks,
        instance_mask_type=input_reader_config.mask_type, num_keypoints=input_reader_config.num_keypoints,
        label_map_proto_file=input_reader_config.label_map_path or None)

    def prepare(serialized: tf.Tensor, position: tf.Tensor) -> Any:
        del position
        example = decoder.decode(serialized)
        return transform_input_data_fn(example) if transform_input_data_fn else example

    dataset = examples(Stream(input_reader_config), prepare)
    if batch_size:
        dataset = dataset.batch(per_replica(batch_size, input_context), input_reader_config.drop_remainder)
    return dataset.prefetch(tf.data.AUTOTUNE)


def per_replica(batch_size: int, input_context: tf.distribute.InputContext | None) -> int:
    """Return the share of one replica in a batch of `batch_size` examples.

    Raises:
        UserError: the input context is one of several machines.
    """
    if input_context is None:
        return batch_size
    if input_context.num_input_pipelines > 1:
        raise UserError(f'the data set would be divided among {input_context.num_input_pipelines} machines; training '
                        'on several machines is not supported')
    return input_context.get_per_replica_batch_size(batch_size)
