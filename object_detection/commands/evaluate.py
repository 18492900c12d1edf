"""Evaluate detectors of any format on records: the metrics of training, of each class, too, and the speed.

    python evaluate.py --model models/d1/exported --pipeline_config_path models/d1/pipeline.config
    python evaluate.py --model model.tflite --records 'data/test.tfrecords-*' --label_map data/label_map.pbtxt
    python evaluate.py --compare models/d1/exported model.tflite model.onnx --records data/test.tfrecords \\
        --label_map data/label_map.pbtxt --output comparison.html

Without --metrics the metrics are those of eval_config in the config; COCO's without a config.
"""
import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_detection.commands import loading
from object_detection.utils import args, console, environment, errors, files


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    config, labels = _data(options)
    if options.output and options.output.exists():
        raise errors.UserError(f'--output {options.output}: exists, and nothing is overwritten; name another file')
    environment.prepare_tensorflow()
    from object_detection.evaluation import detectors
    from object_detection.runs import about
    paths = [options.model] if options.model else options.compare
    evaluated, pictures = [], 0
    for path, name in zip(paths, files.short_names(paths)):
        console.stage(name)
        score = _evaluate(path, name, options, config, labels)
        pictures = score.pictures
        evaluated.append(detectors.Detector(name, path, _format(path), dict(score.metrics), score.milliseconds,
                                            _megabytes(path)))
    records = list(config.eval_input_reader[0].tf_record_input_reader.input_path)
    if options.output:
        files.write_text(options.output, _json(evaluated, pictures, records) if options.output.suffix == '.json' else
                         detectors.page(evaluated, pictures, records, about.machine()['processor']))
    detectors.show(evaluated, pictures)
    if options.output:
        console.log(f'{options.output} is written')


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = args.Parser(__doc__)
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--model', metavar='PATH', help='a SavedModel or the folder of an export, a .tflite or .onnx '
                      'file, a checkpoint (.../ckpt-7) or a folder of them')
    what.add_argument('--compare', nargs='+', metavar='PATH', help='several of these; the first is what the others are '
                      'compared with')
    add('--records', nargs='+', metavar='PATTERN', help='TFRecord files, as input_path in a config (default: those of '
        'eval_input_reader in the config)')
    add('--label_map', metavar='FILE', help='of the records (default: that of eval_input_reader in the config)')
    add('--model_label_map', default='', metavar='FILE', help='the names of the model\'s own classes, or coco, where '
        'it carries none; classes of the same name are the same class')
    add('--pipeline_config_path', type=args.existing_file, metavar='FILE', help='the config that names records, label '
        'map and metrics. Also that of the checkpoint, with --compare only of checkpoints that have none beside them')
    add('--metrics', nargs='+', default=[], metavar='NAME', help='as metrics_set in a config')
    add('--limit', type=args.positive_int, metavar='N', help='evaluate the first N pictures only')
    add('--threads', type=args.positive_int, metavar='N', help='of the processor, for .tflite and .onnx (default: all)')
    add('--output', type=Path, metavar='FILE', help='write a page (.html), or numbers (.json); a new file')
    options = parser.parse_args(argv)
    if not options.pipeline_config_path and not (options.records and options.label_map):
        parser.error('give --records and --label_map, or --pipeline_config_path')
    if options.compare and len({Path(path).resolve() for path in options.compare}) < len(options.compare):
        parser.error('--compare: give each model once')
    if options.output and options.output.suffix not in ('.html', '.json'):
        parser.error(f'--output {options.output}: is neither .html nor .json')
    return options


def _data(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return (a config with eval_config and one eval_input_reader, the label map), checked."""
    from object_detection import protos, records
    from object_detection.config import checks, label_map, pipeline
    config = (pipeline.read(options.pipeline_config_path) if options.pipeline_config_path
              else protos.TrainEvalPipelineConfig())
    if not config.eval_input_reader:
        config.eval_input_reader.add()
    del config.eval_input_reader[1:]
    reader = config.eval_input_reader[0]
    if options.records:
        reader.tf_record_input_reader.input_path[:] = options.records
    if options.label_map:
        reader.label_map_path = str(files.existing_file(options.label_map))
    if options.metrics:
        config.eval_config.metrics_set[:] = options.metrics
    config.eval_config.include_metrics_per_category = True
    only = type(config)(eval_config=config.eval_config, eval_input_reader=config.eval_input_reader)
    if config.HasField('model') and not options.label_map:  # of masks, keypoints and the number of classes
        only.model.CopyFrom(config.model)
    found = [*checks.check_evaluation(only), *records.check_data(only, 100, 2., True, False)[0]]
    checks.demand(checks.located(found, str(options.pipeline_config_path)) if options.pipeline_config_path else found)
    return config, label_map.load(reader.label_map_path)


def _evaluate(path: str, name: str, options: argparse.Namespace, config: Any, labels: Any) -> Any:
    """Return the Score of one model."""
    from object_detection.inference import evaluate
    with console.progress(f'loading {name}'):
        runner = loading.load(path, _config_of(path, options), options.model_label_map, options.threads)
    matched = evaluate.matched(runner, labels)
    with console.progress(f'evaluating {name}', unit='pictures') as bar:
        return evaluate.evaluate(matched, config.eval_config, config.eval_input_reader[0], labels, options.limit,
                                 on_picture=bar.update)


def _config_of(path: str, options: argparse.Namespace) -> Path | None:
    """Return the config to load a checkpoint with; None for the one beside it."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    beside = any((place / 'pipeline.config').is_file() for place in (folder, folder.parent))
    return None if options.compare and beside else options.pipeline_config_path


def _format(path: str) -> str:
    place = Path(path)
    if place.suffix in ('.tflite', '.onnx') and place.is_file():
        return place.suffix
    return 'SavedModel' if _saved_model(place) else 'checkpoint'


def _saved_model(path: Path) -> Path | None:
    """Return the folder of the SavedModel that a path names, as inference.load finds it."""
    return next((folder for folder in (path, path / 'saved_model') if (folder / 'saved_model.pb').is_file()), None)


def _megabytes(path: str) -> float:
    """Return the size of what a model consists of."""
    place = Path(path)
    if folder := _saved_model(place):
        found = list(folder.rglob('*'))
    elif place.is_file():
        found = [place]
    else:
        from object_detection import checkpoints
        prefix = Path(checkpoints.load(path).prefix)
        found = [file for file in prefix.parent.glob('*') if file.name.startswith(f'{prefix.name}.')]
    return sum(file.stat().st_size for file in found if file.is_file()) / 1e6


def _json(evaluated: Sequence[Any], pictures: int, records: Sequence[str]) -> str:
    return json.dumps({'pictures': pictures, 'records': list(records),
                       'detectors': [dataclasses.asdict(one) for one in evaluated]}, indent=1) + '\n'


def run() -> None:
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
