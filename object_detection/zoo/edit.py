"""Changes to a config, each noted with its reason."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """old, new: as the file shows them; '-' where nothing stands."""
    field: str
    old: str
    new: str
    why: str


class Edit:
    """config: a TrainEvalPipelineConfig, changed in place. changes: list of Change, in the order they were made.

    Paths are like train_config.batch_size and eval_input_reader[0].label_map_path.
    """

    def __init__(self, config, changes=()):
        self.config, self.changes = config, list(changes)

    def set(self, path, value, why):
        """Give a field this value: a list to a repeated one, its name to an enum. Nothing to do: nothing is noted."""
        section, name, field = self._place(path)
        old = getattr(section, name)
        if isinstance(value, list):
            known, same = len(old) > 0, list(old) == value
            before = _shown(field, list(old))
            old[:] = value
        else:
            known, before = section.HasField(name), _shown(field, old)
            setattr(section, name, field.enum_type.values_by_name[value].number if field.enum_type else value)
            same = known and getattr(section, name) == old  # compared as the message keeps it: float32
        if not same:
            new = list(old) if isinstance(value, list) else getattr(section, name)
            self._note(path, before if known else '-', _shown(field, new), why)

    def clear(self, path, why):
        """Take a field out, with all it holds."""
        section, name, field = self._place(path)
        old = getattr(section, name)
        several = hasattr(old, '__len__') and not isinstance(old, str)
        if len(old) if several else section.HasField(name):
            self._note(path, f'{len(old)} entries' if several else _shown(field, old), '-', why)
            section.ClearField(name)

    def drop(self, path, keys, why):
        """Take these keys out of a map field."""
        section, name, _ = self._place(path)
        for key in keys:
            del getattr(section, name)[key]
        if keys:
            self._note(path, ', '.join(sorted(keys)) if len(keys) < 4 else f'{len(keys)} entries', '-', why)

    def _note(self, path, old, new, why):
        self.changes.append(Change(path, old, new, why))

    def _place(self, path):
        """The message that holds the last name of a path, that name, and its FieldDescriptor."""
        section = self.config
        *parts, last = path.split('.')
        for part in parts:
            name, _, index = part.rstrip(']').partition('[')
            section = getattr(section, name)[int(index)] if index else getattr(section, name)
        return section, last, section.DESCRIPTOR.fields_by_name[last]


def _shown(field, value):
    """A value as a pipeline.config has it, short."""
    if isinstance(value, list):
        return _shown(field, value[0]) if len(value) == 1 else '[' + ', '.join(_shown(field, v) for v in value) + ']'
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f'{value:.6g}'
    return f'"{value}"' if isinstance(value, str) else str(value)
