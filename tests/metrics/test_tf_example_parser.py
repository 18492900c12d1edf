"""Groundtruth and detections of a tf.train.Example as arrays."""
import numpy as np

from object_detection import protos
from object_detection.metrics.tf_example_parser import (
    BoundingBoxParser,
    Int64Parser,
    StringParser,
    TfExampleDetectionAndGTParser,
)
from object_detection.utils import dataset_util


def test_arrays():
    features = {'image/source_id': dataset_util.bytes_feature(b'7')}
    for part in ('object', 'detection'):
        features[f'image/{part}{"/class" * (part == "object")}/label'] = dataset_util.int64_list_feature([2, 1])
        for i, name in enumerate(('ymin', 'xmin', 'ymax', 'xmax')):
            features[f'image/{part}/bbox/{name}'] = dataset_util.float_list_feature([i / 4, i / 8])
    example = protos.Example()
    for name, feature in features.items():
        example.features.feature[name].MergeFromString(feature.SerializeToString())
    assert TfExampleDetectionAndGTParser().parse(example) is None  # there are no scores
    example.features.feature['image/detection/score'].float_list.value.extend([.5, .25])
    values = TfExampleDetectionAndGTParser().parse(example)
    assert values['key'] == b'7' and values['groundtruth_difficult'] is None
    for part in ('groundtruth', 'detection'):
        np.testing.assert_array_equal(values[f'{part}_boxes'], [[0, .25, .5, .75], [0, .125, .25, .375]])
        assert values[f'{part}_classes'].tolist() == [2, 1] and values[f'{part}_classes'].dtype == np.int64
    assert values['detection_scores'].tolist() == [.5, .25]


def test_missing_features():
    example = protos.Example()
    assert StringParser('a').parse(example) is Int64Parser('a').parse(example) is None
    assert BoundingBoxParser('a', 'b', 'c', 'd').parse(example) is None and not example.features.feature
