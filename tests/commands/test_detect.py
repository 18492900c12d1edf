"""detect.py: what it writes, that prepare_data.py reads it, and what it says of what is wrong."""
import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from object_detection.commands import detect, prepare_data
from object_detection.config import label_map
from object_detection.records import Example, Records
from object_detection.utils.errors import UserError
from tests.support import tiny_models
from tests.support.colors import Colors, save, scene

BOXES = {'a/both.png': {1: (10, 20, 60, 70), 2: (90, 30, 150, 110)}, 'a/red.png': {1: (30, 5, 100, 80)},
         'b/blue.bmp': {2: (8, 16, 80, 96)}, 'b/none.png': {}}
NAMES = {1: 'red', 2: 'blue'}


@pytest.fixture
def pictures(tmp_path):
    for number, (name, boxes) in enumerate(BOXES.items()):
        save(tmp_path / 'in' / name, boxes, noise=number)
    return tmp_path / 'in'


@pytest.fixture
def run(monkeypatch, tmp_path):
    """run('--save', 'csv', ...) detects with Colors in tmp_path/in and returns the output folder and the exit code."""
    def run(*arguments, runner=None, given=None, output='out'):
        monkeypatch.setattr('object_detection.inference.load.load', lambda *_: runner or Colors())
        code = detect.main(['--model', 'm', '--input', *(given or [str(tmp_path / 'in')]), '--output',
                            str(tmp_path / output), *arguments])
        return tmp_path / output, code
    return run


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def boxes_of_records(output):
    """{file name: {label: box in pixels}} of all records that prepare_data.py wrote."""
    found = {}
    for subset in ('train', 'validation', 'test'):
        path = output / f'{subset}.tfrecords'
        for data in Records(str(path)) if path.exists() else ():
            example = Example.from_bytes(data)
            found[example.source_id] = {
                text: np.array(box) * [example.height, example.width, example.height, example.width]
                for text, box in zip(example.texts, example.boxes)}
    return found


def test_all_kinds_at_once(run, pictures):
    output, code = run('--save', *[kind for kind in detect.KINDS if kind != 'video'])
    assert code == 0
    assert files(output) == [
        'coco/detections.json', 'crops/blue/a/both-2.jpg', 'crops/blue/b/blue-1.jpg', 'crops/red/a/both-1.jpg',
        'crops/red/a/red-1.jpg', 'csv/detections.csv', 'pictures/a/both.jpg', 'pictures/a/red.jpg',
        'pictures/b/blue.jpg', 'pictures/b/none.jpg', 'voc/a/both.xml', 'voc/a/red.xml', 'voc/b/blue.xml',
        'voc/b/none.xml', 'yolo/a/both.txt', 'yolo/a/red.txt', 'yolo/b/blue.txt', 'yolo/b/none.txt',
        'yolo/classes.txt']
    coco = json.loads((output / 'coco/detections.json').read_text())
    assert coco['categories'] == [{'id': 1, 'name': 'red'}, {'id': 2, 'name': 'blue'}]
    assert [image['file_name'] for image in coco['images']] == list(BOXES)
    assert coco['annotations'][0] == {'id': 1, 'image_id': 1, 'category_id': 1, 'score': .9, 'iscrowd': 0,
                                      'bbox': [10, 20, 50, 50], 'area': 2500}
    root = ElementTree.parse(output / 'voc/a/red.xml')
    assert [root.findtext(f'object/bndbox/{side}') for side in ('xmin', 'ymin', 'xmax', 'ymax')] == [
        '30.00', '5.00', '100.00', '80.00']
    assert (output / 'yolo/a/red.txt').read_text() == '0 0.406250 0.354167 0.437500 0.625000 0.90000\n'
    assert (output / 'yolo/classes.txt').read_text() == 'red\nblue\n' and not (output / 'yolo/b/none.txt').read_text()
    rows = list(csv.DictReader((output / 'csv/detections.csv').open()))
    assert [(row['filename'], row['class'], row['xmin']) for row in rows] == [
        ('a/both.png', 'red', '10.00'), ('a/both.png', 'blue', '90.00'), ('a/red.png', 'red', '30.00'),
        ('b/blue.bmp', 'blue', '8.00'), ('b/none.png', '', '')]
    assert Image.open(output / 'crops/red/a/red-1.jpg').size == (70, 75)
    drawn, plain = (np.asarray(Image.open(path).convert('RGB')).astype(int) for path in (
        output / 'pictures/b/blue.jpg', pictures / 'b/blue.bmp'))
    changed = np.abs(drawn - plain).max(-1) > 80
    assert changed[40:96, 8].mean() > .9 and not changed[104:].any()  # the left side of the box


@pytest.mark.parametrize('kind', ['coco', 'voc', 'yolo', 'csv'])
def test_annotations_go_back_into_prepare_data(run, pictures, tmp_path, kind):
    output, _ = run('--save', kind)
    prepare_data.main(['--dataset', str(output / kind), '--images', str(pictures), '--output', str(tmp_path / 'data'),
                       '--near_duplicates', '0', '--workers', '1', '--labels', 'annotations'])
    items = label_map.load(tmp_path / 'data' / 'label_map.pbtxt').items
    assert {item.name for item in items} == {'red', 'blue'}
    found = boxes_of_records(tmp_path / 'data')
    expected = {name: {NAMES[key]: box for key, box in boxes.items()} for name, boxes in BOXES.items() if boxes}
    assert {name for name, boxes in found.items() if boxes} == set(expected)
    for name, boxes in expected.items():
        assert found[name].keys() == boxes.keys()
        for label, (xmin, ymin, xmax, ymax) in boxes.items():
            np.testing.assert_allclose(found[name][label], (ymin, xmin, ymax, xmax), atol=.02)


def test_crops_are_a_data_set_of_one_folder_per_label(run, pictures, tmp_path):
    output, _ = run('--save', 'crops')
    prepare_data.main(['--dataset', str(output / 'crops'), '--output', str(tmp_path / 'data'), '--boxes', 'whole',
                       '--near_duplicates', '0', '--workers', '1'])
    assert {item.name for item in label_map.load(tmp_path / 'data/label_map.pbtxt').items} == {'red', 'blue'}


def test_exif_orientation_is_honored_and_its_boxes_fit_in_prepare_data(run, tmp_path):
    save(tmp_path / 'in/turned.jpg', {1: (10, 20, 60, 70)}, exif=6)  # stored 160x120, shown 120x160
    output, _ = run('--save', 'voc', 'pictures')
    root = ElementTree.parse(output / 'voc/turned.xml')
    assert [root.findtext(f'size/{side}') for side in ('width', 'height')] == ['120', '160']
    box = [float(root.findtext(f'object/bndbox/{side}')) for side in ('xmin', 'ymin', 'xmax', 'ymax')]
    np.testing.assert_allclose(box, (50, 10, 100, 60), atol=2)  # x becomes 120 - y
    assert Image.open(output / 'pictures/turned.jpg').size == (120, 160)
    prepare_data.main(['--dataset', str(output / 'voc'), '--images', str(tmp_path / 'in'), '--output',
                       str(tmp_path / 'data'), '--workers', '1', '--labels', 'annotations'])
    (found,) = boxes_of_records(tmp_path / 'data').values()
    np.testing.assert_allclose(found['red'], (10, 50, 60, 100), atol=2)


def test_score_classes_limit_and_tiles(run, pictures):
    def classes(output):
        return [row['class'] for row in csv.DictReader((output / 'csv/detections.csv').open()) if row['class']]
    assert classes(run('--save', 'csv', '--min_score', '.7', output='1')[0]) == ['red', 'red']
    assert classes(run('--save', 'csv', '--classes', 'Blue', output='2')[0]) == ['blue', 'blue']
    assert classes(run('--save', 'csv', '--limit', '1', output='3')[0]) == ['red', 'blue']
    runner = Colors()
    assert classes(run('--save', 'csv', '--tile', '100', '--overlap', '.5', '--batch', '3', output='4',
                       runner=runner)[0]) == ['red', 'blue', 'red', 'blue']
    assert max(map(len, runner.calls)) == 3
    with pytest.raises(UserError, match="--classes green: the detector has no such class"):
        run('--classes', 'green', output='5')


def test_broken_files_are_named_skipped_and_counted(run, pictures, capsys):
    output, _ = run(output='whole')
    (pictures / 'torn.jpg').write_bytes((output / 'pictures/b/blue.jpg').read_bytes()[:600])
    (pictures / 'page.png').write_text('<html>')
    code = run('--save', 'csv')[1]
    said = capsys.readouterr().out
    assert code == 0 and 'page.png: not a picture: a web page; skipped' in said and 'torn.jpg: ' in said
    assert '4 detections in 4 pictures, 2 skipped as broken' in said
    code = run('--save', 'csv', given=[str(pictures / 'page.png')], output='alone')[1]
    assert code == 1  # nothing was left


def test_nothing_is_overwritten_and_nothing_is_made_where_something_is_wrong(run, pictures, tmp_path):
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/notes.txt').write_text('mine')
    with pytest.raises(UserError, match='is not empty, and nothing is overwritten'):
        run(output='full')
    with pytest.raises(UserError, match='no video among the input'):
        run('--save', 'video')
    with pytest.raises(UserError, match='does not exist'):
        run(given=[str(tmp_path / 'nowhere')])
    assert not (tmp_path / 'out').exists()


def test_classes_without_names(run, pictures, capsys):
    output, _ = run('--save', 'yolo', 'csv', '--classes', '2', runner=Colors({}))
    assert 'no label map' in capsys.readouterr().out
    assert (output / 'yolo/classes.txt').read_text() == 'category_2\n'
    assert {row['class'] for row in csv.DictReader((output / 'csv/detections.csv').open())} == {'category_2', ''}


def test_what_was_detected_before_an_interruption_is_kept(run, pictures, tmp_path):
    class Interrupted(Colors):
        def detect(self, images):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().detect(images)
    with pytest.raises(KeyboardInterrupt):
        run('--save', 'coco', 'csv', runner=Interrupted())
    assert len(json.loads((tmp_path / 'out/coco/detections.json').read_text())['images']) == 2


def test_a_network_finds_its_label_map_and_any_batch_gives_the_same(tmp_path):
    tiny_models.export(tmp_path)
    for number in range(5):
        save(tmp_path / 'in' / f'{number}.png', {1: (10, 10, 60, 60)}, size=(160, 120 + number // 3), noise=number)
    rows = {}
    for batch in (1, 4):
        detect.main(['--model', str(tmp_path / 'export'), '--input', str(tmp_path / 'in'), '--output',
                     str(tmp_path / f'out{batch}'), '--save', 'csv', '--min_score', '0', '--batch', str(batch)])
        rows[batch] = list(csv.DictReader((tmp_path / f'out{batch}/csv/detections.csv').open()))
    assert [(row['filename'], row['class']) for row in rows[1]] == [(row['filename'], row['class']) for row in rows[4]]
    assert {row['class'] for row in rows[1]} <= {'square', 'bar'} and len(rows[1]) == 50
    for one, other in zip(rows[1], rows[4]):
        assert float(one['xmin']) == pytest.approx(float(other['xmin']), abs=.02)


def test_a_video_becomes_a_drawn_video_and_frames_with_annotations(run, tmp_path):
    av = pytest.importorskip('av')
    (tmp_path / 'in').mkdir()
    with av.open(str(tmp_path / 'in/clip.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, 'yuv420p'
        for i in range(12):
            frame = av.VideoFrame.from_ndarray(scene({1: (6 * i, 20, 6 * i + 40, 60)}, noise=i), format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    output, code = run('--save', 'video', 'voc', 'csv')
    assert code == 0
    assert files(output) == sorted([
        'video/clip.mp4', 'csv/detections.csv', *(f'voc/clip/{i:06d}.xml' for i in range(1, 13)),
        *(f'frames/clip/{i:06d}.jpg' for i in range(1, 13))])
    with av.open(str(output / 'video/clip.mp4')) as container:
        frames = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    assert len(frames) == 12 and frames[0].shape == (120, 160, 3)
    plain = np.asarray(Image.open(output / 'frames/clip/000006.jpg')).astype(int)
    assert np.abs(frames[5].astype(int) - plain)[2:18].max() > 100  # the caption above the box
    rows = list(csv.DictReader((output / 'csv/detections.csv').open()))
    assert [float(row['seconds']) for row in rows] == pytest.approx([i / 10 for i in range(12)], abs=2e-3)
    prepare_data.main(['--dataset', str(output / 'voc'), '--images', str(output / 'frames'), '--output',
                       str(tmp_path / 'data'), '--near_duplicates', '0', '--workers', '1', '--labels', 'annotations'])
    assert len(boxes_of_records(tmp_path / 'data')) == 12
