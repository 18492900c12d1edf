"""Copies are found among many pictures, conflicts are reported, and groups stay together."""
import itertools
import time

import numpy as np
import pytest
from PIL import Image

from demo.make_scenes import photograph
from object_detection.preparation import duplicates
from object_detection.preparation.decode import decode
from object_detection.preparation.duplicates import THUMBNAIL_BYTES
from object_detection.preparation.manifest import Picture
from object_detection.preparation.reading import hashes, thumbnail
from tests.support.hostile import encoded

PHOTOGRAPHS = [photograph(seed, 300, 200) for seed in range(4)]


def picture(path, sha, hashed=None, colors=bytes(THUMBNAIL_BYTES), size=100):
    return Picture(path, path.partition('/')[0], 1, 1, '', sha256=sha, hash=hashed, thumbnail=colors, width=size,
                   height=size)


def verdicts(pictures):
    return {item.path: item.verdict for item in pictures}


@pytest.mark.parametrize('common', [1, 2, 3, 4])  # 1 is what few hashes choose; 3, what ten million do
@pytest.mark.parametrize('distance', [0, 1, 4, 6, 8])
def test_near_pairs_equal_brute_force(distance, common, monkeypatch):
    monkeypatch.setattr(duplicates, '_cost', lambda count, distance, number: number != common)
    rng = np.random.default_rng(distance)
    hashes = rng.integers(0, 2 ** 64, 300, dtype=np.uint64)
    for i in range(0, 200, 2):  # neighbors that differ in 1 to 10 bits
        flips = np.bitwise_or.reduce(np.uint64(1) << rng.choice(64, i // 20 + 1, replace=False).astype(np.uint64))
        hashes[i + 1] = hashes[i] ^ flips
    expected = {(i, j) for i, j in itertools.combinations(range(300), 2)
                if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= distance}
    found = sorted((min(i, j), max(i, j)) for a, b in duplicates.near_pairs(hashes, distance)
                   for i, j in zip(a.tolist(), b.tolist()))
    assert found == sorted(expected)  # each once
    assert distance == 0 or expected


def test_a_hundred_thousand_take_seconds():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2 ** 64, 100_000, dtype=np.uint64)
    hashes[1::1000] = hashes[::1000] ^ np.uint64(0b10101)  # 100 planted pairs
    hashes[5000:25_000] = hashes[5000]  # and one scene 20,000 times
    pictures = [picture(f'a/{i}', f'{i:064x}', int(value)) for i, value in enumerate(hashes.view(np.int64))]
    start = time.process_time()
    duplicates.find(pictures, 6)
    seconds = time.process_time() - start
    dropped = sum(item.verdict == 'duplicate' for item in pictures)
    assert dropped == 19_999 + 80  # of the planted pairs, 20 lie in the scene
    assert seconds < 30
    print(f'100,000 hashes: {seconds:.1f} s')


def test_exact_near_and_conflict():
    pictures = [picture('a/1', 'x', 0b1), picture('a/2', 'x', 0b1), picture('a/3', 'y', 0b11, size=200),
                picture('b/1', 'z', 0xFFFF), picture('a/4', 'z', 0xFFFF), picture('b/2', 'w', -1)]
    duplicates.find(pictures, 6)
    assert verdicts(pictures) == {'a/1': 'duplicate', 'a/2': 'duplicate', 'a/3': None, 'b/1': 'conflict',
                                  'a/4': 'conflict', 'b/2': None}
    assert pictures[0].reason == 'nearly the same as a/3'
    assert pictures[3].reason == 'the same picture as a/4'
    assert pictures[0].group == pictures[2].group != pictures[5].group


def test_near_duplicates_may_be_kept_or_ignored():
    def make():
        return [picture('a/1', 'x', 0b1), picture('a/2', 'x', 0b1), picture('a/3', 'y', 0b11)]
    kept, off = make(), make()
    duplicates.find(kept, 6, keep_near=True)
    assert verdicts(kept) == {'a/1': None, 'a/2': 'duplicate', 'a/3': None}
    assert kept[0].group == kept[2].group
    duplicates.find(off, None)
    assert verdicts(off) == {'a/1': None, 'a/2': 'duplicate', 'a/3': None}
    assert off[0].group != off[2].group


def test_equal_hashes_with_other_colors_are_different_pictures():
    pictures = [picture('a/1', 'x', 5), picture('b/1', 'y', 5, colors=bytes(THUMBNAIL_BYTES - 1) + bytes([50]))]
    duplicates.find(pictures, 6)
    assert verdicts(pictures) == {'a/1': None, 'b/1': None}


def test_groups_connect():
    """a is near b and b is near c: one group, though a and c are farther apart."""
    pictures = [picture('a/1', 'a', 0), picture('a/2', 'b', 0b111111), picture('a/3', 'c', 0b111111111111)]
    duplicates.find(pictures, 6)
    assert sum(item.verdict is None for item in pictures) == 1
    assert len({item.group for item in pictures}) == 1


def test_group_by():
    pictures = [picture('a/v1_001', 'a'), picture('b/v1_002', 'b'), picture('a/v2_001', 'c'), picture('a/other', 'd')]
    duplicates.find(pictures, None)
    pictures[3].group = pictures[2].group  # near duplicates of one another
    duplicates.bind(pictures, r'(v\d+)_')
    groups = [item.group for item in pictures]
    assert groups[0] == groups[1] != groups[2] == groups[3]


@pytest.mark.parametrize('change', [
    lambda image: encoded(image, 'JPEG', quality=30),
    lambda image: encoded(image.resize((300, 200), Image.Resampling.LANCZOS), 'JPEG', quality=60),
    lambda image: encoded(image.resize((900, 600), Image.Resampling.BICUBIC), 'PNG'),
    lambda image: encoded(image, 'WEBP', quality=50)])
def test_hash_survives_resizing_and_recompression(change):
    for image in PHOTOGRAPHS:
        colors, other = (thumbnail(decode(data).image) for data in (encoded(image, 'PNG'), change(image)))
        first, second = hashes([colors, other])
        assert ((first ^ second) & (2 ** 64 - 1)).bit_count() <= 6
        difference = np.frombuffer(colors, np.uint8).astype(int) - np.frombuffer(other, np.uint8)
        assert np.abs(difference).max() <= duplicates.COLOR_DIFFERENCE


def test_flat_pictures_have_no_hash():
    assert hashes([thumbnail(Image.new('RGB', (100, 100), 'teal'))]) == [None]
