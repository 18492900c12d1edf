"""Rules about data_augmentation_options of train_config."""
from collections.abc import Iterator, Sequence

from object_detection import protos
from object_detection.config.checks.findings import Finding, error
from object_detection.config.checks.rules import Faults, Rule, limit, one_of

POLICIES = ('v0', 'v1', 'v2', 'v3', 'test')  # of autoaugment_image


def check(options: Sequence[protos.PreprocessingStep], reader: protos.InputReader) -> Iterator[Finding]:
    """Yield augmentations that do not fit the masks and keypoints of train_input_reader."""
    count = reader.num_keypoints
    for index, step in enumerate(options):
        kind = step.WhichOneof('preprocessing_step')
        path = f'train_config.data_augmentation_options[{index}].{kind}'
        for name in ('keypoint_flip_permutation', 'keypoint_rot_permutation'):
            given = list(getattr(getattr(step, kind), name, ())) if kind else []
            if count and given and (len(given) != count or sorted(given) != list(range(count))):
                yield error(f'{path}.{name}', f'is {given}; with train_input_reader.num_keypoints: {count} it must '
                            f'hold each number from 0 to {count - 1} once')
        if kind == 'autoaugment_image' and (count or reader.load_instance_masks):
            yield error(path, 'moves pictures and boxes only; masks and keypoints would no longer fit: take it out, or '
                        'take load_instance_masks and num_keypoints out of train_input_reader')


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


_COLOR = limit(lambda color: len(color) in (0, 3), 'it needs none or 3 numbers: red, green, blue')('pad_color')
_RATIOS = limit(lambda ratio: len(ratio) in (0, 2), 'it needs none or 2 numbers: of height and width')(
    'min_padded_size_ratio', 'max_padded_size_ratio')
RULES: dict[str, list[Rule]] = {
    'PreprocessingStep': [_step],
    'AutoAugmentImage': [one_of('policy_name', *POLICIES)],
    'NormalizeImage': [_range],
    'SubtractChannelMean': [limit(lambda means: len(means) == 3, 'it needs 3 numbers: red, green, blue')('means')],
    'RandomDistortColor': [one_of('color_ordering', 0, 1)],
    'RandomPadImage': [_pad_sizes, _COLOR],
    'RandomAbsolutePadImage': [_COLOR],
    'RandomCropPadImage': [_COLOR, _RATIOS],
    'SSDRandomCropPadOperation': [_RATIOS],
    'SSDRandomCropPadFixedAspectRatio': [_RATIOS],
    'RandomJitterBoxes': [_jitter],
}
