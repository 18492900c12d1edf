"""report.html in a real browser, and its numbers, which equal those of stats.json."""
import json
import re

import numpy as np
import pytest
from PIL import Image

from object_detection.preparation import stats
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.options import Options
from tests.support import browser
from tests.support.hostile import encoded, scene


@pytest.fixture
def output(run, tmp_path):
    """Run on two labels with a duplicate, a conflict, a broken file, a faulty annotation and odd names."""
    folder = tmp_path / 'pictures <b>'
    for i in range(12):
        (folder / 'ab'[i % 2]).mkdir(parents=True, exist_ok=True)
        (folder / 'ab'[i % 2] / f'{i} & <i>ü.jpg').write_bytes(encoded(scene(i, size=(320, 240)), 'JPEG'))
    (folder / 'a' / 'copy.png').write_bytes(encoded(scene(0, size=(320, 240)).reduce(2), 'PNG'))
    (folder / 'b' / 'both.jpg').write_bytes((folder / 'a' / '2 & <i>ü.jpg').read_bytes())
    (folder / 'b' / 'broken.jpg').write_bytes(b'<html>')
    (folder / 'classes.txt').write_text('a\nb\n')
    (folder / 'a' / '4 & <i>ü.txt').write_text('0 0.5 0.5 0.3 0.3\n9 0.1 0.1 0.1 0.1')
    return run(folder)


def test_numbers(output):
    numbers = json.loads((output / 'stats.json').read_text())
    rows = {row['label']: list(row['after'].values()) for row in numbers['labels']}
    assert rows == {'a': [7, 7, 6, 5, 5, 5], 'b': [8, 7, 7, 6, 6, 6]}
    assert numbers['totals']['train'] + numbers['totals']['test'] == 11
    assert [len(numbers[key]) for key in ('duplicates', 'conflicts', 'skipped', 'review')] == [1, 1, 1, 1]
    assert sum(numbers['histograms']['shorter side']['counts']) == 14
    html = (output / 'report.html').read_text()
    assert {name: int(count) for count, name in re.findall(r'<b>([\d,]+)</b>([\w ]+)</div>', html)} == {
        'files': 15, 'taken': 11, 'boxes': 11, 'train': numbers['totals']['train'], 'test': numbers['totals']['test'],
        'to review': 1, 'conflicts': 1, 'skipped': 1}


def test_is_one_file_and_escapes_names(output):
    html = (output / 'report.html').read_text()
    assert not re.search(r'(src|href)="(?!data:image/|#)', html) and '@import' not in html and '<script' not in html
    assert '<i>ü' not in html and '&lt;i&gt;ü' in html  # names are text, not markup


@browser.needed
def test_in_a_browser(output, tmp_path):
    page = (output / 'report.html').as_uri()
    shown = browser.dom(page, tmp_path / 'profile')
    figures = re.findall(r'<figure>.*?</figure>', shown, re.DOTALL)
    assert len(figures) == 11 + 1 + 2 + 2  # samples, review, conflict, duplicates
    assert shown.count('<h2 id=') == 8
    pixels = browser.pixels(page, tmp_path / 'profile', 1200, 2000)
    assert pixels.shape[:2] == (2000, 1200)
    bars, boxes = ((np.abs(pixels - color).max(axis=-1) < 12).sum() for color in ((58, 119, 201), (154, 123, 234)))
    assert bars > 2000 and boxes > 2000  # histograms, and outlines around whole pictures


@browser.needed
def test_tiles_ranges_and_findings_in_a_browser(run, tmp_path):
    """Ten pictures of 12 bits with a box that reaches far out of each, cut into tiles.

    Of the box, 280 x 120 pixels, the four tiles show 43 %, 57 %, 25 % and 33 %: three are kept.
    """
    folder = tmp_path / 'deep'
    for i in range(10):
        for label in 'ab':
            (folder / label).mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng([i, ord(label)]).integers(0, 4096, (12, 16)).astype(np.uint16)
            Image.fromarray(np.kron(values, np.ones((20, 20), np.uint16))).save(folder / label / f'{i}.png')
            (folder / label / f'{i}.xml').write_text(
                f'<annotation><size><width>320</width><height>240</height></size><object><name>{label}</name><bndbox>'
                '<xmin>40</xmin><ymin>30</ymin><xmax>500</xmax><ymax>150</ymax></bndbox></object></annotation>')
    output = run(folder, boxes='best', tile=160, overlap=0.0, near_duplicates=None)
    numbers = json.loads((output / 'stats.json').read_text())
    assert numbers['tiles']['pictures'] == 20 and len(numbers['review']) == 20
    shown = browser.dom((output / 'report.html').as_uri(), tmp_path / 'profile')
    parts = dict(re.findall(r'<h2 id="([\w-]+)">(.*?)(?=<h2 id=|$)', shown, re.DOTALL))
    assert parts['tiles'].count('<figure>') == 16 and '60 tiles of 20 pictures, with 60 boxes' in parts['tiles']
    assert parts['to-review'].count('reaches 180 pixels out of the picture') == 20
    assert '12 of 16 bits, 0 to 4095 became 0 to 255' in parts['dynamic-range']
    count = 'document.title = [...document.images].filter(image => !image.naturalWidth).length + " broken"'
    page = browser.after(output / 'report.html', count, tmp_path)
    assert '<title>0 broken</title>' in browser.dom(page, tmp_path / 'profile')


def test_histogram():
    assert stats.histogram([1, 2, 3, 3.5], (0, 2, 3, 4)) == {'edges': [0, 2, 3, 4], 'counts': [1, 1, 2]}


def test_box_sizes_against_anchors():
    picture = Picture('a/1', 'a', 1, 1, '', format='JPEG', width=200, height=100, jpg_width=200, jpg_height=100,
                      boxes=[Box(0, 0, 0.1, 0.05, 'a', 0.5, 'model'), Box(0, 0, 1, 0.5, 'a', 0.9, 'model')])
    numbers = stats.collect([picture], ['a'], Options(None, None))
    assert numbers['histograms']['box size']['counts'] == [0, 0, 1, 0, 0, 0, 1]  # 10 of 200 pixels, and 100 of 200
    anchors = numbers['anchors']
    assert anchors.pop('said').startswith('the usual anchors')
    assert anchors == {'smallest': 0.0625, 'largest': pytest.approx(1.5874, abs=1e-4), 'boxes_below': 0,
                       'boxes_above': 0}
