"""train_and_eval_tf2.py started on several machines, which are processes of this one: kills, Ctrl-C, differences."""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.cluster.meeting import free_port
from tests.support import tiny

ROOT = Path(__file__).parents[2]
BOUND = 60  # seconds, --barrier_timeout
KILLS = int(os.environ.get('KILLS', '20'))


def start(folder, count=2, *options, configs=None):
    """The command on each machine: its processes, with all output in machine-0.txt, ..."""
    workers = ','.join(f'127.0.0.1:{free_port()}' for _ in range(count))
    processes = []
    for index in range(count):
        config = configs[index] if configs else folder / 'pipeline.config'
        with (folder / f'machine-{index}.txt').open('w') as output:
            processes.append(subprocess.Popen(
                [sys.executable, 'train_and_eval_tf2.py', '--model_dir', str(folder / 'model'),
                 '--pipeline_config_path', str(config), '--workers', workers, '--worker_index', str(index),
                 '--barrier_timeout', str(BOUND), '--log_every_n', '1', *map(str, options)],
                cwd=ROOT, stdout=output, stderr=output))
    return processes


def said(folder, index):
    return (folder / f'machine-{index}.txt').read_text()


def finish(processes, seconds=300):
    end = time.monotonic() + seconds
    return [process.wait(max(.1, end - time.monotonic())) for process in processes]


def children(pid):
    """Processes of the phases that a command has started."""
    listed = subprocess.run(['ps', '-ww', '-o', 'pid=', '-o', 'args=', '--ppid', str(pid)], capture_output=True,
                            text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if 'spawn_main' in line]


def test_a_config_that_differs_is_named_on_all_machines(tmp_path):
    config = tiny.write(tmp_path)
    other = tmp_path / 'other.config'
    other.write_text(config.read_text().replace('learning_rate_base: 0.05', 'learning_rate_base: 0.04'))
    codes = finish(start(tmp_path, 2, configs=[config, other]))
    assert codes == [1, 1]
    for index in range(2):
        text = said(tmp_path, index)
        assert 'machine 1 (127.0.0.1:' in text and 'its config differs: \'learning_rate_base: 0.04\'' in text, text
        assert 'Traceback' not in text
    assert not (tmp_path / 'model' / 'run.json').exists()


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp('undisturbed')
    tiny.write(folder)
    assert finish(start(folder, 2, '--num_train_steps', 12, '--checkpoint_every_n', 4)) == [0, 0], said(folder, 0)
    assert 'step 12 saved' in said(folder, 0) and 'saved' not in said(folder, 1)
    assert '2 machines are here' in said(folder, 0)
    return folder


@pytest.fixture(scope='module')
def undisturbed_four(tmp_path_factory):
    folder = tmp_path_factory.mktemp('undisturbed_four')
    tiny.write(folder)
    assert finish(start(folder, 4, '--num_train_steps', 12, '--checkpoint_every_n', 4)) == [0] * 4, said(folder, 0)
    return folder


def same_weights(one, other):
    one, other = (checkpoints.load(folder / 'model').values for folder in (one, other))
    assert one.keys() == other.keys()
    for key, value in one.items():
        if not key.startswith('save_counter'):
            np.testing.assert_array_equal(value, other[key], key)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL')
@pytest.mark.parametrize('count, number', [(2, number) for number in range(KILLS)] + [
    (4, KILLS + number) for number in range(KILLS // 4)])
def test_a_machine_that_dies_anywhere(count, number, request, tmp_path):
    """Of a random machine the command, its phase or both are killed at a random step."""
    undisturbed = request.getfixturevalue('undisturbed' if count == 2 else 'undisturbed_four')
    seed = int(os.environ.get('KILL_SEED', time.time())) + number
    drawn = random.Random(seed)
    step, index, what = drawn.randint(1, 11), drawn.randrange(count), drawn.choice(['phase', 'command'])
    print(f'KILL_SEED={seed}: {what} of machine {index} at step {step}')
    for name in ('label_map.pbtxt', 'train.tfrecords', 'test.tfrecords', 'pipeline.config'):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    options = '--num_train_steps', 12, '--checkpoint_every_n', 4
    processes = start(tmp_path, count, *options)

    def all_said():
        return '\n'.join(said(tmp_path, i) for i in range(count))
    while f'train: step {step},' not in said(tmp_path, 0):
        assert all(process.poll() is None for process in processes), all_said()
        time.sleep(.02)
    time.sleep(drawn.random() * .3)
    victims = [processes[index].pid]
    if what == 'phase':
        while not (victims := children(processes[index].pid)):  # between two phases
            assert processes[index].poll() is None, all_said()
            time.sleep(.02)
    began = time.monotonic()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    codes = finish(processes, BOUND + 10)
    print(f'all ended after {time.monotonic() - began:.1f} s')
    for other in set(range(count)) - {index}:
        text = said(tmp_path, other)
        assert codes[other] == 1 and f'machine {index} (127.0.0.1:' in text, text
        assert 'Run the same command' in text and 'Traceback' not in text, text
    assert finish(start(tmp_path, count, *options)) == [0] * count, all_said()
    same_weights(undisturbed, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='SIGINT')
@pytest.mark.parametrize('index', [0, 1])
def test_ctrl_c_on_one_stops_all_with_a_checkpoint(index, undisturbed, tmp_path):
    tiny.write(tmp_path)
    options = '--num_train_steps', 12, '--checkpoint_every_n', 12
    processes = start(tmp_path, 2, *options)
    while 'train: step 3,' not in said(tmp_path, 0):
        assert all(process.poll() is None for process in processes), said(tmp_path, 0) + said(tmp_path, 1)
        time.sleep(.02)
    processes[index].send_signal(signal.SIGINT)
    assert finish(processes, BOUND + 10) == [130, 130], said(tmp_path, 0) + said(tmp_path, 1)
    step = checkpoints.load(tmp_path / 'model').step
    assert 3 <= step < 12
    assert finish(start(tmp_path, 2, *options)) == [0, 0]
