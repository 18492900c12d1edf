"""python -m object_detection.zoo configure: every config of the zoo passes the checks, each change has a reason."""
import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from object_detection import protos, records
from object_detection.config import checks, pipeline
from object_detection.config.pipeline import architecture
from object_detection.utils import files
from object_detection.utils.errors import UserError
from object_detection.zoo import __main__ as zoo
from object_detection.zoo import configure, download, edit, machine, schedule

GOLDEN = Path(__file__).parents[1] / 'golden'
KIT = Path(__file__).parents[3] / 'shared' / 'parity' / 'configs'
RELEASED = sorted([*GOLDEN.glob('configs/*.config'), *KIT.rglob('*.config')])
POINTS = ('nose', 'left_paw', 'right_paw')
CPU = machine.Machine('a CPU', 0, 16)


def png(mode):
    data = io.BytesIO()
    Image.new(mode, (10, 10)).save(data, 'PNG')
    return data.getvalue()


PICTURE, MASK = png('RGB'), png('L')


def example(points=3, mask=MASK):
    return records.Example(PICTURE, 10, 10, format='png', boxes=[(0, 0, .5, .5)] * 2, labels=[1, 1],
                           texts=['dog', 'dog'], keypoints=[[(.1, .2)] * points] * 2, masks=[mask] * 2 if mask else [])


def write_records(name, count, **kinds):
    with records.Writer(name) as writer:
        for _ in range(count):
            writer.write(example(**kinds).to_bytes())


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with records of 200 pictures and 3 classes, the first with keypoints; the machine has 16 GB, no GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, 'look', lambda: CPU)
    points = ''.join(f'keypoints {{ id: {number} label: "{label}" }}' for number, label in enumerate(POINTS))
    files.write_text('data/label_map.pbtxt', f'item {{ id: 1 name: "dog" {points} }} item {{ id: 2 name: "cat" }}'
                                             'item { id: 3 name: "cow" }')
    write_records('data/train.tfrecords', 200)
    write_records('data/test.tfrecords', 20)
    return tmp_path


def unpacked(source, name='some_model'):
    """Make the folder models/NAME as the tarball with this config unpacks; return it."""
    folder = Path('models', name)
    for file in ('ckpt-0.index', 'ckpt-0.data-00000-of-00001'):
        files.write_text(folder / 'checkpoint' / file, 'weights')
    shutil.copy(source, folder / 'pipeline.config')
    return folder


def options(**others):
    return configure.Options('data/train.tfrecords', 'data/test.tfrecords', 'data/label_map.pbtxt', **others)


def changed(source, **others):
    """Return the configured config, and {field: (old, new)} of its changes."""
    result, changes = configure.configure(unpacked(source), options(**others))
    assert all(change.why for change in changes)
    return result, {change.field: (change.old, change.new) for change in changes}


@pytest.mark.parametrize('path', RELEASED, ids=lambda path: f'{path.parent.name}-{path.stem}')
def test_every_released_config_passes_the_checks(project, path):
    if 'min_dimension: 120\n' in path.read_text():  # D7 as released, with 37 classes and images of 120 x 120
        with pytest.raises(UserError, match='makes images of 120x120, which do not fit the feature pyramid; ch'):
            changed(path)
        return
    result, changes = changed(path)
    pipeline.write(result, 'models/mine/pipeline.config')
    findings = checks.check(pipeline.read('models/mine/pipeline.config'))
    assert [str(finding) for finding in findings if finding.severity == 'error'] == []
    assert 'PATH_TO_BE' not in pipeline.to_text(result)
    _, model = architecture(result)
    assert model.num_classes == 3
    assert result.train_config.fine_tune_checkpoint == 'models/some_model/checkpoint/ckpt-0'
    batch = result.train_config.batch_size
    assert batch in (1, 2, 4) and result.train_config.num_steps == max(2500, 50 * 200 // batch)
    notes = {finding.field.rpartition('.')[2] for finding in findings if finding.severity == 'hint'}
    assert not notes & configure.OBSOLETE
    assert changes['train_config.batch_size'][1] == str(result.train_config.batch_size)


@pytest.mark.skipif(not KIT.exists(), reason='the parity kit is not here')
def test_all_training_configs_of_the_zoo_are_in_the_kit():
    assert len(RELEASED) >= 41


def test_each_number_of_efficientdet(project):
    result, changes = changed(GOLDEN / 'configs/zoo_efficientdet_d0_coco17_tpu-32.config')
    rate = 'train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate'
    assert changes == {
        'model.ssd.num_classes': ('90', '3'),
        'train_config.batch_size': ('128', '4'),
        'train_config.num_steps': ('300000', '2500'),  # 50 * 200 / 4, exactly the least
        f'{rate}.learning_rate_base': ('0.08', '0.0025'),  # 4 / 128
        f'{rate}.warmup_learning_rate': ('0.001', '3.125e-05'),
        f'{rate}.total_steps': ('300000', '2500'),
        f'{rate}.warmup_steps': ('2500', '250'),
        'train_config.fine_tune_checkpoint': ('"PATH_TO_BE_CONFIGURED"', '"models/some_model/checkpoint/ckpt-0"'),
        'train_config.fine_tune_checkpoint_type': ('"classification"', '"detection"'),
        'train_input_reader.label_map_path': ('"PATH_TO_BE_CONFIGURED/label_map.txt"', '"data/label_map.pbtxt"'),
        'train_input_reader.tf_record_input_reader.input_path': (
            '"PATH_TO_BE_CONFIGURED/train2017-?????-of-00256.tfrecord"', '"data/train.tfrecords"'),
        'eval_input_reader[0].label_map_path': ('"PATH_TO_BE_CONFIGURED/label_map.txt"', '"data/label_map.pbtxt"'),
        'eval_input_reader[0].tf_record_input_reader.input_path': (
            '"PATH_TO_BE_CONFIGURED/val2017-?????-of-00032.tfrecord"', '"data/test.tfrecords"'),
        'train_config.sync_replicas': ('true', '-'), 'train_config.startup_delay_steps': ('0', '-'),
        'train_config.replicas_to_aggregate': ('8', '-'), 'train_config.unpad_groundtruth_tensors': ('false', '-'),
        'model.ssd.inplace_batchnorm_update': ('true', '-'),
        'model.ssd.matcher.argmax_matcher.use_matmul_gather': ('true', '-')}
    cosine = result.train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    assert cosine.learning_rate_base == pytest.approx(.0025)
    assert (cosine.total_steps, cosine.warmup_steps) == (2500, 250)


def test_the_numbers_of_the_user_win(project):
    result, _ = changed(GOLDEN / 'configs/zoo_efficientdet_d0_coco17_tpu-32.config', batch_size=64, num_steps=600_000)
    cosine = result.train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    assert (result.train_config.batch_size, result.train_config.num_steps) == (64, 600_000)
    assert cosine.learning_rate_base == pytest.approx(.04)
    assert (cosine.total_steps, cosine.warmup_steps) == (600_000, 2500)


def test_other_schedules():
    """A manual schedule, whose steps stay apart, and an exponential one."""
    both = [protos.TrainEvalPipelineConfig() for _ in range(2)]
    for each in both:
        each.train_config.batch_size, each.train_config.num_steps = 8, 100
    manual = both[0].train_config.optimizer.adam_optimizer.learning_rate.manual_step_learning_rate
    manual.initial_learning_rate = 1e-3
    for step, rate in ((900, 1e-4), (901, 1e-5)):
        manual.schedule.add(step=step, learning_rate=rate)
    decay = both[1].train_config.optimizer.rms_prop_optimizer.learning_rate.exponential_decay_learning_rate
    decay.initial_learning_rate, decay.decay_steps, decay.burnin_steps = .4, 50, 10
    for each in both:
        schedule.scale(edit.Edit(each), batch_before=32, steps_before=1000)
    assert [entry.step for entry in manual.schedule] == [90, 91]
    assert [entry.learning_rate for entry in manual.schedule] == pytest.approx([2.5e-5, 2.5e-6])
    assert manual.initial_learning_rate == pytest.approx(2.5e-4)
    assert (decay.decay_steps, decay.burnin_steps) == (5, 1)
    assert decay.initial_learning_rate == pytest.approx(.1)


MASKS = GOLDEN / 'configs/zoo_mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8.config'


def test_mask_rcnn(project):
    """Its released config has a typo, and no label map for training; masks are read as they are written."""
    assert '"PATH_TO_BE_CONFIGURED"s' in MASKS.read_text()
    result, changes = changed(MASKS)
    line, = (field for field in changes if field.startswith('line '))
    assert changes[line] == ('"PATH_TO_BE_CONFIGURED"s', '"PATH_TO_BE_CONFIGURED"')
    assert result.train_input_reader.label_map_path == result.eval_input_reader[0].label_map_path
    assert result.train_input_reader.load_instance_masks and result.eval_input_reader[0].load_instance_masks
    write_records('data/train.tfrecords', 3, mask=None)
    with pytest.raises(UserError, match='the model learns masks, and the records have none'):
        changed(MASKS)
    with records.Writer('data/train.tfrecords') as writer:  # the first picture has an object without an outline
        for mask in (None, b'png'):
            writer.write(example(mask=mask).to_bytes())
    assert changed(MASKS)[0].train_input_reader.mask_type == records.PNG_MASKS
    numerical = protos.Example.FromString(example(mask=None).to_bytes())
    numerical.features.feature['image/object/mask'].float_list.value.append(1)
    with records.Writer('data/train.tfrecords') as writer:
        writer.write(numerical.SerializeToString())
    _, changes = changed(MASKS)
    assert changes['eval_input_reader[0].mask_type'] == ('PNG_MASKS', 'NUMERICAL_MASKS')


KEYPOINTS = GOLDEN / 'configs/centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8.config'


def test_keypoints_of_the_user(project):
    result, _ = changed(KEYPOINTS)
    model = result.model.center_net
    task, = model.keypoint_estimation_task
    assert model.keypoint_label_map_path == 'data/label_map.pbtxt'
    assert (task.keypoint_class_name, dict(task.keypoint_label_to_std)) == ('dog', {'nose': pytest.approx(.26)})
    flips = [list(step.random_horizontal_flip.keypoint_flip_permutation)
             for step in result.train_config.data_augmentation_options if step.HasField('random_horizontal_flip')]
    assert flips == [[0, 2, 1]]
    metric, = result.eval_config.parameterized_metric
    assert metric.coco_keypoint_metrics.class_label == 'dog'
    assert len(metric.coco_keypoint_metrics.keypoint_label_to_sigmas) == len(result.eval_config.keypoint_edge) == 0
    assert result.train_input_reader.num_keypoints == result.eval_input_reader[0].num_keypoints == 3


def test_keypoints_of_coco_keep_their_sigmas(project):
    files.write_text('data/label_map.pbtxt', 'item { id: 1 name: "person" keypoints { id: 0 label: "left_eye" } '
                                             'keypoints { id: 1 label: "right_eye" } }')
    write_records('data/train.tfrecords', 5, points=2)
    result, _ = changed(KEYPOINTS)
    metric, = result.eval_config.parameterized_metric
    assert dict(metric.coco_keypoint_metrics.keypoint_label_to_sigmas) == pytest.approx(
        {'left_eye': .025, 'right_eye': .025})


@pytest.mark.parametrize(('labels', 'points', 'message'), [
    ('item { id: 1 name: "dog" }', 3, r'no class has any; add keypoints \{ id: 0 label: "nose" \}'),
    ('item { id: 1 name: "dog" keypoints { id: 1 label: "nose" } }', 3, 'ids of the keypoints are 1; they must be 0'),
    ('item { id: 1 name: "a" keypoints { id: 0 label: "x" } } item { id: 2 name: "b" keypoints { id: 1 label: "y" } }',
     2, r'2 have some \(a, b\); keep those of one'),
    ('item { id: 1 name: "dog" keypoints { id: 0 label: "nose" } }', 3, 'with 2 boxes has 6 keypoints, but .* has 1')])
def test_keypoints_that_do_not_fit(project, labels, points, message):
    files.write_text('data/label_map.pbtxt', labels)
    with pytest.raises(UserError, match=message):
        changed(KEYPOINTS)


def run(*arguments, model='some_model', output='models/mine'):
    zoo.main(['configure', model, '--output', output, '--train_record', 'data/train.tfrecords', '--test_record',
              'data/test.tfrecords', '--label_map', 'data/label_map.pbtxt', *arguments])


def test_the_command_prints_its_changes_and_overwrites_nothing(project, capsys):
    unpacked(GOLDEN / 'efficientdet_d0.config')
    run()
    printed = capsys.readouterr().out
    assert re.search(r'model.ssd.num_classes: 90 -> 3\n    the largest id in data/label_map.pbtxt', printed)
    assert 'train_t2.py --pipeline_config_path models/mine/pipeline.config' in printed
    with pytest.raises(UserError, match='already exists, and nothing is overwritten'):
        run()
    unpacked(MASKS, 'masks')
    run(model='masks', output='models/other')
    printed = capsys.readouterr().out
    assert printed.startswith('line 153: "PATH_TO_BE_CONFIGURED"s -> "PATH_TO_BE_CONFIGURED"\n    a typo')
    assert 'train_config ... learning_rate_base: 0.008 -> 0.0005\n' in printed
    with pytest.raises(UserError, match='already exists'):
        run(output='models/some_model')


def test_records_without_a_usable_box_are_refused(project):
    unpacked(GOLDEN / 'efficientdet_d0.config')
    with records.Writer('data/train.tfrecords') as writer:
        writer.write(records.Example(PICTURE, 10, 10, format='png', boxes=[(0, 0, .5, .5)], labels=[9],
                                     texts=['horse']).to_bytes())
    with pytest.raises(UserError, match=r"label 'horse' is not in the label map"):
        run()
    assert not Path('models/mine/pipeline.config').exists()


def test_everything_missing_is_reported_at_once(project):
    unpacked(GOLDEN / 'efficientdet_d0.config')
    Path('data/test.tfrecords').unlink()
    files.write_text('data/label_map.pbtxt', 'item { id: 1 }')
    with pytest.raises(UserError) as caught:
        run()
    assert len(caught.value.findings) == 2
    with pytest.raises(UserError, match=r'not exist; download it first: python -m object_detection.zoo download eff'):
        run(model='efficientdet_d1_coco17_tpu-32')
    with pytest.raises(UserError, match=r"no model 'models/som'; python"):
        run(model='models/som')
    assert not Path('models/mine').exists()


def test_stores_that_fsspec_does_not_know(project):
    unpacked(GOLDEN / 'efficientdet_d0.config')
    with pytest.raises(UserError) as caught:
        configure.configure('models/some_model', configure.Options('no://a/train', 'no://a/test', 'no://a/labels'))
    assert len(caught.value.findings) == 3
    assert all('Protocol not known: no;' in finding for finding in caught.value.findings)


def test_a_model_without_checkpoint(project):
    folder = unpacked(GOLDEN / 'efficientdet_d0.config')
    (folder / 'checkpoint' / 'ckpt-0.index').unlink()
    with pytest.raises(UserError, match='has no checkpoint/ckpt-0 to start from'):
        run()
    assert download.checkpoint(folder) is None
