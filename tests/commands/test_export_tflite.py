"""export_tflite_graph_tf2.py: checkpoint and config in, .tflite out, compared on the evaluation records."""
import re
from pathlib import Path

import pytest

from object_detection.commands import export_tflite_graph_tf2
from object_detection.export import tflite
from object_detection.inference import load
from object_detection.inference.evaluate import Score
from object_detection.utils.errors import UserError
from tests.support import tiny_models


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tiny_models.checkpoint(tmp_path_factory.mktemp('lite'))


def test_the_command_writes_a_file_and_compares_it(folder, tmp_path, capfd):
    export_tflite_graph_tf2.main(tiny_models.export_arguments(folder, tmp_path / 'out', '--ssd_use_regular_nms'))
    said = capfd.readouterr().out
    assert re.search(r'model\.tflite: 0\.\d\d MB, none, converted in', said)
    assert '5 pictures, the best 10 detections of each' in said
    first, second = re.findall(r'^(?:SavedModel|model\.tflite) +([\d.]+)', said, re.MULTILINE)
    assert first == second
    assert (tmp_path / 'out' / 'model.tflite').is_file()


def without_a_network(model, config, folder, options, source):
    path = Path(folder, 'model.tflite')
    path.parent.mkdir()
    path.touch()
    return path


@pytest.mark.parametrize('more, code', [([], 'loses 0.0150'), (['--max_map_loss=.02'], None)])
def test_too_large_a_loss_is_an_error_and_the_file_is_kept(folder, tmp_path, monkeypatch, more, code):
    from object_detection.inference import evaluate
    monkeypatch.setattr(tflite, 'write', without_a_network)  # the whole way is the test above
    monkeypatch.setattr(load, 'load', lambda path: None)
    values = iter([.5, .485])
    monkeypatch.setattr(evaluate, 'evaluate', lambda *args: Score([('X/mAP', next(values))], 5, 1.))
    run = [*tiny_models.export_arguments(folder, tmp_path / 'out'), *more]
    if code:
        with pytest.raises(SystemExit, match=code):
            export_tflite_graph_tf2.main(run)
    else:
        export_tflite_graph_tf2.main(run)
    assert (tmp_path / 'out' / 'model.tflite').is_file()


def test_without_evaluation_records_the_file_is_written_with_a_warning(folder, tmp_path, capsys):
    text = (folder / 'pipeline.config').read_text().replace('test.tfrecords', 'missing.tfrecords')
    (tmp_path / 'pipeline.config').write_text(text)
    run = tiny_models.export_arguments(folder, tmp_path / 'out')
    export_tflite_graph_tf2.main([f'--pipeline_config_path={tmp_path / "pipeline.config"}', *run[1:]])
    assert 'is not compared with the SavedModel' in ''.join(capsys.readouterr())
    assert (tmp_path / 'out' / 'model.tflite').is_file()


@pytest.mark.parametrize('more, message', [
    (['--centernet_include_keypoints'], 'estimates no keypoints'),
    (['--config_override=model { ssd { post_processing { batch_non_max_suppression { soft_nms_sigma: .5 } } } }'],
     'no Soft-NMS'),
    (['--quantize=int8', '--config_override=train_input_reader { label_map_path: "none" }'], 'none')])
def test_what_cannot_be_converted_is_said_before_the_work_begins(folder, tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        export_tflite_graph_tf2.main([*tiny_models.export_arguments(folder, tmp_path / 'out'), *more])
    assert not (tmp_path / 'out').exists()
