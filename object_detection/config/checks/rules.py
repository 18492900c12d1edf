"""Rules about one section of a config by itself, wherever it is.

A rule is a function of a message; it yields (field, message text) for each fault, '' being the section itself. A table
of rules maps the names of message types to the rules they must meet.
"""
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from object_detection.config import unread_fields
from object_detection.config.checks.findings import Finding, error

Faults = Iterator[tuple[str, str]]
Rule = Callable[[Any], Faults]
REFUSED = unread_fields.table(unread_fields.REFUSED)


def apply(rules: dict[str, list[Rule]], section: Message, path: str) -> Iterator[Finding]:
    """Yield the faults of a section, and of all sections in it that are set."""
    for place, message in _sections(section, path):
        for rule in rules.get(message.DESCRIPTOR.name, ()):
            for name, text in rule(message):
                yield error(f'{place}.{name}' if name else place, text)


def _sections(section: Message, path: str) -> Iterator[tuple[str, Message]]:
    yield path, section
    for place, _, _, value in unread_fields.walk(section, path):
        yield from ((name, part) for name, part in unread_fields.entries(place, value) if isinstance(part, Message))


def limit(accepts: Callable[[Any], bool], advice: str) -> Callable[..., Rule]:
    """Return a function of field names, which makes the rule that all of them have an accepted value."""
    def rule_for(*names: str) -> Rule:
        def rule(message: Message) -> Faults:
            for name in names:
                if not accepts(value := getattr(message, name)):
                    number = f'{value:g}' if isinstance(value, float) else value
                    yield name, f'is {number if isinstance(value, (int, float)) else list(value)}; {advice}'
        return rule
    return rule_for


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
        advice = ('one of ' if len(allowed) > 1 else '') + ', '.join(allowed)
        kind = section.WhichOneof(oneof.name)
        if kind is None and required:
            yield path, f'no kind is set; choose {advice}'
        elif kind in known and kind not in allowed:
            yield f'{path}.{kind}', f'is not supported in {message.DESCRIPTOR.name}; use {advice}'
    return rule
