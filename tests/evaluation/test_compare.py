"""Runs side by side: what differs, by how much, and the page in a browser."""
import re

import numpy as np
import pytest

from object_detection.evaluation import compare, summaries
from object_detection.evaluation.analysis import files as analysis_files
from object_detection.runs.record import Record
from object_detection.utils.errors import UserError
from tests.support import browser

MAP, SMALL, LOSS = 'DetectionBoxes_Precision/mAP', 'DetectionBoxes_Precision/mAP (small)', 'Loss/total_loss'
DOG = 'DetectionBoxes_PerformanceByCategory/mAP/dog <b>'


def fingerprint(digest, count):
    return {'digest': digest, 'records': count, 'bytes': 1, 'labels': {'1': 'dog'},
            'files': [{'path': digest, 'records': count, 'digest': digest}]}


def run(folder, rate, evaluations, data='same', **versions):
    record = Record(folder)
    config = f'train_config {{ batch_size: 4 optimizer {{ adam_optimizer {{ epsilon: {rate} }} }} }}'
    record.start(config, {'eval_input_reader[0]': fingerprint(data, 7)}, trains=True, command=['train', str(rate)],
                 versions={'Python': '3.12', **versions}, machine={'cores': 2}, changes=[], warnings=[])
    for step, (value, loss, dog) in evaluations.items():
        record.add('eval', f'ckpt-{step}', step, [(MAP, value), (SMALL, -1.), (DOG, dog), (LOSS, loss)])
    with summaries.Writer(folder / 'train') as writer:
        writer.scalars(10, [(LOSS, 1.)])
        writer.scalars(20, [(LOSS, .5)])
    return folder


@pytest.fixture
def folders(tmp_path):
    return [run(tmp_path / 'a' / 'model', 1e-8, {100: (.5, 2., .25), 200: (.25, 1., .5)}),
            run(tmp_path / 'b' / 'model', 1e-6, {100: (.25, 3., .5), 200: (.75, 2., .125)}, NumPy='2.3'),
            run(tmp_path / 'c' / 'model', 1e-8, {}, 'other')]


def rows(html, table):
    body = re.search(rf'<table id="{table}".*?</table>', html, re.DOTALL)[0]
    return [[re.sub(r'<.*?>', '', cell) for cell in re.findall(r'<t[dh][^>]*>(.*?)</t[dh]>', row, re.DOTALL)]
            for row in re.findall(r'<tr>.*?</tr>', body, re.DOTALL)]


def test_the_page(folders, tmp_path, capsys):
    page = tmp_path / 'page.html'
    compare.main([*map(str, folders), '--output', str(page)])
    html = page.read_text(encoding='utf-8')
    head = ['a/model', 'b/model', 'difference', 'c/model', 'difference']
    assert rows(html, 'metrics') == [
        ['metric', *head], [MAP, '0.5000', '0.7500', '+0.2500', 'no value', ''],
        [SMALL, 'no groundtruth', 'no groundtruth', '', 'no value', ''],
        [LOSS, '2.0000', '2.0000', '+0.0000', 'no value', '']]
    assert rows(html, 'classes') == [
        ['class', *head], ['dog &lt;b&gt; mAP', '0.2500', '0.1250', '-0.1250', 'no value', '']]
    assert re.findall(r'class="n (good|out)">([^<]*)<', html) == [('good', '+0.2500'), ('out', '-0.1250')]
    assert rows(html, 'config')[1:] == [['train_config.optimizer.adam_optimizer.epsilon', '1e-08', '1e-06', '1e-08']]
    assert rows(html, 'about')[1:] == [['NumPy', '', '2.3', '']]
    assert rows(html, 'data')[1:] == [['eval_input_reader[0]', '', '', 'other records in other (7 before, 7 now)']]
    assert 'evaluated on different data' in html and not browser.foreign(html)
    assert html.count('<svg class="chart"') == 2 and html.count('>0.5000<') >= 1
    printed = capsys.readouterr().out
    assert re.search(r'^mAP +0\.5000 +0\.7500 \(\+0\.2500\) +-$', printed, re.MULTILINE)
    assert 'a/model, step 100' in printed and 'b/model, step 200' in printed


@browser.needed
def test_in_a_browser(folders, tmp_path):
    page = tmp_path / 'page.html'
    compare.write(compare.load(folders[:2]), page)
    html = browser.dom(page.as_uri(), tmp_path / 'profile')
    assert rows(html, 'metrics')[1] == [MAP, '0.5000', '0.7500', '+0.2500'] and 'The data sets are equal.' in html


def test_mistakes(folders, tmp_path, capsys):
    with pytest.raises(UserError) as error:
        compare.load([folders[0], tmp_path / 'a', tmp_path / 'nothing'])
    assert 'has no run.json' in error.value.findings[0]
    assert 'does not exist' in error.value.findings[1] and len(error.value.findings) == 2
    for wrong in ([folders[0]], [folders[0], folders[0]]):
        with pytest.raises(SystemExit):
            compare.main([*map(str, wrong), '--output', 'x.html'])
        assert 'two or more different model_dirs' in capsys.readouterr().err


def test_differences_that_may_be_chance(folders):
    def analyzed(folder, checkpoint, mean, resamples):
        step = int(checkpoint.removeprefix('ckpt-'))
        analysis_files.write(folder / 'analysis' / checkpoint, {
            'step': step, 'classes': [], 'map': mean, 'pictures': 7, 'resamples': resamples.tolist()}, {})
    runs = compare.load(folders)
    assert ['it is not known' in line for line in compare.verdicts(runs)] == [True, True]
    analyzed(folders[0], 'ckpt-100', .5, np.linspace(-.1, .1, 200))
    analyzed(folders[1], 'ckpt-200', .75, np.linspace(-.1, .1, 200))
    assert 'mAP is above that of a/model by 0.2500, which is more than chance' in next(compare.verdicts(runs))
    analyzed(folders[1], 'ckpt-200', .52, np.linspace(.1, -.1, 200))
    assert 'a/model, +0.0200, may be chance' in next(compare.verdicts(runs))
