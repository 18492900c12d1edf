"""A protobuf message that remembers which of its fields are read."""


class Recorder:
    """Stands for a message, and for those it holds.

    Args:
        read: {name of a message: set of its fields that were read}; every message that is reached has an entry.
    """

    def __init__(self, message, read):
        self._message, self._read = message, read
        self._seen = read.setdefault(message.DESCRIPTOR.name, set())

    def __getattr__(self, name):
        value = getattr(self._message, name)
        fields = self._message.DESCRIPTOR.fields_by_name
        if name not in fields:
            return value
        self._seen.add(name)
        field = fields[name]
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            return value
        if hasattr(value, 'append'):
            return [Recorder(part, self._read) for part in value]
        return Recorder(value, self._read)

    def HasField(self, name):  # the name that messages have
        self._seen.add(name)
        return self._message.HasField(name)

    def WhichOneof(self, name):
        self._seen.update(field.name for field in self._message.DESCRIPTOR.oneofs_by_name[name].fields)
        return self._message.WhichOneof(name)

    def ListFields(self):
        for field, _ in self._message.ListFields():
            yield field, getattr(self, field.name)
