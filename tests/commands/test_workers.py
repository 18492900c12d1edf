"""Workers that get ready while the phase before is at its end: when they start, and that none is left."""
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from object_detection.commands import runs, workers
from object_detection.runs.record import Record
from object_detection.utils import errors, machine, phases
from tests.support import phase_samples, tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def light(monkeypatch):
    """Processes that import nothing, and a list of them; the first one is there."""
    class Light(phases.Worker):
        def __init__(self, preload=()):
            super().__init__(['json'])
            started.append(self)
    started = []
    monkeypatch.setattr(phases, 'Worker', Light)
    Light()
    return started


def test_seconds_left(monkeypatch):
    countdown = workers.Countdown()
    assert countdown.left('started', {'step': 0, 'target': 100}) is None
    assert countdown.left('progress', {'step': 80, 'steps_per_second': 4.}) == 5.
    assert countdown.left('progress', {'step': 1, 'steps_per_second': 0.}) is None  # nothing is known yet
    assert countdown.left('evaluated', {'pictures': 10}) is None

    now = iter([100., 104., 106.])
    monkeypatch.setattr(workers.time, 'monotonic', lambda: next(now))
    countdown = workers.Countdown(40, 7.)
    assert countdown.left('restored', {'step': 5}) == 7.
    assert countdown.left('evaluated', {'pictures': 8}) is None
    assert countdown.left('evaluated', {'pictures': 16}) == 12.  # 24 pictures of half a second
    assert countdown.left('evaluated', {'pictures': 40}) == 0.


def test_pictures_of_an_evaluation():
    known = {'eval_input_reader[0]': {'records': 200}, 'train_input_reader': {'records': 1000}}
    assert workers.pictures_of(known, {'sample_1_of_n': 1}) == 200
    assert workers.pictures_of(known, {'sample_1_of_n': 5, 'on_train_data': True}) == 200
    assert workers.pictures_of(known, {'num_steps': 5}) is None
    assert workers.pictures_of({}, {'sample_1_of_n': 1}) is None


def test_the_next_one_starts_once_and_the_last_has_none(light):
    with workers.Workers(light[0]) as fresh:
        fresh.coming = 'train'
        assert len(light) == 1
        worker = next(fresh)
        worker.nearly_done()
        worker.nearly_done()
        assert len(light) == 2 and worker is light[0]
        assert next(fresh) is light[1]
        fresh.coming = ''
        light[1].nearly_done()
        assert len(light) == 2
        assert next(fresh) is light[2]
        for one in light:
            one.__exit__()
    assert not any(one.is_alive() for one in light)


def test_one_that_was_killed_while_it_waited_is_replaced(light):
    with workers.Workers(light[0]) as fresh:
        fresh.coming = 'train'
        worker = next(fresh)
        worker.nearly_done()
        light[1]._process.kill()
        light[1]._process.join()
        assert next(fresh) is light[2] and light[2].is_alive()
        for one in light:
            one.__exit__()


def test_none_starts_where_memory_is_scarce(light, monkeypatch):
    monkeypatch.setattr(machine, 'free_memory', lambda: 1.)
    with workers.Workers(light[0]) as fresh, next(fresh) as worker:
        fresh.coming = 'eval'
        worker.nearly_done()
        assert len(light) == 1


def test_a_process_that_cannot_be_started_leaves_the_phase_alone(light, monkeypatch):
    def refused():
        raise BlockingIOError('Resource temporarily unavailable')
    with workers.Workers(light[0]) as fresh, next(fresh) as worker:
        fresh.coming = 'eval'
        monkeypatch.setattr(worker, 'another', refused)
        worker.nearly_done()
        assert worker.is_alive() and len(light) == 1


def test_what_is_read_ahead_touches_no_device(tmp_path):
    """TensorFlow's context, which lists the GPUs and takes memory there, is not there; the records' index is."""
    call = ('import importlib, sys; from pathlib import Path; from object_detection.commands import workers\n'
            'for name in workers.PRELOAD: importlib.import_module(name)\n'
            'for title in ("train", "eval"): workers.read_ahead(Path(sys.argv[1]).read_text(), title)\n'
            'from tensorflow.python.eager import context\n'
            'from object_detection.records import tfrecord\n'
            'made = context.context_safe()\n'
            'print(tfrecord._cached.cache_info().currsize, made and (made._context_handle, made._physical_devices))')
    done = subprocess.run([sys.executable, '-c', call, str(tiny.write(tmp_path))], cwd=ROOT, capture_output=True,
                          text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ['2', 'None\n'] or done.stdout == '2 (None, None)\n', done.stdout


@pytest.mark.parametrize('phase, error', [(phase_samples.bad_input, errors.UserError), (phase_samples.count, None)])
def test_a_phase_that_fails_leaves_none(phase, error, light, tmp_path):
    arguments = {} if error else {'to': 2}
    with pytest.raises(error or ZeroDivisionError), workers.Workers(light[0]) as fresh:
        fresh.coming = 'eval'
        worker = next(fresh)
        worker.nearly_done()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runs.screen.Screen, 'show', lambda *_: None)
            runs.run_phase(worker, phase, 'train', arguments, Record(tmp_path))
        raise ZeroDivisionError
    assert len(light) == 2 and not any(one.is_alive() for one in light)


@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL, SIGINT')
@pytest.mark.parametrize('end', ['SIGKILL', 'SIGINT'])
def test_a_command_that_is_killed_leaves_none(end, tmp_path):
    """The next process waits from the first step on, since the lead is longer than the run."""
    tiny.write(tmp_path)
    call = ('from object_detection.commands import runs, train_and_eval_tf2, workers\n'
            'from object_detection.utils import errors, phases\n'
            'runs.LEAD = 1e9; worker = phases.Worker\n'
            'def start(preload):\n'
            '    made = worker(preload); print("process", made._process.pid, flush=True); return made\n'
            'phases.Worker = start; errors.run_main(train_and_eval_tf2.main)')
    command = [sys.executable, '-c', call, '--model_dir', str(tmp_path / 'model'), '--num_train_steps', '100000',
               '--checkpoint_every_n', '100000', '--pipeline_config_path', str(tmp_path / 'pipeline.config')]
    processes = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if line.startswith('process'):
                processes.append(int(line.split()[1]))
            if len(processes) == 2:
                running.send_signal(getattr(signal, end))
                break
        running.stdout.read()
        assert running.wait(60) == (-signal.SIGKILL if end == 'SIGKILL' else 130)
    until = time.monotonic() + 20
    while any(machine.runs(process) for process in processes) and time.monotonic() < until:
        time.sleep(.1)
    assert not any(machine.runs(process) for process in processes)
