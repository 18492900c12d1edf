"""Message classes of pipeline.config, label_map.pbtxt and tf.train.Example, by name or by module.

    from object_detection import protos                  # protos.TrainEvalPipelineConfig, protos.Ssd, protos.Example
    from object_detection.protos import pipeline_pb2     # the modules of the TF2 Object Detection API, by their names

Both are made from schema.pb, a descriptor set: generated _pb2 files would check the version of protobuf, descriptors
work with all of them. After a change to a .proto file, rebuild it:

    python -m grpc_tools.protoc -I. --include_imports --descriptor_set_out=object_detection/protos/schema.pb \\
        object_detection/protos/*.proto

The classes live in a descriptor pool of their own, where neither TensorFlow's Example nor another copy of the schema
can collide with them.
"""
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    def __getattr__(name: str) -> Any: ...


def _module(file: FileDescriptor) -> ModuleType:
    """Return the module that protoc would generate for a .proto file: its messages, enums and their values."""
    module = ModuleType(f'{file.name.removesuffix(".proto").replace("/", ".")}_pb2', f'Messages of {file.name}.')
    vars(module)['DESCRIPTOR'] = file
    for name, message in file.message_types_by_name.items():
        vars(module)[name] = GetMessageClass(message)
    for name, enum in file.enum_types_by_name.items():
        vars(module)[name] = EnumTypeWrapper(enum)
        vars(module).update({value.name: value.number for value in enum.values})
    return module


def enum_name(message: Any, field: str) -> str:
    """Return the name of the value of an enum field."""
    return message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name


def _load() -> None:
    """Add every message class and every _pb2 module of schema.pb to this package."""
    pool = DescriptorPool()
    schema = FileDescriptorSet.FromString(Path(__file__).with_name('schema.pb').read_bytes())
    for file in schema.file:  # what a file imports comes before it
        pool.AddSerializedFile(file.SerializeToString())
        module = _module(pool.FindFileByName(file.name))
        sys.modules[module.__name__] = module
        globals()[module.__name__.rpartition('.')[2]] = module
        globals().update({name: getattr(module, name) for name in module.DESCRIPTOR.message_types_by_name})


_load()
