"""Exact and near duplicates, found among 100,000 pictures in seconds.

Two pictures are the same if their files are equal, or if their perceptual hashes differ in at most `distance` of 64
bits and their 16x16 thumbnails agree. Hashes are cut into distance + 1 bands: two hashes that differ in `distance` bits
have at least one band in common (pigeonhole principle), so only pictures that share a band are compared, by numpy.
"""
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from object_detection.preparation.boxes import Annotation, iou
from object_detection.preparation.manifest import Picture
from object_detection.preparation.reading import THUMBNAIL
from object_detection.utils import regex

THUMBNAIL_BYTES = THUMBNAIL * THUMBNAIL * 3
LOW = 8  # frequencies of the hash in each direction
FLATTEST = 4.0  # gray levels, standard deviation; below (a wall, a blank page) all bits of a hash are noise
GRAY = np.array([0.299, 0.587, 0.114])
# [LOW, THUMBNAIL]: the lowest frequencies of the discrete cosine transform.
_DCT = np.cos(np.pi / THUMBNAIL * (np.arange(THUMBNAIL) + 0.5) * np.arange(LOW)[:, None])
# Largest difference, of 255, between the thumbnails of copies. Photographs resized to a quarter and saved with quality
# 40 differ by 11 from their original; drawings of different things with equal hashes by 33 and more.
COLOR_DIFFERENCE = 20
PAIRS_AT_ONCE = 1 << 16
SAME_BOX = 0.5  # IoU from which boxes on two copies of a picture are the same


def hashes(thumbnails: Sequence[bytes]) -> list[int | None]:
    """Return the perceptual hashes of thumbnails (16x16 RGB) as signed 64-bit integers; None for flat pictures.

    The hash is pHash (Zauner 2010): which of the 8x8 lowest DCT coefficients of the gray picture are above their
    median. Resizing and recompression change few of them.
    """
    gray = np.frombuffer(b''.join(thumbnails), np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL, 3) @ GRAY
    low = (_DCT @ gray @ _DCT.T).reshape(len(gray), LOW * LOW)
    median = np.median(low[:, 1:], axis=1, keepdims=True)  # without the mean brightness, an outlier
    bits = np.packbits(low > median, axis=1).view('>i8')[:, 0]
    return [value if deviation >= FLATTEST else None
            for value, deviation in zip(bits.tolist(), gray.std(axis=(1, 2)).tolist())]


def find(pictures: Iterable[Picture], distance: int | None, keep_near: bool = False,
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
    pictures = [picture for picture in pictures if not picture.verdict]
    groups: dict[int, list[Picture]] = {}
    for picture, root in zip(pictures, group(pictures, distance)):
        groups.setdefault(root, []).append(picture)
    for members in groups.values():
        members.sort(key=lambda picture: _best_first(picture, annotations))
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
    parents = np.arange(len(pictures))
    first: dict[tuple, int] = {}
    found = regex.search(pattern, [picture.path for picture in pictures], '--group_by')
    for i, (picture, match) in enumerate(zip(pictures, found)):
        _union(parents, first.setdefault(('group', picture.group), i), i)
        if match is not None:
            _union(parents, first.setdefault(('match', match), i), i)
    names = [picture.group for picture in pictures]
    for i, picture in enumerate(pictures):
        picture.group = names[_root(parents, i)]


def group(pictures: Sequence[Picture], distance: int | None) -> np.ndarray:
    """Return group numbers [len(pictures)]: pictures with the same number are the same. distance: as in `find`."""
    parents = np.arange(len(pictures))
    first: dict[str, int] = {}
    for i, picture in enumerate(pictures):
        first.setdefault(picture.sha256, i)
        parents[i] = first[picture.sha256]
    if distance is None:
        return parents
    nodes = np.array([i for i in first.values() if pictures[i].hash is not None], np.int64)
    hashes = np.array([pictures[i].hash for i in nodes], np.int64).view(np.uint64)
    colors = np.frombuffer(b''.join(pictures[i].thumbnail for i in nodes), np.uint8).reshape(-1, THUMBNAIL_BYTES)
    leaders = []
    for leader, alike in _equal(hashes, colors):
        leaders.append(leader)
        for other in alike:
            _union(parents, nodes[leader], nodes[other])
    nodes, hashes, colors = nodes[leaders], hashes[leaders], colors[leaders]
    for a, b in near_pairs(hashes, distance):
        same = _same_colors(colors[a], colors[b])
        for i, j in zip(nodes[a[same]].tolist(), nodes[b[same]].tolist()):
            _union(parents, i, j)
    return np.array([_root(parents, i) for i in range(len(pictures))])


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield index arrays (a, b) of all pairs of hashes, uint64 [n], that differ in at most `distance` bits.

    A pair may occur several times.
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


def _equal(hashes, colors):
    """Yield (i, the others with the same hash and thumbnail as i).

    Each index occurs once, so that 20,000 frames of one scene cost 20,000 comparisons.
    """
    order = np.argsort(hashes, kind='stable')
    ends: np.ndarray = np.flatnonzero(np.diff(hashes[order])) + 1
    for run in np.split(order, ends):
        while len(run):
            same = _same_colors(colors[run[0]], colors[run])
            yield run[0], run[1:][same[1:]]
            run = run[~same]


def _pairs(starts, counts):
    """Yield arrays (a, b) of all pairs of positions within runs start .. start + count, PAIRS_AT_ONCE at a time."""
    for step in range(1, counts.max(initial=0)):  # pair each position with the one `step` further in the same run
        longer = counts > step
        starts, counts = starts[longer], counts[longer]
        a: np.ndarray = np.repeat(starts - np.concatenate([[0], np.cumsum(counts - step)[:-1]]), counts - step)
        a = a + np.arange(len(a))
        for i in range(0, len(a), PAIRS_AT_ONCE):
            part = a[i:i + PAIRS_AT_ONCE]
            yield part, part + step


def _same_colors(a, b):
    return np.abs(a.astype(np.int16) - b).max(axis=-1) <= COLOR_DIFFERENCE


def _root(parents, i):
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


def _union(parents, i, j):
    i, j = _root(parents, i), _root(parents, j)
    parents[max(i, j)] = min(i, j)


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
            kept.review.append(f'other boxes are drawn on {member.path}, which is equal and left out')


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
