"""models/demo: a small detector that finds drawn objects, and a config that fits its checkpoint."""
from pathlib import Path

import numpy as np
import tensorflow as tf

from demo import make_scenes
from object_detection import checkpoints
from object_detection.config import checks, pipeline
from object_detection.models import build
from object_detection.preparation.boxes import iou

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'models' / 'demo'


def test_the_detector_is_small():
    assert sum(path.stat().st_size for path in (MODEL / 'saved_model').rglob('*') if path.is_file()) <= 2_000_000


def test_the_detector_finds_objects_it_has_never_seen():
    detect = tf.saved_model.load(str(MODEL / 'saved_model'))
    for number, label in enumerate(make_scenes.LABELS * 3):
        image, box = make_scenes.scene(np.random.default_rng([77, number]), label)
        detections = detect(tf.constant(image[None]))
        assert detections['detection_scores'][0, 0] > .5
        assert iou(box, detections['detection_boxes'][0, 0].numpy()) > .6


def test_the_demos_training_starts_from_its_checkpoint(monkeypatch):
    monkeypatch.chdir(ROOT)  # paths in the config are relative
    config = pipeline.read(MODEL / 'pipeline.config')
    assert checks.check_model(config) == []
    model, start = build.build(config.model), config.train_config
    done = checkpoints.fine_tune(model, start.fine_tune_checkpoint, start.fine_tune_checkpoint_type)
    assert done.new == [] and done.shape_differs == {}
    assert len(done.restored) > 200
