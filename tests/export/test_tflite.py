"""A .tflite finds what its SavedModel finds, and says of itself what programs on devices want to know."""
import io
import struct
import subprocess
import sys
import zipfile

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf

from object_detection.config import label_map, pipeline
from object_detection.export import companions, describe, description, limits, tflite, tflite_file
from object_detection.inference import checkpoint
from object_detection.inference.lite import LiteRunner
from object_detection.models import build
from tests.support import tiny, tiny_models

RANDOM = np.random.default_rng(5)
PICTURES = [RANDOM.integers(0, 256, shape, np.uint8) for shape in ((60, 80, 3), (90, 50, 3))]


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return pipeline.read(tiny.write(tmp_path_factory.mktemp('tflite')))


@pytest.fixture(scope='module')
def model(config):
    return tiny_models.sure_model(config)


@pytest.fixture(scope='module')
def written(config, model, tmp_path_factory):
    """Files by the options that differ from exact ones."""
    source = companions.Source(label_map.load(config.train_input_reader.label_map_path), 'ckpt-7', 9)
    folder, files = tmp_path_factory.mktemp('files'), {}

    def write(**options):
        key = tuple(sorted(options.items()))
        if key not in files:
            exact = {'regular_nms': True, 'calibration_pictures': 4, **options}
            files[key] = tflite.write(model, config, folder / str(len(files)), tflite.Options(**exact), source)
        return files[key]
    return write


def test_the_interpreter_is_quiet(written):
    """In a process of its own: LiteRT speaks of XNNPACK only the first time."""
    code = ('import sys; from pathlib import Path; from object_detection.inference.lite import LiteRunner; '
            'LiteRunner(Path(sys.argv[1]), {}); print("tensorflow" in sys.modules)')
    done = subprocess.run([sys.executable, '-c', code, written()], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ('False\n', '')


def assert_close(found, expected, score, box):
    for own, other in zip(found, expected):
        np.testing.assert_allclose(own.scores, other.scores[:len(own)], atol=score)
        np.testing.assert_allclose(own.boxes, other.boxes[:len(own)], atol=box)
        assert own.classes.tolist() == other.classes[:len(own)].tolist()


def test_float_finds_what_the_saved_model_finds(model, written):
    expected = checkpoint.runner_of(model, '', {}).detect(PICTURES)
    found = LiteRunner(written(), {}).detect(PICTURES)
    assert [len(each) for each in found] == [len(each) for each in expected] == [10, 10]
    assert_close(found, expected, 1e-5, 1e-5)


@pytest.mark.parametrize('quantize, score', [('float16', 2e-3), ('dynamic', 5e-2)])
def test_quantized_weights_find_nearly_the_same(written, quantize, score):
    best = [found.scores[0] for found in LiteRunner(written(), {}).detect(PICTURES)]
    file = written(quantize=quantize)
    assert file.stat().st_size < written().stat().st_size
    np.testing.assert_allclose([found.scores[0] for found in LiteRunner(file, {}).detect(PICTURES)], best, atol=score)


@pytest.mark.parametrize('input_type', ['uint8', 'float32'])
def test_int8_takes_pixels_or_floats_and_finds_nearly_the_same(written, input_type):
    best = [found.scores[0] for found in LiteRunner(written(), {}).detect(PICTURES)]
    runner = LiteRunner(written(quantize='int8', input_type=input_type), {})
    np.testing.assert_allclose([found.scores[0] for found in runner.detect(PICTURES)], best, atol=.05)
    detail = runner._interpreter.get_input_details()[0]
    assert detail['dtype'] == getattr(np, input_type)
    if input_type == 'uint8':  # pixels as they are: (q - zero) * scale is pixel / 127.5 - 1
        scale, zero = detail['quantization']
        np.testing.assert_allclose([(0 - zero) * scale, (255 - zero) * scale], [-1., 1.], atol=.005)


def test_heads_stay_in_floats_unless_asked_for(written):
    def bits(file):
        graph = tflite_file.read(file.read_bytes()).subgraphs[0]
        return [tensor.type for tensor in graph.tensors].count(0)  # float32
    assert bits(written(quantize='int8', input_type='uint8')) > bits(written(quantize='int8', int8_heads=True))


def test_outputs_have_the_order_and_names_that_apps_read(written):
    for options in ({}, {'quantize': 'int8', 'input_type': 'uint8'}):
        details = LiteRunner(written(**options), {})._interpreter.get_output_details()
        assert [detail['name'] for detail in details] == [
            'detection_boxes', 'detection_classes', 'detection_scores', 'num_detections']
        assert [detail['shape'].tolist() for detail in details] == [[1, 10, 4], [1, 10], [1, 10], [1]]


def test_labels_and_description_lie_inside(written):
    with zipfile.ZipFile(written()) as inside:
        assert inside.read('labelmap.txt').decode().split() == ['square', 'bar']
        about = description.from_json(inside.read('detector.json').decode(), 'x')
    assert about.labels == {1: 'square', 2: 'bar'} and about.source == 'ckpt-7 (step 9)' and about.regular_nms
    assert about.input == description.Input('input', 64, 64, mean=(127.5,) * 3, std=(127.5,) * 3)
    assert LiteRunner(written(), {}).labels == {1: 'square', 2: 'bar'}


def test_metadata_are_those_of_the_published_schema(written):
    """Field numbers as in metadata_schema.fbs; MediaPipe's ObjectDetector 1.2 reads the file."""
    file = tflite_file.read(written().read_bytes())
    entry = next(entry for entry in file.metadata if entry.name == b'TFLITE_METADATA')
    data = bytes(bytearray(file.buffers[entry.buffer].data))
    assert data[4:8] == b'M001'
    root = Table(data, struct.unpack_from('<I', data)[0])
    graph = root.tables(3)[0]
    image = graph.tables(2)[0]
    assert image.string(0) == 'image'
    unit = image.tables(4)[0]
    assert unit.byte(0) == 1  # NormalizationOptions
    assert unit.table(1).floats(0) == unit.table(1).floats(1) == [127.5] * 3
    outputs = graph.tables(3)
    assert [output.string(0) for output in outputs] == ['location', 'category', 'score', 'number of detections']
    boxes = outputs[0].table(3)
    assert boxes.byte(0) == 3 and boxes.table(1).byte(1) == 1  # BoundingBoxProperties, BOUNDARIES
    assert boxes.table(1).integers(0) == [1, 0, 3, 2]
    labels = outputs[1].tables(6)[0]
    assert labels.string(0) == 'labelmap.txt' and labels.byte(2) == 3  # TENSOR_VALUE_LABELS
    assert graph.tables(8)[0].string(0) == 'detection_result'


class Table:
    """A table of a flatbuffer, read by field number."""

    def __init__(self, data, place):
        self._table = flatbuffers.table.Table(data, place)

    def _place(self, field):
        return self._table.Pos + self._table.Offset(4 + 2 * field)

    def table(self, field):
        return Table(self._table.Bytes, self._table.Indirect(self._place(field)))

    def tables(self, field):
        start = self._table.Vector(self._place(field) - self._table.Pos)
        return [Table(self._table.Bytes, self._table.Indirect(start + 4 * i))
                for i in range(self._table.VectorLen(self._place(field) - self._table.Pos))]

    def string(self, field):
        return self._table.String(self._place(field)).decode()

    def byte(self, field):
        return self._table.Bytes[self._place(field)] if self._table.Offset(4 + 2 * field) else 0

    def _numbers(self, field, kind):
        offset = self._place(field) - self._table.Pos
        return list(struct.unpack_from(f'<{self._table.VectorLen(offset)}{kind}', self._table.Bytes,
                                       self._table.Vector(offset)))

    def floats(self, field):
        return self._numbers(field, 'f')

    def integers(self, field):
        return self._numbers(field, 'I')


def test_the_saved_model_beside_it_is_what_tensorflows_converter_takes(written):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(written().parent / 'saved_model'))
    converter.allow_custom_ops = True
    assert b'TFLite_Detection_PostProcess' in converter.convert()
    assert sorted(path.name for path in written().parent.iterdir()) == [
        'README.md', 'label_map.pbtxt', 'model.tflite', 'pipeline.config', 'saved_model']


def test_threads_are_one_with_regular_nms_which_loses_classes_with_more(written, monkeypatch):
    asked = []
    from object_detection.inference import lite
    make = lite.interpreter
    monkeypatch.setattr(lite, 'interpreter', lambda path, threads: asked.append(threads) or make(path, threads))
    LiteRunner(written(), {}, threads=4)
    LiteRunner(written(regular_nms=False), {}, threads=4)
    assert asked == [1, 4]


@pytest.mark.parametrize('change, message', [
    ('image_resizer { keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 64 } }', 'images of many sizes'),
    ('image_resizer { keep_aspect_ratio_resizer { min_dimension: 32 max_dimension: 64 pad_to_max_dimension: true } }',
     'make them equal'),
    ('image_resizer { fixed_shape_resizer { resize_method: AREA } }', 'BILINEAR and NEAREST_NEIGHBOR'),
    ('post_processing { batch_non_max_suppression { soft_nms_sigma: 0.5 } }', 'no Soft-NMS'),
    ('box_coder { mean_stddev_box_coder { stddev: 0.1 } }', 'only faster_rcnn_box_coder')])
def test_what_cannot_be_converted_is_said_before(config, change, message):
    assert limits_of(config) == ''
    assert message in limits_of(pipeline.override(config, f'model {{ ssd {{ {change} }} }}'))


def limits_of(config):
    return ' '.join(finding.message for finding in limits.lite(config))


def test_faster_rcnn_has_no_tflite():
    config = pipeline.parse('model { faster_rcnn { num_classes: 1 } }', 'x')
    assert 'export_onnx.py exports it' in limits_of(config)


@pytest.mark.parametrize('resizer, pad', [
    ('fixed_shape_resizer { height: 64 width: 64 }', (0., 0., 0.)),
    # An SSD pads normalized images with 0, which is a pixel of 127.5.
    ('keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 64 pad_to_max_dimension: true }', (127.5,) * 3)])
def test_padding_is_what_the_model_pads_with(config, resizer, pad):
    built = build.build(pipeline.override(config, f'model {{ ssd {{ image_resizer {{ {resizer} }} }} }}').model)
    assert describe.padding(built) == pytest.approx(pad, abs=1e-3)


def test_a_file_without_description_is_refused(tmp_path):
    from object_detection.utils.errors import UserError
    (tmp_path / 'other.tflite').write_bytes(b'TFL3')
    with pytest.raises(UserError, match=r'other\.tflite: holds no detector\.json'):
        LiteRunner(tmp_path / 'other.tflite', {})
    packed = io.BytesIO(b'TFL3')
    with zipfile.ZipFile(packed, 'a') as archive:
        archive.writestr('detector.json', '{"version": 99}')
    (tmp_path / 'newer.tflite').write_bytes(packed.getvalue())
    with pytest.raises(UserError, match='has version 99'):
        LiteRunner(tmp_path / 'newer.tflite', {})
