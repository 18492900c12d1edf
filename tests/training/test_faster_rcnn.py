"""Faster R-CNN from records to metrics and export: exact resume, and pictures of different sizes."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, records
from object_detection.config import pipeline
from object_detection.evaluation import evaluator
from object_detection.export import saved_model
from object_detection.models import build
from tests.support import tiny, toy_backbone
from tests.support.phase_runs import Log, run

pytestmark = pytest.mark.usefixtures('toys')


def test_a_resumed_run_is_the_same_run(tmp_path):
    """Anchors and proposals are sampled at random, so this is about the seeds as well."""
    config = toy_backbone.faster_rcnn(tmp_path)
    straight, _ = run(tmp_path / 'straight', config, 20)
    first, _ = run(tmp_path / 'model', config, 10)
    second, data = run(tmp_path / 'model', config, 20)
    assert second.of('restored')[0]['step'] == 10 and data['trained'] == 10
    assert {**first.losses(), **second.losses()} == straight.losses()
    one, other = (checkpoints.load(tmp_path / name).values for name in ('straight', 'model'))
    for key, value in one.items():
        if not key.startswith('save_counter'):
            np.testing.assert_array_equal(value, other[key], key)


def test_pictures_of_different_sizes(tmp_path):
    config = toy_backbone.faster_rcnn(tmp_path, toy_backbone.ANY_SIZE, batch_size=1)
    random = np.random.default_rng(1)
    for name in ('train', 'test'):
        with records.Writer(str(tmp_path / f'{name}.tfrecords')) as writer:
            for number, (height, width) in enumerate(((60, 80), (80, 60), (50, 120), (64, 64))):
                writer.write(tiny.example(random, f'{name}{number}.jpg', 2, height, width).to_bytes())
    log, done = run(tmp_path / 'model', config, 4)
    assert len(log.losses()) == 4 and all(np.isfinite(list(log.losses().values())))
    data = evaluator.evaluate(Log(), lambda: False, config, str(tmp_path / 'model'))
    assert data['pictures'] == 4

    model = build.build(pipeline.parse(config).model)
    checkpoints.restore_model(model, done['checkpoint'])
    detect = saved_model.trace(model, 'image_tensor')
    for size in ((60, 80), (50, 120)):
        pictures = tf.constant(random.integers(0, 255, (2, *size, 3)), tf.uint8)
        inputs, shapes = model.preprocess(tf.cast(pictures, tf.float32))
        expected = model.postprocess(model.predict(inputs, shapes), shapes)
        np.testing.assert_allclose(detect(pictures)['detection_boxes'], expected['detection_boxes'], atol=1e-5)
    saved_model.write(model, 'image_tensor', pipeline.parse(config), tmp_path / 'exported')
