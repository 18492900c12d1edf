"""What a check finds: severity, field and message, with file and line once located."""
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from object_detection.config import textproto
from object_detection.utils.errors import ConfigError


@dataclass(frozen=True)
class Fix:
    """A change of a config that puts a finding right.

    field: path in the config. value: a number, text, or list for a repeated field. why: the reason, in a few words.
    """

    field: str
    value: Any
    why: str


@dataclass(frozen=True)
class Finding:
    """One fault. The message says what came, what is allowed, and what to do.

    severity: 'error' (cannot work), 'warning' (works, perhaps not as meant) or 'hint' (may be meant). field: path
    in the config. where: file and line, see located. source: the file at fault, if it is not the config. also: other
    fields that name this file. fixes: what train_t2.py --fix changes. line: of the config, from 1; 0 if it is not
    known.
    """

    severity: str
    field: str
    message: str
    where: str = ''
    source: str = ''
    also: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    line: int = 0

    def __str__(self) -> str:
        return f'{self.where}{", ".join([self.field, *self.also])}: {self.message}'


def error(field: str, message: str) -> Finding:
    return Finding('error', field, message)


def warning(field: str, message: str, *fixes: Fix) -> Finding:
    return Finding('warning', field, message, fixes=fixes)


def hint(field: str, message: str, *fixes: Fix) -> Finding:
    return Finding('hint', field, message, fixes=fixes)


def located(findings: Iterable[Finding], path: str | Path, overridden: bool = False) -> list[Finding]:
    """Return the findings with the file and line of their field, or of the section that lacks it.

    Args:
        path: the file that the config was read from.
        overridden: --config_override was laid over the file; the fault may not be in it, so lines are left out.
    """
    if overridden:
        return [replace(finding, where=f'{path} with --config_override: ') for finding in findings]
    lines = textproto.locate(textproto.read_text(path))

    def line_of(field: str) -> int:
        key = textproto.key_of(field)
        while key and key not in lines:
            key = key[:-2]
        return lines.get(key, 0)

    def placed(finding: Finding) -> Finding:
        line = line_of(finding.field)
        return replace(finding, where=f'{path}:{line}: ' if line else f'{path}: ', line=line)

    return [placed(finding) for finding in findings]


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
