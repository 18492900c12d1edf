"""Rules about one section of a config by itself, wherever it is.

A rule is a function of a message; it yields (field, message text) for each fault, '' being the section itself. A table
of rules maps the names of message types to the rules they must meet.
"""
import math
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from object_detection.config import fields
from object_detection.config.checks.findings import Finding, error

Faults = Iterator[tuple[str, str]]
Rule = Callable[[Any], Faults]
REFUSED = fields.table(fields.REFUSED)


def apply(rules: dict[str, list[Rule]], section: Message, path: str) -> Iterator[Finding]:
    """Yield the faults of a section, and of all sections in it that are set."""
    for place, message in _sections(section, path):
        for rule in rules.get(message.DESCRIPTOR.name, ()):
            for name, text in rule(message):
                yield error(f'{place}.{name}' if name else place, text)


def _sections(section: Message, path: str) -> Iterator[tuple[str, Message]]:
    yield path, section
    for place, _, _, value in fields.walk(section, path):
        yield from ((name, part) for name, part in fields.entries(place, value) if isinstance(part, Message))


def at_least_one(*names: str, reason: str = 'it must be at least 1') -> Rule:
    def rule(message: Message) -> Faults:
        for name in names:
            if getattr(message, name) < 1:
                yield name, f'is {getattr(message, name)}; {reason}'
    return rule


def pixels(*names: str) -> Rule:
    return at_least_one(*names, reason='sizes are in pixels, at least 1')


def between(low: float, high: float, *names: str) -> Rule:
    def rule(message: Message) -> Faults:
        for name in names:
            if not low <= getattr(message, name) <= high:
                yield name, f'is {getattr(message, name):g}; allowed: {low:g} to {high:g}'
    return rule


def positive(*names: str, most: float = math.inf) -> Rule:
    """A number above 0, and at most `most`."""
    def rule(message: Message) -> Faults:
        for name in names:
            if not 0 < getattr(message, name) <= most:
                limit = '' if most == math.inf else f', at most {most:g}'
                yield name, f'is {getattr(message, name):g}; it must be above 0{limit}'
    return rule


def at_most(name: str, limit: str) -> Rule:
    """One field is not above another."""
    def rule(message: Message) -> Faults:
        value, most = getattr(message, name), getattr(message, limit)
        if value > most:
            yield name, f'is {value:g}, more than {limit}, {most:g}'
    return rule


def one_of(name: str, *allowed: object) -> Rule:
    """A field, where it is set, has one of the allowed values."""
    def rule(message: Message) -> Faults:
        if message.HasField(name) and getattr(message, name) not in allowed:
            yield name, f'is {getattr(message, name)!r}; use one of {", ".join(map(str, allowed))}'
    return rule


def numbers(name: str, *counts: int) -> Rule:
    """A list has one of these lengths."""
    def rule(message: Message) -> Faults:
        values = list(getattr(message, name))
        if len(values) not in counts:
            yield name, f'is {values}; it needs {" or ".join("none" if not n else f"{n} numbers" for n in counts)}'
    return rule


def chooses(path: str, *kinds: str, required: bool = True) -> Rule:
    """The section at `path` (dotted; '' for the message itself) chooses one of these kinds, members of its oneof.

    Without `kinds`, any that is supported at all. Kinds that are refused everywhere are left to check_fields.
    """
    def rule(message: Message) -> Faults:
        section = message
        for name in filter(None, path.split('.')):
            section = getattr(section, name)
        oneof = section.DESCRIPTOR.oneofs[0]
        known = [field.name for field in oneof.fields if f'{section.DESCRIPTOR.name}.{field.name}' not in REFUSED]
        allowed = kinds or known
        advice = f'{"one of " * (len(allowed) > 1)}{", ".join(allowed)}'
        kind = section.WhichOneof(oneof.name)
        if kind is None and required:
            yield path, f'chooses no kind; it needs {advice}'
        elif kind in known and kind not in allowed:
            yield f'{path}.{kind}', f'is not supported in {message.DESCRIPTOR.name}; use {advice}'
    return rule
