"""What the commands that export have in common: their options, and the model that they name."""
import argparse
from pathlib import Path
from typing import Any

from object_detection.export import companions, output_folder
from object_detection.runs import best, metrics
from object_detection.runs.record import Record
from object_detection.utils import args, console, environment, files


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which model is exported, and where to."""
    args.add_pipeline_config(parser)
    parser.add_argument('--trained_checkpoint_dir', metavar='FOLDER',
                        help='a folder of checkpoints, of which --checkpoint chooses, or one checkpoint (.../ckpt-7)')
    parser.add_argument('--checkpoint', default='latest', metavar='best|latest|PATH',
                        help='which one: the newest, that of best/ (where training keeps the one with the best metric) '
                        'there, or one by its name there (ckpt-7) or its path')
    parser.add_argument('--output_directory', required=True, default=argparse.SUPPRESS, metavar='FOLDER',
                        help='new or empty; nothing is overwritten')
    parser.add_argument('--config_override', default='', metavar='TEXT',
                        help='a piece of pipeline.config to lay over the file, as "model { ssd { ... } }"')
    args.add_absl_flags(parser)


def read_config(parser: argparse.ArgumentParser, options: argparse.Namespace, *more: Any) -> Any:
    """Return the config with its override, checked; UserError with all that keeps it from being exported.

    Args:
        more: functions of the config that return further findings; called if the model section has no error.
    """
    from object_detection.config import checks, pipeline
    if not options.trained_checkpoint_dir and options.checkpoint in ('best', 'latest'):
        parser.error('give --trained_checkpoint_dir FOLDER (the model_dir), or --checkpoint with the path of one')
    config = pipeline.override(pipeline.read(options.pipeline_config_path), options.config_override)

    def demand(findings: list[checks.Finding]) -> None:
        checks.demand(checks.located(findings, options.pipeline_config_path, overridden=bool(options.config_override)))
    demand(checks.check_model(config))
    demand([finding for check in more for finding in check(config)])
    output_folder.check(options.output_directory)
    return config


def restored_model(config: Any, options: argparse.Namespace) -> tuple[Any, companions.Source]:
    """Return the model of a config with the weights of the checkpoint that the options name, and where they come from.
    This loads TensorFlow.
    """
    wanted = chosen(options.trained_checkpoint_dir, options.checkpoint)
    environment.prepare_tensorflow()
    from object_detection import checkpoints
    from object_detection.models import build
    checkpoint = checkpoints.load(wanted)
    model = build.build(config.model)
    step = checkpoints.restore_model(model, checkpoint, config.eval_config.use_moving_averages)
    source = companions.Source(known_labels(config), checkpoint.prefix, step)
    print(Path(checkpoint.prefix).parent / str(source))
    if options.checkpoint == 'latest' and (better := better_than(options.trained_checkpoint_dir, checkpoint.prefix)):
        print(f'note: {better}; --checkpoint best exports it')
    return model, source


def known_labels(config: Any) -> Any:
    """Return the label map (config.label_map.LabelMap) that the config's input_readers name, if it is there."""
    from object_detection.config import label_map
    readers = [*config.eval_input_reader, config.train_input_reader]
    path = next((reader.label_map_path for reader in readers if files.is_file(reader.label_map_path)), None)
    return label_map.load(path) if path else None


def add_eval_pictures(parser: Any) -> None:
    """Add the option that says on how many pictures an exported file is compared."""
    parser.add_argument('--eval_pictures', type=args.count, default=500, metavar='N',
                        help='evaluate the first N pictures; 0 for no comparison')


def has_evaluation_records(config: Any, options: argparse.Namespace) -> bool:
    """Return whether there are evaluation records to compare on, and are to be; warn if there are none."""
    from object_detection import records
    from object_detection.config import checks
    if not options.eval_pictures:
        return False
    found = [*checks.check_evaluation(config), *records.check_data(config, 100, 2., True, False)[0]]
    failed = [finding for finding in found if finding.severity == 'error']
    if failed:
        console.warn('the file is not compared with the SavedModel, as the config has no evaluation records: '
                     f'{failed[0]}')
    return not failed


def compare(model: Any, config: Any, path: Path, labels: Any, options: argparse.Namespace, most: int | None = None
            ) -> float:
    """Evaluate a model and the file that it was exported to, and print a table.

    Args:
        most: only so many detections of each picture; None for all.
    Returns:
        How much less of the first metric the file has.
    """
    from object_detection.inference import checkpoint
    from object_detection.inference.detections import Limited
    from object_detection.inference.evaluate import evaluate
    from object_detection.inference.load import load
    known = {item.id: item.display_name or item.name for item in labels.items}
    runner = checkpoint.runner_of(model, 'SavedModel', known)
    scores = [evaluate(each, config.eval_config, config.eval_input_reader[0], labels, options.eval_pictures)
              for each in (Limited(runner, most) if most else runner, load(path))]
    name = scores[0].first[0]
    console.table(['', name.rpartition('/')[2], 'ms per picture', 'MB'], [
        (title, f'{score.first[1]:.4f}', f'{score.milliseconds:.1f}', size)
        for title, score, size in zip(('SavedModel', path.name), scores, ('', f'{path.stat().st_size / 1e6:.2f}'))],
        title=f'{scores[0].pictures} pictures' + (f', the best {most} detections of each' if most else ''))
    return scores[0].first[1] - scores[1].first[1]


def chosen(folder: str | None, checkpoint: str) -> str:
    """Return what checkpoints.load takes.

    Args:
        folder: a folder of checkpoints or one checkpoint; None if `checkpoint` is a path.
        checkpoint: best, latest, a name in the folder, or a path.
    """
    if checkpoint == 'latest':
        return folder or ''
    if checkpoint == best.FOLDER:
        return str(best.demand(folder or ''))
    inside = Path(folder or '', checkpoint)
    return str(inside) if Path(f'{inside}.index').is_file() else checkpoint


def better_than(folder: str | None, prefix: str) -> str:
    """Return a line about the checkpoint in best/ of a folder if it was evaluated better than another one; else ''."""
    kept = best.read(Path(folder, best.FOLDER)) if folder else None
    if not kept or Path(prefix).resolve().parent != Path(folder or '').resolve():
        return ''
    name = Path(prefix).name
    if name == kept.checkpoint:
        return ''
    value = Record(kept.folder.parent).entries.get(name, {}).get('eval', {}).get(kept.metric)
    if value is not None and not metrics.better(kept.metric, kept.value, value):
        return ''
    known = 'was not evaluated' if value is None else f'has {metrics.short_name(kept.metric)} {value:.4f}'
    return f'{name} {known}, and {kept.folder} holds {kept}'
