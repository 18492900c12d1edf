"""create_coco_tf_record, create_pascal_tf_record and create_pet_tf_record: features by hand, shards, mistakes."""
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from object_detection import protos, records
from object_detection.config import checks, paths, pipeline
from object_detection.dataset_tools import create_coco_tf_record, create_pascal_tf_record, create_pet_tf_record
from object_detection.utils.errors import UserError

ROOT = Path(__file__).parents[2]


def picture(path, height, width, kind='JPEG'):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path, kind)


def features(message):
    """{key: list of values} of a tf.train.Example."""
    found = {}
    for key, feature in message.features.feature.items():
        kind = feature.WhichOneof('kind')
        found[key] = list(getattr(feature, kind).value) if kind else []
    return found


def read(pattern):
    """{file name: features} of records."""
    data = records.Records(pattern)
    found = [features(protos.Example.FromString(data[i])) for i in range(len(data))]
    return {entry['image/filename'][0].decode(): entry for entry in found}


def masks(entry):
    return [np.asarray(Image.open(io.BytesIO(data))).tolist() for data in entry['image/object/mask']]


@pytest.fixture
def coco(tmp_path):
    """Two pictures of 10 x 20 pixels: a person and a crowd of cats on a.jpg, nothing on b.jpg."""
    for name in 'ab':
        picture(tmp_path / 'pictures' / f'{name}.jpg', 10, 20)
    person = {'id': 5, 'image_id': 1, 'category_id': 1, 'bbox': [2, 1, 4, 5], 'area': 18.5, 'iscrowd': 0,
              'segmentation': [[2, 1, 6, 1, 6, 6, 2, 6]]}
    cats = {'id': 6, 'image_id': 1, 'category_id': 7, 'bbox': [0, 0, 20, 10], 'area': 30, 'iscrowd': 1,
            'segmentation': {'size': [10, 20], 'counts': [0, 30, 170]}}
    flat = {'id': 7, 'image_id': 1, 'category_id': 7, 'bbox': [2, 2, 0, 5]}
    beyond = {'id': 8, 'image_id': 1, 'category_id': 7, 'bbox': [15, 2, 6, 5]}
    data = {'images': [{'id': number, 'file_name': f'{name}.jpg', 'height': 10, 'width': 20}
                       for number, name in ((1, 'a'), (2, 'b'))],
            'categories': [{'id': 1, 'name': 'person'}, {'id': 7, 'name': 'Katze über'}],
            'annotations': [person, cats, flat, beyond]}
    (tmp_path / 'instances.json').write_text(json.dumps(data), encoding='utf-8')
    return tmp_path


def convert_coco(folder, *options):
    create_coco_tf_record.main([f'--train_image_dir={folder / "pictures"}', '--alsologtostderr',
                                f'--train_annotations_file={folder / "instances.json"}',
                                f'--output_dir={folder / "out"}', *options])
    return read(folder / 'out' / 'coco_train.record-?????-of-00100')


def test_coco(coco, capsys):
    found = convert_coco(coco)
    data = (coco / 'pictures' / 'a.jpg').read_bytes()
    assert found['a.jpg'] == {
        'image/height': [10], 'image/width': [20], 'image/filename': [b'a.jpg'], 'image/source_id': [b'1'],
        'image/key/sha256': [hashlib.sha256(data).hexdigest().encode()], 'image/encoded': [data],
        'image/format': [b'jpeg'], 'image/object/class/text': [b'person', 'Katze über'.encode()],
        'image/object/bbox/xmin': pytest.approx([.1, 0]), 'image/object/bbox/xmax': pytest.approx([.3, 1]),
        'image/object/bbox/ymin': pytest.approx([.1, 0]), 'image/object/bbox/ymax': pytest.approx([.6, 1]),
        'image/object/is_crowd': [0, 1], 'image/object/area': [18.5, 30]}
    data = records.Records(coco / 'out' / 'coco_train.record-00001-of-00100')
    empty = protos.Example.FromString(data[0]).features.feature
    assert {key: feature.WhichOneof('kind') for key, feature in empty.items() if 'object' in key} == {
        f'image/object/{key}': kind for key, kind in (
            ('class/text', 'bytes_list'), ('is_crowd', 'int64_list'), ('area', 'float_list'),
            *((f'bbox/{side}', 'float_list') for side in ('xmin', 'xmax', 'ymin', 'ymax')))}
    output = capsys.readouterr().out
    assert '2 pictures in 100 files' in output and '1 pictures have no annotation' in output
    assert '2 annotations skipped' in output


def test_coco_shards_can_be_trained_on(coco):
    """100 files for two pictures: 98 of them are empty, which is worth a warning and no more."""
    convert_coco(coco)
    assert len(list((coco / 'out').iterdir())) == 100
    [(severity, message)] = paths.records(str(coco / 'out' / 'coco_train.record-?????-of-00100'))
    assert severity == 'warning' and '98 of 100 files are empty' in message
    labels = coco / 'map.pbtxt'
    labels.write_text('item { id: 1 name: "person" } item { id: 7 name: "Katze über" }', encoding='utf-8')
    config = pipeline.parse('')
    reader = config.train_input_reader
    reader.label_map_path = str(labels)
    reader.tf_record_input_reader.input_path.append(str(coco / 'out' / 'coco_train.record-?????-of-00100'))
    findings, reports = records.check_data(config)
    assert reports['train_input_reader'].records == 2 and checks.demand(findings) == findings


def test_coco_masks(coco):
    person, cats = masks(convert_coco(coco, '--include_masks')['a.jpg'])
    expected = np.zeros((10, 20), int)
    expected[1:6, 2:6] = 1
    assert person == expected.tolist()
    expected = np.zeros((10, 20), int)
    expected[:, :3] = 1  # 30 pixels, column by column
    assert cats == expected.tolist()


def test_coco_masks_of_compressed_run_lengths(coco):
    """Also of an object that is no crowd, where the reference fails."""
    from faster_coco_eval import mask
    shape = np.zeros((10, 20), np.uint8, order='F')
    shape[2:4, 3:9] = 1
    data = json.loads((coco / 'instances.json').read_text(encoding='utf-8'))
    encoded = mask.encode(shape)
    data['annotations'] = [data['annotations'][0] | {
        'segmentation': {'size': [10, 20], 'counts': encoded['counts'].decode()}}]
    (coco / 'instances.json').write_text(json.dumps(data), encoding='utf-8')
    assert masks(convert_coco(coco, '--include_masks')['a.jpg']) == [shape.tolist()]


def test_coco_persons_only(coco):
    found = convert_coco(coco, '--remove_non_person_annotations', '--remove_non_person_images')
    assert {name: entry['image/object/class/text'] for name, entry in found.items()} == {'a.jpg': [b'person']}


def test_coco_keypoints_and_densepose(coco):
    keypoints = [0] * 51
    keypoints[:6] = 4, 5, 2, 10, 1, 1
    dense = {'id': 5, 'image_id': 1, 'bbox': [2, 1, 4, 5], 'dp_I': [1.0, 24.0], 'dp_U': [.5, .25], 'dp_V': [1, 0],
             'dp_x': [0, 128], 'dp_y': [256, 999]}
    (coco / 'keypoints.json').write_text(json.dumps({'annotations': [
        {'id': 5, 'image_id': 1, 'keypoints': keypoints, 'num_keypoints': 2}]}))
    (coco / 'dense.json').write_text(json.dumps({'annotations': [dense]}))
    entry = convert_coco(coco, f'--train_keypoint_annotations_file={coco / "keypoints.json"}',
                         f'--train_densepose_annotations_file={coco / "dense.json"}')['a.jpg']
    key = 'image/object/keypoint/'
    assert entry[f'{key}x'] == pytest.approx([.2, .5] + [0] * 32) and entry[f'{key}num'] == [2, 0]
    assert entry[f'{key}y'] == pytest.approx([.5, .1] + [0] * 32)
    assert entry[f'{key}visibility'] == [2, 1] + [0] * 32 and entry[f'{key}text'][17:19] == [b'nose', b'left_eye']
    key = 'image/object/densepose/'
    assert entry[f'{key}num'] == [2, 0] and entry[f'{key}part_index'] == [0, 23]
    assert entry[f'{key}x'] == pytest.approx([2 / 20, 4 / 20]) and entry[f'{key}y'] == pytest.approx([6 / 10, 6 / 10])
    assert entry[f'{key}u'] == [.5, .25] and entry[f'{key}v'] == [1, 0]


def test_coco_without_optional_fields_and_with_a_png(coco):
    picture(coco / 'pictures' / 'c.png', 10, 20, 'PNG')
    (coco / 'instances.json').write_text(json.dumps({
        'images': [{'id': 1, 'file_name': 'c.png', 'height': 10, 'width': 20}],
        'categories': [{'id': 1, 'name': 'x'}],
        'annotations': [{'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 3, 4]}]}))
    entry = convert_coco(coco)['c.png']
    assert entry['image/format'] == [b'png']
    assert (entry['image/object/is_crowd'], entry['image/object/area']) == ([0], [12])


@pytest.mark.parametrize(('change', 'says'), [
    (lambda data: data['images'][1].update(file_name='c.jpg'), r"picture 'c\.jpg' \(id 2\): .*c\.jpg: does not exist"),
    (lambda data: data['annotations'][0].update(category_id=9), 'annotation 5: there is no category with id 9'),
    (lambda data: data.pop('categories'), "not a COCO JSON .* lacks 'categories'"),
    (lambda data: data['images'][0].pop('width'), 'an image lacks width'),
    (lambda data: data['annotations'][0].pop('segmentation'), 'annotation 5: has no segmentation'),
])
def test_mistakes_in_coco(coco, change, says):
    data = json.loads((coco / 'instances.json').read_text(encoding='utf-8'))
    change(data)
    (coco / 'instances.json').write_text(json.dumps(data), encoding='utf-8')
    with pytest.raises(UserError, match=says):
        convert_coco(coco, '--include_masks')
    assert not list((coco / 'out').glob('*'))  # nothing half-written


def test_nothing_is_overwritten(coco):
    convert_coco(coco)
    with pytest.raises(UserError, match=r'coco_train\.record-00000-of-00100: is there already'):
        convert_coco(coco)


def test_coco_parts_belong_together(capsys):
    for given, says in ((['--val_image_dir=x'], '--val_image_dir and --val_annotations_file belong together'),
                        (['--testdev_annotations_file=x'], '--test_image_dir and --testdev_annotations_file belong'),
                        ([], 'name pictures and annotations')):
        with pytest.raises(SystemExit):
            create_coco_tf_record.main(['--output_dir=x', *given])
        assert says in capsys.readouterr().err


def annotation(path, folder, filename, *objects, size=(40, 50)):
    """A Pascal VOC XML; objects are (name, difficult, (xmin, ymin, xmax, ymax)). size: height, width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = 'xmin', 'ymin', 'xmax', 'ymax'
    path.write_text(
        f'<annotation><folder>{folder}</folder><filename>{filename}</filename><size><width>{size[1]}</width>'
        f'<height>{size[0]}</height></size>' + ''.join(
            f'<object><name>{name}</name><pose>Left</pose><truncated>1</truncated><difficult>{difficult}</difficult>'
            f'<bndbox>{"".join(f"<{side}>{value}</{side}>" for side, value in zip(sides, box))}</bndbox></object>'
            for name, difficult, box in objects) + '</annotation>')


@pytest.fixture
def voc(tmp_path):
    year = tmp_path / 'VOC2012'
    picture(year / 'JPEGImages' / 'a.jpg', 40, 50)
    annotation(year / 'Annotations' / 'a.xml', 'VOC2012', 'a.jpg', ('cat', 0, (5, 10, 25, 30)),
               ('dog', 1, (0, 0, 50, 40)))
    lists = year / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    (lists / 'aeroplane_train.txt').write_text('a -1\n')
    (tmp_path / 'map.pbtxt').write_text('item { id: 3 name: "dog" } item { id: 1 name: "cat" }')
    return tmp_path


def convert_voc(folder, *options):
    output = folder / 'out' / 'train.record'
    create_pascal_tf_record.main([f'--data_dir={folder}', '--year=VOC2012', f'--output_path={output}',
                                  f'--label_map_path={folder / "map.pbtxt"}', *options])
    return read(output)


def test_pascal(voc):
    entry = convert_voc(voc)['a.jpg']
    assert {key.removeprefix('image/object/'): value for key, value in entry.items() if 'object' in key} == {
        'bbox/xmin': pytest.approx([.1, 0]), 'bbox/xmax': pytest.approx([.5, 1]),
        'bbox/ymin': pytest.approx([.25, 0]), 'bbox/ymax': pytest.approx([.75, 1]),
        'class/text': [b'cat', b'dog'], 'class/label': [1, 3], 'difficult': [0, 1], 'truncated': [1, 1],
        'view': [b'Left', b'Left']}
    assert entry['image/source_id'] == [b'a.jpg'] and entry['image/format'] == [b'jpeg']


def test_pascal_without_difficult_objects_from_a_plain_list(voc):
    """People's own data sets in this form have train.txt, and no aeroplane_train.txt."""
    lists = voc / 'VOC2012' / 'ImageSets' / 'Main'
    (lists / 'aeroplane_train.txt').rename(lists / 'train.txt')
    assert convert_voc(voc, '--ignore_difficult_instances')['a.jpg']['image/object/class/text'] == [b'cat']


@pytest.mark.parametrize(('change', 'says'), [
    (lambda year: (year / 'Annotations' / 'a.xml').unlink(), r'a\.xml: does not exist'),
    (lambda year: (year / 'Annotations' / 'a.xml').write_text('<annotation>'), r'a\.xml: is not XML'),
    (lambda year: (year / 'Annotations' / 'a.xml').write_text('<a><b>x</b></a>'), r'a\.xml: has no <annotation>'),
    (lambda year: (year / 'JPEGImages' / 'a.jpg').unlink(), r'a\.xml: .*a\.jpg: does not exist'),
    (lambda year: picture(year / 'JPEGImages' / 'a.jpg', 40, 50, 'PNG'), 'Image format not JPEG, but png'),
    (lambda year: (year / 'JPEGImages' / 'a.jpg').write_bytes(b'GIF'), r'a\.jpg: is not a picture'),
    (lambda year: annotation(year / 'Annotations' / 'a.xml', 'VOC2012', 'a.jpg', ('cow', 0, (1, 2, 3, 4))),
     "class 'cow' is not in the label map, which has dog, cat"),
    (lambda year: annotation(year / 'Annotations' / 'a.xml', 'VOC2012', 'a.jpg', ('cat', 0, (1, 2))), 'has no bndbox'),
    (lambda year: (year / 'ImageSets' / 'Main' / 'aeroplane_train.txt').unlink(), r'aeroplane_train\.txt'),
    (lambda year: year.rename(year.parent / 'VOC2013'), r'VOC2012: does not exist'),
])
def test_mistakes_in_pascal(voc, change, says):
    change(voc / 'VOC2012')
    with pytest.raises(UserError, match=says):
        convert_voc(voc)
    assert not list((voc / 'out').glob('*'))


def test_a_picture_of_another_size_gets_a_warning(voc, capsys):
    picture(voc / 'VOC2012' / 'JPEGImages' / 'a.jpg', 50, 40)
    convert_voc(voc)
    assert 'a.jpg: is 40x50, its annotations are for 50x40' in capsys.readouterr().out


@pytest.fixture
def pets(tmp_path):
    """Ten pictures; the pet fills rows 10 to 19 and columns 8 to 29 of each."""
    trimap = np.full((40, 50), 2, np.uint8)
    trimap[10:20, 8:30] = 3
    trimap[12:18, 10:28] = 1
    names = [f'great_pyrenees_{number}' for number in range(10)]
    (tmp_path / 'annotations' / 'trimaps').mkdir(parents=True)
    for name in names:
        picture(tmp_path / 'images' / f'{name}.jpg', 40, 50)
        annotation(tmp_path / 'annotations' / 'xmls' / f'{name}.xml', 'OXIIIT', f'{name}.jpg',
                   ('dog', 0, (5, 10, 25, 30)))
        Image.fromarray(trimap).save(tmp_path / 'annotations' / 'trimaps' / f'{name}.png')
    (tmp_path / 'annotations' / 'trainval.txt').write_text(''.join(f'{name} 1 2 3\n' for name in names))
    (tmp_path / 'map.pbtxt').write_text('item { id: 4 name: "great_pyrenees" }')
    return tmp_path


def convert_pets(folder, *options, output='out'):
    create_pet_tf_record.main([f'--data_dir={folder}', f'--output_dir={folder / output}', '--num_shards=2',
                               f'--label_map_path={folder / "map.pbtxt"}', *options])
    return folder / output


def test_pet_faces(pets):
    output = convert_pets(pets)
    train, val = (read(output / f'pet_faces_{part}.record-?????-of-00002') for part in ('train', 'val'))
    assert len(train) == 7 and sorted(val) == [f'great_pyrenees_{number}.jpg' for number in (0, 1, 4)]  # seed 42
    entry = train['great_pyrenees_2.jpg']
    assert entry['image/object/class/text'] == [b'great_pyrenees'] and entry['image/object/class/label'] == [4]
    assert [entry[f'image/object/bbox/{side}'][0] for side in ('xmin', 'ymin', 'xmax', 'ymax')] == pytest.approx(
        [.1, .25, .5, .75])
    assert 'image/object/mask' not in entry


def test_pet_bodies(pets):
    expected = np.zeros((40, 50), int)
    expected[10:20, 8:30] = 1
    names = 'pets_fullbody_with_masks_train.record-?????-of-00002'
    entry = read(convert_pets(pets, '--nofaces_only') / names)['great_pyrenees_2.jpg']
    assert [entry[f'image/object/bbox/{side}'][0] for side in ('xmin', 'ymin', 'xmax', 'ymax')] == pytest.approx(
        [8 / 50, 10 / 40, 29 / 50, 19 / 40])
    assert masks(entry) == [expected.tolist()]
    entry = read(convert_pets(pets, '--faces_only=false', '--mask_type=numerical', output='numbers') / names)[
        'great_pyrenees_2.jpg']
    assert entry['image/object/mask'] == expected.ravel().tolist()


def test_pets_with_mistakes_are_left_out_and_named(pets, capsys):
    (pets / 'annotations' / 'xmls' / 'great_pyrenees_2.xml').unlink()
    (pets / 'images' / 'great_pyrenees_3.jpg').unlink()
    assert len(read(convert_pets(pets) / 'pet_faces_train.record-?????-of-00002')) == 5
    output = capsys.readouterr().out
    assert 'left out: 1 pictures without an XML' in output and 'great_pyrenees_3.jpg: does not exist' in output


def test_class_of_a_pet():
    assert create_pet_tf_record.get_class_name_from_filename('american_pit_bull_terrier_105.JPG') == (
        'american_pit_bull_terrier')
    with pytest.raises(ValueError, match="'cat' is not CLASS_NUMBER"):
        create_pet_tf_record.get_class_name_from_filename('cat')


@pytest.mark.parametrize('name', ['coco', 'pascal', 'pet'])
@pytest.mark.parametrize('way', [['create_{}_tf_record.py'],
                                 ['-m', 'object_detection.dataset_tools.create_{}_tf_record']])
def test_scripts_start(name, way):
    done = subprocess.run([sys.executable, *(part.format(name) for part in way), '--help'], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    assert 'TF2 Object Detection API' in done.stdout
