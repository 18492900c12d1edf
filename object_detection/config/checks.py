"""What is wrong with the content of a pipeline.config, all of it at once and without TensorFlow.

Three parts stand apart, because an export needs the model only: check_model, check_training, check_evaluation. The
sentence of a Finding says what came, what is allowed and what to do; `located` adds the line of the file.
"""
import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

from object_detection.config import fields as config_fields
from object_detection.config import label_map, metrics_set, textproto
from object_detection.config import paths as config_paths
from object_detection.config.pipeline import architecture
from object_detection.utils.errors import UserError

_PLACEHOLDER = re.compile(r'PATH_TO_BEE?_CONFIGURED')
_ONE_OF = {  # sections that an architecture needs, and of which exactly one kind must be chosen
    'ssd': ('image_resizer', 'box_coder', 'matcher', 'similarity_calculator', 'box_predictor', 'anchor_generator',
            'loss.classification_loss', 'loss.localization_loss'),
    'faster_rcnn': ('image_resizer', 'first_stage_anchor_generator', 'second_stage_box_predictor'),
    'center_net': ('image_resizer', 'object_center_params.classification_loss'),
}
_CHECKPOINT_TYPES = {'ssd': ('classification', 'detection', 'full'),
                     'faster_rcnn': ('classification', 'detection', 'full'),
                     'center_net': ('classification', 'detection', 'full', 'fine_tune')}


@dataclass(frozen=True)
class Finding:
    """severity: 'error' (cannot work), 'warning' (works, perhaps not as meant) or 'note'. field: path in the config."""

    severity: str
    field: str
    message: str
    where: str = ''

    def __str__(self):
        return f'{self.where}{self.field}: {self.message}'


def check_model(config):
    """Findings about the model section, which is all that an export needs."""
    name, model = architecture(config)
    if name is None:
        return [Finding('error', 'model', 'is empty; it needs one of ssd, faster_rcnn, center_net')]
    if name not in _ONE_OF:
        return [Finding('error', f'model.{name}', 'is not supported; use ssd, faster_rcnn or center_net')]
    return [Finding('error', f'model.{name}.{field}', message) for field, message in
            itertools.chain(_model_numbers(model), _missing_kinds(model, _ONE_OF[name]), _resizer(model.image_resizer))]


def check_training(config, evaluated=False):
    """Findings about train_config and train_input_reader: numbers, paths, label map, checkpoint.

    Args:
        evaluated: the training pictures are evaluated too (--eval_on_train_data).
    """
    if not config.HasField('train_config'):
        return [Finding('error', 'train_config', 'is missing; training needs it')]
    findings = _placeholders(config.model, 'model') + _placeholders(config.train_config, 'train_config')
    findings += [Finding(severity, f'train_config.{field}', message) for severity, field, message in
                 itertools.chain(_training_numbers(config), _permutations(config),
                                 _learning_rate(config.train_config), _checkpoint(config))]
    return findings + _reader(config, config.train_input_reader, 'train_input_reader', evaluated)


def check_evaluation(config):
    """Findings about eval_config and every eval_input_reader."""
    findings = _placeholders(config.eval_config, 'eval_config')
    if config.eval_config.batch_size < 1:
        findings.append(Finding('error', 'eval_config.batch_size', 'is 0; it must be at least 1'))
    findings += itertools.starmap(Finding, metrics_set.check(config))
    if not config.eval_input_reader:
        findings.append(Finding('error', 'eval_input_reader', 'is missing; evaluation needs at least one'))
    for index, reader in enumerate(config.eval_input_reader):
        path = f'eval_input_reader[{index}]'
        findings += _reader(config, reader, path, evaluated=True)
        findings += itertools.starmap(Finding, metrics_set.check_reader(config, reader, path, label_map_of(reader)))
        if index:
            findings.append(Finding('warning', path, 'is not evaluated: only the first eval_input_reader is, as in the '
                                    'reference; to evaluate these records too, name them there as another input_path'))
    seen = set(config.train_input_reader.tf_record_input_reader.input_path)
    for index, reader in enumerate(config.eval_input_reader):
        if both := seen & set(reader.tf_record_input_reader.input_path) - {''}:
            path = sorted(both)[0]
            if not _PLACEHOLDER.search(path):
                findings.append(Finding('warning', f'eval_input_reader[{index}].tf_record_input_reader.input_path',
                                        f'{path!r} is trained on as well; its metrics say nothing about new pictures'))
    return findings


def check_fields(config):
    """Findings about fields that are set to something and are not read here (config_fields.py)."""
    kinds = {'NO_EFFECT': ('note', 'has no effect'), 'IGNORED': ('warning', 'is ignored'),
             'REFUSED': ('error', 'is not supported')}
    return [Finding(kinds[kind][0], place, f'{kinds[kind][1]}: {reason}')
            for place, _, kind, reason in config_fields.unread(config)]


def check_model_dir(model_dir):
    """Findings about the folder that checkpoints are to be written to; it need not exist."""
    folder = Path(model_dir)
    if folder.exists() and not folder.is_dir():
        return [Finding('error', 'model_dir', f'{folder} is a file; give a folder')]
    if (folder / 'checkpoint').is_dir():
        inside = config_paths.prefixes(folder / 'checkpoint')
        start = f', with fine_tune_checkpoint: "{inside[0].as_posix()}"' if inside else ''
        return [Finding('error', 'model_dir', f'{folder} is an unpacked zoo model or an export, not a folder to train '
                        f'in; make another one, copy pipeline.config there and train from it{start}')]
    return []


def check(config, path=None, eval_on_train_data=False):
    """All findings about a config that is to be trained and evaluated; with `path`, the file it is from, with lines."""
    findings = [*check_model(config), *check_training(config, eval_on_train_data), *check_evaluation(config),
                *check_fields(config)]
    return located(findings, path) if path else findings


def located(findings, path, overridden=False):
    """The findings with file and line of their field, or of the section it is missing from, in front.

    Where --config_override was laid over the file, its lines may not be what is at fault, and are left out.
    """
    if overridden:
        return [replace(finding, where=f'{path} with --config_override: ') for finding in findings]
    lines = textproto.locate(textproto.read_text(path))

    def where(field):
        key = ()
        for part in field.split('.'):
            name, _, index = part.rstrip(']').partition('[')
            if (*key, name, int(index or 0)) not in lines:
                break
            key = (*key, name, int(index or 0))
        return f'{path}:{lines[key]}: ' if key else f'{path}: '

    return [replace(finding, where=where(finding.field)) for finding in findings]


def demand(findings):
    """Raise one UserError with all errors, if there are any; return the other findings."""
    if errors := [str(finding) for finding in findings if finding.severity == 'error']:
        raise UserError(errors)
    return findings


def label_map_of(reader):
    """The LabelMap of an input_reader, None without a readable one."""
    try:
        return label_map.load(reader.label_map_path) if reader.label_map_path else None
    except UserError:
        return None


def _placeholders(section, path):
    found = []
    for field_path, _, field, value in config_fields.walk(section, path):
        if field.type == field.TYPE_STRING:
            found += [Finding('error', name, f'still says {text!r}; write a path of yours, or delete the line')
                      for name, text in config_fields.entries(field_path, value) if _PLACEHOLDER.search(text)]
    return found


def _model_numbers(model):
    if model.num_classes < 1:
        yield 'num_classes', f'is {model.num_classes}; it is the number of labels, at least 1'
    if not model.feature_extractor.type:
        yield 'feature_extractor.type', 'is missing; it names the network, such as "ssd_mobilenet_v2_fpn_keras"'


def _missing_kinds(model, sections):
    for path in sections:
        section = model
        for name in path.split('.'):
            section = getattr(section, name)
        oneof = section.DESCRIPTOR.oneofs[0]
        if section.WhichOneof(oneof.name) is None:
            refused = config_fields.table(config_fields.REFUSED)
            kinds = [field.name for field in oneof.fields if f'{section.DESCRIPTOR.name}.{field.name}' not in refused]
            yield path, f'chooses no kind; it needs {"one of " * (len(kinds) > 1)}{", ".join(kinds)}'


def _resizer(resizer):
    kind = resizer.WhichOneof('image_resizer_oneof')
    chosen = getattr(resizer, kind) if kind else None
    sizes = ('height', 'width', 'min_dimension', 'max_dimension', 'size_threshold', 'multiple')
    for name in sizes:
        value = getattr(chosen, name, 1)
        if value < 1:
            yield f'image_resizer.{kind}.{name}', f'is {value}; sizes are in pixels, at least 1'
    if kind == 'keep_aspect_ratio_resizer' and chosen.min_dimension > chosen.max_dimension:
        yield (f'image_resizer.{kind}.min_dimension',
               f'is {chosen.min_dimension}, more than max_dimension {chosen.max_dimension}')


def _training_numbers(config):
    train = config.train_config
    name, model = architecture(config)
    if train.batch_size < 1:
        yield 'error', 'batch_size', 'is 0; it must be at least 1'
    resizer = model.image_resizer if name else None
    if train.batch_size > 1 and resizer and (
            resizer.HasField('identity_resizer') or (resizer.HasField('keep_aspect_ratio_resizer')
                                                     and not resizer.keep_aspect_ratio_resizer.pad_to_max_dimension)):
        yield ('error', 'batch_size', f'is {train.batch_size}, but {resizer.WhichOneof("image_resizer_oneof")} gives '
               'pictures of different sizes; use keep_aspect_ratio_resizer with pad_to_max_dimension: true, or '
               'batch_size: 1')
    if train.num_steps == 0:
        yield 'warning', 'num_steps', 'is 0: training goes on for ever unless --num_train_steps is given'
    for index, step in enumerate(train.data_augmentation_options):
        if step.WhichOneof('preprocessing_step') is None:
            yield 'error', f'data_augmentation_options[{index}]', 'is empty; name an augmentation or delete it'


def _permutations(config):
    """Augmentations that move keypoints say which one each becomes: the left eye the right."""
    count = config.train_input_reader.num_keypoints
    for index, step in enumerate(config.train_config.data_augmentation_options):
        kind = step.WhichOneof('preprocessing_step')
        for name in ('keypoint_flip_permutation', 'keypoint_rot_permutation'):
            given = list(getattr(getattr(step, kind), name, ())) if kind else []
            if count and given and sorted(given) != list(range(count)):
                yield ('error', f'data_augmentation_options[{index}].{kind}.{name}',
                       f'is {given}; with train_input_reader.num_keypoints: {count} it must hold each number from 0 to '
                       f'{count - 1} once')


def _learning_rate(train):
    kind = train.optimizer.WhichOneof('optimizer')
    if kind is None:
        yield ('error', 'optimizer', 'chooses no kind; it needs one of momentum_optimizer, rms_prop_optimizer, '
               'adam_optimizer')
        return
    decay = train.optimizer.rms_prop_optimizer.decay
    if kind == 'rms_prop_optimizer' and decay * train.num_steps > 1:
        yield ('warning', f'optimizer.{kind}.decay', f'is {decay:g}: as in the reference under TensorFlow 2 this '
               f'divides the learning rate by 1 + {decay:g} * step, at the end by {1 + decay * train.num_steps:.0f}; '
               'set decay: 0 to leave it to the schedule')
    rate = getattr(train.optimizer, kind).learning_rate
    schedule = rate.WhichOneof('learning_rate')
    path = f'optimizer.{kind}.learning_rate'
    if schedule is None:
        yield ('error', path, 'chooses no schedule; it needs one of '
               f'{", ".join(field.name for field in rate.DESCRIPTOR.fields)}')
    elif schedule == 'cosine_decay_learning_rate':
        cosine = rate.cosine_decay_learning_rate
        path = f'{path}.{schedule}'
        before = cosine.warmup_steps + cosine.hold_base_rate_steps
        if cosine.total_steps < before:
            yield ('error', f'{path}.total_steps', f'is {cosine.total_steps}, less than the {before} steps of warm-up '
                   f'and hold; raise it or set warmup_steps (now {cosine.warmup_steps}) lower')
        elif cosine.total_steps < train.num_steps:
            yield ('warning', f'{path}.total_steps', f'is {cosine.total_steps}, but num_steps {train.num_steps}: the '
                   f'learning rate is 0 after step {cosine.total_steps}')
        if cosine.warmup_steps and cosine.warmup_learning_rate > cosine.learning_rate_base:
            yield ('error', f'{path}.warmup_learning_rate', f'is {cosine.warmup_learning_rate:g}, above '
                   f'learning_rate_base {cosine.learning_rate_base:g}')
    elif schedule == 'manual_step_learning_rate':
        steps = [0] + [entry.step for entry in rate.manual_step_learning_rate.schedule]
        if any(after <= before for before, after in itertools.pairwise(steps)):
            yield 'error', f'{path}.{schedule}.schedule', f'has the steps {steps[1:]}; they must start above 0 and rise'


def _checkpoint(config):
    train = config.train_config
    prefix = train.fine_tune_checkpoint
    if not prefix or _PLACEHOLDER.search(prefix):
        return
    name, _ = architecture(config)
    for severity, message in config_paths.checkpoint(prefix):
        yield severity, 'fine_tune_checkpoint', message
    kinds = _CHECKPOINT_TYPES.get(name, ())
    kind = train.fine_tune_checkpoint_type
    if not kind:
        taken = 'detection' if train.from_detection_checkpoint else 'classification'
        yield ('warning', 'fine_tune_checkpoint_type', f'is missing: {taken!r} is taken, as in the reference; '
               f'allowed: {", ".join(kinds)}')
    elif kinds and kind not in kinds:
        yield ('error', 'fine_tune_checkpoint_type', f'is {kind!r}; {name} takes {", ".join(kinds)}')
    if train.fine_tune_checkpoint_version != 2:
        yield ('warning', 'fine_tune_checkpoint_version', 'is not V2: it is read as V2 all the same, which is the only '
               'format TensorFlow 2 models have; add fine_tune_checkpoint_version: V2')


def _reader(config, reader, path, evaluated):
    """Findings about one input_reader: records, label map, label map against num_classes."""
    findings = _placeholders(reader, path)
    for severity, field, message in itertools.chain(_records(reader), _labels(config, reader, evaluated)):
        findings.append(Finding(severity, f'{path}.{field}', message))
    return findings


def _records(reader):
    patterns = reader.tf_record_input_reader.input_path
    if not patterns:
        yield 'error', 'tf_record_input_reader.input_path', 'is missing; name the records'
    for index, pattern in enumerate(patterns):
        if not _PLACEHOLDER.search(pattern):
            for severity, message in config_paths.records(pattern):
                yield severity, f'tf_record_input_reader.input_path[{index}]', message


def _labels(config, reader, evaluated):
    path = reader.label_map_path
    if not path:
        yield ('error', 'label_map_path', 'is missing; evaluation takes names and number of the labels from it, so '
               'write label_map_path: "..." with the label_map.pbtxt of the records') if evaluated else \
              ('warning', 'label_map_path', 'is missing: class ids come from the records, and names are unknown')
        return
    if _PLACEHOLDER.search(path):
        return
    if message := config_paths.remote(path):
        yield 'error', 'label_map_path', message
        return
    try:
        labels = label_map.load(path)
    except UserError as error:
        for message in error.findings:
            yield 'error', 'label_map_path', message
        return
    for message in labels.warnings:
        yield 'warning', 'label_map_path', message
    _, model = architecture(config)
    classes = model.num_classes if model else 0
    if labels.num_classes > classes > 0:
        yield ('error', 'label_map_path', f'{path} goes up to id {labels.num_classes}, but num_classes of the model is '
               f'{classes}; set num_classes: {labels.num_classes}')
    elif labels.num_classes < classes:
        yield ('warning', 'label_map_path', f'{path} goes up to id {labels.num_classes}, but num_classes of the model '
               f'is {classes}: {classes - labels.num_classes} outputs never learn anything; did you mean '
               f'num_classes: {labels.num_classes}?')
