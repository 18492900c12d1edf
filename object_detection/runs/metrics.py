"""Names of metrics, and which of two values is the better one."""
import collections
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def leading_metrics(names: Iterable[str]) -> list[str]:
    """Select the mAP of each metric in metrics_set: the first of its names, which come in groups."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.split('/')[0], name)
    return [name for group, name in first.items() if group.endswith('_Precision')]


def short_names(tags: Iterable[str]) -> list[str]:
    """Shorten each tag to its last part; to the last two where several tags end alike."""
    parts = [tag.split('/') for tag in tags]
    ends = collections.Counter(names[-1] for names in parts)
    return ['/'.join(names[-1 if ends[names[-1]] == 1 else -2:]) for names in parts]


def short_name(metric: str) -> str:
    """Shorten the name of a metric for people, as far as it stays clear what it is."""
    for start in ('DetectionBoxes_', 'Precision/', 'Recall/', 'Loss/'):
        metric = metric.removeprefix(start)
    return metric


def class_of(metric: str) -> tuple[str, str] | None:
    """Return (name of the metric, class) of a metric of one class; None for any other metric.

    They are called DetectionBoxes_PerformanceByCategory/mAP/dog, DetectionBoxes_Recall/AR@100 ByCategory/dog, and
    PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog.
    """
    group, marked, rest = metric.partition('ByCategory/')
    if not marked:
        return None
    if group.endswith('_Performance'):
        name, _, label = rest.partition('/')
        return name, label
    return short_name(group.strip()), rest


def is_loss(metric: str) -> bool:
    """Return whether a smaller value of the metric is a better one."""
    return metric.startswith('Loss/')


def has_value(metric: str, value: float | None) -> bool:
    """Return whether a metric has a value; -1 is what COCO metrics say where there is no groundtruth."""
    return value is not None and (value >= 0 or is_loss(metric))


def text(metric: str, value: float | None) -> str:
    """Return a value for people: four digits, or why there is none."""
    if value is None or math.isnan(value):
        return 'no value'
    if has_value(metric, value):
        return f'{value:.4g}' if is_loss(metric) else f'{value:.4f}'
    return 'no groundtruth of this size' if metric.endswith(('(small)', '(medium)', '(large)')) else 'no groundtruth'


def better(metric: str, value: float, other: float) -> bool:
    """Return whether `value` of the metric is better than `other`."""
    return value < other if is_loss(metric) else value > other


def best_of(metric: str, values: dict[str, float | None]) -> str | None:
    """Return the key of the best value, the first of equal ones; None if there is no value."""
    known = {key: value for key, value in values.items() if value is not None and has_value(metric, value)}
    return min(known, key=lambda key: known[key] if is_loss(metric) else -known[key]) if known else None


def differences(metrics: Sequence[Mapping[str, float | None]]) -> Iterator[dict[str, Any]]:
    """Yield {'name', 'values', 'differences', 'better'} of each metric of several evaluations, one entry for each.

    Differences are to the first, None where either has no value; better is True, False, or None for no difference.
    """
    for name in dict.fromkeys(name for values in metrics for name in values):
        values = [one.get(name) for one in metrics]
        known = [value if value is not None and has_value(name, value) else None for value in values]
        first = known[0]
        yield {'name': name, 'values': values,
               'differences': [None if first is None or value is None else value - first for value in known],
               'better': [None if first is None or value is None or value == first else better(name, value, first)
                          for value in known]}


def printed(row: Mapping[str, Any], number: int) -> str:
    """Return the value of one evaluation in a row of `differences`, with its difference to the first, as text."""
    value, difference = row['values'][number], row['differences'][number]
    if value is None or not has_value(row['name'], value):
        return '-'
    return f'{value:.4f}' + (f' ({difference:+.4f})' if number and difference is not None else '')
