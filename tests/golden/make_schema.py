"""Writes schema.txt next to it: every message, field and enum of the reference's schema.

Run once with the reference's environment (TF2 Object Detection API, protobuf 3.20):
    python tests/golden/make_schema.py
tests/protos/test_schema.py runs `describe` on this project's schema and compares.
"""
from pathlib import Path


def describe(*roots):
    """Sorted lines about all messages and enums that message descriptors lead to.

    Message.field = number label type [default] [oneof]; enum Name: VALUE = number, ...; type names are complete.
    """
    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto
    lines, todo, seen = [], list(roots), set()
    while todo:
        message = todo.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        proto = DescriptorProto()
        message.CopyToProto(proto)
        oneofs = [oneof.name for oneof in proto.oneof_decl]
        if proto.options.map_entry:
            lines.append(f'{message.full_name} is a map entry')
        for field in proto.field:
            label = FieldDescriptorProto.Label.Name(field.label)[6:].lower()
            kind = field.type_name.lstrip('.') or FieldDescriptorProto.Type.Name(field.type)[5:].lower()
            parts = [f'{message.full_name}.{field.name} = {field.number} {label} {kind}']
            if field.HasField('default_value'):
                value = field.default_value  # protobuf versions print floats with different numbers of digits
                parts.append(f'default {float(value):.6g}' if kind == 'float' else f'default {value!r}')
            if field.HasField('oneof_index'):
                parts.append(f'oneof {oneofs[field.oneof_index]}')
            parts += [name for name in ('packed', 'deprecated') if getattr(field.options, name)]
            lines.append(' '.join(parts))
        for field in message.fields:
            if field.message_type:
                todo.append(field.message_type)
            if field.enum_type and field.enum_type.full_name not in seen:
                seen.add(field.enum_type.full_name)
                enum = EnumDescriptorProto()
                field.enum_type.CopyToProto(enum)
                values = ', '.join(f'{value.name} = {value.number}' for value in enum.value)
                lines.append(f'enum {field.enum_type.full_name}: {values}')
    return sorted(line.replace('object_detection.protos.', '') for line in lines)


if __name__ == '__main__':
    from object_detection.protos import pipeline_pb2, string_int_label_map_pb2
    found = describe(pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR,
                     string_int_label_map_pb2.StringIntLabelMap.DESCRIPTOR)
    (Path(__file__).parent / 'schema.txt').write_text('\n'.join(found) + '\n')
