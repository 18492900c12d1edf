"""Tiles: where they start, what is left of boxes, masks and keypoints in them, and the run as a whole."""
import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from object_detection.preparation import tiles
from object_detection.preparation.manifest import Box
from object_detection.preparation.masks import Mask
from object_detection.records import Example, Records
from object_detection.utils.errors import UserError
from tests.support.hostile import encoded, scene
from tests.support.prepared import contents


@pytest.mark.parametrize(('side', 'tile', 'overlap', 'expected'), [
    (100, 100, 0.2, [0]), (60, 100, 0.2, [0]), (101, 100, 0.2, [0, 1]), (200, 100, 0, [0, 100]),
    (200, 100, 0.2, [0, 80, 100]), (260, 100, 0.2, [0, 80, 160]), (250, 100, 0.5, [0, 50, 100, 150])])
def test_starts(side, tile, overlap, expected):
    assert tiles.starts(side, tile, overlap) == expected


def test_cut():
    """A picture of 200x100, a box from (80, 20) to (120, 60) in it, and the tile of 100x50 at (100, 50)."""
    box = Box(0.2, 0.4, 0.6, 0.6, 'a', None, 'voc', difficult=True,
              keypoints=((0.55, 0.55, 2), (0.3, 0.55, 2), (0.55, 0.55, 0)))
    share, inside = tiles.cut(box, (100, 50, 100, 50), (200, 100))
    assert share == pytest.approx(20 * 10 / (40 * 40))
    assert inside.corners == pytest.approx((0, 0, 10 / 50, 20 / 100))
    assert [point[2] for point in inside.keypoints] == [2, 0, 0]
    assert inside.keypoints[0] == pytest.approx((5 / 50, 10 / 100, 2)) and inside.keypoints[1] == (0, 0, 0)
    assert (inside.label, inside.difficult, inside.origin) == ('a', True, 'voc')
    assert tiles.cut(box, (0, 0, 200, 100), (200, 100))[0] == pytest.approx(1)
    assert tiles.cut(box, (0, 70, 50, 30), (200, 100))[0] == 0


def test_masks_are_cut():
    """A triangle over the left half of a picture of 40x20; the tile shows its lower right part."""
    mask = Mask((np.array([0, 0, 0, 1, 0.5, 1.0]),))
    whole = mask.pixels(40, 20)
    _, inside = tiles.cut(Box(0, 0, 1, 0.5, 'a', None, 'coco', mask=mask), (10, 5, 20, 15), (40, 20))
    np.testing.assert_array_equal(inside.mask.pixels(20, 15), whole[5:20, 10:30])
    assert inside.mask.pixels(20, 15).any() and inside.mask.digest() != mask.digest()


@pytest.fixture
def dataset(tmp_path):
    """Three pictures of 300x200: a small object in the upper left corner, one across x = 100, and a large one."""
    boxes = {'small': (10, 10, 30, 30), 'across': (90, 20, 130, 40), 'large': (0, 0, 290, 190)}
    for seed, (name, (xmin, ymin, xmax, ymax)) in enumerate(boxes.items()):
        folder = tmp_path / 'd' / 'a'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'{name}.png').write_bytes(encoded(scene(seed, size=(300, 200)), 'PNG'))
        (folder / f'{name}.txt').write_text(f'0 {(xmin + xmax) / 600} {(ymin + ymax) / 400} {(xmax - xmin) / 300} '
                                            f'{(ymax - ymin) / 200}')
    (tmp_path / 'd' / 'classes.txt').write_text('a')
    return tmp_path / 'd'


def written(output):
    """Return {source_id: (subset, Example)}."""
    found = {}
    for subset in ('train', 'test'):
        if (file := output / f'{subset}.tfrecords').exists():
            records = Records(str(file))
            found |= {e.source_id: (subset, e) for e in (Example.from_bytes(records[i]) for i in range(len(records)))}
    return found


def test_a_run(run, dataset, capsys):
    """Tiles of 100 pixels that overlap by nothing: columns at 0, 100, 200 and rows at 0, 100."""
    output = run(dataset, boxes='best', tile=100, overlap=0.0, min_visible=0.3, split=(1.0, 0.0, 0.0))
    found = {source: example for source, (_, example) in written(output).items()}
    assert sorted(found) == ['a/across.png#xywh=100,0,100,100', 'a/small.png#xywh=0,0,100,100']
    across = found['a/across.png#xywh=100,0,100,100']  # 30 of 40 pixels; the 10 in the first tile are 25 %
    assert across.boxes[0] == pytest.approx((0.2, 0, 0.4, 0.3))
    assert across.filename == 'a/across/100_0.jpg' and (across.width, across.height) == (100, 100)
    with Image.open(io.BytesIO(across.encoded)) as tile, Image.open(dataset / 'a' / 'across.png') as source:
        difference = np.asarray(tile, int) - np.asarray(source.crop((100, 0, 200, 100)), int)
        assert np.abs(difference).mean() < 4
    numbers = json.loads((output / 'stats.json').read_text())
    assert numbers['tiles'] == {'pictures': 2, 'tiles': 2, 'boxes': 2, 'cut': 1, 'negatives': 0, 'boxes_of_pictures': 3,
                                'boxes_in_no_tile': 1, 'train': 2, 'validation': 0, 'test': 0}
    assert [entry['reasons'] for entry in numbers['review']] == [
        ['1 of 1 boxes are in no tile: less than 30% of each is visible in tiles of 100 pixels']]
    assert '1 of 3 boxes are in no tile' in ''.join(capsys.readouterr())


def test_negative_tiles_show_no_part_of_an_object(run, dataset):
    """Of the six tiles of `across`, the first shows a quarter of the object: it is neither positive nor negative."""
    output = run(dataset, boxes='best', tile=100, overlap=0.0, negatives=True, split=(1.0, 0.0, 0.0))
    found = written(output)
    assert {source.partition('=')[2] for source in found if 'across' in source} == {
        '100,0,100,100', '200,0,100,100', '0,100,100,100', '100,100,100,100', '200,100,100,100'}
    assert sum(not example.boxes for _, example in found.values()) == 4 + 5
    assert not any('large' in source for source in found)


def test_all_tiles_of_a_picture_are_in_one_subset(run, tmp_path):
    folder = tmp_path / 'many' / 'a'
    folder.mkdir(parents=True)
    (tmp_path / 'many' / 'classes.txt').write_text('a')
    for i in range(10):
        (folder / f'{i}.png').write_bytes(encoded(scene(100 + i, size=(200, 200)), 'PNG'))
        (folder / f'{i}.txt').write_text('0 .5 .5 .4 .4')
    found = written(run(tmp_path / 'many', boxes='best', tile=120, overlap=0.3, min_visible=0.1, split=(.5, 0, .5)))
    subsets = {}
    for source, (subset, _) in found.items():
        subsets.setdefault(source.partition('#')[0], set()).add(subset)
    assert len(found) == 40 and all(len(names) == 1 for names in subsets.values())
    assert sorted(subset for names in subsets.values() for subset in names) == ['test'] * 5 + ['train'] * 5
    order = [source.partition('#')[0] for source, (subset, _) in found.items() if subset == 'train']
    assert sum(a == b for a, b in itertools.pairwise(order)) < 12  # of 15 if they were not mixed


def test_again_with_other_tiles_and_without(run, dataset):
    """A second run cuts nothing; other options leave the files of a fresh run; what is not ours is kept."""
    options = {'boxes': 'best', 'tile': 100, 'overlap': 0.0, 'split': (1.0, 0.0, 0.0)}
    output = run(dataset, **options)
    before, stamps = contents(output), {f: f.stat().st_mtime_ns for f in (output / 'tiles').rglob('*.jpg')}
    run(dataset, **options)
    assert contents(output) == before and {f: f.stat().st_mtime_ns for f in stamps} == stamps
    next(iter(stamps)).unlink()
    run(dataset, **options)
    assert contents(output) == before
    (output / 'tiles' / 'a' / 'mine.txt').write_text('mine')
    run(dataset, **options | {'tile': 150, 'negatives': True})
    assert (output / 'tiles' / 'a' / 'mine.txt').read_text() == 'mine'
    (output / 'tiles' / 'a' / 'mine.txt').unlink()
    assert contents(output) == contents(run(dataset, 'fresh', **options | {'tile': 150, 'negatives': True}))
    run(dataset, **options | {'tile': None})
    assert not (output / 'tiles').exists()
    assert contents(output) == contents(run(dataset, 'whole', **options | {'tile': None}))


def test_one_worker_and_many_cut_the_same_bytes(run, dataset):
    options = {'boxes': 'best', 'tile': 90, 'negatives': True, 'mindim': 180}
    assert contents(run(dataset, 'one', workers=1, **options)) == contents(run(dataset, 'many', workers=3, **options))


def test_whole_pictures_have_no_tiles(run, dataset):
    with pytest.raises(UserError, match='--tile cuts pictures around their boxes'):
        run(dataset, tile=100)
