"""model_builder.build, and the names of variables."""
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, protos
from object_detection.builders import model_builder, variable_names
from object_detection.config import pipeline
from object_detection.utils.errors import ConfigError, UserError
from tests.support import tiny

GOLDEN = Path(__file__).parents[1] / 'golden'
ORDER = json.loads((GOLDEN / 'variable_order.json').read_text())
NAMES = json.loads((GOLDEN / 'variable_names.json').read_text())


def test_initial_values_follow_the_seed_of_tensorflow(tmp_path):
    config = pipeline.read(tiny.write(tmp_path)).model

    def kernel(seed):
        tf.random.set_seed(seed)
        return model_builder.build(config, is_training=True)._box_predictor.trainable_variables[-1].numpy()

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))


def test_mistakes_in_the_config():
    with pytest.raises(ValueError, match=r'model_config not of type model_pb2.DetectionModel.'):
        model_builder.build(protos.TrainEvalPipelineConfig(), is_training=True)
    with pytest.raises(UserError, match=r'model: no kind is set; choose one of'):
        model_builder.build(protos.DetectionModel(), is_training=True)
    with pytest.raises(UserError) as raised:
        model_builder.build(protos.DetectionModel(ssd=protos.Ssd(num_classes=0)), is_training=True)
    assert 'model.ssd.num_classes: is 0; it is the number of labels, at least 1' in raised.value.findings
    assert len(raised.value.findings) > 5


@pytest.mark.parametrize('name', NAMES)
def test_variables_of_heads_have_the_names_of_the_reference(name):
    keys = [f'{layer}/kernel' for layer in NAMES[name]]
    assert dict(zip(keys, variable_names.names(keys))) == {
        f'{layer}/kernel': f'{expected}/kernel' for layer, expected in NAMES[name].items()}


def test_other_variables_are_called_by_their_checkpoint_key(tmp_path):
    model = model_builder.build(pipeline.read(tiny.write(tmp_path)).model, is_training=False)
    backbone = model._feature_extractor.classification_backbone
    assert [v.name for v in backbone.trainable_variables][-1].startswith(
        '_feature_extractor/classification_backbone/layer_with_weights-')
    assert len({v.name for v in model.variables}) == len(model.variables)


def test_mistakes_are_value_errors_too():
    config = pipeline.read(GOLDEN / 'faster_rcnn_resnet50_v1.config').model
    config.faster_rcnn.first_stage_max_proposals = 10
    with pytest.raises(ValueError, match=r'second_stage_batch_size: is .*, more than first_stage_max_proposals, 10'):
        model_builder.build(config, is_training=True)
    config.faster_rcnn.first_stage_nms_iou_threshold = 1.1
    with pytest.raises(ConfigError, match=r'first_stage_nms_iou_threshold: is 1\.1'):
        model_builder.build(config, is_training=False)


@pytest.mark.parametrize('name', ORDER)
def test_order_of_the_variables(name):
    model = model_builder.build(pipeline.read(GOLDEN / f'{name}.config').model, is_training=False)
    key = {id(variable): key for key, variable in checkpoints.keys(model).items()}
    ours = [key[id(variable)] for variable in model.variables]
    assert ours == [sorted(ours)[place] for place in ORDER[name]]
    assert model.trainable_variables == model.variables[:len(model.trainable_variables)]
    assert not any(variable.trainable for variable in model.non_trainable_variables)
