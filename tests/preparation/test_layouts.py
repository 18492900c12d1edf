"""Data sets laid out as annotation tools export them, and as tutorials have them: labels, boxes and split are kept."""
import pytest

from object_detection.preparation import run
from object_detection.preparation.annotations import fit
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import Options
from tests.support.drawn import HEIGHT, OBJECTS, WIDTH, coco, cvat, table, voc, yolo

PARTS = {'train': '1234', 'valid': '5', 'test': '6'}
SUBSETS = {'1': 'train', '2': 'train', '3': 'train', '4': 'train', '5': 'validation', '6': 'test'}
ROBOFLOW_YAML = """train: ../train/images
val: ../valid/images
test: ../test/images

nc: 2
names: ['dog', 'cat']
"""


def put(folder, files):
    """Write {path: text, or None for a picture}; the folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text('x' if text is None else text, encoding='utf-8')
    return folder


def prepared(folder, **options):
    """Return (labels, {path: objects}, {path: subset} or None), as far as it is known before pictures are read."""
    options = Options(folder, folder.parent / 'out', **options)
    layout, drawn = run.find(options)
    pictures = [Picture(s.path, s.label, 1, 1, '', width=WIDTH, height=HEIGHT) for s in layout.sources if not s.problem]
    found = fit.fit_all(pictures, drawn, layout, options)
    assert not [line for annotation in found.values() for line in annotation.findings]
    return layout.labels, {path: objects(annotation) for path, annotation in found.items()}, layout.parts


def objects(annotation):
    return [(box.label, tuple(round(value, 3) for value in (box.xmin * WIDTH, box.ymin * HEIGHT, box.xmax * WIDTH,
                                                           box.ymax * HEIGHT))) for box in annotation.boxes]


def stem(path):
    return path.rpartition('/')[2].partition('.')[0]


def split(pattern):
    """{path: None} of the pictures, in a folder for each part."""
    return {pattern.format(part=part, i=i): None for part, stems in PARTS.items() for i in stems}


def labelimg():
    """The tutorials' images/train and images/test, the XML beside the pictures."""
    sides = {'images/train': '1234', 'images/test': '56'}
    return {f'{side}/{i}.jpg': None for side, stems in sides.items() for i in stems} | {
        f'{side}/{i}.xml': voc(OBJECTS[i], f'{i}.jpg') for side, stems in sides.items() for i in stems}


def roboflow_coco():
    files = split('{part}/{i}_jpg.rf.0a.jpg') | {'README.roboflow.txt': 'exported\n', 'README.dataset.txt': '# pets\n'}
    return files | {f'{part}/_annotations.coco.json': coco({f'{i}_jpg.rf.0a.jpg': OBJECTS[i] for i in stems})
                    for part, stems in PARTS.items()}


def roboflow_yolo():
    return split('{part}/images/{i}.jpg') | {f'{part}/labels/{i}.txt': yolo(OBJECTS[i]) for part, stems in PARTS.items()
                                             for i in stems} | {'data.yaml': ROBOFLOW_YAML}


def roboflow_darknet():
    return split('{part}/{i}.jpg') | {f'{part}/{i}.txt': yolo(OBJECTS[i]) for part, stems in PARTS.items()
                                      for i in stems} | {f'{part}/_darknet.labels': 'dog\ncat\n' for part in PARTS}


def roboflow_voc():
    return split('{part}/{i}.jpg') | {f'{part}/{i}.xml': voc(OBJECTS[i], f'{i}.jpg') for part, stems in PARTS.items()
                                      for i in stems}


def roboflow_csv():
    return split('{part}/{i}.jpg') | {f'{part}/_annotations.csv': table({f'{i}.jpg': OBJECTS[i] for i in stems})
                                      for part, stems in PARTS.items()}


def cvat_coco():
    return split('images/{part}/{i}.jpg') | {
        f'annotations/instances_{part}.json': coco({f'{i}.jpg': OBJECTS[i] for i in stems})
        for part, stems in PARTS.items()}


def cvat_yolo():
    files = {f'obj_{part}_data/{i}.jpg': None for part, stems in PARTS.items() for i in stems}
    files |= {f'obj_{part}_data/{i}.txt': yolo(OBJECTS[i]) for part, stems in PARTS.items() for i in stems}
    files |= {f'{part}.txt': ''.join(f'data/obj_{part}_data/{i}.jpg\n' for i in stems)
              for part, stems in PARTS.items()}
    return files | {'obj.names': 'dog\ncat\n',
                    'obj.data': 'classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n'}


def cvat_voc():
    files = {f'JPEGImages/{i}.jpg': None for i in OBJECTS} | {f'SegmentationObject/{i}.png': 'mask' for i in OBJECTS}
    files |= {f'Annotations/{i}.xml': voc(OBJECTS[i], f'{i}.jpg') for i in OBJECTS}
    lists = {'train': '1234', 'val': '5', 'test': '6', 'trainval': '12345'}
    files |= {f'ImageSets/Main/{part}.txt': ''.join(f'{i}\n' for i in stems) for part, stems in lists.items()}
    files['ImageSets/Main/cat_train.txt'] = '1  1\n2 -1\n'
    return files | {'labelmap.txt': '# label:color_rgb:parts:actions\ncat:1,2,3::\ndog:3,4,5::\n'}


def cvat_images():
    names = {'train': 'Train', 'valid': 'Validation', 'test': 'Test'}
    files = {f'images/{names[part]}/{i}.jpg': None for part, stems in PARTS.items() for i in stems}
    return files | {'annotations.xml': cvat({(names[part], f'{i}.jpg'): OBJECTS[i] for part, stems in PARTS.items()
                                             for i in stems})}


def ultralytics():
    files = split('images/{part}/{i}.jpg') | {
        f'labels/{part}/{i}.txt': yolo(OBJECTS[i]) for part, stems in PARTS.items() for i in stems}
    return files | {'data.yaml': 'path: ../datasets/pets\ntrain: images/train\nval: images/valid\ntest: images/test\n\n'
                                 'names:\n  0: dog\n  1: cat  # and kittens\n'}


def label_studio():
    files = {f'images/8ab3-{i}.jpg': None for i in OBJECTS}
    files |= {f'labels/8ab3-{i}.txt': yolo(OBJECTS[i]) for i in OBJECTS}
    return files | {'classes.txt': 'dog\ncat\n', 'notes.json': '{"categories": [{"id": 0, "name": "dog"}, {"id": 1, '
                    '"name": "cat"}], "info": {}}'}


def tutorial_csv():
    files = {f'images/train/{i}.jpg': None for i in '1234'} | {f'images/test/{i}.jpg': None for i in '56'}
    return files | {'data/train_labels.csv': table({f'{i}.jpg': OBJECTS[i] for i in '1234'}),
                    'data/test_labels.csv': table({f'{i}.jpg': OBJECTS[i] for i in '56'}, ';')}


def coco_2017():
    files = {f'train2017/00{i}.jpg': None for i in '1234'} | {f'val2017/00{i}.jpg': None for i in '56'}
    return files | {f'annotations/instances_{part}2017.json': coco({f'00{i}.jpg': OBJECTS[i] for i in stems})
                    for part, stems in (('train', '1234'), ('val', '56'))}


def flat_voc():
    """Everything in one folder, without a folder per label."""
    return {f'{i}.JPG': None for i in OBJECTS} | {f'{i}.XML': voc(OBJECTS[i]) for i in OBJECTS}


TRAIN_AND_TEST = SUBSETS | {'5': 'test'}
TRAIN_AND_VALIDATION = {f'00{i}': 'validation' if i in '56' else 'train' for i in OBJECTS}
LAYOUTS = {labelimg: TRAIN_AND_TEST, roboflow_coco: {f'{i}_jpg': part for i, part in SUBSETS.items()},
           roboflow_yolo: SUBSETS, roboflow_darknet: SUBSETS, roboflow_voc: SUBSETS, roboflow_csv: SUBSETS,
           cvat_coco: SUBSETS, cvat_yolo: SUBSETS, cvat_voc: SUBSETS, cvat_images: SUBSETS, ultralytics: SUBSETS,
           label_studio: None, tutorial_csv: TRAIN_AND_TEST, coco_2017: TRAIN_AND_VALIDATION, flat_voc: None}


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.__name__)
def test_goes_in_as_it_is(layout, tmp_path):
    labels, found, parts = prepared(put(tmp_path / 'pets', layout()))
    assert labels == ['cat', 'dog']
    number = {path: next(letter for letter in stem(path).replace('8ab3-', '') if letter in OBJECTS) for path in found}
    assert sorted(number.values()) == list(OBJECTS)
    assert found == {path: OBJECTS[i] for path, i in number.items()}
    expected = LAYOUTS[layout]
    assert (parts and {stem(path): part for path, part in parts.items()}) == expected


@pytest.mark.parametrize('layout', [labelimg, roboflow_yolo], ids=lambda layout: layout.__name__)
def test_a_split_is_not_kept_if_another_is_asked_for(layout, tmp_path):
    assert prepared(put(tmp_path / 'pets', layout()), split_given=False)[2] is None
