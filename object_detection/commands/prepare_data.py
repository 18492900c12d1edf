"""Folders of pictures, one per label -> records to train a detector on.

    python prepare_data.py --dataset data/dogs --output out --coco models/efficientdet_d1_coco17_tpu-32/saved_model

Writes label_map.pbtxt, train.tfrecords, test.tfrecords, jpg/, stats.json and report.html under --output. A run that was
stopped, or whose options have changed, does only what is left to do.
"""
import argparse
import os
import re
from pathlib import Path

from object_detection.preparation.options import LEAST_SCORE, MOST_DISTANCE, Options
from object_detection.utils import args
from object_detection.utils.errors import UserError, run_main


def parse(argv):
    parser = args.Parser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('--dataset', type=Path, required=True, metavar='FOLDER', default=argparse.SUPPRESS,
        help='one folder per label, pictures in it; only read')
    add('--output', type=args.new_dir, required=True, metavar='FOLDER', default=argparse.SUPPRESS,
        help='where everything is written')
    add('--coco', type=Path, metavar='FOLDER',
        help='SavedModel of the detector that finds the boxes, such as one of the zoo (python -m object_detection.zoo)')
    group = parser.add_argument_group('pictures')
    add = group.add_argument
    add('--mindim', type=args.positive_int, metavar='N', help='shrink pictures so that the shorter side has N pixels')
    add('--near_duplicates', type=distance, default=6, metavar='BITS',
        help='pictures whose 64-bit hashes differ that little are the same; off: only equal files are')
    args.add_switch(group, 'keep_near_duplicates', 'keep near duplicates, all on one side of the split')
    group = parser.add_argument_group('boxes')
    add = group.add_argument
    add('--boxes', choices=('best', 'all', 'whole'), default='best',
        help='the best detection, all of --min_score, or the whole picture; annotations of a picture win over each')
    add('--max_boxes', type=args.positive_int, metavar='N', help='with --boxes all, at most N a picture')
    add('--coco_class', nargs='+', default=['any'], metavar='CLASS',
        help='names or ids of classes that a box may be; any: of each')
    add('--min_score', type=score, default=0.3, metavar='SCORE', help=f'least score of a box, from {LEAST_SCORE}')
    add('--annotations', type=Path, metavar='PATH',
        help='boxes drawn by hand: a COCO JSON, or a folder laid out like the data set, of Pascal VOC XML or YOLO txt; '
        'without it, what lies beside the pictures')
    args.add_switch(group, 'negatives', 'keep pictures without a box, as examples of nothing')
    add('--detector_batch', type=args.positive_int, default=8, metavar='N',
        help='pictures at a time, if --coco takes several')
    group = parser.add_argument_group('balance and split')
    add = group.add_argument
    add('--split', type=float, nargs='+', default=[0.8], metavar='SHARE',
        help='share for training, the rest for testing; or three: training, validation, testing')
    add('--maxperlabel', type=args.positive_int, metavar='N', help='at most N pictures of a label')
    args.add_switch(group, 'equalcounts', 'as many pictures of each label as of the smallest')
    add('--group_by', type=pattern, metavar='REGEX',
        help='pictures whose path has the same match (of the parentheses, if any) stay on one side of the split')
    add('--shards', type=args.positive_int, default=1, metavar='N', help='files that the training records are put into')
    add('--seed', type=int, default=0, metavar='N', help='another one, another choice and split')
    parser.add_argument('--pipeline_config_path', type=Path, metavar='FILE',
                        help='of the model to be trained: the report compares the boxes with its anchors')
    parser.add_argument('--workers', type=args.positive_int, default=os.cpu_count() or 1, metavar='N',
                        help='processes that read pictures')
    values = vars(parser.parse_args(argv))
    return values | {'split': shares(values['split']), 'coco_class': tuple(values['coco_class'])}


def distance(text):
    if text == 'off':
        return None
    bits = args.count(text)
    if bits > MOST_DISTANCE:
        raise argparse.ArgumentTypeError(f'{text}: at most {MOST_DISTANCE}; hashes farther apart are of two pictures')
    return bits


def score(text):
    value = args.fraction(text)
    if value < LEAST_SCORE:
        raise argparse.ArgumentTypeError(f'{text}: at least {LEAST_SCORE}; detections below are not kept')
    return value


def pattern(text):
    try:
        return re.compile(text).pattern
    except re.error as error:
        raise argparse.ArgumentTypeError(f'{text!r} is no regular expression: {error}') from None


def shares(split):
    """(train, validation, test) of what --split was given; UserError if they do not add up."""
    if len(split) == 1 and 0 < split[0] <= 1:
        return split[0], 0.0, round(1 - split[0], 9)
    if len(split) == 3 and min(split) >= 0 and split[0] > 0 and abs(sum(split) - 1) < 1e-6:
        return tuple(split)
    raise UserError(f'--split {" ".join(map(str, split))}: one share for training (0.8), or three that add up to 1, '
                    'for training, validation and testing (0.8 0.1 0.1)')


def main(argv=None):
    from object_detection.preparation.run import prepare
    prepare(Options(**parse(argv)))


def run():
    """The command: main, with a user's mistakes as messages and exit codes."""
    run_main(main)
