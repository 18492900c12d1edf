"""What ships under models/demo: a small detector that finds drawn objects, and a config that fits its checkpoint."""
from pathlib import Path

import numpy as np
import tensorflow as tf

from demo import make_scenes
from object_detection import checkpoints
from object_detection.config import checks as config_checks
from object_detection.config import pipeline as config
from object_detection.models import build

HERE = Path('models/demo')


def _overlap(first, second):
    """Intersection over union of two boxes (ymin, xmin, ymax, xmax)."""
    low, high = np.maximum(first, second)[:2], np.minimum(first, second)[2:]
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)) - shared)


def test_the_detector_is_small():
    assert sum(path.stat().st_size for path in (HERE / 'saved_model').rglob('*') if path.is_file()) <= 2_000_000


def test_the_detector_finds_objects_it_has_never_seen():
    detect = tf.saved_model.load(str(HERE / 'saved_model'))
    for number, label in enumerate(make_scenes.LABELS * 3):
        image, box = make_scenes.scene(np.random.default_rng([77, number]), label)
        found = detect(tf.constant(image[None]))
        assert found['detection_scores'][0, 0] > .5
        assert _overlap(np.array(box), found['detection_boxes'][0, 0].numpy()) > .6


def test_the_demos_training_starts_from_its_checkpoint():
    pipeline = config.read(HERE / 'pipeline.config')
    assert config_checks.check_model(pipeline) == []
    model, start = build.build(pipeline.model), pipeline.train_config
    done = checkpoints.fine_tune(model, start.fine_tune_checkpoint, start.fine_tune_checkpoint_type)
    assert done.new == [] and done.shape_differs == {}
    assert len(done.restored) > 200
