"""Restoring a model from a checkpoint, whole, in part, or as moving averages."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.utils.errors import UserError
from tests.support import toy_model


def test_keys():
    assert list(checkpoints.keys(toy_model.Model())) == [
        '_box_predictor/kernel', '_feature_extractor/backbone/kernel', '_feature_extractor/backbone/mean']


def test_fine_tune_full_with_other_classes(tmp_path):
    prefix = toy_model.manager(tmp_path, toy_model.Model(5.))[0].save()
    model = toy_model.Model(classes=9)
    done = checkpoints.fine_tune(model, prefix, 'full')
    assert model.values() == [5., 5., 0.]
    assert done.shape_differs == {'model/_box_predictor/kernel': ((2, 9), (2, 3))}
    assert {part: counts for part, *counts in done.table()} == {
        '_feature_extractor/backbone': [2, 0, 0], '_box_predictor/kernel': [0, 0, 1]}


def test_fine_tune_detection_leaves_the_head(tmp_path):
    prefix = toy_model.manager(tmp_path, toy_model.Model(5.))[0].save()
    model = toy_model.Model()
    assert checkpoints.fine_tune(model, prefix, 'detection').new == []
    assert model.values() == [5., 5., 0.]


def test_fine_tune_classification(tmp_path):
    backbone = toy_model.Model(5.)._feature_extractor.backbone
    prefix = tf.train.Checkpoint(feature_extractor=backbone).save(str(tmp_path / 'ckpt'))
    model = toy_model.Model()
    checkpoints.fine_tune(model, prefix, 'classification')
    assert model.values() == [5., 5., 0.]


def test_fine_tune_refuses_an_unmatched_backbone(tmp_path):
    prefix = toy_model.manager(tmp_path, toy_model.Model(5.))[0].save()
    with pytest.raises(UserError, match='set fine_tune_checkpoint_type: "detection"'):
        checkpoints.fine_tune(toy_model.Model(), prefix, 'classification')
    model = toy_model.Model(width=8)
    with pytest.raises(UserError, match='does not fit') as caught:
        checkpoints.fine_tune(model, prefix, 'detection')
    assert '_feature_extractor/backbone' in str(caught.value) and '(4, 8) here, (4, 2)' in str(caught.value)


def test_moving_averages_on_request(tmp_path):
    model = toy_model.Model(5.)
    writer, step, optimize = toy_model.manager(tmp_path, model, averaged=True)
    toy_model.train_a_step(model, step, optimize)  # weights 4; averages 0 + (1 - 2 / 11) * 4
    prefix = writer.save()
    plain, averaged = toy_model.Model(), toy_model.Model()
    assert checkpoints.restore_model(plain, prefix) == 1
    assert checkpoints.restore_model(averaged, prefix, moving_averages=True) == 1
    assert plain.values() == [4., 5., 4.]
    np.testing.assert_allclose(averaged.values(), [36 / 11, 5., 36 / 11], rtol=1e-6)


def test_no_moving_averages(tmp_path):
    prefix = toy_model.manager(tmp_path, toy_model.Model())[0].save()
    with pytest.raises(UserError, match='holds no moving averages'):
        checkpoints.restore_model(toy_model.Model(), prefix, moving_averages=True)


def test_restore_model_of_another_kind(tmp_path):
    prefix = toy_model.manager(tmp_path, toy_model.Model())[0].save()
    with pytest.raises(UserError, match='does not fit the model'):
        checkpoints.restore_model(toy_model.Model(classes=4), prefix)
