"""exporter_main_v2.py: checkpoint and config in, SavedModel out, and its error messages."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, records
from object_detection.commands import exporter_main_v2
from object_detection.config import pipeline
from object_detection.export import saved_model
from object_detection.models import build
from object_detection.runs import best
from object_detection.runs.record import Record
from object_detection.utils import errors
from object_detection.utils.errors import UserError
from tests.support import parity

ROOT = Path(__file__).resolve().parents[2]
RUN = parity.KIT / 'reference_run'
SMALL = 'model { ssd { image_resizer { fixed_shape_resizer { height: 64 width: 64 } } } }'


def export(*, config_path, checkpoints, output, **flags):
    flags |= {'pipeline_config_path': config_path, 'trained_checkpoint_dir': checkpoints, 'output_directory': output}
    return exporter_main_v2.main([f'--{name}={value}' for name, value in flags.items()])


@pytest.fixture(scope='module')
def zoo(tmp_path_factory):
    """A folder like an unpacked zoo tarball: pipeline.config with PATH_TO_BE_CONFIGURED, checkpoint/ckpt-0."""
    folder = tmp_path_factory.mktemp('ssd_mobilenet_v2_fpnlite')
    shutil.copy(parity.config_path('ssd_mobilenet_v2_fpnlite'), folder / 'pipeline.config')
    model = build.build(pipeline.read(folder / 'pipeline.config').model)
    tf.train.Checkpoint(model=model).write(str(folder / 'checkpoint' / 'ckpt-0'))
    return folder


@pytest.fixture(scope='module')
def exported(zoo, tmp_path_factory):
    """The zoo folder's model, exported by the script in a process of its own, for 64 x 64 pictures."""
    output = tmp_path_factory.mktemp('out') / 'exported'
    done = subprocess.run([sys.executable, 'exporter_main_v2.py', '--input_type=image_tensor',
                           f'--pipeline_config_path={zoo / "pipeline.config"}', f'--trained_checkpoint_dir={zoo}',
                           f'--output_directory={output}', f'--config_override={SMALL}'],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output, done.stdout


def test_a_zoo_tarball_exports_as_it_is(zoo, exported):
    output, said = exported
    assert 'PATH_TO_BE_CONFIGURED' in (output / 'pipeline.config').read_text()
    assert 'ckpt-0 (no step counter)' in said and 'gives the same results as the model in memory' in said
    assert sorted(p.name for p in output.iterdir()) == [
        'README.md', 'checkpoint', 'pipeline.config', 'saved_model']
    assert (output / 'checkpoint' / 'ckpt-0.index').is_file()


def test_the_override_is_in_the_model_and_in_the_config_beside_it(exported):
    output, _ = exported
    resizer = pipeline.read(output / 'pipeline.config').model.ssd.image_resizer
    assert resizer.fixed_shape_resizer.height == 64
    found = tf.saved_model.load(str(output / 'saved_model'))(np.zeros((3, 50, 70, 3), np.uint8))
    # levels 3 to 7 of 64 x 64 pictures, 6 anchors a cell
    assert found['raw_detection_boxes'].shape == (3, 6 * (8 * 8 + 4 * 4 + 2 * 2 + 1 + 1), 4)
    assert {name: tensor.dtype for name, tensor in found.items()} == dict.fromkeys(found, tf.float32)
    assert {'detection_boxes', 'detection_scores', 'detection_classes', 'num_detections', 'raw_detection_boxes',
            'raw_detection_scores', 'detection_anchor_indices', 'detection_multiclass_scores'} == set(found)
    assert found['detection_classes'].numpy().min() >= 1


def test_the_exported_checkpoint_exports_again(exported, tmp_path):
    output, _ = exported
    export(config_path=output / 'pipeline.config', checkpoints=output / 'checkpoint', output=tmp_path / 'again')
    first, again = (tf.train.load_checkpoint(str(folder / 'checkpoint' / 'ckpt-0')) for folder in
                    (output, tmp_path / 'again'))
    names = [name for name in first.get_variable_to_shape_map() if name.startswith('model/')]
    assert names and all(np.array_equal(first.get_tensor(name), again.get_tensor(name)) for name in names[::20])


def test_wrong_input_is_reported_before_anything_is_written(zoo, tmp_path):
    output = tmp_path / 'exported'
    with pytest.raises(UserError, match='no checkpoint'):
        export(config_path=zoo / 'pipeline.config', checkpoints=tmp_path, output=output)
    with pytest.raises(UserError, match='does not fit the model'):
        export(config_path=zoo / 'pipeline.config', checkpoints=zoo, output=output,
               config_override='model { ssd { num_classes: 7 } }')
    with pytest.raises(UserError, match='--config_override'):
        export(config_path=zoo / 'pipeline.config', checkpoints=zoo, output=output, config_override='model { sdd {} }')
    with pytest.raises(UserError, match=r'pipeline\.config with --config_override: model\.ssd\.num_classes: is 0'):
        export(config_path=zoo / 'pipeline.config', checkpoints=zoo, output=output,
               config_override='model { ssd { num_classes: 0 } }')
    with pytest.raises(UserError, match=r'trained.*: does not exist'):
        export(config_path=zoo / 'pipeline.config', checkpoints=tmp_path / 'trained', output=output)
    readme = zoo / 'pipeline.config'
    with pytest.raises(UserError, match='this folder cannot be made or written to'):
        export(config_path=readme, checkpoints=tmp_path / 'looked at later', output=readme / 'x')
    with pytest.raises(SystemExit):
        export(config_path=zoo / 'nowhere.config', checkpoints=zoo, output=output)
    assert list(tmp_path.iterdir()) == []


def test_boxes_that_overflow_on_noise_export(zoo, tmp_path):
    model = build.build(pipeline.read(zoo / 'pipeline.config').model)
    key = '_box_predictor/_box_prediction_head/_box_encoder_layers/0/bias'
    checkpoints.keys(model)[key].assign_add(tf.fill([6 * 4], 1000.))  # sizes are exp of a fifth of it
    tf.train.Checkpoint(model=model).write(str(tmp_path / 'checkpoint' / 'ckpt-0'))
    export(config_path=zoo / 'pipeline.config', checkpoints=tmp_path / 'checkpoint', output=tmp_path / 'exported',
           config_override=SMALL)
    found = tf.saved_model.load(str(tmp_path / 'exported' / 'saved_model'))(np.zeros((1, 50, 70, 3), np.uint8))
    assert np.isinf(found['raw_detection_boxes']).any()


def test_a_disagreement_is_a_message_and_an_exit_code(zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(saved_model, '_difference', lambda *_: .5)
    with pytest.raises(SystemExit) as end:
        errors.run_main(lambda _: export(config_path=zoo / 'pipeline.config', checkpoints=zoo,
                                         output=tmp_path / 'exported', config_override=SMALL))
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith('error: the exported model and the one in memory disagree') and 'Traceback' not in said
    assert list(tmp_path.iterdir()) == []


def test_a_full_output_folder_is_left_alone(zoo, tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(UserError, match=r'is not empty, and nothing is overwritten; .*notes\.txt'):
        export(config_path=zoo / 'pipeline.config', checkpoints=zoo, output=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['notes.txt']


@pytest.mark.skipif(not RUN.exists(), reason='the parity kit is not here')
def test_the_references_checkpoint_exports_to_the_references_detections(tmp_path):
    export(config_path=RUN / 'pipeline.config', checkpoints=RUN / 'model_dir', output=tmp_path / 'exported')
    detect = tf.saved_model.load(str(tmp_path / 'exported' / 'saved_model'))
    expected = json.loads((RUN / 'expected.json').read_text())['detections']
    pictures = records.Records(RUN / 'test.tfrecords')
    for number, picture in enumerate(expected):
        example = records.Example.from_bytes(pictures[number])
        assert example.filename == picture['filename']
        found = detect(tf.io.decode_jpeg(example.encoded)[tf.newaxis])
        count = len(picture['scores'])
        np.testing.assert_allclose(found['detection_scores'][0, :count], picture['scores'], atol=1e-4)
        _same_set(_rows(picture['classes'], picture['scores'], picture['boxes']),
                  _rows(*(found[f'detection_{name}'][0, :count].numpy() for name in ('classes', 'scores', 'boxes'))))


def _rows(classes, scores, boxes):
    return np.concatenate([np.array(classes)[:, None], np.array(scores)[:, None], np.array(boxes)], 1)


def _same_set(expected, found):
    """Every row of `expected` is in `found`, to 1e-3; detections of equal score may be in another order."""
    missing = [row for row in expected if np.abs(found - row).max(1).min() > 1e-3]
    assert missing == []


def test_the_best_checkpoint_of_a_training(zoo, tmp_path, capsys, monkeypatch):
    """best, latest, a name, a path; the newest says when another one is better."""
    model_dir = tmp_path / 'model'
    model_dir.mkdir()
    for number in (2, 3):
        for end in ('index', 'data-00000-of-00001'):
            shutil.copy(zoo / 'checkpoint' / f'ckpt-0.{end}', model_dir / f'ckpt-{number}.{end}')
    record = Record(model_dir)
    for name, value in (('ckpt-2', .6), ('ckpt-3', .5)):
        record.add('eval', name, 100, [('DetectionBoxes_Precision/mAP', value)])
    best.follow(record)
    taken = []
    monkeypatch.setattr(saved_model, 'write', lambda *_: 0.)
    load = checkpoints.load
    monkeypatch.setattr(checkpoints, 'load', lambda path: taken.append(load(path)) or taken[-1])

    def told(**flags):
        flags = {'pipeline_config_path': zoo / 'pipeline.config', 'output_directory': tmp_path / 'out', **flags}
        exporter_main_v2.main([f'--{name}={value}' for name, value in flags.items()])
        return taken[-1].prefix, capsys.readouterr().out

    prefix, said = told(trained_checkpoint_dir=model_dir)
    assert prefix == str(model_dir / 'ckpt-3')
    assert f'note: ckpt-3 has mAP 0.5000, and {model_dir / "best"} holds mAP 0.6000 of ckpt-2, step 100; --' in said
    for flags in ({'trained_checkpoint_dir': model_dir, 'checkpoint': 'best'}, {'checkpoint': model_dir / 'best'}):
        prefix, said = told(**flags)
        assert prefix == str(model_dir / 'best' / 'ckpt-2') and 'note' not in said
    assert told(trained_checkpoint_dir=model_dir, checkpoint='ckpt-2')[0] == str(model_dir / 'ckpt-2')
    with pytest.raises(UserError, match='there is no best checkpoint yet'):
        told(trained_checkpoint_dir=zoo, checkpoint='best')
    with pytest.raises(SystemExit):
        told(checkpoint='best')
