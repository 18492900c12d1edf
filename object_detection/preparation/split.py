"""Which pictures are taken, and on which side of the split they go. Chance is a hash of the seed and the picture.

So a picture's lot does not depend on the other pictures: adding some moves only those few that stand at a border.
"""
import collections
import hashlib

from object_detection.preparation.options import SIDES


def lot(seed, purpose, key):
    """A number from 0 to 1, the same for the same arguments everywhere and for ever."""
    digest = hashlib.sha256(f'{seed} {purpose} {key}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2 ** 64


def balance(pictures, options):
    """Leave out, in place, what is over --maxperlabel, or with --equalcounts over the smallest label.

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
        members.sort(key=lambda picture: (lot(options.seed, 'take', picture.sha256), picture.path))
        for picture in members[most:]:
            picture.verdict, picture.reason = 'surplus', f'{why}: {most}'


def assign(pictures, options):
    """Set `side` of the Pictures that are in: train, validation or test, each label in the same proportion.

    Within a label groups are lined up by lot and the line is cut at the shares; a group on a border goes to the side
    its middle lies on. A group with pictures of several labels (--group_by) goes by the mean of their borders.
    """
    pictures = [picture for picture in pictures if not picture.verdict]
    lots = {picture.group: lot(options.seed, 'split', picture.group) for picture in pictures}
    labels = collections.defaultdict(collections.Counter)
    of_group = collections.defaultdict(collections.Counter)
    for picture in pictures:
        stratum = (picture.label, bool(picture.boxes))
        labels[stratum][picture.group] += 1
        of_group[picture.group][stratum] += 1
    borders = {label: _borders(groups, lots, options.split) for label, groups in labels.items()}
    for picture in pictures:
        counts = of_group[picture.group]
        total = sum(counts.values())
        cuts = [sum(borders[label][i] * count for label, count in counts.items()) / total for i in range(2)]
        picture.side = SIDES[sum(lots[picture.group] >= cut for cut in cuts)]


def _borders(groups, lots, shares):
    """The two lots at which the line of groups {group: count} is cut into the shares of train, validation, test."""
    line = sorted(groups, key=lambda group: (lots[group], group))
    wanted = _counts(sum(groups.values()), shares)
    borders = []
    for cut in (wanted[0], wanted[0] + wanted[1]):
        passed, border = 0, 0.0
        for group in line:
            if passed + groups[group] / 2 >= cut:
                border = lots[group]
                break
            passed += groups[group]
        else:
            border = 1.0
        borders.append(border)
    return borders


def _counts(total, shares):
    """Whole numbers in the proportion of the shares; a side with a share gets one at least, where there are enough."""
    counts = [round(total * share) for share in shares]
    counts[0] = total - counts[1] - counts[2]
    for i, share in enumerate(shares):
        richest = counts.index(max(counts))
        if share and counts[i] < 1 < counts[richest]:
            counts[i] += 1
            counts[richest] -= 1
    return counts
