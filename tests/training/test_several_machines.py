"""Phases on several machines, as processes of this one that talk through gRPC: the numbers are those of one machine."""
import threading

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.cluster.meeting import free_port
from object_detection.evaluation import evaluator
from object_detection.training import train
from object_detection.utils import phases
from tests.support import tiny
from tests.support.phase_runs import Log, evaluated, events


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """The learning rate is small, because a large one amplifies rounding."""
    return tiny.write(tmp_path_factory.mktemp('tiny')).read_text().replace(
        'learning_rate_base: 0.05', 'learning_rate_base: 0.00001').replace(
        'warmup_learning_rate: 0.01', 'warmup_learning_rate: 0.00001')


def one_process(folder, config, devices, **arguments):
    """Train 20 steps in one process, the same batches divided among `devices` devices: (folder, losses by step)."""
    log = Log()
    with phases.Worker() as worker:
        outcome = worker.run(train.train, {'config_text': config, 'model_dir': str(folder), 'num_steps': 20,
                                           'log_every_n': 1, 'cpus': devices, **arguments},
                             folder.parent / 'outcome.json', log)
    assert outcome.kind == phases.DONE, outcome
    return folder, log.losses()


@pytest.fixture(scope='module')
def straight(config, tmp_path_factory):
    return one_process(tmp_path_factory.mktemp('straight'), config, 2)


def together(count, phase, folder, **arguments):
    """Run a phase on `count` machines; return [(outcome, log)]."""
    addresses = [f'127.0.0.1:{free_port()}' for _ in range(count)]
    done = [None] * count

    def one(index):
        with phases.Worker() as worker:
            log = Log()
            outcome = worker.run(phase, {'model_dir': str(folder), **arguments,
                                         'cluster': {'index': index, 'addresses': addresses}},
                                 folder.parent / f'outcome-{index}.json', log)
            done[index] = outcome, log
    threads = [threading.Thread(target=one, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    return done


def training(count, folder, config, **arguments):
    done = together(count, train.train, folder, config_text=config, num_steps=20, log_every_n=1, **arguments)
    assert [outcome.kind for outcome, _ in done] == [phases.DONE] * count, done
    return done


def changed(folder, kind):
    """How far the values of a kind moved from ckpt-1 to ckpt-2, float64 [n]."""
    before, after = (checkpoints.Saved(folder / name).values for name in ('ckpt-1', 'ckpt-2'))
    keys = sorted(key for key in after if kind in key)
    assert keys and before.keys() == after.keys()
    return np.concatenate([np.ravel(after[key]).astype(np.float64) - np.ravel(before[key]) for key in keys])


def compare(done, folder, straight):
    """Same losses and steps of all weights; a single device differs by the rounding of batch norm's moments (5e-5)."""
    for _, log in done:
        losses = log.losses()
        assert list(losses) == list(range(1, 21))
        for step, loss in straight[1].items():
            assert losses[step] == pytest.approx(loss, rel=1e-5), step
    chief, *others = (log for _, log in done)
    assert [values['step'] for values in chief.of('saved')] == [0, 20]
    assert not any(log.of('saved') for log in others)
    for kind in ('/kernel/.ATT', '/gamma/.ATT', '/moving_variance/.ATT', 'SLOT/optimizer/momentum/.ATT'):
        one, other = changed(straight[0], kind), changed(folder, kind)
        assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(one), kind
    assert len(list((folder / 'train').glob('events*'))) == 1


def test_two_machines_train_and_evaluate_as_one(straight, config, tmp_path):
    folder = tmp_path / 'two'
    compare(training(2, folder, config), folder, straight)

    one = evaluated(straight[0], config, checkpoint_path=str(folder / 'ckpt-2'))[1]
    (chief, _), (other, log) = together(2, evaluator.evaluate, folder, config_text=config)
    assert other.data == {} and chief.data['pictures'] == one['pictures'] == 5
    assert log.of('evaluated')[-1] == {'pictures': 3}
    for (name, value), (same, expected) in zip(chief.data['metrics'], one['metrics']):
        assert name == same and value == pytest.approx(expected, rel=1e-5), name
    assert ('DetectionBoxes_Precision/mAP', 20) in events(folder / 'eval')
    assert chief.data['analysis']['expected'] == 5
    for name in ('map', 'errors', 'threshold'):
        assert chief.data['analysis'][name] == one['analysis'][name] or chief.data['analysis'][name] == pytest.approx(
            one['analysis'][name], rel=1e-4), name


@pytest.mark.slow
def test_four_machines_train_as_one(config, tmp_path):
    folder = tmp_path / 'four'
    compare(training(4, folder, config), folder, one_process(tmp_path / 'one', config, 4))


@pytest.mark.slow
def test_accumulated_parts_on_two_machines(config, tmp_path):
    straight = one_process(tmp_path / 'one', config, 2, accumulate=2)
    compare(training(2, tmp_path / 'two', config, accumulate=2), tmp_path / 'two', straight)


def test_machines_that_start_from_different_checkpoints(straight, config, tmp_path):
    """model_dir is not the same folder on both: refused before the first step."""
    addresses = [f'127.0.0.1:{free_port()}' for _ in range(2)]
    done = {}

    def one(index, folder):
        with phases.Worker() as worker:
            done[index] = worker.run(train.train, {
                'config_text': config, 'model_dir': str(folder), 'num_steps': 30,
                'cluster': {'index': index, 'addresses': addresses}}, tmp_path / f'{index}.json', Log())
    threads = [threading.Thread(target=one, args=arguments)
               for arguments in ((0, straight[0]), (1, tmp_path / 'empty'))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for outcome in done.values():
        assert outcome.kind == phases.BAD_INPUT
        assert 'machine 1 starts from no checkpoint at step 0, the chief from ckpt-2 at step 20' in outcome.message
