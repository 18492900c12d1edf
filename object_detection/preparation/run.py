"""The stages of prepare_data.py, from top to bottom."""
import contextlib
import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from object_detection.config import label_map
from object_detection.preparation import (
    annotations,
    boxes,
    check,
    duplicates,
    examples,
    names,
    pictures,
    report,
    split,
    stats,
)
from object_detection.preparation.anchors import anchor_range
from object_detection.preparation.detections import BOX_SOURCES, Detections, class_ids, saved_model
from object_detection.preparation.detector import Detector
from object_detection.preparation.manifest import MANIFEST, Manifest, Picture
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.scan import Scan, scan
from object_detection.utils import console, files
from object_detection.utils.errors import UserError

SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing'}  # folder names that are not labels
OURS = ('label_map.pbtxt', '*.tfrecords*', 'stats.json', 'report.html', check.FILE, 'jpg')  # beside the manifest


def prepare(options: Options) -> None:
    """Turn a data set folder into records, printing progress and a summary; UserError for a mistake of the user.

    Each stage reuses what an earlier run, finished or killed, has left in the manifest.
    """
    check_places(options)
    anchor_range(options.pipeline_config_path)  # report a broken config now rather than in an hour
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        dataset = scan(options.dataset)
        console.log(f'{options.dataset}: {len(dataset.sources)} files, {len(dataset.labels)} labels')
        check_scan(dataset, options)
        stack.enter_context(files.lock(options.output, 'the output folder'))
        clear_leftovers(options.output)
        manifest = stack.enter_context(Manifest(options.output))
        coco = saved_model(options.coco, '--coco') if options.coco and options.boxes != 'whole' else None
        detections = Detections(coco, options, manifest, stack)
        classes = class_ids(options.coco_class, detections.names) if coco else None
        checker = check.Checker(dataset.labels, options, manifest, stack) if options.check else None

        sources = pictures.prepare(dataset, names.jpg_names(dataset.sources), manifest, options,
                                   on_work=detections.start)
        skip_unusable(sources)
        duplicates.find(sources, options.near_duplicates, options.keep_near_duplicates)
        kept = [picture for picture in sources if not picture.verdict]
        pictures.restore(kept, dataset, manifest, options)

        by_hand = annotations.read(kept, dataset, options)
        detections.detect([picture for picture in kept if boxes.needs_detector(picture, by_hand)])
        boxes.decide(kept, by_hand, detections.by_picture(), detections.names, classes, options)

        if options.group_by:
            duplicates.bind(kept, options.group_by)
        split.balance(kept, options)
        split.assign(kept, options)
        manifest.decide(sources)

        numbers = stats.collect(sources, dataset.labels, options)
        if checker:
            numbers['label_errors'] = checker.check(kept, by_hand)
        files.write_text(options.output / 'stats.json', json.dumps(numbers, indent=1, ensure_ascii=False) + '\n')
        report.write(numbers, sources, {source.path: source.file for source in dataset.sources}, options)
        label_map.write(options.output / 'label_map.pbtxt', dataset.labels)
        examples.write(kept, dataset.labels, manifest, options)
    summarize(numbers, detections.detector, options, time.monotonic() - start)


def check_places(options: Options) -> None:
    """Raise UserError if --output overlaps with --dataset or holds files that are not this script's."""
    if options.annotations and not options.annotations.exists():
        raise UserError(files.missing(options.annotations))
    dataset, output = files.existing_dir(options.dataset).resolve(), options.output.resolve()
    if output == dataset or dataset in output.parents:
        raise UserError(f'--output {options.output} lies in --dataset {options.dataset}, where nothing is ever '
                        'written; choose a folder outside it')
    if (output / 'jpg') in (dataset, *dataset.parents):
        raise UserError(f'--dataset {options.dataset} lies in {options.output / "jpg"}, which is where the pictures of '
                        'this --output go; choose another output')
    strange = sorted(path.name for name in OURS for path in output.glob(name))
    if strange and not (output / MANIFEST).exists():
        raise UserError(f'--output {options.output} holds {", ".join(strange[:4])} without the {MANIFEST} of this '
                        'script, so it may be yours and is not overwritten; choose another folder')


def check_scan(dataset: Scan, options: Options) -> None:
    """Check what can be known before any picture is read: are there boxes to come, and are the folders labels?"""
    if options.boxes != 'whole' and not options.coco and not annotations.any_files(dataset, options):
        raise UserError(f'{options.dataset}: there are no boxes. {BOX_SOURCES}')
    if SPLITS.issuperset(label.casefold() for label in dataset.labels):
        console.warn(f'the labels are {", ".join(dataset.labels)}, which are names of parts of a data set, but each '
                     'folder must be a label. Put the pictures of each label together first; --split divides them '
                     'again')


def clear_leftovers(output: Path) -> None:
    """Remove half-written files of a killed run; no other process writes here while this one holds the lock."""
    shutil.rmtree(output / pictures.PARTIAL, ignore_errors=True)
    for file in [*output.glob('.*.tmp'), *output.glob('*.tfrecords*.partial')]:
        file.unlink()


def skip_unusable(sources: Iterable[Picture]) -> None:
    """Give the verdict 'skipped' to files that could not be read."""
    for picture in sources:
        if picture.problem:
            picture.verdict, picture.reason = 'skipped', picture.problem


def summarize(numbers: dict[str, Any], detector: Detector | None, options: Options, seconds: float) -> None:
    """Print the table at the end; UserError if no picture is left to train on. numbers: from stats.collect."""
    columns = ['label', *stats.STEPS, *(subset for subset in SUBSETS if numbers['totals'][subset])]
    rows = [[row['label'], *row['after'].values(), *(row[subset] for subset in columns[len(stats.STEPS) + 1:])]
            for row in [*numbers['labels'], {'label': 'total', **numbers['totals']}]]
    console.table(columns, rows)
    for reason, count in numbers['skipped_by_reason'].items():
        console.warn(f'{count} files skipped: {reason}')
    for entry in numbers['skipped'][:10]:
        console.log(f'  {entry["path"]}: {entry["reason"]}')
    for key, what in (('conflicts', 'conflicts between labels'), ('review', 'pictures to review')):
        if numbers[key]:
            console.warn(f'{len(numbers[key])} {what}: see {options.output / "report.html"}')
    if detector and detector.pictures:
        console.log(f'detector: {detector.pictures} pictures in {detector.batches} batches, '
                    f'{detector.pictures / detector.seconds:.1f} a second, busy {detector.utilization:.0%} of the time')
    console.log(f'done in {console.duration(seconds)}: {options.output}')
    if not numbers['totals']['train']:
        raise UserError(f'{options.output}: no picture is left to train on; {options.output / "report.html"} says '
                        'where they went. No box: try a lower --min_score, another --coco, or --boxes whole')
