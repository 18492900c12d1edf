"""Turn the Oxford-IIIT Pet data set into records: faces, or whole bodies with masks.

    python create_pet_tf_record.py --data_dir=pet --output_dir=pet/output --label_map_path=pet_label_map.pbtxt

The pictures of annotations/trainval.txt are split 70 to 30, the same way each time. Flags, names, split and features
are the TF2 Object Detection API's.
"""
import argparse
import io
import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

if not __package__:  # run by its path: Python has put this file's folder where that of the package belongs
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from object_detection import protos
from object_detection.config import label_map
from object_detection.dataset_tools import conversion
from object_detection.utils import args, console, dataset_util, errors, files

_BACKGROUND = 2  # in a trimap: 1 pet, 2 background, 3 border
_NAMES = {True: 'pet_faces_{}.record', False: 'pets_fullbody_with_masks_{}.record'}  # by faces_only


def get_class_name_from_filename(file_name: str) -> str:
    """Return the class of a picture: american_pit_bull_terrier of american_pit_bull_terrier_105.jpg.

    Raises:
        ValueError: the name has another form.
    """
    match = re.match(r'([A-Za-z_]+)(_[0-9]+\.jpg)', file_name, re.IGNORECASE)
    if not match:
        raise ValueError(f'{file_name!r} is not CLASS_NUMBER.jpg')
    return match[1]


def dict_to_tf_example(data: Mapping[str, Any], mask_path: str | Path, label_map_dict: Mapping[str, int],
                       image_subdirectory: str | Path, ignore_difficult_instances: bool = False,
                       faces_only: bool = True, mask_type: str = 'png') -> protos.Example:
    """Convert an annotation.

    Args:
        data: the dict of an <annotation>, see dataset_util.recursive_parse_xml_to_dict.
        mask_path: the trimap, a PNG.
        label_map_dict: {class name: id}.
        image_subdirectory: the folder of the pictures.
        ignore_difficult_instances: leave out objects that are marked as difficult.
        faces_only: boxes of the faces, as annotated; else the box around the trimap's pet, and its mask.
        mask_type: 'png' or 'numerical'.
    Raises:
        FileNotFoundError, ValueError: the picture, the trimap or the annotation cannot be used.
    """
    path, size = Path(image_subdirectory, data['filename']), data['size']
    features = conversion.picture_features(path, int(size['height']), int(size['width']), data['filename'],
                                           data['filename'])
    if features['image/format'] != 'jpeg':
        raise ValueError(f'{path}: Image format not JPEG, but {features["image/format"]}')
    name = get_class_name_from_filename(data['filename'])
    pet = _pet(Path(mask_path))
    box = None if faces_only else _extent(pet, Path(mask_path))
    features |= conversion.object_features(data, label_map_dict, name, box, ignore_difficult_instances)
    count = len(features['image/object/class/label'])
    if not faces_only and mask_type == 'numerical':
        features['image/object/mask'] = pet.astype(np.float64).ravel().tolist() * count
    elif not faces_only:
        encoded = io.BytesIO()
        Image.fromarray(pet).save(encoded, 'PNG')
        features['image/object/mask'] = [encoded.getvalue()] * count
    return conversion.example(features)


def _pet(path: Path) -> np.ndarray:
    """Return uint8 [H, W], 1 where the trimap has not the background."""
    if not path.is_file():
        raise FileNotFoundError(files.missing(path))
    with conversion.opened(path.read_bytes(), path) as trimap:
        if trimap.format != 'PNG':
            raise ValueError(f'{path}: Mask format not PNG')
        return (np.asarray(trimap) != _BACKGROUND).astype(np.uint8)


def _extent(pet: np.ndarray, path: Path) -> list[float]:
    """Return xmin, xmax, ymin, ymax, the first and last columns and rows with the pet."""
    columns, rows = (np.flatnonzero(pet.any(axis=axis)) for axis in (0, 1))
    if not columns.size:
        raise ValueError(f'{path}: shows nothing but background')
    return [float(columns[0]), float(columns[-1]), float(rows[0]), float(rows[-1])]


def create_tf_record(output_filename: str | Path, num_shards: int, label_map_dict: Mapping[str, int],
                     annotations_dir: str | Path, image_dir: str | Path, examples: Sequence[str],
                     faces_only: bool = True, mask_type: str = 'png') -> None:
    """Convert the pictures called `examples`, whose XML is in annotations_dir/xmls and trimap in /trimaps.

    A picture without an XML (most have no face annotated) or with a mistake is left out with a warning.
    """
    def messages() -> Iterator[protos.Example]:
        without = 0
        for name in examples:
            path = Path(annotations_dir, 'xmls', f'{name}.xml')
            if not path.exists():
                without += 1
                continue
            try:
                yield dict_to_tf_example(conversion.read_annotation(path),
                                         Path(annotations_dir, 'trimaps', f'{name}.png'), label_map_dict, image_dir,
                                         faces_only=faces_only, mask_type=mask_type)
            except (FileNotFoundError, ValueError) as error:
                console.warn(f'left out: {path}: {error}')
        if without:
            console.warn(f'left out: {without} pictures without an XML in {Path(annotations_dir, "xmls")}')

    conversion.write(Path(output_filename), num_shards, messages(), len(examples))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = args.Parser(__doc__)
    add = parser.add_argument
    add('--data_dir', type=Path, required=True, default=argparse.SUPPRESS, metavar='FOLDER',
        help='the folder with images and annotations')
    add('--output_dir', type=args.folder_path, required=True, default=argparse.SUPPRESS, metavar='FOLDER',
        help='where the records are written')
    add('--label_map_path', default='data/pet_label_map.pbtxt', metavar='FILE', help='names and ids of the classes')
    args.add_switch(parser, 'faces_only', 'boxes of the faces; --nofaces_only: of whole bodies, with masks',
                    default=True)
    add('--mask_type', choices=('png', 'numerical'), default='png', help='how masks are stored')
    add('--num_shards', type=args.positive_int, default=10, metavar='N', help='number of files of each part')
    args.add_absl_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    ids = {item.name: item.id for item in label_map.load(files.existing_file(options.label_map_path)).items}
    annotations = files.existing_dir(options.data_dir / 'annotations')
    listed = [line for line in dataset_util.read_examples_list(files.existing_file(annotations / 'trainval.txt'))
              if line]
    random.Random(42).shuffle(listed)
    count = int(0.7 * len(listed))
    for part, names in (('train', listed[:count]), ('val', listed[count:])):
        create_tf_record(options.output_dir / _NAMES[options.faces_only].format(part), options.num_shards, ids,
                         annotations, files.existing_dir(options.data_dir / 'images'), names, options.faces_only,
                         options.mask_type)


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
