"""Whole runs on annotated data sets: copies, the split that is kept, a second run, and counts that add up."""
import json

import pytest

from object_detection.config import label_map
from object_detection.records import Example, Records
from object_detection.utils.errors import UserError
from tests.support.drawn import coco, voc
from tests.support.hostile import encoded, scene
from tests.support.prepared import contents, decisions

SIZE = (200, 100)
CAT, DOG, FAR_DOG = ('cat', (20, 10, 60, 50)), ('dog', (100, 20, 180, 90)), ('dog', (5, 60, 40, 95))


@pytest.fixture
def images(tmp_path):
    """images({path: seed of the scene, text, or bytes}) writes a data set and returns its folder."""
    def images(files):
        for path, content in files.items():
            (tmp_path / 'images' / path).parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            data = encoded(scene(content, size=SIZE), 'JPEG', quality=95) if isinstance(content, int) else data
            (tmp_path / 'images' / path).write_bytes(data)
        return tmp_path / 'images'
    return images


def examples(output):
    """Return {source: (subset, [(text, label)])} of all records."""
    found = {}
    for subset in ('train', 'validation', 'test'):
        if (output / f'{subset}.tfrecords').exists():
            records = Records(str(output / f'{subset}.tfrecords'))
            for example in (Example.from_bytes(records[i]) for i in range(len(records))):
                found[example.source_id] = (subset, list(zip(example.texts, example.labels)))
    return found


def numbers(output):
    return json.loads((output / 'stats.json').read_text())


def split():
    """images/train and images/test with eight and four pictures, some with both labels."""
    sides = {f'{"train" if i < 8 else "test"}/{i}': [CAT, DOG][i % 2:i % 2 + 1] if i % 3 else [CAT, DOG]
             for i in range(12)}
    return {f'{stem}.jpg': 4 * i for i, stem in enumerate(sides)} | {f'{s}.xml': voc(o) for s, o in sides.items()}


def test_labels_and_split_are_those_of_the_data_set(run, images):
    output = run(images(split()), boxes='best')
    labels = label_map.load(output / 'label_map.pbtxt').items
    assert [(item.id, item.name) for item in labels] == [(1, 'cat'), (2, 'dog')]
    found = examples(output)
    assert len(found) == 12 and all(path.startswith(subset) for path, (subset, _) in found.items())
    assert found['train/1.jpg'][1] == [('dog', 2)] and found['test/9.jpg'][1] == [('cat', 1), ('dog', 2)]
    stats = numbers(output)
    assert stats['options']['split'] == 'given' and stats['options']['labels'] == 'annotations'
    rows = {row['label']: (row['train'], row['test']) for row in stats['labels']}
    assert rows == {'cat': (5, 3), 'dog': (6, 2)} and stats['several_labels'] == 4
    assert (stats['totals']['train'], stats['totals']['test']) == (8, 4)


def test_a_second_run_has_nothing_to_do(run, images, capsys):
    folder = images(split())
    before = contents(run(folder, boxes='best'))
    stamp = (folder.parent / 'out' / 'train.tfrecords').stat().st_mtime_ns
    capsys.readouterr()
    output = run(folder, boxes='best')
    said = capsys.readouterr().out
    assert 'reading' not in said and 'writing' not in said
    assert contents(output) == before and (output / 'train.tfrecords').stat().st_mtime_ns == stamp


def test_copies_across_the_split_are_kept_and_named(run, images, capsys):
    files = split() | {'test/copy.jpg': 0, 'test/copy.xml': voc([CAT, DOG])}
    output = run(images(files), boxes='best')
    assert len(examples(output)) == 13
    [group] = numbers(output)['across']
    assert {entry['path']: entry['subset'] for entry in group} == {'train/0.jpg': 'train', 'test/copy.jpg': 'test'}
    assert '1 groups of near duplicates in several parts of the split' in capsys.readouterr().out
    assert 'Across the split' in (output / 'report.html').read_text()
    again = run(images(files), boxes='best', split_given=False)
    assert len(examples(again)) == 12 and numbers(again)['across'] == []


def test_pictures_in_no_part_of_the_split(run, images):
    files = split() | {'more.jpg': 80, 'more.xml': voc([CAT])}
    output = run(images(files), boxes='best')
    assert decisions(output)['more.jpg'] == ('surplus', 'in no part of the split that is kept')
    assert 'more.jpg' in examples(run(images(files), name='other', boxes='best', split_given=False))


def test_of_two_copies_the_annotated_one_is_kept(run, images):
    """Though it is smaller."""
    small = encoded(scene(0, size=SIZE).resize((150, 75)), 'PNG')
    files = {'cat/1.jpg': 0, 'cat/2.png': small, 'cat/2.xml': voc([CAT]), 'cat/3.jpg': 8, 'cat/4.jpg': 16}
    output = run(images(files))
    assert decisions(output)['cat/1.jpg'] == ('duplicate', 'nearly the same as cat/2.png')
    assert decisions(output)['cat/2.png'][0] == 'in'


def test_near_copies_with_other_boxes_are_kept_and_equal_ones_are_to_review(run, images):
    near = encoded(scene(0, size=SIZE), 'JPEG', quality=60)
    files = {'1.jpg': 0, '1.xml': voc([DOG]), '2.jpg': near, '2.xml': voc([FAR_DOG]), '3.jpg': 0,
             '3.xml': voc([DOG, CAT]), '4.jpg': near, '4.xml': voc([FAR_DOG]), '5.jpg': 8, '5.xml': voc([DOG])}
    output = run(images(files), boxes='best', labels='annotations')
    found = decisions(output)
    assert [found[f'{i}.jpg'][0] for i in '12345'] == ['in', 'in', 'duplicate', 'duplicate', 'in']
    reviewed = {entry['path']: entry['reasons'] for entry in numbers(output)['review']}
    assert reviewed == {'1.jpg': ['other boxes are drawn on 3.jpg, which is equal and left out']}
    subsets = examples(output)
    assert subsets['1.jpg'][0] == subsets['2.jpg'][0]  # together


def test_copies_whose_boxes_have_other_names_are_a_conflict(run, images):
    files = {'1.jpg': 0, '1.xml': voc([DOG]), '2.jpg': 0, '2.xml': voc([('cat', DOG[1])]), '3.jpg': 8,
             '3.xml': voc([CAT])}
    found = decisions(run(images(files), boxes='best'))
    assert [found[f'{i}.jpg'][0] for i in '123'] == ['conflict', 'conflict', 'in']


@pytest.mark.parametrize('negatives', [False, True])
def test_negatives_are_pictures_without_objects(run, images, negatives):
    """Not those whose annotation cannot be used, or whose objects are left out."""
    pictures = {f'{i}.jpg': [CAT] for i in range(4)} | {'4.jpg': [], '6.jpg': [('cat', (0, 0, 0, 0))]}
    files = {f'{i}.jpg': 4 * i for i in range(8)} | {'a.json': coco(pictures), '7.xml': '<annotation>'}
    found = decisions(run(images(files), boxes='best', negatives=negatives))
    left = ('in', None) if negatives else None
    assert found['4.jpg'] == (left or ('no box', 'annotated without a box'))
    assert found['5.jpg'] == (left or ('no box', 'not annotated'))
    assert found['6.jpg'] == ('no box', 'all objects drawn on it are left out')
    assert found['7.jpg'] == ('no box', 'its annotation cannot be used')


def test_counts_add_up(run, images):
    pictures = {f'{i}.jpg': [CAT, DOG] for i in range(4)} | {'gone.jpg': [CAT], '6.jpg': [('cat', (0, 0, 0, 0))]}
    files = {f'{i}.jpg': 4 * i for i in range(8)} | {'a.json': coco(pictures), 'copy.jpg': 0, 'broken.jpg': b'x'}
    stats = numbers(run(images(files), boxes='best'))
    assert stats['annotations'] == {
        'files': [{'name': 'a.json', 'described': 6, 'fit': 5, 'unused': 0}], 'broken': [], 'unread': [],
        'unmatched': [{'name': 'gone.jpg', 'reason': 'no picture of this name'}],
        'left_out': {"of 'cat' without an area inside the picture": 1}}
    assert stats['no_box_by_reason'] == {'not annotated': 3, 'all objects drawn on it are left out': 1}
    totals = stats['totals']
    assert list(totals['after'].values()) == [10, 9, 8, 8, 4, 4] and totals['train'] + totals['test'] == 4
    rows = {row['label']: row['after']['files'] for row in stats['labels']}
    assert rows == {'cat': 4, 'dog': 4, '(no label)': 6} and stats['several_labels'] == 4


def test_nothing_is_left_and_the_cause_is_named(run, images):
    files = {'images/1.jpg': 0, 'a.json': coco({'1.jpg': [('cat', (0, 0, 0, 0))]})}
    with pytest.raises(UserError, match='no picture is left to train on') as error:
        run(images(files), boxes='best')
    assert '--min_score' not in str(error.value)
