"""The metrics of every evaluated checkpoint of a model_dir, kept in its metrics.json. Imports no TensorFlow."""
import json
import math
from pathlib import Path
from typing import Any

from object_detection.utils import files


class Record:
    """What metrics.json holds: {checkpoint (ckpt-7): {'step': N, 'eval': {metric: value}, 'eval_train': {...}}}.

    A metric without a value is null there and None here. Every change is written at once, to the file as it is then:
    one process may train while another one evaluates.

    Attributes:
        entries: the content of the file.
    """

    def __init__(self, model_dir: str | Path) -> None:
        self.folder = Path(model_dir)
        self.path = self.folder / 'metrics.json'
        self.entries: dict[str, dict[str, Any]] = {}
        self._read()

    def evaluated(self, title: str) -> list[str]:
        """List the checkpoints with an evaluation of this title: 'eval' or 'eval_train'."""
        return [checkpoint for checkpoint, entry in self.entries.items() if title in entry]

    def add(self, title: str, checkpoint: str, step: int, metrics: list[tuple[str, float]]) -> None:
        """Add an evaluation of a checkpoint at a global step."""
        self._read()
        values = {name: None if math.isnan(value) else value for name, value in metrics}
        self.entries.setdefault(checkpoint, {}).update({'step': step, title: values})
        self._write()

    def forget(self, checkpoint: str) -> None:
        """Drop all evaluations of a checkpoint."""
        self._read()
        if self.entries.pop(checkpoint, None):
            self._write()

    def _read(self) -> None:
        if self.path.exists():
            self.entries = json.loads(self.path.read_text(encoding='utf-8'))

    def _write(self) -> None:
        files.write_text(self.path, json.dumps(self.entries, indent=1))
