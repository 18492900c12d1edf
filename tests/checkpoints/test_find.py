"""Which checkpoint a path means, and which one of a folder is the newest."""
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.runs import best
from object_detection.runs.record import Record
from object_detection.utils.errors import UserError
from tests.support import toy_model


@pytest.mark.parametrize('make', [
    lambda folder: folder, lambda folder: folder / 'ckpt-1', lambda folder: folder / 'ckpt-1.index',
    lambda folder: folder / 'ckpt-1.data-00000-of-00001'])
@pytest.mark.parametrize('state', [True, False])
def test_load(make, state, tmp_path):
    toy_model.manager(tmp_path, toy_model.Model())[0].save()
    if not state:
        (tmp_path / 'checkpoint').unlink()
    assert checkpoints.load(make(tmp_path)).prefix == str(tmp_path / 'ckpt-1')


def test_load_from_a_zoo_tarball(tmp_path):
    (tmp_path / 'checkpoint').mkdir()
    toy_model.manager(tmp_path / 'checkpoint', toy_model.Model())[0].save()
    assert checkpoints.load(tmp_path).prefix == str(tmp_path / 'checkpoint' / 'ckpt-1')


def test_the_highest_number_is_the_newest_whatever_the_state_file_says(tmp_path):
    writer, *_ = toy_model.manager(tmp_path, toy_model.Model())
    for _ in range(2):
        writer.save()
    for path in tmp_path.glob('ckpt-1.*'):
        shutil.copy(path, path.with_name(path.name.replace('ckpt-1', 'ckpt-50')))
    assert 'model_checkpoint_path: "ckpt-2"' in (tmp_path / 'checkpoint').read_text()
    assert checkpoints.load(tmp_path).prefix == checkpoints.newest(tmp_path).prefix == str(tmp_path / 'ckpt-50')


def test_the_best_one_is_what_best_json_names(tmp_path):
    """Also where a kill has left another one of a higher number beside it."""
    writer, step, _ = toy_model.manager(tmp_path, toy_model.Model())
    record = Record(tmp_path)
    for number, value in ((1, .5), (2, .4)):
        step.assign(number)
        record.add('eval', Path(writer.save()).name, number, [('DetectionBoxes_Precision/mAP', value)])
    best.follow(record)
    for path in tmp_path.glob('ckpt-2.*'):
        shutil.copy(path, tmp_path / 'best' / path.name)
    assert checkpoints.load(tmp_path / 'best').prefix == str(tmp_path / 'best' / 'ckpt-1')
    assert tf.train.latest_checkpoint(tmp_path / 'best') == str(tmp_path / 'best' / 'ckpt-1')
    assert checkpoints.load(tmp_path).step == 2


def test_a_damaged_one_is_passed_over(tmp_path):
    writer, *_ = toy_model.manager(tmp_path, toy_model.Model())
    for _ in range(2):
        writer.save()
    (tmp_path / 'ckpt-2.index').write_bytes(b'')
    warnings = []
    assert checkpoints.load(tmp_path, warnings.append).prefix == str(tmp_path / 'ckpt-1')
    assert len(warnings) == 1 and 'ckpt-2 is damaged' in warnings[0]
    with pytest.raises(UserError, match='ckpt-2 is damaged'):
        checkpoints.load(tmp_path / 'ckpt-2')


def test_the_state_file_names_a_checkpoint_called_otherwise(tmp_path):
    prefix = tf.train.Checkpoint(model=toy_model.Model()).save(str(tmp_path / 'mobilenet_v2.ckpt'))
    assert checkpoints.newest(tmp_path) is None
    assert checkpoints.load(tmp_path).prefix == prefix == str(tmp_path / 'mobilenet_v2.ckpt-1')


def test_load_nothing(tmp_path):
    toy_model.manager(tmp_path, toy_model.Model())[0].save()
    with pytest.raises(UserError, match=r'no file ckpt-0\.index in .*; .* has ckpt-1'):
        checkpoints.load(tmp_path / 'ckpt-0')
    with pytest.raises(UserError, match=r'nix/ckpt-0: does not exist.*the prefix of one \(\.\.\./ckpt-7\)'):
        checkpoints.load(tmp_path / 'nix' / 'ckpt-0')
    with pytest.raises(UserError, match=r'checkpoint: is a file; .*the prefix of one \(\.\.\./ckpt-7\)'):
        checkpoints.load(tmp_path / 'checkpoint')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='neither'):
        checkpoints.load(tmp_path / 'empty')


def test_a_checkpoint_of_tensorflow_1(tmp_path):
    prefix = str(tmp_path / 'model.ckpt-7')
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=['Conv/weights'], shape_and_slices=[''], tensors=[tf.zeros([2])])
    with pytest.raises(UserError, match='TensorFlow 1'):
        checkpoints.fine_tune(toy_model.Model(), prefix, 'full')
