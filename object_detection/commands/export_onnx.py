"""Export a trained model to ONNX: checkpoint and pipeline.config in, model.onnx out.

The file takes pictures as a SavedModel does, of any size and number, and returns the same detections. With --size model
it takes the resized pictures that the network sees, and with --nms none it returns boxes and scores before NMS, for
runtimes with fixed shapes and an NMS of their own. Then it is compared with the SavedModel in ONNX Runtime, on the
evaluation records of the config.
"""
import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_detection.commands import exporting
from object_detection.export import OPSETS, limits
from object_detection.utils import args, console, errors

PIXELS, SCORE = .1, 1e-4  # the largest differences from the SavedModel
MIN_SCORE = .05  # of the detections compared
COMPARED = 50  # pictures


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    exporting.add_options(parser)
    graph = parser.add_argument_group('the network')
    graph.add_argument('--input_type', choices=('image_tensor', 'float_image_tensor'), default=None,
                       help='pixels 0..255 as uint8 or as float32; image_tensor unless given, float_image_tensor with '
                       '--size model')
    graph.add_argument('--size', choices=('any', 'model'), default='any',
                       help='any: pictures, which the file resizes; model: pictures resized and padded by the caller')
    graph.add_argument('--batch', type=args.count, default=0, metavar='N', help='pictures at a time; 0 for any number')
    graph.add_argument('--nms', choices=('class', 'none'), default='class',
                       help='class: detections; none: boxes and scores before NMS')
    graph.add_argument('--opset', type=int, choices=OPSETS, default=17, metavar='N',
                       help=f'version of ONNX\'s operators, {OPSETS[0]} to {OPSETS[-1]}')
    check = parser.add_argument_group('the comparison')
    exporting.add_eval_pictures(check)
    check.add_argument('--max_map_loss', type=args.fraction, default=.01, metavar='X',
                       help='exit with code 1 if the .onnx has more than this less than the SavedModel')
    options = parser.parse_args(argv)
    started = time.perf_counter()

    any_size, nms = options.size == 'any', options.nms == 'class'
    config = exporting.read_config(parser, options, lambda config: limits.onnx(config, any_size, nms))
    evaluates = nms and exporting.has_evaluation_records(config, options)
    model, source = exporting.restored_model(config, options)
    from object_detection.export import onnx_file
    converted = time.perf_counter()
    input_type = options.input_type or ('image_tensor' if any_size else 'float_image_tensor')
    path = onnx_file.write(model, config, options.output_directory, onnx_file.Options(
        input_type, any_size, options.batch or None, options.nms, options.opset), source)
    print(f'{path}: {path.stat().st_size / 1e6:.2f} MB, opset {options.opset}, converted in '
          f'{time.perf_counter() - converted:.1f} s')
    wrong = _verdict(model, config, path, source.labels, options) if evaluates else ''
    print(f'done in {time.perf_counter() - started:.1f} s')
    if wrong:
        sys.exit(f'error: {path} {wrong}. The file is kept')


def _verdict(model: Any, config: Any, path: Path, labels: Any, options: argparse.Namespace) -> str:
    """Compare the file with the model; return what is wrong with it, or ''."""
    agreed = _agreement(model, config, path, labels, min(COMPARED, options.eval_pictures))
    print(f'{agreed.detections} detections above {MIN_SCORE}: boxes differ by {agreed.pixels:.1e} px at most, scores '
          f'by {agreed.score:.0e}, {agreed.lost} not found')
    loss = exporting.compare(model, config, path, labels, options)
    if loss > options.max_map_loss:
        return f'loses {loss:.4f} of the metric, more than {options.max_map_loss:g} (--max_map_loss)'
    exact = options.size == 'any' or options.input_type != 'image_tensor'
    if exact and (agreed.lost or agreed.pixels > PIXELS or agreed.score > SCORE):
        console.warn(f'the detections differ by more than {PIXELS} px or {SCORE:.0e} in score')
    return ''


def _agreement(model: Any, config: Any, path: Path, labels: Any, count: int) -> Any:
    """Return the Agreement of a model and its file on the first `count` evaluation pictures."""
    from object_detection.inference import checkpoint
    from object_detection.inference.agreement import agreement
    from object_detection.inference.evaluate import images
    from object_detection.inference.load import load
    pictures = images(config.eval_input_reader[0], labels, count)
    expected, found = checkpoint.runner_of(model, 'SavedModel', {}).detect(pictures), load(path).detect(pictures)
    return agreement(expected, found, [image.shape for image in pictures], MIN_SCORE)


def run() -> None:
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
