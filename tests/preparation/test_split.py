"""Balance and split: shares by label, whole groups, and random numbers that other pictures do not change."""
import collections

import pytest

from object_detection.preparation import split
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.options import Options
from tests.support.hostile import encoded, scene

BOX = Box(0, 0, 1, 1, 'a', None, 'whole')


def pictures(counts, start=0):
    """Return Pictures for {label: count}, each with a box and a group of its own."""
    return [Picture(f'{label}/{i}', label, 1, 1, '', sha256=f'{label}{i}', group=f'{label}{i}', boxes=[BOX])
            for label, count in counts.items() for i in range(start, start + count)]


def options(**values):
    return Options(None, None, **values)


def subsets(made):
    return {picture.path: picture.subset for picture in made}


def counts(made):
    return collections.Counter((picture.label, picture.subset) for picture in made)


def test_each_label_in_proportion():
    made = pictures({'a': 50, 'b': 10, 'c': 5, 'd': 2, 'e': 1})
    split.assign(made, options())
    assert counts(made) == {('a', 'train'): 40, ('a', 'test'): 10, ('b', 'train'): 8, ('b', 'test'): 2,
                            ('c', 'train'): 4, ('c', 'test'): 1, ('d', 'train'): 1, ('d', 'test'): 1, ('e', 'train'): 1}


def test_three_shares():
    made = pictures({'a': 100, 'b': 20})
    split.assign(made, options(split=(0.7, 0.2, 0.1)))
    assert counts(made) == {('a', 'train'): 70, ('a', 'validation'): 20, ('a', 'test'): 10,
                            ('b', 'train'): 14, ('b', 'validation'): 4, ('b', 'test'): 2}


def test_all_for_training():
    made = pictures({'a': 7})
    split.assign(made, options(split=(1.0, 0.0, 0.0)))
    assert counts(made) == {('a', 'train'): 7}


def test_adding_pictures_moves_few_others():
    before, after = pictures({'a': 1000}), pictures({'a': 1100})
    split.assign(before, options())
    split.assign(after, options())
    moved = sum(side != subsets(after)[path] for path, side in subsets(before).items())
    assert moved <= 20  # those between the old boundary and the new one; shuffling would move 320


def test_other_labels_do_not_matter():
    alone, together = pictures({'a': 40}), pictures({'a': 40, 'b': 77})
    split.assign(alone, options())
    split.assign(together, options())
    assert subsets(alone).items() <= subsets(together).items()


def test_the_seed_matters():
    first, second = pictures({'a': 100}), pictures({'a': 100})
    split.assign(first, options())
    split.assign(second, options(seed=1))
    assert subsets(first) != subsets(second)


def test_groups_are_not_split():
    made = pictures({'a': 100, 'b': 60})
    for i, picture in enumerate(made):
        picture.group = f'video {i % 40}'  # with both labels
    split.assign(made, options(split=(0.6, 0.2, 0.2)))
    of_group = collections.defaultdict(set)
    for picture in made:
        of_group[picture.group].add(picture.subset)
    assert all(len(found) == 1 for found in of_group.values())
    for label, total in (('a', 100), ('b', 60)):
        assert abs(counts(made)[label, 'train'] / total - 0.6) < 0.15
        assert counts(made)[label, 'validation'] and counts(made)[label, 'test']


def test_one_group_larger_than_the_test_share():
    made = pictures({'a': 10})
    for picture in made[:6]:
        picture.group = 'video'
    split.assign(made, options())
    assert len({picture.subset for picture in made[:6]}) == 1


@pytest.mark.parametrize(('given', 'expected'), [
    ({}, {'a': 50, 'b': 10}), ({'maxperlabel': 20}, {'a': 20, 'b': 10}), ({'equalcounts': True}, {'a': 10, 'b': 10}),
    ({'equalcounts': True, 'maxperlabel': 4}, {'a': 4, 'b': 4})])
def test_balance(given, expected):
    made = pictures({'a': 50, 'b': 10})
    split.balance(made, options(**given))
    assert collections.Counter(picture.label for picture in made if not picture.verdict) == expected


def test_choice_depends_on_the_picture_alone():
    before, after = pictures({'a': 100}), pictures({'a': 110})
    for made in (before, after):
        split.balance(made, options(maxperlabel=30))
    taken = [{picture.path for picture in made if not picture.verdict} for made in (before, after)]
    assert len(taken[0] & taken[1]) >= 22  # ten more can push out ten at most, and about three


def test_negatives_are_split_but_not_balanced():
    made = pictures({'a': 20})
    for picture in made[10:]:
        picture.boxes = []
    split.balance(made, options(maxperlabel=5))
    split.assign(made, options())
    assert sum(picture.verdict is None for picture in made) == 15
    assert sum(picture.subset == 'test' for picture in made[10:]) == 2


def test_random_numbers_never_change():
    assert split.stable_random(0, 'split', 'abc') == pytest.approx(0x47ebd1f644ce20c5 / 2 ** 64)  # as sha256sum says


def test_what_no_evaluation_can_measure_is_said(run, tmp_path, capsys):
    for label, count in (('a', 10), ('b', 1)):
        (tmp_path / 'pets' / label).mkdir(parents=True)
        for i in range(count):
            (tmp_path / 'pets' / label / f'{i}.jpg').write_bytes(encoded(scene(i + ord(label) * 50), 'JPEG'))
    nothing = 'no picture is left for test or validation'
    run(tmp_path / 'pets', near_duplicates=None)
    said = ' '.join(capsys.readouterr().out.split())
    assert 'no picture for test or validation shows b: an evaluation cannot measure this label' in said
    assert nothing not in said
    (tmp_path / 'one' / 'b').mkdir(parents=True)
    (tmp_path / 'one' / 'b' / '0.jpg').write_bytes(encoded(scene(0), 'JPEG'))
    run(tmp_path / 'one', 'few')
    assert nothing in capsys.readouterr().out
    run(tmp_path / 'pets', 'none', near_duplicates=None, split=(1.0, 0.0, 0.0))
    assert 'test or validation' not in capsys.readouterr().out  # as the user wants it
