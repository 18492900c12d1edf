"""The pipeline.config of a zoo model -> one for the user's records, with a reason for each change."""
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from object_detection import protos, records
from object_detection.config import checks, label_map, paths, pipeline, textproto
from object_detection.config.pipeline import architecture
from object_detection.utils import files, store
from object_detection.utils.errors import UserError
from object_detection.zoo import download, keypoints, machine, schedule, table
from object_detection.zoo.edit import Change, Edit

EPOCHS, MIN_STEPS = 50, 2500  # they give num_steps where the user does not
SAMPLE = 100  # records to search for masks and keypoints
# Fields that speed up TPUs or remain from TensorFlow 1: the numbers are the same without them, here and in the
# reference.
OBSOLETE = {'sync_replicas', 'startup_delay_steps', 'replicas_to_aggregate',
            'unpad_groundtruth_tensors', 'inplace_batchnorm_update', 'use_matmul_gather', 'use_matmul_crop_and_resize',
            'use_matmul_gather_in_matcher', 'use_static_balanced_label_sampler', 'use_static_shapes',
            'use_static_shapes_for_eval'}
_TYPO = re.compile(r'("PATH_TO_BE_CONFIGURED[^"\n]*")[A-Za-z]\w*')  # Mask R-CNN's tarball has one


@dataclass(frozen=True)
class Options:
    """The user's files and numbers.

    train_record, test_record: paths or patterns of TFRecord files. label_map: path.
    batch_size: None: what fits this machine. num_steps: None: EPOCHS times through the records.
    """
    train_record: str
    test_record: str
    label_map: str
    batch_size: int | None = None
    num_steps: int | None = None


def model_folder(name: str) -> Path:
    """Return the folder of a downloaded model, given its name in models/ or its path; UserError if there is none."""
    for folder in (Path(name), Path('models', name)):
        if (folder / 'pipeline.config').is_file():
            return folder
    if Path(name).is_dir():
        raise UserError(f'{name}: has no pipeline.config{files.contents(name)}')
    known = table.find(name).name
    raise UserError(f'models/{known}: does not exist; download it first: '
                    f'python -m object_detection.zoo download {known}')


def configure(folder: str | Path, options: Options) -> tuple[protos.TrainEvalPipelineConfig, list[Change]]:
    """Return the config of the unpacked model in `folder`, changed for the user's records, and the changes.

    UserError with everything that is missing or does not fit: records, label map, checkpoint, masks, keypoints.
    """
    labels, train = _read_data(options)
    edit = _read_config(Path(folder, 'pipeline.config'))
    checks.demand(checks.check_model(edit.config))
    name, model = architecture(edit.config)
    edit.set(f'model.{name}.num_classes', labels.num_classes, f'the largest id in {options.label_map}')
    _set_numbers(edit, options, len(train))
    _set_start(edit, folder)
    _set_readers(edit, options)
    if name == 'center_net' and model.keypoint_estimation_task:
        keypoints.adapt(edit, labels)
    else:
        keypoints.remove(edit)
    _fit_objects(edit, options, train)
    for finding in checks.check_fields(edit.config):
        if finding.field.rpartition('.')[2] in OBSOLETE:
            edit.clear(finding.field, finding.message)
    return edit.config, edit.changes


def _posix(path: str | Path) -> str:
    return store.url_of(path) or Path(path).as_posix()


def _read_data(options: Options) -> tuple[label_map.LabelMap, records.Records]:
    """Return the label map and the records to train on; UserError with everything wrong with the user's files."""
    wrong = [message for pattern in (options.train_record, options.test_record)
             for severity, message in paths.records(pattern) if severity == 'error']
    try:
        labels = label_map.load(options.label_map)
    except UserError as error:
        wrong += error.findings
    if wrong:
        raise UserError(wrong)
    return labels, records.Records(options.train_record)


def _read_config(path: Path) -> Edit:
    """Read a released pipeline.config and correct a known typo in it."""
    text = textproto.read_text(path)
    repairs = [Change(f'line {text.count(chr(10), 0, typo.start()) + 1}', typo[0], typo[1],
                      'a typo in the released file') for typo in _TYPO.finditer(text)]
    return Edit(pipeline.parse(_TYPO.sub(r'\1', text), str(path)), repairs)


def _set_numbers(edit: Edit, options: Options, count: int) -> None:
    """Set batch_size and num_steps, and scale the learning rate with them. count: records to train on."""
    train = edit.config.train_config
    batch_before, steps_before = train.batch_size, train.num_steps
    batch, why = (options.batch_size, 'as you asked') if options.batch_size else machine.batch_size(edit.config, count)
    edit.set('train_config.batch_size', batch, why)
    if options.num_steps:
        edit.set('train_config.num_steps', options.num_steps, 'as you asked')
    else:
        steps = -(-EPOCHS * count // batch // 100) * 100
        edit.set('train_config.num_steps', min(max(steps, MIN_STEPS), steps_before or steps),
                 f'{EPOCHS} times through {count} records, but at least {MIN_STEPS}; the released one is for '
                 "COCO's 118,000 pictures")
    schedule.scale(edit, batch_before, steps_before)


def _set_start(edit: Edit, folder: str | Path) -> None:
    """Start from the checkpoint of the model."""
    prefix = download.checkpoint(folder)
    if prefix is None:
        raise UserError(f'{folder}: has no checkpoint/ckpt-0 to start from{files.contents(folder)}')
    edit.set('train_config.fine_tune_checkpoint', prefix.as_posix(), 'the weights that came with the model')
    edit.set('train_config.fine_tune_checkpoint_type', 'detection',
             'restores all weights but those of the heads, which depend on the number of classes')
    edit.set('train_config.fine_tune_checkpoint_version', 'V2', 'the format of TensorFlow 2')


def _set_readers(edit: Edit, options: Options) -> None:
    """Read the user's records and label map, with one eval_input_reader."""
    config = edit.config
    del config.eval_input_reader[1:]
    if not config.eval_input_reader:
        config.eval_input_reader.add(shuffle=False, num_epochs=1)
    for name, record in (('train_input_reader', options.train_record), ('eval_input_reader[0]', options.test_record)):
        edit.set(f'{name}.label_map_path', _posix(options.label_map), 'your classes')
        edit.set(f'{name}.tf_record_input_reader.input_path', [_posix(record)], 'your records')


def _fit_objects(edit: Edit, options: Options, train: records.Records) -> None:
    """Check that the records have the masks or keypoints that the model learns; read masks as they are stored."""
    reader = edit.config.train_input_reader
    if not (reader.load_instance_masks or reader.num_keypoints):
        return
    wanted = 'image/object/mask' if reader.load_instance_masks else 'image/object/keypoint/x'
    features = _features_with_objects(train, wanted)
    if reader.load_instance_masks:
        if 'image/object/mask' not in features:
            raise UserError(f'{options.train_record}: the model learns masks, and the records have none '
                            '(image/object/mask); take a model that finds boxes only, or write them with masks')
        kind = 'NUMERICAL_MASKS' if features['image/object/mask'].HasField('float_list') else 'PNG_MASKS'
        for name in ('train_input_reader', 'eval_input_reader[0]'):
            edit.set(f'{name}.mask_type', kind, 'as the records have them')
    if reader.num_keypoints:
        boxes, points = (len(features[key].float_list.value) if key in features else 0 for key in
                         ('image/object/bbox/ymin', 'image/object/keypoint/x'))
        if points != boxes * reader.num_keypoints:
            raise UserError(f'{options.train_record}: a picture with {boxes} boxes has {points} keypoints, but '
                            f'{options.label_map} has {reader.num_keypoints} for each')


def _features_with_objects(train: records.Records, wanted: str) -> Mapping[str, Any]:
    """Return the tf.train.Feature map of a record with boxes among the first SAMPLE records.

    It has the feature `wanted` if any of them has it: a picture with an object without an outline has no masks.
    """
    features: Mapping[str, Any] = {}
    for index in range(min(SAMPLE, len(train))):
        found = protos.Example.FromString(train[index]).features.feature
        if 'image/object/bbox/ymin' in found and found['image/object/bbox/ymin'].float_list.value:
            if wanted in found:
                return found
            features = features or found
    return features
