"""What the checks find in a pipeline.config that parses."""
from pathlib import Path

import pytest

from object_detection.config import checks, label_map, pipeline
from object_detection.utils.errors import UserError

COPIES = Path(__file__).parents[2] / 'golden/configs'
SOUND = '''
model {
  ssd {
    num_classes: 2
    image_resizer { fixed_shape_resizer { height: 64 width: 64 } }
    feature_extractor { type: "ssd_mobilenet_v2_keras" }
    box_coder { faster_rcnn_box_coder {} }
    matcher { argmax_matcher {} }
    similarity_calculator { iou_similarity {} }
    box_predictor { convolutional_box_predictor {} }
    anchor_generator { ssd_anchor_generator {} }
    loss { classification_loss { weighted_sigmoid {} } localization_loss { weighted_smooth_l1 {} } }
  }
}
train_config {
  batch_size: 4
  num_steps: 100
  optimizer { momentum_optimizer { learning_rate {
    cosine_decay_learning_rate { total_steps: 100 warmup_steps: 10 } } } }
  fine_tune_checkpoint: "zoo/checkpoint/ckpt-0"
  fine_tune_checkpoint_type: "detection"
  fine_tune_checkpoint_version: V2
}
train_input_reader {
  label_map_path: "label_map.pbtxt"
  tf_record_input_reader { input_path: "train.tfrecords-?????-of-00002" }
}
eval_config {}
eval_input_reader {
  label_map_path: "label_map.pbtxt"
  tf_record_input_reader { input_path: "test.tfrecords" }
}
'''
TWO_MAPS = '"eval.pbtxt"'.join(SOUND.rsplit('"label_map.pbtxt"', 1))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which SOUND is in order, as the current one."""
    monkeypatch.chdir(tmp_path)
    label_map.write('label_map.pbtxt', ['a', 'b'])
    for name in ('train.tfrecords-00000-of-00002', 'train.tfrecords-00001-of-00002', 'test.tfrecords',
                 'zoo/checkpoint/ckpt-0.index', 'zoo/checkpoint/ckpt-0.data-00000-of-00001'):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b'something')
    return tmp_path


def findings(text):
    Path('pipeline.config').write_text(text, encoding='utf-8')
    return checks.check(pipeline.read('pipeline.config'), 'pipeline.config')


def only(text, severity='error'):
    """The one finding of a text, as `field: message` and its line."""
    found = [finding for finding in findings(text) if finding.severity == severity]
    assert len(found) == 1, found
    return f'{found[0].field}: {found[0].message}', found[0].where


def line_of(text, part):
    return f'pipeline.config:{text[:text.index(part)].count(chr(10)) + 1}: '


def test_sound_config_has_no_findings(project):
    assert findings(SOUND) == []


@pytest.mark.parametrize(('old', 'new', 'field', 'words', 'near'), [
    ('num_classes: 2', 'num_classes: 0', 'model.ssd.num_classes', 'is 0', 'num_classes'),
    ('matcher { argmax_matcher {} }', '', 'model.ssd.matcher', 'choose argmax_matcher', ' ssd {'),
    ('height: 64', 'height: 0', 'model.ssd.image_resizer.fixed_shape_resizer.height', 'in pixels', 'height'),
    ('type: "ssd_mobilenet_v2_keras"', '', 'model.ssd.feature_extractor.type', 'is missing', 'feature_ex'),
    ('batch_size: 4', 'batch_size: 0', 'train_config.batch_size', 'is 0', 'batch_size'),
    ('fixed_shape_resizer { height: 64 width: 64 }', 'keep_aspect_ratio_resizer {}',
     'model.ssd.image_resizer.keep_aspect_ratio_resizer', 'or set pad_to_max_dimension: true', 'keep_aspect'),
    ('fixed_shape_resizer { height: 64 width: 64 }', 'identity_resizer {}', 'model.ssd.image_resizer.identity_resizer',
     'is not supported in Ssd; use one of fixed_shape_resizer, keep_aspect_ratio_resizer', 'identity_resizer'),
    ('"ssd_mobilenet_v2_keras"', '"ssd_mobilenet_v2"', 'model.ssd.feature_extractor.type',
     'is "ssd_mobilenet_v2"; did you mean ssd_mobilenet_v2_keras? supported for ssd: ssd_mob', 'type: "s'),
    ('momentum_optimizer {', 'adam_optimizer {} } optimizer { momentum_optimizer {', None, None, None),
    ('cosine_decay_learning_rate { total_steps: 100 warmup_steps: 10 }', '',
     'train_config.optimizer.momentum_optimizer.learning_rate', 'choose one of constant', 'learning_rate {'),
    ('warmup_steps: 10', 'warmup_steps: 101',
     'train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate.total_steps',
     'less than the 101 steps', 'total_steps'),
    ('cosine_decay_learning_rate { total_steps: 100 warmup_steps: 10 }',
     'manual_step_learning_rate { schedule { step: 5 } schedule { step: 5 } }',
     'train_config.optimizer.momentum_optimizer.learning_rate.manual_step_learning_rate.schedule',
     'has the steps [5, 5]', 'manual_step'),
    ('num_steps: 100', 'num_steps: 100 data_augmentation_options {}', 'train_config.data_augmentation_options[0]',
     'is empty', 'data_augmentation_options'),
    ('_type: "detection"', '_type: "fine_tune"', 'train_config.fine_tune_checkpoint_type',
     "this model takes classification, detection, full", '_type'),
    ('"zoo/checkpoint/ckpt-0"', '"zoo/checkpoint/ckpt-0.index"', 'train_config.fine_tune_checkpoint',
     "give its prefix, 'zoo/checkpoint/ckpt-0'", 'zoo'),
    ('"zoo/checkpoint/ckpt-0"', '"zoo"', 'train_config.fine_tune_checkpoint',
     "is a folder; give the prefix of a checkpoint in it, 'zoo/checkpoint/ckpt-0'", 'zoo'),
    ('"zoo/checkpoint/ckpt-0"', '"zoo/checkpoint/ckpt-1"', 'train_config.fine_tune_checkpoint',
     "there is no ckpt-1.index; the folder has 'zoo/checkpoint/ckpt-0'", 'zoo'),
    ('"zoo/checkpoint/ckpt-0"', '"zpo/checkpoint/ckpt-0"', 'train_config.fine_tune_checkpoint',
     "did you mean zoo?", 'zpo'),
    ('"test.tfrecords"', '"test.tfrecord"', 'eval_input_reader[0].tf_record_input_reader.input_path[0]',
     'did you mean test.tfrecords?', 'test.tf'),
    ('train.tfrecords-?????-of-00002', 'train.tfrecords', 'train_input_reader.tf_record_input_reader.input_path[0]',
     "train.tfrecords: is in shards; write 'train.tfrecords-?????-of-00002'", 'train.tf'),
    ('train.tfrecords-?', 'trian.tfrecords-?', 'train_input_reader.tf_record_input_reader.input_path[0]',
     'no file matches; the current folder has', 'trian'),
    ('num_steps: 100', 'num_steps: 0', 'train_config.num_steps', 'is 0, which means forever', 'num_steps'),
    ('eval_config {}', 'eval_config { metrics_set: "coco_detection_metric" }', 'eval_config.metrics_set[0]',
     'did you mean coco_detection_metrics?', 'metrics_set'),
    ('eval_config {}', 'eval_config { metrics_set: "oid_V2" }', 'eval_config.metrics_set[0]', 'supported: c',
     '"oid'),
    ('eval_config {}', 'eval_config { force_no_resize: true }', 'eval_config.force_no_resize',
     'is not supported: pictures are evaluated as they are trained on', 'force_no'),
    ('eval_input_reader {\n  label_map_path: "label_map.pbtxt"', 'eval_input_reader {',
     'eval_input_reader[0].label_map_path', 'is missing; evaluation takes the labels', 'eval_input_reader'),
    ('"test.tfrecords"', '"no://b/test.tfrecords"', 'eval_input_reader[0].tf_record_input_reader.input_path[0]',
     'no://b/test.tfrecords: Protocol not known: no; allowed: a local path, s3://, gs://', 'no:'),
    ('"zoo/checkpoint/ckpt-0"', '"no://b/ckpt-0"', 'train_config.fine_tune_checkpoint', 'Protocol not known', 'no:'),
    ('"label_map.pbtxt"\n', '"no://labels.pbtxt"\n', 'train_input_reader.label_map_path', 'Protocol not known', 'no:'),
    ('input_path: "test.tfrecords"', '', 'eval_input_reader[0].tf_record_input_reader.input_path',
     'is missing', 'tf_record_input_reader {  }'),
    ('"label_map.pbtxt"\n  tf_record_input_reader { input_path: "train', '"label.pbtxt"\n  tf_record_input_reader { '
     'input_path: "train', 'train_input_reader.label_map_path', 'label.pbtxt: does not exist', '"label.pb'),
])
def test_one_mistake_gives_one_finding_with_its_line(project, old, new, field, words, near):
    text = SOUND.replace(old, new, 1)
    assert text != SOUND
    if field is None:  # two optimizers: not even read
        with pytest.raises(UserError, match='given twice'):
            findings(text)
        return
    found, where = only(text)
    assert found.startswith(f'{field}: ') and words in found
    assert where == line_of(text, near)


def test_everything_wrong_is_reported_at_once(project):
    text = SOUND.replace('num_classes: 2', 'num_classes: -1').replace('batch_size: 4', 'batch_size: 0')
    found = findings(text.replace('"test.tfrecords"', '"PATH_TO_BE_CONFIGURED"'))
    errors = [finding.field for finding in found if finding.severity == 'error']
    assert errors == ['model.ssd.num_classes', 'train_config.batch_size',
                      'eval_input_reader[0].tf_record_input_reader.input_path[0]']
    with pytest.raises(UserError) as error:
        checks.demand(found)
    assert len(error.value.findings) == 3
    assert error.value.findings[0].startswith('pipeline.config:4: model.ssd.num_classes: is -1')


def test_shards_that_are_missing_or_empty(project):
    Path('train.tfrecords-00001-of-00002').unlink()
    found, _ = only(SOUND)
    assert '1 of its shards are missing, starting with train.tfrecords-00001-of-00002' in found
    Path('train.tfrecords-00001-of-00002').touch()
    assert '1 of 2 files are empty, starting with train.tfrecords-00001-of-00002' in only(SOUND, 'warning')[0]
    Path('train.tfrecords-00000-of-00002').write_bytes(b'')
    assert 'train.tfrecords-00000-of-00002: is empty' in only(SOUND)[0]


def test_data_file_of_a_checkpoint_is_missing(project):
    Path('zoo/checkpoint/ckpt-0.data-00000-of-00001').unlink()
    assert 'has ckpt-0.index but no ckpt-0.data' in only(SOUND)[0]


def test_training_needs_a_label_map_only_where_its_pictures_are_evaluated(project):
    text = SOUND.replace('label_map_path: "label_map.pbtxt"', '', 1)
    assert only(text, 'warning')[0].startswith('train_input_reader.label_map_path: is missing: class ids come')
    found, = checks.check(pipeline.read('pipeline.config'), eval_on_train_data=True)
    assert (found.severity, found.field) == ('error', 'train_input_reader.label_map_path')


def test_label_map_against_num_classes(project):
    label_map.write('label_map.pbtxt', ['a', 'b', 'c'])
    found, = (finding for finding in findings(SOUND) if finding.severity == 'error')
    assert (found.field, found.also) == ('train_input_reader.label_map_path', ('eval_input_reader[0].label_map_path',))
    assert 'goes up to id 3, but num_classes of the model is 2; set num_classes: 3' in found.message
    assert str(found).startswith('pipeline.config:25: train_input_reader.label_map_path, eval_input_reader[0].label_')
    label_map.write('label_map.pbtxt', ['a'])
    found = findings(SOUND)
    assert {finding.severity for finding in found} == {'warning'}
    assert '1 outputs never learn anything' in found[0].message


@pytest.mark.parametrize(('evaluated', 'severity', 'says'), [
    ('item { id: 1 name: "b" } item { id: 2 name: "a" }', 'error',
     "eval.pbtxt contradicts label_map.pbtxt of train_input_reader: 'a' has id 2, not 1, 'b' has id 1, not 2; use one"),
    ('item { id: 1 name: "a" } item { id: 2 name: "c" }', 'warning',
     "eval.pbtxt and label_map.pbtxt of train_input_reader name the same id differently: 2 is 'c' here and 'b' there"),
    ('item { id: 1 name: "a" }', 'warning',
     "eval.pbtxt lacks 'b', which is trained on, so detections of it are not evaluated"),
    ('item { id: 1 name: "a" } item { id: 2 name: "b" display_name: "B" }', None, ''),
    ('item { id: 2 name: "/m/b" display_name: "b" } item { id: 1 name: "a" }', None, '')])
def test_label_maps_of_two_readers(evaluated, severity, says, project):
    Path('eval.pbtxt').write_text(evaluated)
    found = [finding for finding in findings(TWO_MAPS) if 'num_classes' not in finding.message]
    assert [(finding.severity, finding.field) for finding in found] == [
        (severity, 'eval_input_reader[0].label_map_path')] * bool(severity)
    assert not found or found[0].message.startswith(says)


def test_a_class_that_only_the_evaluation_has(project):
    label_map.write('label_map.pbtxt', ['a'])
    label_map.write('eval.pbtxt', ['a', 'b'])
    assert [f.message for f in findings(TWO_MAPS) if 'num_classes' not in f.message] == [
        "eval.pbtxt has 'b', which label_map.pbtxt of train_input_reader lacks, so it is never learned"]


def test_records_that_are_trained_on_as_well_are_found_by_their_files(project):
    text = SOUND.replace('"test.tfrecords"', '"train.tfrecords-00001-of-*"')
    assert only(text, 'warning')[0].startswith("eval_input_reader[0].tf_record_input_reader.input_path: "
                                               "'train.tfrecords-00001-of-00002' is trained on as well")


@pytest.mark.parametrize(('old', 'new', 'words'), [
    ('fine_tune_checkpoint_type: "detection"', '', "'classification' is taken"),
    ('fine_tune_checkpoint_version: V2', '', 'is not V2'),
    ('num_steps: 100', 'num_steps: 300', 'the learning rate is 0 after step 100'),
    ('"test.tfrecords"', '"train.tfrecords-?????-of-00002"', 'is trained on as well'),
    ('eval_config {}', 'eval_config { export_path: "x" }', 'is ignored: detections are not written'),
    ('momentum_optimizer {', 'rms_prop_optimizer {', 'divides the learning rate by 1 + 0.9 * step, at the end by 91'),
])
def test_warnings(project, old, new, words):
    assert words in only(SOUND.replace(old, new), 'warning')[0]


@pytest.mark.parametrize(('kind', 'name'), [('random_horizontal_flip', 'keypoint_flip_permutation'),
                                            ('random_vertical_flip', 'keypoint_flip_permutation'),
                                            ('random_rotation90', 'keypoint_rot_permutation')])
def test_permutations_of_keypoints(kind, name, project):
    def text(given, keypoints='num_keypoints: 3'):
        options = f'num_steps: 100 data_augmentation_options {{ {kind} {{ {given} }} }}'
        return SOUND.replace('num_steps: 100', options).replace('train_input_reader {',
                                                                f'train_input_reader {{ {keypoints}')

    for wrong in ('[0, 2]', '[0, 2, 2]', '[1, 2, 3]', '[0, 2, 1, 3]'):
        found, where = only(text(f'{name}: {wrong}'))
        assert found == (f'train_config.data_augmentation_options[0].{kind}.{name}: is {wrong}; with '
                         'train_input_reader.num_keypoints: 3 it must hold each number from 0 to 2 once')
        assert where == line_of(text(f'{name}: {wrong}'), name)
    for right in (text(f'{name}: [0, 2, 1]'), text(''), text(f'{name}: [1, 0]', keypoints='')):
        assert [finding for finding in findings(right) if finding.severity == 'error'] == []


def test_only_the_first_reader_is_evaluated(project):
    Path('more.tfrecords').write_bytes(b'something')
    text = SOUND + """
eval_input_reader { label_map_path: "label_map.pbtxt" tf_record_input_reader { input_path: "more.tfrecords" } }
"""
    found, where = only(text, 'warning')
    assert found.startswith('eval_input_reader[1]: is not evaluated: only the first eval_input_reader is')
    assert where == line_of(text, 'eval_input_reader { label')


def test_kinds_that_are_refused_are_not_suggested(project):
    text = SOUND.replace('fixed_shape_resizer { height: 64 width: 64 }', '')
    assert only(text)[0].endswith('no kind is set; choose one of fixed_shape_resizer, keep_aspect_ratio_resizer')
    assert only(SOUND.replace('argmax_matcher {}', ''))[0].endswith('no kind is set; choose argmax_matcher')


def test_findings_about_an_override_name_no_line(project):
    Path('pipeline.config').write_text(SOUND, encoding='utf-8')
    changed = pipeline.override(pipeline.read('pipeline.config'), 'model { ssd { num_classes: 0 } }')
    found, = checks.located(checks.check_model(changed), 'pipeline.config', overridden=True)
    assert str(found).startswith('pipeline.config with --config_override: model.ssd.num_classes: is 0')


def test_backslashes_are_suspected_in_paths(project):
    found = findings(SOUND.replace('"test.tfrecords"', r'"out\test.tfrecords"'))
    assert any('control character' in finding.message for finding in found)


def test_untouched_zoo_config_passes_the_model_part_only():
    path = COPIES / 'zoo_efficientdet_d0_coco17_tpu-32.config'
    config = pipeline.read(path)
    assert {finding.severity for finding in checks.check_model(config)} == {'hint'}
    found = checks.check(config, path)
    left = [(finding.field, finding.where) for finding in found if finding.severity == 'error']
    assert left == [('train_config.fine_tune_checkpoint', f'{path}:161: '),
                    ('train_input_reader.label_map_path', f'{path}:172: '),
                    ('train_input_reader.tf_record_input_reader.input_path[0]', f'{path}:174: '),
                    ('eval_input_reader[0].label_map_path', f'{path}:185: '),
                    ('eval_input_reader[0].tf_record_input_reader.input_path[0]', f'{path}:189: ')]
    notes = {finding.field for finding in found if finding.severity == 'hint'}
    assert notes == {'model.ssd.matcher.argmax_matcher.use_matmul_gather', 'model.ssd.inplace_batchnorm_update',
                     'train_config.sync_replicas', 'train_config.startup_delay_steps',
                     'train_config.replicas_to_aggregate', 'train_config.unpad_groundtruth_tensors'}


@pytest.mark.parametrize('path', sorted(COPIES.glob('*.config')), ids=lambda path: path.stem)
def test_models_of_the_reference_pass(path):
    if 'zoo_mask_rcnn' not in path.name:  # its typo is tested in test_pipeline.py
        assert {finding.severity for finding in checks.check_model(pipeline.read(path))} <= {'hint'}


def test_model_dir_that_is_a_zoo_folder(project):
    assert checks.check_model_dir('models/new') == []
    found, = checks.check_model_dir('zoo')
    assert 'unpacked zoo model' in found.message and 'zoo/checkpoint/ckpt-0' in found.message
    assert 'is a file' in checks.check_model_dir('label_map.pbtxt')[0].message


def test_empty_config_and_missing_sections(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = findings('')
    assert [finding.field for finding in found] == ['model', 'train_config', 'eval_input_reader']
    assert all(finding.where == 'pipeline.config: ' for finding in found)
