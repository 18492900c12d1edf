"""Commands with everything on an S3 server: records, label map, pipeline.config, and model_dir."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.cluster.meeting import free_port
from object_detection.commands import exporter_main_v2, train_and_eval_tf2
from object_detection.runs import record
from object_detection.utils import store
from tests.support import in_process, tiny

pytest_plugins = ['tests.support.object_store']
ROOT = Path(__file__).parents[2]


def put(folder, url):
    """Copy a tiny project to a store; its config names what is there."""
    path = tiny.write(folder)
    text = path.read_text()
    path.write_text(text.replace(f'"{folder.as_posix()}/', f'"{url}/'))
    for file in folder.iterdir():
        store.upload(file, f'{url}/{file.name}')
    path.write_text(text)
    return text


def command(url, *options):
    return ['--model_dir', f'{url}/model', '--pipeline_config_path', f'{url}/pipeline.config', '--checkpoint_every_n',
            '10', *map(str, options)]


def undisturbed(tmp_path, steps):
    """Train tmp_path/here in one go and without a store, in tmp_path/straight."""
    done = in_process.run(train_and_eval_tf2.main, '--model_dir', tmp_path / 'straight', '--pipeline_config_path',
                          tmp_path / 'here' / 'pipeline.config', '--num_train_steps', steps, '--checkpoint_every_n', 10)
    assert done.returncode == 0, done.stderr


def same_weights(one, other):
    one, other = (checkpoints.load(path).values for path in (one, other))
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_a_run_on_a_store_goes_on_from_another_machine(s3, tmp_path, monkeypatch):
    url = 's3://bucket/project'
    (tmp_path / 'here').mkdir()
    put(tmp_path / 'here', url)
    undisturbed(tmp_path, 20)

    s3.faults[:] = [503, None, 'reset']
    first = in_process.run(train_and_eval_tf2.main, *command(url, '--num_train_steps', 10))
    assert first.returncode == 0, first.stderr
    shutil.rmtree(tmp_path / 'cache')
    second = in_process.run(train_and_eval_tf2.main, *command(url, '--num_train_steps', 20))
    assert second.returncode == 0, second.stderr
    assert 'fetch' not in second.stderr and f'{url}/model: works in {tmp_path}' in second.stdout

    names = set(store.walk(f'{url}/model'))
    assert {'checkpoint', 'ckpt-1.index', 'ckpt-3.index', 'run.json', 'summary.html', 'pipeline.config',
            'best/best.json'} <= names
    assert not any('.tmp' in name or '.lock' in name for name in names)
    monkeypatch.setenv('OBJECT_DETECTION_CACHE', str(tmp_path / 'third'))
    same_weights(tmp_path / 'straight' / 'ckpt-3', f'{url}/model')
    kept = record.read(tmp_path / 'cache/model_dirs/s3/bucket/project/model/run.json')
    assert len(kept['starts']) == 2 and list(kept['checkpoints']) == ['ckpt-2', 'ckpt-3']

    exported = in_process.run(exporter_main_v2.main, '--trained_checkpoint_dir', f'{url}/model', '--output_directory',
                              tmp_path / 'exported', '--pipeline_config_path', f'{url}/model/pipeline.config')
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / 'exported' / 'label_map.pbtxt').is_file()


def test_a_store_without_records_is_named_before_tensorflow(s3, tmp_path):
    (tmp_path / 'here').mkdir()
    put(tmp_path / 'here', 's3://bucket/without')
    store.remove('s3://bucket/without/train.tfrecords')
    done = in_process.run(train_and_eval_tf2.main, *command('s3://bucket/without'))
    assert done.returncode
    assert 's3://bucket/without/train.tfrecords: does not exist; s3://bucket/without has' in done.stderr


@pytest.mark.slow
def test_two_machines_that_share_nothing_but_the_store(s3, tmp_path, monkeypatch):
    url = 's3://bucket/together'
    (tmp_path / 'here').mkdir()
    put(tmp_path / 'here', url)
    workers = ','.join(f'127.0.0.1:{free_port()}' for _ in range(2))
    processes = [subprocess.Popen(
        [sys.executable, ROOT / 'train_and_eval_tf2.py', *command(url, '--num_train_steps', 20), '--workers', workers,
         '--worker_index', str(index)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {'OBJECT_DETECTION_CACHE': str(tmp_path / f'cache{index}'),
                          'OBJECT_DETECTION_STORE_TIMEOUT': '10'}) for index in range(2)]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(said)
    assert {'ckpt-2.index', 'ckpt-3.index', 'run.json', 'best/best.json'} <= set(store.walk(f'{url}/model'))
    ours, theirs = (tmp_path / f'cache{index}' / 'model_dirs/s3/bucket/together/model' for index in range(2))
    assert (theirs / 'ckpt-3.index').read_bytes() == (ours / 'ckpt-3.index').read_bytes(), 'for the evaluation'


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL')
@pytest.mark.parametrize('seed', range(6))
def test_a_command_that_is_killed_at_any_moment(s3, tmp_path, monkeypatch, seed):
    """Also while it sends; it goes on from an empty cache, as on another machine."""
    url = f's3://bucket/killed{seed}'
    (tmp_path / 'here').mkdir()
    put(tmp_path / 'here', url)
    undisturbed(tmp_path, 30)
    monkeypatch.setenv('OBJECT_DETECTION_STORE_TIMEOUT', '10')
    rng, line = np.random.default_rng(seed), [sys.executable, ROOT / 'train_and_eval_tf2.py',
                                              *command(url, '--num_train_steps', 30)]
    for attempt in range(12):
        monkeypatch.setenv('OBJECT_DETECTION_CACHE', str(tmp_path / f'cache{attempt}'))
        process = subprocess.Popen(line, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   start_new_session=True)
        sent = len(s3.requests)
        while process.poll() is None and not any(method == 'PUT' for method, _ in s3.requests[sent:]):
            time.sleep(.01)
        try:
            output, _ = process.communicate(timeout=rng.uniform(0, 8) if attempt < 4 else 300)
            assert process.returncode == 0, output
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    same_weights(tmp_path / 'straight' / 'ckpt-4', f'{url}/model')
