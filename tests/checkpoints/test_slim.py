"""Older checkpoints lose the slots of the optimizer, at once or not at all."""
import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.checkpoints import slim
from tests.support import toy_model


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs, not even what `finally` says."""


def saved(folder, averaged=False, **options):
    model = toy_model.Model(5.)
    writer, step, optimize = toy_model.manager(folder, model, averaged=averaged, **options)
    toy_model.train_a_step(model, step, optimize)
    return writer, writer.save()


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != 'checkpoint')


@pytest.mark.parametrize('averaged', [False, True])
def test_all_but_the_slots_stays(averaged, tmp_path):
    _, prefix = saved(tmp_path, averaged)
    before, stamp = checkpoints.Saved(prefix), Path(f'{prefix}.index').stat().st_mtime_ns
    dropped = {key for key in before.values if key.endswith('/optimizer/momentum/.ATTRIBUTES/VARIABLE_VALUE')}
    dropped |= {key for key in before.values if key.endswith('momentum/.ATTRIBUTES/VARIABLE_VALUE') and 'SLOT' in key}
    assert len(dropped) == 2
    assert slim.remove_slots(prefix) and not slim.remove_slots(prefix)
    after = checkpoints.Saved(prefix)
    assert set(before.values) - set(after.values) == dropped and set(after.values) <= set(before.values)
    for key, value in after.values.items():
        np.testing.assert_array_equal(value, before.values[key], key)
    assert {name for _, name in after.slots(after.children()['optimizer'])} == ({'average'} if averaged else set())
    assert Path(f'{prefix}.index').stat().st_mtime_ns == stamp
    assert names(tmp_path) == ['ckpt-1.data-00000-of-00002', 'ckpt-1.data-00001-of-00002', 'ckpt-1.index']


def test_tensorflow_restores_it(tmp_path):
    _, prefix = saved(tmp_path)
    slim.remove_slots(prefix)
    again = toy_model.Model()
    step = tf.Variable(0, dtype=tf.int64)
    tf.train.Checkpoint(model=again, step=step).restore(prefix).expect_partial().assert_existing_objects_matched()
    assert again.values() == [4., 5., 4.] and int(step) == 1


def test_only_the_newest_keep_them(tmp_path):
    writer, _ = saved(tmp_path, keep_optimizer=2)
    writer.save()
    assert writer.slim() == []
    writer.save()
    writer.save()
    assert writer.slim() == [tmp_path / 'ckpt-2', tmp_path / 'ckpt-1']
    assert [slim.has_slots(tmp_path / f'ckpt-{number}') for number in (1, 2, 3, 4)] == [False, False, True, True]


def test_a_resume_from_one_without_says_so(tmp_path):
    _, prefix = saved(tmp_path)
    slim.remove_slots(prefix)
    told = []
    model = toy_model.Model()
    reader, step, optimize = toy_model.manager(tmp_path, model)
    assert reader.resume(told.append) == prefix
    assert model.values() == [4., 5., 4.] and int(step) == 1 and int(optimize.iter) == 1
    assert len(told) == 1 and 'without the state of the optimizer' in told[0] and '2 variables' in told[0]


@pytest.mark.parametrize('moment', range(11))
def test_a_kill_leaves_it_with_slots_or_without(moment, tmp_path, monkeypatch):
    """Whole before anything is cleaned up, and clean after it."""
    _, prefix = saved(tmp_path)
    values = checkpoints.Saved(prefix).values
    left = [moment]

    def at(work):
        def step(*arguments, **options):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return work(*arguments, **options)
        return step

    with monkeypatch.context() as patched:
        for owner, name in ((tf.raw_ops, 'SaveV2'), (tf.raw_ops, 'MergeV2Checkpoints'), (slim.Path, 'replace'),
                            (slim.Path, 'rename'), (slim.Path, 'unlink'), (slim.shutil, 'rmtree')):
            patched.setattr(owner, name, at(getattr(owner, name)))
        with pytest.raises(Killed):
            slim.remove_slots(prefix)
    whole = checkpoints.Saved(prefix)
    for key in set(whole.values) & set(values):
        np.testing.assert_array_equal(whole.values[key], values[key], key)
    again, *_ = toy_model.manager(tmp_path, toy_model.Model())
    assert again.resume(lambda text: None) == prefix
    assert checkpoints.Saved(prefix).values.keys() == whole.values.keys()
    assert not [name for name in names(tmp_path) if 'temp' in name]
    assert len({name[-5:] for name in names(tmp_path) if 'data' in name}) == 1


def test_a_full_disk_leaves_it_as_it_was(tmp_path, monkeypatch):
    _, prefix = saved(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def full(**_):
        raise tf.errors.ResourceExhaustedError(None, None, 'x; No space left on device')
    monkeypatch.setattr(tf.raw_ops, 'MergeV2Checkpoints', full)
    with pytest.raises(OSError) as caught:
        slim.remove_slots(prefix)
    assert caught.value.errno == errno.ENOSPC
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_a_damaged_one_is_left_alone(tmp_path):
    _, prefix = saved(tmp_path)
    data = tmp_path / 'ckpt-1.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:-5])
    assert not slim.remove_slots(prefix) and len(names(tmp_path)) == 2
    shutil.copy(data, tmp_path / 'ckpt-2.data-00000-of-00001')
    assert not slim.remove_slots(tmp_path / 'ckpt-2')


def test_read_while_it_is_rewritten(tmp_path, monkeypatch):
    """Another process evaluates it, and has seen the old index."""
    _, prefix = saved(tmp_path)
    load, left = tf.train.load_checkpoint, [1]

    def rewritten_then(path):
        reader = load(path)
        if left:
            left.pop()
            slim.remove_slots(prefix)
        return reader
    monkeypatch.setattr(tf.train, 'load_checkpoint', rewritten_then)
    assert checkpoints.Saved(prefix).step == 1
