"""train_t2.py: what it reports about a sound config, and about one with many mistakes.

The first test's steps run in a process of their own, those of the others in the process of the test.
"""
import json

import pytest
import tensorflow as tf
from PIL import Image

from demo import make_records
from object_detection.commands import train_t2
from object_detection.config import label_map, pipeline
from object_detection.models import build
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import in_process

SMALL = '''model { ssd { image_resizer { fixed_shape_resizer { height: 64 width: 64 } } } }
           train_config { batch_size: 4 }'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with records, and a function that writes a pipeline.config for them and verifies it."""
    make_records.write_data_set(tmp_path, train=8, test=4, seed=0)
    sound = pipeline.read('models/demo/pipeline.config')
    sound = pipeline.override(sound, SMALL)
    sound.train_config.ClearField('fine_tune_checkpoint')
    for name, reader in (('train', sound.train_input_reader), ('test', sound.eval_input_reader[0])):
        reader.label_map_path = f'{tmp_path.as_posix()}/label_map.pbtxt'
        reader.tf_record_input_reader.input_path[:] = [f'{tmp_path.as_posix()}/{name}.tfrecords']

    def verify(change=lambda changed: None, steps=2, *more, worker=in_process.Worker):
        monkeypatch.setattr(phases, 'Worker', worker)
        changed = type(sound)()
        changed.CopyFrom(sound)
        change(changed)
        pipeline.write(changed, tmp_path / 'pipeline.config')
        return train_t2.main([f'--pipeline_config_path={tmp_path / "pipeline.config"}', f'--num_train_steps={steps}',
                              *more])
    verify.folder, verify.sound = tmp_path, sound
    return verify


def write_checkpoint(project, num_classes):
    """A checkpoint of the config's model, with another number of classes."""
    model_config = type(project.sound.model)()
    model_config.CopyFrom(project.sound.model)
    model_config.ssd.num_classes = num_classes
    prefix = str(project.folder / 'zoo' / 'ckpt-0')
    tf.train.Checkpoint(model=build.build(model_config)).write(prefix)
    return prefix


def fine_tune(prefix, kind):
    def change(changed):
        changed.train_config.fine_tune_checkpoint = prefix
        changed.train_config.fine_tune_checkpoint_type = kind
    return change


def test_a_sound_config_is_trained_and_evaluated_for_a_moment(project, capfd):
    assert project(fine_tune(write_checkpoint(project, num_classes=1), 'detection'), worker=phases.Worker) == 0
    said = capfd.readouterr().out
    assert 'train_input_reader: 8 records, 8 opened; boxes: cross 2, disc 2, star 2, triangle 2' in said
    assert 'eval_input_reader[0]: 4 records, 4 opened' in said
    assert 'restored from' in said and '_feature_extractor' in said
    assert 'step 1: ' in said and 'step 2: ' in said and 'evaluated 4 pictures' in said
    assert 'what the training takes' in said and ' s (' in said and 'GB of main memory' in said
    assert '0 errors' in said and 'mAP' not in said.replace('metric', '')
    assert sorted(p.name for p in project.folder.iterdir()) == [
        'label_map.pbtxt', 'pipeline.config', 'test.tfrecords', 'train.tfrecords', 'zoo']


def test_what_the_training_takes_is_measured_and_its_inputs_are_drawn(project, capfd):
    def change(changed):
        changed.train_config.num_steps = 3000
        changed.train_input_reader.max_number_of_boxes = 20
    assert project(change, 1, '--json', '--checkpoint_every_n=1500', '--checkpoint_max_to_keep=2',
                   f'--plot={project.folder / "seen"}') == 0
    told = json.loads(capfd.readouterr().out)
    cost = told['cost']
    assert told['plots'] == [str(path) for path in sorted((project.folder / 'seen').iterdir())]
    with Image.open(told['plots'][0]) as image:
        assert len(told['plots']) == 8 and image.size == (640 + 8 + 640, 640)
    with pytest.raises(UserError, match='seen: is not empty, and nothing is overwritten'):
        project(change, 1, f'--plot={project.folder / "seen"}')
    assert 0 < cost['seconds_per_step'] < 60 and 0 <= cost['waiting'] <= 1 and cost['peak_memory'] > 1e8
    assert cost['training_seconds'] == pytest.approx(3000 * cost['seconds_per_step'])
    assert cost['checkpoints'] == 2  # of three: ckpt-1 of step 0, and steps 1500 and 3000
    assert cost['checkpoints_bytes'] == 3 * cost['checkpoint_bytes']
    assert .2 * cost['checkpoint_bytes'] < cost['slot_bytes'] < .8 * cost['checkpoint_bytes']  # a slot per variable


def test_boxes_without_an_anchor_are_found_with_the_anchors_of_the_model(project, capfd):
    def change(changed):
        changed.model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale = 40
    assert project(change, 1, '--json') == 0
    told = json.loads(capfd.readouterr().out)
    (finding,) = (found for found in told['findings'] if 'no anchor' in found['message'])
    line = (project.folder / 'pipeline.config').read_text(encoding='utf-8').splitlines()[finding['line'] - 1]
    assert '_anchor_generator {' in line and finding['grade'] == 'warning' and finding['fixes']


def test_mistakes_in_config_labels_and_records_are_reported_at_once(project, capfd):
    label_map.write(project.folder / 'label_map.pbtxt', ['cross', 'disc', 'star', 'wheel', 'zebra'])

    def change(changed):
        changed.eval_input_reader[0].tf_record_input_reader.input_path[0] += 's'
        changed.train_config.num_steps = 0
    assert project(change) == 1
    said = [line for line in capfd.readouterr().out.splitlines() if ': error: ' in line or ' error: ' in line]
    assert len(said) == 4  # the label map, which both readers name, comes once
    told = '\n'.join(said)
    assert "label 'triangle' is not in the label map: scene00003.jpg" in told
    assert 'train_config.num_steps: is 0, which means forever' in told
    assert 'test.tfrecordss: does not exist; did you mean' in told
    assert told.count('goes up to id 5, but num_classes of the model is 4; set num_classes: 5') == 1
    assert 'train_input_reader.label_map_path, eval_input_reader[0].label_map_path: ' in told
    assert all(f'{project.folder}/pipeline.config:' in line for line in said)


def test_a_checkpoint_that_does_not_fit_is_reported_beside_a_broken_record(project, capfd):
    (project.folder / 'test.tfrecords').write_bytes((project.folder / 'test.tfrecords').read_bytes()[:-9])
    prefix = write_checkpoint(project, num_classes=1)

    def change(changed):
        fine_tune(prefix, 'full')(changed)
        changed.model.ssd.feature_extractor.depth_multiplier = .5
    assert project(change) == 1
    told = capfd.readouterr().out
    assert 'test.tfrecords is truncated: record 3' in told
    assert 'does not fit the model' in told and 'part of the model' in told
    assert 'step 1' not in told  # nothing is trained on records that are known to be broken


def test_a_model_that_cannot_be_built_is_named(project, capfd):
    def change(changed):
        changed.model.ssd.feature_extractor.type = 'ssd_mobilenet_v9'
    assert project(change) == 1
    told = capfd.readouterr().out
    assert 'pipeline.config:' in told and ': model.ssd.feature_extractor.type: is "ssd_mobilenet_v9"; did you' in told
    assert 'computing on' not in told  # nothing was built


def test_a_misspelt_field_is_named_with_its_place(project, tmp_path, capfd):
    path = tmp_path / 'broken.config'
    path.write_text('model {\n  ssd {\n    num_clases: 3\n  }\n}\n')
    with pytest.raises(UserError, match=r'broken\.config:3:\d+.*num_clases'):
        train_t2.main([f'--pipeline_config_path={path}'])


def test_json_and_a_corrected_config_beside_the_old_one(project, capfd):
    def change(changed):
        changed.train_input_reader.tf_record_input_reader.input_path[0] += 's'  # so nothing is trained
        momentum = changed.train_config.optimizer.momentum_optimizer.learning_rate
        momentum.cosine_decay_learning_rate.total_steps = changed.train_config.num_steps * 2
    for number in ('', '2'):
        assert project(change, 2, '--json', '--fix') == 1
        out, err = capfd.readouterr()
        told = json.loads(out)
        assert 'pipeline.config: every field is known' in err
        assert told['fixed'] == str(project.folder / f'pipeline.fixed{number}.config')
    steps = project.sound.train_config.num_steps
    found = {finding['field'].rpartition('.')[2]: finding for finding in reversed(told['findings'])}
    lines = (project.folder / 'pipeline.config').read_text(encoding='utf-8').splitlines()
    assert found['input_path[0]']['grade'] == 'error'
    assert f'total_steps: {2 * steps}' in lines[found['total_steps']['line'] - 1]
    assert found['total_steps']['fixes'][0]['value'] == steps
    fixed = (project.folder / 'pipeline.fixed.config').read_text(encoding='utf-8')
    assert f'# was {2 * steps}; num_steps is {steps}' in fixed
    assert pipeline.parse(fixed).train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate \
        .total_steps == steps


def test_json_of_a_config_that_cannot_be_parsed(tmp_path, capfd):
    path = tmp_path / 'broken.config'
    path.write_text('model { ssd { num_clases: 3 } }')
    assert train_t2.main([f'--pipeline_config_path={path}', '--json']) == 1
    (finding,) = json.loads(capfd.readouterr().out)['findings']
    assert finding['grade'] == 'error' and 'num_clases' in finding['message']
