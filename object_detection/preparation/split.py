"""Balance the labels and split the pictures. A picture's random number is a hash of the seed and the picture itself.

So it does not depend on the other pictures: adding some moves only the few pictures next to a boundary of the split.
"""
import collections
import functools
import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from object_detection.preparation.boxes import Annotation
from object_detection.preparation.columns import Categories, Index, runs, sorted_by
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.table import select


def stable_random(seed: int, purpose: str, key: str | None) -> float:
    """Return a number in [0, 1] that depends only on the arguments, on any machine."""
    digest = hashlib.sha256(f'{seed} {purpose} {key}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2 ** 64


def balance(pictures: Sequence[Picture], options: Options) -> None:
    """Leave out, in place, pictures beyond --maxperlabel or, with --equalcounts, beyond the count of the rarest label.

    Pictures without boxes (negatives) belong to no label and stay.
    """
    most = options.maxperlabel
    if most is None and not options.equalcounts:
        return
    labels: dict[str, array] = collections.defaultdict(lambda: array('q'))
    for i, picture in enumerate(pictures):
        if not picture.verdict and picture.boxes:
            labels[picture.label].append(i)
    if options.equalcounts and labels:
        smallest = min(len(members) for members in labels.values())
        most = min(smallest, most or smallest)
    why = 'equal counts' if options.equalcounts else 'maximum per label'
    for members in labels.values():
        order = in_random_order(pictures, members, options.seed, 'take')
        for i in order[most:]:
            pictures[i].verdict, pictures[i].reason = 'surplus', f'{why}: {most}'


def in_random_order(pictures: Sequence[Picture], rows: Sequence[int], seed: int, purpose: str) -> list[int]:
    """Return `rows`, numbers of pictures, in the order of their random numbers; equal files in that of their paths."""
    keys = np.fromiter((stable_random(seed, purpose, pictures[i].sha256) for i in rows), np.float64, len(rows))
    return np.asarray(rows, np.int64)[sorted_by(keys, lambda place: pictures[rows[place]].path)].tolist()


def keep(pictures: Iterable[Picture], parts: Mapping[str, str]) -> None:
    """Set `subset` as the data set has it, in place; leave out pictures that are in none. parts: {path: subset}."""
    for picture in pictures:
        if not picture.verdict and not picture.background:
            picture.subset = parts.get(picture.path)
            if not picture.subset:
                picture.verdict, picture.reason = 'surplus', 'in no part of the split that is kept'


def name_by_boxes(pictures: Sequence[Picture], annotations: Mapping[str, Annotation]) -> Sequence[frozenset[str]]:
    """Set `label`, in place, to the rarest of the labels that are drawn on a picture; return all labels of each."""
    drawn = Categories(len(pictures), frozenset())
    for i, picture in enumerate(pictures):
        annotation = annotations.get(picture.path)
        drawn[i] = frozenset(box.label for box in (annotation.boxes if annotation else None) or ())
    counts = collections.Counter[str]()
    for code, count in collections.Counter(drawn.codes).items():
        counts.update(dict.fromkeys(drawn.values[code], count))
    for picture, labels in zip(pictures, drawn):
        picture.label = min(labels, key=lambda label: (counts[label], label), default='')
    return drawn


def shares(pictures: Iterable[Picture]) -> tuple[float, float, float]:
    """Return the shares of train, validation and test among the pictures that have a subset; all train if none has."""
    counts = collections.Counter(picture.subset for picture in pictures if picture.subset and not picture.verdict)
    if not counts:
        return 1.0, 0.0, 0.0
    train, validation, test = (counts[subset] / counts.total() for subset in SUBSETS)
    return train, validation, test


def assign(pictures: Sequence[Picture], options: Options) -> None:
    """Set `subset` of the pictures that are in, so that each label is split in the same proportion.

    The groups of a label are ordered by their random numbers and the sequence is cut at the shares; a group on a
    boundary goes where its middle lies. A group with several labels (--group_by) uses the mean of their boundaries.
    """
    pictures = select(pictures, lambda picture: not picture.verdict)
    count = len(pictures)
    groups = Index(count, lambda i: pictures[i].group).firsts()
    numbers, strata = np.zeros(count), Categories(count)
    for i, picture in enumerate(pictures):
        strata[i] = (picture.label, bool(picture.boxes))
        if groups[i] == i:
            numbers[i] = stable_random(options.seed, 'split', picture.group)
    codes = np.array(strata.codes, np.int64)
    pairs, sizes = np.unique(codes * count + groups, return_counts=True)
    boundaries = {}
    for code in set(strata.codes):
        inside = pairs // count == code
        members = pairs[inside] % count
        order = sorted_by(numbers[members], functools.partial(_group_at, pictures, members))
        boundaries[code] = _boundaries(numbers[members][order], sizes[inside][order], options.split)
    for rows in runs(groups):
        counts = collections.Counter(codes[rows].tolist())
        cuts = [sum(boundaries[code][i] * size for code, size in counts.items()) / len(rows) for i in range(2)]
        subset = SUBSETS[sum(numbers[rows[0]] >= cut for cut in cuts)]
        for i in rows:
            pictures[i].subset = subset


def _group_at(pictures, rows, place) -> str:
    return pictures[rows[place]].group


def _boundaries(numbers: np.ndarray, sizes: np.ndarray, shares: Sequence[float]) -> list[float]:
    """Return the two random numbers that cut the groups of a label into train, validation and test.

    numbers: of the groups, ascending. sizes: how many pictures of the label each has.
    """
    wanted = _counts(int(sizes.sum()), shares)
    middles = np.cumsum(sizes) - sizes / 2
    boundaries = []
    for cut in (wanted[0], wanted[0] + wanted[1]):
        beyond = np.flatnonzero(middles >= cut)
        boundaries.append(float(numbers[beyond[0]]) if len(beyond) else 1.0)
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
