"""What a training does after a phase that ended badly: real memory limits, broken records, NaN, stopped processes."""
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from object_detection import checkpoints, records
from object_detection.commands import recovery, train_and_eval_tf2
from object_detection.commands.runs import PhaseFailed
from object_detection.config import pipeline
from object_detection.runs.record import Record
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import tiny

ROOT = Path(__file__).parents[2]
CALL = ('import sys; from object_detection.commands import train_and_eval_tf2 as script\n'
        'from object_detection.utils import errors\n'
        'if sys.argv[1] != "0":\n'
        '    import resource; resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]), ) * 2)\n'
        'errors.run_main(script.main, sys.argv[2:])')
MAP = 'DetectionBoxes_Precision/mAP'
LARGE = (('height: 64 width: 64', 'height: 320 width: 320'), ('batch_size: 4', 'batch_size: 16'),
         ('ssd {', 'ssd { freeze_batchnorm: true'))
LIMIT = 1_060_000_000  # bytes of data of a process: LARGE takes 1.70e9, in two parts 1.20e9, in four 0.93e9
# Decay of 600 at a rate of 0.01 makes weights -5 times as large at each step, -2 times at half the rate, and half as
# large at a quarter of it.
DIVERGING = (('weight: 4e-05', 'weight: 600'), ('momentum_optimizer_value: 0.9', 'momentum_optimizer_value: 0'),
             ('learning_rate_base: 0.05 total_steps: 400 warmup_learning_rate: 0.01 warmup_steps: 10',
              'learning_rate_base: 0.01 total_steps: 100000 warmup_learning_rate: 0.01 warmup_steps: 10'))
linux = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='limits and signals of Linux')


def write(folder, *changes):
    folder.mkdir(exist_ok=True)
    path = tiny.write(folder)
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def start(folder, *options, limit=0):
    command = [sys.executable, '-c', CALL, str(limit), '--model_dir', str(folder / 'model'), '--pipeline_config_path',
               str(folder / 'pipeline.config'), *map(str, options)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def metrics(folder):
    entries = json.loads((folder / 'model' / 'run.json').read_text())['checkpoints']
    return {name: entry['eval'][MAP] for name, entry in entries.items()}


@linux
@pytest.mark.slow
@pytest.mark.parametrize('frozen', [True, False])
def test_out_of_memory_goes_on_in_parts_to_the_same_map(frozen, tmp_path):
    """Also after a stop: the same command measures nothing again. With frozen batch norm the weights are the same."""
    changes = (*LARGE[:2 + frozen], ('learning_rate_base: 0.05', 'learning_rate_base: 0.005'),
               ('warmup_learning_rate: 0.01', 'warmup_learning_rate: 0.001'))
    for name in ('whole', 'parts'):
        write(tmp_path / name, *changes)
    options = '--checkpoint_every_n', 15, '--log_every_n', 1, '--num_train_steps', 30
    code, _, errors = finish(start(tmp_path / 'whole', *options))
    assert code == 0, errors

    process = start(tmp_path / 'parts', *options, '--on_oom', 'accumulate', limit=LIMIT)
    said = []
    for line in process.stdout:
        said.append(line)
        if 'step 17,' in line:
            process.send_signal(signal.SIGINT)
            break
    code, output, errors = finish(process)
    output = ''.join(said) + output
    assert code == 130 and 'Traceback' not in errors, errors
    parts = re.search(r'measured: a batch in (\d+) parts of \d+: fits', output)[1]  # 4, where nothing else runs
    assert f'with each batch in {parts} parts of {16 // int(parts)}: the same batch' in output
    code, output, errors = finish(start(tmp_path / 'parts', *options, limit=LIMIT))
    assert code == 0, errors
    assert f'each batch in {parts} parts, as before in this run' in output and 'measured' not in output
    outcomes = [phase['outcome'] for phase in Record(tmp_path / 'parts' / 'model').content['phases']]
    assert outcomes[0] == phases.OUT_OF_MEMORY and set(outcomes[1:]) == {phases.DONE, phases.INTERRUPTED}
    before, after = (list(metrics(tmp_path / name).values())[-1] for name in ('whole', 'parts'))
    assert after == pytest.approx(before, abs=.01)
    one, other = (checkpoints.load(tmp_path / name / 'model') for name in ('whole', 'parts'))
    assert one.step == other.step == 30
    if frozen:
        for key, value in one.values.items():
            if 'save_counter' not in key and value.dtype != object:
                np.testing.assert_allclose(other.values[key], value, rtol=0, atol=2e-4, err_msg=key)


@linux
@pytest.mark.slow
def test_out_of_memory_says_what_fits(tmp_path):
    write(tmp_path, *LARGE)
    code, output, errors = finish(start(tmp_path, '--num_train_steps', 4, limit=LIMIT))
    assert code == 1 and 'Traceback' not in errors
    assert errors.strip().splitlines()[-1].startswith('error: train ended: out of memory: ')
    said = re.search(r'this fits: batch_size (\d+) at this size of pictures; pictures of (\d+)x\2 \(image_resizer\) at '
                     r'batch_size 16. --on_oom accumulate goes on with the batch of 16 in (\d+) parts', errors)
    assert said and int(said[1]) * int(said[3]) == 16 and said[2] in ('192', '128', '64'), errors
    assert 'measured: a batch in 2 parts of 8: out of memory' in output
    assert not list((tmp_path / 'model').glob('.probe*'))


@pytest.mark.slow
def test_not_finite_goes_back_with_a_lower_rate(tmp_path):
    """Also after a stop: the same command goes on with the lowered rate, and counts the rollbacks of before."""
    write(tmp_path, *DIVERGING)
    options = '--checkpoint_every_n', 20, '--log_every_n', 1, '--num_train_steps', 80
    code, _, errors = finish(start(tmp_path, *options))
    assert code == 1 and 'not finite' in errors and '--on_nan rollback goes on from the last checkpoint' in errors
    assert (tmp_path / 'model' / 'not_finite' / 'step_20' / 'pictures.json').exists()
    code, _, errors = finish(start(tmp_path, *options, '--on_nan', 'rollback', '--max_rollbacks', 1))
    assert code == 1 and 'This run has gone back 1 times (--max_rollbacks), at step 20' in errors

    code, output, errors = finish(start(tmp_path, *options, '--on_nan', 'rollback'))
    assert code == 0, errors
    assert 'the learning rate is 0.5 times that of the config, since the rollback at step 20' in output
    assert 'goes back to ckpt-2 with 0.25 times the learning rate of the config (rollback 2 of at most 3)' in output
    saved = checkpoints.load(tmp_path / 'model')
    assert saved.step == 80 and all(np.isfinite(value).all() for value in saved.values.values()
                                    if value.dtype != object)
    described = json.loads((tmp_path / 'model' / 'not_finite' / 'step_40' / 'pictures.json').read_text())
    assert {entry['step'] for entry in described} == {39, 40} and len(described) == 8
    for entry in described:
        assert (tmp_path / 'model' / 'not_finite' / 'step_40' / entry['file']).stat().st_size > 500
        assert f'record {entry["filename"][5:-4]} at byte' in entry['record']


@pytest.mark.slow
def test_a_record_broken_while_the_run_is_on(tmp_path):
    write(tmp_path)
    options = '--checkpoint_every_n', 20, '--log_every_n', 1, '--eval_on_train_data', \
        '--sample_1_of_n_eval_on_train_examples', 4, '--num_train_steps'
    process = start(tmp_path, *options, 60, '--skip_bad_records', 1)
    for line in process.stdout:
        if 'step 3,' in line:
            flip(tmp_path / 'train.tfrecords', -500)
            break
    code, output, errors = finish(process)
    assert code == 0, errors
    told = [line for line in output.splitlines() if 'input_reader: skipped:' in line]
    assert len(told) == 1 and 'train12.jpg' in told[0] and 'wrong checksum' in told[0]
    assert 'eval_train: step 60, 3 pictures, 1 broken one skipped' in output
    kept = json.loads((tmp_path / 'model' / 'run.json').read_text())['recovery']['skipped']
    assert list(kept['train_input_reader']['records']) == ['12'] and 'eval_input_reader[0]' not in kept

    code, output, errors = finish(start(tmp_path, *options, 80, '--skip_bad_records', 1))
    assert code == 0 and 'skipped: picture' not in output, errors
    flip(tmp_path / 'train.tfrecords', 2000)  # a second one
    code, output, errors = finish(start(tmp_path, *options, 100, '--skip_bad_records', 1))
    assert code == 1 and 'wrong checksum: train0.jpg' in errors and 'and 1 more' in errors


def alive(status, parent):
    """Whether this is the /proc/N/status of a worker of `parent`."""
    try:
        return f'PPid:\t{parent}\n' in status.read_text() and 'spawn_main' in status.with_name('cmdline').read_text()
    except OSError:
        return False


@linux
@pytest.mark.slow
def test_a_stopped_worker_is_ended_by_the_watchdog(tmp_path):
    write(tmp_path)
    process = start(tmp_path, '--log_every_n', 1, '--num_train_steps', 100000, '--watchdog', .05)
    for line in process.stdout:
        if 'step 3,' in line:
            worker, = (int(path.parent.name) for path in Path('/proc').glob('[0-9]*/status')
                       if alive(path, process.pid))
            os.kill(worker, signal.SIGSTOP)
            break
    code, _, errors = finish(process)
    assert code == 1 and 'train ended: hung: nothing came from the process for 0.05 minutes' in errors
    assert 'it was stopped (SIGSTOP or Ctrl-Z)' in errors and 'Run the same command to continue' in errors


@pytest.fixture
def decide(tmp_path):
    """decide(*options, batch_size) -> the Recovery of a new start."""
    write(tmp_path)

    def begin(*options, config=''):
        parsed = train_and_eval_tf2.parse([f'--model_dir={tmp_path}', *options,
                                           f'--pipeline_config_path={tmp_path / "pipeline.config"}'], '')
        changed = pipeline.override(pipeline.read(tmp_path / 'pipeline.config'), config)
        record = Record(tmp_path)
        record.start(pipeline.to_text(changed), {'train_input_reader': {'digest': 'a'}}, trains=True)
        return recovery.Recovery(record, changed, parsed)
    return begin


def fail(decided, kind, fits=lambda arguments: True, **data):
    """Let a phase end; return the arguments of all measurements. fits: whether one fits."""
    asked = []

    class Worker:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def run(self, phase, arguments, *_):
            asked.append(arguments)
            return phases.Outcome(phases.DONE if fits(arguments) else phases.OUT_OF_MEMORY, peak_memory=10**9)

    failed = PhaseFailed('train', phases.Outcome(kind, 'it failed', data))
    decided.after(failed, iter(Worker, None), {'config_text': 'x'})
    return asked


def checkpoint(folder, number):
    for end in ('index', 'data-00000-of-00001'):
        (folder / f'ckpt-{number}.{end}').write_text(f'{end} of {number}')


def test_parts_are_kept_until_the_batch_or_the_option_changes(decide, tmp_path):
    checkpoint(tmp_path, 1)
    decided = decide('--on_oom=accumulate', '--accumulate=2')
    assert decided.arguments() == {'accumulate': 2, 'learning_rate_factor': 1., 'skipped': [], 'most_skipped': 0}
    asked = fail(decided, phases.OUT_OF_MEMORY)
    assert [arguments['accumulate'] for arguments in asked] == [4] and asked[0]['num_steps'] == recovery.PROBE_STEPS
    assert decided.parts == decide('--accumulate=2').parts == decide().parts == 4
    assert decide('--accumulate=1').parts == 1
    fail(decide('--on_oom=accumulate'), phases.OUT_OF_MEMORY, lambda arguments: arguments['accumulate'] == 4)
    assert decide().parts == 4 and decide(config='train_config { batch_size: 6 }').parts == 1


def test_out_of_memory_where_nothing_fits(decide, tmp_path):
    checkpoint(tmp_path, 1)
    sizes, large = [], 'model { ssd { image_resizer { fixed_shape_resizer { height: 512 width: 512 } } } }'

    def fits(arguments):
        if arguments['config_text'] != 'x':
            sizes.append(pipeline.parse(arguments['config_text']).model.ssd.image_resizer.fixed_shape_resizer.height)
        return sizes[-1:] == [smallest]
    for smallest, says in ((0, r'Measured here, not even one picture at a time fits, nor at 128x128 pixels$'),
                           (256, r'this fits: pictures of 256x256 \(image_resizer\) one at a time \(--acc')):
        sizes.clear()
        with pytest.raises(UserError, match=says):
            fail(decide('--on_oom=accumulate', config=large), phases.OUT_OF_MEMORY, fits)
        assert sizes == [384, 256, 128][:2 + (smallest == 0)]


def test_rollbacks_halve_the_rate_and_are_counted(decide, tmp_path):
    """A checkpoint from which training has failed twice is set aside; another optimizer begins anew."""
    checkpoint(tmp_path, 1)
    checkpoint(tmp_path, 2)
    decided = decide('--on_nan=rollback', '--max_rollbacks=2')
    fail(decided, phases.NOT_FINITE, step=7, suspects='x')
    assert decide().arguments()['learning_rate_factor'] == .5 and (tmp_path / 'ckpt-2.index').exists()
    fail(decide('--on_nan=rollback', '--max_rollbacks=2'), phases.NOT_FINITE, step=7)
    assert decide().arguments()['learning_rate_factor'] == .25
    aside = tmp_path / 'not_finite' / 'rollback_2'
    assert sorted(path.name for path in aside.iterdir()) == ['ckpt-2.data-00000-of-00001', 'ckpt-2.index']
    assert [path.name for path in sorted(tmp_path.glob('ckpt-*.index'))] == ['ckpt-1.index']
    with pytest.raises(UserError, match=r'has gone back 2 times \(--max_rollbacks\), at step 7, 7, always at the same'):
        fail(decide('--on_nan=rollback', '--max_rollbacks=2'), phases.NOT_FINITE, step=7)
    changed = 'train_config { optimizer { momentum_optimizer { momentum_optimizer_value: 0.5 } } }'
    assert decide(config=changed).arguments()['learning_rate_factor'] == 1.
    for path in tmp_path.glob('ckpt-*'):
        path.unlink()
    assert decide().arguments()['learning_rate_factor'] == 1.  # a new training


def test_other_ends_are_not_recovered_from(decide):
    for kind in (phases.KILLED, phases.BUG, phases.DISK_FULL, phases.BAD_INPUT, phases.HUNG):
        with pytest.raises(PhaseFailed):
            fail(decide('--on_oom=accumulate', '--on_nan=rollback'), kind)


@pytest.mark.parametrize(('options', 'says'), [
    (['--eval_only', '--accumulate=2'], '--accumulate: goes with training, and --eval_only only evaluates'),
    (['--checkpoint_dir=x', '--on_oom=accumulate'], '--on_oom: goes with training, and --checkpoint_dir only'),
    (['--watchdog=-1'], "'-1' is not a number of minutes of at least 0"), (['--accumulate=0'], '--accumulate'),
    (['--skip_bad_records=-1'], '--skip_bad_records'), (['--on_nan=ignore'], "invalid choice: 'ignore'")])
def test_options_that_make_no_sense(options, says, tmp_path, capsys):
    path = tiny.write(tmp_path)
    with pytest.raises(SystemExit) as end:
        train_and_eval_tf2.parse([f'--model_dir={tmp_path}', f'--pipeline_config_path={path}', *options], '')
    assert end.value.code == 2 and says in capsys.readouterr().err


def test_parts_that_do_not_divide_the_batch_are_found_before_tensorflow(tmp_path):
    path = tiny.write(tmp_path)
    with pytest.raises(UserError, match=r'--accumulate: is 3; a batch of 4 .* allowed: 1, 2, 4'):
        train_and_eval_tf2.checked(train_and_eval_tf2.parse(
            [f'--model_dir={tmp_path / "model"}', f'--pipeline_config_path={path}', '--accumulate=3'], ''))


def test_broken_records_that_are_known_at_the_start_are_skipped_up_to_a_number(tmp_path, capsys):
    path = tiny.write(tmp_path)
    flip(tmp_path / 'train.tfrecords', -500)

    def checked(count):
        return train_and_eval_tf2.checked(train_and_eval_tf2.parse(
            [f'--model_dir={tmp_path / "model"}', f'--pipeline_config_path={path}', f'--skip_bad_records={count}'], ''))
    with pytest.raises(UserError, match='wrong checksum'):
        checked(0)
    config, facts = checked(1)
    assert 'warning' in capsys.readouterr().out
    record = train_and_eval_tf2.begin(config, facts, SimpleNamespace(model_dir=tmp_path / 'model', seed=0), True)
    assert record.skipped('train_input_reader') == [12] and record.skipped('eval_input_reader[0]') == []
    assert Record(tmp_path / 'model').skipped('train_input_reader') == []  # of another start, the data is not known
    flip(tmp_path / 'train.tfrecords', 2000)
    with pytest.raises(UserError, match=r'wrong checksum: train0.jpg .* and 1 more'):
        checked(1)
    assert len(records.Records(tmp_path / 'train.tfrecords')) == 13
