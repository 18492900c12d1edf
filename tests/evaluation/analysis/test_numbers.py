"""Matching, statistics, intervals and errors: by hand, and against the COCO metrics."""
import dataclasses

import numpy as np
import pytest

from object_detection.evaluation.analysis import bootstrap, findings, mistakes, statistics
from object_detection.evaluation.analysis.matching import Matches
from object_detection.evaluation.metrics import Coco

NAMES = {1: 'dog', 2: 'cat', 3: 'bird'}


def objects(*rows, crowd=()):
    """rows: (box, class)."""
    boxes, classes = zip(*rows) if rows else ((), ())
    return {'boxes': np.array(boxes, np.float32).reshape(-1, 4), 'classes': np.array(classes, int),
            **{name: np.array([i in crowd if name == 'is_crowd' else False for i in range(len(rows))], bool)
               for name in ('is_crowd', 'difficult', 'group_of')}}


def found(*rows):
    """rows: (box, class, score)."""
    boxes, classes, scores = zip(*rows) if rows else ((), (), ())
    return {'boxes': np.array(boxes, np.float32).reshape(-1, 4), 'classes': np.array(classes, int),
            'scores': np.array(scores, np.float32)}


A, B, C, D = (0, 0, 10, 10), (0, 0, 10, 6), (20, 20, 30, 30), (50, 50, 60, 60)  # IoU of A and B: 0.6


def hand():
    """Two pictures: one right, one found twice, one confused, one badly placed, one false; a bird is missed."""
    matches = Matches()
    matches.add(objects((A, 1), (C, 2), (D, 3)),
                found((A, 1, .9), (B, 1, .8), (C, 1, .7), ((80, 80, 90, 90), 2, .6)))
    matches.add(objects((A, 1)), found(((0, 0, 10, 3), 1, .4)))
    return matches


def drawn(pictures, seed=0, classes=3, crowds=True):
    """Random scenes: boxes, moved copies of them as detections, and false ones; for Matches and Coco alike."""
    random = np.random.default_rng(seed)
    for _ in range(pictures):
        count = random.integers(0, 6)
        corner, size = random.uniform(0, 80, [count, 2]), random.uniform(14, 30, [count, 2])
        boxes, cls = np.concatenate([corner, corner + size], 1), random.integers(1, classes + 1, count)
        crowd = np.flatnonzero(random.uniform(size=count) < (.15 if crowds else 0.))
        truth = objects(*zip(boxes, cls), crowd=crowd)
        rows = [(box + random.normal(0, 2., 4), c if random.uniform() < .8 else random.integers(1, classes + 1),
                 random.uniform(.1, 1.)) for box, c in zip(boxes, cls) for _ in range(random.integers(0, 3))]
        rows += [((x, y, x + 12, y + 15), random.integers(1, classes + 1), random.uniform(0., .6))
                 for x, y in random.uniform(0, 80, [random.integers(0, 4), 2])]
        rows.sort(key=lambda row: -row[2])
        yield truth, found(*rows)


def test_kinds_of_errors_by_hand():
    matched = hand().all()
    assert mistakes.kinds(matched) == ['right', 'found twice', 'confused', 'false', 'badly placed']
    assert mistakes.count(matched, .5) == {'confused': 1, 'badly placed': 0, 'confused and badly placed': 0,
                                           'found twice': 1, 'false': 1, 'missed': 2}


def test_confusion_by_hand():
    content = statistics.confusion(hand().all(), NAMES, .5)
    assert content['labels'] == ['dog', 'cat', 'bird', 'background']
    assert content['matrix'] == [[1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0]]


def test_thresholds_by_hand():
    dog, cat, bird = statistics.by_class(hand().all(), NAMES)
    assert (dog.groundtruth, dog.threshold, dog.right, dog.wrong, dog.missed) == (2, pytest.approx(.9), 1, 0, 1)
    assert (dog.precision, dog.recall, dog.f1) == (1., .5, pytest.approx(2 / 3))
    assert (cat.threshold, cat.missed, cat.ap) == (None, 1, 0.) and bird.missed == 1
    assert statistics.by_class(hand().all(), {9: 'fish'})[0].ap is None


@pytest.mark.parametrize('seed', range(3))
def test_ap_and_recall_are_those_of_coco(seed):
    matches, coco = Matches(), Coco(NAMES, per_category=True)
    for truth, detections in drawn(40, seed):
        matches.add(truth, detections)
        coco.add(truth, detections)
    expected = dict(coco.evaluate())
    classes = statistics.by_class(matches.all(), NAMES)
    for entry in classes:
        assert entry.ap == pytest.approx(expected[f'DetectionBoxes_PerformanceByCategory/mAP/{entry.name}'], abs=1e-9)
    assert np.mean([entry.ap50 for entry in classes]) == pytest.approx(expected['DetectionBoxes_Precision/mAP@.50IOU'])
    assert np.mean([entry.ar for entry in classes]) == pytest.approx(expected['DetectionBoxes_Recall/AR@100'])


def test_a_crowd_is_neither_right_nor_wrong():
    matches = Matches()
    matches.add(objects((A, 1), ((0, 0, 100, 100), 1), crowd=[1]), found((A, 1, .9), (C, 1, .8)))
    matched = matches.all()
    assert matched.right[:, 0].tolist() == [True, False] and matched.ignored[:, 0].tolist() == [False, True]
    [dog] = statistics.by_class(matched, {1: 'dog'})
    assert (dog.groundtruth, dog.ap, dog.wrong) == (1, 1., 0)


def test_calibration_by_hand():
    matches = Matches()
    matches.add(objects((A, 1), (C, 1)), found((A, 1, .95), (D, 1, .95), (C, 1, .25)))
    content = statistics.calibration(matches.all())
    assert [(entry['count'], entry['right']) for entry in content['bins']] == [(1, 1.), (2, .5)]
    assert content['error'] == pytest.approx((.75 + 2 * .45) / 3, abs=1e-6)


def test_curves_end_where_all_detections_count():
    matched = hand().all()
    line = statistics.curves(matched, np.ones(len(matched.cls), bool), 4)
    assert line['precision'][0] == 1. and line['recall'][-1] == .25 and line['score'][0] == pytest.approx(.9)
    assert statistics.curves(matched, matched.cls == 9, 0)['score'] == []


def test_resamples_are_map_of_the_pictures_drawn():
    """Each resample against pictures that are really repeated, evaluated anew."""
    scenes = list(drawn(30, seed=5))
    matches = Matches()
    for scene in scenes:
        matches.add(*scene)
    differences = bootstrap.resamples(matches.all(), len(scenes))
    weights = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), bootstrap.RESAMPLES)

    def area(counts):
        repeated = Matches()
        for scene, count in zip(scenes, counts):
            for _ in range(count):
                repeated.add(*scene)
        matched, values = repeated.all(), []
        for number in np.unique(matched.object_cls):
            rows = statistics.ranked(matched, matched.cls == number)
            total, aps = (matched.object_cls == number).sum(), []
            for level in range(10):
                counted = rows[~matched.ignored[rows, level]]
                right = matched.right[counted, level]
                precision = np.cumsum(right) / np.arange(1, len(right) + 1)
                precision = np.maximum.accumulate(precision[::-1])[::-1]
                aps.append((precision * right).sum() / total)
            values.append(np.mean(aps))
        return np.mean(values)
    base = area(np.ones(30, int))
    for i in range(3):  # equal scores of repeated pictures may be in another order: they are right or wrong alike
        assert differences[i] == pytest.approx(area(weights[i]) - base, abs=.01)
    low, high = bootstrap.interval(differences)
    assert low < 0. < high


def test_intervals_hold_what_they_promise():
    """Of many test sets of one kind, about 95 % have an interval around the mAP of a very large one."""
    def evaluated(pictures, seed):
        matches = Matches()
        for scene in drawn(pictures, seed, crowds=False):
            matches.add(*scene)
        matched = matches.all()
        mean = np.mean([entry.ap for entry in statistics.by_class(matched, NAMES) if entry.ap is not None])
        return mean, bootstrap.interval(bootstrap.resamples(matched, pictures))
    true, _ = evaluated(2000, 99)
    inside = [mean + low <= true <= mean + high for mean, (low, high) in (evaluated(60, seed) for seed in range(40))]
    assert sum(inside) >= 36


def test_a_better_model_is_told_apart_from_chance():
    first, second = np.linspace(-.1, .1, 200), np.linspace(-.1, .1, 200) + .001
    assert bootstrap.tells_apart(first, second, .02) and not bootstrap.tells_apart(first, -second, .02)


@pytest.mark.parametrize('scene, said', [
    ((objects(), found((A, 1, .5))), 'no groundtruth box'),
    ((objects((A, 1)), found()), 'detects nothing: 1 groundtruth boxes'),
    ((objects((A, 1)), found((D, 1, .5))), 'the boxes are elsewhere'),
    ((objects((A, 1)), found((A, 2, .5))), 'never with the right class'),
    ((objects((A, 7)), found((A, 2, .5))), 'the class ids 7, which the label map lacks')])
def test_a_map_of_0_is_explained(scene, said):
    matches = Matches()
    matches.add(*scene)
    assert said in '\n'.join(findings.zero(matches.all(), NAMES))


def test_warnings():
    assert findings.incomplete(5, 5) is None and '3 of 5 pictures' in findings.incomplete(3, 5)
    assert findings.too_small(.01, 9) is None and 'mAP of 9 pictures is known to +-0.080' in findings.too_small(.08, 9)


def test_nothing_at_all():
    matched = Matches().all()
    assert statistics.threshold(matched) is None and statistics.calibration(matched) == {'bins': [], 'error': None}
    assert statistics.confusion(matched, NAMES, .5)['matrix'] == [[0] * 4] * 4
    assert dataclasses.asdict(statistics.by_class(matched, {1: 'dog'})[0])['missed'] == 0
