"""Read groundtruth and detections from a tf.train.Example as NumPy arrays. Imports no TensorFlow.

    example = tf.train.Example.FromString(record)
    boxes = BoundingBoxParser('image/object/bbox/xmin', 'image/object/bbox/ymin',
                              'image/object/bbox/xmax', 'image/object/bbox/ymax').parse(example)
"""
from typing import Any

import numpy as np

from object_detection.core import data_parser
from object_detection.core.standard_fields import DetectionResultFields, InputDataFields, TfExampleFields


class _FeatureParser(data_parser.FieldParser):
    """Reads one feature.

    Args:
        field_name: name of the feature.
    """

    kind = ''

    def __init__(self, field_name: str) -> None:
        self.field_name = field_name

    def parse(self, tf_example: Any) -> Any:
        features = tf_example.features.feature
        if self.field_name not in features or not features[self.field_name].HasField(self.kind):
            return None
        return self._convert(getattr(features[self.field_name], self.kind).value)

    def _convert(self, values: Any) -> Any:
        return np.array(values)


class FloatParser(_FeatureParser):
    """Reads floats as an array [N]."""

    kind = 'float_list'


class Int64Parser(_FeatureParser):
    """Reads whole numbers as an array int64 [N]."""

    kind = 'int64_list'

    def _convert(self, values: Any) -> np.ndarray:
        return np.array(values, np.int64)


class StringParser(_FeatureParser):
    """Reads bytes, joined."""

    kind = 'bytes_list'

    def _convert(self, values: Any) -> bytes:
        return b''.join(values)


class BoundingBoxParser(data_parser.FieldParser):
    """Reads boxes as an array [N, 4] (ymin, xmin, ymax, xmax) from four features."""

    def __init__(self, xmin_field_name: str, ymin_field_name: str, xmax_field_name: str, ymax_field_name: str) -> None:
        self._parsers = [FloatParser(name) for name in (
            ymin_field_name, xmin_field_name, ymax_field_name, xmax_field_name)]

    def parse(self, tf_example: Any) -> np.ndarray | None:
        columns = [parser.parse(tf_example) for parser in self._parsers]
        return None if any(column is None for column in columns) else np.stack(columns, 1)


class TfExampleDetectionAndGTParser(data_parser.DataToNumpyParser):
    """Reads groundtruth and detections, by the names of core.standard_fields."""

    def __init__(self) -> None:
        fields = TfExampleFields
        self.items_to_handlers: dict[str, data_parser.FieldParser] = {
            DetectionResultFields.key: StringParser(fields.source_id),
            InputDataFields.groundtruth_boxes: BoundingBoxParser(
                fields.object_bbox_xmin, fields.object_bbox_ymin, fields.object_bbox_xmax, fields.object_bbox_ymax),
            InputDataFields.groundtruth_classes: Int64Parser(fields.object_class_label),
            DetectionResultFields.detection_boxes: BoundingBoxParser(
                fields.detection_bbox_xmin, fields.detection_bbox_ymin, fields.detection_bbox_xmax,
                fields.detection_bbox_ymax),
            DetectionResultFields.detection_classes: Int64Parser(fields.detection_class_label),
            DetectionResultFields.detection_scores: FloatParser(fields.detection_score)}
        self.optional_items_to_handlers: dict[str, data_parser.FieldParser] = {
            InputDataFields.groundtruth_difficult: Int64Parser(fields.object_difficult),
            InputDataFields.groundtruth_group_of: Int64Parser(fields.object_group_of),
            InputDataFields.groundtruth_image_classes: Int64Parser(fields.image_class_label)}

    def parse(self, input_data: Any) -> dict[str, Any] | None:
        """Return {name: array}; optional ones are None if they are missing, and all is None if another one is."""
        needed = {name: parser.parse(input_data) for name, parser in self.items_to_handlers.items()}
        if any(value is None for value in needed.values()):
            return None
        return needed | {name: parser.parse(input_data) for name, parser in self.optional_items_to_handlers.items()}
