"""Kills at random moments: of train_and_eval_tf2.py or of the process that computes for it.

    KILL_SEED=7 KILLS=100 python -m pytest -m slow tests/commands/test_kills.py -s

A run of six steps, two checkpoints, and two evaluations is killed one to four times, and then left alone.
"""
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.config import paths
from object_detection.runs import best
from tests.support import tiny

ROOT = Path(__file__).parents[2]
OPTIONS = ('--num_train_steps', '6', '--checkpoint_every_n', '3', '--checkpoint_max_to_keep', '2', '--keep_optimizer',
           '1', '--best_metric', 'total_loss')


def start(folder, model):
    with (folder / f'{model}.log').open('a') as log:
        return subprocess.Popen(
            [sys.executable, ROOT / 'train_and_eval_tf2.py', '--model_dir', folder / model, '--pipeline_config_path',
             folder / 'pipeline.config', *OPTIONS], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def workers(parent):
    """The processes that a command has started for its phases (Linux)."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError, ValueError):
            if (int((folder / 'stat').read_text().rsplit(')', 1)[1].split()[1]) == parent
                    and b'spawn_main' in (folder / 'cmdline').read_bytes()):
                found.append(int(folder.name))
    return found


def result(model):
    """What a finished run has left, without times."""
    names = [path.name for path in paths.training_checkpoints(model)]
    saved = [checkpoints.Saved(model / name) for name in names]
    kept = best.read(model / 'best')
    assert (kept.prefix.name, checkpoints.load(model / 'best').step) == (kept.checkpoint, kept.step)
    left = [path.name for path in (*model.rglob('.*.tmp'), *model.rglob('*_temp'), *model.rglob('*.tempstate*'))]
    entries = json.loads((model / 'run.json').read_text(encoding='utf-8'))['checkpoints']
    weights = {name: {key: np.asarray(value) for key, value in one.values.items()} for name, one in zip(names, saved)}
    return (weights, (kept.checkpoint, kept.step, kept.value), entries, left,
            sorted(path.name for path in (model / 'best').iterdir()))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL')
def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path):
    seed, kills = int(os.environ.get('KILL_SEED', random.randrange(10 ** 6))), int(os.environ.get('KILLS', 100))
    print(f'KILL_SEED={seed} KILLS={kills}')
    chance, done, killed = random.Random(seed), 0, {'parent': 0, 'worker': 0}
    tiny.write(tmp_path)
    began = time.monotonic()
    assert start(tmp_path, 'calm').wait(timeout=600) == 0, (tmp_path / 'calm.log').read_text()
    duration, expected = time.monotonic() - began, result(tmp_path / 'calm')
    assert [*expected[0]] == ['ckpt-3', 'ckpt-2'] and expected[3] == []
    for number in itertools.count():
        if done >= kills:
            break
        model, moments = f'killed{number}', []
        for _ in range(min(chance.randint(1, 4), kills - done)):
            process = start(tmp_path, model)
            moments.append((chance.choice([*killed]), chance.uniform(0, duration)))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=moments[-1][1])
                break  # it was done before
            victims = workers(process.pid) if moments[-1][0] == 'worker' else []
            killed['worker' if victims else 'parent'] += 1
            for victim in victims or [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            process.wait(timeout=600)
            done += 1
        says = f'KILL_SEED={seed}, {model}, killed {moments}: {(tmp_path / f"{model}.log").read_text()[-3000:]}'
        assert start(tmp_path, model).wait(timeout=600) == 0, says
        found = result(tmp_path / model)
        assert found[1:] == expected[1:] and found[0].keys() == expected[0].keys(), says
        for name, values in expected[0].items():
            assert values.keys() == found[0][name].keys(), says
            for key, value in values.items():
                np.testing.assert_array_equal(found[0][name][key], value, f'{name} {key}: {says}')
        shutil.rmtree(tmp_path / model)
        print(done, end=' ', flush=True)
    print(f'{done} kills ({killed["parent"]} of the command, {killed["worker"]} of its process), all the same weights')
