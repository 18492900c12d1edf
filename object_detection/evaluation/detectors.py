"""One page about detectors of any format on the same records: metrics, also of each class, speed, and size."""
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from object_detection.runs.metrics import (
    class_of,
    differences,
    has_value,
    is_loss,
    leading_metrics,
    printed,
    short_name,
)
from object_detection.runs.record import now
from object_detection.utils import console, pages


@dataclasses.dataclass(frozen=True)
class Detector:
    """An evaluated detector.

    Attributes:
        name: for people; as short as it can be told from the others.
        path: of the model.
        format: SavedModel, checkpoint, .tflite or .onnx.
        metrics: {name: value}, with the names that training writes.
        milliseconds: per picture, the median.
        megabytes: of its files.
    """
    name: str
    path: str
    format: str
    metrics: dict[str, float | None]
    milliseconds: float
    megabytes: float


def leading(detectors: Sequence[Detector]) -> list[str]:
    """Return the mAP of each metric, see runs.metrics; the first metric where there is none."""
    names = list(dict.fromkeys(name for one in detectors for name in one.metrics))
    return leading_metrics(names) or names[:1]


def show(detectors: Sequence[Detector], pictures: int) -> None:
    """Print a table of the detectors, one of the metrics, and one of the classes."""
    names = leading(detectors)
    console.table(['detector', 'format', *map(short_name, names), 'ms per picture', 'MB'], [
        (one.name, one.format, *('-' if not has_value(name, value := one.metrics.get(name)) else f'{value:.4f}'
                                 for name in names), f'{one.milliseconds:.1f}', f'{one.megabytes:.1f}')
        for one in detectors], title=f'{pictures} pictures')
    rows = list(differences([one.metrics for one in detectors]))
    for title, chosen in (('metric', [row for row in rows if not class_of(row['name'])]),
                          ('class', [row for row in rows if class_of(row['name'])])):
        if chosen:
            console.table([title, *(one.name for one in detectors)], [
                (_name(row['name']), *(printed(row, number) for number in range(len(detectors)))) for row in chosen])


def page(detectors: Sequence[Detector], pictures: int, records: Sequence[str], machine: str) -> str:
    """Return the page, HTML in one file.

    Args:
        pictures: that were evaluated.
        records: names of their files or patterns.
        machine: on which it was measured.
    """
    rows = list(differences([one.metrics for one in detectors]))
    return pages.render(
        Path(__file__).parent, 'detectors_template.html', detectors=detectors, names=[one.name for one in detectors],
        title=' and '.join(one.name for one in detectors), pictures=pictures, records=records, machine=machine,
        written=now(), leading=leading(detectors), metrics=[row for row in rows if not class_of(row['name'])],
        classes=[row for row in rows if class_of(row['name'])], class_of=class_of, has_value=has_value,
        is_loss=is_loss, short_name=short_name)


def _name(metric: str) -> str:
    """Return the name of a metric for a row: the class first, where it is one of a class."""
    of = class_of(metric)
    return f'{of[1]}, {of[0]}' if of else short_name(metric)
