"""Whole models compared with the reference: golden numbers, and a model that the reference trained."""
import json

import numpy as np
import pytest
import tensorflow as tf

from object_detection.config import pipeline
from object_detection.models import build
from object_detection.records import Example, Records
from tests.support import model_parity, parity

GOLDENS = ['centernet_mobilenetv2_fpn', 'efficientdet_d0', 'faster_rcnn_resnet50_v1', 'ssd_mobilenet_v1_fpn',
           'ssd_mobilenet_v2', 'ssd_mobilenet_v2_fpnlite']
LARGER = ['centernet_hourglass104_kpts', 'centernet_resnet50_v1_fpn_kpts', 'centernet_resnet50_v2_kpts',
          'efficientdet_d1', 'efficientdet_d7', 'faster_rcnn_resnet50_v1_fpn', 'mask_rcnn_inception_resnet_v2',
          'ssd_resnet50_v1_fpn']
RUN = parity.KIT / 'reference_run'


@pytest.mark.parametrize('name', [*map(parity.case, GOLDENS),
                                  *(parity.case(name, pytest.mark.slow) for name in LARGER)])
def test_golden(name):
    assert model_parity.compare(name).failures() == []


def test_golden_files_of_the_repository_are_required():
    """Their tests are never skipped, and fail with the name of the file that is missing."""
    assert not any(mark.args[0] for name in [*GOLDENS, 'lost'] for mark in parity.case(name).marks)
    with pytest.raises(FileNotFoundError, match=r'golden.lost\.json'):
        parity.Golden('lost')


@pytest.mark.skipif(not RUN.exists(), reason='needs the reference run of the parity kit')
def test_detections_of_a_model_that_the_reference_trained():
    model = build.build(pipeline.read(RUN / 'pipeline.config').model)
    status = tf.train.Checkpoint(model=model).read(str(RUN / 'model_dir' / 'ckpt-4'))
    status.assert_existing_objects_matched()

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([1, None, None, 3])])
    def detect(images):
        inputs, shapes = model.preprocess(images)
        return model.postprocess(model.predict(inputs, shapes), shapes)

    examples = Records([str(RUN / 'test.tfrecords')])
    golden = json.loads((RUN / 'expected.json').read_text())['detections']
    for index, expected in enumerate(golden):
        image = tf.io.decode_jpeg(Example.from_bytes(examples[index]).encoded, channels=3)
        images = tf.cast(image, tf.float32)[tf.newaxis]
        detections = {name: value[0].numpy() for name, value in detect(images).items()}
        missing = [row for row in zip(expected['boxes'], expected['scores'], expected['classes']) if not np.any(
            (np.abs(detections['detection_boxes'] - row[0]).max(-1) < 1e-4)
            & (np.abs(detections['detection_scores'] - row[1]) < 1e-4)
            & (detections['detection_classes'] + 1 == row[2]))]
        assert not missing, expected['filename']
