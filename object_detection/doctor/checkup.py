"""All findings about a config and its records that need no TensorFlow, and the config with their fixes."""
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from object_detection.config import textedit, textproto
from object_detection.config.checks import Finding, Fix, located
from object_detection.doctor import rates, splits
from object_detection.doctor.data import Split
from object_detection.utils import files

GRADES = 'error', 'warning', 'hint'  # the worst first


def examine(config: Any, path: Path, known: Sequence[Finding], looked_at: Sequence[Split], devices: int
            ) -> list[Finding]:
    """Return findings beside those that are known, with their lines.

    Args:
        config: TrainEvalPipelineConfig, read from `path`.
        known: of config.checks and records.check_data. Where they have errors, nothing is computed from the sections at
            fault.
        looked_at: the data sets, that of training first; see data.read.
        devices: see rates.check.
    """
    found = splits.check(looked_at)
    if can_train(known):
        total = looked_at[0].total if looked_at and looked_at[0].name == 'train_input_reader' else None
        found += rates.check(config, devices, total)
    return located(found, path)


def can_train(findings: Iterable[Finding]) -> bool:
    """Return whether model and train_config have no errors, so that a model can be built and restored."""
    return not any(finding.severity == 'error' and finding.field.startswith(('model', 'train_config'))
                   for finding in findings)


def by_grade(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, errors first, and otherwise by their line."""
    return sorted(findings, key=lambda finding: (GRADES.index(finding.severity), finding.line))


def write_corrected(path: Path, findings: Iterable[Finding]) -> tuple[Path, list[Fix]] | None:
    """Write a config with the fixes of errors and warnings beside the one at `path`; return path and fixes.

    Hints may be meant, so they are left. None if there is nothing to fix. Nothing is overwritten:
    pipeline.fixed.config, pipeline.fixed2.config, ...
    """
    chosen: dict[str, Fix] = {}
    for finding in by_grade(findings):
        for fix in finding.fixes if finding.severity != 'hint' else ():
            chosen.setdefault(fix.field, fix)
    if not chosen:
        return None
    text = textedit.corrected(textproto.read_text(path), chosen.values())
    number, target = 1, path.with_name(f'{path.stem}.fixed{path.suffix}')
    while target.exists():
        number += 1
        target = path.with_name(f'{path.stem}.fixed{number}{path.suffix}')
    files.write_text(target, text)
    return target, list(chosen.values())


def as_json(finding: Finding, path: Path) -> dict[str, Any]:
    """Return a finding for JSON: grade, field, file, line (None if unknown), message, fixes."""
    return {'grade': finding.severity, 'field': finding.field, 'also': list(finding.also), 'file': str(path),
            'line': finding.line or None, 'source': finding.source or None, 'message': finding.message,
            'fixes': [{'field': fix.field, 'value': fix.value, 'why': fix.why} for fix in finding.fixes]}


def report_json(report: Any) -> dict[str, Any]:
    """Return what is known of the records of a reader (records.Report) for JSON."""
    boxes: Mapping[Any, int] = report.boxes_of
    return {'records': report.records, 'opened': report.checked, 'without_boxes': report.without_boxes,
            'boxes': {str(label): count for label, count in sorted(boxes.items(), key=str)}}
