"""model_main_tf2.py: trains, evaluates a folder of checkpoints, and takes old command lines.

Training and one evaluation are the scripts in processes of their own, the others run in the process of the test.
"""
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import tensorflow as tf

from object_detection import checkpoints
from object_detection.commands import exporter_main_v2, model_main_tf2, runs, train_and_eval_tf2
from object_detection.commands.workers import Workers
from object_detection.config import pipeline
from object_detection.models import build
from object_detection.runs import best
from object_detection.runs.record import Record
from object_detection.utils import files
from object_detection.utils.errors import UserError
from tests.support import in_process, tiny
from tests.support.phase_runs import events

ROOT = Path(__file__).parents[2]
OLD = '--alsologtostderr', '-v=1', '--stderrthreshold=info', '--nouse_tpu', '--num_workers=1'


def arguments(folder, *options):
    return f'-model_dir={folder / "model"}', f'-pipeline_config_path={folder / "pipeline.config"}', *map(str, options)


def script(folder, *options, module=('model_main_tf2.py',)):
    return subprocess.run([sys.executable, *module, *arguments(folder, *options)],
                          cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def model_main(folder, *options):
    return in_process.run(model_main_tf2.main, *arguments(folder, *options))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with a model of four steps, trained by the command; and what it printed."""
    folder = tmp_path_factory.mktemp('trained')
    tiny.write(folder)
    return folder, script(folder, '--num_train_steps=4', '--checkpoint_every_n=2', '--norecord_summaries', *OLD)


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it for one test."""
    folder = shutil.copytree(trained[0], tmp_path / 'run')
    config = folder / 'pipeline.config'
    config.write_text(config.read_text().replace(trained[0].as_posix(), folder.as_posix()))
    return folder


def test_training_writes_checkpoints_and_evaluates_none(trained):
    folder, done = trained
    model = folder / 'model'
    assert done.returncode == 0, done.stderr
    assert checkpoints.load(model).step == 4 and checkpoints.load(model / 'ckpt-2').step == 2
    assert not (model / 'eval').exists() and not json.loads((model / 'run.json').read_text())['checkpoints']
    tags = {tag for tag, _ in events(model / 'train')}
    assert 'Loss/total_loss' in tags and 'train_input_images' not in tags


def test_checkpoint_dir_evaluates_once(run):
    """During a training of the same model_dir, too, which has locked it; its pipeline.config stays as it is."""
    config = (run / 'model' / 'pipeline.config').read_text()
    shutil.move(run / 'train.tfrecords', run / 'elsewhere')  # an evaluation needs no training pictures
    with files.lock(run / 'model'):
        done = script(run, f'--checkpoint_dir={run / "model"}', '--eval_timeout', 0, '--alsologtostderr',
                      module=('-m', 'object_detection.model_main_tf2'))
    assert done.returncode == 0, done.stderr
    assert 'ckpt-3, step 4' in done.stdout and 'DetectionBoxes_Precision/mAP@.50IOU' in done.stdout
    assert ('DetectionBoxes_Precision/mAP', 4) in events(run / 'model' / 'eval')
    record = json.loads((run / 'model' / 'run.json').read_text())['checkpoints']
    assert {name: (entry['step'], set(entry)) for name, entry in record.items()} == {
        'ckpt-3': (4, {'step', 'eval', 'interval'})}
    assert (run / 'model' / 'pipeline.config').read_text() == config
    kept = best.read(run / 'model' / 'best')  # the process that evaluates keeps it
    assert (kept.checkpoint, kept.step, kept.metric) == ('ckpt-3', 4, 'DetectionBoxes_Precision/mAP')
    assert 'best so far: mAP' in done.stdout and checkpoints.load(run / 'model' / 'best').step == 4


def test_a_checkpoint_from_elsewhere_is_not_recorded_as_ones_own(run, tmp_path):
    """ckpt-3 of another folder would stand in run.json for this model_dir's ckpt-3."""
    other = tmp_path / 'other'
    shutil.copytree(run / 'model', other)
    done = in_process.run(train_and_eval_tf2.main, '--model_dir', run / 'new', '--eval_timeout=0',
                          '--pipeline_config_path', run / 'pipeline.config', '--checkpoint_dir', other / 'ckpt-2',
                          '--eval_on_train_data')
    assert done.returncode == 0, done.stderr
    assert 'eval: step 2, 5 pictures' in done.stdout and 'eval_train: step 2, 3 pictures' in done.stdout
    assert ('DetectionBoxes_Precision/mAP', 2) in events(run / 'new' / 'eval')
    assert sorted(path.name for path in (run / 'new').iterdir()) == [
        '.run.lock', 'analysis', 'eval', 'eval_train', 'run.json', 'summary.html']
    written = json.loads((run / 'new' / 'run.json').read_text())
    assert written['checkpoints'] == {} and [phase['checkpoint'] for phase in written['phases']] == [
        str(other / 'ckpt-2')] * 2


@pytest.fixture(scope='module')
def zoo(trained, tmp_path_factory):
    """An unpacked zoo model: a checkpoint without step counter, and a pipeline.config."""
    folder = tmp_path_factory.mktemp('zoo') / 'tiny_coco17'
    model = build.build(pipeline.read(trained[0] / 'pipeline.config').model)
    checkpoints.restore_model(model, checkpoints.load(trained[0] / 'model'))
    tf.train.Checkpoint(model=model).write(str(folder / 'checkpoint' / 'ckpt-0'))
    (folder / 'pipeline.config').write_text('model { ssd { num_classes: 90 } }')
    return folder


def eval_only(run, *options, model='new'):
    return in_process.run(train_and_eval_tf2.main, '--model_dir', run / model, '--eval_only',
                          '--pipeline_config_path', run / 'pipeline.config', *options)


def test_eval_only_evaluates_the_newest_checkpoint_of_model_dir(run):
    shutil.move(run / 'train.tfrecords', run / 'elsewhere')
    config = run / 'pipeline.config'
    config.write_text(config.read_text().replace('num_steps: 40', 'fine_tune_checkpoint: "nowhere/ckpt-0"'))
    done = eval_only(run, model='model')
    assert done.returncode == 0, done.stderr
    assert 'ckpt-3, step 4' in done.stdout and 'waiting' not in done.stdout
    assert list(json.loads((run / 'model' / 'run.json').read_text())['checkpoints']) == ['ckpt-3']
    assert checkpoints.load(run / 'model').step == 4


@pytest.mark.parametrize('kind', ['prefix', 'index', 'folder', 'model', 'tarball'])
def test_eval_only_takes_what_a_checkpoint_may_be(run, zoo, kind, tmp_path):
    path = {'prefix': zoo / 'checkpoint' / 'ckpt-0', 'index': zoo / 'checkpoint' / 'ckpt-0.index',
            'folder': zoo / 'checkpoint', 'model': zoo, 'tarball': tmp_path / 'tiny.tar.gz'}[kind]
    if kind == 'tarball':
        with tarfile.open(path, 'w:gz') as archive:
            archive.add(zoo, zoo.name)
    done = eval_only(run, '--checkpoint', path)
    assert done.returncode == 0, done.stderr
    assert 'eval: step 0, 5 pictures' in done.stdout and 'DetectionBoxes_Precision/mAP@.50IOU' in done.stdout
    assert sorted(entry.name for entry in (run / 'new').iterdir()) == [
        '.run.lock', 'analysis', 'eval', 'run.json', 'summary.html']


def test_the_checkpoint_dir_of_a_zoo_model_is_evaluated_once(run, zoo):
    """Nothing follows its ckpt-0: there is no waiting for eval_timeout."""
    done = model_main(run, f'--checkpoint_dir={zoo}')
    assert done.returncode == 0 and 'waiting' not in done.stdout, done.stderr


def test_checkpoints_that_cannot_be_evaluated(run, tmp_path):
    broken, without = tmp_path / 'broken.tar.gz', tmp_path / 'without.tar.gz'
    broken.write_bytes(b'<html>')
    with tarfile.open(without, 'w:gz') as archive:
        archive.add(run / 'pipeline.config', 'model/pipeline.config')
    for path, says in ((broken, 'is no complete .tar.gz file'), (without, 'has no folder `checkpoint`'),
                       (run / 'model' / 'ckpt-9', 'there is no file ckpt-9.index'), (run / 'nowhere', 'does not exist'),
                       ('no://bucket/ckpt-1', 'Protocol not known: no')):
        done = eval_only(run, '--checkpoint', path)
        assert done.returncode == 1 and says in done.stderr, done.stderr


class Evaluations:
    """Stands for run_phase in an evaluation: lists the checkpoints it was asked for."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []

    def __call__(self, worker, phase, title, arguments, record, watchdog):
        path = Path(arguments['checkpoint_path'])
        self.asked.append(path.name)
        if path == self.folder:
            path = max(self.folder.glob('*.index')).with_suffix('')
        return {'checkpoint': str(path), 'step': 10, 'pictures': 1, 'skipped': 0,
                'metrics': [('DetectionBoxes_Precision/mAP', .5)],
                'analysis': {'map': None, 'interval': None, 'resamples': [], 'classes': []}}

    def follow(self, monkeypatch, tmp_path, timeout, sample=1):
        monkeypatch.setattr(runs, 'run_phase', self)
        monkeypatch.setattr(runs, 'POLL_SECONDS', .01)
        options = SimpleNamespace(model_dir=tmp_path / 'model', eval_timeout=timeout, eval_on_train_data=False,
                                  sample_1_of_n_eval_examples=sample, skip_bad_records=0, watchdog=30.,
                                  best_metric='')
        workers = Workers(mock.MagicMock())
        runs.evaluate_folder(workers, pipeline.parse(''), str(self.folder), options, Record(options.model_dir))
        return self.asked


@pytest.mark.parametrize('sample, kept', [(1, .5), (2, .25)])
def test_a_part_of_the_pictures_does_not_replace_the_metrics_of_all(tmp_path, monkeypatch, sample, kept):
    folder = tmp_path / 'model'
    folder.mkdir()
    for end in ('index', 'data-00000-of-00001'):
        (folder / f'ckpt-8.{end}').touch()
    Record(folder).add('eval', 'ckpt-8', 10, [('DetectionBoxes_Precision/mAP', .25)])
    Evaluations(folder).follow(monkeypatch, tmp_path, 0, sample)
    assert Record(folder).entries['ckpt-8']['eval'] == {'DetectionBoxes_Precision/mAP': kept}


def test_new_checkpoints_are_evaluated_in_their_order_until_none_comes(tmp_path, monkeypatch, capsys):
    folder = tmp_path / 'checkpoints'
    folder.mkdir()
    (folder / 'ckpt-8.index').touch()

    def train():
        for name in ('ckpt-9', 'ckpt-10', 'ckpt-best'):
            (folder / f'{name}.index').touch()

    timer = threading.Timer(.3, train)
    timer.start()
    assert Evaluations(folder).follow(monkeypatch, tmp_path, 2) == ['checkpoints', 'ckpt-9', 'ckpt-10']
    timer.join()
    assert f'no new checkpoint in {folder} for 2 s (--eval_timeout); done' in capsys.readouterr().out


def test_the_first_checkpoint_is_waited_for(tmp_path, monkeypatch):
    folder = tmp_path / 'not_yet'

    def train():
        folder.mkdir()
        (folder / 'ckpt-1.index').touch()

    timer = threading.Timer(.2, train)
    timer.start()
    assert Evaluations(folder).follow(monkeypatch, tmp_path, 1) == ['not_yet']
    timer.join()


def test_no_first_checkpoint(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r'no checkpoint came into .*nowhere within 0\.05 s .*does not exist'):
        Evaluations(tmp_path / 'nowhere').follow(monkeypatch, tmp_path, .05)


def test_mistakes(run):
    for options, says in (([f'--checkpoint_dir={run / "nowhere"}', '--eval_timeout=0'], 'nowhere: does not exist'),
                          ([f'--checkpoint_dir={run / "model" / "ckpt-7"}'], 'ckpt-7.index'),
                          (['--checkpoint_dir=no://bucket/model'], 'Protocol not known: no')):
        done = model_main(run, *options)
        assert done.returncode == 1 and says in done.stderr and 'Traceback' not in done.stderr, done.stderr


@pytest.mark.parametrize(('command', 'given', 'says'), [
    (train_and_eval_tf2, '--train_dir=x', '--train_dir: is a flag of TensorFlow 1 scripts (train.py, eval.py, '
                                          'model_main.py); here it is --model_dir'),
    (train_and_eval_tf2, '--run_once', '(train.py, eval.py, model_main.py); here it is --eval_only'),
    (train_and_eval_tf2, '--batch_size=8', '--batch_size: is no option but a field of the pipeline.config; set it '
                                           'there'),
    (train_and_eval_tf2, '--epochs 3', 'training is measured in steps (--num_train_steps)'),
    (train_and_eval_tf2, '--checkpoint x', '--checkpoint: goes with --eval_only; training continues from model_dir'),
    (train_and_eval_tf2, '--eval_only --checkpoint_dir x', 'it does not go with --checkpoint_dir'),
    (train_and_eval_tf2, '--eval_only --num_train_steps 3', 'it does not go with --num_train_steps'),
    (train_and_eval_tf2, '--checkpoint_path x', '--checkpoint_path x; did you mean --checkpoint instead of'),
    (train_and_eval_tf2, '--use_tpu=true', 'TPUs are not supported'),
    (train_and_eval_tf2, '--num_workers 4', 'several machines are given by their addresses, with --workers'),
    (exporter_main_v2, '--trained_checkpoint_prefix x', 'TensorFlow 1; here it is --trained_checkpoint_dir'),
    (exporter_main_v2, '--use_side_inputs', 'only Context R-CNN has side inputs'),
])
def test_flags_that_stay_behind_are_refused_in_one_line(command, given, says, tmp_path, capsys):
    (tmp_path / 'c').touch()
    required = {train_and_eval_tf2: ['--model_dir=x'],
                exporter_main_v2: ['--trained_checkpoint_dir=x', '--output_directory=y']}[command]
    with pytest.raises(SystemExit) as end:
        command.main([*required, f'--pipeline_config_path={tmp_path / "c"}', *given.split()])
    assert end.value.code == 2 and says in capsys.readouterr().err.splitlines()[-1]
