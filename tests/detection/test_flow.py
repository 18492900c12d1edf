"""Items keep their order through all threads, broken ones are counted, and errors of writers are raised."""
import random
import time

import numpy as np
import pytest

from object_detection.detection import flow
from object_detection.detection.item import Broken, Item, Source
from tests.support.colors import Colors, scene


class Slow:
    """A writer that takes longer for some items, and may fail at one."""

    def __init__(self, fails_at=None, in_add=False):
        self.added, self.closed, self._fails_at, self._in_add = [], False, fails_at, in_add

    def make(self, item, found):
        time.sleep(random.Random(item.name).random() / 200)
        if item.name == self._fails_at and not self._in_add:
            raise OSError('disk full')
        return len(found)

    def add(self, item, made):
        if item.name == self._fails_at:
            raise OSError('disk full')
        self.added.append((item.name, made))

    def close(self):
        self.closed = True


def items(number):
    for i in range(number):
        if i % 7 == 3:
            yield Broken(str(i), 'torn')
        else:
            image = scene({1: (5, 5, 20, 20)} if i % 2 else {})
            yield Item(Source(None, str(i), str(i)), str(i), str(i), image, (160, 120))


def run(writer, number=30, batch=4):
    totals, broken, done = flow.Totals(), [], []
    flow.run(items(number), Colors(), batch, flow.keeper(.5, None), [writer], totals, broken.append,
             lambda totals: done.append(totals.items + totals.skipped), threads=3)
    return totals, broken, done


def test_writers_get_the_items_in_order_and_broken_ones_are_counted():
    writer = Slow()
    totals, broken, done = run(writer)
    assert writer.added == [(str(i), i % 2) for i in range(30) if i % 7 != 3]
    assert [one.name for one in broken] == ['3', '10', '17', '24']
    assert (totals.items, totals.skipped, totals.classes) == (26, 4, {1: 13})
    assert done == [4, 8, 12, 16, 20, 24, 28, 30]
    assert totals.busy > 0 and totals.utilization <= 1


@pytest.mark.parametrize('in_add', [False, True])
def test_an_error_of_a_writer_ends_the_run(in_add):
    writer = Slow('2', in_add)
    with pytest.raises(OSError, match='disk full'):
        run(writer, 200, 1)
    assert [name for name, _ in writer.added] == ['0', '1']


def test_an_error_with_the_last_item_is_raised_too():
    with pytest.raises(OSError, match='disk full'):
        run(Slow('2', True), 3)


def test_the_network_waits_for_writers_that_are_too_slow():
    class Late(Slow):
        def add(self, item, made):
            time.sleep(.01)
            super().add(item, made)

    class Watching(Colors):
        def detect(self, images):
            waiting.append(len(self.calls) - len(writer.added))
            return super().detect(images)
    writer, waiting = Late(), []
    good = (item for item in items(40) if isinstance(item, Item))
    flow.run(good, Watching(), 1, flow.keeper(0., None), [writer], flow.Totals(), print, lambda totals: None)
    assert 4 <= max(waiting) <= 6  # the queue for two threads, one being written, one to be put
    assert len(writer.added) == 34


def test_keeper_selects_by_score_and_class():
    found = Colors().detect([scene({1: (5, 5, 20, 20), 2: (50, 50, 70, 70)})])[0]
    assert flow.keeper(.7, None)(found).classes.tolist() == [1]
    assert flow.keeper(0., {2}).__call__(found).classes.tolist() == [2]
    assert np.all(flow.keeper(.6, None)(found).scores >= .6)
