"""The data sets that training and evaluation iterate over."""
import tensorflow as tf

from object_detection import records
from object_detection.inputs import augmentation
from object_detection.inputs.augmentation.stateless import Random
from object_detection.inputs.decode import decoder
from object_detection.inputs.order import Stream
from object_detection.utils.errors import UserError

_READ = 16  # records per call into Python, which alone costs as much as reading several of them


def train_dataset(config, resize, label_map=None, batch_size=None, start_step=0, seed=0):
    """tf.data.Dataset of training batches (features, groundtruth) from the `start_step`-th on.

    config: TrainEvalPipelineConfig. resize: fn(image uint8 or float32 [H, W, 3]) -> (image float32 [h, w, 3], true
    shape int32 [3]), the model's. label_map: LabelMap, or None to trust the ids of the records. batch_size: of the
    whole step (all devices together), None: train_config.batch_size. seed: of order and augmentation, below 2**31.

    The batches are those of `_preparation`, stacked. Batch k is the same whether the data set started at 0 or at k, and
    however many threads prepare it. Endless unless train_input_reader.num_epochs limits it; a last incomplete batch is
    dropped unless drop_remainder is false. A broken record ends in a tf.errors.InvalidArgumentError: see `blame`.
    """
    reader = config.train_input_reader
    batch_size = batch_size or config.train_config.batch_size
    augment = augmentation.build(config.train_config.data_augmentation_options)
    prepare = _preparation(config, reader, resize, label_map,
                           lambda sample, position: augment(sample, Random(seed, position)))
    return _batches(Stream(reader, seed), start_step * batch_size, prepare, batch_size, reader.drop_remainder)


def eval_dataset(config, reader, resize, label_map=None, batch_size=None, seed=0):
    """tf.data.Dataset of (features, groundtruth) batches of one input_reader: no augmentation, nothing dropped.

    reader: one of config.eval_input_reader, or the train_input_reader. batch_size None: eval_config.batch_size.
    One pass over the records unless reader.num_epochs asks for more; the last batch may be smaller.
    """
    prepare = _preparation(config, reader, resize, label_map, lambda sample, position: sample)
    stream = Stream(reader, seed, epochs=reader.num_epochs or 1)
    return _batches(stream, 0, prepare, batch_size or config.eval_config.batch_size, drop_remainder=False)


def blame(reader, label_map, step, batch_size, seed=0):
    """The UserError that names the broken records of batch `step`; None if its records are in order.

    For use when iterating over train_dataset or eval_dataset raised tf.errors.InvalidArgumentError at that batch.
    """
    stream = Stream(reader, seed)
    findings = []
    for i in stream.records_at(step * batch_size, batch_size):
        example, found = records.faults(stream.records[i], label_map, reader)
        name = f'picture {example.filename!r}' if example and example.filename else 'a picture without file name'
        findings += [f'{name}: {kind}{": " + detail if detail else ""} ({stream.records.where(i)})'
                     for severity, kind, detail in found if severity == 'error']
    return UserError(findings) if findings else None


def _batches(stream, first, prepare, batch_size, drop_remainder):
    def read(position):
        count = tf.minimum(tf.cast(_READ, tf.int64), stream.end - position)
        data = tf.numpy_function(stream.read, [position, count], tf.string, stateful=False)
        return tf.ensure_shape(data, [None]), tf.range(position, position + count)

    plain = tf.autograph.experimental.do_not_convert  # translating the Python code takes seconds, tracing it does not
    return (tf.data.Dataset.range(first, stream.end, _READ)
            .map(plain(read), num_parallel_calls=2)
            .unbatch()
            .map(plain(prepare), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(batch_size, drop_remainder, num_parallel_calls=2)  # copying large pictures takes a thread of its own
            .prefetch(tf.data.AUTOTUNE))


def _preparation(config, reader, resize, label_map, augment):
    """fn(serialised, position) -> (features, groundtruth) of one picture: decode, augment, resize, pad.

    features: image float32 [h, w, 3] (0..255, resized and padded, not normalised), true_image_shape int32 [3] (of what
    is not padding), original_image_spatial_shape int32 [2], filename string.

    groundtruth, padded with zeros to M = max_number_of_boxes: groundtruth_boxes float32 [M, 4], normalised to the
    padded image; groundtruth_classes float32 [M, C], one-hot; groundtruth_weights and groundtruth_area float32 [M];
    groundtruth_is_crowd, groundtruth_difficult and groundtruth_group_of bool [M]; num_groundtruth_boxes int32.
    With keypoints: groundtruth_keypoints float32 [M, K, 2] (NaN where there is none), groundtruth_keypoint_visibilities
    bool [M, K]. With masks: groundtruth_instance_masks float32 [M, h, w], groundtruth_instance_mask_weights float32
    [M], 0 where the record has no masks.
    """
    decode = decoder(reader, label_map)
    num_classes = getattr(config.model, config.model.WhichOneof('model')).num_classes

    def prepare(serialised, position):
        sample, filename = decode(serialised)
        size = tf.shape(sample['image'])[:2]
        sample = augment(sample, position)  # its image stays uint8, a quarter of the bytes, until it has to be float32
        image, true_shape = resize(sample['image'])
        features = {'image': image, 'true_image_shape': true_shape, 'original_image_spatial_shape': size,
                    'filename': filename}
        return features, _groundtruth(sample, image, true_shape, num_classes, reader.max_number_of_boxes)

    return prepare


def _groundtruth(sample, image, true_shape, num_classes, most):
    padding = tf.cast(true_shape[:2] / tf.shape(image)[:2], tf.float32)  # how much of each side is not padding
    boxes = sample['boxes'] * tf.tile(padding, [2])
    tf.debugging.Assert(tf.reduce_all(boxes[:, :2] <= boxes[:, 2:]), ['box with maximum before minimum', boxes])
    truth = {name: sample[name] for name in ('weights', 'area', 'is_crowd', 'difficult', 'group_of')}
    truth |= {'boxes': boxes, 'classes': tf.one_hot(sample['classes'] - 1, num_classes)}
    if 'keypoints' in sample:
        truth |= {'keypoints': sample['keypoints'] * padding, 'keypoint_visibilities': sample['keypoint_visibilities']}
    if 'masks' in sample:
        truth |= {'instance_masks': _resize_masks(sample['masks'], true_shape, image),
                  'instance_mask_weights': sample['mask_weights']}
    return {'num_groundtruth_boxes': tf.minimum(tf.shape(boxes)[0], most),
            **{f'groundtruth_{name}': _pad(value, most) for name, value in truth.items()}}


def _pad(values, count):
    values = values[:count]
    missing = count - tf.shape(values)[0]
    padded = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1))
    return tf.ensure_shape(padded, [count, *values.shape[1:]])


def _resize_masks(masks, true_shape, image):
    """Masks [N, H, W] at the size of the resized image, padded as it is; nearest pixel as in the reference."""
    nearest = tf.image.ResizeMethod.NEAREST_NEIGHBOR
    resized = tf.compat.v1.image.resize(masks[..., tf.newaxis], true_shape[:2], nearest)[..., 0]
    rest = tf.shape(image)[:2] - true_shape[:2]
    return tf.ensure_shape(tf.pad(resized, [[0, 0], [0, rest[0]], [0, rest[1]]]), [None, *image.shape[:2]])
