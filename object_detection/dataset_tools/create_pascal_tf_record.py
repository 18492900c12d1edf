"""Turn a Pascal VOC data set into records.

    python create_pascal_tf_record.py --data_dir=VOCdevkit --year=VOC2012 --set=train \\
        --label_map_path=pascal_label_map.pbtxt --output_path=out/pascal_train.record

The pictures of a set are those that ImageSets/Main/aeroplane_SET.txt lists (each class's list has all pictures), else
SET.txt. Flags, names and features are the TF2 Object Detection API's.
"""
import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

if not __package__:  # run by its path: Python has put this file's folder where that of the package belongs
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from object_detection import protos
from object_detection.config import label_map
from object_detection.dataset_tools import conversion
from object_detection.utils import args, dataset_util, errors, files
from object_detection.utils.errors import UserError

SETS = ['train', 'val', 'trainval', 'test']
YEARS = ['VOC2007', 'VOC2012', 'merged']


def dict_to_tf_example(data: Mapping[str, Any], dataset_directory: str | Path, label_map_dict: Mapping[str, int],
                       ignore_difficult_instances: bool = False, image_subdirectory: str = 'JPEGImages'
                       ) -> protos.Example:
    """Convert an annotation.

    Args:
        data: the dict of an <annotation>, see dataset_util.recursive_parse_xml_to_dict. The picture is
            dataset_directory/folder/image_subdirectory/filename.
        label_map_dict: {class name: id}.
        ignore_difficult_instances: leave out objects that are marked as difficult.
    Raises:
        FileNotFoundError: there is no such picture.
        ValueError: it is not a JPEG, or the annotation cannot be used.
    """
    path = Path(dataset_directory, data.get('folder') or '', image_subdirectory, data['filename'])
    size = data['size']
    features = conversion.picture_features(path, int(size['height']), int(size['width']), data['filename'],
                                           data['filename'])
    if features['image/format'] != 'jpeg':
        raise ValueError(f'{path}: Image format not JPEG, but {features["image/format"]}')
    return conversion.example(features | conversion.object_features(data, label_map_dict, None, None,
                                                                    ignore_difficult_instances))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = args.Parser(__doc__)
    add = parser.add_argument
    add('--data_dir', type=Path, required=True, default=argparse.SUPPRESS, metavar='FOLDER',
        help='VOCdevkit: the folder with VOC2007 or VOC2012')
    add('--set', choices=SETS, default='train', help='pictures to take')
    add('--annotations_dir', default='Annotations', metavar='FOLDER', help='of the XMLs, in the folder of the year')
    add('--year', choices=YEARS, default='VOC2007', help='merged: both')
    add('--output_path', type=Path, required=True, default=argparse.SUPPRESS, metavar='FILE', help='the records')
    add('--label_map_path', default='data/pascal_label_map.pbtxt', metavar='FILE', help='names and ids of the classes')
    args.add_switch(parser, 'ignore_difficult_instances', 'leave out objects that are marked as difficult')
    args.add_absl_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    ids = {item.name: item.id for item in label_map.load(files.existing_file(options.label_map_path)).items}
    listed = [(year, name) for year in (YEARS[:2] if options.year == 'merged' else [options.year])
              for name in _listed(files.existing_dir(options.data_dir / year) / 'ImageSets' / 'Main', options.set)]

    def examples() -> Iterator[protos.Example]:
        for year, name in listed:
            path = options.data_dir / year / options.annotations_dir / f'{name}.xml'
            try:
                data = conversion.read_annotation(path)
                yield dict_to_tf_example(data, options.data_dir, ids, options.ignore_difficult_instances)
            except (FileNotFoundError, ValueError) as error:
                raise UserError(f'{path}: {error}') from error

    conversion.write(options.output_path, 0, examples(), len(listed))


def _listed(folder: Path, name: str) -> list[str]:
    for path in (folder / f'aeroplane_{name}.txt', folder / f'{name}.txt'):
        if path.is_file():
            return [line for line in dataset_util.read_examples_list(path) if line]
    raise UserError(files.missing(folder / f'aeroplane_{name}.txt'))


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
