"""Pictures of red triangles and green discs, stored upright or on their side, and a COCO JSON with their outlines.

Triangles are polygons with their three corners as keypoints, discs are run-length encoded.
"""
import json

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 240, 180
CORNERS = ['left', 'right', 'bottom']
COLORS = {'triangle': (220, 20, 20), 'disc': (20, 220, 20)}


def draw(folder, count=12):
    """Write pictures/N.jpg and annotations.json.

    Of three pictures, the second is stored on its side (orientation 6) and drawn on upright, the third stored and drawn
    on on its side. Two of the first twelve discs are crowd regions.
    """
    (folder / 'pictures').mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(count):
        gray = Image.fromarray(rng.integers(40, 200, (6, 8)).astype(np.uint8)).resize((WIDTH, HEIGHT)).convert('RGB')
        paint = ImageDraw.Draw(gray)
        x, y = (int(value) for value in rng.integers(5, 60, 2))
        corners = np.array([(x, y), (x + 80, y + 8), (x + 40, y + 90)])
        paint.polygon([tuple(corner) for corner in corners.tolist()], COLORS['triangle'])
        disc = Image.new('L', (WIDTH, HEIGHT))
        left, top = int(rng.integers(150, 175)), int(rng.integers(5, 110))
        for target, color in ((paint, COLORS['disc']), (ImageDraw.Draw(disc), 1)):
            target.ellipse((left, top, left + 60, top + 60), color)
        size, mask = (WIDTH, HEIGHT), np.asarray(disc)
        stored = gray.transpose(Image.Transpose.ROTATE_90) if number % 3 else gray
        if number % 3 == 2:
            size, mask = size[::-1], np.rot90(mask)
            corners = np.stack([corners[:, 1], WIDTH - corners[:, 0]], axis=1)
        exif = Image.Exif()
        if number % 3:
            exif[0x0112] = 6
        stored.save(folder / 'pictures' / f'{number}.jpg', exif=exif.tobytes(), quality=95, subsampling=0)
        images.append({'id': number, 'file_name': f'{number}.jpg', 'width': size[0], 'height': size[1]})
        (xmin, ymin), (xmax, ymax) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        points = [value for corner in corners.tolist() for value in (*corner, 2)]
        annotations.append({'category_id': 1, 'bbox': [xmin, ymin, xmax - xmin, ymax - ymin], 'iscrowd': 0,
                            'segmentation': [corners.ravel().tolist()], 'keypoints': points, 'image_id': number})
        ys, xs = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        bbox = [int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)]
        annotations.append({'category_id': 2, 'bbox': bbox, 'iscrowd': int(number in (4, 9)), 'image_id': number,
                            'segmentation': {'size': [size[1], size[0]], 'counts': runs(mask)}})
    for number, annotation in enumerate(annotations):
        annotation['id'] = number
    categories = [{'id': 1, 'name': 'triangle', 'keypoints': CORNERS}, {'id': 2, 'name': 'disc'}]
    (folder / 'annotations.json').write_text(json.dumps({'images': images, 'annotations': annotations,
                                                         'categories': categories}))
    return folder


def runs(mask):
    """Return the run lengths, by columns, of a mask [height, width]."""
    flat = np.concatenate([[0], mask.T.ravel(), [0]])
    return np.diff([0, *np.flatnonzero(flat[1:] != flat[:-1]), mask.size]).tolist()
