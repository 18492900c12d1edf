"""What the modules under the reference's names do about findings in a config."""
from collections.abc import Iterable

from object_detection.config import checks
from object_detection.utils import console


def demand(findings: Iterable[checks.Finding]) -> None:
    """Print the warnings; raise one ConfigError with all errors, if there are any."""
    for finding in checks.demand(findings):
        if finding.severity == 'warning':
            console.warn(str(finding))
