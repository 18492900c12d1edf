"""What a check finds: severity, field and message, with file and line once located."""
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from object_detection.config import textproto
from object_detection.utils.errors import ConfigError


@dataclass(frozen=True)
class Finding:
    """One fault. The message says what came, what is allowed, and what to do.

    severity: 'error' (cannot work), 'warning' (works, perhaps not as meant) or 'note'. field: path in the config.
    where: file and line, see located. source: the file at fault, if it is not the config. also: other fields that name
    this file.
    """

    severity: str
    field: str
    message: str
    where: str = ''
    source: str = ''
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f'{self.where}{", ".join([self.field, *self.also])}: {self.message}'


def error(field: str, message: str) -> Finding:
    return Finding('error', field, message)


def warning(field: str, message: str) -> Finding:
    return Finding('warning', field, message)


def located(findings: Iterable[Finding], path: str | Path, overridden: bool = False) -> list[Finding]:
    """Return the findings with the file and line of their field, or of the section that lacks it.

    Args:
        path: the file that the config was read from.
        overridden: --config_override was laid over the file; the fault may not be in it, so lines are left out.
    """
    if overridden:
        return [replace(finding, where=f'{path} with --config_override: ') for finding in findings]
    lines = textproto.locate(textproto.read_text(path))

    def where(field: str) -> str:
        key: tuple = ()
        for part in field.split('.'):
            name, _, index = part.rstrip(']').partition('[')
            if (*key, name, int(index or 0)) not in lines:
                break
            key = (*key, name, int(index or 0))
        return f'{path}:{lines[key]}: ' if key else f'{path}: '

    return [replace(finding, where=where(finding.field)) for finding in findings]


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with those about the same fault of the same file, which several fields name, as one."""
    found: dict[object, Finding] = {}
    for number, finding in enumerate(findings):
        key = (finding.severity, finding.source, finding.message) if finding.source else number
        first = found.setdefault(key, finding)
        if first is not finding:
            found[key] = replace(first, also=(*first.also, finding.field))
    return list(found.values())


def demand(findings: Iterable[Finding]) -> list[Finding]:
    """Raise one ConfigError with all errors, if there are any; return the other findings."""
    findings = list(findings)
    if errors := [str(finding) for finding in findings if finding.severity == 'error']:
        raise ConfigError(errors)
    return findings
