"""What an export holds, for a stand-in model whose detections are known."""
import gc
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.config import pipeline
from object_detection.export import INPUT_TYPES, saved_model
from object_detection.utils.errors import UserError


class MeanColor(tf.Module):
    """One detection per image, whose score is gain * mean / 255 of the image resized to 4 x 4."""

    def __init__(self, gain=.5):
        super().__init__()
        self.gain = tf.Variable(gain)

    def preprocess(self, images):
        shapes = tf.tile([[4, 4, 3]], [tf.shape(images)[0], 1])
        return tf.image.resize(images, [4, 4]), shapes

    def predict(self, inputs, true_image_shapes):
        return {'mean': tf.reduce_mean(inputs, [1, 2, 3]) * self.gain / 255.}

    def postprocess(self, predictions, true_image_shapes):
        scores = predictions['mean'][:, tf.newaxis]
        return {'detection_scores': scores, 'detection_classes': tf.zeros_like(scores),
                'detection_boxes': tf.ones([tf.shape(scores)[0], 1, 4]) * [.1, .2, .3, .4],
                'num_detections': tf.ones([tf.shape(scores)[0]], tf.int32)}


CONFIG = 'model { ssd { num_classes: 1 } }'
GREY = [np.full((6, 9, 3), value, np.uint8) for value in (51, 102)]  # scores .1 and .2


def _png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    return file.getvalue()


def _example(image):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[_png(image)]))
    return tf.train.Example(features=tf.train.Features(feature={'image/encoded': feature})).SerializeToString()


INPUTS = {'image_tensor': lambda images: tf.constant(np.stack(images)),
          'float_image_tensor': lambda images: tf.constant(np.stack(images), tf.float32),
          'encoded_image_string_tensor': lambda images: tf.constant([_png(i) for i in images]),
          'tf_example': lambda images: tf.constant([_example(i) for i in images])}


@pytest.fixture
def export(tmp_path):
    def write(input_type='image_tensor'):
        folder = tmp_path / 'exported'
        difference = saved_model.write(MeanColor(), input_type, pipeline.parse(CONFIG), folder)
        return folder, difference
    return write


@pytest.mark.parametrize('input_type', INPUT_TYPES)
def test_every_input_type_takes_any_batch(input_type, export):
    folder, difference = export(input_type)
    assert difference == 0
    loaded = tf.saved_model.load(str(folder / 'saved_model'))
    for batch, scores in (([0], [.1]), ([1, 0, 1], [.2, .1, .2])):
        found = loaded.signatures['serving_default'](input_tensor=INPUTS[input_type]([GREY[i] for i in batch]))
        assert {t.dtype for t in found.values()} == {tf.float32}
        np.testing.assert_allclose(found['detection_scores'][:, 0], scores, rtol=1e-6)
        np.testing.assert_array_equal(found['detection_classes'], np.ones((len(batch), 1)))  # label ids start at 1
        np.testing.assert_array_equal(found['num_detections'], np.ones(len(batch)))
        np.testing.assert_allclose(found['detection_boxes'][0, 0], [.1, .2, .3, .4], rtol=1e-6)


def test_it_takes_arrays_by_position_and_by_name(export):
    folder, _ = export()
    detect = tf.saved_model.load(str(folder / 'saved_model'))
    for found in (detect(GREY[0][None]), detect(input_tensor=GREY[0][None])):
        np.testing.assert_allclose(found['detection_scores'], [[.1]], rtol=1e-6)


def test_weights_become_constants_of_the_graph(export):
    folder, _ = export()
    assert tf.saved_model.load(str(folder / 'saved_model')).signatures['serving_default'].captured_inputs == []


def test_encoded_pictures_of_a_batch_may_differ_in_size(export):
    folder, _ = export('encoded_image_string_tensor')
    detect = tf.saved_model.load(str(folder / 'saved_model'))
    grey = np.full((40, 13, 3), 255, np.uint8)
    np.testing.assert_allclose(detect(tf.constant([_png(GREY[0]), _png(grey)]))['detection_scores'], [[.1], [.5]],
                               rtol=1e-6)


def test_checkpoint_and_config_are_beside_it(export):
    folder, _ = export()
    assert sorted(p.name for p in folder.iterdir()) == [
        'README.md', 'checkpoint', 'pipeline.config', 'saved_model']
    assert pipeline.read(folder / 'pipeline.config').model.ssd.num_classes == 1
    assert 'model_checkpoint_path: "ckpt-0"' in (folder / 'checkpoint' / 'checkpoint').read_text()
    model = MeanColor(gain=0.)
    tf.train.Checkpoint(model=model).restore(tf.train.latest_checkpoint(folder / 'checkpoint')).assert_consumed()
    assert model.gain.numpy() == .5


def test_another_process_loads_it_with_tensorflow_alone(export, tmp_path):
    folder, _ = export()
    code = ('import sys, tensorflow as tf\n'
            f'model = tf.saved_model.load({str(folder / "saved_model")!r})\n'
            'print(float(model(tf.fill([1, 5, 5, 3], tf.constant(204, tf.uint8)))["detection_scores"][0, 0]))\n'
            'assert not any(name.startswith("object_detection") for name in sys.modules)')
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(.4)


def test_nothing_is_overwritten(export):
    folder, _ = export()
    before = (folder / 'saved_model' / 'saved_model.pb').read_bytes()
    with pytest.raises(UserError, match='is not empty, and nothing is overwritten'):
        export()
    assert (folder / 'saved_model' / 'saved_model.pb').read_bytes() == before


def test_an_empty_folder_is_accepted(export, tmp_path):
    (tmp_path / 'exported').mkdir()
    folder, _ = export()
    assert (folder / 'saved_model' / 'saved_model.pb').is_file()


def test_the_current_folder_is_accepted(export, tmp_path, monkeypatch):
    (tmp_path / 'exported').mkdir()
    monkeypatch.chdir(tmp_path / 'exported')
    saved_model.write(MeanColor(), 'image_tensor', pipeline.parse(CONFIG), '.')
    assert sorted(p.name for p in Path().iterdir()) == [
        'README.md', 'checkpoint', 'pipeline.config', 'saved_model']
    assert tf.saved_model.load('saved_model')


def test_a_failed_comparison_leaves_nothing_behind(export, tmp_path, monkeypatch):
    load = tf.saved_model.load

    class Halved:
        def __init__(self, folder):
            detect = load(folder).signatures['serving_default']
            self.signatures = {
                'serving_default': lambda x: detect(x) | {'detection_scores': detect(x)['detection_scores'] / 2}}
    monkeypatch.setattr(tf.saved_model, 'load', Halved)
    with pytest.raises(UserError, match=r'disagree: detection_scores by 5\.0e-01.*nothing is written'):
        export()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('expected', 'exported', 'difference'), [
    ([np.inf, -np.inf, np.nan, 2.], [np.inf, -np.inf, np.nan, 2.], 0.),
    ([np.inf, 2.], [np.inf, 1.], .5),  # relative to the largest finite value
    ([np.inf, 2.], [-np.inf, 2.], np.inf),
    ([np.nan, 2.], [1., 2.], np.inf),
    ([1., 2.], [np.nan, 2.], np.inf),
    ([1., 2.], [np.inf, 2.], np.inf),
    ([[1., 2.]], [[1.], [2.]], np.inf),
    ([], [], 0.),
])
def test_equal_infinities_are_no_difference(expected, exported, difference):
    assert saved_model._difference(np.array(expected), np.array(exported)) == difference


def test_results_that_overflow_export(export, monkeypatch):
    monkeypatch.setattr(MeanColor.__init__, '__defaults__', (1e38,))
    monkeypatch.setattr(MeanColor, 'postprocess', lambda self, predictions, _: {
        'detection_scores': predictions['mean'] * 255., 'detection_classes': predictions['mean'] * 1e-38,
        'detection_boxes': predictions['mean'] * 255. - predictions['mean'] * 255.})
    folder, difference = export()
    assert difference == 0.
    found = tf.saved_model.load(str(folder / 'saved_model'))(GREY[1][None])
    assert np.isinf(found['detection_scores']).all() and np.isnan(found['detection_boxes']).all()


def test_weights_that_are_nan_are_refused(export, tmp_path, monkeypatch):
    monkeypatch.setattr(MeanColor.__init__, '__defaults__', (float('nan'),))
    with pytest.raises(UserError, match='1 variables of the model hold NaN, such as gain'):
        export()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_oserror_and_leaves_nothing_behind(export, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, '/x/variables; No space left on device')
    monkeypatch.setattr(tf.saved_model, 'save', fail)
    with pytest.raises(OSError, match='No space left') as caught:
        export()
    assert caught.value.errno == 28
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_graph_runs_when_nothing_else_holds_its_model():
    model = MeanColor()
    frozen = saved_model.freeze(saved_model.trace(model, 'encoded_image_string_tensor'), model.variables)
    del model
    gc.collect()
    detections = frozen(INPUTS['encoded_image_string_tensor'](GREY))
    np.testing.assert_allclose(detections['detection_scores'][:, 0], [.1, .2], atol=1e-6)
