"""What is wrong with the records of a data set, alone and against the pipeline.config that names them."""
import dataclasses
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from object_detection import protos
from object_detection.config import paths
from object_detection.config.checks import Finding, Fix, label_map_of, warning
from object_detection.config.label_map import LabelMap
from object_detection.config.pipeline import architecture
from object_detection.records import faults
from object_detection.records.fingerprint import fingerprint
from object_detection.records.pictures import BROKEN, fatal
from object_detection.records.tfrecord import Records
from object_detection.utils.errors import UserError

_LEAST = 16  # records that are opened however long it takes
_SEARCHED = 10_000  # further records that are searched for a usable box before a data set is said to have none


@dataclasses.dataclass
class Report:
    """What `check` found.

    Attributes:
        records: number of records.
        checked: number of records that were opened.
        boxes_of: number of boxes of each label (name, or id where the record has no names).
        without_boxes: number of opened records without boxes.
        boxes: number of boxes.
        usable: number of boxes that a model can learn and be evaluated on.
        errors: lines about what would spoil or stop a training.
        warnings: lines about what is worth a look.
        fatal: those errors at which the input pipeline fails, or after which the loss is not finite.
        broken: {index: what is wrong} of the opened records with such an error.
        crowded: the most boxes of an opened record, if that is more than max_number_of_boxes, and a line about it.
        others: keys of features in the opened records that are not part of the schema.
        fingerprint: see records.fingerprint.
    """

    records: int
    checked: int
    boxes_of: Counter[str | int] = dataclasses.field(default_factory=Counter)
    without_boxes: int = 0
    boxes: int = 0
    usable: int = 0
    errors: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    fatal: list[str] = dataclasses.field(default_factory=list)
    broken: dict[str, str] = dataclasses.field(default_factory=dict)
    crowded: tuple[int, str] = (0, '')
    others: list[str] = dataclasses.field(default_factory=list)
    fingerprint: dict[str, Any] = dataclasses.field(default_factory=dict)


def check(patterns: str | os.PathLike | Sequence[str | os.PathLike], label_map: LabelMap | None = None,
          sample: int | None = None, reader: protos.InputReader | None = None, num_classes: int = 0,
          labels: bool = True, seconds: float | None = None) -> Report:
    """Look at records and report each fault once: how many records have it, the first picture and record with it.

    Pictures that cannot be decoded are named up to ten times. Checksums are compared too.

    Args:
        patterns: see Records.
        label_map, reader, num_classes, labels: see faults.examine.
        sample: number of records to open, evenly spread; None for all.
        seconds: open no more records after this time; those that were opened are spread all the same.
    """
    records = Records(patterns)
    chosen = range(len(records)) if not sample else sorted({i * len(records) // sample for i in range(sample)})
    report = Report(len(records), 0, fingerprint=fingerprint(records, label_map))
    looks: dict[int, faults.Look] = {}
    end = time.monotonic() + seconds if seconds else float('inf')
    for i in _spread(chosen) if seconds else chosen:
        if len(looks) >= _LEAST and time.monotonic() > end:
            break
        data, intact = records.read(i)
        looks[i] = faults.examine(data, label_map, reader, num_classes, labels)
        if not intact:
            looks[i].faults.append(fatal('the data has a wrong checksum'))
    report.checked = len(looks)
    places: dict[tuple[str, str], list[str]] = {}
    for i, look in sorted(looks.items()):
        report.boxes_of.update(look.labels)
        report.without_boxes += not look.boxes
        report.boxes += look.boxes
        report.usable += look.usable
        for severity, kind, detail, _ in look.faults:
            place = f'{_name(look)} ({records.where(i)}{"; " + detail if detail else ""})'
            places.setdefault((severity, kind), []).append(place)
        if kinds := [fault.kind for fault in look.faults if fault.fatal]:
            report.broken[str(i)] = f'{_name(look)}: {"; ".join(kinds)} ({records.where(i)})'
    stopping = {fault.kind for look in looks.values() for fault in look.faults if fault.fatal}
    for (severity, kind), found_at in places.items():
        line = _line(kind, found_at)
        (report.errors if severity == 'error' else report.warnings).append(line)
        report.fatal += [line] * (kind in stopping)
    report.crowded = _crowd(records, looks, reader)
    report.warnings += _numbers(looks, label_map)
    report.others = sorted({key for look in looks.values() for key in look.others})
    if report.boxes and not report.usable:
        rest = [i for i in range(0, len(records), -(-len(records) // _SEARCHED)) if i not in looks]
        report.usable = next(filter(None, (faults.examine(records.read(i)[0], label_map, reader, num_classes, labels,
                                                          picture=False).usable for i in rest)), 0)
    return report


def check_data(config: Any, sample: int | None = 1000, seconds: float | None = None, lenient: bool = False,
               training: bool = True, most_broken: int = 0) -> tuple[list[Finding], dict[str, Report]]:
    """Look at the records of all input_readers of a TrainEvalPipelineConfig.

    Args:
        sample: number of records of each reader to open, evenly spread; None for all.
        seconds: see check.
        lenient: what neither stops a run nor leaves it without usable boxes is a warning.
        training: look at those of train_input_reader too.
        most_broken: so many records of a reader may be broken, and are going to be skipped: what is wrong with them is
            a warning. Report.broken has more only where this is 0.
    Returns:
        findings: what config.checks does not find; missing files and label maps are left to it. Readers of the same
            records share them: each is listed for the first.
        reports: {name of the reader: Report} of those whose records could be read.
    """
    readers = {'train_input_reader': config.train_input_reader} if training else {}
    readers |= {f'eval_input_reader[{i}]': reader for i, reader in enumerate(config.eval_input_reader)}
    _, model = architecture(config)
    findings, reports = [], {}
    known: dict[tuple, Report] = {}
    for name, reader in readers.items():
        field = f'{name}.tf_record_input_reader.input_path'
        patterns = list(reader.tf_record_input_reader.input_path)
        if not patterns or any(severity == 'error' for pattern in patterns for severity, _ in paths.records(pattern)):
            continue
        key = (*patterns, reader.label_map_path, reader.num_keypoints, reader.load_instance_masks, reader.mask_type,
               reader.max_number_of_boxes)
        if key in known:
            reports[name] = known[key]
            continue
        labels = label_map_of(reader)
        try:
            report = check(patterns, labels, sample, reader, model.num_classes if model else 0,
                           labels is not None or not reader.label_map_path, seconds)
        except UserError as error:
            findings += [Finding('error', field, message) for message in error.findings]
            continue
        known[key] = reports[name] = report
        useless = list(_useless(report, name == 'train_input_reader'))
        mild = 'warning' if lenient and not any(severity == 'error' for severity, _ in useless) else 'error'
        skipped = 0 < len(report.broken) <= most_broken
        severity_of = dict.fromkeys(report.fatal, 'warning' if skipped else 'error')
        findings += [Finding(severity_of.get(line, mild), field, line) for line in report.errors]
        findings += [Finding(severity, field, line) for severity, line in useless]
        if report.crowded[0]:
            most = f'{name}.max_number_of_boxes'
            findings.append(warning(most, report.crowded[1], Fix(
                most, report.crowded[0], f'the most boxes of a picture in {report.checked} records')))
        findings += [Finding('warning', field, line) for line in [*report.warnings, *_unused(labels, report)]]
    return findings, reports


def _spread(chosen: Sequence[int]) -> Iterator[int]:
    """Yield all of `chosen` in an order of which every beginning is spread over the whole."""
    bits = max(len(chosen) - 1, 1).bit_length()
    for number in range(1 << bits):
        at = int(f'{number:0{bits}b}'[::-1], 2)
        if at < len(chosen):
            yield chosen[at]


def _name(look: faults.Look) -> str:
    return look.name or 'no file name'


def _line(kind: str, places: list[str]) -> str:
    shown = places[:10] if kind == BROKEN else places[:1]
    more = f' and {len(places) - len(shown)} more' if len(places) > len(shown) else ''
    return f'{kind}: {", ".join(shown)}{more}'


def _crowd(records: Records, looks: dict[int, faults.Look], reader: protos.InputReader | None) -> tuple[int, str]:
    """Return the most boxes of a picture, if that is more than the reader takes, and a line about it; else (0, '')."""
    most = reader.max_number_of_boxes if reader is not None else 0
    crowded = {i: look.kept for i, look in looks.items() if most and look.kept > most}
    if not crowded:
        return 0, ''
    worst = max(crowded, key=lambda i: crowded[i])
    return crowded[worst], (
        f'{len(crowded)} of {len(looks)} pictures have more boxes than max_number_of_boxes of the input_reader '
        f'({most}); the rest is left out, so set max_number_of_boxes: {crowded[worst]}, or more: '
        f'{_name(looks[worst])} ({records.where(worst)})')


def _numbers(looks: dict[int, faults.Look], label_map: LabelMap | None) -> Iterator[str]:
    """Without a label map, warn of names that stand beside several numbers: the numbers count."""
    numbers_of: dict[str, set[int]] = {}
    for look in looks.values() if label_map is None else ():
        for name, number in look.pairs:
            numbers_of.setdefault(name, set()).add(number)
    for name, numbers in numbers_of.items():
        if len(numbers) > 1:
            yield (f'class {name!r} has the numbers {", ".join(map(str, sorted(numbers)))}; without label_map_path the '
                   'numbers count')


def _useless(report: Report, training: bool) -> Iterator[tuple[str, str]]:
    """Yield (severity, line) where no box can be used."""
    if report.boxes and not report.usable:
        so = 'training would learn nothing' if training else 'every metric would be -1'
        yield 'error', (f'none of the {report.boxes} boxes in the {report.checked} records looked at can be used: {so}')
    elif not report.boxes:
        keys = f'; they have features that are not read: {", ".join(report.others[:8])}' if report.others else ''
        severity = 'error' if training and report.checked == report.records else 'warning'
        yield severity, f'none of the {report.checked} records looked at has a box{keys}'


def _unused(labels: LabelMap | None, report: Report) -> Iterable[str]:
    """Warn of labels that no box has."""
    if not labels or not report.usable:
        return
    known = [item for item in labels.items if not {item.id, item.name, item.display_name} & report.boxes_of.keys()]
    if known:
        names = ', '.join(item.display_name or item.name for item in known[:10])
        more = f' and {len(known) - 10} more' if len(known) > 10 else ''
        yield f'no box in the {report.checked} records looked at has the label {names}{more}'
