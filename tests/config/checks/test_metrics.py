"""Findings about metrics that cannot be computed."""
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection.config import checks, metrics_set, pipeline

LABELS = '''
item { id: 1 name: "/m/01g317" display_name: "person"
       keypoints { id: 0 label: "nose" } keypoints { id: 3 label: "foot" } }
item { id: 2 name: "dog" }
'''
CENTER_NET = 'model { center_net { num_classes: 2 keypoint_estimation_task {} } }'
MASK_RCNN = 'model { faster_rcnn { num_classes: 2 number_of_stages: 3 } }'
SSD = 'model { ssd { num_classes: 2 } }'
PERSON = 'parameterized_metric { coco_keypoint_metrics { class_label: "person" } }'
METRIC = 'eval_config.parameterized_metric[0].coco_keypoint_metrics'


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """A function: what check_evaluation finds with a model section, an eval_config, and more of an input_reader."""
    monkeypatch.chdir(tmp_path)
    Path('label_map.pbtxt').write_text(LABELS)
    Path('test.tfrecords').write_bytes(b'something')

    def find(model, evaluation, reader=''):
        return checks.check_evaluation(pipeline.parse(f'''{model} eval_config {{ {evaluation} }} eval_input_reader {{
            label_map_path: "label_map.pbtxt" tf_record_input_reader {{ input_path: "test.tfrecords" }} {reader} }}'''))
    return find


@pytest.mark.parametrize(('model', 'evaluation', 'reader'), [
    (SSD, '', ''),
    (SSD, ' '.join(f'metrics_set: "{name}"' for name, kind in metrics_set.METRICS.items()
                   if not kind.masks and name != metrics_set.KEYPOINTS), ''),
    (MASK_RCNN, ' '.join(f'metrics_set: "{name}"' for name, kind in metrics_set.METRICS.items() if kind.masks),
     'load_instance_masks: true'),
    (CENTER_NET, f'metrics_set: "coco_keypoint_metrics" {PERSON}', 'num_keypoints: 4'),
    (CENTER_NET, PERSON.replace('person', '/m/01g317'), 'num_keypoints: 4'),
])
def test_no_fault(model, evaluation, reader, faults):
    assert faults(model, evaluation, reader) == []


@pytest.mark.parametrize(('model', 'evaluation', 'reader', 'severity', 'field', 'words'), [
    (SSD, 'metrics_set: "pascal_voc_metrics"', '', 'error', 'eval_config.metrics_set[0]',
     "is 'pascal_voc_metrics', the old name of pascal_voc_detection_metrics; write that"),
    (SSD, 'metrics_set: "oid_challenge_object_detection_metrics"', '', 'error', 'eval_config.metrics_set[0]',
     'the old name of oid_challenge_detection_metrics, which is not supported: it needs image-level labels'),
    (SSD, 'metrics_set: "coco_detction_metrics"', '', 'error', 'eval_config.metrics_set[0]',
     "is 'coco_detction_metrics'; did you mean coco_detection_metrics? supported: coco_detection_metrics, coco_"),
    (SSD, 'metrics_set: "lvis_mask_metrics"', '', 'error', 'eval_config.metrics_set[0]',
     'is not supported: it needs image-level labels, which are not read; supported: coco_'),
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
def test_one_fault(model, evaluation, reader, severity, field, words, faults):
    found, = faults(model, evaluation, reader)
    assert (found.severity, found.field) == (severity, field)
    assert words in found.message


def test_all_faults_are_found_together(faults):
    found = faults(SSD, 'metrics_set: "coco" metrics_set: "coco_mask_metrics"')
    assert [finding.field for finding in found] == [
        'eval_config.metrics_set[0]', 'eval_config.metrics_set[1]', 'eval_input_reader[0]']
    assert {finding.severity for finding in found} == {'error'}


@pytest.mark.parametrize(('model', 'words', 'cure'), [
    (MASK_RCNN, 'does not load masks, which a model with number_of_stages: 3 needs; set load_instance_masks: true',
     'load_instance_masks: true'),
    (CENTER_NET, 'loads no keypoints, which a model with a keypoint_estimation_task needs; set num_keypoints to the',
     'num_keypoints: 4')])
def test_what_the_losses_compare_with_is_loaded(model, words, cure, faults):
    (found,) = faults(model, '')
    assert (found.severity, found.field) == ('error', 'eval_input_reader[0]') and words in found.message
    assert faults(model, '', cure) == []
    text = f'{model} train_config {{}} train_input_reader {{ label_map_path: "label_map.pbtxt" '
    found = [finding for more in ('}', f'{cure} }}') for finding in checks.check_training(pipeline.parse(text + more))
             if finding.field == 'train_input_reader']
    assert [finding.severity for finding in found] == ['error'] and words in found[0].message


@pytest.mark.parametrize(('old', 'new'), [
    ('coco_metrics', 'coco_detection_metrics'), ('open_images_metrics', 'oid_V2_detection_metrics'),
    ('open_images_V2_detection_metrics', 'oid_V2_detection_metrics'),
    ('weighted_pascal_voc_metrics', 'weighted_pascal_voc_detection_metrics')])
def test_old_names_of_metrics_are_known(old, new, faults):
    found, = faults(SSD, f'metrics_set: "{old}"')
    assert found.message == f"is {old!r}, the old name of {new}; write that"


@pytest.mark.parametrize(('name', 'meant'), [
    ('coco', 'coco_detection_metrics'), ('COCO_detection_metrics', 'coco_detection_metrics'),
    ('coco_segm', 'coco_mask_metrics'), ('coco_mask', 'coco_mask_metrics'), ('pascal', 'pascal_voc_detection_metrics'),
    ('voc_mask_metrics', 'pascal_voc_instance_segmentation_metrics'), ('oid_v2', 'oid_V2_detection_metrics'),
    ('oid_v2_detection_metrics', 'oid_V2_detection_metrics'), ('coco_keypoints', 'coco_keypoint_metrics'),
    ('mAP', None), ('accuracy', None)])
def test_unknown_metrics_suggest_one_that_fits(name, meant):
    assert metrics_set.similar(name) == meant


def test_training_pictures_that_are_evaluated_have_what_metrics_need(faults):
    text = f'{SSD} eval_config {{ metrics_set: "coco_mask_metrics" }} train_config {{}} train_input_reader {{}}'
    found = [[finding for finding in checks.check_training(pipeline.parse(text), evaluated)
              if finding.field == 'train_input_reader'] for evaluated in (False, True)]
    assert found[0] == [] and 'which coco_mask_metrics needs' in found[1][0].message


def test_no_tensorflow():
    code = 'import sys, object_detection.evaluation.metrics; print("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == 'False\n'
