from object_detection import records
from object_detection.core import standard_fields
from object_detection.records import example


def test_names_that_people_use():
    fields = standard_fields.InputDataFields
    assert (fields.image, fields.groundtruth_boxes, fields.true_image_shape) == (
        'image', 'groundtruth_boxes', 'true_image_shape')
    assert standard_fields.DetectionResultFields().detection_classes == 'detection_classes'
    assert standard_fields.DetectionResultFields.detection_offsets == 'detection_temporal_offsets'
    assert standard_fields.BoxListFields.boxes == 'boxes'
    assert standard_fields.PredictionFields.anchors == 'anchors'
    assert fields.groundtruth_boxes in standard_fields.SEQUENCE_FIELDS


def test_names_are_their_values():
    """But for those of an Example and one of TensorFlow 1."""
    for fields in (standard_fields.InputDataFields, standard_fields.DetectionResultFields,
                   standard_fields.BoxListFields, standard_fields.PredictionFields):
        names = {name: value for name, value in vars(fields).items() if not name.startswith('__')}
        assert {name for name, value in names.items() if name != value} <= {'detection_offsets'}


def test_features_are_those_of_our_records():
    fields = standard_fields.TfExampleFields
    assert tuple(records.BOX_KEYS) == (fields.object_bbox_ymin, fields.object_bbox_xmin, fields.object_bbox_ymax,
                                       fields.object_bbox_xmax)
    ours = {key for key, _ in example.KEYS.values()}
    assert {fields.image_encoded, fields.image_format, fields.filename, fields.source_id, fields.height, fields.width,
            fields.object_class_text, fields.object_class_label, fields.object_is_crowd, fields.object_difficult,
            fields.object_group_of, fields.object_weight} <= ours
