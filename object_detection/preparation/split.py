"""Balance the labels and split the pictures. A picture's random number is a hash of the seed and the picture itself.

So it does not depend on the other pictures: adding some moves only the few pictures next to a boundary of the split.
"""
import collections
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from object_detection.preparation.boxes import Annotation
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import SUBSETS, Options


def stable_random(seed: int, purpose: str, key: str | None) -> float:
    """Return a number in [0, 1] that depends only on the arguments, on any machine."""
    digest = hashlib.sha256(f'{seed} {purpose} {key}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2 ** 64


def balance(pictures: Iterable[Picture], options: Options) -> None:
    """Leave out, in place, pictures beyond --maxperlabel or, with --equalcounts, beyond the count of the rarest label.

    Pictures without boxes (negatives) belong to no label and stay.
    """
    labels = collections.defaultdict(list)
    for picture in pictures:
        if not picture.verdict and picture.boxes:
            labels[picture.label].append(picture)
    most = options.maxperlabel
    if options.equalcounts and labels:
        smallest = min(len(members) for members in labels.values())
        most = min(smallest, most or smallest)
    if most is None:
        return
    why = 'equal counts' if options.equalcounts else 'maximum per label'
    for members in labels.values():
        members.sort(key=lambda picture: (stable_random(options.seed, 'take', picture.sha256), picture.path))
        for picture in members[most:]:
            picture.verdict, picture.reason = 'surplus', f'{why}: {most}'


def keep(pictures: Iterable[Picture], parts: Mapping[str, str]) -> None:
    """Set `subset` as the data set has it, in place; leave out pictures that are in none. parts: {path: subset}."""
    for picture in pictures:
        if not picture.verdict and not picture.background:
            picture.subset = parts.get(picture.path)
            if not picture.subset:
                picture.verdict, picture.reason = 'surplus', 'in no part of the split that is kept'


def name_by_boxes(pictures: Iterable[Picture], annotations: Mapping[str, Annotation]) -> dict[str, set[str]]:
    """Set `label`, in place, to the rarest of the labels that are drawn on a picture; return {path: all of them}."""
    drawn = {}
    for picture in pictures:
        annotation = annotations.get(picture.path)
        drawn[picture.path] = {box.label for box in (annotation.boxes if annotation else None) or ()}
    counts = collections.Counter(label for labels in drawn.values() for label in labels)
    for picture in pictures:
        picture.label = min(drawn[picture.path], key=lambda label: (counts[label], label), default='')
    return drawn


def shares(pictures: Iterable[Picture]) -> tuple[float, float, float]:
    """Return the shares of train, validation and test among the pictures that have a subset; all train if none has."""
    counts = collections.Counter(picture.subset for picture in pictures if picture.subset and not picture.verdict)
    if not counts:
        return 1.0, 0.0, 0.0
    train, validation, test = (counts[subset] / counts.total() for subset in SUBSETS)
    return train, validation, test


def assign(pictures: Iterable[Picture], options: Options) -> None:
    """Set `subset` of the pictures that are in, so that each label is split in the same proportion.

    The groups of a label are ordered by their random numbers and the sequence is cut at the shares; a group on a
    boundary goes where its middle lies. A group with several labels (--group_by) uses the mean of their boundaries.
    """
    pictures = [picture for picture in pictures if not picture.verdict]
    numbers = {picture.group: stable_random(options.seed, 'split', picture.group) for picture in pictures}
    strata: dict = collections.defaultdict(collections.Counter)  # {(label, has boxes): {group: pictures}}
    of_group: dict = collections.defaultdict(collections.Counter)  # {group: {(label, has boxes): pictures}}
    for picture in pictures:
        stratum = (picture.label, bool(picture.boxes))
        strata[stratum][picture.group] += 1
        of_group[picture.group][stratum] += 1
    boundaries = {stratum: _boundaries(groups, numbers, options.split) for stratum, groups in strata.items()}
    for picture in pictures:
        counts = of_group[picture.group]
        total = sum(counts.values())
        cuts = [sum(boundaries[stratum][i] * count for stratum, count in counts.items()) / total for i in range(2)]
        picture.subset = SUBSETS[sum(numbers[picture.group] >= cut for cut in cuts)]


def _boundaries(groups: Mapping, numbers: Mapping, shares: Sequence[float]) -> list[float]:
    """Return the two random numbers that cut the groups {group: pictures} into train, validation and test."""
    ordered = sorted(groups, key=lambda group: (numbers[group], group))
    wanted = _counts(sum(groups.values()), shares)
    boundaries = []
    for cut in (wanted[0], wanted[0] + wanted[1]):
        passed, boundary = 0, 1.0
        for group in ordered:
            if passed + groups[group] / 2 >= cut:
                boundary = numbers[group]
                break
            passed += groups[group]
        boundaries.append(boundary)
    return boundaries


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """Return integers in proportion to the shares; a nonzero share gets at least one if there are enough."""
    counts = [round(total * share) for share in shares]
    counts[0] = total - counts[1] - counts[2]
    for i, share in enumerate(shares):
        richest = counts.index(max(counts))
        if share and counts[i] < 1 < counts[richest]:
            counts[i] += 1
            counts[richest] -= 1
    return counts
