"""Turn COCO annotations into records: boxes, and on request masks, person keypoints and DensePose.

    python create_coco_tf_record.py --include_masks \\
        --train_image_dir=train2017 --train_annotations_file=annotations/instances_train2017.json \\
        --val_image_dir=val2017 --val_annotations_file=annotations/instances_val2017.json \\
        --test_image_dir=test2017 --testdev_annotations_file=annotations/image_info_test-dev2017.json \\
        --output_dir=out/coco

Writes coco_train.record (100 files), coco_val.record and coco_testdev.record (50 files each) of the parts named.
Flags, names and features are the TF2 Object Detection API's.
"""
import argparse
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

if not __package__:  # run by its path: Python has put this file's folder where that of the package belongs
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from object_detection import protos
from object_detection.dataset_tools import conversion
from object_detection.utils import args, console, errors, files, label_map_util, limits
from object_detection.utils.errors import UserError

_COCO_KEYPOINT_NAMES = [name.encode() for name in (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle')]
_COCO_PART_NAMES = [name.encode() for name in (
    'torso_back', 'torso_front', 'right_hand', 'left_hand', 'left_foot', 'right_foot', 'right_upper_leg_back',
    'left_upper_leg_back', 'right_upper_leg_front', 'left_upper_leg_front', 'right_lower_leg_back',
    'left_lower_leg_back', 'right_lower_leg_front', 'left_lower_leg_front', 'left_upper_arm_back',
    'right_upper_arm_back', 'left_upper_arm_front', 'right_upper_arm_front', 'left_lower_arm_back',
    'right_lower_arm_back', 'left_lower_arm_front', 'right_lower_arm_front', 'right_face', 'left_face')]
_DENSEPOSE_KEYS = ('dp_I', 'dp_U', 'dp_V', 'dp_x', 'dp_y', 'bbox')
_DP_PART_ID_OFFSET = 1  # DensePose counts its parts from 1
_DENSEPOSE_GRID = 256.  # dp_x and dp_y go from 0 to this across the box
SHARDS = {'train': 100, 'val': 50, 'testdev': 50}

Annotations = Mapping[int, Mapping[str, Any]]  # {annotation id: annotation}


def create_tf_example(image: Mapping[str, Any], annotations_list: Sequence[Mapping[str, Any]], image_dir: str | Path,
                      category_index: Mapping[int, Mapping[str, Any]], include_masks: bool = False,
                      keypoint_annotations_dict: Annotations | None = None,
                      densepose_annotations_dict: Annotations | None = None,
                      remove_non_person_annotations: bool = False, remove_non_person_images: bool = False
                      ) -> tuple[str, protos.Example | None, int, int, int]:
    """Convert a picture and its annotations.

    Args:
        image: the entry of "images": id, file_name, height, width.
        annotations_list: its entries of "annotations"; boxes are x, y, width, height in pixels. One without area or
            extending beyond the picture is skipped.
        category_index: {category id: category}, see label_map_util.create_category_index.
        include_masks: add masks as PNGs.
        keypoint_annotations_dict, densepose_annotations_dict: annotations of the same objects with 17 person keypoints
            or with DensePose; None to add none.
        remove_non_person_annotations: skip all other objects.
        remove_non_person_images: skip pictures without a person.
    Returns:
        SHA-256 of the picture file, the example (None for a skipped picture), and how many annotations, keypoint
        annotations and DensePose annotations were skipped.
    Raises:
        FileNotFoundError, ValueError: the picture or an annotation cannot be used.
    """
    height, width = image['height'], image['width']
    features = conversion.picture_features(Path(image_dir, image['file_name']), height, width, image['file_name'],
                                           str(image['id']))
    used = [annotation for annotation in annotations_list if _usable(annotation, height, width)]
    names = [_category_name(annotation, category_index) for annotation in used]
    if remove_non_person_annotations:
        used = [annotation for annotation, name in zip(used, names) if name == 'person']
        names = ['person'] * len(used)
    skipped = len(annotations_list) - len(used)
    if remove_non_person_images and 'person' not in names:
        return features['image/key/sha256'], None, skipped, 0, 0
    boxes = np.array([annotation['bbox'] for annotation in used], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    for side, (column, size) in zip(('xmin', 'ymin', 'xmax', 'ymax'), enumerate((width, height, width, height))):
        features[f'image/object/bbox/{side}'] = (boxes[:, column] / size).tolist()
    features['image/object/class/text'] = names
    features['image/object/is_crowd'] = [int(annotation.get('iscrowd', 0)) for annotation in used]
    features['image/object/area'] = [float(annotation.get('area', annotation['bbox'][2] * annotation['bbox'][3]))
                                     for annotation in used]
    if include_masks:
        features['image/object/mask'] = [_mask(annotation, height, width) for annotation in used]
    keypoints_skipped = densepose_skipped = 0
    if keypoint_annotations_dict is not None:
        found = [keypoint_annotations_dict.get(annotation['id']) for annotation in used]
        features |= _keypoints(found, height, width)
        keypoints_skipped = len(keypoint_annotations_dict) - sum(entry is not None for entry in found)
    if densepose_annotations_dict is not None:
        found = [_complete(densepose_annotations_dict.get(annotation['id'])) for annotation in used]
        features |= _densepose(used, found, height, width)
        densepose_skipped = len(densepose_annotations_dict) - sum(entry is not None for entry in found)
    return (features['image/key/sha256'], conversion.example(features), skipped, keypoints_skipped, densepose_skipped)


def _usable(annotation: Mapping[str, Any], height: int, width: int) -> bool:
    x, y, box_width, box_height = annotation['bbox']
    return box_width > 0 and box_height > 0 and x + box_width <= width and y + box_height <= height


def _category_name(annotation: Mapping[str, Any], category_index: Mapping[int, Mapping[str, Any]]) -> str:
    number = int(annotation['category_id'])
    if number not in category_index:
        raise ValueError(f'annotation {annotation.get("id")}: there is no category with id {number}')
    return category_index[number]['name']


def _mask(annotation: Mapping[str, Any], height: int, width: int) -> bytes:
    """Return the PNG of a segmentation (polygons or run lengths): 1 where the object is."""
    from faster_coco_eval import mask
    if not annotation.get('segmentation'):
        raise ValueError(f'annotation {annotation.get("id")}: has no segmentation; leave out --include_masks')
    segmentation = annotation['segmentation']
    compressed = isinstance(segmentation, Mapping) and isinstance(segmentation['counts'], (str, bytes))
    binary = mask.decode(segmentation if compressed else mask.frPyObjects(segmentation, height, width))
    if binary.ndim == 3:  # one layer for each polygon
        binary = binary.max(axis=2)
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(binary)).save(data, 'PNG')
    return data.getvalue()


def _keypoints(found: Sequence[Mapping[str, Any] | None], height: int, width: int) -> dict[str, list]:
    """Return the features of the keypoints of all objects; 17 zeros for an object without (None)."""
    count = len(_COCO_KEYPOINT_NAMES)
    values = [entry['keypoints'] if entry else [0] * (3 * count) for entry in found]
    flat = [number for numbers in values for number in numbers]
    return {'image/object/keypoint/x': [float(x) / width for x in flat[::3]],
            'image/object/keypoint/y': [float(y) / height for y in flat[1::3]],
            'image/object/keypoint/num': [entry['num_keypoints'] if entry else 0 for entry in found],
            'image/object/keypoint/visibility': flat[2::3],
            'image/object/keypoint/text': _COCO_KEYPOINT_NAMES * len(found)}


def _complete(entry: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return entry if entry and all(key in entry for key in _DENSEPOSE_KEYS) else None


def _densepose(used: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any] | None], height: int, width: int
               ) -> dict[str, list]:
    """Return the DensePose features of all objects; part numbers from 0, points normalized to the picture."""
    keys = 'num', 'part_index', 'x', 'y', 'u', 'v'
    features: dict[str, list] = {f'image/object/densepose/{key}': [] for key in keys}
    for annotation, entry in zip(used, found):
        features['image/object/densepose/num'].append(len(entry['dp_I']) if entry else 0)
        if entry:
            x, y, box_width, box_height = annotation['bbox']
            features['image/object/densepose/part_index'] += [int(part) - _DP_PART_ID_OFFSET for part in entry['dp_I']]
            for axis, start, length, size in (('x', x, box_width, width), ('y', y, box_height, height)):
                inside = np.clip(np.array(entry[f'dp_{axis}'], np.float64) / _DENSEPOSE_GRID, 0, 1)
                features[f'image/object/densepose/{axis}'] += ((start + inside * length) / size).tolist()
            for axis in 'uv':
                features[f'image/object/densepose/{axis}'] += map(float, entry[f'dp_{axis.upper()}'])
    return features


def _create_tf_record_from_coco_annotations(annotations_file: str, image_dir: str, output_path: str,
                                            include_masks: bool, num_shards: int, keypoint_annotations_file: str = '',
                                            densepose_annotations_file: str = '',
                                            remove_non_person_annotations: bool = False,
                                            remove_non_person_images: bool = False) -> None:
    """Convert one part of a data set; see create_tf_example. UserError if a file or an entry cannot be used."""
    images, category_index, annotations = _read(annotations_file)
    keypoints, densepose = (_by_id(_read(file, whole=False)[2]) if file else None
                            for file in (keypoint_annotations_file, densepose_annotations_file))
    skipped: Counter[str] = Counter()

    def examples() -> Iterator[protos.Example]:
        for image in images:
            mine = annotations.get(image['id'], [])
            try:
                _, message, *counts = create_tf_example(
                    image, mine, image_dir, category_index, include_masks,
                    None if keypoints is None else keypoints.get(image['id'], {}),
                    None if densepose is None else densepose.get(image['id'], {}),
                    remove_non_person_annotations, remove_non_person_images)
            except (FileNotFoundError, ValueError) as error:
                raise UserError(f'{annotations_file}: picture {image["file_name"]!r} (id {image["id"]}): {error}'
                                ) from error
            skipped.update(dict(zip(('annotations', 'keypoint annotations', 'DensePose annotations'), counts)))
            if message is not None:
                yield message

    conversion.write(Path(output_path), num_shards, examples(), len(images))
    without = sum(image['id'] not in annotations for image in images)
    for count, what in ((without, 'pictures have no annotation'),
                        *((number, f'{kind} skipped: without area, beyond the picture, or not wanted')
                          for kind, number in skipped.items())):
        if count:
            console.log(f'{output_path}: {count} {what}')


def _read(file: str, whole: bool = True) -> tuple[list[dict], dict[int, dict], dict[int, list[dict]]]:
    """Read a COCO JSON: images, {category id: category}, {image id: annotations}."""
    path = files.existing_file(file)
    if message := limits.text_too_large(path.stat().st_size):
        raise UserError(f'{file}: {message}')
    try:
        data = json.loads(path.read_text(encoding='utf-8-sig'))
        images, categories = (data[key] if whole else [] for key in ('images', 'categories'))
        annotations: dict[int, list[dict]] = {}
        for annotation in data.get('annotations', []):
            annotations.setdefault(annotation['image_id'], []).append(annotation)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        wrong = f'lacks {error}' if isinstance(error, KeyError) else str(error)
        raise UserError(f'{file}: is not a COCO JSON with images, categories and annotations: {wrong}') from error
    boxed = [annotation for mine in annotations.values() for annotation in mine] if whole else []
    for kind, entries, keys in (('image', images, ('id', 'file_name', 'height', 'width')),
                                ('category', categories, ('id', 'name')),
                                ('annotation', boxed, ('bbox', 'category_id'))):
        for entry in entries:
            if lost := [key for key in keys if key not in entry]:
                raise UserError(f'{file}: an {kind} lacks {", ".join(lost)}: {json.dumps(entry)[:120]}')
    return images, label_map_util.create_category_index(categories), annotations


def _by_id(annotations: Mapping[int, list[dict]]) -> dict[int, dict[int, dict]]:
    return {image: {annotation['id']: annotation for annotation in entries} for image, entries in annotations.items()}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; each part needs its folder of pictures and its JSON."""
    parser = args.Parser(__doc__)
    args.add_switch(parser, 'include_masks', 'add instance masks, as PNGs')
    for part, folder in (('train', 'train'), ('val', 'val'), ('testdev', 'test')):
        group = parser.add_argument_group(part)
        group.add_argument(f'--{folder}_image_dir', default='', metavar='FOLDER', help='its pictures')
        group.add_argument(f'--{part}_annotations_file', default='', metavar='FILE', help='instances JSON')
        if part != 'testdev':
            group.add_argument(f'--{part}_keypoint_annotations_file', default='', metavar='FILE',
                               help='person keypoints JSON')
            group.add_argument(f'--{part}_densepose_annotations_file', default='', metavar='FILE',
                               help='DensePose JSON (of COCO 2014)')
    parser.add_argument('--output_dir', type=args.folder_path, required=True, default=argparse.SUPPRESS,
                        metavar='FOLDER',
                        help='where the records are written')
    args.add_switch(parser, 'remove_non_person_annotations', 'skip all objects but persons')
    args.add_switch(parser, 'remove_non_person_images', 'skip pictures without a person')
    args.add_absl_flags(parser)
    options = parser.parse_args(argv)
    options.test_annotations_file = options.testdev_annotations_file
    given = {folder: (getattr(options, f'{folder}_image_dir'), getattr(options, f'{folder}_annotations_file'))
             for folder in ('train', 'val', 'test')}
    for folder, (pictures, annotations) in given.items():
        if bool(pictures) != bool(annotations):
            part = 'testdev' if folder == 'test' else folder
            parser.error(f'--{folder}_image_dir and --{part}_annotations_file belong together')
    if not any(pictures for pictures, _ in given.values()):
        parser.error('name pictures and annotations: --train_image_dir and --train_annotations_file, or those of val '
                     'or test')
    return options


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    for part, folder in (('train', 'train'), ('val', 'val'), ('testdev', 'test')):
        pictures = getattr(options, f'{folder}_image_dir')
        if not pictures:
            continue
        persons = {} if part == 'testdev' else {
            name: getattr(options, name) for name in ('remove_non_person_annotations', 'remove_non_person_images')} | {
            f'{kind}_annotations_file': getattr(options, f'{part}_{kind}_annotations_file')
            for kind in ('keypoint', 'densepose')}
        _create_tf_record_from_coco_annotations(
            getattr(options, f'{part}_annotations_file'), str(files.existing_dir(pictures)),
            str(options.output_dir / f'coco_{part}.record'), options.include_masks, SHARDS[part], **persons)


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
