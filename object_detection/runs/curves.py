"""Curves of a run, read from its TensorBoard event files without TensorFlow."""
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

Curve = list[tuple[int, float]]  # (step, value), by step

_HEADER, _FOOTER = 12, 4  # of a record in an event file, which is a TFRecord file


def scalars(folder: str | Path) -> dict[str, Curve]:
    """Return {tag: curve} of all event files of a folder; empty if it has none.

    Each start of a training writes a file of its own. It trains steps anew that an earlier one had written after its
    last checkpoint; the points of the later file count.
    """
    points: dict[str, dict[int, float]] = {}
    for path in sorted((path for path in Path(folder).glob('*tfevents*') if path.is_file()), key=_age):
        fresh = list(_scalars(path))
        if fresh:
            first = min(step for _, step, _ in fresh)
            points = {tag: {step: value for step, value in known.items() if step < first}
                      for tag, known in points.items()}
        for tag, step, value in fresh:
            points.setdefault(tag, {})[step] = value
    return {tag: sorted(known.items()) for tag, known in points.items() if known}


def _age(path: Path) -> tuple[int, str]:
    """Sort by the second of the start, which is in the name."""
    second = re.search(r'tfevents\.(\d+)', path.name)
    return int(second[1]) if second else 0, path.name


def _scalars(path: Path) -> Iterator[tuple[str, int, float]]:
    """Yield (tag, step, value); only what is whole of a file that is being written."""
    from tensorboard.compat.proto import event_pb2
    for data in _whole(path.read_bytes()):
        event = event_pb2.Event.FromString(data)
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == 'scalars' and value.WhichOneof('value') == 'tensor':
                tensor = value.tensor
                numbers = tensor.float_val or np.frombuffer(tensor.tensor_content, '<f4')
                if len(numbers) == 1:
                    yield value.tag, event.step, float(numbers[0])


def _whole(content: bytes) -> Iterator[bytes]:
    """Yield the records of a TFRecord file that may end in the middle of one."""
    offset = 0
    while offset + _HEADER <= len(content):
        length, = struct.unpack_from('<Q', content, offset)
        end = offset + _HEADER + length
        if end + _FOOTER > len(content):
            return
        yield content[offset + _HEADER:end]
        offset = end + _FOOTER
