"""The schema against the reference's own descriptors (tests/golden/schema.txt); its modules, freshness, load time."""
import importlib.util
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, json_format, text_format

from object_detection import protos
from object_detection.protos import pipeline_pb2, string_int_label_map_pb2, train_pb2

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / 'tests' / 'golden'
MODULES = [  # one for each .proto file of the reference
    'anchor_generator', 'argmax_matcher', 'bipartite_matcher', 'box_coder', 'box_predictor', 'calibration',
    'center_net', 'eval', 'faster_rcnn', 'faster_rcnn_box_coder', 'flexible_grid_anchor_generator', 'fpn',
    'graph_rewriter', 'grid_anchor_generator', 'hyperparams', 'image_resizer', 'input_reader', 'keypoint_box_coder',
    'losses', 'matcher', 'mean_stddev_box_coder', 'model', 'multiscale_anchor_generator', 'optimizer', 'pipeline',
    'post_processing', 'preprocessor', 'region_similarity_calculator', 'square_box_coder', 'ssd',
    'ssd_anchor_generator', 'string_int_label_map', 'target_assigner', 'train',
]


def test_every_field_and_enum_equals_the_reference():
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
    runs = [float(subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True,
                                 check=True).stdout) for _ in range(3)]
    assert min(runs) < 0.08


def test_modules_of_the_reference():
    """The names that people import, with text_format and json_format."""
    labels = text_format.Parse('item { id: 1 name: "dog" }', string_int_label_map_pb2.StringIntLabelMap())
    assert labels.item[0].name == 'dog'
    config = text_format.Parse('model { ssd { num_classes: 3 } } train_config { fine_tune_checkpoint_version: V2 }',
                               pipeline_pb2.TrainEvalPipelineConfig())
    assert config.train_config.fine_tune_checkpoint_version == train_pb2.V2 == train_pb2.CheckpointVersion.Value('V2')
    assert json_format.Parse(json_format.MessageToJson(config), pipeline_pb2.TrainEvalPipelineConfig()) == config
    assert importlib.import_module('object_detection.protos.ssd_pb2').Ssd is protos.Ssd


@pytest.mark.parametrize('name', MODULES)
def test_every_module_of_the_reference_is_there(name):
    module = importlib.import_module(f'object_detection.protos.{name}_pb2')
    assert module.DESCRIPTOR.name == f'object_detection/protos/{name}.proto'
    assert (Path(protos.__file__).parent / f'{name}.proto').is_file()


def test_schema_pb_is_fresh(tmp_path):
    """It is what protoc makes of the .proto files; the command stands in object_detection/protos/__init__.py."""
    if not importlib.util.find_spec('grpc_tools'):
        pytest.skip('grpcio-tools is not installed')
    files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'object_detection/protos').glob('*.proto'))
    subprocess.run([sys.executable, '-m', 'grpc_tools.protoc', '-I.', '--include_imports',
                    f'--descriptor_set_out={tmp_path / "fresh.pb"}', *files], cwd=ROOT, check=True)
    fresh, shipped = (descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
                      for path in (tmp_path / 'fresh.pb', ROOT / 'object_detection/protos/schema.pb'))
    assert shipped == fresh, 'after a change to a .proto file rebuild schema.pb; the command is in protos/__init__.py'
