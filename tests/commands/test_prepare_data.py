"""prepare_data.py as a user runs it: with a detector, killed, run again, with other options, on bad input."""
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from object_detection.commands import prepare_data
from object_detection.config import label_map, paths
from object_detection.records import Example, Records
from object_detection.utils.errors import UserError
from tests.support import fake_detector
from tests.support.hostile import encoded, scene
from tests.support.prepared import contents, decisions

ROOT = Path(__file__).parents[2]
BOX = {'Sit': (40, 30, 120, 90), 'Down': (200, 100, 380, 260)}  # left, top, right, bottom of 400x300


@pytest.fixture(scope='session')
def detectors(tmp_path_factory):
    return fake_detector.write(tmp_path_factory.mktemp('detectors'))


def thing(label, i, color='navy'):
    """Draw a patterned thing on white, in the box of its label."""
    image = Image.new('RGB', (400, 300), 'white')
    draw = ImageDraw.Draw(image)
    draw.rectangle((BOX[label][0], BOX[label][1], BOX[label][2] - 1, BOX[label][3] - 1), fill=color)
    chance = random.Random(f'{label}{i}')
    for _ in range(8):
        x, y = chance.randrange(BOX[label][0], BOX[label][2] - 20), chance.randrange(BOX[label][1], BOX[label][3] - 20)
        draw.rectangle((x, y, x + 19, y + 19), fill=(chance.randrange(90), chance.randrange(60), chance.randrange(150)))
    return encoded(image, 'JPEG', quality=95)


@pytest.fixture
def things(tmp_path):
    """A data set of two labels with ten pictures each."""
    for label in BOX:
        folder = tmp_path / 'things' / label
        folder.mkdir(parents=True)
        for i in range(10):
            (folder / f'{i}.jpg').write_bytes(thing(label, i))
    return tmp_path / 'things'


def prepare(dataset, output, *options):
    """Run the script in a process of its own and return its output."""
    command = [sys.executable, ROOT / 'prepare_data.py', '--dataset', dataset, '--output', output, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout


def examples(output):
    """Return {source: (subset, Example)} of all records."""
    found = {}
    for subset in ('train', 'validation', 'test'):
        if files := sorted(str(file) for file in output.glob(f'{subset}.tfrecords*')):
            records = Records(files)
            found |= {e.source_id: (subset, e) for e in (Example.from_bytes(records[i]) for i in range(len(records)))}
    return found


def test_with_a_detector(things, tmp_path, detectors):
    """Boxes, records and label map are right; a box drawn by hand redoes only its picture; batch 1 detects the same."""
    (things / 'Sit' / 'person.jpg').write_bytes(thing('Sit', 50, 'red'))
    output = tmp_path / 'out'
    said = prepare(things, output, '--coco', detectors['any'])
    assert '21 pictures in 3 batches' in said  # of 8, 8 and 5
    labels = label_map.load(output / 'label_map.pbtxt').items
    assert [(item.id, item.name) for item in labels] == [(1, 'Down'), (2, 'Sit')]
    found = examples(output)
    assert [subset for subset, _ in found.values()].count('test') == 4
    for source, (_, example) in found.items():
        label = source.partition('/')[0]
        left, top, right, bottom = BOX[label]
        expected = (top / 300, left / 400, bottom / 300, right / 400)
        assert example.boxes[0] == pytest.approx(expected, abs=0.01)
        assert (example.labels, example.texts) == ([{'Down': 1, 'Sit': 2}[label]], [label])
    review = (output / 'stats.json').read_text()
    assert 'shows person 0.90, the folder should show dog' in review

    (things / 'Sit' / '3.xml').write_text(
        '<annotation><size><width>400</width><height>300</height></size><object><name>Sit</name><bndbox><xmin>100</xmin>'
        '<ymin>30</ymin><xmax>200</xmax><ymax>150</ymax></bndbox></object></annotation>')
    said = prepare(things, output, '--coco', detectors['any'])
    assert 'reading' not in said and 'detecting:' not in said
    again = examples(output)
    assert again['Sit/3.jpg'][1].boxes[0] == pytest.approx((0.1, 0.25, 0.5, 0.5))
    del found['Sit/3.jpg'], again['Sit/3.jpg']
    assert again == found

    prepare(things, tmp_path / 'one', '--coco', detectors['1'])
    for source, (_, example) in examples(tmp_path / 'one').items():
        if source in found:
            assert example.boxes[0] == pytest.approx(found[source][1].boxes[0], abs=0.01)


def voc(*boxes):
    """boxes: (left, top, right, bottom, label), of a picture of 400x300."""
    objects = ''.join(f'<object><name>{label}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>'
                      f'<ymax>{bottom}</ymax></bndbox></object>' for left, top, right, bottom, label in boxes)
    return f'<annotation><size><width>400</width><height>300</height></size>{objects}</annotation>'


def test_check_finds_label_errors_and_the_corrected_file_goes_back_in(things, tmp_path, detectors):
    """The detector calls reddish things Down, others Sit; three boxes are wrong, each in its own way."""
    shutil.copytree(detectors['any'], tmp_path / 'detector' / 'saved_model')
    label_map.write(tmp_path / 'detector' / 'label_map.pbtxt', ['Down', *(f'class {i}' for i in range(2, 18)), 'Sit'])
    hand = tmp_path / 'hand'
    for label in BOX:
        (hand / label).mkdir(parents=True)
        for i in range(10):
            (things / label / f'{i}.jpg').write_bytes(thing(label, i, 'red' if label == 'Down' else 'navy'))
            (hand / label / f'{i}.xml').write_text(voc((*BOX[label], label)))
    (hand / 'Sit' / '1.xml').write_text(voc())
    (hand / 'Sit' / '2.xml').write_text(voc((*BOX['Sit'], 'Down')))
    (hand / 'Down' / '3.xml').write_text(voc((200, 100, 290, 260, 'Down')))
    output, options = tmp_path / 'out', ('--check', tmp_path / 'detector', '--negatives')
    said = prepare(things, output, *options, '--annotations', hand)
    assert 'label_errors.json: 1 overlooked, 1 swapped, 1 badly placed, in 20 pictures' in said
    data = json.loads((output / 'label_errors.json').read_text())
    assert {image['file_name'] for image in data['images'][:3]} == {'Sit/1.jpg', 'Sit/2.jpg', 'Down/3.jpg'}
    listed = {image['file_name']: image['id'] for image in data['images']}
    assert len(data['annotations']) == 19 and len(listed) == 20
    found = json.loads((output / 'stats.json').read_text())['label_errors']['findings']
    assert [(f['kind'], f['path'], f['label'], f['detected']) for f in found] == [
        ('overlooked', 'Sit/1.jpg', None, 'Sit'), ('swapped', 'Sit/2.jpg', 'Down', 'Sit'),
        ('badly placed', 'Down/3.jpg', 'Down', 'Down')]
    html = (output / 'report.html').read_text()
    assert 'annotated Down, detected Sit 0.90' in html and html.count('<i class="hand" style="left:50.00%') >= 1
    before = contents(output)
    said = prepare(things, output, *options, '--annotations', hand)
    assert contents(output) == before and 'detecting:' not in said

    for finding in data['findings']:  # what a person does with CVAT
        if finding['annotation_id'] is None:
            data['annotations'].append({'id': 99, 'image_id': finding['image_id'], **finding['detection']})
        for entry in data['annotations']:
            if entry['id'] == finding['annotation_id']:
                entry |= finding['detection']
    (output / 'label_errors.json').write_text(json.dumps(data))
    with pytest.raises(UserError, match='has changed since it was written'):
        prepare_data.main(['--dataset', str(things), '--output', str(output), *map(str, options), '--annotations',
                           str(hand)])
    data['annotations'] = [a for a in data['annotations'] if a['image_id'] != listed['Sit/5.jpg']]
    (tmp_path / 'corrected.json').write_text(json.dumps(data))
    (output / 'label_errors.json').unlink()
    shutil.copytree(hand, things, dirs_exist_ok=True)  # a file that is named comes before those beside the pictures
    said = prepare(things, output, *options, '--annotations', tmp_path / 'corrected.json')
    assert 'label_errors.json: 1 overlooked, 0 swapped, 0 badly placed, in 20 pictures' in said
    corrected = examples(output)
    assert corrected.pop('Sit/5.jpg')[1].boxes == [] and len(corrected) == 19
    for source, (_, example) in corrected.items():
        left, top, right, bottom = BOX[source.partition('/')[0]]
        assert example.boxes[0] == pytest.approx((top / 300, left / 400, bottom / 300, right / 400), abs=0.01)
        assert example.texts == [source.partition('/')[0]]


def test_one_worker_and_many_write_the_same_bytes(things, tmp_path):
    options = ('--boxes', 'whole', '--shards', '3', '--mindim', '100')
    prepare(things, tmp_path / 'one', '--workers', '1', *options)
    prepare(things, tmp_path / 'many', '--workers', '4', *options)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'many')
    assert len(list((tmp_path / 'one').glob('train.tfrecords-0000?-of-00003'))) == 3


@pytest.mark.parametrize(('kept', 'files', 'pattern'), [
    ({'Down': 3, 'Sit': 2}, 5, 'train.tfrecords-?????-of-00005'), ({'Down': 0, 'Sit': 1}, 1, 'train.tfrecords')])
def test_no_more_shards_than_pictures(things, tmp_path, kept, files, pattern):
    """A shard without a record would stop the training."""
    for label, count in kept.items():
        for i in range(count, 10):
            (things / label / f'{i}.jpg').unlink()
    output = tmp_path / 'out'
    said = prepare(things, output, '--boxes', 'whole', '--shards', '10', '--split', '1')
    assert f'pictures to train on ({files}); the records are {pattern}' in said
    assert list(paths.records(str(output / pattern))) == []
    assert len(list(output.glob('train.tfrecords*'))) == len(list(output.glob(pattern))) == files


@pytest.mark.parametrize(('kills', 'boxes'), [
    (4, ('--boxes', 'whole')), (3, ('--tile', '120', '--negatives')),
    pytest.param(50, ('--boxes', 'whole'), marks=pytest.mark.slow),
    pytest.param(50, ('--tile', '120', '--negatives'), marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, kills, boxes):
    seed = int(os.environ.get('KILL_SEED', random.randrange(10 ** 6)))
    print(f'KILL_SEED={seed}')
    chance = random.Random(seed)
    dataset, command = tmp_path / 'pictures', [sys.executable, ROOT / 'prepare_data.py', *boxes, '--mindim', '200',
                                               '--split', '.6', '.2', '.2', '--shards', '2', '--workers', '2']
    for i in range(40):
        label = 'ab'[i // 4 % 2]  # four copies of each scene
        (dataset / label).mkdir(parents=True, exist_ok=True)
        (dataset / label / f'{i}.png').write_bytes(encoded(scene(i // 4 * 4, size=(900, 700)), 'PNG'))
        if '--tile' in boxes:
            (dataset / label / f'{i}.txt').write_text(f'{"ab".index(label)} .3 .4 .2 .3')
    if '--tile' in boxes:
        (dataset / 'classes.txt').write_text('a\nb')
    start = time.monotonic()
    prepare(dataset, tmp_path / 'calm', *command[2:])
    duration, expected, moments = time.monotonic() - start, contents(tmp_path / 'calm'), []
    output = tmp_path / 'killed'
    for _ in range(kills):
        process = subprocess.Popen([*command, '--dataset', dataset, '--output', output], stdout=subprocess.DEVNULL)
        moments.append(chance.uniform(0.1, 1.0) * duration)
        time.sleep(moments[-1])
        process.kill()
        process.wait()
        if kills > 10 or len(moments) == kills:  # many kills: each from the start; few: one after the other
            prepare(dataset, output, *command[2:])
            assert contents(output) == expected, f'KILL_SEED={seed}, killed after {moments[-1]:.2f} s'
            shutil.rmtree(output)


def test_changed_options_redo_what_they_touch(things, tmp_path):
    output, whole = tmp_path / 'out', ('--boxes', 'whole')
    prepare(things, output, *whole)
    before = contents(output)
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob('*.jpg')}
    said = prepare(things, output, *whole, '--split', '0.5', '--seed', '3', '--maxperlabel', '6')
    assert 'reading' not in said and 'writing records' in said
    assert {path: path.stat().st_mtime_ns for path in output.rglob('*.jpg')} == stamps
    said = prepare(things, output, *whole, '--mindim', '64')
    assert 'reading pictures: 20/20' in said
    said = prepare(things, output, *whole)
    assert contents(output) == before  # back again: the same bytes
    stamp = (output / 'train.tfrecords').stat().st_mtime_ns
    said = prepare(things, output, *whole)
    assert 'writing' not in said and (output / 'train.tfrecords').stat().st_mtime_ns == stamp


def test_pictures_may_come_go_and_change(things, tmp_path):
    output, whole = tmp_path / 'out', ('--boxes', 'whole')
    prepare(things, output, *whole, '--shards', '2')
    (things / 'Sit' / '0.jpg').unlink()
    (things / 'Sit' / '1.jpg').write_bytes(thing('Sit', 77))
    (things / 'Sit' / 'new.jpg').write_bytes(thing('Sit', 78))
    (output / 'jpg' / 'Down' / '2.jpg').unlink()
    (output / 'jpg' / 'Down' / 'mine.txt').write_text('not ours')
    said = prepare(things, output, *whole)
    assert 'reading pictures: 2/2' in said and 'writing pictures again: 1/1' in said
    assert (output / 'jpg' / 'Down' / 'mine.txt').exists()
    prepare(things, tmp_path / 'fresh', *whole)
    (output / 'jpg' / 'Down' / 'mine.txt').unlink()
    assert contents(output) == contents(tmp_path / 'fresh')


def test_duplicates_and_conflicts_are_reported(things, tmp_path):
    (things / 'Sit' / 'copy.jpg').write_bytes((things / 'Sit' / '0.jpg').read_bytes())
    (things / 'Down' / 'Sit 5.jpg').write_bytes((things / 'Sit' / '5.jpg').read_bytes())
    said = prepare(things, tmp_path / 'out', '--boxes', 'whole')
    found = decisions(tmp_path / 'out')
    assert sorted(path for path, (verdict, _) in found.items() if verdict == 'duplicate') == ['Sit/copy.jpg']
    assert {path for path, (verdict, _) in found.items() if verdict == 'conflict'} == {'Sit/5.jpg', 'Down/Sit 5.jpg'}
    assert '1 conflicts' in said
    jpgs = {path.relative_to(tmp_path / 'out' / 'jpg').as_posix() for path in (tmp_path / 'out' / 'jpg').rglob('*.jpg')}
    assert not jpgs & {'Sit/copy.jpg', 'Sit/5.jpg', 'Down/Sit 5.jpg'} and len(jpgs) == 19


@pytest.mark.parametrize(('change', 'message'), [
    (lambda d: shutil.rmtree(d), 'does not exist'),
    (lambda d: [shutil.rmtree(f) for f in d.iterdir()], 'is empty; it needs one folder per label'),
    (lambda d: [f.unlink() for f in d.glob('*/*')], 'hold no files'),
    (lambda d: [f.write_text('no picture') for f in d.glob('*/*')], 'no picture is left to train on')])
def test_bad_data_sets(things, tmp_path, change, message):
    change(things)
    with pytest.raises(UserError, match=message):
        prepare_data.main(['--dataset', str(things), '--output', str(tmp_path / 'out'), '--boxes', 'whole'])


@pytest.mark.parametrize(('options', 'message'), [
    (['--split', '0.5', '0.5', '0.5'], 'add up to 1'), (['--split', '1.5'], 'one share for training'),
    (['--coco', 'nowhere'], 'does not exist'), (['--coco', 'tests'], 'holds no SavedModel'),
    (['--annotations', 'nowhere.json'], 'does not exist')])
def test_bad_options(things, tmp_path, options, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=message):
        prepare_data.main(['--dataset', str(things), '--output', str(tmp_path / 'out'), *options])


@pytest.mark.parametrize(('options', 'expected'), [
    ([], ((0.8, 0.0, 0.2), None)), (['--split', 'given'], ((0.8, 0.0, 0.2), True)),
    (['--split', '0.8'], ((0.8, 0.0, 0.2), False)), (['--split', '.5', '.25', '.25'], ((.5, .25, .25), False))])
def test_split(things, options, expected):
    values = prepare_data.parse(['--dataset', str(things), '--output', 'out', *options])
    assert (values['split'], values['split_given']) == expected


def test_split_that_is_neither_given_nor_shares(things):
    with pytest.raises(UserError, match=r'--split often: one share .* or given'):
        prepare_data.parse(['--dataset', str(things), '--output', 'out', '--split', 'often'])


def test_a_file_of_annotations_as_data_set(things):
    (things / 'a.json').write_text('{}')
    values = prepare_data.parse(['--dataset', str(things / 'a.json'), '--output', 'out', '--annotations', 'b.csv'])
    assert values['dataset'] == things and values['annotations'] == (things / 'a.json', Path('b.csv'))


def test_output_inside_the_data_set(things, tmp_path):
    with pytest.raises(UserError, match='nothing is ever'):
        prepare_data.main(['--dataset', str(things), '--output', str(things / 'out')])
    things.rename(tmp_path / 'jpg')
    with pytest.raises(UserError, match='choose another output'):
        prepare_data.main(['--dataset', str(tmp_path / 'jpg'), '--output', str(tmp_path)])


def test_other_files_in_the_output_are_kept(things, tmp_path):
    report = tmp_path / 'out' / 'report.html'
    report.parent.mkdir()
    report.write_text('mine')
    with pytest.raises(UserError, match=r'holds report.html without the manifest.sqlite'):
        prepare_data.main(['--dataset', str(things), '--output', str(tmp_path / 'out'), '--boxes', 'whole'])
    assert report.read_text() == 'mine'


def test_without_detector_and_boxes(things, tmp_path):
    options = ['--dataset', str(things), '--output', str(tmp_path / 'out')]
    with pytest.raises(UserError, match=r'there are no boxes. --coco FOLDER names a detector'):
        prepare_data.main(options)
    assert not (tmp_path / 'out').exists()
    (things / 'Sit' / '0.txt').write_text('0 .5 .5 .2 .2')
    (things / 'classes.txt').write_text('Sit')
    with pytest.raises(UserError, match=r'19 pictures have no box, .* for example: --coco FOLDER'):
        prepare_data.main(options)


def test_a_model_of_the_zoo_that_is_not_here(things, tmp_path):
    folder = 'models/efficientdet_d0_coco17_tpu-32/saved_model'
    with pytest.raises(UserError, match='zoo download efficientdet_d0_coco17_tpu-32'):
        prepare_data.main(['--dataset', str(things), '--output', str(tmp_path / 'out'), '--coco', folder])


def test_folders_of_a_split_are_not_labels(things, tmp_path, capsys):
    for label, name in zip(BOX, ('train', 'Val')):
        (things / label).rename(things / name)
    prepare_data.main(['--dataset', str(things), '--output', str(tmp_path / 'out'), '--boxes', 'whole'])
    assert 'the labels are Val, train, which are names of parts of a data set' in ''.join(capsys.readouterr())


def test_neither_script_nor_workers_import_tensorflow():
    code = """
import sys, prepare_data, object_detection.preparation.reading, object_detection.preparation.run
print([name for name in sys.modules if name.startswith(('tensorflow', 'keras', 'tf_keras'))])
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60, cwd=ROOT,
                          check=True)
    assert done.stdout.strip() == '[]'
