"""Finding, matching, restoring and writing checkpoints, on models of three variables."""
import errno

import numpy as np
import pytest
import tensorflow as tf

from object_detection.checkpoints import checkpoint
from object_detection.training import optimizer, schedules
from object_detection.utils.errors import UserError


class Model(tf.Module):
    """The outline of a detector: a backbone inside a feature extractor, and a head that knows the classes."""

    def __init__(self, fill=0., classes=3, width=2):
        super().__init__()
        self._feature_extractor = tf.Module()
        self._feature_extractor.backbone = tf.Module()
        self._feature_extractor.backbone.kernel = tf.Variable(tf.fill([4, width], fill))
        self._feature_extractor.backbone.mean = tf.Variable(tf.fill([width], fill), trainable=False)
        self._box_predictor = tf.Module()
        self._box_predictor.kernel = tf.Variable(tf.fill([width, classes], fill))

    def restore_map(self, kind):
        if kind == 'classification':
            return {'feature_extractor': self._feature_extractor.backbone}
        if kind == 'detection':
            return {'model': tf.train.Checkpoint(_feature_extractor=self._feature_extractor)}
        return {'model': self}

    def values(self):
        return [float(v.numpy().flat[0]) for v in (self._feature_extractor.backbone.kernel,
                                                   self._feature_extractor.backbone.mean, self._box_predictor.kernel)]


def keeper(folder, model, max_to_keep=10, averaged=False):
    step = tf.Variable(0, dtype=tf.int64)
    optimize = optimizer.Momentum(model.trainable_variables, schedules.constant(1.))
    if averaged:
        optimize = optimizer.MovingAverage(optimize, model.trainable_variables, .5)
    return checkpoint.Keeper(folder, step, model, optimize, max_to_keep), step, optimize


def train_a_step(model, step, optimize):
    variables = model.trainable_variables
    optimize.apply([tf.ones_like(v) for v in variables], variables, step)
    step.assign_add(1)


def test_keys():
    assert list(checkpoint.keys(Model())) == [
        '_box_predictor/kernel', '_feature_extractor/backbone/kernel', '_feature_extractor/backbone/mean']


def test_carries_on_with_slots(tmp_path):
    model = Model(5.)
    writer, step, optimize = keeper(tmp_path, model)
    train_a_step(model, step, optimize)
    assert writer.save() == str(tmp_path / 'ckpt-1')

    again = Model()
    reader, step, optimize = keeper(tmp_path, again)
    assert reader.resume(pytest.fail) == str(tmp_path / 'ckpt-1')
    assert again.values() == [4., 5., 4.] and int(step) == 1 and int(optimize.iter) == 1
    kernel = again._feature_extractor.backbone.kernel
    assert optimize.get_slot(kernel, 'momentum').numpy().tolist() == np.full([4, 2], -1.).tolist()
    train_a_step(again, step, optimize)  # accumulator .9 * -1 - 1
    np.testing.assert_allclose(again.values(), [2.1, 5., 2.1], rtol=1e-6)
    assert reader.save() == str(tmp_path / 'ckpt-2')


def test_what_tensorflow_restores_from_ours(tmp_path):
    model = Model(5.)
    writer, step, _ = keeper(tmp_path, model)
    prefix = writer.save()
    again = Model()
    tf.train.Checkpoint(model=again, step=step).restore(prefix).expect_partial().assert_existing_objects_matched()
    assert again.values() == [5., 5., 5.]


@pytest.mark.parametrize('averaged', [True, False])
def test_is_what_tensorflow_would_write(averaged, tmp_path):
    """Same keys and values, and the same graph but for the order of its nodes."""
    model = Model(5.)
    writer, step, optimize = keeper(tmp_path, model, averaged=averaged)
    train_a_step(model, step, optimize)
    ours = checkpoint.Saved(writer.save())
    theirs = checkpoint.Saved(writer.root.write(str(tmp_path / 'theirs')))
    assert sorted(ours.values) == sorted(theirs.values)
    for key, value in theirs.values.items():
        np.testing.assert_array_equal(ours.values[key], value, key)
    assert described(ours.nodes) == described(theirs.nodes)


def described(nodes, index=0, seen=()):
    """A graph as nested tuples, without numbers of nodes."""
    if index in seen:
        return 'circle'
    node, seen = nodes[index], (*seen, index)
    return (sorted((c.local_name, described(nodes, c.node_id, seen)) for c in node.children),
            [(a.name, a.checkpoint_key) for a in node.attributes], node.has_checkpoint_values.value,
            sorted((s.slot_name, described(nodes, s.original_variable_node_id),
                    described(nodes, s.slot_variable_node_id)) for s in node.slot_variables))


def test_keeps_the_newest(tmp_path):
    writer, *_ = keeper(tmp_path, Model(), max_to_keep=2)
    for _ in range(3):
        writer.save()
    assert checkpoint.by_age(tmp_path) == [str(tmp_path / 'ckpt-3'), str(tmp_path / 'ckpt-2')]
    assert checkpoint.find(tmp_path) == str(tmp_path / 'ckpt-3')


def test_passes_over_a_half_written_one(tmp_path):
    model = Model(1.)
    writer, step, _ = keeper(tmp_path, model)
    writer.save()
    step.assign(7)
    newest = writer.save()
    (tmp_path / 'ckpt-9_temp').mkdir()  # what a kill during a save leaves
    data = tmp_path / 'ckpt-2.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:-5])

    warnings = []
    reader, step, _ = keeper(tmp_path, Model())
    assert reader.resume(warnings.append) == str(tmp_path / 'ckpt-1') and int(step) == 0
    assert len(warnings) == 1 and newest in warnings[0] and 'damaged' in warnings[0]
    assert not (tmp_path / 'ckpt-9_temp').exists()
    assert reader.save() == newest and checkpoint.Saved(newest)


def test_none_whole(tmp_path):
    keeper(tmp_path, Model())[0].save()
    (tmp_path / 'ckpt-1.index').write_bytes(b'')
    with pytest.raises(UserError, match='is whole; delete'):
        keeper(tmp_path, Model())[0].resume(lambda text: None)


def test_nothing_to_resume(tmp_path):
    assert keeper(tmp_path, Model())[0].resume(pytest.fail) is None


def test_another_model_in_the_folder(tmp_path):
    keeper(tmp_path, Model())[0].save()
    with pytest.raises(UserError, match=r'other shape: model/_box_predictor/kernel: \(2, 9\) here, \(2, 3\) in'):
        keeper(tmp_path, Model(classes=9))[0].resume(pytest.fail)


def test_another_optimizer_in_the_folder(tmp_path):
    keeper(tmp_path, Model(1.))[0].save()
    warnings = []
    model = Model()
    step = tf.Variable(0, dtype=tf.int64)
    adam = optimizer.Adam(model.trainable_variables, schedules.constant(1.))
    checkpoint.Keeper(tmp_path, step, model, adam, 5).resume(warnings.append)
    assert model.values() == [1., 1., 1.]
    assert 'lacks 6 variables of the optimizer' in warnings[0]  # m and v of two variables, beta_1, beta_2


@pytest.mark.parametrize('make', [
    lambda folder: folder, lambda folder: folder / 'ckpt-1', lambda folder: folder / 'ckpt-1.index',
    lambda folder: folder / 'ckpt-1.data-00000-of-00001'])
@pytest.mark.parametrize('state', [True, False])
def test_find(make, state, tmp_path):
    keeper(tmp_path, Model())[0].save()
    if not state:
        (tmp_path / 'checkpoint').unlink()
    assert checkpoint.find(make(tmp_path)) == str(tmp_path / 'ckpt-1')


def test_find_in_a_zoo_tarball(tmp_path):
    (tmp_path / 'checkpoint').mkdir()
    keeper(tmp_path / 'checkpoint', Model())[0].save()
    assert checkpoint.find(tmp_path) == str(tmp_path / 'checkpoint' / 'ckpt-1')


def test_find_nothing(tmp_path):
    keeper(tmp_path, Model())[0].save()
    with pytest.raises(UserError, match=r'no file ckpt-0\.index in .*; .* has ckpt-1'):
        checkpoint.find(tmp_path / 'ckpt-0')
    with pytest.raises(UserError, match=r'the prefix of one \(\.\.\./ckpt-7\): .*nix/ckpt-0: does not exist'):
        checkpoint.find(tmp_path / 'nix' / 'ckpt-0')
    with pytest.raises(UserError, match=r'the prefix of one \(\.\.\./ckpt-7\): .*checkpoint: is a file'):
        checkpoint.find(tmp_path / 'checkpoint')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='neither'):
        checkpoint.find(tmp_path / 'empty')


def test_fine_tune_full_with_other_classes(tmp_path):
    prefix = keeper(tmp_path, Model(5.))[0].save()
    model = Model(classes=9)
    done = checkpoint.fine_tune(model, prefix, 'full')
    assert model.values() == [5., 5., 0.]
    assert done.shape_differs == {'model/_box_predictor/kernel': ((2, 9), (2, 3))}
    assert {part: counts for part, *counts in done.table()} == {
        '_feature_extractor/backbone': [2, 0, 0], '_box_predictor/kernel': [0, 0, 1]}


def test_fine_tune_detection_leaves_the_head(tmp_path):
    prefix = keeper(tmp_path, Model(5.))[0].save()
    model = Model()
    assert checkpoint.fine_tune(model, prefix, 'detection').new == []
    assert model.values() == [5., 5., 0.]


def test_fine_tune_classification(tmp_path):
    backbone = Model(5.)._feature_extractor.backbone
    prefix = tf.train.Checkpoint(feature_extractor=backbone).save(str(tmp_path / 'ckpt'))
    model = Model()
    checkpoint.fine_tune(model, prefix, 'classification')
    assert model.values() == [5., 5., 0.]


def test_fine_tune_refuses_an_unmatched_backbone(tmp_path):
    prefix = keeper(tmp_path, Model(5.))[0].save()
    with pytest.raises(UserError, match='set fine_tune_checkpoint_type: "detection"'):
        checkpoint.fine_tune(Model(), prefix, 'classification')
    model = Model(width=8)
    with pytest.raises(UserError, match='does not fit') as caught:
        checkpoint.fine_tune(model, prefix, 'detection')
    assert '_feature_extractor/backbone' in str(caught.value) and '(4, 8) here, (4, 2)' in str(caught.value)


def test_a_checkpoint_of_tensorflow_1(tmp_path):
    prefix = str(tmp_path / 'model.ckpt-7')
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=['Conv/weights'], shape_and_slices=[''], tensors=[tf.zeros([2])])
    with pytest.raises(UserError, match='TensorFlow 1'):
        checkpoint.fine_tune(Model(), prefix, 'full')


def test_moving_averages_on_request(tmp_path):
    model = Model(5.)
    writer, step, optimize = keeper(tmp_path, model, averaged=True)
    train_a_step(model, step, optimize)  # weights 4; averages 0 + (1 - 2 / 11) * 4
    prefix = writer.save()
    plain, averaged = Model(), Model()
    assert checkpoint.restore_model(plain, prefix) == 1
    assert checkpoint.restore_model(averaged, prefix, moving_averages=True) == 1
    assert plain.values() == [4., 5., 4.]
    np.testing.assert_allclose(averaged.values(), [36 / 11, 5., 36 / 11], rtol=1e-6)


def test_no_moving_averages(tmp_path):
    prefix = keeper(tmp_path, Model())[0].save()
    with pytest.raises(UserError, match='keeps no moving averages'):
        checkpoint.restore_model(Model(), prefix, moving_averages=True)


def test_restore_model_of_another_kind(tmp_path):
    prefix = keeper(tmp_path, Model())[0].save()
    with pytest.raises(UserError, match='does not fit the model'):
        checkpoint.restore_model(Model(classes=4), prefix)


def test_full_disk(tmp_path, monkeypatch):
    writer, *_ = keeper(tmp_path, Model())
    writer.save()

    def full(prefix, **_):
        (tmp_path / 'ckpt-2.data-00000-of-00001.tempstate7').write_bytes(b'half')
        raise tf.errors.ResourceExhaustedError(None, None, f'{prefix}.data; No space left on device')
    monkeypatch.setattr(tf.raw_ops, 'SaveV2', full)
    with pytest.raises(OSError) as caught:
        writer.save()
    assert caught.value.errno == errno.ENOSPC
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'checkpoint', 'ckpt-1.data-00000-of-00001', 'ckpt-1.index']
    assert checkpoint.Saved(checkpoint.find(tmp_path))
