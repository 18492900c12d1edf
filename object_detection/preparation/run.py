"""The stages of prepare_data.py, from top to bottom."""
import contextlib
import json
import shutil
import time

from object_detection.config import label_map
from object_detection.preparation import (
    annotations,
    boxes,
    duplicates,
    examples,
    names,
    pictures,
    report,
    split,
    stats,
)
from object_detection.preparation.anchors import anchor_range
from object_detection.preparation.detections import WHENCE, Detections
from object_detection.preparation.manifest import NAME as MANIFEST
from object_detection.preparation.manifest import Manifest
from object_detection.preparation.options import SIDES
from object_detection.preparation.scan import scan
from object_detection.utils import console, files
from object_detection.utils.errors import UserError

SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing'}  # folders that are no labels
OURS = ('label_map.pbtxt', '*.tfrecords*', 'stats.json', 'report.html', 'jpg')  # in --output, beside the manifest


def prepare(options):
    """Turn a data set folder into records; UserError for what the user can put right. Prints progress and a summary.

    Each stage takes up what an earlier run, finished or killed, has left in the manifest.
    """
    check_places(options)
    anchor_range(options.pipeline_config_path)  # a mistake in it is better said now than in an hour
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        found = scan(options.dataset)
        console.log(f'{options.dataset}: {len(found.sources)} files, {len(found.labels)} labels')
        check_found(found, options)
        stack.enter_context(files.lock(options.output, 'the output folder'))
        clear_leftovers(options.output)
        manifest = stack.enter_context(Manifest(options.output))
        detections = Detections(options, manifest, stack)

        sources = pictures.prepare(found, names.jpg_names(found.sources), manifest, options, console.progress,
                                   on_work=detections.start)
        skip_unusable(sources)
        duplicates.find(sources, options.near_duplicates, options.keep_near_duplicates)
        kept = [picture for picture in sources if not picture.verdict]
        pictures.restore(kept, found, manifest, options, console.progress)

        by_hand = annotations.read(kept, found, options)
        detections.look_at([p for p in kept if boxes.needs_detector(p, by_hand)], console.progress)
        boxes.decide(kept, by_hand, detections.found(), detections.names, detections.classes, options)

        if options.group_by:
            duplicates.bind(kept, options.group_by)
        split.balance(kept, options)
        split.assign(kept, options)
        manifest.decide(sources)

        numbers = stats.collect(sources, found.labels, options)
        files.write_text(options.output / 'stats.json', json.dumps(numbers, indent=1, ensure_ascii=False) + '\n')
        report.write(numbers, sources, {source.path: source.file for source in found.sources}, options)
        label_map.write(options.output / 'label_map.pbtxt', found.labels)
        examples.write(kept, found.labels, manifest, options, console.progress)
    summarise(numbers, detections.detector, options, time.monotonic() - start)


def check_places(options):
    """The output may not lie where reading and writing would meet."""
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


def check_found(found, options):
    """What can be said before any picture is read: are there boxes to come, and are the folders labels?"""
    if options.boxes != 'whole' and not options.coco and not annotations.are_there(found, options):
        raise UserError(f'{options.dataset}: there are no boxes. {WHENCE}')
    if SPLITS.issuperset(label.casefold() for label in found.labels):
        console.warn(f'the labels are {", ".join(found.labels)}, which are names of parts of a data set: one folder '
                     'per label belongs here. Put the pictures of each label together first; --split divides them anew')


def clear_leftovers(output):
    """Remove what a killed run has left half-written; nobody else writes here while we hold the lock."""
    shutil.rmtree(output / pictures.PARTIAL, ignore_errors=True)
    for file in [*output.glob('.*.tmp'), *output.glob('*.tfrecords*.partial')]:
        file.unlink()


def skip_unusable(sources):
    """The verdict on files that gave no picture."""
    for picture in sources:
        if picture.problem:
            picture.verdict, picture.reason = 'skipped', picture.problem


def summarise(numbers, detector, options, seconds):
    """The table at the end; UserError when nothing is left to train on."""
    columns = ['label', *stats.STEPS, *(side for side in SIDES if numbers['totals'][side])]
    rows = [[row['label'], *row['after'].values(), *(row[side] for side in columns[len(stats.STEPS) + 1:])]
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
                    f'{detector.pictures / detector.seconds:.1f} a second, busy {detector.utilisation:.0%} of the time')
    console.log(f'done in {console.duration(seconds)}: {options.output}')
    if not numbers['totals']['train']:
        raise UserError(f'{options.output}: no picture is left to train on; {options.output / "report.html"} says '
                        'where they went. No box: try a lower --min_score, another --coco, or --boxes whole')
