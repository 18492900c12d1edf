"""export_onnx.py: checkpoint and config in, .onnx out, compared on the evaluation records."""
from pathlib import Path

import pytest

from object_detection.commands import export_onnx
from object_detection.export import onnx_file
from object_detection.inference.agreement import Agreement
from object_detection.utils.errors import UserError
from tests.support import in_process, tiny_models


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tiny_models.checkpoint(tmp_path_factory.mktemp('onnx'))


def test_the_command_writes_a_file_and_compares_it(folder, tmp_path):
    done = in_process.run(export_onnx.main, *tiny_models.export_arguments(folder, tmp_path / 'out'))
    assert done.returncode == 0, done.stderr
    assert 'opset 17, converted in' in done.stdout and ', 0 not found' in done.stdout and '5 pictures' in done.stdout
    assert (tmp_path / 'out' / 'model.onnx').is_file()


def without_a_network(model, config, folder, options, source):
    path = Path(folder, 'model.onnx')
    path.parent.mkdir()
    path.touch()
    return path


@pytest.mark.parametrize('loss, message', [(.02, r'loses 0\.0200 of the metric, more than 0\.01'), (.005, '')])
def test_too_large_a_loss_is_an_error_and_the_file_is_kept(folder, tmp_path, monkeypatch, loss, message):
    monkeypatch.setattr(onnx_file, 'write', without_a_network)  # the whole way is the test above
    monkeypatch.setattr(export_onnx, '_agreement', lambda *args: Agreement())
    monkeypatch.setattr(export_onnx.exporting, 'compare', lambda *args: loss)
    if message:
        with pytest.raises(SystemExit, match=message):
            export_onnx.main(tiny_models.export_arguments(folder, tmp_path / 'out'))
    else:
        export_onnx.main(tiny_models.export_arguments(folder, tmp_path / 'out'))
    assert (tmp_path / 'out' / 'model.onnx').is_file()


def test_what_cannot_be_converted_is_said_before_the_work_begins(folder, tmp_path):
    soft = '--config_override=model { ssd { post_processing { batch_non_max_suppression { soft_nms_sigma: .5 } } } }'
    with pytest.raises(UserError, match='no Soft-NMS'):
        export_onnx.main(tiny_models.export_arguments(folder, tmp_path / 'out', soft))
    assert not (tmp_path / 'out').exists()
