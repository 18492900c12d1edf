"""ObjectLab's scores, calculated by hand, and which contradictions are reported once and in which order."""
import json
import math

import numpy as np
import pytest

from object_detection.preparation import check, label_errors
from object_detection.preparation.annotations import coco
from object_detection.preparation.label_errors import KINDS, Pair
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.masks import Mask, Runs
from object_detection.utils.errors import UserError

FAR = math.exp(-math.hypot(50, 50) / 10) / 10  # similarity of boxes whose centers are (50, 50) pixels apart


@pytest.fixture
def pair():
    """One annotation; a likely detection twice as wide, one confident of another label, and one far away."""
    return Pair(np.array([[0, 0, 10, 10.]]), np.array(['a'], object),
                np.array([[0, 0, 10, 20.], [0, 0, 10, 10], [50, 50, 60, 60]]), np.array(['a', 'b', 'c'], object),
                np.array([0.6, 0.96, 0.97]))


def test_similarity(pair):
    iou, similar = label_errors.similarity(pair.boxes, pair.detections)
    assert iou.tolist() == [[0.5, 1, 0]]
    assert similar[0] == pytest.approx([0.9 * 0.5 + 0.1 * math.exp(-0.5), 1, FAR])
    assert label_errors.least_similarity([pair]) == pytest.approx(FAR)


def test_scores(pair):
    by_kind = label_errors.scores(pair, FAR)
    assert by_kind['overlooked'] == pytest.approx([math.nan, math.nan, FAR * 0.03], nan_ok=True)
    assert by_kind['badly placed'] == pytest.approx([0.45 + 0.1 * math.exp(-0.5)])
    assert by_kind['swapped'] == pytest.approx([FAR])  # 1 - 1, but at least the least similarity
    pooled = [FAR * 0.03, FAR, by_kind['badly placed'][0]]
    assert label_errors.quality(by_kind) == pytest.approx(math.prod(pooled) ** (1 / 3))


def test_softmin():
    """With temperature 0.1 the weights of 0.1 and 0.3 are 1 and exp(-2)."""
    scores = dict.fromkeys(KINDS, np.array([0.1, math.nan, 0.3]))
    assert label_errors.quality(scores) == pytest.approx((0.1 + 0.3 * math.exp(-2)) / (1 + math.exp(-2)))
    assert label_errors.quality(dict.fromkeys(KINDS, np.array([]))) == pytest.approx(1)


def test_nothing_to_compare():
    none = np.zeros((0, 4)), np.array([], object)
    some = np.array([[0, 0, 10, 10.]]), np.array(['a'], object)
    for boxes, detections in ((none, none), (some, none)):
        by_kind = label_errors.scores(Pair(*boxes, *detections, np.array([])), 1.0)
        assert label_errors.quality(by_kind) == pytest.approx(1)
    by_kind = label_errors.scores(Pair(*none, *some, np.array([0.95])), 0.2)
    assert by_kind['overlooked'] == pytest.approx([0.2 * 0.05])


def picture(name, *boxes):
    """Return a picture of 100 x 100 pixels. boxes: (ymin, xmin, ymax, xmax, label)."""
    return Picture(f'a/{name}', 'a', 1, 1, '', width=200, height=200, jpg_width=100, jpg_height=100,
                   boxes=[Box(*box[:4], box[4], None, 'voc') for box in boxes])


LEFT, RIGHT = (0.1, 0.1, 0.5, 0.4), (0.1, 0.6, 0.5, 0.9)
NAMES = {1: 'a', 2: 'b'}


def detected(box, score, class_id):
    return [*box, score, class_id]


@pytest.fixture
def pictures():
    """Ten pictures that agree with scores of 0.5 to 0.59, and one of each error."""
    good = {f'good{i}': (picture(f'good{i}', (*LEFT, 'a')), [detected(LEFT, 0.5 + i / 100, 1)]) for i in range(10)}
    return good | {
        'overlooked': (picture('overlooked', (*LEFT, 'a')), [detected(LEFT, 0.6, 1), detected(RIGHT, 0.58, 1)]),
        'swapped': (picture('swapped', (*LEFT, 'b')), [detected(LEFT, 0.57, 1)]),
        'moved': (picture('moved', (0.1, 0.1, 0.5, 0.2, 'a')), [detected(LEFT, 0.56, 1)]),
        'empty': (picture('empty'), [detected(RIGHT, 0.55, 1)]),
        'doubtful': (picture('doubtful'), [detected(RIGHT, 0.4, 1)])}


def test_each_error_is_found_once(pictures):
    """Scores of 0.51 are confident, the lowest decile of those that agree: 0.5, 0.51, ..., 0.6."""
    members = [p for p, _ in pictures.values()]
    findings, qualities = label_errors.check(members, {p.path: found for p, found in pictures.values()}, NAMES)
    assert [(f.kind, f.path, f.annotation, f.label) for f in findings] == [
        ('overlooked', 'a/empty', None, 'a'), ('overlooked', 'a/overlooked', None, 'a'),
        ('swapped', 'a/swapped', 0, 'a'), ('badly placed', 'a/moved', 0, 'a')]
    moved = findings[-1]
    assert moved.score == pytest.approx(0.9 / 3 + 0.1 * math.exp(-1), abs=1e-6)  # a third of it, 10 pixels away
    assert moved.detection == LEFT and moved.confidence == 0.56
    worst = [path for _, path in sorted(zip(qualities, (p.path for p in members)))[:4]]
    assert sorted(worst) == ['a/empty', 'a/moved', 'a/overlooked', 'a/swapped']


def test_calibrate():
    """A label with fewer than ten detections that agree has the lowest decile of all."""
    def agreeing(label, count, start):
        return [Pair(np.array([[0, 0, 10, 10.]]), np.array([label], object), np.array([[0, 0, 10, 10.]] * 2),
                     np.array([label] * 2, object), np.array([start + i / 100, 0.01])) for i in range(count)]
    typical = label_errors.calibrate(agreeing('a', 11, 0.5) + agreeing('b', 5, 0.9))
    assert typical['a'] == pytest.approx(0.51)  # the second of 11
    assert typical['b'] == typical['c'] == pytest.approx(0.515)  # between the second and the third of 16
    assert label_errors.calibrate([])['a'] == 0.95


def test_one_object_found_twice_is_one_finding():
    findings, _ = label_errors.check([picture('x')], {'a/x': [detected(LEFT, 0.99, 1), detected(LEFT, 0.98, 2)]}, NAMES)
    assert [(f.kind, f.label) for f in findings] == [('overlooked', 'a')]


def test_a_neighbor_is_not_badly_placed():
    """The detection of the left object overlaps the right one's box, but belongs to the left one."""
    right = (0.1, 0.3, 0.5, 0.6)
    two = picture('x', (*LEFT, 'a'), (*right, 'a'))
    findings, _ = label_errors.check([two], {'a/x': [detected(LEFT, 0.99, 1)]}, NAMES)
    assert findings == []


def test_classes_that_are_no_labels_do_not_count():
    findings, _ = label_errors.check([picture('x')], {'a/x': [detected(LEFT, 0.99, 7)]}, NAMES)
    assert findings == []


def test_coco(pictures):
    """The worst picture first, boxes in pixels of the source, findings beside them."""
    members = [p for p, _ in pictures.values()]
    findings, qualities = label_errors.check(members, {p.path: found for p, found in pictures.values()}, NAMES)
    data = check.coco(members, findings, qualities, ['a', 'b'], {})
    assert len(data['images']) == 15 and len(list(data['annotations'])) == 13
    assert data['images'][0] == {'id': 1, 'file_name': min(zip(qualities, (p.path for p in members)))[1],
                                 'width': 200, 'height': 200}
    images = {image['id']: image['file_name'] for image in data['images']}
    (moved,) = [a for a in data['annotations'] if images[a['image_id']] == 'a/moved']
    assert moved['bbox'] == [20, 20, 20, 80] and moved['category_id'] == 1 and moved['area'] == 1600
    (finding,) = [f for f in data['findings'] if f['kind'] == 'badly placed']
    assert finding['annotation_id'] == moved['id'] and finding['detection']['bbox'] == [20, 20, 60, 80]
    assert len(json.loads(json.dumps(data, indent=1))['annotations']) == 13


def test_coco_keeps_outlines_keypoints_and_difficult():
    """What is drawn comes back: the file is read as --annotations reads it."""
    runs = np.zeros((200, 200), bool)
    runs[20:60, 30:50] = True
    counts = np.array([30 * 200 + 20, *[40, 160] * 19, 40, 200 * 200 - 49 * 200 - 60])
    boxes = [Box(0.1, 0.1, 0.5, 0.4, 'a', None, 'coco', difficult=True,
                 mask=Mask((np.array([0.1, 0.1, 0.4, 0.1, 0.4, 0.5]),)), keypoints=((0.1, 0.2, 2), (0.0, 0.0, 0))),
             Box(0.1, 0.15, 0.3, 0.25, 'b', None, 'coco',
                 mask=Mask(runs=Runs(counts, (0, 0, 200, 200), True), size=(200, 200)))]
    member = Picture('a/x', 'a', 1, 1, '', width=200, height=200, jpg_width=100, jpg_height=100, boxes=boxes)
    data = json.loads(json.dumps(check.coco([member], [], np.ones(1), ['a', 'b'], {'a': ['nose', 'tail']}), indent=1))
    (entry,), points = coco.read(data, 'label_errors.json')
    first, second = entry.shapes
    assert points == {'a': ['nose', 'tail']} and first.difficult and not second.difficult
    assert first.box == pytest.approx((20, 20, 80, 100)) and first.keypoints == ((40, 20, 2), (0, 0, 0))
    assert first.polygons[0].tolist() == [20, 20, 80, 20, 80, 100]
    np.testing.assert_array_equal(second.runs.pixels(), runs)


def test_names_of_the_classes(tmp_path):
    folder = tmp_path / 'exported' / 'saved_model'
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match='nothing says which classes its numbers stand for'):
        check.trained_names(folder)
    named = f'label_map_path: "{tmp_path.as_posix()}/m"'
    (folder.parent / 'pipeline.config').write_text(f'train_input_reader {{ {named} }}')
    with pytest.raises(UserError, match='which does not exist; copy the label_map'):
        check.trained_names(folder)
    (tmp_path / 'm').write_text('item { id: 2 name: "sit" }')
    assert check.trained_names(folder) == {2: 'sit'}
    (folder.parent / 'label_map.pbtxt').write_text('item { id: 1 name: "Sit" }')
    assert check.trained_names(folder) == {1: 'Sit'}


def test_classes_and_labels(tmp_path, capsys):
    assert check.matching({1: 'sit', 2: 'Sit', 3: 'DOWN', 4: 'x'}, ['Sit', 'down', 'sit'], tmp_path) == {
        1: 'sit', 2: 'Sit', 3: 'down'}
    assert 2 not in check.matching({1: 'Sit', 2: 'SIT'}, ['Sit', 'sit'], tmp_path)
    assert 'does not know sit' in ''.join(capsys.readouterr())
    with pytest.raises(UserError, match=r'none of its classes \(person\) is a label of the data set \(Sit\)'):
        check.matching({1: 'person'}, ['Sit'], tmp_path)
