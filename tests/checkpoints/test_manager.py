"""Training's checkpoints: save, resume, how many are kept, and agreement with TensorFlow's own."""
import errno
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.config import paths
from object_detection.training import optimizer, schedules
from object_detection.utils.errors import UserError
from tests.support import toy_model


def test_resumes_with_slots(tmp_path):
    model = toy_model.Model(5.)
    writer, step, optimize = toy_model.manager(tmp_path, model)
    toy_model.train_a_step(model, step, optimize)
    assert writer.save() == str(tmp_path / 'ckpt-1')

    again = toy_model.Model()
    reader, step, optimize = toy_model.manager(tmp_path, again)
    assert reader.resume(pytest.fail) == str(tmp_path / 'ckpt-1')
    assert again.values() == [4., 5., 4.] and int(step) == 1 and int(optimize.iter) == 1
    kernel = again._feature_extractor.backbone.kernel
    assert optimize.get_slot(kernel, 'momentum').numpy().tolist() == np.full([4, 2], -1.).tolist()
    toy_model.train_a_step(again, step, optimize)  # accumulator .9 * -1 - 1
    np.testing.assert_allclose(again.values(), [2.1, 5., 2.1], rtol=1e-6)
    assert reader.save() == str(tmp_path / 'ckpt-2')


def test_tensorflow_restores_ours(tmp_path):
    model = toy_model.Model(5.)
    writer, step, _ = toy_model.manager(tmp_path, model)
    prefix = writer.save()
    again = toy_model.Model()
    tf.train.Checkpoint(model=again, step=step).restore(prefix).expect_partial().assert_existing_objects_matched()
    assert again.values() == [5., 5., 5.]


@pytest.mark.parametrize('averaged', [True, False])
def test_writes_what_tensorflow_would_write(averaged, tmp_path):
    """Same keys and values, and the same graph except for the order of its nodes."""
    model = toy_model.Model(5.)
    writer, step, optimize = toy_model.manager(tmp_path, model, averaged=averaged)
    toy_model.train_a_step(model, step, optimize)
    ours = checkpoints.Saved(writer.save())
    theirs = checkpoints.Saved(writer.root.write(str(tmp_path / 'theirs')))
    assert sorted(ours.values) == sorted(theirs.values)
    for key, value in theirs.values.items():
        np.testing.assert_array_equal(ours.values[key], value, key)
    assert described(ours.nodes) == described(theirs.nodes)


def described(nodes, index=0, seen=()):
    """Return a graph as nested tuples, without node numbers."""
    if index in seen:
        return 'circle'
    node, seen = nodes[index], (*seen, index)
    return (sorted((c.local_name, described(nodes, c.node_id, seen)) for c in node.children),
            [(a.name, a.checkpoint_key) for a in node.attributes], node.has_checkpoint_values.value,
            sorted((s.slot_name, described(nodes, s.original_variable_node_id),
                    described(nodes, s.slot_variable_node_id)) for s in node.slot_variables))


def test_keeps_the_newest(tmp_path):
    writer, *_ = toy_model.manager(tmp_path, toy_model.Model(), max_to_keep=2)
    for _ in range(3):
        writer.save()
    assert paths.training_checkpoints(tmp_path) == [tmp_path / 'ckpt-3', tmp_path / 'ckpt-2']
    assert checkpoints.newest(tmp_path).prefix == str(tmp_path / 'ckpt-3')


def test_the_next_number_is_above_all_that_are_there(tmp_path):
    """ckpt-2 was copied to ckpt-50, "the best one": its save_counter still says 2."""
    model = toy_model.Model()
    writer, step, _ = toy_model.manager(tmp_path, model, max_to_keep=2)
    for number in (1, 2):
        step.assign(number)
        writer.save()
    for path in tmp_path.glob('ckpt-2.*'):
        path.with_name(path.name.replace('ckpt-2', 'ckpt-50')).write_bytes(path.read_bytes())
    writer, step, _ = toy_model.manager(tmp_path, model, max_to_keep=2)
    assert writer.resume(pytest.fail) == str(tmp_path / 'ckpt-50') and int(step) == 2
    step.assign(3)
    assert writer.save() == str(tmp_path / 'ckpt-51')
    saved = checkpoints.newest(tmp_path)
    assert Path(saved.prefix).name == 'ckpt-51' and saved.step == 3
    assert saved.values['save_counter/.ATTRIBUTES/VARIABLE_VALUE'] == 51  # as tf.train.CheckpointManager has it
    assert paths.training_checkpoints(tmp_path) == [tmp_path / 'ckpt-51', tmp_path / 'ckpt-50']


def test_passes_over_a_half_written_one(tmp_path):
    model = toy_model.Model(1.)
    writer, step, _ = toy_model.manager(tmp_path, model)
    writer.save()
    step.assign(7)
    newest = writer.save()
    (tmp_path / 'ckpt-9_temp').mkdir()  # what a kill during a save leaves
    data = tmp_path / 'ckpt-2.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:-5])

    warnings = []
    reader, step, _ = toy_model.manager(tmp_path, toy_model.Model())
    assert reader.resume(warnings.append) == str(tmp_path / 'ckpt-1') and int(step) == 0
    assert len(warnings) == 1 and newest in warnings[0] and 'damaged' in warnings[0]
    assert not (tmp_path / 'ckpt-9_temp').exists()
    assert reader.save() == str(tmp_path / 'ckpt-3') == checkpoints.newest(tmp_path, pytest.fail).prefix


def test_none_whole(tmp_path):
    toy_model.manager(tmp_path, toy_model.Model())[0].save()
    (tmp_path / 'ckpt-1.index').write_bytes(b'')
    with pytest.raises(UserError, match='is complete; delete'):
        toy_model.manager(tmp_path, toy_model.Model())[0].resume(lambda text: None)


def test_nothing_to_resume(tmp_path):
    assert toy_model.manager(tmp_path, toy_model.Model())[0].resume(pytest.fail) is None


def test_checkpoints_of_another_model_in_the_folder(tmp_path):
    toy_model.manager(tmp_path, toy_model.Model())[0].save()
    with pytest.raises(UserError, match=r'other shape: model/_box_predictor/kernel: \(2, 9\) here, \(2, 3\) in'):
        toy_model.manager(tmp_path, toy_model.Model(classes=9))[0].resume(pytest.fail)


def test_checkpoints_with_another_optimizer_in_the_folder(tmp_path):
    toy_model.manager(tmp_path, toy_model.Model(1.))[0].save()
    warnings = []
    model = toy_model.Model()
    step = tf.Variable(0, dtype=tf.int64)
    adam = optimizer.Adam(model.trainable_variables, schedules.constant(1.))
    checkpoints.Manager(tmp_path, step, model, adam, 5).resume(warnings.append)
    assert model.values() == [1., 1., 1.]
    assert 'lacks 6 variables of the optimizer' in warnings[0]  # m and v of two variables, beta_1, beta_2


def test_full_disk(tmp_path, monkeypatch):
    writer, *_ = toy_model.manager(tmp_path, toy_model.Model())
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
    assert checkpoints.load(tmp_path)
