"""A zoo model's pipeline.config -> one that is ready for the user's records, with a reason for each change."""
import re
from dataclasses import dataclass
from pathlib import Path

from object_detection import protos, records
from object_detection.config import checks as config_checks
from object_detection.config import label_map, textproto
from object_detection.config import paths as config_paths
from object_detection.config import pipeline as configs
from object_detection.config.pipeline import architecture
from object_detection.utils import files
from object_detection.utils.errors import UserError
from object_detection.zoo import download, keypoints, machine, schedule, table
from object_detection.zoo.edit import Change, Edit

EPOCHS, FEWEST_STEPS = 50, 2500  # what num_steps is made of when the user does not say
LOOK_AT = 100  # records, for masks and keypoints
# They speed up TPUs or are left from TensorFlow 1: the numbers are the same without them, here and in the reference.
LEFT_OUT = {'use_bfloat16', 'sync_replicas', 'startup_delay_steps', 'replicas_to_aggregate',
            'unpad_groundtruth_tensors', 'inplace_batchnorm_update', 'use_matmul_gather', 'use_matmul_crop_and_resize',
            'use_matmul_gather_in_matcher', 'use_static_balanced_label_sampler', 'use_static_shapes',
            'use_static_shapes_for_eval'}
_TYPING_ERROR = re.compile(r'("PATH_TO_BE_CONFIGURED[^"\n]*")[A-Za-z]\w*')  # Mask R-CNN's tarball has one


@dataclass(frozen=True)
class Wishes:
    """What the user brings. batch_size, num_steps: None leaves them to the machine and to the number of records."""
    train_record: str
    test_record: str
    label_map: str
    batch_size: int | None = None
    num_steps: int | None = None


def model_folder(name):
    """The folder of a downloaded model, by its name in models/ or its path; UserError if there is none."""
    for folder in (Path(name), Path('models', name)):
        if (folder / 'pipeline.config').is_file():
            return folder
    if Path(name).is_dir():
        raise UserError(f'{name}: has no pipeline.config{files.contents(name)}')
    known = table.find(name).name
    raise UserError(f'models/{known}: is not there; download it first: python -m object_detection.zoo download {known}')


def configure(folder, wishes):
    """The config of the unpacked model in `folder`, changed for the user's records.

    Returns:
        config: TrainEvalPipelineConfig.
        changes: list of edit.Change.
    UserError with what is missing or does not fit: records, label map, checkpoint, masks, keypoints.
    """
    labels, train = _user_data(wishes)
    edit = _read(Path(folder, 'pipeline.config'))
    config_checks.demand(config_checks.check_model(edit.config))
    name, model = architecture(edit.config)
    edit.set(f'model.{name}.num_classes', labels.num_classes, f'the largest id in {wishes.label_map}')
    _numbers(edit, wishes, train)
    _start(edit, folder)
    _readers(edit, wishes)
    if name == 'center_net' and model.keypoint_estimation_task:
        keypoints.adapt(edit, labels)
    else:
        keypoints.leave_out(edit)
    _features(edit, wishes, train)
    _leave_out(edit)
    return edit.config, edit.changes


def _read(path):
    """The Edit of a released pipeline.config, in which a known typing error is put right."""
    text = textproto.read_text(path)
    repairs = [Change(f'line {text.count(chr(10), 0, found.start()) + 1}', found[0], found[1],
                      'a typing error in the released file') for found in _TYPING_ERROR.finditer(text)]
    return Edit(configs.parse(_TYPING_ERROR.sub(r'\1', text), str(path)), repairs)


def _user_data(wishes):
    """The LabelMap, and the Records to train on."""
    wrong = [message for pattern in (wishes.train_record, wishes.test_record)
             for severity, message in config_paths.records(pattern) if severity == 'error']
    labels = None
    if message := config_paths.remote(wishes.label_map):
        wrong.append(message)
    else:
        try:
            labels = label_map.load(wishes.label_map)
        except UserError as error:
            wrong += error.findings
    if wrong:
        raise UserError(wrong)
    return labels, records.Records(wishes.train_record)


def _numbers(edit, wishes, train):
    """batch_size, num_steps, and the learning rate with them."""
    section = edit.config.train_config
    batch_before, steps_before = section.batch_size, section.num_steps
    count = len(train)
    batch, why = (wishes.batch_size, 'as you asked') if wishes.batch_size else \
        machine.batch_size(edit.config, count)
    edit.set('train_config.batch_size', batch, why)
    if wishes.num_steps:
        edit.set('train_config.num_steps', wishes.num_steps, 'as you asked')
    else:
        steps = -(-EPOCHS * count // batch // 100) * 100
        edit.set('train_config.num_steps', min(max(steps, FEWEST_STEPS), steps_before or steps),
                 f'{EPOCHS} times through {count} records, but at least {FEWEST_STEPS}; the released one is for '
                 "COCO's 118,000 pictures")
    schedule.scale(edit, batch_before, steps_before)


def _start(edit, folder):
    prefix = download.checkpoint(folder)
    if prefix is None:
        raise UserError(f'{folder}: has no checkpoint/ckpt-0 to start from{files.contents(folder)}')
    edit.set('train_config.fine_tune_checkpoint', prefix.as_posix(), 'the weights that came with the model')
    edit.set('train_config.fine_tune_checkpoint_type', 'detection',
             'keeps all weights but those of the heads, which depend on the number of classes and start anew')
    edit.set('train_config.fine_tune_checkpoint_version', 'V2', 'the format of TensorFlow 2')


def _readers(edit, wishes):
    config = edit.config
    del config.eval_input_reader[1:]
    if not config.eval_input_reader:
        config.eval_input_reader.add(shuffle=False, num_epochs=1)
    for name, record in (('train_input_reader', wishes.train_record), ('eval_input_reader[0]', wishes.test_record)):
        edit.set(f'{name}.label_map_path', Path(wishes.label_map).as_posix(), 'your classes')
        edit.set(f'{name}.tf_record_input_reader.input_path', [Path(record).as_posix()], 'your records')


def _features(edit, wishes, train):
    """Masks and keypoints must be in the records of a model that learns them; masks are read as they were written."""
    reader = edit.config.train_input_reader
    if not (reader.load_instance_masks or reader.num_keypoints):
        return
    features = _with_objects(train)
    if reader.load_instance_masks:
        if 'image/object/mask' not in features:
            raise UserError(f'{wishes.train_record}: the model learns masks, and the records have none '
                            '(image/object/mask); take a model that finds boxes only, or write them with masks')
        kind = 'NUMERICAL_MASKS' if features['image/object/mask'].HasField('float_list') else 'PNG_MASKS'
        for name in ('train_input_reader', 'eval_input_reader[0]'):
            edit.set(f'{name}.mask_type', kind, 'as the records have them')
    if reader.num_keypoints:
        objects, points = (len(features[key].float_list.value) if key in features else 0 for key in
                           ('image/object/bbox/ymin', 'image/object/keypoint/x'))
        if points != objects * reader.num_keypoints:
            raise UserError(f'{wishes.train_record}: a picture with {objects} boxes has {points} keypoints, but '
                            f'{wishes.label_map} has {reader.num_keypoints} for each')


def _with_objects(train):
    """The features of the first record that has boxes, among the first few."""
    features = {}
    for index in range(min(LOOK_AT, len(train))):
        features = protos.Example.FromString(train[index]).features.feature
        if 'image/object/bbox/ymin' in features and features['image/object/bbox/ymin'].float_list.value:
            break
    return features


def _leave_out(edit):
    for finding in config_checks.check_fields(edit.config):
        if finding.field.rpartition('.')[2] in LEFT_OUT:
            edit.clear(finding.field, finding.message)
