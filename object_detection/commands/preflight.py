"""What the commands that read records check before they wait for TensorFlow: the config, and the records it names."""
from pathlib import Path
from typing import Any

from object_detection import records
from object_detection.config import checks
from object_detection.utils import console


def examine(config: Any, path: Path, sample: int | None, seconds: float | None = None, lenient: bool = False,
            training: bool = True, on_train_data: bool = False, most_broken: int = 0
            ) -> tuple[list[checks.Finding], dict[str, records.Report]]:
    """Return all findings about a config and its records, with their lines, and {name of the reader: Report}.

    Args:
        config: TrainEvalPipelineConfig.
        path: the file it is from.
        sample, seconds, lenient: see records.check_data.
        training: False to evaluate only, which takes no train_config.
        on_train_data: the training pictures are evaluated, too.
        most_broken: see records.check_data.
    """
    if training:
        findings = checks.check(config, path, on_train_data)
    else:
        findings = checks.merged([*checks.check_model(config), *checks.check_evaluation(config, on_train_data)])
        findings = checks.located(findings, path)
    in_records, reports = records.check_data(config, sample, seconds, lenient, training or on_train_data,
                                             most_broken)
    return findings + checks.located(in_records, path), reports


def demand(findings: list[checks.Finding]) -> None:
    """Print the warnings; raise a UserError with the errors, if there are any."""
    for finding in findings:
        if finding.severity == 'warning':  # hints are for train_t2.py
            console.warn(str(finding))
    checks.demand(findings)
