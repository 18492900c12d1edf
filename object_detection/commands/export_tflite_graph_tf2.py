"""Export a trained model to LiteRT (TensorFlow Lite): checkpoint and pipeline.config in, model.tflite out.

The file holds the network, LiteRT's detection post-processing, metadata for Android's and MediaPipe's detectors, and
the labels. Then it is compared with the SavedModel on the evaluation records of the config: mAP, latency, size. The
output folder also has saved_model/, from which TensorFlow's own converter makes a .tflite as with the reference.
"""
import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from object_detection.commands import exporting
from object_detection.export import LITE_INPUTS, QUANTIZATIONS, limits
from object_detection.utils import args, errors

MAX_MAP_LOSS = {'int8': .02}  # .01 otherwise


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    exporting.add_options(parser)
    graph = parser.add_argument_group('the network')
    graph.add_argument('--max_detections', type=args.positive_int, default=10, metavar='N', help='per picture')
    args.add_switch(graph, 'ssd_use_regular_nms', 'NMS of each class on its own, as in the SavedModel; slower, and '
                    'only right with one thread (TensorFlow issue 56058). Without it one NMS over the best class of '
                    'each box')
    graph.add_argument('--score_threshold', type=args.fraction, default=None, metavar='X',
                       help='of the NMS, in place of the config\'s, which is often 1e-8; --ssd_use_regular_nms is ten '
                       'times as fast with .01')
    args.add_switch(graph, 'centernet_include_keypoints', 'return the keypoints of a CenterNet, too')
    graph.add_argument('--keypoint_label_map_path', default='', metavar='FILE',
                       help='in place of the one in the config')
    graph.add_argument('--quantize', choices=QUANTIZATIONS, default='none',
                       help='float16: weights of 16 bits; dynamic: weights of 8 bits; int8: weights and activations '
                       'of 8 bits, their ranges taken from training pictures')
    graph.add_argument('--inference_input_type', choices=LITE_INPUTS, default='uint8',
                       help='input of an int8 network')
    graph.add_argument('--calibration_pictures', type=args.positive_int, default=200, metavar='N',
                       help='training pictures for the ranges of int8')
    args.add_switch(graph, 'int8_heads', 'with int8: 8 bits also for the last layer of the heads, which otherwise '
                    'stays in floats; a tenth faster, coarser boxes and scores; what an Edge TPU wants')
    check = parser.add_argument_group('the comparison')
    exporting.add_eval_pictures(check)
    check.add_argument('--max_map_loss', type=args.fraction, default=None, metavar='X',
                       help='exit with code 1 if the .tflite has more than this less than the SavedModel; .01 unless '
                       'given, .02 with int8')
    options = parser.parse_args(argv)
    started = time.perf_counter()

    config = exporting.read_config(parser, options, limits.lite, lambda config: _keypoints(config, options))
    if options.quantize == 'int8':
        _check_calibration(config)
    evaluates = exporting.has_evaluation_records(config, options)
    model, source = exporting.restored_model(config, options)
    from object_detection.export import tflite
    converted = time.perf_counter()
    path = tflite.write(model, config, options.output_directory, tflite.Options(
        options.max_detections, options.ssd_use_regular_nms, options.centernet_include_keypoints, options.quantize,
        options.inference_input_type, options.calibration_pictures, options.score_threshold,
        options.int8_heads), source)
    print(f'{path}: {path.stat().st_size / 1e6:.2f} MB, {options.quantize}, converted in '
          f'{time.perf_counter() - converted:.1f} s')
    loss = exporting.compare(model, config, path, source.labels, options, options.max_detections) if evaluates else None
    print(f'done in {time.perf_counter() - started:.1f} s')
    most = MAX_MAP_LOSS.get(options.quantize, .01) if options.max_map_loss is None else options.max_map_loss
    if loss is not None and loss > most:
        sys.exit(f'error: {path} loses {loss:.4f} of the metric, more than {most:g} (--max_map_loss). The file is '
                 f'kept. Try {_advice(options)}')


def _advice(options: argparse.Namespace) -> str:
    nms = '' if options.ssd_use_regular_nms else '--ssd_use_regular_nms with --score_threshold .01, '
    return nms + ('a larger --max_detections' if options.quantize in ('none', 'float16') else
                  '--quantize dynamic or float16, or more --calibration_pictures')


def _keypoints(config: Any, options: argparse.Namespace) -> list[Any]:
    """Put the keypoint label map of the command line into the config; return findings about the keypoint options."""
    from object_detection.config import checks
    section = config.model.center_net
    if not options.centernet_include_keypoints:
        return []
    if not section.keypoint_estimation_task:
        return [checks.error('model', '--centernet_include_keypoints: the model estimates no keypoints; it has no '
                             'keypoint_estimation_task')]
    if options.keypoint_label_map_path:
        section.keypoint_label_map_path = options.keypoint_label_map_path
    return checks.check_model(config)


def _check_calibration(config: Any) -> None:
    """UserError if there are no training records to calibrate int8 on."""
    from object_detection import records
    from object_detection.config import checks
    checks.demand([*checks.check_inputs(config), *records.check_data(config, 100, 2., True, True)[0]])


def run() -> None:
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
