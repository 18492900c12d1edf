"""Exact and near duplicates, found among 10,000,000 pictures in minutes.

Two pictures are the same if their files are equal, or if their perceptual hashes differ in at most `distance` of 64
bits and their 16x16 thumbnails agree. Hashes are cut into distance + m bands: two hashes that differ in `distance` bits
have at least m bands in common (pigeonhole principle), so only pictures that share m bands are compared, by numpy, once
for each choice of m bands (multi-index hashing; Manku, Jain, Das Sarma 2007). More bands in common mean more sorting
and fewer comparisons; m grows with the number of pictures, so that the time grows little faster than it.
"""
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from object_detection.preparation.boxes import Annotation, iou
from object_detection.preparation.columns import Index, runs
from object_detection.preparation.manifest import Picture
from object_detection.preparation.reading import THUMBNAIL
from object_detection.preparation.table import select
from object_detection.utils import regex

THUMBNAIL_BYTES = THUMBNAIL * THUMBNAIL * 3
# Largest difference, of 255, between the thumbnails of copies. Photographs resized to a quarter and saved with quality
# 40 differ by 11 from their original; drawings of different things with equal hashes by 33 and more.
COLOR_DIFFERENCE = 20
PAIRS_AT_ONCE = 1 << 16
COLORS_AT_ONCE = 1 << 14  # pairs of thumbnails in memory
MOST_COMMON = 4  # bands that near hashes are required to have in common
SORTING, COMPARING = 60, 30  # nanoseconds for each hash, and for each pair of them
SAME_BOX = 0.5  # IoU from which boxes on two copies of a picture are the same


def find(pictures: Sequence[Picture], distance: int | None, keep_near: bool = False,
         annotations: Mapping[str, Annotation] | None = None, parts: Mapping[str, str] | None = None) -> None:
    """Give verdicts to duplicates and conflicts among pictures without a verdict, and set their `group`, in place.

    A group is a connected component of pictures that are the same. A group with several labels is a conflict: all of it
    is left out. Otherwise one picture stays, an annotated one before a larger one; in a split that is kept, one in each
    part. Near duplicates stay, too, with keep_near or if other boxes are drawn on them (the next moment of the same
    scene); a new split keeps them together.

    Args:
        distance: bits, see above; None: only equal files are the same.
        annotations: {path: Annotation}. They name the labels of pictures whose own label is ''.
        parts: {path: subset} of a split that is kept.
    """
    annotations, parts = annotations or {}, parts or {}
    pictures = select(pictures, lambda picture: not picture.verdict)
    for rows in runs(group(pictures, distance)):
        if len(rows) == 1:
            only = pictures[rows[0]]
            only.group = only.sha256
            continue
        members = sorted((pictures[i] for i in rows), key=lambda picture: _best_first(picture, annotations))
        name = min(member.sha256 for member in members)
        for member in members:
            member.group = name
        members = _without_background(members)
        if len(members) > 1 and not _conflict(members, annotations):
            for part in {parts.get(member.path) for member in members}:
                _keep_best([member for member in members if parts.get(member.path) == part], keep_near, annotations)


def bind(pictures: Sequence[Picture], pattern: str) -> None:
    """Join the groups of pictures whose paths have the same match of `pattern` (--group_by), in place.

    The match is the text in the pattern's parentheses, or all of it if there are none.
    """
    sets = Sets(len(pictures))
    found = regex.search(pattern, [picture.path for picture in pictures], '--group_by')
    for key in (lambda i: pictures[i].group), (lambda i: (found[i],) if found[i] is not None else i):
        for rows in Index(len(pictures), key).repeated():
            for i in rows[1:]:
                sets.join(rows[0], i)
    for picture, root in zip(pictures, sets.roots().tolist()):
        picture.group = pictures[root].group


def group(pictures: Sequence[Picture], distance: int | None) -> np.ndarray:
    """Return group numbers [len(pictures)]: pictures with the same number are the same. distance: as in `find`."""
    sets = Sets(len(pictures))
    sets.parents = Index(len(pictures), lambda i: pictures[i].sha256).firsts()
    if distance is None:
        return sets.parents
    hashes, hashed = np.zeros(len(pictures), np.int64), np.zeros(len(pictures), bool)
    for i in np.flatnonzero(sets.parents == np.arange(len(pictures))).tolist():  # the first of each file
        value = pictures[i].hash
        hashes[i], hashed[i] = value or 0, value is not None
    nodes = np.flatnonzero(hashed)
    join_near(sets, nodes, hashes[nodes].view(np.uint64), distance,
              lambda rows: np.frombuffer(b''.join(pictures[i].thumbnail for i in rows.tolist()),
                                         np.uint8).reshape(-1, THUMBNAIL_BYTES))
    return sets.roots()


class Sets:
    """Disjoint sets of the numbers below `count`, at first each in a set of its own; the least of a set is its root."""

    def __init__(self, count: int) -> None:
        self.parents = np.arange(count)

    def root(self, i: int) -> int:
        """Return the root of a number's set."""
        parents = self.parents
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = int(parents[i])
        return i

    def join(self, i: int, j: int) -> None:
        """Make the sets of two numbers one."""
        i, j = self.root(i), self.root(j)
        self.parents[max(i, j)] = min(i, j)

    def roots(self, numbers: np.ndarray | None = None) -> np.ndarray:
        """Return the roots of many numbers at once, None for all."""
        roots = self.parents if numbers is None else self.parents[numbers]
        while ((above := self.parents[roots]) != roots).any():
            roots = above
        return roots


def join_near(sets: Sets, nodes: np.ndarray, hashes: np.ndarray, distance: int,
              colors: Callable[[np.ndarray], np.ndarray]) -> None:
    """Join the sets of pictures whose hashes are near and whose thumbnails agree.

    Args:
        nodes: int64 [n], their numbers in `sets`.
        hashes: uint64 [n].
        distance: bits by which hashes may differ.
        colors: returns the thumbnails, uint8 [k, THUMBNAIL_BYTES], of k of the nodes. They are not kept.
    """
    leaders = np.ones(len(nodes), bool)
    order = np.argsort(hashes, kind='stable')
    equal = hashes[order]
    for start, end in _runs(equal):
        for leader, alike in _equal(order[start:end], lambda rows: colors(nodes[rows])):
            leaders[alike] = False
            for other in alike.tolist():
                sets.join(int(nodes[leader]), int(nodes[other]))
    del order, equal
    nodes, hashes = nodes[leaders], hashes[leaders]
    for a, b in near_pairs(hashes, distance):
        apart = sets.roots(nodes[a]) != sets.roots(nodes[b])
        for start in range(0, int(apart.sum()), COLORS_AT_ONCE):
            one, other = (nodes[side[apart][start:start + COLORS_AT_ONCE]] for side in (a, b))
            rows, places = np.unique(np.concatenate([one, other]), return_inverse=True)
            shown = colors(rows)
            same = _same_colors(shown[places[:len(one)]], shown[places[len(one):]])
            for i, j in zip(one[same].tolist(), other[same].tolist()):
                sets.join(i, j)


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield index arrays (a, b) of all pairs of hashes, uint64 [n], that differ in at most `distance` bits, once."""
    count = len(hashes)
    common = min(range(1, MOST_COMMON + 1), key=lambda common: _cost(count, distance, common))
    bands = distance + common
    edges = [64 * band // bands for band in range(bands + 1)]
    masks = [np.uint64(((1 << high - low) - 1) << low) for low, high in itertools.pairwise(edges)]
    index_bits = max(count - 1, 1).bit_length()
    for chosen in itertools.combinations(range(bands), common):
        # One number holds what the bands have, as far as there is room, and the index: it sorts fast.
        key = _gather(hashes, [edges[band:band + 2] for band in chosen], 64 - index_bits)
        key <<= np.uint64(index_bits)
        key |= np.arange(count, dtype=np.uint64)
        key.sort()
        order = (key & np.uint64((1 << index_bits) - 1)).astype(np.int64)
        key >>= np.uint64(index_bits)
        starts, ends = _bounds(key)
        del key
        for a, b in _pairs(starts, ends - starts):
            a, b = order[a], order[b]
            differ = hashes[a] ^ hashes[b]
            near = np.bitwise_count(differ) <= distance
            if near.any():
                a, b, differ = a[near], b[near], differ[near]
                first = _first_common(differ, masks, common) == sum(1 << band for band in chosen)
                yield a[first], b[first]


def _cost(count, distance, common):
    """Return about how many nanoseconds near_pairs takes if hashes have `common` of their bands in common."""
    bands = distance + common
    pairs = count ** 2 / 2 / 2 ** (64 * common // bands)
    return math.comb(bands, common) * (SORTING * count + COMPARING * pairs)


def _gather(hashes, ranges, room):
    """Return the bits of the ranges (low, high) of hashes side by side, at most `room` of them, the first first."""
    key, used = np.zeros(len(hashes), np.uint64), 0
    for low, high in ranges:
        bits = min(high - low, room - used)
        key |= (hashes >> np.uint64(low) & np.uint64((1 << bits) - 1)) << np.uint64(used)
        used += bits
    return key


def _first_common(differ, masks, common):
    """Return bit sets of the first `common` bands in which pairs, of which `differ` has the other bits, are equal."""
    found, sets = np.zeros(len(differ), np.int64), np.zeros(len(differ), np.int64)
    for band, mask in enumerate(masks):
        equal = ((differ & mask) == 0) & (found < common)
        sets |= equal.astype(np.int64) << band
        found += equal
    return sets


def _bounds(values):
    """Return (starts, ends) of the runs of equal values, of two and more, in sorted ones."""
    edges: np.ndarray = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(values)]])
    long = ends - starts > 1
    return starts[long], ends[long]


def _runs(values) -> Iterator[tuple[int, int]]:
    starts, ends = _bounds(values)
    return zip(starts.tolist(), ends.tolist())


def _equal(run, colors):
    """Yield (i, the later ones with the same thumbnail) for the first of each thumbnail in a run of equal hashes.

    Each index occurs once, so that 20,000 frames of one scene cost 20,000 comparisons.
    """
    leaders: list[tuple[int, np.ndarray]] = []
    for start in range(0, len(run), COLORS_AT_ONCE):
        rows = run[start:start + COLORS_AT_ONCE]
        shown = colors(rows)
        for leader, color in leaders:
            same = _same_colors(color, shown)
            yield leader, rows[same]
            rows, shown = rows[~same], shown[~same]
        while len(rows):
            same = _same_colors(shown[0], shown)
            yield int(rows[0]), rows[1:][same[1:]]
            leaders.append((int(rows[0]), shown[0].copy()))
            rows, shown = rows[~same], shown[~same]


def _pairs(starts, counts):
    """Yield arrays (a, b) of all pairs of positions within runs start .. start + count, PAIRS_AT_ONCE at a time."""
    for step in range(1, counts.max(initial=0)):  # pair each position with the one `step` further in the same run
        longer = counts > step
        starts, counts = starts[longer], counts[longer]
        a: np.ndarray = np.repeat(starts - np.concatenate([[0], np.cumsum(counts - step)[:-1]]), counts - step)
        a += np.arange(len(a))
        for i in range(0, len(a), PAIRS_AT_ONCE):
            part = a[i:i + PAIRS_AT_ONCE]
            yield part, part + step


def _same_colors(a, b):
    return np.abs(a.astype(np.int16) - b).max(axis=-1) <= COLOR_DIFFERENCE


def _best_first(picture, annotations):
    annotation = annotations.get(picture.path)
    drawn = bool(annotation and annotation.boxes is not None and annotation.origin != 'none')
    return not drawn, -picture.width * picture.height, picture.sha256, picture.path


def _without_background(members):
    """Return the members; if some are in the data set, these, and give those of --background a verdict."""
    inside = [member for member in members if not member.background]
    if not inside:
        return members
    for member in members:
        if member.background:
            member.verdict, member.reason = 'conflict', f'background, but the same picture as {inside[0].path}'
    return inside


def _conflict(members, annotations) -> bool:
    """Give the verdict to all members if there are several labels; return whether that is so.

    Labels are those of the pictures or, without any, of boxes that are drawn at the same place.
    """
    first = members[0]
    others = {member.path for member in members if member.label != first.label or (
        not first.label and _named_differently(annotations.get(first.path), annotations.get(member.path)))}
    if not others:
        return False
    other = next(member for member in members if member.path in others)
    for member in members:
        member.verdict = 'conflict'
        member.reason = f'the same picture as {(first if member.path in others else other).path}'
    return True


def _keep_best(members, keep_near, annotations):
    best: dict[str | None, Picture] = {}
    for member in members:
        kept = best.get(member.sha256) or best.setdefault(None, member)
        equal = kept.sha256 == member.sha256
        differ = _drawn_differently(annotations.get(member.path), annotations.get(kept.path))
        if kept is member or (not equal and (keep_near or differ)):
            best[member.sha256] = member
            continue
        member.verdict = 'duplicate'
        member.reason = f'{"equal to" if equal else "nearly the same as"} {kept.path}'
        if differ:
            kept.review += [f'other boxes are drawn on {member.path}, which is equal and left out']


def _drawn_differently(left_out, kept):
    """Return whether there are other boxes on a picture than on the copy that is kept."""
    if not (left_out and left_out.boxes and kept):
        return False
    boxes = kept.boxes or []
    return len(boxes) != len(left_out.boxes) or not all(
        any(box.label == other.label and iou(box.corners, other.corners) >= SAME_BOX for other in boxes)
        for box in left_out.boxes)


def _named_differently(one, other):
    """Return whether boxes at the same place have different labels on two copies of a picture, and none the same."""
    boxes, others = (annotation.boxes if annotation and annotation.boxes else [] for annotation in (one, other))
    return {box.label for box in boxes}.isdisjoint(box.label for box in others) and any(
        iou(a.corners, b.corners) >= SAME_BOX for a in boxes for b in others)
