"""A serialised tf.train.Example -> the picture and its objects as tensors (tensorflow ops; runs inside tf.data)."""
import tensorflow as tf

from object_detection.config import fields as config_fields
from object_detection.records import BOX_KEYS, KEYPOINT_KEYS, PNG_MASKS
from object_detection.utils.errors import UserError


def check_reader(reader):
    """UserError for the fields of an input_reader that this engine does not honour."""
    findings = config_fields.refused(reader, 'input_reader')
    if not reader.tf_record_input_reader.input_path:
        findings.append('input_reader has no tf_record_input_reader.input_path')
    if findings:
        raise UserError(findings)


def decoder(reader, label_map=None):
    """fn(serialised) -> (sample, filename) for the fields that the input_reader asks for.

    sample: image uint8 [H, W, 3] and, for the N objects, boxes float32 [N, 4] (ymin, xmin, ymax, xmax, normalised),
    classes int64 [N] (ids from 1), weights and area float32 [N], is_crowd, difficult and group_of bool [N];
    keypoints float32 [N, K, 2] (y, x, normalised; not labelled: NaN) and keypoint_visibilities bool [N, K] if
    num_keypoints; masks float32 [N, H, W] (0 or 1) and mask_weights float32 [N] if load_instance_masks: 1, or 0
    where the record has no masks.
    filename: string scalar.

    As in the reference the label's text goes before its id, objects whose text the label map (LabelMap or None) lacks
    and boxes with NaN coordinates are left out, and crowds and difficult objects are kept. Unlike there, records
    without keypoints or masks may stand among others: their keypoints are not labelled, their masks weigh nothing. All
    other masks weigh the same: image/object/mask/weight is not read, of which the reference's Mask R-CNN makes no use.
    """
    check_reader(reader)
    features = _features(reader)
    class_of = _class_lookup(label_map)

    def decode(serialised):
        parsed = tf.io.parse_single_example(serialised, features)
        boxes = tf.stack([parsed[key] for key in BOX_KEYS], axis=1)
        count = tf.shape(boxes)[0]
        image = tf.io.decode_image(parsed['image/encoded'], channels=3, expand_animations=False)
        sample = {
            'boxes': boxes,
            'classes': class_of(parsed['image/object/class/text'], parsed['image/object/class/label']),
            'weights': _or_fill(parsed['image/object/weight'], count, 1.0),
            'area': _or_fill(parsed['image/object/area'], count, 0.0),
        }
        for name in ('is_crowd', 'difficult', 'group_of'):
            sample[name] = tf.cast(_or_fill(parsed[f'image/object/{name}'], count, 0), tf.bool)
        if reader.num_keypoints:
            sample |= _keypoints(parsed, count, reader.num_keypoints)
        if reader.load_instance_masks:
            there = tf.cast(tf.size(parsed['image/object/mask']) > 0, tf.float32)
            sample['masks'] = _masks(parsed, count, tf.shape(image)[:2], reader.mask_type == PNG_MASKS)
            sample['mask_weights'] = tf.fill([count], there)
        known = (sample['classes'] > -1) & ~tf.reduce_any(tf.math.is_nan(boxes), axis=1)
        sample = keep(sample, known)
        return {'image': tf.ensure_shape(image, [None, None, 3]), **sample}, parsed['image/filename']

    return decode


def keep(sample, mask):
    """The sample with only the objects where mask (bool [N]) is true; the image stays."""
    indices = tf.where(mask)[:, 0]
    return {name: value if name == 'image' else tf.gather(value, indices) for name, value in sample.items()}


def _features(reader):
    def many(dtype):
        return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)

    features = {f'image/{name}': tf.io.FixedLenFeature([], tf.string, '') for name in ('encoded', 'filename')}
    features |= {key: many(tf.float32) for key in BOX_KEYS}
    features |= {f'image/object/{name}': many(tf.float32) for name in ('weight', 'area')}
    features |= {f'image/object/{name}': many(tf.int64)
                 for name in ('class/label', 'is_crowd', 'difficult', 'group_of')}
    features['image/object/class/text'] = many(tf.string)
    if reader.num_keypoints:
        features |= {key: many(tf.float32) for key in KEYPOINT_KEYS}
        features['image/object/keypoint/visibility'] = many(tf.int64)
    if reader.load_instance_masks:
        features['image/object/mask'] = many(tf.string if reader.mask_type == PNG_MASKS else tf.float32)
    return features


def _or_fill(values, count, default):
    """Records may leave a list out: then it is the default for each object."""
    return tf.cond(tf.size(values) > 0, lambda: values, lambda: tf.fill([count], tf.cast(default, values.dtype)))


def _class_lookup(label_map):
    """fn(texts [N], labels [N]) -> class ids int64 [N]; -1 for a text that is neither a name nor a display name."""
    if label_map is None:
        return lambda texts, labels: labels
    ids = {}
    for item in label_map.items:
        for name in filter(None, (item.name, item.display_name)):
            ids[name] = max(item.id, ids.get(name, -1))
    names = tf.lookup.KeyValueTensorInitializer(list(ids), list(ids.values()), tf.string, tf.int64)
    table = tf.lookup.StaticHashTable(names, default_value=-1)
    return lambda texts, labels: tf.cond(tf.size(texts) > 0, lambda: table.lookup(texts), lambda: labels)


def _keypoints(parsed, count, each):
    y, x = (tf.reshape(_or_fill(parsed[key], count * each, float('nan')), [-1, each]) for key in KEYPOINT_KEYS)
    said = parsed['image/object/keypoint/visibility']
    labelled = tf.cond(tf.size(said) == tf.size(x), lambda: tf.reshape((said == 1) | (said == 2), [-1, each]),
                       lambda: ~tf.math.is_nan(x))
    points = tf.stack([y, x], axis=2)
    return {'keypoints': tf.where(labelled[..., tf.newaxis], points, float('nan')), 'keypoint_visibilities': labelled}


def _masks(parsed, count, size, png):
    encoded = parsed['image/object/mask']
    nothing = tf.zeros(tf.concat([[count], size], 0))
    if not png:
        return tf.cast(tf.reshape(_or_fill(encoded, tf.size(nothing), 0.0), tf.shape(nothing)) > 0, tf.float32)

    def decode(data):
        return tf.cast(tf.io.decode_image(data, channels=1, expand_animations=False)[..., 0] > 0, tf.float32)

    return tf.cond(tf.size(encoded) > 0,
                   lambda: tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.float32)),
                   lambda: nothing)
