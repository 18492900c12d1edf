"""A serialized tf.train.Example -> a sample, with TensorFlow ops, so that it runs inside tf.data."""
from collections.abc import Callable

import tensorflow as tf

from object_detection import protos
from object_detection.config.label_map import LabelMap
from object_detection.inputs.sample import Sample, keep
from object_detection.records import BOX_KEYS, KEYPOINT_KEYS, PNG_MASKS, features_read
from object_detection.utils.limits import MOST_PIXELS


def decoder(reader: protos.InputReader,
            label_map: LabelMap | None = None) -> Callable[[tf.Tensor], tuple[Sample, tf.Tensor]]:
    """Return a function (serialized) -> (sample, filename), both of scalar strings.

    As in the reference: an object's class text wins over its id; objects whose text the label map lacks and boxes with
    NaN coordinates are dropped; crowds and difficult objects are kept. Unlike there, records without keypoints or
    masks may be mixed with others: their keypoints count as not labeled, their masks have weight 0. All other masks
    have weight 1: image/object/mask/weight, which the reference's Mask R-CNN does not use, is not read.

    Lists that do not fit the boxes raise tf.errors.InvalidArgumentError; the reference pads each list for itself, which
    gives boxes the labels or weights of others. records.examine finds without TensorFlow what fails here.

    Args:
        reader: input_reader; num_keypoints, load_instance_masks and mask_type decide which entries a sample has.
        label_map: None to trust the class ids of the records.
    """
    features = _features(reader)
    class_ids = _class_lookup(label_map)

    def decode(serialized):
        parsed = tf.io.parse_single_example(serialized, features)
        boxes = tf.stack([parsed[key] for key in BOX_KEYS], axis=1)
        count = tf.shape(boxes)[0]
        _assert_complete(parsed, count, reader, label_map is not None)
        image = decode_picture(parsed['image/encoded'], 3)
        sample = {
            'boxes': boxes,
            'classes': class_ids(parsed['image/object/class/text'], parsed['image/object/class/label']),
            'weights': _or_fill(parsed['image/object/weight'], count, 1.0),
            'area': _or_fill(parsed['image/object/area'], count, 0.0),
        }
        for name in ('is_crowd', 'difficult', 'group_of'):
            sample[name] = tf.cast(_or_fill(parsed[f'image/object/{name}'], count, 0), tf.bool)
        if reader.num_keypoints:
            sample |= _keypoints(parsed, count, reader.num_keypoints)
        if reader.load_instance_masks:
            has_masks = tf.cast(tf.size(parsed['image/object/mask']) > 0, tf.float32)
            sample['masks'] = _masks(parsed, count, tf.shape(image)[:2], reader.mask_type == PNG_MASKS)
            sample['mask_weights'] = tf.fill([count], has_masks)
        known = (sample['classes'] > -1) & ~tf.reduce_any(tf.math.is_nan(boxes), axis=1)
        sample = keep(sample, known)
        return {'image': tf.ensure_shape(image, [None, None, 3]), **sample}, parsed['image/filename']

    return decode


def decode_picture(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode a picture (scalar string) to uint8 [H, W, channels]; InvalidArgumentError if it has over MOST_PIXELS.

    A few MB of PNG or GIF can be gigapixels, so their headers are read before memory is taken. TensorFlow itself
    refuses JPEGs of that size; BMP is not compressed, and WebP has at most 268 megapixels.
    """
    def of_header():
        header = tf.strings.join([tf.strings.substr(encoded, 0, 24), bytes(24)])
        values = tf.cast(tf.io.decode_raw(tf.strings.substr(header, 0, 24), tf.uint8), tf.int64)
        of_png = tf.reduce_prod(tf.reduce_sum(tf.reshape(values[16:], [2, 4]) * (1 << 24, 1 << 16, 1 << 8, 1), 1))
        of_gif = tf.reduce_prod(tf.reduce_sum(tf.reshape(values[6:10], [2, 2]) * (1, 1 << 8), 1))
        return tf.where(values[0] == 0x89, of_png, tf.where(values[0] == ord('G'), of_gif, 0))

    jpeg = tf.strings.substr(encoded, 0, 1) == b'\xff'
    pixels = tf.cond(jpeg, lambda: tf.constant(0, tf.int64), of_header)
    with tf.control_dependencies([tf.debugging.Assert(pixels <= MOST_PIXELS, [
            f'picture of more than {MOST_PIXELS / 1e6:.1f} megapixels', pixels])]):
        return tf.io.decode_image(encoded, channels=channels, expand_animations=False)


def _features(reader):
    """Return what tf.io.parse_single_example is to read: {key: feature}."""
    types = {'bytes_list': tf.string, 'float_list': tf.float32, 'int64_list': tf.int64}
    return {key: tf.io.FixedLenFeature([], types[kind], '') if values is None else
            tf.io.FixedLenSequenceFeature([], types[kind], allow_missing=True)
            for key, (kind, values) in features_read(reader).items()}


def _assert_complete(parsed, count, reader, by_name):
    """Assert that each list has its values for `count` boxes, or none. by_name: class texts win over class ids."""
    def sizes(*keys):
        return tf.stack([tf.size(parsed[key]) for key in keys])

    used = tf.size(parsed['image/object/class/label'])
    if by_name:
        texts = tf.size(parsed['image/object/class/text'])
        used = tf.where(texts > 0, texts, used)
    given = sizes(*(f'image/object/{name}' for name in ('weight', 'area', 'is_crowd', 'difficult', 'group_of')))
    complete = (used == count) & tf.reduce_all((given == 0) | (given == count))
    if reader.num_keypoints:
        points = sizes(*KEYPOINT_KEYS)
        complete &= (points[0] == points[1]) & ((points[0] == 0) | (points[0] == count * reader.num_keypoints))
    if reader.load_instance_masks and reader.mask_type == PNG_MASKS:
        masks = tf.size(parsed['image/object/mask'])
        complete &= (masks == 0) | (masks == count)
    tf.debugging.Assert(complete, ['a list has not one value for each box', count, used, given])


def _or_fill(values, count, default):
    """Return the values [count], or that many defaults if the record leaves the list out."""
    return tf.cond(tf.size(values) > 0, lambda: values, lambda: tf.fill([count], tf.cast(default, values.dtype)))


def _class_lookup(label_map):
    """Return a function (texts [N], labels [N]) -> class ids int64 [N].

    The id is that of the text if the record has texts, -1 for a text that is neither a name nor a display name.
    """
    if label_map is None:
        return lambda texts, labels: labels
    ids = label_map.ids
    names = tf.lookup.KeyValueTensorInitializer(list(ids), list(ids.values()), tf.string, tf.int64)
    table = tf.lookup.StaticHashTable(names, default_value=-1)
    return lambda texts, labels: tf.cond(tf.size(texts) > 0, lambda: table.lookup(texts), lambda: labels)


def _keypoints(parsed, count, num_keypoints):
    y, x = (tf.reshape(_or_fill(parsed[key], count * num_keypoints, float('nan')), [-1, num_keypoints])
            for key in KEYPOINT_KEYS)
    visibility = parsed['image/object/keypoint/visibility']  # COCO: 0 not labeled, 1 labeled but hidden, 2 visible
    labeled = tf.cond(tf.size(visibility) == tf.size(x),
                      lambda: tf.reshape((visibility == 1) | (visibility == 2), [-1, num_keypoints]),
                      lambda: ~tf.math.is_nan(x)) & ~tf.math.is_nan(x) & ~tf.math.is_nan(y)
    points = tf.stack([y, x], axis=2)
    return {'keypoints': tf.where(labeled[..., tf.newaxis], points, float('nan')), 'keypoint_visibilities': labeled}


def _masks(parsed, count, size, png):
    """Return float32 [count, H, W] of 0 and 1, all 0 if the record has no masks; size: int32 [2], H and W."""
    encoded = parsed['image/object/mask']
    zeros = tf.zeros(tf.concat([[count], size], 0))
    if not png:
        return tf.cast(tf.reshape(_or_fill(encoded, tf.size(zeros), 0.0), tf.shape(zeros)) > 0, tf.float32)

    def decode(data):
        mask = decode_picture(data, 1)[..., 0]
        tf.debugging.Assert(tf.reduce_all(tf.shape(mask) == size), ['mask of another size than its picture', size])
        return tf.cast(mask > 0, tf.float32)

    return tf.cond(tf.size(encoded) > 0,
                   lambda: tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.float32)),
                   lambda: zeros)
