"""Disk and worst batches; expected numbers by hand."""
import collections

import numpy as np

from object_detection.doctor import cost
from object_detection.doctor.data import Look


def look(index, boxes, size):
    return Look(index, '', size, np.zeros((boxes, 4)), np.zeros(boxes, np.int64))


def test_disk_of_the_checkpoints():
    # Steps 0, 1000, 2000, 2500; two and best/ of 300 with the state of the optimizer, two of 200 without.
    assert cost.disk(2500, 1000, 100, 2, 300, 100) == (4, 3 * 300 + 2 * 200)
    assert cost.disk(100_000, 1000, 5, 3, 300, 100) == (5, 4 * 300 + 2 * 200)
    assert cost.disk(100, 1000, 1, 3, 300, 100) == (1, 2 * 300)


def test_checkpoints_that_do_not_fit_are_a_finding(tmp_path, monkeypatch):
    usage = collections.namedtuple('usage', 'total used free')
    monkeypatch.setattr(cost.shutil, 'disk_usage', lambda folder: usage(100e9, 90e9, 10e9))
    assert cost.check_disk(int(8.9e9), 50, tmp_path) == []
    (finding,) = cost.check_disk(int(9.1e9), 50, tmp_path)
    assert '50 checkpoints and best/ take 9.1 GB, and 10.0 GB are free' in finding.message


def test_waiting_for_input():
    assert cost.check_waiting(.2) == []
    assert 'waits for input 40% of the time' in cost.check_waiting(.4)[0].message


def test_the_worst_batch_has_the_most_boxes_and_the_largest_pictures():
    looks = [look(10, 3, (100, 100)), look(11, 50, (50, 50)), look(12, 0, (2000, 1000)), look(13, 40, (60, 60))]
    assert cost.worst(looks, 3, 100) == [11, 13, 12]
    assert cost.worst(looks[:1], 2, 100) == [10, 10]
    assert cost.worst(looks, 2, 40) == [11, 12]  # both of the crowded have 40 that are read; the first counts
    assert cost.worst([], 2, 100) == []
