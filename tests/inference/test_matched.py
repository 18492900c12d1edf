"""Detectors whose class numbers are not those of the records are matched by the names of their classes."""
import numpy as np

from object_detection.config.label_map import Item, LabelMap
from object_detection.inference.evaluate import matched
from tests.support.colors import Colors, scene

LABELS = LabelMap((Item(1, 'blue'), Item(2, 'green', 'Green'), Item(3, 'red')))
IMAGE = scene({1: (5, 5, 30, 30), 2: (50, 50, 90, 90)})


def test_classes_of_the_same_name_are_the_same_class(capsys):
    runner = matched(Colors({1: 'RED', 2: 'blue'}), LABELS)
    found = runner.detect([IMAGE])[0]
    np.testing.assert_array_equal(found.classes, [3, 1])
    np.testing.assert_array_equal(found.boxes, Colors().detect([IMAGE])[0].boxes)
    assert runner.labels == {1: 'blue', 2: 'Green', 3: 'red'} and 'matched' in capsys.readouterr().out


def test_classes_that_the_records_do_not_have_are_dropped_and_named(capsys):
    found = matched(Colors({1: 'dog', 2: 'blue'}), LABELS).detect([IMAGE])[0]
    np.testing.assert_array_equal(found.classes, [1])
    assert '1 of them are not there (dog)' in capsys.readouterr().out


def test_equal_numbers_no_names_and_no_common_name_leave_the_detector_as_it_is(capsys):
    for runner in (Colors({3: 'red', 1: 'blue'}), Colors({})):
        assert matched(runner, LABELS) is runner
    assert not capsys.readouterr().out
    runner = Colors({1: 'cat'})
    assert matched(runner, LABELS) is runner and 'none of its classes (cat)' in capsys.readouterr().out
