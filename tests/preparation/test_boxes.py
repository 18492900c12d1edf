"""Which detections become boxes, and which pictures a person should look at."""
import json

import pytest

from object_detection.preparation import boxes
from object_detection.preparation.boxes import Annotation
from object_detection.preparation.detections import COCO_NAMES, class_ids
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.options import Options
from object_detection.utils.errors import UserError

LEFT, RIGHT, NEARLY_LEFT = [0.1, 0.1, 0.9, 0.4], [0.1, 0.6, 0.9, 0.9], [0.1, 0.1, 0.9, 0.42]
PERSON, CAT, DOG = 1, 17, 18


def decide(detections, annotation=None, classes=None, others=(), **options):
    """Return the Picture Sit/0 after `decide`. others: detections of more pictures in its folder."""
    made = [Picture(f'Sit/{i}', 'Sit', 1, 1, '', jpg_sha256=f'{i}') for i in range(1 + len(others))]
    seen = {f'{i}': json.dumps(found) for i, found in enumerate([detections, *others])}
    annotated = {'Sit/0': annotation} if annotation else {}
    boxes.decide(made, annotated, seen, COCO_NAMES, classes, Options(None, None, **options))
    return made[0]


def chosen(picture):
    return [(list(box.corners), box.score, box.coco) for box in picture.boxes]


def test_the_best_of_the_allowed_classes():
    found = [[*LEFT, 0.9, PERSON], [*RIGHT, 0.7, DOG]]
    assert chosen(decide(found)) == [(LEFT, 0.9, PERSON)]
    assert chosen(decide(found, classes={DOG, CAT})) == [(RIGHT, 0.7, DOG)]
    assert decide(found).boxes[0].origin == 'model'


def test_all_above_the_score():
    found = [[*LEFT, 0.9, DOG], [*NEARLY_LEFT, 0.8, CAT], [*RIGHT, 0.5, DOG], [0, 0, 0.1, 0.1, 0.2, DOG]]
    assert chosen(decide(found, boxes='all')) == [(LEFT, 0.9, DOG), (RIGHT, 0.5, DOG)]  # the cat is the dog
    assert chosen(decide(found, boxes='all', max_boxes=1)) == [(LEFT, 0.9, DOG)]


def test_too_low_a_score_is_no_box():
    picture = decide([[*LEFT, 0.25, DOG]])
    assert (picture.verdict, picture.boxes) == ('no box', [])
    assert picture.review == ['no box: nothing allowed with a score of 0.3; best is dog 0.25']
    assert decide([[*LEFT, 0.25, DOG]], min_score=0.2).verdict is None


def test_negatives_stay():
    picture = decide([], negatives=True)
    assert picture.verdict is None and picture.boxes == []


def test_whole_picture():
    picture = decide([[*LEFT, 0.9, DOG]], boxes='whole')
    assert (picture.boxes[0].corners, picture.boxes[0].origin) == ((0, 0, 1, 1), 'whole')


def test_annotations_take_precedence():
    drawn = [Box(0.2, 0.2, 0.5, 0.5, 'Down', None, 'voc')]
    picture = decide([[*LEFT, 0.9, DOG]], Annotation(drawn, 'voc', ['odd']))
    assert picture.boxes == drawn and picture.review == ['odd']
    assert decide([[*LEFT, 0.9, DOG]], Annotation([], 'voc')).verdict == 'no box'
    assert chosen(decide([[*LEFT, 0.9, DOG]], Annotation(None, 'none', ['broken']))) == [(LEFT, 0.9, DOG)]
    assert decide([], Annotation(drawn, 'voc'), boxes='whole').boxes == drawn
    assert decide([], Annotation(None, 'none', ['broken']), boxes='whole').boxes[0].origin == 'whole'


def test_several_candidates_go_to_review():
    assert 'several candidates: dog 0.80, dog 0.75' in decide([[*LEFT, 0.8, DOG], [*RIGHT, 0.75, DOG]]).review
    assert decide([[*LEFT, 0.8, DOG], [*RIGHT, 0.65, DOG]]).review == []
    assert decide([[*LEFT, 0.8, DOG], [*NEARLY_LEFT, 0.79, CAT]]).review == []  # one object, two names


def test_another_class_than_the_folder_goes_to_review():
    dogs = [[[*LEFT, 0.9, DOG]]] * 3
    assert decide([[*LEFT, 0.9, CAT]], others=dogs).review == ['shows cat 0.90, the folder should show dog']
    assert decide([[*LEFT, 0.9, DOG]], others=dogs).review == []


def test_class_names():
    assert class_ids(('dog', '17', 'Traffic_Light'), COCO_NAMES) == {18, 17, 10}
    assert class_ids(('any',), COCO_NAMES) is None
    with pytest.raises(UserError, match='did you mean dog'):
        class_ids(('dogg',), COCO_NAMES)


def test_iou():
    assert boxes.iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert boxes.iou((0, 0, 1, 1), (1, 1, 2, 2)) == 0
