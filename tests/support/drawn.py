"""Annotation files of every format for the same boxes. Pictures are 200 x 100; boxes are (xmin, ymin, xmax, ymax)."""
import json

WIDTH, HEIGHT = 200, 100
CAT, DOG = ('cat', (20, 10, 60, 50)), ('dog', (100, 20, 180, 90))
OBJECTS = {'1': [CAT], '2': [DOG], '3': [CAT, DOG], '4': [DOG], '5': [CAT], '6': [DOG]}  # {stem of a picture: objects}
NAMES = ['dog', 'cat']  # in no alphabetical order, so that a guess is wrong


def voc(objects, filename='', size=(WIDTH, HEIGHT), folder='', path=''):
    """Pascal VOC XML of one picture."""
    items = ''.join(f'<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>'
                    f'<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>' for name, b in objects)
    return (f'<annotation><folder>{folder}</folder><filename>{filename}</filename><path>{path}</path><size><width>'
            f'{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>{items}</annotation>')


def yolo(objects, names=NAMES):
    """YOLO txt of one picture."""
    return ''.join(f'{names.index(name)} {(b[0] + b[2]) / 2 / WIDTH} {(b[1] + b[3]) / 2 / HEIGHT} '
                   f'{(b[2] - b[0]) / WIDTH} {(b[3] - b[1]) / HEIGHT}\n' for name, b in objects)


def coco(pictures, categories=({'id': 0, 'name': 'pets'}, {'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}),
         **changes):
    """COCO JSON; pictures: {file name: objects}, an object being (name, box) or (name, box, more fields)."""
    ids = {category['name']: category['id'] for category in categories}
    images = [{'id': i, 'file_name': name, 'width': WIDTH, 'height': HEIGHT} for i, name in enumerate(pictures)]
    annotations = []
    for image, objects in zip(images, pictures.values()):
        for name, b, *more in objects:
            annotations.append({'id': len(annotations), 'image_id': image['id'], 'category_id': ids[name], 'iscrowd': 0,
                                'bbox': [b[0], b[1], b[2] - b[0], b[3] - b[1]]} | (more[0] if more else {}))
    return json.dumps({'images': images, 'annotations': annotations, 'categories': list(categories)} | changes)


def cvat(pictures, more=''):
    """CVAT for images; pictures: {name, or (subset, name): objects}."""
    images = []
    for i, (key, objects) in enumerate(pictures.items()):
        subset, name = key if isinstance(key, tuple) else ('', key)
        part = f'subset="{subset}" ' if subset else ''
        boxes = ''.join(f'<box label="{label}" source="manual" occluded="0" xtl="{b[0]}" ytl="{b[1]}" xbr="{b[2]}" '
                        f'ybr="{b[3]}" z_order="0"></box>' for label, b in objects)
        images.append(f'<image id="{i}" name="{name}" {part}width="{WIDTH}" height="{HEIGHT}">{boxes}{more}</image>')
    return (f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task/></meta>'
            f'{"".join(images)}</annotations>')


def table(pictures, delimiter=','):
    """The CSV of the TFRecord tutorials."""
    rows = [['filename', 'width', 'height', 'class', 'xmin', 'ymin', 'xmax', 'ymax']]
    rows += [[name, WIDTH, HEIGHT, label, *box] for name, objects in pictures.items() for label, box in objects]
    return ''.join(delimiter.join(map(str, row)) + '\n' for row in rows)
