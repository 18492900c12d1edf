"""The schema against the reference's own descriptors (tests/golden/schema.txt), and how fast it is there."""
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection import protos
from object_detection.protos.parser import parse

GOLDEN = Path(__file__).parents[1] / 'golden'


def test_every_field_and_enum_is_the_reference_s():
    describe = runpy.run_path(str(GOLDEN / 'make_schema.py'))['describe']
    ours = describe(protos.TrainEvalPipelineConfig.DESCRIPTOR, protos.StringIntLabelMap.DESCRIPTOR)
    theirs = (GOLDEN / 'schema.txt').read_text(encoding='utf-8').splitlines()
    assert len(theirs) == 871
    assert ours == theirs


def test_example_has_the_wire_format_of_tensorflow():
    """Bytes worked out by hand: tag and length of features, entry, key, value, list, and the value itself."""
    example = protos.Example()
    example.features.feature['a'].int64_list.value.append(3)
    assert example.SerializeToString() == bytes.fromhex('0a0c' '0a0a' '0a0161' '1205' '1a03' '0a0103')
    floats = protos.Feature()
    floats.float_list.value.append(1.0)
    assert floats.SerializeToString() == bytes.fromhex('1206' '0a04' '0000803f')


def test_unknown_message_is_an_attribute_error():
    with pytest.raises(AttributeError, match='Sdd'):
        _ = protos.Sdd


def test_loads_in_80_ms_without_tensorflow():
    code = '''
import google.protobuf.descriptor_pb2, google.protobuf.message_factory, sys, time
start = time.process_time()  # not the clock on the wall: other work on the machine does not count
from object_detection import protos
protos.TrainEvalPipelineConfig
print(time.process_time() - start)
assert 'tensorflow' not in sys.modules
'''
    root = Path(__file__).parents[2]
    runs = [float(subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True,
                                 check=True).stdout) for _ in range(3)]
    assert min(runs) < 0.08


def test_parser_reads_what_it_knows():
    file = parse('''// a comment
        syntax = "proto2"; package p; import "other.proto";
        message A {
          enum Kind { X = 0; Y = -2; }
          optional Kind kind = 1 [default = Y, deprecated = true];  // another
          oneof one { string s = 2; B b = 3; }
          map<string, B> some_things = 4;
        }
        message B {}''', 'a.proto')
    first, second = file.message_type
    assert (file.package, list(file.dependency), second.name) == ('p', ['other.proto'], 'B')
    assert [(field.name, field.number) for field in first.field] == [('kind', 1), ('s', 2), ('b', 3),
                                                                    ('some_things', 4)]
    assert first.field[0].default_value == 'Y' and first.field[0].options.deprecated
    assert [field.HasField('oneof_index') for field in first.field] == [False, True, True, False]
    assert first.nested_type[0].name == first.field[3].type_name == 'SomeThingsEntry'
    assert first.nested_type[0].options.map_entry
    assert [value.number for value in first.enum_type[0].value] == [0, -2]


@pytest.mark.parametrize(('text', 'line', 'message'), [
    ('syntax = "proto2";\nservice S {}', 2, 'service'),
    ('syntax = "proto2";\nmessage A {\n  optional int32 a 1;\n}', 3, "'='"),
    ('syntax = "proto2";\nmessage A {\n  optional int32 a = 1 [lazy = true];\n}', 3, 'lazy'),
    ('syntax = "proto2";\nmessage A {\n', 2, 'ends too early'),
    ('syntax = "proto2";\n\n§', 3, 'not understood'),
])
def test_parser_names_the_line_it_does_not_understand(text, line, message):
    with pytest.raises(ValueError, match=f'a.proto:{line}: .*{message}'):
        parse(text, 'a.proto')
