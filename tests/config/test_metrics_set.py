"""Findings about metrics that cannot be computed."""
import subprocess
import sys

import pytest
from google.protobuf import text_format

from object_detection import protos
from object_detection.config import label_map, metrics_set
from object_detection.utils.errors import UserError

LABELS = label_map.LabelMap((label_map.Item(1, '/m/01g317', 'person', {'nose': 0, 'foot': 3}),
                             label_map.Item(2, 'dog')), 'label_map.pbtxt')
CENTER_NET = 'model { center_net { keypoint_estimation_task {} } }'
MASK_RCNN = 'model { faster_rcnn { number_of_stages: 3 } }'
SSD = 'model { ssd {} }'
PERSON = 'parameterized_metric { coco_keypoint_metrics { class_label: "person" } }'
METRIC = 'eval_config.parameterized_metric[0].coco_keypoint_metrics'


def faults(model, evaluation, reader=''):
    config = text_format.Parse(f'{model} eval_config {{ {evaluation} }} eval_input_reader {{ {reader} }}',
                               protos.TrainEvalPipelineConfig())
    return [*metrics_set.check(config),
            *metrics_set.check_reader(config, config.eval_input_reader[0], 'eval_input_reader[0]', LABELS)]


@pytest.mark.parametrize(('model', 'evaluation', 'reader'), [
    (SSD, '', ''),
    (SSD, ' '.join(f'metrics_set: "{name}"' for name, kind in metrics_set.METRICS.items()
                   if not kind.masks and name != metrics_set.KEYPOINTS), ''),
    (MASK_RCNN, ' '.join(f'metrics_set: "{name}"' for name, kind in metrics_set.METRICS.items() if kind.masks),
     'load_instance_masks: true'),
    (CENTER_NET, f'metrics_set: "coco_keypoint_metrics" {PERSON}', 'num_keypoints: 4'),
    (CENTER_NET, PERSON.replace('person', '/m/01g317'), 'num_keypoints: 4'),
])
def test_no_fault(model, evaluation, reader):
    assert faults(model, evaluation, reader) == []


@pytest.mark.parametrize(('model', 'evaluation', 'reader', 'severity', 'field', 'words'), [
    (SSD, 'metrics_set: "pascal_voc_metrics"', '', 'error', 'eval_config.metrics_set[0]',
     "is 'pascal_voc_metrics'; did you mean pascal_voc_detection_metrics? supported: coco_detection_metrics, coco_"),
    (SSD, 'metrics_set: "lvis_mask_metrics"', '', 'error', 'eval_config.metrics_set[0]',
     'is not supported: it needs labels of whole pictures, which are not read; supported: coco_'),
    (SSD, 'metrics_set: "coco_mask_metrics"', 'load_instance_masks: true', 'error', 'eval_config.metrics_set[0]',
     'the model predicts no masks; that takes faster_rcnn with number_of_stages: 3'),
    (MASK_RCNN, 'metrics_set: "pascal_voc_instance_segmentation_metrics"', '', 'error', 'eval_input_reader[0]',
     'which pascal_voc_instance_segmentation_metrics needs; set load_instance_masks: true'),
    (CENTER_NET, 'metrics_set: "coco_keypoint_metrics"', 'num_keypoints: 4', 'error', 'eval_config.metrics_set[0]',
     'no class is given; add parameterized_metric { coco_keypoint_metrics { class_label'),
    (SSD, PERSON, 'num_keypoints: 4', 'error', METRIC, 'that takes center_net with a keypoint_estimation_task'),
    (CENTER_NET, PERSON, '', 'error', 'eval_input_reader[0]', 'loads no keypoints'),
    (CENTER_NET, PERSON, 'num_keypoints: 3', 'error', f'{METRIC}.class_label',
     'go up to id 3, but num_keypoints is 3; ids count from 0'),
    (CENTER_NET, 'parameterized_metric {}', 'num_keypoints: 4', 'error', METRIC, 'has no class_label'),
    (CENTER_NET, PERSON.replace('person', 'persn'), 'num_keypoints: 4', 'error', f'{METRIC}.class_label',
     'did you mean person?'),
    (CENTER_NET, PERSON.replace('person', 'dog'), 'num_keypoints: 4', 'error', f'{METRIC}.class_label',
     'has no keypoints in label_map.pbtxt; add keypoints {'),
    (CENTER_NET, PERSON.replace('"person"', '"person" keypoint_label_to_sigmas { key: "nose" value: .1 }'),
     'num_keypoints: 4', 'error', f'{METRIC}.keypoint_label_to_sigmas', 'has no value above 0 for foot'),
    (CENTER_NET, PERSON.replace('"person"', '"person" ' + ' '.join(
        f'keypoint_label_to_sigmas {{ key: "{name}" value: .1 }}' for name in ('nose', 'foot', 'ear'))),
     'num_keypoints: 4', 'warning', f'{METRIC}.keypoint_label_to_sigmas', 'has ear, which is no keypoint'),
])
def test_one_fault(model, evaluation, reader, severity, field, words):
    found = faults(model, evaluation, reader)
    assert [fault[:2] for fault in found] == [(severity, field)]
    assert words in found[0][2]


def test_demand_raises_all_errors_together():
    config = text_format.Parse(f'{SSD} eval_config {{ metrics_set: "coco" metrics_set: "coco_mask_metrics" }}',
                               protos.TrainEvalPipelineConfig())
    with pytest.raises(UserError) as error:
        metrics_set.demand(config, config.train_input_reader, 'train_input_reader', LABELS)
    assert [finding.split(':')[0] for finding in error.value.findings] == [
        'eval_config.metrics_set[0]', 'eval_config.metrics_set[1]', 'train_input_reader']


def test_no_tensorflow():
    code = 'import sys, object_detection.evaluation.metrics; print("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == 'False\n'
