"""Metadata of a .tflite: what Android's, MediaPipe's and the Task Library's detectors read, and files packed inside.

The metadata are a flatbuffer of their own (TensorFlow Lite's metadata_schema.fbs) in a buffer of the model; the files
are a zip archive behind it, as unzip sees it. The packages that wrote them no longer install, so the few tables that a
detector needs are written here, field by field.
"""
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

from object_detection.export import description, tflite_file
from object_detection.export.description import Description
from object_detection.export.tflite_graph import KEYPOINTS, OUTPUTS

LABELS = 'labelmap.txt'
_NAME = b'TFLITE_METADATA'
_IDENTIFIER = b'M001'
_PARSER = '1.0.1'  # the oldest version of the schema that has all of these fields
_MISSING = '???'  # an id that no class has, as the Task Library's own label maps write it

# Numbers of the schema's fields, of its enums and of the members of its unions.
_FILE_NAME, _FILE_DESCRIPTION, _FILE_TYPE = 0, 1, 2
_VALUE_LABELS = 3
_IMAGE, _BOXES, _FEATURE = 2, 3, 1
_RGB = 1
_BOUNDARIES, _RATIO = 1, 0
_NORMALIZATION = 1

# What the reference's writer says of the outputs; the readers find them by these names.
_SAID = {
    'detection_boxes': ('location', 'The locations of the detected boxes.'),
    'detection_classes': ('category', 'The categories of the detected boxes.'),
    'detection_scores': ('score', 'The scores of the detected boxes.'),
    'num_detections': ('number of detections', 'The number of the detected boxes.'),
    'detection_keypoints': ('keypoints', 'The keypoints of each detected object, (y, x), normalized to the image.'),
    'detection_keypoint_scores': ('keypoint scores', 'The scores of the keypoints.'),
}

_Write = Callable[[flatbuffers.Builder], int]  # writes an object, returns its offset


def add(content: bytes, about: Description) -> bytes:
    """Return the content of a .tflite file with metadata, and with its description and labels packed inside."""
    file = tflite_file.read(content)
    metadata, buffer = schema.MetadataT(), schema.BufferT()
    metadata.name, metadata.buffer, buffer.data = _NAME, len(file.buffers), list(_flatbuffer(about))
    file.metadata = [*(file.metadata or []), metadata]
    file.buffers.append(buffer)
    packed = io.BytesIO(tflite_file.pack(file))
    with zipfile.ZipFile(packed, 'a') as archive:  # stored, not compressed: the readers map the file
        archive.writestr(LABELS, ''.join(f'{label}\n' for label in _labels(about)))
        archive.writestr(description.FILE, about.to_json())
    return packed.getvalue()


def _labels(about: Description) -> list[str]:
    """Return a name for each class in the order of the network's outputs."""
    return [about.labels.get(number, _MISSING) for number in range(1, max(about.labels, default=0) + 1)]


def _flatbuffer(about: Description) -> bytes:
    outputs = [name for name in (*OUTPUTS, *KEYPOINTS) if name in about.outputs]
    result = [_SAID[name][0] for name in OUTPUTS[:3]]
    graph = _table({2: _tables([_input(about)]), 3: _tables([_output(name) for name in outputs]),
                    8: _tables([_table({0: 'detection_result', 1: _strings(result)})])})
    model = _table({0: about.architecture, 1: f'Object detector, {about.source}'.rstrip(', '), 3: _tables([graph]),
                    6: _tables([_packed(description.FILE, 'How to call the detector', 0)]), 7: _PARSER})
    builder = flatbuffers.Builder(0)
    builder.Finish(model(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _input(about: Description) -> _Write:
    given = about.input
    size = _table({0: ('Uint32', given.width), 1: ('Uint32', given.height)})
    content = _content(_IMAGE, _table({0: ('Byte', _RGB), 1: size}))
    unit = _table({0: ('Byte', _NORMALIZATION), 1: _table({0: _floats(given.mean), 1: _floats(given.std)})})
    low, high = ([(value - mean) / std for mean, std in zip(given.mean, given.std)] for value in (0., 255.))
    stats = _table({0: _floats([255.] if given.dtype == 'uint8' else high),
                    1: _floats([0.] if given.dtype == 'uint8' else low)})
    said = f'Image, RGB, {given.height} x {given.width}; {given.resize}, {given.method}: see {description.FILE}.'
    return _table({0: 'image', 1: said, 3: content, 4: _tables([unit]), 5: stats})


def _output(name: str) -> _Write:
    said, explained = _SAID[name]
    fields: dict[int, Any] = {0: said, 1: explained}
    per_box = _table({0: ('Int32', 2), 1: ('Int32', 2)})  # a value per box: the range of dimensions that it covers
    if name == 'detection_boxes':
        order = _numbers('Uint32', [1, 0, 3, 2])  # where left, top, right and bottom are
        boxes = _table({0: order, 1: ('Byte', _BOUNDARIES), 2: ('Byte', _RATIO)})
        fields[3] = _content(_BOXES, boxes, per_box)
    else:
        fields[3] = _content(_FEATURE, _table({}), None if name == 'num_detections' else per_box)
    if name == 'detection_classes':
        fields[6] = _tables([_packed(LABELS, 'Labels of the classes, from 0', _VALUE_LABELS)])
    return _table(fields)


def _content(kind: int, properties: _Write, extent: _Write | None = None) -> _Write:
    return _table({0: ('Byte', kind), 1: properties, **({2: extent} if extent else {})})


def _packed(name: str, said: str, kind: int) -> _Write:
    return _table({_FILE_NAME: name, _FILE_DESCRIPTION: said, _FILE_TYPE: ('Byte', kind)})


def _table(fields: dict[int, Any]) -> _Write:
    """Write a table. fields: {number: string, or (scalar type of flatbuffers, value), or what writes an object}."""
    def write(builder: flatbuffers.Builder) -> int:
        offsets = {number: builder.CreateString(value) if isinstance(value, str) else value(builder)
                   for number, value in fields.items() if not isinstance(value, tuple)}
        builder.StartObject(max(fields, default=-1) + 1)
        for number, value in fields.items():
            if number in offsets:
                builder.PrependUOffsetTRelativeSlot(number, offsets[number], 0)
            else:
                getattr(builder, f'Prepend{value[0]}Slot')(number, value[1], 0)
        return builder.EndObject()
    return write


def _offsets(write: Callable[[flatbuffers.Builder], list[int]]) -> _Write:
    """Write a vector of objects; `write` writes these and returns their offsets."""
    def vector(builder: flatbuffers.Builder) -> int:
        offsets = write(builder)
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    return vector


def _tables(tables: Sequence[_Write]) -> _Write:
    return _offsets(lambda builder: [write(builder) for write in tables])


def _strings(texts: Sequence[str]) -> _Write:
    return _offsets(lambda builder: [builder.CreateString(text) for text in texts])


def _floats(values: Sequence[float]) -> _Write:
    return _numbers('Float32', values)


def _numbers(kind: str, values: Sequence[float]) -> _Write:
    """Write a vector of numbers of 4 bytes."""
    def vector(builder: flatbuffers.Builder) -> int:
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            getattr(builder, f'Prepend{kind}')(value)
        return builder.EndVector()
    return vector
