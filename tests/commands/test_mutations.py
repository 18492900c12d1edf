"""Mutated configs, records and annotations: no traceback, no hang, and a message where something is wrong.

The seed is MUTATION_SEED of the environment, else 0; each failure names the seed and the file.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

from object_detection import records
from object_detection.commands import preflight, prepare_data
from object_detection.config import label_map, pipeline
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import mutants, tiny
from tests.support.findings import GOLDEN

pytestmark = pytest.mark.slow
SEED = int(os.environ.get('MUTATION_SEED', '0'))
ROOT = Path(__file__).parents[2]
ENDS = {phases.DONE, phases.BAD_INPUT, phases.NOT_FINITE, phases.OUT_OF_MEMORY}
SECONDS = 20  # for what the parent process checks


@pytest.fixture
def random():
    print(f'MUTATION_SEED={SEED}')
    return np.random.default_rng(SEED)


def test_configs(random, tmp_path):
    """300 configs: all end in findings, or train a step."""
    source = tiny.write(tmp_path).read_text(encoding='utf-8')
    wrong, passing = {}, []
    for number in range(300):
        path = tmp_path / f'mutant{number}.config'
        path.write_bytes(mutants.text(random, source).encode('utf-8', 'surrogatepass'))
        end = checked(path)
        if end == 'passes':
            passing.append(path)
        elif end != 'refused':
            wrong[path.name] = end
    print(f'{300 - len(passing)} refused, {len(passing)} pass the checks')
    wrong |= tried_out(passing, tmp_path)
    assert not wrong, '\n\n'.join(f'{name} (seed {SEED}): {end}' for name, end in wrong.items())


@pytest.mark.parametrize('name', ['faster_rcnn_resnet50_v1', 'centernet_mobilenetv2_fpn', 'efficientdet_d0'])
def test_configs_of_the_reference(name, random, tmp_path):
    """The checks alone of 200 mutants of other architectures."""
    source = (GOLDEN / f'{name}.config').read_text(encoding='utf-8')
    wrong = {}
    for number in range(200):
        path = tmp_path / f'mutant{number}.config'
        path.write_bytes(mutants.text(random, source).encode('utf-8', 'surrogatepass'))
        if (end := checked(path)) not in ('passes', 'refused'):
            wrong[path.name] = end
    assert not wrong, '\n\n'.join(f'{name} (seed {SEED}): {end}' for name, end in wrong.items())


def test_label_maps(random, tmp_path):
    label_map.write(tmp_path / 'good', ['square', 'bar', 'disc'], {'bar': ['left', 'right']})
    source, wrong = (tmp_path / 'good').read_text(encoding='utf-8'), {}
    for number in range(300):
        path = tmp_path / f'{number}.pbtxt'
        path.write_bytes(mutants.text(random, source).encode('utf-8', 'surrogatepass'))
        with ends_in_time(wrong, path.name):
            label_map.load(path)
    assert not wrong, wrong


def test_records(random, tmp_path):
    """100 record files: bytes of the file, or of a record whose checksum is right, are changed."""
    path, wrong = tiny.write(tmp_path), {}
    config = pipeline.read(path)
    whole = (tmp_path / 'train.tfrecords').read_bytes()
    singles = [data for data, _ in map(records.Records(tmp_path / 'train.tfrecords').read, range(13))]
    passing = []
    for number in range(100):
        file = tmp_path / f'{number}.tfrecords'
        if number % 3 == 0:
            file.write_bytes(mutants.data(random, whole))
        else:
            with records.Writer(file) as writer:
                for data in singles:
                    writer.write(mutants.data(random, data) if random.random() < .2 else data)
        config.train_input_reader.tf_record_input_reader.input_path[:] = [str(file)]
        mutant = tmp_path / f'{number}.config'
        pipeline.write(config, mutant)
        end = checked(mutant, sample=None)
        if end == 'passes':
            passing.append(mutant)
        elif end != 'refused':
            wrong[file.name] = end
    wrong |= tried_out(passing, tmp_path)
    assert not wrong, '\n\n'.join(f'{name} (seed {SEED}): {end}' for name, end in wrong.items())


def checked(path, sample=16):
    """'refused' if the parent's checks find errors, 'passes' if not, else what went wrong."""
    wrong = {}
    with ends_in_time(wrong, 'end'):
        findings, _ = preflight.examine(pipeline.read(path), path, sample)
        assert all(finding.message and len(str(finding)) < 20_000 for finding in findings)
        return 'refused' if any(finding.severity == 'error' for finding in findings) else 'passes'
    return wrong.get('end', 'refused')


@contextlib.contextmanager
def ends_in_time(wrong, name):
    """Note a hang or an exception other than a UserError, which must say something."""
    def late(*_):
        raise TimeoutError(f'{SECONDS} s')

    if hasattr(signal, 'SIGALRM'):
        signal.signal(signal.SIGALRM, late)
        signal.alarm(SECONDS)
    try:
        yield
    except UserError as error:
        if not all(error.findings):
            wrong[name] = 'an empty message'
    except Exception:
        wrong[name] = traceback.format_exc()[-2500:]
    finally:
        if hasattr(signal, 'SIGALRM'):
            signal.alarm(0)


def tried_out(paths, folder):
    """{name: what went wrong} of configs that are trained a step, in one process as long as it lives."""
    wrong, todo = {}, list(map(str, paths))
    while todo:
        listed = folder / 'todo'
        listed.write_text('\n'.join(todo), encoding='utf-8')
        run = subprocess.run([sys.executable, '-m', 'tests.support.mutants', str(folder), str(listed)], cwd=ROOT,
                             capture_output=True, text=True, timeout=3600, check=False)
        lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('[')]
        ended = {path for path, kind, _ in lines if kind != 'begun'}
        wrong |= {Path(path).name: f'{kind}: {message}' for path, kind, message in lines
                  if kind not in ENDS | {'begun'} or (kind != phases.DONE and kind != 'begun' and not message)}
        crashed = [path for path, kind, _ in lines if kind == 'begun' and path not in ended]
        wrong |= {Path(path).name: f'the process ended with {run.returncode}: {run.stderr[-1500:]}' for path in crashed}
        todo = [path for path in todo if path not in ended and path not in crashed] if lines else []
    return wrong


BOX = '<bndbox><xmin>10</xmin><ymin>12</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>'
ANNOTATIONS = {
    'a/0.xml': '<annotation>\n<filename>0.jpg</filename>\n<size><width>80</width><height>60</height></size>\n<object>\n'
               f'<name>a</name>\n{BOX}\n</object>\n</annotation>\n',
    'a/0.txt': '0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.9 0.1 0.9 0.9\n',
    'ann.json': json.dumps({
        'images': [{'id': 1, 'file_name': 'a/0.jpg', 'width': 80, 'height': 60}],
        'categories': [{'id': 1, 'name': 'a', 'keypoints': ['l', 'r']}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [5, 5, 30, 20], 'iscrowd': 0,
                         'keypoints': [6, 6, 2, 9, 9, 1], 'segmentation': [[5, 5, 35, 5, 35, 25]]},
                        {'id': 2, 'image_id': 1, 'category_id': 1, 'bbox': [5, 5, 30, 20], 'iscrowd': 1,
                         'segmentation': {'size': [60, 80], 'counts': [100, 200, 4500]}}]}, indent=1),
    'ann.csv': 'filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,80,60,a,5,6,30,40\n1.jpg,80,60,b,5,6,30,40\n',
    'cvat.xml': '<annotations>\n<version>1.1</version>\n<image id="0" name="a/0.jpg" width="80" height="60">\n'
                '<box label="a" xtl="5" ytl="6" xbr="30" ybr="40" occluded="0">\n</box>\n<polygon label="b" '
                'points="1,2;30,4;20,30">\n</polygon>\n<mask label="a" rle="3, 5, 2" left="1" top="2" width="5" '
                'height="2">\n</mask>\n</image>\n</annotations>\n',
    'data.yaml': 'path: .\ntrain: a\nval: b\nnames:\n  0: a\n  1: b\nkpt_shape: [2, 3]\n',
    'classes.txt': 'a\nb\n',
}


@pytest.mark.parametrize('name', ANNOTATIONS)
def test_annotations(name, random, tmp_path):
    """40 mutants of each format: prepare_data.py ends with a message or with records."""
    wrong = {}
    for number in range(40):
        folder = tmp_path / str(number)
        for label in 'ab':
            (folder / label).mkdir(parents=True)
            for picture in range(2):
                example = tiny.example(np.random.default_rng(picture + ord(label)), '', 1)
                (folder / label / f'{picture}.jpg').write_bytes(example.encoded)
        if name in ('data.yaml', 'classes.txt'):
            (folder / 'a/0.txt').write_text(ANNOTATIONS['a/0.txt'], encoding='utf-8')
        source = ANNOTATIONS[name]
        (folder / name).write_bytes(mutants.text(random, source).encode('utf-8', 'surrogatepass') if number % 4 else
                                    mutants.data(random, source.encode()))
        with ends_in_time(wrong, f'{folder / name}'):
            prepare_data.main(['--dataset', str(folder), '--output', str(tmp_path / f'out{number}'), '--boxes', 'whole',
                               '--workers', '1', '--split', '.5', '--near_duplicates', 'off'])
    assert not wrong, '\n\n'.join(f'{name} (seed {SEED}): {end}' for name, end in wrong.items())
