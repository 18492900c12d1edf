"""The metrics of a runner are those of the evaluation phase of the same weights."""
import numpy as np
import pytest

from object_detection.config import label_map, pipeline
from object_detection.evaluation.evaluator import evaluate as evaluate_phase
from object_detection.inference.evaluate import evaluate
from object_detection.inference.load import load
from object_detection.utils.errors import UserError
from tests.support import tiny_models


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    return tiny_models.export(tmp_path_factory.mktemp('evaluate'))


def test_metrics_are_those_of_the_evaluation_phase(exported, tmp_path):
    config = pipeline.read(exported / 'pipeline.config')
    phase = evaluate_phase(lambda *args, **more: None, lambda: False, pipeline.to_text(config), str(tmp_path),
                           str(exported / 'export/checkpoint/ckpt-0'))
    labels = label_map.load(exported / 'label_map.pbtxt')
    score = evaluate(load(exported / 'export'), config.eval_config, config.eval_input_reader[0], labels)
    expected = [(name, value) for name, value in phase['metrics'] if not name.startswith('Loss')]
    assert [name for name, _ in score.metrics] == [name for name, _ in expected]
    np.testing.assert_allclose([v for _, v in score.metrics], [v for _, v in expected], atol=1e-6)
    assert score.pictures == phase['pictures'] == 5
    assert score.first[0] == 'DetectionBoxes_Precision/mAP'
    assert score.milliseconds > 0


def test_a_limit_takes_the_first_pictures_and_no_picture_is_an_error(exported):
    config = pipeline.read(exported / 'pipeline.config')
    labels = label_map.load(exported / 'label_map.pbtxt')
    runner, reader = load(exported / 'export'), config.eval_input_reader[0]
    assert evaluate(runner, config.eval_config, reader, labels, limit=2).pictures == 2
    with pytest.raises(UserError, match='no picture to evaluate'):
        evaluate(runner, config.eval_config, reader, labels, limit=0)
