"""Turn pictures, in one folder per label or with annotations, into records to train a detector on.

    python prepare_data.py --dataset data/dogs --output out --coco models/efficientdet_d1_coco17_tpu-32/saved_model

Writes label_map.pbtxt, train.tfrecords, test.tfrecords, jpg/, stats.json and report.html to --output. A run that was
stopped, or whose options or pictures have changed, does only what is left to do.
"""
import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_detection.preparation.options import LEAST_SCORE, MOST_DISTANCE, MOST_OVERLAP, Options
from object_detection.utils import args, regex
from object_detection.utils.errors import UserError, run_main


def parse(argv: Sequence[str] | None) -> dict[str, Any]:
    """Return the keyword arguments of Options."""
    parser = args.Parser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('--dataset', type=Path, required=True, metavar='FOLDER', default=argparse.SUPPRESS,
        help='folder with one folder of pictures per label, or the export of an annotation tool; or its one file of '
        'annotations. It is only read')
    add('--images', type=Path, metavar='FOLDER', help='the pictures, if they are not in --dataset')
    add('--output', type=args.folder_path, required=True, metavar='FOLDER', default=argparse.SUPPRESS,
        help='where everything is written')
    add('--background', type=Path, metavar='FOLDER',
        help='pictures without any object, to train on as negative examples; split with the same shares')
    add('--coco', type=Path, metavar='FOLDER',
        help='SavedModel of the detector that finds the boxes, such as one of the zoo (python -m object_detection.zoo)')
    group = parser.add_argument_group('pictures')
    add = group.add_argument
    add('--mindim', type=args.positive_int, metavar='N', help='shrink pictures so that the shorter side has N pixels')
    add('--bits', type=int, choices=range(8, 17), metavar='N',
        help='bits that pictures of 16 bits a channel use; without it, each picture uses the least of 8, 10, 12, 14 '
        'and 16 that holds its values')
    add('--near_duplicates', type=distance, default=6, metavar='BITS',
        help='pictures whose 64-bit hashes differ in at most BITS bits are duplicates; off: only equal files are')
    args.add_switch(group, 'keep_near_duplicates', 'keep near duplicates, all in the same subset of the split')
    group = parser.add_argument_group('tiles, for small objects on large pictures')
    add = group.add_argument
    add('--tile', type=args.positive_int, metavar='N',
        help='cut pictures, after --mindim, into tiles of N pixels a side; tiles without a box are left out, unless '
        '--negatives')
    add('--overlap', type=overlap, default=0.2, metavar='SHARE', help='of a tile that the next one shows as well')
    add('--min_visible', type=args.fraction, default=0.3, metavar='SHARE',
        help='keep a box that the edge of a tile cuts if this share of it is visible')
    group = parser.add_argument_group('boxes')
    add = group.add_argument
    add('--boxes', choices=('best', 'all', 'whole'), default='best',
        help='the best detection, all from --min_score on, or the whole picture; boxes drawn by hand take precedence')
    add('--max_boxes', type=args.positive_int, metavar='N', help='with --boxes all, at most N per picture')
    add('--coco_class', nargs='+', default=['any'], metavar='CLASS',
        help='names or ids of the classes of the detector that count; any: all of them')
    add('--min_score', type=score, default=0.3, metavar='SCORE', help=f'lowest score of a box, at least {LEAST_SCORE}')
    add('--annotations', type=Path, nargs='+', metavar='PATH',
        help='boxes drawn by hand, files or folders: Pascal VOC XML, YOLO txt, COCO JSON, CVAT for images XML, CSV; '
        'without it, those in --dataset')
    add('--labels', choices=('auto', 'folders', 'annotations'), default='auto',
        help='where labels come from; auto: from the folders, unless these are named like images or train')
    args.add_switch(group, 'masks', 'write instance masks, from outlines and masks in the annotations')
    args.add_switch(group, 'keypoints', 'write keypoints, from COCO JSON')
    args.add_switch(group, 'keep_crowds', 'take crowd regions of COCO JSON as objects; CVAT marks masks as such')
    args.add_switch(group, 'negatives', 'keep pictures without a box, as negative examples')
    add('--detector_batch', type=args.positive_int, default=8, metavar='N',
        help='pictures at a time, if the detector takes several')
    group = parser.add_argument_group('balance and split')
    add = group.add_argument
    add('--split', nargs='+', metavar='SHARE',
        help='share for training, the rest is for testing; or three shares: training, validation, testing; given: the '
        'split that the data set has (default: given for the export of an annotation tool that has one, else 0.8)')
    add('--maxperlabel', type=args.positive_int, metavar='N', help='take at most N pictures of each label')
    args.add_switch(group, 'equalcounts', 'take as many pictures of each label as the rarest label has')
    add('--group_by', type=pattern, metavar='REGEX',
        help='keep pictures whose paths have the same match (of the parentheses, if any) in the same subset')
    sharding = group.add_mutually_exclusive_group()
    sharding.add_argument('--shards', type=args.positive_int, default=1, metavar='N',
                          help='number of files for the training records, at most one per picture')
    sharding.add_argument('--shard_size', type=args.size, metavar='SIZE',
                          help='size of each file of records, of all subsets: 200MB, for example')
    add('--seed', type=int, default=0, metavar='N', help='of the random choice and split')
    parser.add_argument('--pipeline_config_path', type=Path, metavar='FILE',
                        help='of the model to train: the report compares the boxes with its anchors')
    parser.add_argument('--check', type=Path, metavar='FOLDER',
                        help='SavedModel of a detector trained on this data set: the report shows where it contradicts '
                        'the boxes (overlooked, swapped, badly placed), and label_errors.json lists them to correct')
    parser.add_argument('--workers', type=args.positive_int, default=os.cpu_count() or 1, metavar='N',
                        help='processes that read pictures and write records')
    parser.add_argument('--scheduler', metavar='ADDRESS',
                        help='of a Dask scheduler, such as tcp://head:8786, whose workers do that instead, and run the '
                        'detector; they see --dataset and --output under the same paths (docs/data.md)')
    values = vars(parser.parse_args(argv))
    values |= {'coco_class': tuple(values['coco_class']), 'annotations': tuple(values['annotations'] or ())}
    if values['dataset'].is_file():
        values |= {'annotations': (values['dataset'], *values['annotations']), 'dataset': values['dataset'].parent}
    if values['split'] in (None, ['given']):
        return values | {'split': shares([0.8]), 'split_given': values['split'] and True}
    return values | {'split': shares(values['split']), 'split_given': False}


def distance(text: str) -> int | None:
    """Parse --near_duplicates."""
    if text == 'off':
        return None
    bits = args.count(text)
    if bits > MOST_DISTANCE:
        raise argparse.ArgumentTypeError(f'{text}: at most {MOST_DISTANCE}; different pictures may be that close')
    return bits


def overlap(text: str) -> float:
    """Parse --overlap."""
    value = args.fraction(text)
    if value > MOST_OVERLAP:
        raise argparse.ArgumentTypeError(f'{text}: at most {MOST_OVERLAP}; such tiles are nearly the same')
    return value


def score(text: str) -> float:
    """Parse --min_score."""
    value = args.fraction(text)
    if value < LEAST_SCORE:
        raise argparse.ArgumentTypeError(f'{text}: at least {LEAST_SCORE}; detections below are not kept')
    return value


def pattern(text: str) -> str:
    """Parse --group_by."""
    if message := regex.fault(text):
        raise argparse.ArgumentTypeError(message)
    return text


def shares(given: Sequence[str | float]) -> tuple[float, float, float]:
    """Return the shares (train, validation, test) of --split; UserError if they are none or do not add up."""
    try:
        split = [float(share) for share in given]
    except ValueError:
        split = []
    if len(split) == 1 and 0 < split[0] <= 1:
        return split[0], 0.0, round(1 - split[0], 9)
    if len(split) == 3 and min(split) >= 0 and split[0] > 0 and abs(sum(split) - 1) < 1e-6:
        return split[0], split[1], split[2]
    raise UserError(f'--split {" ".join(map(str, given))}: one share for training (0.8), or three that add up to 1, '
                    'for training, validation and testing (0.8 0.1 0.1), or given')


def main(argv: Sequence[str] | None = None) -> None:
    from object_detection.preparation.run import prepare
    prepare(Options(**parse(argv)))


def run() -> None:
    """Run the command: a mistake of the user ends in a message and an exit code."""
    run_main(main)
