"""Rules about training: train_config, train_input_reader, and the parts of the model that only training needs."""
import itertools
from collections.abc import Iterator

from object_detection import protos
from object_detection.config import paths
from object_detection.config.checks import augmentation, readers, schedules
from object_detection.config.checks.extractors import TYPES, Extractor
from object_detection.config.checks.findings import Finding, error, warning
from object_detection.config.checks.rules import Faults, Rule, apply, at_most, chooses
from object_detection.config.pipeline import Config, architecture, fixed_size, restore_type
from object_detection.utils import regex


def check(config: Config, eval_on_train_data: bool) -> Iterator[Finding]:
    """Yield findings about training alone; eval_on_train_data: the training pictures are evaluated too."""
    train, reader = config.train_config, config.train_input_reader
    yield from readers.placeholders(config.model, 'model')
    yield from readers.placeholders(train, 'train_config')
    yield from apply(RULES_OF_MODEL, config.model, 'model')
    yield from apply(RULES, train, 'train_config')
    if train.num_steps == 0:
        yield error('train_config.num_steps', 'is 0, which means forever; set it, or give --num_train_steps')
    yield from _batch_size(config)
    yield from augmentation.check(train.data_augmentation_options, reader)
    yield from _learning_rate(train)
    yield from _checkpoint(config)
    yield from readers.check(config, reader, 'train_input_reader', eval_on_train_data)


def _batch_size(config: Config) -> Iterator[Finding]:
    size, resizer = config.train_config.batch_size, config.model.faster_rcnn.image_resizer
    kind = resizer.WhichOneof('image_resizer_oneof')  # the other architectures take images of one size only
    if kind and size > 1 and not fixed_size(resizer):
        yield error('train_config.batch_size', f'is {size}, but {kind} makes images of different sizes; use '
                    'keep_aspect_ratio_resizer with pad_to_max_dimension: true, or batch_size: 1')


def _learning_rate(train: protos.TrainConfig) -> Iterator[Finding]:
    kind = train.optimizer.WhichOneof('optimizer')
    if not kind:
        return
    path, optimizer = f'train_config.optimizer.{kind}', getattr(train.optimizer, kind)
    if kind == 'rms_prop_optimizer' and optimizer.decay * train.num_steps > 1:
        yield warning(f'{path}.decay', f'is {optimizer.decay:g}: as in the reference under TensorFlow 2 this divides '
                      f'the learning rate by 1 + {optimizer.decay:g} * step, at the end by '
                      f'{1 + optimizer.decay * train.num_steps:.0f}; set decay: 0 to leave it to the schedule')
    yield from schedules.check(train, f'{path}.learning_rate')


def _checkpoint(config: Config) -> Iterator[Finding]:
    train = config.train_config
    prefix, kind = train.fine_tune_checkpoint, restore_type(train)
    if not prefix or paths.is_placeholder(prefix):
        return
    for severity, message in paths.checkpoint(prefix):
        yield Finding(severity, 'train_config.fine_tune_checkpoint', message)
    kinds = _restore_kinds(config)
    if not train.fine_tune_checkpoint_type:
        yield warning('train_config.fine_tune_checkpoint_type', f'is missing: {kind!r} is taken, as in the reference; '
                      f'allowed: {", ".join(kinds)}')
    if kinds and kind not in kinds:
        yield error('train_config.fine_tune_checkpoint_type', f'is {kind!r}; this model takes {", ".join(kinds)}')
    if train.fine_tune_checkpoint_version != 2:
        yield warning('train_config.fine_tune_checkpoint_version', 'is not V2: it is read as V2 all the same, which is '
                      'the only format TensorFlow 2 models have; add fine_tune_checkpoint_version: V2')


def _restore_kinds(config: Config) -> list[str]:
    """Return the values of fine_tune_checkpoint_type that the model can restore."""
    name, model = architecture(config)
    if name not in TYPES:
        return []
    extractor = TYPES[name].get(model.feature_extractor.type, Extractor())
    return ['classification'] * extractor.classifier + ['detection', 'full'] + ['fine_tune'] * (name == 'center_net')


def _manual_steps(schedule: protos.ManualStepLearningRate) -> Faults:
    steps = [entry.step for entry in schedule.schedule]
    if not steps:
        yield 'schedule', 'is empty; add schedule { step: .. learning_rate: .. }, or use constant_learning_rate'
    if any(later <= earlier for earlier, later in itertools.pairwise([0, *steps])):
        yield 'schedule', f'has the steps {steps}; they must start above 0 and rise'


def _cosine(rate: protos.CosineDecayLearningRate) -> Faults:
    before = rate.warmup_steps + rate.hold_base_rate_steps
    if rate.total_steps < before:
        yield 'total_steps', (f'is {rate.total_steps}, less than the {before} steps of warmup and hold; raise it or '
                              f'set warmup_steps (now {rate.warmup_steps}) lower')
    if rate.warmup_steps and rate.warmup_learning_rate > rate.learning_rate_base:
        yield 'warmup_learning_rate', (f'is {rate.warmup_learning_rate:g}, above learning_rate_base '
                                       f'{rate.learning_rate_base:g}')


def _thresholds(matcher: protos.ArgMaxMatcher) -> Faults:
    if not matcher.ignore_thresholds:
        yield from at_most('unmatched_threshold', 'matched_threshold')(matcher)


def _miner(loss: protos.Loss) -> Faults:
    if loss.HasField('hard_example_miner') and loss.classification_loss.HasField('weighted_sigmoid_focal'):
        yield 'hard_example_miner', ('does not go with weighted_sigmoid_focal, which weighs examples by itself; remove '
                                     'one of them')


def _variables(train: protos.TrainConfig) -> Faults:
    for field in ('freeze_variables', 'update_trainable_variables'):
        for pattern in getattr(train, field):
            if message := regex.fault(pattern):
                yield field, message


RULES_OF_MODEL: dict[str, list[Rule]] = {  # an export does without
    'FasterRcnn': [at_most('second_stage_batch_size', 'first_stage_max_proposals')],
    'ArgMaxMatcher': [_thresholds],
    'Loss': [_miner],
}
RULES: dict[str, list[Rule]] = {
    'TrainConfig': [chooses('optimizer'), _variables],
    **{f'{name}Optimizer': [chooses('learning_rate')] for name in ('Momentum', 'RMSProp', 'Adam')},
    'ManualStepLearningRate': [_manual_steps],
    'CosineDecayLearningRate': [_cosine],
    **augmentation.RULES,
}
