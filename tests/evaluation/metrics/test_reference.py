"""All metrics are those that the reference's evaluators compute (tests/golden/make_metrics.py)."""
import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection import protos
from object_detection.config import label_map
from object_detection.evaluation import metrics

GOLDEN = Path(__file__).parents[2] / 'golden'
LABELS = label_map.LabelMap((
    label_map.Item(1, '/m/01g317', 'person', {'nose': 0, 'tail': 3, 'foot': 1}), label_map.Item(2, 'café'),
    label_map.Item(3, 'dog', keypoints={'eye': 2, 'ear': 4}), label_map.Item(5, 'never there'),
    label_map.Item(6, 'never found')))
CASES = {
    'boxes': '''metrics_set: "coco_detection_metrics" metrics_set: "pascal_voc_detection_metrics"
        metrics_set: "weighted_pascal_voc_detection_metrics" metrics_set: "precision_at_recall_detection_metrics"
        metrics_set: "oid_V2_detection_metrics" recall_lower_bound: 0.2 recall_upper_bound: 0.6''',
    'masks': '''metrics_set: "coco_mask_metrics" metrics_set: "pascal_voc_instance_segmentation_metrics"
        metrics_set: "weighted_pascal_voc_instance_segmentation_metrics"''',
    'keypoints': '''parameterized_metric { coco_keypoint_metrics { class_label: "person"
            keypoint_label_to_sigmas { key: "nose" value: 0.04 }
            keypoint_label_to_sigmas { key: "tail" value: 0.1 }
            keypoint_label_to_sigmas { key: "foot" value: 0.07 } } }
        parameterized_metric { coco_keypoint_metrics { class_label: "dog" } }''',
}


def pictures():
    """[(groundtruth, detections)] of all images."""
    sides = {}
    for key, array in np.load(GOLDEN / 'metrics.npz').items():
        number, side, name = key.split('/')
        sides.setdefault(int(number), {'truth': {}, 'found': {}})[side][name] = array
    return [(both['truth'], both['found']) for _, both in sorted(sides.items())]


@pytest.mark.parametrize('case', CASES)
def test_numbers_and_names(case):
    options = text_format.Parse(CASES[case], protos.TrainEvalPipelineConfig().eval_config)
    collected = metrics.collectors(options, LABELS)
    for truth, found in pictures():
        for metric in collected:
            metric.add(truth, found)
    values = dict(pair for metric in collected for pair in metric.evaluate())
    expected = {name: np.nan if value is None else value
                for name, value in json.loads((GOLDEN / 'metrics.json').read_text())[case].items()}
    assert list(values) == list(expected)
    assert values == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
