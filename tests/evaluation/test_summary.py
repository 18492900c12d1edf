"""summary.html: what it shows equals run.json and the TensorBoard files, in a real browser."""
import json
import re

import numpy as np
import pytest

from object_detection.commands import reports
from object_detection.evaluation import charts, summaries, summary
from object_detection.runs.record import Record
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import browser

MAP, MAP_50, SMALL, LOSS = ('DetectionBoxes_Precision/mAP', 'DetectionBoxes_Precision/mAP@.50IOU',
                            'DetectionBoxes_Precision/mAP (small)', 'Loss/total_loss')
VALUES = {'ckpt-2': (100, .25, .5, 2.), 'ckpt-3': (200, .4321, .75, 1.5), 'ckpt-10': (300, .125, .9, 1.75)}
DATA = {'train_input_reader': {'digest': 'aa11', 'records': 1234, 'bytes': 5_600_000, 'labels': {'1': 'a', '2': '<b>'}},
        'eval_input_reader[0]': {'digest': 'bb22', 'records': 56, 'bytes': 700_000, 'labels': {'1': 'a', '2': '<b>'}}}


@pytest.fixture
def run(tmp_path):
    """A model_dir of a training of 400 steps that was killed by bad luck at step 350, with odd names."""
    folder = tmp_path / 'model <i>'
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'report.html').write_text('the data')
    record = Record(folder)
    data = {name: {**known, 'files': [{'path': str(tmp_path / 'data' / 'x.tfrecords'), 'records': 9, 'digest': 'c'}]}
            for name, known in DATA.items()}
    record.start('train_config { num_steps: 400 }', data, trains=True, command=['train.py', '--model_dir', '<i>'],
                 versions={'Python': '3.12.1'}, changes=[], warnings=['train_config: odd <rate>'],
                 machine={'processor': 'Z80', 'cores': 2, 'memory_gb': 8.5, 'gpus': ['H100'], 'system': 'CP/M'})
    for checkpoint, (step, *values) in VALUES.items():
        phase = record.phase('train')
        phase.on_event('started', {'step': step - 100, 'target': step})
        phase.end(phases.Outcome(phases.DONE, data={'step': step}, peak_memory=2_000_000_000 + step))
        record.add('eval', checkpoint, step, list(zip((MAP, MAP_50, SMALL, LOSS), (*values[:2], -1., values[2]))))
        record.phase('eval').end(phases.Outcome(phases.DONE, data={'step': step}, peak_memory=10 ** 9))
    record.phase('train').end(phases.Outcome(phases.OUT_OF_MEMORY, 'no memory <left>', data={'step': 350}))
    with summaries.Writer(folder / 'train') as writer:
        for step in range(10, 360, 10):
            writer.scalars(step, [(LOSS, 3 / step), ('learning_rate', .001 * step), ('steps_per_sec', 5.)])
    return folder


def rows(html, table):
    """The texts of the cells of a table."""
    body = re.search(rf'<table id="{table}".*?</table>', html, re.DOTALL)[0]
    return [[re.sub(r'<.*?>', '', cell) for cell in re.findall(r'<t[dh][^>]*>(.*?)</t[dh]>', row, re.DOTALL)]
            for row in re.findall(r'<tr>.*?</tr>', body, re.DOTALL)]


def test_what_was_decided_after_failures_is_a_warning(run):
    with Record(run).changing() as content:
        content['recovery'] = {
            'accumulate': {'parts': 4, 'asked': None, 'batch_size': 8},
            'rollbacks': [{'step': 70, 'checkpoint': 'ckpt-2', 'factor': .5, 'optimizer': 'x'}],
            'skipped': {'train_input_reader': {'data': 'aa11', 'records': {'3': "picture '<b>.jpg': broken"}}}}
    html = summary.write(run).read_text(encoding='utf-8')
    assert 'Memory ran out: each batch of 8 is computed in 4 parts.' in html
    assert 'Step 70 was not finite: training went back to ckpt-2 with 0.5 times the learning rate.' in html
    assert 'train_input_reader: skipped: picture &#39;&lt;b&gt;.jpg&#39;: broken' in html


def test_values_are_those_of_the_files(run):
    html = summary.write(run).read_text(encoding='utf-8')
    assert {text: value for value, text in re.findall(r'<b>([\d.,:]+)</b>([^<]+)</div>', html)} == {
        'best mAP, step 200': '0.4321', 'steps of 400': '350', 'of training': '0:00', 'records to train': '1,234',
        'records to evaluate': '56'}
    assert rows(html, 'metrics') == [
        ['metric', 'best, step 200', 'newest, step 300'], [MAP, '0.4321', '0.1250'], [MAP_50, '0.7500', '0.9000'],
        [SMALL, 'no groundtruth', 'no groundtruth'], [LOSS, '1.5000', '1.7500']]
    assert rows(html, 'evaluations') == [
        ['step', 'checkpoint', 'mAP', 'mAP@.50IOU', 'total_loss'], ['100', 'ckpt-2', '0.2500', '0.5000', '2.0000'],
        ['200', 'ckpt-3', '0.4321', '0.7500', '1.5000'], ['300', 'ckpt-10', '0.1250', '0.9000', '1.7500']]
    best = re.findall(r'class="n best">([\d.]+)<', html)
    assert best == ['0.4321', '1.5000', '0.9000']
    assert [row[:2] + row[3:] for row in rows(html, 'phases')[1:]] == [
        ['train', '4', '2.00 GB', '1 × out of memory'], ['eval', '3', '1.00 GB', '']]
    assert [row[1:5] for row in rows(html, 'data')[1:]] == [
        ['1,234', '5.6 MB', '2', 'aa11'], ['56', '0.7 MB', '2', 'bb22']]
    assert html.count('<a href="../data/report.html">') == 2
    assert 'out of memory</b>: no memory &lt;left&gt;' in html
    assert '<li class="path">train_config: odd &lt;rate&gt;' in html
    assert 'Z80, 2 cores, 8.5 GB, H100' in html and 'Python 3.12.1' in html and 'train.py --model_dir &lt;i&gt;' in html
    assert not browser.foreign(html) and '<i>' not in html


def test_curves_go_through_the_points(run):
    """The path of the losses (3 / step) has their steps and values, on the axes' linear scales."""
    pages = dict(summary._charts(run, summary.evaluations_of(Record(run)), [MAP], {'step': 200}))
    assert list(pages) == ['Metrics', 'Total loss', 'Learning rate', 'Steps per second']
    path = re.search(r'd="(M [^"]*)"[^>]*stroke: var\(--line0\); stroke-width: 1.6', pages['Total loss'])[1]
    x, y = np.array(re.findall(r'[ML] ([\d.]+) ([\d.]+)', path), float).T
    steps = 10 + 340 * (x - x[0]) / (x[-1] - x[0])
    pixels = np.interp(3 / steps, [3 / 350, 3 / 10], [y[-1], y[0]])
    assert len(x) >= 20 and np.abs(pixels - y).max() < .5
    assert '>0.4321<' in pages['Metrics']
    assert 'mAP@.50IOU' in pages['Metrics'] and 'evaluation' in pages['Total loss']


def test_a_chart_has_the_colors_of_the_page_and_nothing_foreign():
    svg = charts.chart([charts.Line('a & <b>', [(0, 1.), (5, 2.)], 3, ranges={0: (.5, 1.5), 5: (1., 3.)}),
                        charts.Line('two', [(1, 1.)], 1, dashed=True)], 'x "y"')
    assert {'var(--line3)', 'var(--line1)', 'var(--text)', 'var(--soft)', 'var(--line)'} <= set(
        re.findall(r'var\(--\w+\)', svg))
    assert 'a &amp; &lt;b&gt;' in svg and 'aria-label="x &#34;y&#34;"' in svg
    assert 'font-family' not in svg and '#0202' not in svg and '<style' not in svg and '<metadata' not in svg


def test_a_run_without_anything_to_show(tmp_path):
    Record(tmp_path).start('', {}, trains=True, command=[], changes=[], warnings=[])
    html = summary.write(tmp_path).read_text(encoding='utf-8')
    assert 'Curves' not in html and 'id="metrics"' not in html and 'Last start' in html


def test_metrics_of_each_class(tmp_path):
    record = Record(tmp_path)
    record.add('eval', 'ckpt-2', 5, [(MAP, .5), ('DetectionBoxes_PerformanceByCategory/mAP/a/<b>', .25),
                                     ('DetectionBoxes_PerformanceByCategory/mAP/cat', -1.),
                                     ('DetectionBoxes_Recall/AR@100 ByCategory/cat', .75)])
    html = summary.write(tmp_path).read_text(encoding='utf-8')
    assert rows(html, 'classes') == [['class', 'mAP', 'AR@100'], ['a/&lt;b&gt;', '0.2500', 'no value'],
                                     ['cat', 'no groundtruth', '0.7500']]
    assert [row[0] for row in rows(html, 'metrics')] == ['metric', MAP]


@browser.needed
def test_in_a_browser(run, tmp_path):
    page = summary.write(run)
    html = browser.dom(page.as_uri(), tmp_path / 'profile')
    assert html.count('<svg class="chart"') == 4 and rows(html, 'metrics')[1] == [MAP, '0.4321', '0.1250']
    click = ('const table = document.querySelector("#evaluations"), heads = table.tHead.rows[0].cells;'
             'const read = () => [...table.tBodies[0].rows].map(row => row.cells[1].textContent).join();'
             'const orders = [read()]; for (const i of [2, 2, 1]) { heads[i].click(); orders.push(read()); }'
             'document.title = orders.join(";");')
    html = browser.dom(browser.after(page, click, tmp_path), tmp_path / 'profile')
    assert re.search('<title>(.*?)</title>', html)[1].split(';') == [
        'ckpt-2,ckpt-3,ckpt-10', 'ckpt-3,ckpt-2,ckpt-10', 'ckpt-10,ckpt-2,ckpt-3', 'ckpt-10,ckpt-2,ckpt-3']
    for width, dark in ((1200, False), (400, True)):
        shown = browser.pixels(page.as_uri(), tmp_path / 'profile', width, 1500,
                               *['--blink-settings=preferredColorScheme=0'] * dark)
        ground, line = ((22, 22, 21), (121, 174, 242)) if dark else ((247, 247, 245), (47, 111, 196))
        assert (np.abs(shown[0, 0] - ground) < 3).all()
        assert (np.abs(shown - line).max(axis=-1) < 12).sum() > 200  # a curve in the color of the scheme


def test_the_command_writes_it_beside_a_training_and_a_failure_is_a_warning(run, capsys):
    with reports.Reports(run) as writer:
        writer.write()
    assert (run / 'summary.html').exists() and 'warning' not in capsys.readouterr().out
    (run / 'run.json').write_text('{')
    (run / 'summary.html').unlink()
    with reports.Reports(run):
        pass
    said = capsys.readouterr().out
    assert 'warning: summary.html of' in said and 'is not JSON' in said and said.count('\n') == 1


def test_the_command_needs_a_run(tmp_path):
    with pytest.raises(UserError, match=r'has no run\.json'):
        reports.main([str(tmp_path)])
    (tmp_path / 'run.json').write_text(json.dumps({'format': 1}))
    reports.main([str(tmp_path)])
    assert (tmp_path / 'summary.html').exists()
