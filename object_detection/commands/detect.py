"""Detect objects in pictures, videos, or what a camera shows: any exported model or checkpoint in, results out.

    python detect.py --model models/d1/exported --input holiday/ --output out/holiday
    python detect.py --model model.tflite --input street.mp4 --output out/street --save video csv
    python detect.py --model models/d1/exported --input 'new/**/*.jpg' --output out/new --save voc --min_score .5

Decoding, drawing and writing run beside the network. Nothing is overwritten.
"""
import argparse
import functools
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_detection.commands import loading
from object_detection.utils import args, console, errors, files

KINDS = ('pictures', 'video', 'coco', 'voc', 'yolo', 'crops', 'csv')
NEED_FRAMES = {'coco', 'voc', 'yolo'}  # of a video: annotations are worth nothing without their pictures


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    from object_detection.detection import sources, video
    found = sources.find(options.input)
    if found.videos:
        video.demand()
    kinds = _kinds(options, found)
    output = files.vacant_dir(options.output)
    with console.progress('loading the model'):
        runner = _runner(options)
    names = runner.labels
    classes = _classes(options.classes, names)
    if not names:
        console.warn(f'{runner.name}: no label map lies beside it, so classes are called category_1, category_2, ...; '
                     f'--label_map FILE names them, --label_map coco those of a model trained on COCO')
    files.make_dir(output)
    from object_detection.detection import flow
    totals = flow.Totals()
    made = _writers(kinds, output, names, bool(found.videos))
    try:
        _detect(found, runner, options, flow.keeper(options.min_score, classes), made, totals)
    finally:
        for writer in made:
            writer.close()
    unit = 'frames' if not found.pictures else 'pictures' if not found.videos else 'pictures and frames'
    _report(totals, names, output, unit)
    return 1 if totals.skipped and not totals.items else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = args.Parser(__doc__)
    add = parser.add_argument
    add('--model', required=True, metavar='PATH', default=argparse.SUPPRESS,
        help='a SavedModel or the folder of an export, a .tflite or .onnx file, a checkpoint (.../ckpt-7) or a folder '
        'of them')
    add('--input', required=True, nargs='+', metavar='PATH', default=argparse.SUPPRESS,
        help='pictures, videos, folders with all that lies below, globs in quotes, or the number of a camera (0)')
    add('--output', required=True, type=args.folder_path, metavar='FOLDER', default=argparse.SUPPRESS,
        help='new or empty; nothing is overwritten')
    add('--save', nargs='+', choices=KINDS, metavar='KIND',
        help=f'what to write, several of {", ".join(KINDS)} (default: drawn pictures of pictures, and drawn videos of '
        'videos). Of a video, pictures are its frames; coco, voc and yolo also save its frames undrawn')
    add('--label_map', default='', metavar='FILE', help='the names of the classes, or coco (default: that in the '
        'model, label_map.pbtxt beside it or a folder above, or that of the pipeline.config)')
    add('--pipeline_config_path', type=args.existing_file, metavar='FILE',
        help='of a checkpoint (default: the pipeline.config beside it or a folder above)')
    add('--min_score', type=args.fraction, default=.3, metavar='SCORE', help='keep detections with at least this score')
    add('--classes', nargs='+', default=[], metavar='CLASS', help='keep only these classes, by name or id')
    add('--batch', type=args.positive_int, default=1, metavar='N', help='pictures, or tiles, that are one call of the '
        'network if they have one size; more than 1 pays off on a GPU')
    add('--limit', type=args.positive_int, metavar='N', help='only the first N pictures, and N frames of each video')
    add('--every', type=args.positive_int, default=1, metavar='N', help='every N-th frame of a video')
    add('--threads', type=args.positive_int, metavar='N', help='of the processor, for .tflite and .onnx (default: all)')
    group = parser.add_argument_group('tiles, for small objects on large pictures')
    group.add_argument('--tile', type=args.positive_int, metavar='PIXELS', help='also detect in overlapping tiles of '
                       'this size, and merge what is found there and in the whole picture')
    group.add_argument('--overlap', type=_overlap, default=.2, metavar='SHARE',
                       help='of a tile that the next one shows as well; at least as large as the objects')
    options = parser.parse_args(argv)
    if any(given.isdecimal() and not Path(given).exists() for given in options.input) and len(options.input) > 1:
        parser.error('--input: a camera goes alone')
    return options


def _overlap(text: str) -> float:
    value = args.fraction(text)
    if value > .9:
        raise argparse.ArgumentTypeError(f'{text} is not a share from 0 to 0.9')
    return value


def _kinds(options: argparse.Namespace, found: Any) -> list[str]:
    """Return what to write; UserError if it does not fit the input."""
    if options.save:
        if 'video' in options.save and not found.videos:
            raise errors.UserError('--save video: there is no video among the input; pictures are saved as pictures')
        return list(dict.fromkeys(options.save))
    return [kind for kind, given in (('pictures', found.pictures), ('video', found.videos)) if given]


def _runner(options: argparse.Namespace) -> Any:
    """Load the model, with its labels, in tiles if asked for."""
    runner = loading.load(options.model, options.pipeline_config_path, options.label_map, options.threads)
    if options.tile:
        from object_detection.detection.tiling import Tiled
        return Tiled(runner, options.tile, options.overlap, options.batch, options.min_score)
    return runner


def _classes(given: Sequence[str], names: dict[int, str]) -> set[int] | None:
    from object_detection.preparation.detections import class_ids
    if given and not names and all(text.isdecimal() for text in given):
        return {int(text) for text in given}
    return class_ids(given, names, '--classes')


def _writers(kinds: Sequence[str], output: Path, names: dict[int, str], has_video: bool) -> list[Any]:
    from object_detection.detection import annotations, writers
    makers = {'pictures': lambda: writers.Pictures(output / 'pictures', names),
              'video': lambda: writers.Videos(output / 'video', names),
              'coco': lambda: annotations.Coco(output / 'coco' / 'detections.json', names),
              'voc': lambda: annotations.Voc(output / 'voc', names),
              'yolo': lambda: annotations.Yolo(output / 'yolo', names),
              'crops': lambda: writers.Crops(output / 'crops', names),
              'csv': lambda: annotations.Table(output / 'csv' / 'detections.csv', names)}
    made = [makers[kind]() for kind in kinds]
    if has_video and NEED_FRAMES.intersection(kinds):
        made.append(writers.Pictures(output / 'frames', names, drawn=False, frames_only=True))
    return made


def _detect(found: Any, runner: Any, options: argparse.Namespace, keep: Any, made: list[Any], totals: Any) -> None:
    """Run everything through the network: the pictures, then each video."""
    from object_detection.detection import flow, pictures, video
    batch = min(options.batch, runner.batch or options.batch)
    threads = max(1, min(4, (os.cpu_count() or 2) // 2))

    def through(items: Any, title: str, total: int | None, unit: str) -> None:
        before = totals.items + totals.skipped
        with console.progress(title, total, unit) as bar:
            flow.run(itertools.islice(items, options.limit), runner, batch, keep, made, totals,
                     lambda broken: console.warn(f'{broken.name}: {broken.reason}; skipped'),
                     lambda totals: bar.update(totals.items + totals.skipped - before,
                                               network=f'{totals.utilization:.0%} busy'), threads)

    if found.others:
        console.log(f'{found.others} files that are neither pictures nor videos are passed over')
    if found.pictures:
        chosen = found.pictures[:options.limit]
        through(pictures.read(chosen, threads, 2 * batch + threads), 'detecting', len(chosen), 'pictures')
    for source in found.videos:
        known = video.count(source, options.every)
        total = min(known or options.limit, options.limit) if options.limit else known
        through(video.ahead(functools.partial(video.read, source, options.every), 2 * batch + 2),
                source.name, total, 'frames')


def _report(totals: Any, names: dict[int, str], output: Path, unit: str) -> None:
    from object_detection.detection.writers import name_of
    for class_id, number in totals.classes.most_common(12):
        console.log(f'{name_of(names, class_id)}: {number}')
    skipped = f', {totals.skipped} skipped as broken' if totals.skipped else ''
    console.log(f'{output}: {sum(totals.classes.values())} detections in {totals.items} {unit}{skipped}')


def run() -> None:
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
