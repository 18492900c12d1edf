"""Edit a config and keep a list of the changes with their reasons."""
import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from object_detection import protos


@dataclass(frozen=True)
class Change:
    """field: path of the field. old, new: values as a pipeline.config shows them, '-' for none. why: the reason."""
    field: str
    old: str
    new: str
    why: str


def describe(changes: Iterable[Change]) -> Iterator[str]:
    """Yield a line for each change; changes that share a reason are followed by one line with it."""
    for why, group in itertools.groupby(changes, key=lambda change: change.why):
        for change in group:
            parts = change.field.split('.')
            field = f'{parts[0]} ... {parts[-1]}' if len(parts) > 4 else change.field
            yield f'{field}: ' + (f'{change.old}, removed' if change.new == '-' else
                                  f'{change.new}, added' if change.old == '-' else f'{change.old} -> {change.new}')
        yield f'    {why}'


class Edit:
    """Edits a config in place and collects the changes.

    Paths are like train_config.batch_size and eval_input_reader[0].label_map_path.
    """

    def __init__(self, config: protos.TrainEvalPipelineConfig, changes: Iterable[Change] = ()) -> None:
        self.config, self.changes = config, list(changes)

    def set(self, path: str, value: Any, why: str) -> None:
        """Set a field: a repeated one to a list, an enum to a name. A field that has the value is no change."""
        section, name, field = self._find(path)
        old = getattr(section, name)
        if isinstance(value, list):
            is_set, same = len(old) > 0, list(old) == value
            before = _shown(field, list(old))
            old[:] = value
        else:
            is_set, before = section.HasField(name), _shown(field, old)
            setattr(section, name, field.enum_type.values_by_name[value].number if field.enum_type else value)
            same = is_set and getattr(section, name) == old  # compared as the message stores it, in float32
        if not same:
            new = list(old) if isinstance(value, list) else getattr(section, name)
            self._note(path, before if is_set else '-', _shown(field, new), why)

    def clear(self, path: str, why: str) -> None:
        """Remove a field with everything in it."""
        section, name, field = self._find(path)
        old = getattr(section, name)
        several = hasattr(old, '__len__') and not isinstance(old, str)
        if len(old) if several else section.HasField(name):
            self._note(path, f'{len(old)} entries' if several else _shown(field, old), '-', why)
            section.ClearField(name)

    def drop(self, path: str, keys: Collection[str], why: str) -> None:
        """Remove these keys from a map field."""
        section, name, _ = self._find(path)
        for key in keys:
            del getattr(section, name)[key]
        if keys:
            self._note(path, ', '.join(sorted(keys)) if len(keys) < 4 else f'{len(keys)} entries', '-', why)

    def _note(self, path: str, old: str, new: str, why: str) -> None:
        self.changes.append(Change(path, old, new, why))

    def _find(self, path: str) -> tuple[Any, str, FieldDescriptor]:
        """Return the message that holds the field at a path, the field's name, and its descriptor."""
        section = self.config
        *parts, last = path.split('.')
        for part in parts:
            name, _, index = part.rstrip(']').partition('[')
            section = getattr(section, name)[int(index)] if index else getattr(section, name)
        return section, last, section.DESCRIPTOR.fields_by_name[last]


def _shown(field: FieldDescriptor, value: Any) -> str:
    """Format a value briefly, as in a pipeline.config."""
    if isinstance(value, list):
        return _shown(field, value[0]) if len(value) == 1 else '[' + ', '.join(_shown(field, v) for v in value) + ']'
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f'{value:.6g}'
    return f'"{value}"' if isinstance(value, str) else str(value)
