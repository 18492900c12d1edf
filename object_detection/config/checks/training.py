"""Rules about training: train_config, train_input_reader, and what of the model only training needs."""
import itertools
from collections.abc import Iterator, Sequence

from object_detection import protos
from object_detection.config import paths
from object_detection.config.checks import model as model_rules
from object_detection.config.checks import readers
from object_detection.config.checks.extractors import TYPES
from object_detection.config.checks.findings import Finding, error, warning
from object_detection.config.checks.rules import (
    Faults,
    Rule,
    apply,
    at_least_one,
    chooses,
    numbers,
    one_of,
    pixels,
    positive,
)
from object_detection.config.pipeline import Config, architecture

AUTOAUGMENT_POLICIES = ('v0', 'v1', 'v2', 'v3', 'test')


def check(config: Config, evaluated: bool) -> Iterator[Finding]:
    """Yield findings about training alone; `evaluated`: the training pictures are evaluated too."""
    train, reader = config.train_config, config.train_input_reader
    yield from readers.placeholders(config.model, 'model')
    yield from readers.placeholders(train, 'train_config')
    yield from apply(model_rules.RULES_OF_TRAINING, config.model, 'model')
    yield from apply(RULES, train, 'train_config')
    if train.num_steps == 0:
        yield warning('train_config.num_steps', 'is 0: training goes on for ever unless --num_train_steps is given')
    yield from _batch_size(config)
    yield from _augmentations(train.data_augmentation_options, reader)
    yield from _learning_rate(train)
    yield from _checkpoint(config)
    yield from readers.check(config, reader, 'train_input_reader', evaluated)


def _batch_size(config: Config) -> Iterator[Finding]:
    size, resizer = config.train_config.batch_size, config.model.faster_rcnn.image_resizer
    kind = resizer.WhichOneof('image_resizer_oneof')  # the other architectures take images of one size only
    if kind and size > 1 and not model_rules.fixed_size(resizer):
        yield error('train_config.batch_size', f'is {size}, but {kind} makes images of different sizes; use '
                    'keep_aspect_ratio_resizer with pad_to_max_dimension: true, or batch_size: 1')


def _augmentations(options: Sequence[protos.PreprocessingStep], reader: protos.InputReader) -> Iterator[Finding]:
    count = reader.num_keypoints
    for index, step in enumerate(options):
        kind = step.WhichOneof('preprocessing_step')
        path = f'train_config.data_augmentation_options[{index}].{kind}'
        for name in ('keypoint_flip_permutation', 'keypoint_rot_permutation'):
            given = list(getattr(getattr(step, kind), name, ())) if kind else []
            if count and given and sorted(given) != list(range(count)):
                yield error(f'{path}.{name}', f'is {given}; with train_input_reader.num_keypoints: {count} it must '
                            f'hold each number from 0 to {count - 1} once')
        if kind == 'autoaugment_image' and (count or reader.load_instance_masks):
            yield error(path, 'moves pictures and boxes only; masks and keypoints would no longer fit: take it out, or '
                        'take load_instance_masks and num_keypoints out of train_input_reader')


def _learning_rate(train: protos.TrainConfig) -> Iterator[Finding]:
    kind = train.optimizer.WhichOneof('optimizer')
    if not kind:
        return
    path, optimizer = f'train_config.optimizer.{kind}', getattr(train.optimizer, kind)
    if kind == 'rms_prop_optimizer' and optimizer.decay * train.num_steps > 1:
        yield warning(f'{path}.decay', f'is {optimizer.decay:g}: as in the reference under TensorFlow 2 this divides '
                      f'the learning rate by 1 + {optimizer.decay:g} * step, at the end by '
                      f'{1 + optimizer.decay * train.num_steps:.0f}; set decay: 0 to leave it to the schedule')
    cosine = optimizer.learning_rate.cosine_decay_learning_rate
    if (optimizer.learning_rate.HasField('cosine_decay_learning_rate')
            and cosine.warmup_steps + cosine.hold_base_rate_steps <= cosine.total_steps < train.num_steps):
        yield warning(f'{path}.learning_rate.cosine_decay_learning_rate.total_steps', f'is {cosine.total_steps}, but '
                      f'num_steps {train.num_steps}: the learning rate is 0 after step {cosine.total_steps}')


def _checkpoint(config: Config) -> Iterator[Finding]:
    train = config.train_config
    prefix, kind = train.fine_tune_checkpoint, train.fine_tune_checkpoint_type
    if not prefix or readers.PLACEHOLDER.search(prefix):
        return
    for severity, message in paths.checkpoint(prefix):
        yield Finding(severity, 'train_config.fine_tune_checkpoint', message)
    name, kinds = _restore_kinds(config)
    if not kind:
        taken = 'detection' if train.from_detection_checkpoint else 'classification'
        yield warning('train_config.fine_tune_checkpoint_type', f'is missing: {taken!r} is taken, as in the reference; '
                      f'allowed: {", ".join(kinds)}')
    elif kinds and kind not in kinds:
        yield error('train_config.fine_tune_checkpoint_type', f'is {kind!r}; {name} takes {", ".join(kinds)}')
    if train.fine_tune_checkpoint_version != 2:
        yield warning('train_config.fine_tune_checkpoint_version', 'is not V2: it is read as V2 all the same, which is '
                      'the only format TensorFlow 2 models have; add fine_tune_checkpoint_version: V2')


def _restore_kinds(config: Config) -> tuple[str, list[str]]:
    """Return what to call the model, and the values of fine_tune_checkpoint_type that it can restore."""
    name, model = architecture(config)
    if not name:
        return '', []
    extractor = TYPES[name].get(model.feature_extractor.type)
    kinds = ['detection', 'full'] + ['fine_tune'] * (name == 'center_net')
    if extractor and not extractor.classifier:
        return f'{name} with "{model.feature_extractor.type}"', kinds
    return name, ['classification', *kinds]


def _manual_steps(schedule: protos.ManualStepLearningRate) -> Faults:
    steps = [entry.step for entry in schedule.schedule]
    if not steps:
        yield 'schedule', 'is empty; add schedule { step: .. learning_rate: .. }, or use constant_learning_rate'
    if any(later <= earlier for earlier, later in itertools.pairwise([0, *steps])):
        yield 'schedule', f'has the steps {steps}; they must start above 0 and rise'


def _cosine(rate: protos.CosineDecayLearningRate) -> Faults:
    before = rate.warmup_steps + rate.hold_base_rate_steps
    if rate.total_steps < before:
        yield 'total_steps', (f'is {rate.total_steps}, less than the {before} steps of warm-up and hold; raise it or '
                              f'set warmup_steps (now {rate.warmup_steps}) lower')
    if rate.warmup_steps and rate.warmup_learning_rate > rate.learning_rate_base:
        yield 'warmup_learning_rate', (f'is {rate.warmup_learning_rate:g}, above learning_rate_base '
                                       f'{rate.learning_rate_base:g}')


def _step(step: protos.PreprocessingStep) -> Faults:
    if step.WhichOneof('preprocessing_step') is None:
        yield '', 'is empty; name an augmentation or delete it'


def _range(message: protos.NormalizeImage) -> Faults:
    if message.original_minval == message.original_maxval:
        yield '', 'needs original_minval and original_maxval, and they must differ'


def _pad_sizes(message: protos.RandomPadImage) -> Faults:
    for bound in ('min_image', 'max_image'):
        if bool(getattr(message, f'{bound}_height')) != bool(getattr(message, f'{bound}_width')):
            yield '', f'sets one of {bound}_height and {bound}_width; set both or neither'


def _jitter(message: protos.RandomJitterBoxes) -> Faults:
    mode = message.JitterMode.Name(message.jitter_mode)
    if message.ratio < 0 or (message.ratio > 1 and not mode.startswith('EXPAND')):
        yield 'ratio', (f'is {message.ratio:g}; allowed: 0 to 1, where a side reaches the center of its box; more only '
                        'with a jitter_mode EXPAND...')


def _jpeg_quality(message: protos.RandomJpegQuality) -> Faults:
    for name in ('min_jpeg_quality', 'max_jpeg_quality'):
        if not 0 <= getattr(message, name) <= 100:
            yield name, f'is {getattr(message, name)}; allowed: 0 to 100'


_AREA, _ASPECT = positive('min_area', 'max_area', most=1), positive('min_aspect_ratio', 'max_aspect_ratio')
_COLOR = numbers('pad_color', 0, 3)
_RATIOS = [numbers('min_padded_size_ratio', 0, 2), numbers('max_padded_size_ratio', 0, 2)]
RULES: dict[str, list[Rule]] = {
    'TrainConfig': [at_least_one('batch_size'), chooses('optimizer')],
    **{f'{name}Optimizer': [chooses('learning_rate')] for name in ('Momentum', 'RMSProp', 'Adam')},
    'ExponentialDecayLearningRate': [at_least_one('decay_steps')],
    'ManualStepLearningRate': [_manual_steps],
    'CosineDecayLearningRate': [_cosine],
    'PreprocessingStep': [_step],
    'AutoAugmentImage': [one_of('policy_name', *AUTOAUGMENT_POLICIES)],
    'NormalizeImage': [_range],
    'SubtractChannelMean': [numbers('means', 3)],
    'RandomDistortColor': [one_of('color_ordering', 0, 1)],
    'RandomPatchGaussian': [at_least_one('min_patch_size')],
    'ResizeImage': [pixels('new_height', 'new_width')],
    'RandomResizeMethod': [pixels('target_height', 'target_width')],
    'RandomDownscaleToTargetPixels': [at_least_one('min_target_pixels', 'max_target_pixels')],
    'RandomPadImage': [_pad_sizes, _COLOR],
    'RandomAbsolutePadImage': [_COLOR],
    'RandomCropImage': [_AREA, _ASPECT],
    'RandomCropPadImage': [_AREA, _ASPECT, _COLOR, *_RATIOS],
    'RandomCropToAspectRatio': [positive('aspect_ratio')],
    'SSDRandomCropOperation': [_AREA, _ASPECT],
    'SSDRandomCropFixedAspectRatioOperation': [_AREA],
    'SSDRandomCropFixedAspectRatio': [positive('aspect_ratio')],
    'SSDRandomCropPadOperation': [_AREA, _ASPECT, *_RATIOS],
    'SSDRandomCropPadFixedAspectRatioOperation': [_AREA, _ASPECT],
    'SSDRandomCropPadFixedAspectRatio': [positive('aspect_ratio'), *_RATIOS],
    'RandomSquareCropByScale': [at_least_one('max_border', 'num_scales')],
    'RandomScaleCropAndPadToSquare': [pixels('output_size')],
    'RandomJitterBoxes': [_jitter],
    'RandomJpegQuality': [_jpeg_quality],
}
