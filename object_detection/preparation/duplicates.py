"""Copies of a picture, exact or nearly so, found among 100,000 in seconds.

Two pictures are the same when their files are equal, or when their perceptual hashes differ in at most `distance` of 64
bits and their 16x16 colours agree. Hashes are compared by bands: cut into distance + 1 bands, two hashes that differ in
`distance` bits agree in one band at least (pigeonhole), so only pictures that share a band are compared, by numpy.
"""
import itertools
import re
from collections import Counter

import numpy as np

from object_detection.preparation.fingerprint import THUMBNAIL_BYTES

# Largest difference, of 255, of any of the 16x16 colours of copies. Photographs resized to a quarter and saved with
# quality 40 differ by 11 from their original; drawings with equal hashes that show different things, by 33 and more.
COLOURS = 20
PAIRS_AT_ONCE = 1 << 16


def find(pictures, distance, keep_near=False):
    """Decide on duplicates and conflicts among Pictures without a verdict, in place; sets `group` of all of them.

    A group is what is connected by being the same. A group with several labels is a conflict: all of it is left out.
    Otherwise the largest picture stays (keep_near: the largest of each exact copy, bound to one side of the split).
    """
    pictures = [picture for picture in pictures if not picture.verdict]
    groups = {}
    for picture, root in zip(pictures, group(pictures, distance)):
        groups.setdefault(root, []).append(picture)
    for members in groups.values():
        members.sort(key=_best_first)
        name = min(member.sha256 for member in members)
        for member in members:
            member.group = name
        labels = Counter(member.label for member in members)
        if len(labels) > 1:
            _conflict(members)
        else:
            _keep_best(members, keep_near)


def bind(pictures, pattern):
    """Make one group of those groups whose pictures have the same match of `pattern` in their path (--group_by).

    The match is what the pattern's parentheses hold, or all of it where it has none. Others stay as they are.
    """
    parents = np.arange(len(pictures))
    first = {}
    for i, picture in enumerate(pictures):
        _union(parents, first.setdefault(('group', picture.group), i), i)
        if match := re.search(pattern, picture.path):
            _union(parents, first.setdefault(('match', match.groups() or match.group()), i), i)
    names = [picture.group for picture in pictures]
    for i, picture in enumerate(pictures):
        picture.group = names[_root(parents, i)]


def group(pictures, distance):
    """[n] group numbers: pictures with the same number are the same. distance None: only equal files are."""
    parents = np.arange(len(pictures))
    first = {}
    for i, picture in enumerate(pictures):
        first.setdefault(picture.sha256, i)
        parents[i] = first[picture.sha256]
    if distance is None:
        return parents
    nodes = np.array([i for i in first.values() if pictures[i].hash is not None], np.int64)
    hashes = np.array([pictures[i].hash for i in nodes], np.int64).view(np.uint64)
    colours = np.frombuffer(b''.join(pictures[i].thumbnail for i in nodes), np.uint8).reshape(-1, THUMBNAIL_BYTES)
    leaders = []
    for leader, alike in _equal(hashes, colours):
        leaders.append(leader)
        for other in alike:
            _union(parents, nodes[leader], nodes[other])
    nodes, hashes, colours = nodes[leaders], hashes[leaders], colours[leaders]
    for a, b in near_pairs(hashes, distance):
        same = _same_colours(colours[a], colours[b])
        for i, j in zip(nodes[a[same]].tolist(), nodes[b[same]].tolist()):
            _union(parents, i, j)
    return np.array([_root(parents, i) for i in range(len(pictures))])


def near_pairs(hashes, distance):
    """Yield arrays (a, b) of the indices of all pairs among hashes uint64 [n] that differ in at most `distance` bits.

    A pair may come several times.
    """
    bands = distance + 1
    edges = [64 * band // bands for band in range(bands + 1)]
    for low, high in itertools.pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind='stable')
        _, starts, counts = np.unique(band[order], return_index=True, return_counts=True)
        for a, b in _pairs(starts[counts > 1], counts[counts > 1]):
            a, b = order[a], order[b]
            near = np.bitwise_count(hashes[a] ^ hashes[b]) <= distance
            if near.any():
                yield a[near], b[near]


def _equal(hashes, colours):
    """Yield (i, the others with the hash of i and like colours): each index stands once, so 20,000 frames of one scene
    cost 20,000 comparisons.
    """
    order = np.argsort(hashes, kind='stable')
    ends = np.flatnonzero(np.diff(hashes[order])) + 1
    for run in np.split(order, ends):
        while len(run):
            same = _same_colours(colours[run[0]], colours[run])
            yield run[0], run[1:][same[1:]]
            run = run[~same]


def _pairs(starts, counts):
    """Arrays (a, b) of all pairs of positions within runs start .. start + count, about PAIRS_AT_ONCE at a time."""
    for step in range(1, counts.max(initial=0)):  # each with the one `step` behind it in the same run
        longer = counts > step
        starts, counts = starts[longer], counts[longer]
        a = np.repeat(starts - np.concatenate([[0], np.cumsum(counts - step)[:-1]]), counts - step)
        a = a + np.arange(len(a))
        for i in range(0, len(a), PAIRS_AT_ONCE):
            part = a[i:i + PAIRS_AT_ONCE]
            yield part, part + step


def _same_colours(a, b):
    return np.abs(a.astype(np.int16) - b).max(axis=-1) <= COLOURS


def _root(parents, i):
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


def _union(parents, i, j):
    i, j = _root(parents, i), _root(parents, j)
    parents[max(i, j)] = min(i, j)


def _best_first(picture):
    return -picture.width * picture.height, picture.sha256, picture.path


def _conflict(members):
    for member in members:
        other = next(o for o in members if o.label != member.label)
        member.verdict = 'conflict'
        member.reason = f'the same picture as {other.path}'


def _keep_best(members, keep_near):
    best = {}
    for member in members:
        kept = best.setdefault(member.sha256 if keep_near else None, member)
        if kept is not member:
            member.verdict = 'duplicate'
            same = 'equal to' if member.sha256 == kept.sha256 else 'nearly the same as'
            member.reason = f'{same} {kept.path}'
