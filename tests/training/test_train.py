"""The train phase on a tiny detector: resume, several devices, every way to end."""
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, records
from object_detection.config import paths
from object_detection.training import train
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import tiny, toy_backbone
from tests.support.phase_runs import Log, events, run


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp('tiny')).read_text()


@pytest.fixture(scope='module')
def toy(toys, tmp_path_factory):
    """For tests of how a phase ends."""
    return toy_backbone.ssd(tmp_path_factory.mktemp('toy'))


@pytest.fixture(scope='module')
def straight(config, tmp_path_factory):
    """Train eight steps in one phase: (folder, losses by step)."""
    folder = tmp_path_factory.mktemp('straight')
    log, data = run(folder, config, 8)
    assert data == {'step': 8, 'checkpoint': str(folder / 'ckpt-2'), 'trained': 8}
    assert [values['step'] for values in log.of('saved')] == [0, 8]
    return folder, log.losses()


def test_losses_fall(straight):
    _, losses = straight
    assert list(losses) == list(range(1, 9)) and losses[8] < losses[1]


def test_tensorboard(straight):
    found = events(straight[0] / 'train')
    for tag in ('Loss/localization_loss', 'Loss/classification_loss', 'Loss/regularization_loss', 'Loss/total_loss',
                'learning_rate', 'steps_per_sec'):
        assert found[tag, 8][0] == 'scalars', tag
    assert found['learning_rate', 8][1] == pytest.approx(.01 + .04 * 8 / 10)
    assert found['train_input_images', 1][0] == 'images'


def test_a_resumed_run_is_the_same_run(straight, config, tmp_path):
    folder, losses = straight
    first, _ = run(tmp_path, config, 100, checkpoint_every_n=4)
    second, data = run(tmp_path, config, 8, checkpoint_every_n=4)
    assert second.of('restored')[0]['step'] == 4 and data['trained'] == 4
    assert {**first.losses(), **second.losses()} == losses
    one, other = (checkpoints.load(path).values for path in (folder, tmp_path))
    for key, value in one.items():
        if not key.startswith('save_counter'):
            np.testing.assert_array_equal(value, other[key], key)


def test_a_renamed_checkpoint_is_continued_above_its_number(straight, config, tmp_path):
    """ckpt-2 was kept as ckpt-50; its save_counter says 2."""
    for path in straight[0].glob('ckpt-2.*'):
        shutil.copy(path, tmp_path / path.name.replace('ckpt-2', 'ckpt-50'))
    _, data = run(tmp_path, config, 9)
    assert data == {'step': 9, 'checkpoint': str(tmp_path / 'ckpt-51'), 'trained': 1}
    _, data = run(tmp_path, config, 9)
    assert data == {'step': 9, 'checkpoint': str(tmp_path / 'ckpt-51'), 'trained': 0}


def test_a_resume_from_a_checkpoint_without_the_state_of_the_optimizer_says_so(toy, tmp_path):
    """The newest is damaged, and only the newest keeps that state."""
    for step in (2, 4):
        log, _ = run(tmp_path, toy, step, keep_optimizer=1)
    assert log.of('slimmed') == [{'checkpoints': ['ckpt-2']}]  # ckpt-1 lost it in the first phase
    damaged = tmp_path / 'ckpt-3.index'
    damaged.write_bytes(damaged.read_bytes()[:100])
    log, data = run(tmp_path, toy, 5, keep_optimizer=1)
    skipped, without = (warning['text'] for warning in log.of('warning'))
    assert 'skipped' in skipped and 'without the state of the optimizer, which only the newest' in without
    assert log.of('restored')[0]['step'] == 2 and data['step'] == 5 and data['checkpoint'] == str(tmp_path / 'ckpt-4')


def test_another_seed_is_another_run(straight, config, tmp_path):
    log, _ = run(tmp_path, config, 2, seed=2**31 - 1)
    start, other = (checkpoints.Saved(folder / 'ckpt-1').values for folder in (straight[0], tmp_path))
    kernels = [key for key in start if '/kernel/.ATT' in key]
    assert kernels and not any(np.array_equal(start[key], other[key]) for key in kernels)
    assert log.losses()[1] != straight[1][1]


def test_nothing_left_to_do(straight, config):
    log, data = run(straight[0], config, 8)
    assert data['trained'] == 0 and data['step'] == 8 and not log.of('saved')


def test_two_devices_are_one(toy, tmp_path):
    """Runs in its own process: logical devices must be set up before TensorFlow starts. The learning rate is small,
    because a large one amplifies the rounding of sums in another order (0 at step 1, 4e-7 at 3, tenfold each later)."""
    config = toy.replace('learning_rate_base: 0.05', 'learning_rate_base: 0.001').replace(
        'warmup_learning_rate: 0.01', 'warmup_learning_rate: 0.001')
    one, two = Log(), Log()
    train.train(one, lambda: False, config, str(tmp_path / 'one'), 8, log_every_n=1)
    with phases.Worker() as worker:
        outcome = worker.run(toy_backbone.train_phase, {
            'config_text': config, 'model_dir': str(tmp_path / 'two'), 'num_steps': 8, 'log_every_n': 1, 'cpus': 2},
            tmp_path / 'outcome.json', two)
    assert outcome.kind == phases.DONE
    assert len(one.losses()) == 8
    for step, loss in one.losses().items():
        assert two.losses()[step] == pytest.approx(loss, rel=1e-5 if step < 4 else 1e-2), step


def test_stops_when_asked_and_saves(toy, tmp_path):
    with pytest.raises(phases.Interrupted) as caught:
        run(tmp_path, toy, 8, after(4))
    assert caught.value.data == {'step': 3, 'checkpoint': str(tmp_path / 'ckpt-2')}
    assert checkpoints.load(tmp_path).step == 3


def after(times):
    """A `stopping` that says no this many times."""
    answers = iter([False] * times)
    return lambda: next(answers, True)


def test_a_stop_before_the_first_step(toy, tmp_path):
    """While the model is built: nothing is traced. While the step is traced: ckpt-1 is of this step already."""
    for times, kept in ((0, []), (1, ['ckpt-1'])):
        with pytest.raises(phases.Interrupted):
            run(tmp_path, toy, 8, after(times))
        assert [path.name for path in paths.training_checkpoints(tmp_path)] == kept


def test_a_stop_while_a_checkpoint_is_written(toy, tmp_path, monkeypatch):
    asked, save = [], checkpoints.Manager.save

    def slow(manager):
        if manager.folder == tmp_path and int(manager.root.step) == 2:
            asked.append(True)
        return save(manager)
    monkeypatch.setattr(checkpoints.Manager, 'save', slow)
    with pytest.raises(phases.Interrupted) as caught:
        run(tmp_path, toy, 8, lambda: bool(asked), checkpoint_every_n=2, to_the_end=True)
    assert caught.value.data == {'step': 2, 'checkpoint': str(tmp_path / 'ckpt-2')}
    assert [path.name for path in paths.training_checkpoints(tmp_path)] == ['ckpt-2', 'ckpt-1']


def test_a_loss_that_is_not_finite(toy, tmp_path):
    wild = toy.replace('learning_rate_base: 0.05', 'learning_rate_base: 1e30').replace(
        'warmup_learning_rate: 0.01', 'warmup_learning_rate: 1e30')
    with pytest.raises(phases.NotFinite, match=r'after step|loss of step \d is not finite') as caught:
        run(tmp_path, wild, 8)
    assert 1 <= caught.value.data['step'] <= 8
    assert checkpoints.load(tmp_path).step == 0  # what came before is still there


def test_out_of_memory(toy, tmp_path, monkeypatch):
    def exhausted(*_):
        raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor with shape[4,64,64,32]')
    monkeypatch.setattr(train, 'trace_step', lambda *_: exhausted)
    with pytest.raises(phases.OutOfMemory, match=r'batch size 4 .*OOM when allocating'):
        run(tmp_path, toy, 8)


def test_full_disk(toy, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device', 'ckpt-2')
    run(tmp_path, toy, 1)
    monkeypatch.setattr(checkpoints.Manager, 'save', full)
    with pytest.raises(OSError, match='No space left'):
        run(tmp_path, toy, 2)
    assert checkpoints.load(tmp_path).step == 1


def test_a_broken_picture_is_named(toy, tmp_path):
    source = Path(toy.split('label_map_path: "')[1].split('/label_map')[0])
    for name in ('label_map.pbtxt', 'test.tfrecords'):
        shutil.copy(source / name, tmp_path)
    with records.Writer(str(tmp_path / 'train.tfrecords')) as writer:
        writer.write(records.Example(b'no picture', 60, 80, filename='dog 7.jpg').to_bytes())
    with pytest.raises(UserError, match=r'dog 7\.jpg'):
        run(tmp_path / 'model', toy.replace(source.as_posix(), tmp_path.as_posix()), 2)


def test_batch_that_cannot_be_divided(config, tmp_path):
    with phases.Worker() as worker:
        outcome = worker.run(train.train, {
            'config_text': config.replace('batch_size: 4', 'batch_size: 3'), 'model_dir': str(tmp_path),
            'num_steps': 2, 'cpus': 2}, tmp_path / 'outcome.json', Log())
    assert outcome.kind == phases.BAD_INPUT and 'batch_size is 3; it is divided among 2 devices' in outcome.message


def test_fine_tune_and_frozen_backbone(straight, config, tmp_path):
    tuned = config.replace('batch_size: 4', f"""batch_size: 4
        fine_tune_checkpoint: "{straight[0].as_posix()}/ckpt-2" fine_tune_checkpoint_type: "detection"
        freeze_variables: "_feature_extractor/classification_backbone" """)
    log, data = run(tmp_path, tuned, 2)
    assert {part: counts for part, *counts in log.of('fine_tuned')[0]['table']}[
        '_feature_extractor/classification_backbone'][1:] == [0, 0]
    before, after = checkpoints.Saved(straight[0] / 'ckpt-2').values, checkpoints.Saved(data['checkpoint']).values
    backbone = [key for key in before if 'classification_backbone' in key and '/kernel/.ATT' in key]
    heads = [key for key in before if '_feature_extractor/_fpn' in key and 'kernel/.ATT' in key]
    assert backbone and all(np.array_equal(before[key], after[key]) for key in backbone)
    assert heads and not any(np.array_equal(before[key], after[key]) for key in heads)


def spoil(folder, *numbers):
    """Give the training records of these numbers wrong checksums, in the file as it is."""
    path = folder / 'train.tfrecords'
    index, data = records.Records(path), bytearray(path.read_bytes())
    for number in numbers:
        data[int(index._offsets[number]) + 500] ^= 1
    path.write_bytes(data)


def test_broken_records_are_skipped_up_to_a_number(toys, tmp_path):
    """A run that finds them on its way is the same as one that knows of them from the beginning."""
    text = toy_backbone.ssd(tmp_path)
    spoil(tmp_path, 2, 11)
    found, _ = run(tmp_path / 'found', text, 4, most_skipped=2)
    skipped = {index: reason for values in found.of('skipped') for index, reason in values['records'].items()}
    assert sorted(skipped) == ['11', '2']
    assert all(f"'train{index}.jpg': the data has a wrong" in reason for index, reason in skipped.items())
    known, _ = run(tmp_path / 'known', text, 4, skipped=[2, 11])
    assert known.losses() == found.losses() and not known.of('skipped')
    with pytest.raises(UserError, match=r'--skip_bad_records 1: .*there would be 2\. Write the records again, or'):
        run(tmp_path / 'one', text, 4, most_skipped=1, skipped=[2])
    with pytest.raises(UserError) as error:
        run(tmp_path / 'none', text, 4)
    assert 'wrong checksum' in str(error.value) and '--skip_bad_records' not in str(error.value)


def test_a_broken_record_in_a_loop_of_steps_ends_the_phase_that_reported_it(toys, tmp_path):
    text = toy_backbone.ssd(tmp_path)
    log = Log()

    def report(event, /, **values):
        log(event, **values)
        if event == 'started':
            spoil(tmp_path, 4)

    with pytest.raises(train.ReadAgain) as end:
        train.train(report, lambda: False, text, str(tmp_path / 'm'), 500, steps_per_loop=4, most_skipped=1)
    assert end.value.data == {'again': True} and list(log.of('skipped')[0]['records']) == ['4']
    _, data = run(tmp_path / 'm', text, 9, steps_per_loop=4, skipped=[4])
    assert data['step'] == 9


def test_the_learning_rate_is_multiplied(toy, tmp_path):
    log, _ = run(tmp_path, toy, 1, learning_rate_factor=.25)
    assert log.of('log')[0]['values']['learning_rate'] == pytest.approx(.25 * (.01 + .04 / 10))
