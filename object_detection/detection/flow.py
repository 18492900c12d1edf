"""The flow of pictures: decoded ahead of the network, drawn and written behind it, in threads beside it."""
import itertools
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from object_detection.detection.item import Broken, Item
from object_detection.detection.writers import Writer
from object_detection.inference.detections import Detections, Runner

BEHIND = 2  # items that wait for a thread that writes, at most: photographs of 50 megapixels take 150 MB each


class Totals:
    """What has been done so far.

    Attributes:
        items: pictures or frames that went through the network.
        classes: {label id: number of detections}.
        skipped: broken pictures or frames.
        busy: seconds in which the network has computed.
    """

    def __init__(self) -> None:
        self.items, self.skipped, self.busy = 0, 0, 0.
        self.classes: Counter[int] = Counter()
        self._start = time.perf_counter()

    @property
    def utilization(self) -> float:
        """The share of the time since the start in which the network has computed."""
        return self.busy / max(time.perf_counter() - self._start, 1e-9)


def keeper(min_score: float, classes: set[int] | None) -> Callable[[Detections], Detections]:
    """Return fn(detections) that keeps those of the classes (None for all) with at least this score."""
    def keep(found: Detections) -> Detections:
        rows = found.scores >= min_score
        if classes is not None:
            rows &= np.isin(found.classes, sorted(classes))
        return found.select(rows)
    return keep


def run(items: Iterator[Item | Broken], runner: Runner, batch: int, keep: Callable[[Detections], Detections],
        writers: Sequence[Writer], totals: Totals, on_broken: Callable[[Broken], object],
        on_done: Callable[[Totals], object], threads: int = 2) -> None:
    """Detect objects in all items, and give what is kept to the writers, in order.

    Args:
        batch: items that are one call of the runner.
        totals: is added to.
        on_broken: called for each item that cannot be read.
        on_done: called after each batch.
        threads: that draw and write.
    """
    with Behind(writers, threads) as behind:
        for group in _batches(items, batch):
            for broken in (item for item in group if isinstance(item, Broken)):
                totals.skipped += 1
                on_broken(broken)
            good = [item for item in group if isinstance(item, Item)]
            start = time.perf_counter()
            found = [keep(one) for one in runner.detect([item.image for item in good])]
            totals.busy += time.perf_counter() - start
            totals.items += len(good)
            for item, one in zip(good, found):
                totals.classes.update(one.classes.tolist())
                behind.put(item, one)
            on_done(totals)


def _batches(items: Iterable[Item | Broken], size: int) -> Iterator[list[Item | Broken]]:
    items = iter(items)
    while group := list(itertools.islice(items, size)):
        yield group


class Behind:
    """Calls the writers beside the network: `make` of several items at once, `add` in their order.

    A context manager; its end waits for everything that is under way. An exception of a writer is raised by the next
    `put`, or by the end.
    """

    def __init__(self, writers: Sequence[Writer], threads: int) -> None:
        self._writers = writers
        self._pool = ThreadPoolExecutor(threads, 'draw')
        self._waiting: queue.Queue = queue.Queue(threads + BEHIND)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._add, name='write', daemon=True)

    def __enter__(self) -> 'Behind':
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._pool.shutdown()
        if kind is None:
            self._raise()

    def put(self, item: Item, found: Detections) -> None:
        """Hand over the detections of an item; wait while too many items are under way."""
        self._raise()
        self._waiting.put((item, self._pool.submit(self._make, item, found)))

    def _raise(self) -> None:
        if self._error:
            error, self._error = self._error, None
            raise error

    def _make(self, item: Item, found: Detections) -> list[Any]:
        return [writer.make(item, found) for writer in self._writers]

    def _add(self) -> None:
        failed = False
        while (given := self._waiting.get()) is not None:
            item, made = given
            try:
                results = made.result()
                for writer, result in zip(() if failed else self._writers, results):
                    writer.add(item, result)
            except BaseException as error:
                self._error, failed = self._error or error, True
