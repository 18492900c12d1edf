"""The page that `tensorboard --logdir MODEL_DIR` serves shows the numbers and images of a run."""
import contextlib
import json
import re
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from object_detection.evaluation import summaries
from tests.support import browser

SCALARS = ['Loss/total_loss', 'DetectionBoxes_Precision/mAP@.50IOU']


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """The address of a TensorBoard of one run: two points of each scalar, one image."""
    folder = tmp_path_factory.mktemp('model')
    with summaries.Writer(folder / 'train') as train, summaries.Writer(folder / 'eval') as evaluation:
        for step, value in ((100, .5), (200, .25)):
            train.scalars(step, [(SCALARS[0], value)])
            evaluation.scalars(step, [(SCALARS[1], 1 - value)])
        evaluation.images(200, 'eval_side_by_side_0_0', [np.full((20, 40, 3), 128, np.uint8)])
    command = [sys.executable, '-m', 'tensorboard.main', '--logdir', str(folder), '--port', '0', '--host', '127.0.0.1']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            yield next(match[0] for line in server.stdout if (match := re.search(r'http://[\d.]+:\d+/', line)))
        finally:
            server.terminate()


def _get(address):
    with contextlib.closing(urllib.request.urlopen(address, timeout=30)) as answer:
        return json.load(answer)


def test_tensorboard_knows_scalars_and_pictures(page):
    assert {run: sorted(tags) for run, tags in _get(f'{page}data/plugin/scalars/tags').items() if tags} == {
        'train': [SCALARS[0]], 'eval': [SCALARS[1]]}
    points = _get(f'{page}data/plugin/scalars/scalars?run=train&tag=Loss%2Ftotal_loss')
    assert [(step, value) for _, step, value in points] == [(100, .5), (200, .25)]
    assert list(_get(f'{page}data/plugin/images/tags')['eval']) == ['eval_side_by_side_0_0']


@browser.needed
def test_the_page_shows_them(page, tmp_path):
    shown = browser.shown(f'{page}#timeseries', tmp_path, '--window-size=1400,1600', '--virtual-time-budget=20000')
    for tag in (*(tag.split('/')[1] for tag in SCALARS), 'eval_side_by_side_0_0'):
        assert tag in shown
