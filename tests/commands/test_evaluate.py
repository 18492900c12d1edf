"""evaluate.py: the metrics of the evaluation phase for every format, a page that compares, and what it refuses."""
import json

import pytest

from object_detection.commands import evaluate
from object_detection.config import pipeline
from object_detection.evaluation.evaluator import evaluate as evaluate_phase
from object_detection.utils.errors import UserError
from tests.support import browser, tiny_models


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A config with records, and an export of random weights in export/."""
    return tiny_models.export(tmp_path_factory.mktemp('evaluate'))


@pytest.fixture(scope='module')
def phase(folder):
    """{name: value} of the evaluation phase."""
    config = pipeline.read(folder / 'pipeline.config')
    config.eval_config.include_metrics_per_category = True
    done = evaluate_phase(lambda *args, **more: None, lambda: False, pipeline.to_text(config), str(folder / 'phase'),
                          str(folder / 'export/checkpoint/ckpt-0'))
    return {name: value for name, value in done['metrics'] if not name.startswith('Loss')}


def run(folder, *arguments):
    """Run the command with --output, return the content of that JSON file."""
    path = folder / f'{len(list(folder.glob("*.json")))}.json'
    evaluate.main([*map(str, arguments), '--output', str(path)])
    return json.loads(path.read_text())


def test_a_checkpoint_has_the_metrics_of_the_evaluation_phase(folder, phase, tmp_path):
    found = run(tmp_path, '--model', folder / 'export/checkpoint/ckpt-0', '--pipeline_config_path',
                folder / 'pipeline.config')
    detector, = found['detectors']
    assert (found['pictures'], detector['format'], detector['name']) == (5, 'checkpoint', 'ckpt-0')
    assert detector['metrics'].keys() == phase.keys() and any('ByCategory/' in name for name in phase)
    assert detector['metrics'] == pytest.approx(phase, abs=1e-6)
    assert detector['milliseconds'] > 0 and detector['megabytes'] > .01


def test_records_and_label_map_in_place_of_a_config(folder, phase, tmp_path, capsys):
    found = run(tmp_path, '--model', folder / 'export', '--records', folder / 'test.tfrecords', '--label_map',
                folder / 'label_map.pbtxt')
    assert found['detectors'][0]['metrics'] == pytest.approx(phase, abs=1e-6)
    assert found['detectors'][0]['format'] == 'SavedModel'
    said = capsys.readouterr().out
    assert 'ms per picture' in said and 'square, mAP' in said
    assert run(tmp_path, '--model', folder / 'export', '--pipeline_config_path', folder / 'pipeline.config', '--limit',
               2, '--metrics', 'pascal_voc_detection_metrics')['pictures'] == 2


def test_a_page_compares_several(folder, tmp_path, phase):
    page = tmp_path / 'comparison.html'
    evaluate.main(['--compare', str(folder / 'export'), str(folder / 'export/checkpoint'), '--pipeline_config_path',
                   str(folder / 'pipeline.config'), '--output', str(page)])
    text = page.read_text(encoding='utf-8')
    for part in ('id="detectors"', 'id="metrics"', 'id="classes"', 'checkpoint', 'ms per picture', '5 pictures'):
        assert part in text
    assert text.count('>+0.0000</td>') == sum(value >= 0 for value in phase.values())
    if browser.BROWSER:
        assert 'id="detectors"' in browser.dom(page.as_uri(), tmp_path / 'profile')


def test_what_is_wrong_is_one_line_before_anything_is_loaded(folder, tmp_path, capsys):
    for arguments, message in (
            (['--model', 'm'], 'give --records and --label_map, or --pipeline_config_path'),
            (['--records', 'r', '--label_map', 'l'], '--model --compare is required'),
            (['--compare', 'a', 'a', '--records', 'r', '--label_map', 'l'], 'give each model once'),
            (['--model', 'm', '--records', 'r', '--label_map', 'l', '--output', 'x.txt'], 'neither .html nor .json')):
        with pytest.raises(SystemExit):
            evaluate.main(arguments)
        assert message in capsys.readouterr().err
    with pytest.raises(UserError, match='does not exist'):
        evaluate.main(['--model', 'm', '--records', str(tmp_path / 'nothing'), '--label_map',
                       str(folder / 'label_map.pbtxt')])
    (tmp_path / 'page.html').write_text('mine')
    with pytest.raises(UserError, match='nothing is overwritten'):
        evaluate.main(['--model', 'm', '--pipeline_config_path', str(folder / 'pipeline.config'), '--output',
                       str(tmp_path / 'page.html')])
