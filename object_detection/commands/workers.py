"""The processes of a run of phases: a fresh one for each, which gets ready while the phase before is at its end."""
import contextlib
import time
from collections.abc import Iterator
from typing import Any

from object_detection.utils import machine, phases

PRELOAD = ['object_detection.training.train', 'object_detection.evaluation.evaluator']
LEAD = 10.  # seconds that a process may need to import TensorFlow while another one computes
FREE_MEMORY = 2.  # GB; where less is left, the phase that runs needs it more


class Workers(Iterator[phases.Worker]):
    """An iterator of fresh workers that does not end. A context manager: no process outlives the block.

    The next worker starts once `nearly_done` says so. It imports TensorFlow, reads the config and the index of the
    records, which touches no GPU, and waits; its phase begins when that of the worker before has ended. If there is
    none, it ends with the block, or with this process.

    Args:
        worker: for the first phase; the others are like it.
    Attributes:
        coming: title of the phase that follows the one that runs: train, eval or eval_train; '' if there is none.
        config_text: the pipeline.config, once it is known.
    """

    def __init__(self, worker: phases.Worker) -> None:
        self._waiting: phases.Worker | None = worker
        self._last = worker
        self.coming = self.config_text = ''

    def __next__(self) -> phases.Worker:
        worker, self._waiting = self._waiting, None
        if worker and not worker.is_alive():  # killed while it waited
            worker.__exit__()
            worker = None
        self._last = worker or self._last.another()
        self._last.nearly_done = self._start_next
        return self._last

    def __enter__(self) -> 'Workers':
        return self

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            self._waiting.__exit__()

    def _start_next(self) -> None:
        free = machine.free_memory()
        if not self.coming or self._waiting or (free is not None and free < FREE_MEMORY):
            return
        with contextlib.suppress(OSError):  # no process can be started: the phase that runs goes on
            self._waiting = self._last.another()
            self._waiting.prepare(read_ahead, {'config_text': self.config_text, 'title': self.coming})


def read_ahead(config_text: str, title: str) -> None:
    """Read what the phase of this title will read before it computes: the config, the label map, the records' index."""
    from object_detection.config import label_map, pipeline
    from object_detection.records import Records
    config = pipeline.parse(config_text)
    reader = config.eval_input_reader[0] if title == 'eval' else config.train_input_reader
    if reader.label_map_path:
        label_map.load(reader.label_map_path)
    Records(reader.tf_record_input_reader.input_path)


class Countdown:
    """Tell from the events of a phase how many seconds it has left.

    Args:
        pictures: of an evaluation; None if that is not known.
        lasted: seconds that an evaluation of the same pictures took before.
    """

    def __init__(self, pictures: int | None = None, lasted: float | None = None) -> None:
        self._pictures, self._lasted, self._target = pictures, lasted, 0
        self._began: tuple[float, int] | None = None

    def left(self, name: str, values: dict[str, Any]) -> float | None:
        """Take an event, and return the seconds; None if it does not tell."""
        if name == 'started':
            self._target = values['target']
        elif name == 'restored' and self._lasted is not None:
            return self._lasted
        elif name == 'progress' and values['steps_per_second'] > 0:
            return (self._target - values['step']) / values['steps_per_second']
        elif name == 'evaluated' and self._pictures:
            done, now = values['pictures'], time.monotonic()
            if done >= self._pictures:
                return 0.
            if self._began is None:  # the first batch, whose time is that of the start
                self._began = now, done
            elif done > self._began[1]:
                return (self._pictures - done) * (now - self._began[0]) / (done - self._began[1])
        return None


def pictures_of(known: dict[str, dict[str, Any]], arguments: dict[str, Any]) -> int | None:
    """Return about how many pictures an evaluation has; None if that is not known, or it is none.

    Args:
        known: {name of the input_reader: fingerprint} of the run's data.
        arguments: of the phase.
    """
    if 'sample_1_of_n' not in arguments:
        return None
    name = 'train_input_reader' if arguments.get('on_train_data') else 'eval_input_reader[0]'
    return known[name]['records'] // arguments['sample_1_of_n'] if name in known else None
