"""Columns hold what objects would, in a fraction of their memory."""
import dataclasses
import errno
import tracemalloc

import numpy as np
import pytest

from object_detection.preparation.columns import Categories, Digests, Index, Numbers, Shelf, Texts, runs, sorted_by
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.masks import Mask
from object_detection.preparation.table import BLOCK, Pictures, Table, pick, select

SHA = 'ab' * 32
BOX = Box(0.125, 0.0, 1.0, 0.75, 'Sit', 0.5, 'model', 18)


def test_texts_are_replaced_and_may_be_none():
    texts = Texts(2)
    texts[1] = 'ä/\udcff.jpg'
    texts.append('b')
    texts[2] = 'longer than before'
    assert list(texts) == [None, 'ä/\udcff.jpg', 'longer than before']
    texts[1] = None
    assert texts[1] is None and len(texts) == 3


@pytest.mark.parametrize(('column', 'value', 'before'), [
    (Categories(2, ''), 'Sit', ''), (Numbers(2), 2 ** 62, 0), (Numbers(2, optional=True), 0, None),
    (Numbers(2, optional=True), -2 ** 63, None), (Digests(2, None), SHA, None), (Digests(2, ''), SHA, '')])
def test_columns_hold_values(column, value, before):
    assert column[1] == before
    column[1] = value
    assert (column[0], column[1]) == (before, value) and type(column[1]) is type(value)
    column[1] = before
    assert column[1] == before


def test_an_index_tells_keys_with_equal_hashes_apart():
    keys = [-1, 5, -2, 5, -1]  # hash(-1) == hash(-2)
    index = Index(len(keys), keys.__getitem__)
    assert [index.rows(key) for key in (-1, -2, 5, 7)] == [[0, 4], [2], [1, 3], []]
    assert sorted(index.repeated()) == [[0, 4], [1, 3]] and index.firsts().tolist() == [0, 1, 2, 1, 0]
    assert list(Index(0, keys.__getitem__).repeated()) == []


def test_orders():
    assert sorted_by(np.array([.5, .25, .5, .5]), 'xcba'.__getitem__).tolist() == [1, 3, 2, 0]
    assert list(runs(np.array([3, 1, 3, 2]))) == [[1], [3], [0, 2]]
    assert list(runs(np.zeros(0))) == []


def test_a_shelf_returns_what_was_put_there():
    shelf = Shelf()
    shelf[3] = BOX
    assert shelf.get(3) == BOX and shelf.get(4) is None


def test_a_shelf_without_room_says_so():
    shelf = Shelf()
    shelf._database.execute('PRAGMA max_page_count = 8')
    with pytest.raises(OSError, match=r'no space left for temporary files.*TMPDIR') as error:
        for number in range(100):
            shelf[number] = bytes(1000)
    assert error.value.errno == errno.ENOSPC


def test_a_row_is_the_picture_that_was_put_there():
    mask = Mask((np.array([0, 0, 1, 0, 1, 1], np.float32),))
    filled = Picture('Sit/1.jpg', 'Sit', 7, 8, 'o', 'p', 'n', SHA, 'JPEG', 30, 20, 6, -5, b'', 'jpg/1', 1, 2, 3, 4, SHA,
                     'no box', 'r', 'train', SHA, [BOX, dataclasses.replace(BOX, score=None, coco=None)], ['a\nb', ''])
    shaped = Picture('Sit/2.jpg', '', 1, 1, '', boxes=[BOX, dataclasses.replace(
        BOX, mask=mask, difficult=True, keypoints=((.5, .25, 2),))])
    pictures = Pictures(Table(3))
    for i, picture in ((2, filled), (0, shaped)):
        pictures[i].put(picture)
    assert pictures[2].value() == filled
    assert repr(pictures[0].value()) == repr(shaped)  # arrays do not compare as one
    pictures[0].boxes = []
    assert pictures[0].boxes == [] and pictures[1].boxes == []
    assert pictures[0].group is None and pictures[0].sha256 == ''
    assert [row.path for row in select(pictures, lambda picture: picture.path)] == ['Sit/2.jpg', 'Sit/1.jpg']
    assert [row.row for row in pick(pick(pictures, [2, 0]), [1])] == [0] and pick('abc', [2, 0]) == ['c', 'a']


def test_more_boxes_than_a_block_holds():
    pictures = Pictures(Table(3))
    many = [dataclasses.replace(BOX, score=i / BLOCK) for i in range(BLOCK + 1)]
    for picture, boxes in zip(pictures, ([BOX], many, [BOX, BOX])):
        picture.boxes = boxes
    assert [picture.boxes for picture in pictures] == [[BOX], many, [BOX, BOX]]


def test_a_picture_takes_few_bytes():
    """Of a million, all that is known must fit into a gigabyte and a half, together with what the stages need."""
    count = 3000
    tracemalloc.start()
    pictures = Pictures(Table(count))
    for i, row in enumerate(pictures):
        row.put(Picture(f'label/{i:08}.jpg', 'label', 1, 1, 'options', sha256=f'{i + 1:064x}', hash=i,
                        thumbnail=b'1' * 768, jpg=f'jpg/label/{i:08}.jpg',
                        jpg_sha256=f'{i + 1:064x}', group=f'{i + 1:064x}'))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / count < 450
