"""An .onnx file finds what its SavedModel finds, and whatever is not ONNX's is an error."""

import numpy as np
import onnx
import pytest

from object_detection.config import label_map, pipeline
from object_detection.export import companions, limits, onnx_file
from object_detection.inference import checkpoint
from object_detection.inference.agreement import agreement
from object_detection.inference.load import load
from object_detection.utils.errors import UserError
from tests.support import tiny, tiny_models

RANDOM = np.random.default_rng(5)
PICTURES = [RANDOM.integers(0, 256, shape, np.uint8) for shape in ((60, 80, 3), (60, 80, 3), (90, 50, 3))]


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return pipeline.read(tiny.write(tmp_path_factory.mktemp('onnx')))


@pytest.fixture(scope='module')
def model(config):
    return tiny_models.sure_model(config)


@pytest.fixture(scope='module')
def expected(model):
    return checkpoint.runner_of(model, '', {}).detect(PICTURES)


def write(model, config, folder, **options):
    source = companions.Source(label_map.load(config.train_input_reader.label_map_path), 'ckpt-7', 9)
    return onnx_file.write(model, config, folder, onnx_file.Options(**options), source)


@pytest.mark.parametrize('options', [
    {}, {'any_size': False, 'input_type': 'float_image_tensor', 'batch': 2, 'opset': 13}],
    ids=['pictures', 'size of the model'])
def test_finds_what_the_saved_model_finds(model, config, expected, tmp_path, options):
    path = write(model, config, tmp_path / 'out', **options)
    runner = load(path)
    found = runner.detect(PICTURES)
    agreed = agreement(expected, found, [picture.shape for picture in PICTURES], 0.)
    assert (agreed.detections, agreed.lost) == (30, 0)
    assert agreed.pixels < .01 and agreed.score < 1e-5
    assert runner.labels == {1: 'square', 2: 'bar'} and runner.batch == options.get('batch')
    assert sorted(part.name for part in path.parent.iterdir()) == [
        'README.md', 'label_map.pbtxt', 'model.onnx', 'pipeline.config']
    proto = onnx.load(path)
    assert proto.opset_import[0].version == options.get('opset', 17)


def test_without_nms_it_returns_all_boxes_and_scores_and_no_runner_takes_it(model, config, tmp_path):
    path = write(model, config, tmp_path / 'out', nms='none', any_size=False, input_type='float_image_tensor')
    outputs = {output.name: [dim.dim_value or 0 for dim in output.type.tensor_type.shape.dim]
               for output in onnx.load(path).graph.output}
    assert outputs['raw_detection_boxes'][1:] == [80, 4] and outputs['raw_detection_scores'][1:] == [80, 2]
    with pytest.raises(UserError, match='--nms none'):
        load(path)


def test_operators_that_are_not_onnxs_are_an_error(model, config, tmp_path, monkeypatch):
    node = onnx.helper.make_node('NonMaxSuppressionWithOverlaps', ['x'], ['y'])
    inside = onnx.helper.make_graph([node], 'body', [], [])
    outer = onnx.helper.make_node('If', ['c'], ['y'], then_branch=inside, else_branch=inside)
    proto = onnx.helper.make_model(onnx.helper.make_graph([outer], 'graph', [], []),
                                   opset_imports=[onnx.helper.make_opsetid('', 17)])

    def convert(detect, path, opset):
        onnx.save(proto, path)
        return path
    monkeypatch.setattr(onnx_file, '_convert', convert)
    with pytest.raises(UserError, match='1 operators have no counterpart in ONNX: NonMaxSuppressionWithOverlaps'):
        write(model, config, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_files_of_others_are_refused(tmp_path):
    identity = onnx.helper.make_node('Identity', ['x'], ['y'])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in 'xy']
    proto = onnx.helper.make_model(onnx.helper.make_graph([identity], 'graph', values[:1], values[1:]),
                                   opset_imports=[onnx.helper.make_opsetid('', 17)], ir_version=8)
    onnx.save(proto, tmp_path / 'other.onnx')
    with pytest.raises(UserError, match=r'other\.onnx: holds no detector\.json'):
        load(tmp_path / 'other.onnx')
    (tmp_path / 'broken.onnx').write_bytes(b'nothing')
    with pytest.raises(UserError, match=r'broken\.onnx: ONNX Runtime cannot load it'):
        load(tmp_path / 'broken.onnx')


@pytest.mark.parametrize('change, any_size, nms, message', [
    ('', True, True, ''),
    ('post_processing { batch_non_max_suppression { soft_nms_sigma: 0.5 } }', True, True, 'no Soft-NMS'),
    ('post_processing { batch_non_max_suppression { soft_nms_sigma: 0.5 } }', True, False, ''),
    ('post_processing { batch_non_max_suppression { use_class_agnostic_nms: true } }', True, True, 'keeps classes'),
    ('image_resizer { keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 64 } }', True, True, ''),
    ('image_resizer { keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 64 } }', False, True, 'many sizes')])
def test_what_cannot_be_converted_is_said_before(config, change, any_size, nms, message):
    changed = pipeline.override(config, f'model {{ ssd {{ {change} }} }}')
    found = ' '.join(finding.message for finding in limits.onnx(changed, any_size, nms))
    assert message in found and bool(message) == bool(found)


def test_faster_rcnn_and_center_net_have_no_raw_outputs():
    for kind, message in (('faster_rcnn', 'between its two stages'), ('center_net', 'has no NMS')):
        config = pipeline.parse(f'model {{ {kind} {{ num_classes: 1 }} }}', 'x')
        [finding] = limits.onnx(config, True, False)
        assert message in finding.message and limits.onnx(config, True, True) == []


