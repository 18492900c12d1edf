"""Message classes of pipeline.config, label_map.pbtxt and tf.train.Example.

    from object_detection import protos
    protos.TrainEvalPipelineConfig, protos.StringIntLabelMap, protos.Example     # and every other message, by name

The classes live in a pool of their own, so they meet neither TensorFlow's Example nor another copy of the schema. They
are made on first use (the whole pipeline schema in about 30 ms).
"""
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from object_detection.protos.parser import parse

_PREFIX = 'object_detection/protos/'
_POOL = DescriptorPool()
_OUTSIDE_PIPELINE = {'StringIntLabelMap': 'label_map.proto', 'StringIntLabelMapItem': 'label_map.proto',
                     'Example': 'example.proto', 'Features': 'example.proto', 'Feature': 'example.proto',
                     'BytesList': 'example.proto', 'FloatList': 'example.proto', 'Int64List': 'example.proto'}


@cache
def load(file_name):
    """Add a .proto file of this folder, and what it imports, to the pool; returns its FileDescriptor."""
    proto = parse((Path(__file__).parent / file_name).read_text(encoding='utf-8'), _PREFIX + file_name)
    for dependency in proto.dependency:
        load(dependency.removeprefix(_PREFIX))
    _POOL.AddSerializedFile(proto.SerializeToString())
    return _POOL.FindFileByName(proto.name)


def __getattr__(name):
    if name.startswith('_'):
        raise AttributeError(name)
    file = load(_OUTSIDE_PIPELINE.get(name, 'pipeline.proto'))
    try:
        return GetMessageClass(_POOL.FindMessageTypeByName(f'{file.package}.{name}'))
    except KeyError:
        raise AttributeError(f'no message {name} in {file.name} or what it imports') from None
