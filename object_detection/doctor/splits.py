"""What the data sets of training and evaluation say about each other: classes, and pictures that are in both."""
import itertools
from collections.abc import Iterator, Sequence

from object_detection.config.checks import Finding, hint, warning
from object_detection.doctor.data import Split
from object_detection.preparation import duplicates
from object_detection.preparation.reading import hashes

FEW_TO_LEARN, FEW_TO_MEASURE = 20, 5  # boxes of a class
DISTANCE = 6  # bits in which perceptual hashes of near duplicates differ, as in prepare_data.py
_SHOWN = 3
_PATH = 'tf_record_input_reader.input_path'


def check(splits: Sequence[Split]) -> list[Finding]:
    """Return findings about the splits; the first is that of training."""
    training = [split for split in splits if split.name == 'train_input_reader']
    evaluation = [split for split in splits if split.name != 'train_input_reader']
    found: list[Finding] = []
    for split in training:
        found += _few(split, FEW_TO_LEARN, 'training', 'to learn it from; find more pictures of it')
    for split in evaluation:
        found += _few(split, FEW_TO_MEASURE, 'evaluation', 'so its AP says little; move pictures of it there')
    for one, other in itertools.product(training, evaluation):
        found += [*_one_sided(one, other), *_copies(one, other)]
    return found


def _names(split: Split, ids: Sequence[int]) -> str:
    named = [split.labels.name_of(class_id) if split.labels else f'class {class_id}' for class_id in ids]
    return ', '.join(named[:10]) + (f' and {len(named) - 10} more' if len(named) > 10 else '')


def _few(split: Split, least: int, purpose: str, so: str) -> Iterator[Finding]:
    """Report classes with few boxes; of a sample, where as many are to be expected in all records."""
    counts = split.boxes_of()
    few = {class_id: count for class_id, count in sorted(counts.items()) if count < least * split.share}
    if not few:
        return
    listed = ', '.join(f'{_names(split, [class_id])} {count}' for class_id, count in list(few.items())[:10])
    more = f' and {len(few) - 10} more' if len(few) > 10 else ''
    found = warning if purpose == 'training' else hint
    yield found(f'{split.name}.{_PATH}', f'few boxes for {purpose} in the {len(split.looks)} records looked at: '
                f'{listed}{more}; that is little {so}')


def _one_sided(training: Split, evaluation: Split) -> Iterator[Finding]:
    """Report classes that only one of the two has, where the label map does not tell already (records.check_data)."""
    if training.labels and evaluation.labels:
        return
    learned, measured = training.boxes_of(), evaluation.boxes_of()
    if only := sorted(set(measured) - set(learned)):
        yield warning(f'{training.name}.{_PATH}', f'has no box of {_names(evaluation, only)}, but {evaluation.name} '
                      'has: it cannot be learned')
    if only := sorted(set(learned) - set(measured)):
        yield warning(f'{evaluation.name}.{_PATH}', f'has no box of {_names(training, only)}, but {training.name} has: '
                      'its AP will be -1')


def _copies(training: Split, evaluation: Split) -> Iterator[Finding]:
    """Report pictures of the evaluation that are, nearly, in the training data."""
    pictures = [*training.pictures, *evaluation.pictures]
    if not pictures:
        return
    for picture, value in zip(pictures, hashes([picture.thumbnail for picture in pictures])):
        picture.hash = value
    groups = duplicates.group(pictures, DISTANCE).tolist()
    count = len(training.pictures)
    seen: dict[int, int] = {}
    for i, number in enumerate(groups[:count]):
        seen.setdefault(number, i)
    pairs = [(seen[number], i) for i, number in enumerate(groups[count:]) if number in seen]
    if not pairs:
        return
    shown = ', '.join(f'{evaluation.looks[i].name} ({training.looks[j].name} in training)' for j, i in pairs[:_SHOWN])
    more = f' and {len(pairs) - _SHOWN} more' if len(pairs) > _SHOWN else ''
    whole = '' if min(training.share, evaluation.share) == 1 else \
        f' (of {training.total} and {evaluation.total}; --sample 0 looks at all)'
    yield warning(f'{evaluation.name}.{_PATH}', f'{len(pairs)} of the {len(evaluation.looks)} pictures looked at'
                  f'{whole} are also in {training.name}, or nearly: {shown}{more}; metrics will be too good, so '
                  'write the records again with prepare_data.py, which keeps copies in one subset')
