"""Every task gets its result, and a task that kills its process costs only itself."""
import os
import time

import pytest

from object_detection.preparation import workers
from object_detection.preparation.workers import Crashed, Pool

DEADLY = 71


def unordered(function, tasks, count, workers):
    with Pool(workers) as pool:
        yield from pool.unordered(function, tasks, count)


def square(number):
    if number == DEADLY:
        os._exit(3)
    return number * number


def process(_):
    return os.getpid()


def refuse(number):
    raise ValueError(f'not {number}')


@pytest.mark.parametrize('count', [0, 1, 30, 200])  # 200: tasks travel in groups
def test_every_task_has_its_result(count):
    numbers = list(range(1000, 1000 + count))
    assert dict(unordered(square, numbers, count, workers=2)) == {number: number * number for number in numbers}


def test_a_crash_costs_one_task():
    results = dict(unordered(square, range(150), 150, workers=2))
    assert isinstance(results.pop(DEADLY), Crashed)
    assert results == {number: number * number for number in range(150) if number != DEADLY}


def test_a_crash_between_two_results_costs_one_task(monkeypatch):
    """The pool is broken when the next task is submitted: submit raises, not result."""
    pools, make = [], workers._pool
    monkeypatch.setattr(workers, '_pool', lambda count: pools.append(make(count)) or pools[-1])
    numbers = [1, DEADLY, *range(2, 12)]
    stream = unordered(square, numbers, len(numbers), workers=1)
    results = dict([next(stream)])
    deadline = time.monotonic() + 60
    while not pools[0]._broken and time.monotonic() < deadline:
        time.sleep(.01)
    results |= dict(stream)
    assert isinstance(results.pop(DEADLY), Crashed)
    assert results == {number: number * number for number in numbers if number != DEADLY}


def test_processes_serve_all_stages_and_are_replaced():
    with Pool(1) as pool:
        first = {number for _, number in pool.unordered(process, range(3), 3)}
        assert first == {number for _, number in pool.unordered(process, range(3), 3)} and len(first) == 1
        assert any(isinstance(result, Crashed) for _, result in pool.unordered(square, [DEADLY], 1))
        assert first.isdisjoint(number for _, number in pool.unordered(process, range(3), 3))


def test_an_error_is_raised_here():
    with pytest.raises(ValueError, match='not 5'):
        list(unordered(refuse, [5], 1, workers=1))
