"""Decode a tf.train.Example with a picture and its objects.

    decoder = TfExampleDecoder(label_map_proto_file='label_map.pbtxt')
    for serialized in tf.data.TFRecordDataset('train.record'):
        example = decoder.decode(serialized)
        example['image'], example['groundtruth_boxes'], example['groundtruth_classes']

Training reads records with object_detection.inputs.decode, which refuses lists that do not fit the boxes. This decoder
returns each list as the record has it, as the reference does.
"""
import functools

import numpy as np
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.protos import input_reader_pb2
from object_detection.records import BOX_KEYS, KEYPOINT_KEYS
from object_detection.utils import label_map_util

NUMERICAL_MASKS = input_reader_pb2.NUMERICAL_MASKS
_TEXTS = {Fields.filename: 'image/filename', Fields.source_id: 'image/source_id', Fields.key: 'image/key/sha256'}
_LISTS = {  # field: key of the feature, type in the record, type that is returned
    Fields.groundtruth_image_confidences: ('image/class/confidence', tf.float32, tf.float32),
    Fields.groundtruth_verified_neg_classes: ('image/neg_category_ids', tf.int64, tf.int64),
    Fields.groundtruth_not_exhaustive_classes: ('image/not_exhaustive_category_ids', tf.int64, tf.int64),
    Fields.groundtruth_area: ('image/object/area', tf.float32, tf.float32),
    Fields.groundtruth_is_crowd: ('image/object/is_crowd', tf.int64, tf.bool),
    Fields.groundtruth_difficult: ('image/object/difficult', tf.int64, tf.bool),
    Fields.groundtruth_group_of: ('image/object/group_of', tf.int64, tf.bool)}
_WEIGHTS = 'image/object/weight'
_VISIBILITY, _KEYPOINT_TEXT = 'image/object/keypoint/visibility', 'image/object/keypoint/text'
_DEPTHS = {Fields.groundtruth_keypoint_depths: 'image/object/keypoint/z',
           Fields.groundtruth_keypoint_depth_weights: 'image/object/keypoint/z/weights'}
_MASKS, _MASK_WEIGHTS = 'image/object/mask', 'image/object/mask/weight'
_POINTS, _PARTS = 'image/object/densepose/num', 'image/object/densepose/part_index'
_SURFACE = tuple(f'image/object/densepose/{axis}' for axis in 'yxvu')
_CHANNELS = 'image/additional_channels/encoded'
_CONTEXT, _CONTEXT_LENGTH = 'image/context_features', 'image/context_feature_length'


class TfExampleDecoder:
    """Decodes serialized tf.train.Examples. Classes are read by their text if there is a label map, else by their id.

    Args:
        load_instance_masks: decode masks, as instance_mask_type says (input_reader_pb2.NUMERICAL_MASKS, PNG_MASKS).
        label_map_proto_file: path of a label map.
        use_display_name: accepted; names and display names are both known.
        dct_method: accepted; JPEGs are decoded as in training.
        num_keypoints: keypoints of an object, 0 for none.
        num_additional_channels: pictures of one channel that each example has beside its image.
        load_multiclass_scores, load_context_features, load_dense_pose, load_track_id, load_keypoint_depth_features:
            decode these features.
        expand_hierarchy_labels: repeat each object for all ancestors of its class in the label map; classes of the
            image get their ancestors (confidence 1) or descendants (confidence 0).
        use_keypoint_label_map: find the id of a keypoint by its text in the label map, instead of by its place.
    Raises:
        ValueError: an option needs a label map, there is no such instance_mask_type, or ids of the label map are wrong.
        FileNotFoundError, UserError: the label map cannot be read.
    """

    def __init__(self, load_instance_masks: bool = False, instance_mask_type: int = NUMERICAL_MASKS,
                 label_map_proto_file: str | None = None, use_display_name: bool = False, dct_method: str = '',
                 num_keypoints: int = 0, num_additional_channels: int = 0, load_multiclass_scores: bool = False,
                 load_context_features: bool = False, expand_hierarchy_labels: bool = False,
                 load_dense_pose: bool = False, load_track_id: bool = False,
                 load_keypoint_depth_features: bool = False, use_keypoint_label_map: bool = False) -> None:
        del use_display_name, dct_method
        if load_instance_masks and instance_mask_type not in input_reader_pb2.InstanceMaskType.values():
            raise ValueError('Did not recognize the `instance_mask_type` option.')
        self._class_ids, self._keypoint_ids, self._ancestors, self._descendants = None, None, None, None
        if label_map_proto_file:
            self._class_ids = _table(_class_ids(label_map_proto_file))
            if use_keypoint_label_map:
                self._keypoint_ids = _table(label_map_util.get_keypoint_label_map_dict(label_map_proto_file))
            if expand_hierarchy_labels:
                self._ancestors, self._descendants = (
                    table > 0 for table in label_map_util.get_label_map_hierarchy_lut(label_map_proto_file, True))
        elif expand_hierarchy_labels or use_keypoint_label_map:
            raise ValueError('In order to expand labels or to find keypoints by their text, the label_map_proto_file '
                             'has to be provided.')
        self._num_keypoints = num_keypoints
        self._depths = _DEPTHS if load_keypoint_depth_features and num_keypoints else {}
        self._masks = load_instance_masks
        self._png_masks = instance_mask_type == input_reader_pb2.PNG_MASKS
        self._dense_pose = load_dense_pose
        self._lists = dict(_LISTS)
        if load_multiclass_scores:
            self._lists[Fields.multiclass_scores] = 'image/object/class/multiclass_scores', tf.float32, tf.float32
        if load_track_id:
            self._lists[Fields.groundtruth_track_ids] = 'image/object/track/label', tf.int64, tf.int32
        if load_dense_pose:
            self._lists[Fields.groundtruth_dp_num_points] = _POINTS, tf.int64, tf.int32
        self._features = self._described(num_additional_channels, load_context_features)

    def _described(self, num_additional_channels, load_context_features):
        """Return {key: feature} of what tf.io.parse_single_example is to read."""
        lists = {key: stored for key, stored, _ in self._lists.values()}
        lists |= dict.fromkeys((*BOX_KEYS, _WEIGHTS), tf.float32)
        for of in ('image', 'image/object'):
            lists |= {f'{of}/class/text': tf.string, f'{of}/class/label': tf.int64}
        if self._num_keypoints:
            lists |= dict.fromkeys((*KEYPOINT_KEYS, *self._depths.values()), tf.float32) | {_VISIBILITY: tf.int64}
        if self._keypoint_ids:
            lists[_KEYPOINT_TEXT] = tf.string
        if self._masks:
            lists |= {_MASKS: tf.string if self._png_masks else tf.float32, _MASK_WEIGHTS: tf.float32}
        if self._dense_pose:
            lists |= dict.fromkeys(_SURFACE, tf.float32) | {_PARTS: tf.int64}
        if load_context_features:
            lists[_CONTEXT] = tf.float32
        features = {key: tf.io.VarLenFeature(stored) for key, stored in lists.items()}
        features |= {key: tf.io.FixedLenFeature([], tf.string, '') for key in ('image/encoded', *_TEXTS.values())}
        features |= {key: tf.io.FixedLenFeature([], tf.int64, 1) for key in ('image/height', 'image/width')}
        if load_context_features:
            features[_CONTEXT_LENGTH] = tf.io.FixedLenFeature([], tf.int64)
        if num_additional_channels:
            features[_CHANNELS] = tf.io.FixedLenFeature([num_additional_channels], tf.string)
        return features

    @tf.autograph.experimental.do_not_convert
    def decode(self, tf_example_string_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one example. Lists that it lacks are empty, but for weights.

        Args:
            tf_example_string_tensor: scalar string.
        Returns:
            image: uint8 [H, W, 3].
            original_image_spatial_shape: int32 [2], H and W.
            filename, source_id, key: scalar strings.
            groundtruth_boxes: float32 [N, 4] (ymin, xmin, ymax, xmax), normalized.
            groundtruth_classes: int64 [N], from 1; -1 for a text that the label map lacks.
            groundtruth_weights: float32 [N], 1 by default; groundtruth_area: float32 [N].
            groundtruth_is_crowd, groundtruth_difficult, groundtruth_group_of: bool [N].
            groundtruth_image_classes: int64 [L]; groundtruth_image_confidences: float32 [L], 1 where the image shows
            the class, 0 where it does not.
            groundtruth_verified_neg_classes, groundtruth_not_exhaustive_classes: int64, any number.
            With the option of the name:
            groundtruth_instance_masks: float32 [N, H, W], groundtruth_instance_mask_weights: float32 [N], 1 by default.
            groundtruth_keypoints: float32 [N, K, 2] (y, x), NaN where not labeled;
            groundtruth_keypoint_visibilities: bool [N, K], whether labeled; groundtruth_keypoint_depths and
            _depth_weights: float32 [N, K], 0 by default.
            image_additional_channels: uint8 [H, W, num_additional_channels].
            multiclass_scores: float32 [N * classes]. groundtruth_track_ids: int32 [N].
            groundtruth_dp_num_points: int32 [N]; padded with zeros to the largest, P: groundtruth_dp_part_ids: int32
            [N, P], groundtruth_dp_surface_coords: float32 [N, P, 4] (y, x, v, u).
            context_features: float32 [number, context_feature_length]; context_feature_length: int64.
        """
        parsed = tf.io.parse_single_example(tf.reshape(tf_example_string_tensor, []), self._features)
        boxes = tf.stack([parsed[key].values for key in BOX_KEYS], axis=1)
        parsed = {key: tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value
                  for key, value in parsed.items()}
        image = tf.io.decode_image(parsed['image/encoded'], channels=3, expand_animations=False)
        image = tf.ensure_shape(image, [None, None, 3])
        example = {
            Fields.image: image, Fields.original_image_spatial_shape: tf.shape(image)[:2],
            **{field: parsed[key] for field, key in _TEXTS.items()},
            **{field: tf.cast(parsed[key], returned) for field, (key, _, returned) in self._lists.items()},
            Fields.groundtruth_boxes: boxes,
            Fields.groundtruth_weights: _or_ones(parsed[_WEIGHTS], tf.shape(boxes)[0]),
            Fields.groundtruth_classes: self._ids(parsed, 'image/object'),
            Fields.groundtruth_image_classes: self._ids(parsed, 'image')}
        if self._masks:
            example |= self._decode_masks(parsed)
        if self._num_keypoints:
            example |= self._decode_keypoints(parsed, tf.shape(example[Fields.groundtruth_classes])[0])
        if self._dense_pose:
            example |= _decode_dense_pose(parsed)
        if _CHANNELS in parsed:
            channels = tf.map_fn(_decode_channel, parsed[_CHANNELS],
                                 fn_output_signature=tf.TensorSpec([None, None], tf.uint8))
            example[Fields.image_additional_channels] = tf.transpose(channels, [1, 2, 0])
        if _CONTEXT in parsed:
            length = parsed[_CONTEXT_LENGTH]
            example |= {Fields.context_feature_length: length,
                        Fields.context_features: tf.reshape(parsed[_CONTEXT], [-1, tf.cast(length, tf.int32)])}
        return example if self._ancestors is None else self._expand(example)

    Decode = decode

    def _ids(self, parsed, of):
        texts, labels = parsed[f'{of}/class/text'], parsed[f'{of}/class/label']
        if self._class_ids is None:
            return labels
        return tf.cond(tf.size(texts) > 0, lambda: self._class_ids.lookup(texts), lambda: labels)

    def _decode_masks(self, parsed):
        encoded, size = parsed[_MASKS], tf.cast(tf.stack([parsed['image/height'], parsed['image/width']]), tf.int32)
        if self._png_masks:
            masks = tf.cond(
                tf.size(encoded) > 0,
                lambda: tf.map_fn(lambda png: tf.cast(_decode_channel(png) > 0, tf.float32), encoded,
                                  fn_output_signature=tf.TensorSpec([None, None], tf.float32)),
                lambda: tf.zeros(tf.concat([[0], size], 0)))
        else:
            masks = tf.cast(tf.reshape(encoded, tf.stack([-1, *tf.unstack(size)])) > 0, tf.float32)
        return {Fields.groundtruth_instance_masks: masks,
                Fields.groundtruth_instance_mask_weights: _or_ones(parsed[_MASK_WEIGHTS], tf.shape(masks)[0])}

    def _decode_keypoints(self, parsed, count):
        points = tf.stack([parsed[key] for key in KEYPOINT_KEYS], axis=1)
        given = parsed[_VISIBILITY]  # COCO: 0 not labeled, 1 labeled but hidden, 2 visible
        labeled = tf.cond(tf.size(given) == tf.shape(points)[0], lambda: (given == 1) | (given == 2),
                          lambda: ~tf.math.is_nan(points[:, 1]))
        shape = [-1, self._num_keypoints]
        example = {field: tf.reshape(_or_zeros(parsed[key], points[:, 1]), shape)
                   for field, key in self._depths.items()}
        if self._keypoint_ids is None:
            points, labeled = tf.reshape(points, [*shape, 2]), tf.reshape(labeled, shape)
        else:
            points, labeled = self._by_text(parsed[_KEYPOINT_TEXT], points, labeled, count)
        return {**example, Fields.groundtruth_keypoint_visibilities: labeled,
                Fields.groundtruth_keypoints: tf.where(labeled[..., tf.newaxis], points, np.float32(np.nan))}

    def _by_text(self, texts, points, labeled, count):
        """Put points float32 [count * k, 2] and labeled bool [count * k] where the ids of their texts are."""
        ids = tf.cast(self._keypoint_ids.lookup(texts), tf.int32)
        owners = tf.repeat(tf.range(count), tf.size(texts) // tf.maximum(count, 1))
        known = ids >= 0
        places = tf.boolean_mask(tf.stack([owners, ids], axis=1), known)

        def put(values):
            shape = tf.stack([count, self._num_keypoints, *values.shape[1:]])
            put = tf.scatter_nd(places, tf.boolean_mask(values, known), shape)
            return tf.ensure_shape(put, [None, self._num_keypoints, *values.shape[1:]])

        return put(points), put(tf.cast(labeled, tf.int32)) > 0

    def _expand(self, example):
        """Repeat the objects for each ancestor of their classes, and add classes to those of the image."""
        related = tf.gather(self._ancestors, example[Fields.groundtruth_classes] - 1)  # [N, classes]
        owners, columns = tf.unstack(tf.where(related), axis=1)
        lists = (Fields.groundtruth_area, Fields.groundtruth_is_crowd, Fields.groundtruth_difficult,
                 Fields.groundtruth_group_of, Fields.groundtruth_boxes, Fields.groundtruth_weights)
        expanded = {field: tf.cond(tf.size(example[field]) > 0, functools.partial(tf.gather, example[field], owners),
                                   functools.partial(tf.identity, example[field])) for field in lists}
        classes = example[Fields.groundtruth_image_classes]
        confidences = example[Fields.groundtruth_image_confidences]
        for confidence, table in ((1., self._ancestors), (0., self._descendants)):
            known = confidences == confidence
            found = tf.where(tf.reduce_any(tf.gather(table, tf.boolean_mask(classes, known) - 1), axis=0))[:, 0] + 1
            classes = tf.concat([tf.boolean_mask(classes, ~known), found], 0)
            confidences = tf.concat([tf.boolean_mask(confidences, ~known), tf.fill([tf.size(found)], confidence)], 0)
        return {**example, **expanded, Fields.groundtruth_classes: columns + 1,
                Fields.groundtruth_image_classes: classes, Fields.groundtruth_image_confidences: confidences}


def _class_ids(label_map_path):
    """Return {name or display name: id}; of two ids of one text the higher, as in the reference."""
    ids = label_map_util.get_label_map_dict(label_map_path)
    for name, number in label_map_util.get_label_map_dict(label_map_path, use_display_name=True).items():
        ids[name] = max(number, ids.get(name, number))
    return {name: number for name, number in ids.items() if name}


def _table(ids):
    """Return a table text -> id, -1 for texts that are not in `ids`."""
    initializer = tf.lookup.KeyValueTensorInitializer(list(ids), list(ids.values()), tf.string, tf.int64)
    return tf.lookup.StaticHashTable(initializer, default_value=-1)


def _or_ones(values, count):
    return tf.cond(tf.size(values) > 0, lambda: values, lambda: tf.ones([count]))


def _or_zeros(values, like):
    return tf.cond(tf.size(values) == tf.size(like), lambda: values, lambda: tf.zeros_like(like))


def _decode_channel(data):
    return tf.io.decode_image(data, channels=1, expand_animations=False)[..., 0]


def _decode_dense_pose(parsed):
    def padded(values):
        return tf.RaggedTensor.from_row_lengths(values, parsed[_POINTS]).to_tensor()

    return {Fields.groundtruth_dp_part_ids: padded(tf.cast(parsed[_PARTS], tf.int32)),
            Fields.groundtruth_dp_surface_coords: padded(tf.stack([parsed[key] for key in _SURFACE], axis=1))}
