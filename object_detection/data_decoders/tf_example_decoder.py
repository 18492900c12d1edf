"""Decode a tf.train.Example with a picture and its boxes.

    decoder = TfExampleDecoder(label_map_proto_file='label_map.pbtxt')
    for serialized in tf.data.TFRecordDataset('train.record'):
        example = decoder.decode(serialized)
        example['image'], example['groundtruth_boxes'], example['groundtruth_classes']
"""
import tensorflow as tf

from object_detection import protos
from object_detection.config import label_map
from object_detection.core.preprocessor import SAMPLE_FIELDS
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.inputs.decode import decoder
from object_detection.utils.errors import UserError

NUMERICAL_MASKS = protos.InputReader.DESCRIPTOR.fields_by_name['mask_type'].enum_type.values_by_name[
    'NUMERICAL_MASKS'].number
_TEXTS = {Fields.filename: 'image/filename', Fields.source_id: 'image/source_id', Fields.key: 'image/key/sha256'}


class TfExampleDecoder:
    """Decodes serialized tf.train.Examples. Classes are read by their text if there is a label map, else by their id.

    Args:
        load_instance_masks: decode masks, as instance_mask_type says (input_reader_pb2.NUMERICAL_MASKS, PNG_MASKS).
        label_map_proto_file: path of a label map.
        use_display_name: accepted; names and display names are both known.
        num_keypoints: keypoints of an object, 0 for none.
        dct_method: accepted; JPEGs are decoded as in training.
        The others are not supported.
    Raises:
        UserError: an argument is not supported, or the label map cannot be read.
    """

    def __init__(self, load_instance_masks: bool = False, instance_mask_type: int = NUMERICAL_MASKS,
                 label_map_proto_file: str | None = None, use_display_name: bool = False, dct_method: str = '',
                 num_keypoints: int = 0, num_additional_channels: int = 0, load_multiclass_scores: bool = False,
                 load_context_features: bool = False, expand_hierarchy_labels: bool = False,
                 load_dense_pose: bool = False, load_track_id: bool = False,
                 load_keypoint_depth_features: bool = False, use_keypoint_label_map: bool = False) -> None:
        del use_display_name, dct_method
        unsupported = {
            'num_additional_channels': num_additional_channels, 'load_multiclass_scores': load_multiclass_scores,
            'load_context_features': load_context_features, 'expand_hierarchy_labels': expand_hierarchy_labels,
            'load_dense_pose': load_dense_pose, 'load_track_id': load_track_id,
            'load_keypoint_depth_features': load_keypoint_depth_features,
            'use_keypoint_label_map': use_keypoint_label_map}
        if given := [name for name, value in unsupported.items() if value]:
            raise UserError(f'TfExampleDecoder does not support {", ".join(given)}; leave it out')
        reader = protos.InputReader(load_instance_masks=load_instance_masks, mask_type=instance_mask_type,
                                    num_keypoints=num_keypoints)
        self._decode = decoder(reader, label_map.load(label_map_proto_file) if label_map_proto_file else None)

    @tf.autograph.experimental.do_not_convert
    def decode(self, tf_example_string_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode one example. Objects that the label map lacks are left out.

        Args:
            tf_example_string_tensor: scalar string.
        Returns:
            image: uint8 [H, W, 3].
            original_image_spatial_shape: int32 [2], H and W.
            filename, source_id, key: scalar strings.
            num_groundtruth_boxes: int32.
            groundtruth_boxes: float32 [N, 4] (ymin, xmin, ymax, xmax), normalized.
            groundtruth_classes: int64 [N], from 1.
            groundtruth_weights, groundtruth_area: float32 [N].
            groundtruth_is_crowd, groundtruth_difficult, groundtruth_group_of: bool [N].
            groundtruth_instance_masks: float32 [N, H, W], groundtruth_instance_mask_weights: float32 [N]; if loaded.
            groundtruth_keypoints: float32 [N, K, 2] (y, x), NaN where not labeled, and
            groundtruth_keypoint_visibilities: bool [N, K]; if num_keypoints is K.
        """
        sample, _ = self._decode(tf_example_string_tensor)
        texts = tf.io.parse_single_example(
            tf_example_string_tensor, {key: tf.io.FixedLenFeature([], tf.string, '') for key in _TEXTS.values()})
        return {**{SAMPLE_FIELDS[name]: value for name, value in sample.items()},
                **{field: texts[key] for field, key in _TEXTS.items()},
                Fields.original_image_spatial_shape: tf.shape(sample['image'])[:2],
                Fields.num_groundtruth_boxes: tf.shape(sample['boxes'])[0]}

    Decode = decode
