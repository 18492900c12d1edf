"""train_and_eval_tf2.py from the outside: phases, kills, mistakes."""
import gzip
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from object_detection import checkpoints, records
from object_detection.commands import train_and_eval_tf2
from object_detection.commands.workers import Workers
from object_detection.config import paths, pipeline
from object_detection.runs import best
from object_detection.runs.record import Record
from object_detection.utils import files, phases
from object_detection.utils.errors import UserError
from tests.support import in_process, tiny
from tests.support.phase_runs import events, run

ROOT = Path(__file__).parents[2]
CALL = ('import sys; from object_detection.commands import train_and_eval_tf2 as script\n'
        'from object_detection.utils import errors, machine\n'
        'try:\n    errors.run_main(script.main, sys.argv[1:])\n'
        'finally:\n    print(machine.peak_memory(), "tensorflow" in sys.modules, file=sys.stderr)')


def arguments(folder, *options):
    return ['--model_dir', str(folder / 'model'), '--pipeline_config_path', str(folder / 'pipeline.config'),
            *map(str, options)]


def start(folder, *options):
    """The script as a process; the last line of its stderr has its peak memory and whether it imported TensorFlow."""
    command = [sys.executable, '-c', CALL, *arguments(folder, *options)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def losses(folder):
    return {step: float(value) for (tag, step), (_, value) in events(folder / 'train').items()
            if tag == 'Loss/total_loss'}


@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL')
def test_forty_steps_are_twenty_a_kill_and_the_rest(tmp_path):
    config = tiny.write(tmp_path).read_text()
    run(tmp_path / 'straight', config, 40)

    options = '--checkpoint_every_n', 20, '--log_every_n', 1
    process = start(tmp_path, *options)
    for line in process.stdout:
        if 'step 27,' in line:
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    process.stderr.close()
    model = tmp_path / 'model'
    assert checkpoints.load(model).step == 20
    wait_for_the_lock(model)

    code, output, errors = finish(start(tmp_path, *options))
    memory, imported = errors.splitlines()[-1].split()
    assert code == 0 and imported == 'False' and int(memory) < 150e6, errors
    assert f'{model / "ckpt-2"}, step 20' in output and 'mAP@.50IOU' in output
    assert losses(model) == losses(tmp_path / 'straight')
    written = json.loads((model / 'run.json').read_text())
    record = written['checkpoints']
    assert {name: entry['step'] for name, entry in record.items()} == {'ckpt-2': 20, 'ckpt-3': 40}
    assert ('DetectionBoxes_Precision/mAP', 40) in events(model / 'eval')

    # A checkpoint left without evaluation by a kill is evaluated first; here nothing else is left to do.
    del record['ckpt-3']
    (model / 'run.json').write_text(json.dumps(written))
    done = in_process.run(train_and_eval_tf2.main, *arguments(tmp_path, *options, '--eval_on_train_data', '--alert'))
    assert done.returncode == 0 and 'eval_train: step 40, 3 pictures' in done.stdout, done.stderr
    assert set(json.loads((model / 'run.json').read_text())['checkpoints']['ckpt-3']) == {
        'step', 'eval', 'eval_train', 'interval'}


def known(folder, checkpoints):
    """A run.json with evaluations of these checkpoints."""
    (folder / 'run.json').write_text(json.dumps({'checkpoints': checkpoints}))


class Phases:
    """Stands for run_phase: trains to the next of `steps` and evaluates, with empty files; lists what was asked."""

    def __init__(self, folder, *steps, num_steps=20):
        self.folder, self.steps, self.asked = folder, iter(steps), []
        self.options = SimpleNamespace(model_dir=folder, checkpoint_every_n=10, checkpoint_max_to_keep=9, log_every_n=1,
                                       keep_optimizer=3, best_metric='', patience=None, seed=0, precision=None,
                                       xla=False, steps_per_loop=1,
                                       sample_1_of_n_eval_examples=1, eval_on_train_data=True,
                                       sample_1_of_n_eval_on_train_examples=1, record_summaries=True,
                                       accumulate=None, on_oom='stop', on_nan='stop', skip_bad_records=0, watchdog=30.)
        self.config = pipeline.parse(f'train_config {{ num_steps: {num_steps} }}')

    def another(self):
        return self

    def __call__(self, worker, phase, title, arguments, record, watchdog):
        newest = [prefix.name for prefix in paths.training_checkpoints(self.folder)][:1]
        self.asked.append((title, *newest))
        if title == 'train':
            number = int(newest[0][5:]) + 1 if newest else 1
            for end in ('index', 'data-00000-of-00001'):
                (self.folder / f'ckpt-{number}.{end}').write_text(f'{end} of {number}')
            return {'step': next(self.steps), 'checkpoint': str(self.folder / f'ckpt-{number}')}
        return {'checkpoint': str(self.folder / newest[0]), 'step': 10, 'pictures': 1, 'skipped': 0,
                'metrics': [('DetectionBoxes_Precision/mAP', next(self.values) if title == 'eval' else .9)],
                'analysis': {'map': None, 'interval': None, 'resamples': [], 'classes': []}}

    values = itertools.repeat(.5)

    def loop(self, monkeypatch):
        monkeypatch.setattr(train_and_eval_tf2, 'run_phase', self)
        workers = Workers(mock.MagicMock())
        train_and_eval_tf2.train_and_evaluate(workers, self.config, self.options, Record(self.folder))
        return self.asked


@pytest.fixture(autouse=True)
def no_processes(monkeypatch, request):
    if 'loop' in request.function.__name__:
        monkeypatch.setattr(phases, 'Worker', lambda preload: None)


def test_the_loop_evaluates_every_checkpoint_on_every_set(tmp_path, monkeypatch):
    assert Phases(tmp_path, 10, 20).loop(monkeypatch) == [
        ('train',), ('eval', 'ckpt-1'), ('eval_train', 'ckpt-1'),
        ('train', 'ckpt-1'), ('eval', 'ckpt-2'), ('eval_train', 'ckpt-2')]


def test_the_loop_evaluates_what_a_kill_left_without(tmp_path, monkeypatch):
    (tmp_path / 'ckpt-5.index').touch()
    known(tmp_path, {'ckpt-5': {'step': 10, 'eval': {}}})
    assert Phases(tmp_path, 20).loop(monkeypatch)[:2] == [('eval_train', 'ckpt-5'), ('train', 'ckpt-5')]


def test_the_loop_does_not_evaluate_step_0(tmp_path, monkeypatch):
    """A run that was killed before its second checkpoint trains at once: no process per evaluation for nothing."""
    (tmp_path / 'ckpt-1.index').touch()
    assert Phases(tmp_path, 20).loop(monkeypatch)[:2] == [('train', 'ckpt-1'), ('eval', 'ckpt-2')]


def test_the_loop_does_not_count_copies_of_checkpoints(tmp_path, monkeypatch):
    for name in ('ckpt-9', 'ckpt-10', 'ckpt-best', 'ckpt-11_best', 'ckpt-12.copy'):
        (tmp_path / f'{name}.index').touch()
    assert paths.training_checkpoints(tmp_path) == [tmp_path / 'ckpt-10', tmp_path / 'ckpt-9']
    known(tmp_path, {'ckpt-10': {'step': 10, 'eval': {}, 'eval_train': {}}})
    assert Phases(tmp_path, 20).loop(monkeypatch)[0] == ('train', 'ckpt-10')
    for path in tmp_path.glob('ckpt-11.*'):
        path.unlink()
    known(tmp_path, {'ckpt-9': {'step': 10, 'eval': {}, 'eval_train': {}}})
    assert Phases(tmp_path, 20).loop(monkeypatch)[0] == ('eval', 'ckpt-10')


def test_the_loop_ends_after_evaluations_without_a_better_value(tmp_path, monkeypatch, capsys):
    """Also in the same command again, which counts in run.json; a larger --patience goes on."""
    run = Phases(tmp_path, *range(10, 80, 10), num_steps=70)
    run.options.patience, run.options.eval_on_train_data = 2, False
    run.values = iter([.3, .5, .5, float('nan'), .4, .6, .1])
    assert run.loop(monkeypatch)[-1] == ('eval', 'ckpt-4')
    ended = 'ends early at ckpt-4: no better value than mAP 0.5000 of ckpt-2, step 10, in the last 2 evaluations'
    said = capsys.readouterr().out
    assert ended in said and 'run the same command with a larger --patience' in said
    assert f'best: mAP 0.5000, step 10: {tmp_path / "best" / "ckpt-2"}' in said
    count = len(run.asked)
    run.loop(monkeypatch)
    assert len(run.asked) == count and ended in capsys.readouterr().out
    run.options.patience = 4
    run.loop(monkeypatch)
    assert 'ends early' not in capsys.readouterr().out and run.asked[-1] == ('eval', 'ckpt-7')
    assert best.read(tmp_path / 'best').checkpoint == 'ckpt-6'
    run.options.patience = 1  # num_steps is reached: nothing ends early
    monkeypatch.setattr(run, 'steps', iter([70]))
    run.loop(monkeypatch)


def test_the_loop_keeps_the_best_before_it_trains_on(tmp_path, monkeypatch):
    """A kill came between the evaluation and best/, and the next save deletes the checkpoint."""
    for end in ('index', 'data-00000-of-00001'):
        (tmp_path / f'ckpt-2.{end}').write_text(end)
    known(tmp_path, {'ckpt-2': {'step': 10, 'eval': {'DetectionBoxes_Precision/mAP': .5}, 'eval_train': {}}})
    seen = []

    class Run(Phases):
        def __call__(self, worker, phase, title, *arguments):
            seen.append(best.read(tmp_path / 'best'))
            return super().__call__(worker, phase, title, *arguments)
    Run(tmp_path, 20).loop(monkeypatch)
    assert seen[0].checkpoint == 'ckpt-2'


def test_a_metric_that_the_evaluation_does_not_have(tmp_path):
    path = tiny.write(tmp_path)

    def options(metric, *more):
        return train_and_eval_tf2.parse([f'--model_dir={tmp_path}', f'--pipeline_config_path={path}',
                                         f'--best_metric={metric}', *more], '')
    for given, meant in (('mAP@.50IOU', 'DetectionBoxes_Precision/mAP@.50IOU'), ('total_loss', 'Loss/total_loss')):
        train_and_eval_tf2.checked(asked := options(given))
        assert asked.best_metric == meant
    with pytest.raises(UserError, match=r'--best_metric f1: is no metric of this evaluation; allowed: DetectionBoxes_'):
        train_and_eval_tf2.checked(options('f1'))
    with pytest.raises(UserError, match=r'best: there is no best checkpoint yet'):
        train_and_eval_tf2.checked(options('mAP', '--eval_only', '--checkpoint', 'best'))


@pytest.mark.parametrize(('options', 'evaluates', 'says'), [
    (['--patience=3', '--eval_only'], True, '--patience: goes with training and evaluation in turn'),
    (['--patience=3'], False, '--patience: goes with training and evaluation in turn'),
    (['--patience=0'], True, '--patience'), (['--keep_optimizer=0'], True, '--keep_optimizer'),
    (['--best_metric=mAP'], False, '--best_metric: nothing is evaluated here')])
def test_options_that_do_not_go_together(options, evaluates, says, tmp_path, capsys):
    path = tiny.write(tmp_path)
    with pytest.raises(SystemExit) as end:
        train_and_eval_tf2.parse([f'--model_dir={tmp_path}', f'--pipeline_config_path={path}', *options], '', evaluates)
    assert end.value.code == 2 and says in capsys.readouterr().err


def wait_for_the_lock(folder):
    """The worker of a killed parent ends by itself, a moment later; the lock is the parent's and gone at once."""
    with files.lock(folder):
        time.sleep(.5)


def test_the_config_beside_the_checkpoints_is_that_of_the_last_start_or_the_users(tmp_path):
    path, kept = tiny.write(tmp_path), tmp_path / 'model' / 'pipeline.config'

    def start_with(steps, source=path):
        options = SimpleNamespace(model_dir=kept.parent, pipeline_config_path=source)
        train_and_eval_tf2.keep_config(pipeline.override(pipeline.read(path), f'train_config {{ num_steps: {steps} }}'),
                                       options)
        return pipeline.read(kept).train_config.num_steps

    assert start_with(3) == 3 and start_with(5) == 5
    assert kept.read_text().startswith('# Written by train_and_eval_tf2.py from pipeline.config at each start; ')
    assert start_with(7, source=kept) == 5
    own = '# my notes\ntrain_config { num_steps: 9 }'
    kept.write_text(own)
    assert start_with(7) == 9 and kept.read_text() == own


def test_training_pictures_without_a_label_map_are_not_evaluated(tmp_path):
    path = tiny.write(tmp_path)
    text, reader = path.read_text(), 'train_input_reader {'
    before, after = text.split(reader, 1)
    path.write_text(before + reader + re.sub(r'label_map_path: "[^"]*"', '', after, count=1))
    options = train_and_eval_tf2.parse([f'--model_dir={tmp_path / "model"}', f'--pipeline_config_path={path}'], '')
    train_and_eval_tf2.checked(options)
    options.eval_on_train_data = True
    with pytest.raises(UserError, match=r'train_input_reader\.label_map_path: is missing; evaluation takes'):
        train_and_eval_tf2.checked(options)


def change_records(path, change):
    """Write records again, after change(Example, number)."""
    index = records.Records(path)
    examples = [records.Example.from_bytes(index[i]) for i in range(len(index))]
    with records.Writer(path) as writer:
        for number, example in enumerate(examples):
            change(example, number)
            writer.write(example.to_bytes())


def check(folder, *options):
    train_and_eval_tf2.checked(train_and_eval_tf2.parse([
        f'--model_dir={folder / "model"}', f'--pipeline_config_path={folder / "pipeline.config"}', *options], ''))


def test_records_without_a_usable_box_stop_it_before_tensorflow(tmp_path, capsys):
    tiny.write(tmp_path)
    for name in ('train', 'test'):
        change_records(tmp_path / f'{name}.tfrecords', lambda example, number: setattr(
            example, 'texts', [text.capitalize() for text in example.texts]))
    with pytest.raises(UserError) as error:
        check(tmp_path)
    told = '\n'.join(error.value.findings)
    assert told.count("label 'Bar' is not in the label map, which has 'bar'") == 2
    assert 'can be used: training would learn nothing' in told and 'can be used: every metric would be -1' in told
    assert 'train_input_reader: 13 records, 13 looked at' in capsys.readouterr().out
    with pytest.raises(UserError) as error:
        check(tmp_path, '--eval_only')
    assert all('eval_input_reader[0]' in finding for finding in error.value.findings)


def test_records_with_some_unusable_boxes_are_warned_of(tmp_path, capsys):
    tiny.write(tmp_path)

    def change(example, number):
        if number == 3:
            example.texts = ['zebra'] * len(example.boxes)
        if number == 5:
            example.boxes = [tuple(100 * side for side in box) for box in example.boxes]

    change_records(tmp_path / 'train.tfrecords', change)
    check(tmp_path)
    told = [line for line in capsys.readouterr().out.splitlines() if 'warning' in line
            and 'total_steps' not in line]  # the schedule of tiny is for 400 steps
    assert len(told) == 2 and "label 'zebra' is not in the label map: train3.jpg" in told[0]
    assert 'a box is in pixels' in told[1] and 'pipeline.config:' in told[1]


def test_damaged_pictures_are_named_once_in_all_phases(tmp_path):
    """libjpeg prints a line about each, whenever it decodes it; here in three epochs and an evaluation."""
    tiny.write(tmp_path)

    def damage(example, number):
        if number == 2:
            example.encoded = example.encoded[:-60] + example.encoded[-50:]

    change_records(tmp_path / 'train.tfrecords', damage)
    options = '--num_train_steps', 8, '--eval_on_train_data', '--sample_1_of_n_eval_on_train_examples', 1
    code, output, errors = finish(start(tmp_path, *options))
    assert code == 0 and 'Corrupt JPEG' not in errors, errors
    told, = (line for line in output.splitlines() if 'JPEG is damaged' in line)
    assert 'train2.jpg' in told


@pytest.mark.skipif(sys.platform == 'win32', reason='signals of POSIX')
def test_ctrl_c_saves(tmp_path):
    tiny.write(tmp_path)
    process = start(tmp_path, '--log_every_n', 1, '--num_train_steps', 100000, '--alert')
    for line in process.stdout:
        if 'step 3,' in line:
            process.send_signal(signal.SIGINT)
            break
    code, output, errors = finish(process)
    assert code == 130 and 'interrupted' in errors and '\a' in errors
    assert 'saved as' in output and checkpoints.load(tmp_path / 'model').step >= 3


@pytest.mark.parametrize('change, says', [
    (lambda folder: (folder / 'train.tfrecords').unlink(), 'train.tfrecords'),
    (lambda folder: edit(folder, 'num_classes: 2', 'num_clases: 2'), 'pipeline.config:'),
    (lambda folder: edit(folder, 'num_steps: 40', ''), 'train_config.num_steps: is 0'),
    (lambda folder: (folder / 'model' / 'checkpoint').mkdir(parents=True), 'zoo'),
    (lambda folder: (folder / 'train.tfrecords').write_bytes((folder / 'train.tfrecords').read_bytes()[:-9]),
     'train.tfrecords'),
    (lambda folder: edit(folder, 'batch_size: 4', 'batch_size: 4 fine_tune_checkpoint: "nowhere/ckpt-0"'), 'nowhere'),
    (lambda folder: flip(folder / 'train.tfrecords', -500), 'the data has a wrong checksum: train12.jpg'),
    (lambda folder: (folder / 'test.tfrecords').write_bytes(gzip.compress((folder / 'test.tfrecords').read_bytes())),
     'test.tfrecords: is compressed (gzip)'),
    (lambda folder: edit(folder, '"coco_detection_metrics"', '“coco_detection_metrics”'), 'typographic quotes'),
])
def test_mistakes(change, says, tmp_path):
    """One line or more, code 1, no traceback."""
    tiny.write(tmp_path)
    change(tmp_path)
    code, _, errors = finish(start(tmp_path))
    assert code == 1 and says in errors and 'Traceback' not in errors, errors


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def edit(folder, old, new):
    path = folder / 'pipeline.config'
    path.write_text(path.read_text().replace(old, new), encoding='utf-8')


def test_a_folder_in_use(tmp_path):
    tiny.write(tmp_path)
    with files.lock(tmp_path / 'model'):
        code, _, errors = finish(start(tmp_path))
    assert code == 1 and f'in use by process {os.getpid()}' in errors


def test_other_data_than_before_is_a_warning_that_says_what_changed(tmp_path, capsys):
    """At every start, and in run.json. No checkpoint, no warning: then nothing continues."""
    path = tiny.write(tmp_path)
    arguments = ['--model_dir', str(tmp_path / 'model'), '--pipeline_config_path', str(path)]
    options = train_and_eval_tf2.parse(arguments, None)

    def begin():
        config, facts = train_and_eval_tf2.checked(options)
        train_and_eval_tf2.begin(config, {**facts, 'command': ['train', *arguments]}, options, trains=True)
        written = json.loads((tmp_path / 'model' / 'run.json').read_text(encoding='utf-8'))
        return capsys.readouterr().out, written['starts'][-1], written

    begin()
    (tmp_path / 'model' / 'ckpt-1.index').touch()
    output, start, written = begin()
    assert 'the data is not' not in output and start['changes'] == []
    train = written['data'][start['data']['train_input_reader']]
    assert (train['records'], train['labels']) == (13, {'1': 'square', '2': 'bar'})
    assert pipeline.parse(written['configs'][start['config']]) == pipeline.read(path)
    assert start['command'] == ['train', *arguments] and start['versions']['TensorFlow'].startswith('2.')

    kept = list(records.Records(tmp_path / 'train.tfrecords'))[1:]
    with records.Writer(tmp_path / 'train.tfrecords') as writer:
        for data in kept:
            writer.write(data)
    labels = tmp_path / 'label_map.pbtxt'
    labels.write_text(labels.read_text() + 'item { id: 3 name: "disc" }')
    path.write_text(path.read_text().replace('num_classes: 2', 'num_classes: 3'))
    output, start, _ = begin()
    assert start['changes'] == ['train_input_reader: records: 1 removed (13 before, 12 now)',
                                "train_input_reader: label map: class 3 'disc' is new",
                                "eval_input_reader[0]: label map: class 3 'disc' is new"]
    assert all(f'warning: the data is not that of the last start: {line}' in output for line in start['changes'])
    assert 'the data is not' not in begin()[0]
