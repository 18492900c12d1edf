"""Mask R-CNN from records with masks to metrics and an exported model."""
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection import checkpoints, records
from object_detection.config import label_map, pipeline
from object_detection.evaluation import evaluator
from object_detection.export import saved_model
from object_detection.models import build
from tests.support import parity, tiny
from tests.support.phase_runs import Log, run

BASE = parity.HERE / 'configs' / 'zoo_faster_rcnn_resnet50_v1_640x640_coco17_tpu-8.config'
READER = '''label_map_path: "{folder}/label_map.pbtxt" load_instance_masks: true mask_type: PNG_MASKS
            tf_record_input_reader {{ input_path: "{folder}/{name}.tfrecords" }}'''
CHANGES = '''
model {{ faster_rcnn {{
  num_classes: 2 number_of_stages: 3 image_resizer {{ fixed_shape_resizer {{ height: 64 width: 64 }} }}
  first_stage_anchor_generator {{ grid_anchor_generator {{ height: 64 width: 64 }} }}
  first_stage_max_proposals: 12 second_stage_batch_size: 8 initial_crop_size: 6
  second_stage_post_processing {{ batch_non_max_suppression {{ max_detections_per_class: 5 max_total_detections: 5 }} }}
  second_stage_box_predictor {{ mask_rcnn_box_predictor {{
    predict_instance_masks: true mask_height: 9 mask_width: 9 mask_prediction_conv_depth: 8
    conv_hyperparams {{ initializer {{ truncated_normal_initializer {{}} }} }} }} }} }} }}
train_config {{ batch_size: 2 num_steps: 2 }}
train_input_reader {{ {train} }}
eval_config {{ metrics_set: "coco_mask_metrics" }}
eval_input_reader {{ {test} }}
'''


def write(folder):
    """Records whose masks fill the boxes, label map and config; the config's text."""
    label_map.write(folder / 'label_map.pbtxt', ['square', 'bar'])
    random = np.random.default_rng(3)
    for name, count in (('train', 4), ('test', 2)):
        with records.Writer(str(folder / f'{name}.tfrecords')) as writer:
            for number in range(count):
                example = tiny.example(random, f'{name}{number}.jpg', number % 3)
                example.masks = [_mask(box) for box in example.boxes]
                writer.write(example.to_bytes())
    config = pipeline.read(BASE)
    for field in ('train_input_reader', 'eval_input_reader'):
        config.ClearField(field)
    config.train_config.ClearField('fine_tune_checkpoint')
    readers = {name: READER.format(folder=folder.as_posix(), name=name) for name in ('train', 'test')}
    pipeline.write(pipeline.override(config, CHANGES.format(**readers)), folder / 'pipeline.config')
    return (folder / 'pipeline.config').read_text()


def _mask(box):
    mask = np.zeros((60, 80), np.uint8)
    top, left, bottom, right = (round(value) for value in np.array(box) * [60, 80, 60, 80])
    mask[top:bottom, left:right] = 1
    data = io.BytesIO()
    Image.fromarray(mask).save(data, 'PNG')
    return data.getvalue()


@pytest.mark.slow
def test_train_evaluate_and_export(tmp_path):
    config = write(tmp_path)
    log, done = run(tmp_path / 'model', config, 2)
    assert log.of('log')[-1]['values']['Loss/BoxClassifierLoss/mask_loss'] >= 0.
    data = evaluator.evaluate(Log(), lambda: False, config, str(tmp_path / 'model'))
    values = dict(data['metrics'])
    assert data['pictures'] == 2 and 0. <= values['DetectionMasks_Precision/mAP'] <= 1.
    assert 'Loss/BoxClassifierLoss/mask_loss' in values
    model = build.build(pipeline.parse(config).model)
    checkpoints.restore_model(model, done['checkpoint'])
    detect = saved_model.trace(model, 'image_tensor')
    found = detect(tf.zeros([3, 50, 70, 3], tf.uint8))
    assert found['detection_masks'].shape == [3, 5, 9, 9] and found['detection_boxes'].shape == [3, 5, 4]
    assert set(found) == {f'detection_{name}' for name in (
        'boxes', 'scores', 'classes', 'multiclass_scores', 'anchor_indices', 'masks')} | {
        'num_detections', 'raw_detection_boxes', 'raw_detection_scores'}
