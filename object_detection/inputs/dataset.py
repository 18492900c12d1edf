"""The tf.data.Datasets that training and evaluation iterate over."""
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf

from object_detection import protos, records
from object_detection.config.label_map import LabelMap
from object_detection.inputs import augmentation
from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.decode import decoder
from object_detection.inputs.order import Stream
from object_detection.inputs.sample import Sample
from object_detection.utils.errors import UserError

# fn(image uint8 or float32 [H, W, 3]) -> (image float32 [h, w, 3], true shape int32 [3]): the model's resizer.
Share = tuple[int, int]  # (k, n): the k-th of n equal parts
ALL: Share = 0, 1

Resize = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

# What TensorFlow makes of a record that it cannot decode, and of an exception in Python, such as of a wrong checksum.
_READ_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.UnknownError)
_READ = 16  # records per call into Python; a call alone costs as much as reading several records


def train_dataset(config: protos.TrainEvalPipelineConfig, resize: Resize, label_map: LabelMap | None = None,
                  batch_size: int | None = None, start_step: int = 0, seed: int = 0, skipped: Iterable[int] = (),
                  share: Share = ALL) -> tf.data.Dataset:
    """Return the training batches (features, groundtruth), starting with batch `start_step`.

    A batch stacks what `_preparation` makes of its pictures. Batch k is the same whether the data set starts at 0 or
    at k, and however many threads prepare it. Endless unless train_input_reader.num_epochs limits it; a last incomplete
    batch is dropped unless drop_remainder is false. Broken records raise errors of TensorFlow: see
    `naming_broken_records`.

    Args:
        label_map: None to trust the class ids of the records.
        batch_size: pictures per step, of all devices together; None: train_config.batch_size.
        seed: of order and augmentation, below 2**31.
        skipped: indices of records in whose places others come; see Stream.
        share: (k, n) for the k-th of n equal parts of each batch; no record of the others is read.
    """
    reader = config.train_input_reader
    batch_size = batch_size or config.train_config.batch_size
    augment = augmentation.build(config.train_config.data_augmentation_options)
    prepare = _preparation(config, reader, resize, label_map,
                           lambda sample, position: augment(sample, Random(seed, position)))
    stream = Stream(reader, seed, skipped=skipped)
    return _batches(stream, start_step * batch_size, prepare, batch_size, reader.drop_remainder, share)


def eval_dataset(config: protos.TrainEvalPipelineConfig, reader: protos.InputReader, resize: Resize,
                 label_map: LabelMap | None = None, batch_size: int | None = None, seed: int = 0,
                 start_step: int = 0, left_out: Iterable[int] = (), share: Share = ALL) -> tf.data.Dataset:
    """Return the evaluation batches (features, groundtruth) of one input_reader, without augmentation.

    One pass over the records unless reader.num_epochs asks for more; the last batch may be smaller.

    Args:
        reader: one of config.eval_input_reader or config.train_input_reader.
        batch_size: None: eval_config.batch_size.
        left_out: indices of records that are not evaluated; see Stream.
        share: (k, n) for the k-th of n parts of the records, one after the other; start_step counts its batches.
        Others: see train_dataset.
    """
    prepare = _preparation(config, reader, resize, label_map, lambda sample, position: sample)
    stream = Stream(reader, seed, epochs=reader.num_epochs or 1, left_out=left_out)
    batch_size = batch_size or config.eval_config.batch_size
    first, stream.end = _bounds(stream.end, share)
    return _batches(stream, first + start_step * batch_size, prepare, batch_size, drop_remainder=False)


class BrokenRecords(UserError):
    """Records that cannot be read.

    Attributes:
        faults: {index of the record: what is wrong with it, with the name of the picture and the place in the file}.
    """

    def __init__(self, faults: dict[int, list[str]]) -> None:
        super().__init__([line for lines in faults.values() for line in lines])
        self.faults = faults


@contextlib.contextmanager
def naming_broken_records(reader: protos.InputReader, label_map: LabelMap | None, step: int, batch_size: int,
                          seed: int = 0, steps: int = 1, skipped: Iterable[int] = (), left_out: Iterable[int] = (),
                          share: Share = ALL) -> Iterator[None]:
    """Take batch `step`, or `steps` of them from there on, of a train_dataset or eval_dataset inside the block;
    BrokenRecords names their broken records.

    Args:
        share: of an eval_dataset.
    """
    try:
        yield
    except _READ_ERRORS as error:
        stream = Stream(reader, seed, skipped=skipped, left_out=left_out)
        first = 0 if share == ALL else _bounds(stream.end, share)[0]
        faults = _broken(stream, reader, label_map, first + step * batch_size, steps * batch_size)
        if not faults:
            raise
        raise BrokenRecords(faults) from error


def _bounds(count: int, share: Share) -> tuple[int, int]:
    """Return where the k-th of n parts of `count` positions begins and ends."""
    index, shares = share
    return count * index // shares, count * (index + 1) // shares


def _broken(stream, reader, label_map, position, batch_size):
    """Describe each broken record of a batch; of the records read with it, if there are none in the batch."""
    decode = decoder(reader, label_map)

    def faults(i):
        data, intact = stream.records.read(i)
        look = records.examine(data, label_map, reader)
        found = [fault for fault in look.faults if fault.fatal]
        if not intact:
            found.append(records.Fault('error', 'the data has a wrong checksum; copy or write the file again'))
        if not found:
            try:
                decode(data)
            except tf.errors.InvalidArgumentError as error:
                found.append(records.Fault('error', str(error).rpartition('}}')[2].partition('[Op:')[0].strip()))
        name = f'picture {look.name!r}' if look.name else 'a picture without file name'
        return [f'{name}: {fault.kind}{": " + fault.detail if fault.detail else ""} ({stream.records.where(i)})'
                for fault in found]

    for first, count in ((position, batch_size), (position + batch_size, _READ)):
        indices = stream.records_at(first, max(0, min(count, stream.end - first))).tolist()
        if found := {i: lines for i in dict.fromkeys(indices) if (lines := faults(i))}:
            return found
    return {}


def examples(stream: Stream, prepare: Callable[[tf.Tensor, tf.Tensor], Any], first: int = 0, batch_size: int = 1,
             share: Share = ALL) -> tf.data.Dataset:
    """Return what `prepare` makes of each record of a stream.

    Args:
        prepare: fn(serialized tf.train.Example, position in the stream, int64), both scalars.
        first: position to start at; a multiple of batch_size if there are several shares.
        batch_size, share: take the share of each batch_size positions, which it divides evenly.
    """
    index, count = share
    own = batch_size // count
    batches, rest = divmod(stream.end, batch_size)
    end = batches * own + min(max(rest - index * own, 0), own)

    def read(turn):
        turns = tf.range(turn, tf.minimum(turn + _READ, end))
        positions = turns if count == 1 else turns // own * batch_size + index * own + turns % own
        data = tf.numpy_function(stream.read, [positions], tf.string, stateful=False)
        return tf.ensure_shape(data, [None]), positions

    traced = tf.autograph.experimental.do_not_convert  # autograph takes seconds, tracing does not
    return (tf.data.Dataset.range(first // count, end, _READ)
            .map(traced(read), num_parallel_calls=2)
            .unbatch()
            .map(traced(prepare), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True))


def _batches(stream, first, prepare, batch_size, drop_remainder, share=ALL):
    return (examples(stream, prepare, first, batch_size, share)
            # copying large pictures takes a thread of its own
            .batch(batch_size // share[1], drop_remainder, num_parallel_calls=2)
            .prefetch(tf.data.AUTOTUNE))


def _preparation(config, reader, resize, label_map, augment):
    """Return a function (serialized, position) -> (features, groundtruth) of one picture: decode, augment, resize, pad.

    h, w: size of the resized and padded image. C: num_classes. M: max_number_of_boxes. Groundtruth is padded to M rows
    with zeros.

    features:
        image                          float32 [h, w, 3]   0..255, not normalized
        true_image_shape               int32 [3]           of the image without padding
        original_image_spatial_shape   int32 [2]           height and width of the picture
        filename                       string

    groundtruth:
        num_groundtruth_boxes                                   int32
        groundtruth_boxes                                       float32 [M, 4]   normalized to the padded image
        groundtruth_classes                                     float32 [M, C]   one-hot
        groundtruth_weights, _area                              float32 [M]
        groundtruth_is_crowd, _difficult, _group_of             bool [M]
        groundtruth_keypoints (if read)                         float32 [M, K, 2], NaN where not labeled
        groundtruth_keypoint_visibilities (if read)             bool [M, K]
        groundtruth_instance_masks (if read)                    float32 [M, h, w]
        groundtruth_instance_mask_weights (if read)             float32 [M], 0 where the record has no masks
    """
    decode = decoder(reader, label_map)
    num_classes = getattr(config.model, config.model.WhichOneof('model')).num_classes

    def prepare(serialized, position):
        sample, filename = decode(serialized)
        size = tf.shape(sample['image'])[:2]
        sample = augment(sample, position)  # its image stays uint8, a quarter of the bytes, as long as possible
        image, true_shape = resize(sample['image'])
        features = {'image': image, 'true_image_shape': true_shape, 'original_image_spatial_shape': size,
                    'filename': filename}
        return features, _groundtruth(sample, image, true_shape, num_classes, reader.max_number_of_boxes)

    return prepare


def _groundtruth(sample: Sample, image, true_shape, num_classes, max_boxes):
    scale = tf.cast(true_shape[:2] / tf.shape(image)[:2], tf.float32)  # fraction of each side that is not padding
    boxes = sample['boxes'] * tf.tile(scale, [2])
    tf.debugging.Assert(tf.reduce_all(boxes[:, :2] <= boxes[:, 2:]), ['box with maximum before minimum', boxes])
    groundtruth = {name: sample[name] for name in ('weights', 'area', 'is_crowd', 'difficult', 'group_of')}
    groundtruth |= {'boxes': boxes, 'classes': tf.one_hot(sample['classes'] - 1, num_classes)}
    if 'keypoints' in sample:
        groundtruth |= {'keypoints': sample['keypoints'] * scale,
                        'keypoint_visibilities': sample['keypoint_visibilities']}
    if 'masks' in sample:
        groundtruth |= {'instance_masks': resize_masks(sample['masks'], true_shape, image),
                        'instance_mask_weights': sample['mask_weights']}
    return {'num_groundtruth_boxes': tf.minimum(tf.shape(boxes)[0], max_boxes),
            **{f'groundtruth_{name}': _pad(value, max_boxes) for name, value in groundtruth.items()}}


def _pad(values, count):
    """Cut or pad [N, ...] with zeros to [count, ...]."""
    values = values[:count]
    missing = count - tf.shape(values)[0]
    padded = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1))
    return tf.ensure_shape(padded, [count, *values.shape[1:]])


def resize_masks(masks: tf.Tensor, true_shape: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Resize and pad masks as their image was; by nearest neighbor, as in the reference.

    Args:
        masks: float32 [N, H, W].
        true_shape: int32 [3], of the resized image without padding.
        image: [h, w, 3], resized and padded.
    Returns:
        float32 [N, h, w].
    """
    nearest = tf.image.ResizeMethod.NEAREST_NEIGHBOR
    resized = tf.compat.v1.image.resize(masks[..., tf.newaxis], true_shape[:2], nearest)[..., 0]
    rest = tf.shape(image)[:2] - true_shape[:2]
    return tf.ensure_shape(tf.pad(resized, [[0, 0], [0, rest[0]], [0, rest[1]]]), [None, *image.shape[:2]])
