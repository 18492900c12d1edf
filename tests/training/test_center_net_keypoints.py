"""CenterNet with keypoints, from records to metrics, by the pipeline.config that comes with the zoo's model."""
import re

import numpy as np
import pytest

from object_detection import records
from object_detection.config import checks, pipeline
from object_detection.evaluation import evaluator
from tests.support import parity, tiny
from tests.support.phase_runs import Log, events, run

BASE = parity.HERE / 'configs' / 'centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8.config'
READER = '''label_map_path: "{folder}/label_map.pbtxt" num_keypoints: 17
    tf_record_input_reader {{ input_path: "{folder}/{name}.tfrecords" }}'''
CHANGES = '''
model {{ center_net {{ image_resizer {{ keep_aspect_ratio_resizer {{ min_dimension: 64 max_dimension: 64 }} }} }} }}
train_config {{ batch_size: 2 num_steps: 2 fine_tune_checkpoint: "" }}
train_input_reader {{ {train} }}
eval_config {{ num_visualizations: 1 metrics_set: "pascal_voc_detection_metrics" }}
eval_input_reader {{ {test} }}
'''


def write(folder):
    """Records with seventeen keypoints along the diagonal of each box, label map and config."""
    config = pipeline.read(BASE)
    names = sorted(config.eval_config.parameterized_metric[0].coco_keypoint_metrics.keypoint_label_to_sigmas)
    points = ' '.join(f'keypoints {{ id: {number} label: "{name}" }}' for number, name in enumerate(names))
    (folder / 'label_map.pbtxt').write_text(f'item {{ id: 1 name: "/m/01g317" display_name: "person" {points} }}')
    random = np.random.default_rng(3)
    for name, count in (('train', 4), ('test', 2)):
        with records.Writer(str(folder / f'{name}.tfrecords')) as writer:
            for number in range(count):
                example = tiny.example(random, f'{name}{number}.jpg', number % 3)
                example.texts, example.labels = ['person'] * len(example.boxes), [1] * len(example.boxes)
                example.keypoints = [np.linspace(box[:2], box[2:], 17).tolist() for box in example.boxes]
                example.keypoint_visibility = [2] * 17 * len(example.boxes)
                writer.write(example.to_bytes())
    for field in ('train_input_reader', 'eval_input_reader'):
        config.ClearField(field)
    readers = {name: READER.format(folder=folder.as_posix(), name=name) for name in ('train', 'test')}
    pipeline.write(pipeline.override(config, CHANGES.format(**readers)), folder / 'pipeline.config')
    return folder / 'pipeline.config'


@pytest.mark.slow
def test_train_and_evaluate(tmp_path):
    path = write(tmp_path)
    checks.demand(checks.check_evaluation(pipeline.read(path)))
    log, _ = run(tmp_path / 'model', path.read_text(), 2)
    assert any(re.search('keypoint', name) for name in log.of('log')[-1]['values'])
    data = evaluator.evaluate(Log(), lambda: False, path.read_text(), str(tmp_path / 'model'))
    values = dict(data['metrics'])
    assert list(values)[12:14] == ['PascalBoxes_Precision/mAP@0.5IOU',
                                   'PascalBoxes_PerformanceByCategory/AP@0.5IOU/person']
    assert 0. <= values['Keypoints_Precision/mAP ByCategory/person'] <= 1.
    assert ('eval_side_by_side_0_0', 2) in events(tmp_path / 'model' / 'eval')
