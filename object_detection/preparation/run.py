"""The stages of prepare_data.py, from top to bottom."""
import contextlib
import dataclasses
import itertools
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from object_detection.config import label_map
from object_detection.preparation import (
    boxes,
    check,
    duplicates,
    examples,
    names,
    pictures,
    report,
    split,
    stats,
    tiles,
)
from object_detection.preparation.anchors import anchor_range
from object_detection.preparation.annotations import fit, load
from object_detection.preparation.annotations.fit import CROWD
from object_detection.preparation.annotations.labels import Labels
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.boxes import NONE_FOUND
from object_detection.preparation.cluster import Cluster
from object_detection.preparation.detections import BOX_SOURCES, Detections, class_ids, saved_model
from object_detection.preparation.detector import Detector
from object_detection.preparation.layout import Layout, resolve
from object_detection.preparation.manifest import MANIFEST, Manifest, Picture
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.scan import Files, by_path, list_background, scan
from object_detection.preparation.table import select
from object_detection.preparation.workers import Pool
from object_detection.records.tfrecord import PARTIAL
from object_detection.utils import console, files
from object_detection.utils.errors import UserError

# In --output, beside the manifest.
OURS = ('label_map.pbtxt', '*.tfrecords*', 'stats.json', 'report.html', check.FILE, 'jpg', tiles.FOLDER)


def prepare(options: Options) -> None:
    """Turn a data set folder into records, printing progress and a summary; UserError for a mistake of the user.

    Each stage reuses what an earlier run, finished or killed, has left in the manifest.
    """
    if options.scheduler:
        options = _absolute(options)
    check_places(options)
    anchor_range(options.pipeline_config_path)  # report a broken config now rather than in an hour
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        dataset, drawn = find(options)
        options = dataclasses.replace(  # without a folder, there is no label for what a detector finds
            options, labels='annotations' if dataset.from_annotations else 'folders',
            split_given=dataset.parts is not None, coco=None if dataset.from_annotations else options.coco)
        stack.enter_context(files.lock(options.output, 'the output folder'))
        clear_leftovers(options.output)
        manifest = stack.enter_context(Manifest(options.output))
        workers = stack.enter_context(
            Cluster(options.scheduler, options.output, filter(None, (
                options.images or options.dataset, options.background, options.coco, options.check)))
            if options.scheduler else Pool(options.workers))
        coco = saved_model(options.coco, '--coco') if options.coco and options.boxes != 'whole' else None
        detections = Detections(coco, options, manifest, workers, stack)
        classes = class_ids(options.coco_class, detections.names) if coco else None
        checker = check.Checker(dataset.labels, options, manifest, workers, stack) if options.check else None

        sources = pictures.prepare(dataset.sources, names.jpg_names(dataset.sources), manifest, options,
                                   workers, on_work=detections.start)
        skip_unusable(sources)
        by_hand = fit.fit_all(sources, drawn, dataset, options)
        duplicates.find(sources, options.near_duplicates, options.keep_near_duplicates, by_hand, dataset.parts)
        kept = select(sources, lambda picture: not picture.verdict)
        pictures.restore(kept, dataset.sources, manifest, options, workers)

        detections.detect(select(kept, lambda picture: boxes.needs_detector(picture, by_hand)))
        boxes.decide(kept, by_hand, detections.by_picture(), detections.names, classes, options)

        shown = split.name_by_boxes(sources, by_hand) if dataset.from_annotations else None
        if options.group_by:
            duplicates.bind(kept, options.group_by)
        if dataset.parts is not None:
            split.keep(kept, dataset.parts)
        split.balance(kept, options)
        if dataset.parts is None:
            split.assign(kept, options)
        else:
            split.assign(select(kept, lambda picture: picture.background),
                         dataclasses.replace(options, split=split.shares(kept)))
        cut = tiles.make(kept, dataset.sources, manifest, options, workers)
        examined = cut.pictures if options.tile else kept
        manifest.decide(itertools.chain(sources, cut.pictures))

        points = dict(sorted(Labels(dataset.labels, drawn.keypoints).keypoints.items())) if options.keypoints else {}
        numbers = stats.collect(sources, dataset.labels, options, stats.annotated(drawn, by_hand), shown,
                                examined)
        if options.tile:
            numbers['tiles'] = tiles.numbers(cut, kept)
        if checker:
            numbers['label_errors'] = checker.check(kept, by_hand, points)
        files.write_parts(options.output / 'stats.json', stats.json_text(numbers))
        report.write(numbers, sources, examined, dataset.sources, options)
        label_map.write(options.output / 'label_map.pbtxt', dataset.labels, points)
        examples.write(examined, dataset.labels, points, manifest, options, workers)
    summarize(numbers, detections.detector, options, time.monotonic() - start)


def _absolute(options: Options) -> Options:
    """Return the options with whole paths: workers on other machines have other current folders."""
    given = {name: getattr(options, name) for name in ('dataset', 'output', 'images', 'background', 'coco', 'check')}
    return dataclasses.replace(options, annotations=tuple(path.absolute() for path in options.annotations),
                               **{name: path and path.absolute() for name, path in given.items()})


def find(options: Options) -> tuple[Layout, Drawn]:
    """List the data set and read its annotations; UserError for what can be known before any picture is read."""
    listing = scan(options.images or options.dataset)
    drawn = load.load(listing, options)
    layout = resolve(listing, drawn, options)
    empty = list_background(options.background) if options.background else Files()
    layout.sources = by_path(layout.sources, empty)
    label = 'label' if len(layout.labels) == 1 else 'labels'
    count = len(layout.sources) - len(empty)
    console.log(f'{options.images or options.dataset}: {count} files, {len(layout.labels)} {label}')
    if len(empty):
        console.log(f'{options.background}: {len(empty)} files, background')
    if options.boxes != 'whole' and not options.coco and not drawn.any:
        raise UserError(f'{options.dataset}: there are no boxes. {BOX_SOURCES}')
    if options.tile and options.boxes == 'whole':
        raise UserError('--tile cuts pictures around their boxes, but with --boxes whole the object fills the picture; '
                        'draw boxes, or name a detector with --coco')
    if options.tile and options.check:
        raise UserError('--check compares whole pictures; run it without --tile, into another --output')
    def any_shape(condition):
        return any(condition(shape) for entry in drawn.entries.values() for shape in entry.shapes or ())
    if options.masks and not any_shape(lambda shape: shape.polygons or shape.runs):
        raise UserError('--masks: no annotation has an outline (COCO JSON with segmentation, YOLO with polygons, CVAT '
                        'for images with polygons or masks, Pascal VOC with SegmentationObject)')
    if options.keypoints and not any_shape(lambda shape: shape.keypoints and shape.name in drawn.keypoints):
        raise UserError('--keypoints: no annotation has keypoints with names (COCO JSON, whose categories name their '
                        'keypoints; YOLO with kpt_names in its data.yaml; CVAT for images with skeletons)')
    return layout, drawn


def check_places(options: Options) -> None:
    """Raise UserError if --output overlaps with --dataset or holds files that are not this script's."""
    if absent := [path for path in options.annotations if not path.exists()]:
        raise UserError([files.missing(path) for path in absent])
    output = options.output.resolve()
    for name, given in (('dataset', options.dataset), ('images', options.images), ('background', options.background)):
        if given is None:
            continue
        folder = files.existing_dir(given).resolve()
        if output == folder or folder in output.parents:
            raise UserError(f'--output {options.output} lies in --{name} {given}, where nothing is ever written; '
                            'choose a folder outside it')
        for ours in ('jpg', tiles.FOLDER):
            if (output / ours) in (folder, *folder.parents):
                raise UserError(f'--{name} {given} lies in {options.output / ours}, where the pictures of this '
                                '--output go; choose another output')
    if options.background:
        folder, dataset = options.background.resolve(), (options.images or options.dataset).resolve()
        if folder == dataset or dataset in folder.parents or folder in dataset.parents:
            raise UserError(f'--background {options.background} and the data set {options.images or options.dataset} '
                            'lie in each other; pictures without objects need a folder of their own')
    strange = sorted(path.name for name in OURS for path in output.glob(name))
    if strange and not (output / MANIFEST).exists():
        raise UserError(f'--output {options.output} holds {", ".join(strange[:4])} without the {MANIFEST} of this '
                        'script, so it may be yours and is not overwritten; choose another folder')


def clear_leftovers(output: Path) -> None:
    """Remove half-written files of a killed run; no other process writes here while this one holds the lock."""
    shutil.rmtree(output / pictures.PARTIAL, ignore_errors=True)
    for file in [*output.glob('.*.tmp'), *output.glob(f'*.tfrecords*{PARTIAL}')]:
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
    if numbers['several_labels']:
        console.log(f'{numbers["several_labels"]} pictures show several labels and count for each of them')
    for reason, count in numbers['skipped_by_reason'].items():
        console.warn(f'{count} files skipped: {reason}')
    for entry in numbers['skipped'][:10]:
        console.log(f'  {entry["path"]}: {entry["reason"]}')
    for reason, count in numbers['no_box_by_reason'].items():
        console.warn(f'{count} pictures without a box are left out: {reason}')
    if left_out := numbers['annotations']['left_out']:
        reasons = '; '.join(f'{count} {reason}' for reason, count in list(left_out.items())[:8])
        console.warn(f'{sum(left_out.values())} drawn objects are left out: {reasons}')
        if CROWD in left_out:
            console.warn(f'{CROWD} (iscrowd) are no single objects. CVAT marks masks drawn with its brush in the same '
                         'way: --keep_crowds takes them all as objects')
    for key, what in (('conflicts', 'conflicts between labels'), ('review', 'pictures to review'),
                      ('across', 'groups of near duplicates in several parts of the split')):
        if numbers[key]:
            console.warn(f'{len(numbers[key])} {what}: see {options.output / "report.html"}')
    if options.split_given or options.split[0] < 1:
        _warn_of_untested(numbers)
    if len(ways := numbers['dynamic_range']) > 1:
        ranges = '; '.join(f'{len(way["pictures"])} pictures: {way["how"]}' for way in ways[:6])
        console.warn(f'pictures of more than 8 bits a channel were brought to 8 in different ways. {ranges}. If one '
                     f'camera took them, --bits N treats them alike; see {options.output / "report.html"}')
    if detector and detector.pictures:
        console.log(f'detector: {detector.pictures} pictures in {detector.batches} batches, '
                    f'{detector.pictures / detector.seconds:.1f} a second, busy {detector.utilization:.0%} of the time')
    console.log(f'done in {console.duration(seconds)}: {options.output}')
    if cut := numbers.get('tiles'):
        counts = ', '.join(f'{cut[subset]} {subset}' for subset in SUBSETS if cut[subset])
        console.log(f'tiles: {cut["tiles"]} of {cut["pictures"]} pictures ({counts}), with {cut["boxes"]} boxes, of '
                    f'which {cut["cut"]} reach an edge')
        if cut['boxes_in_no_tile']:
            console.warn(f'{cut["boxes_in_no_tile"]} of {cut["boxes_of_pictures"]} boxes are in no tile: too little of '
                         f'each is visible. A larger --tile or --overlap, or a lower --min_visible keeps them')
        if not cut['train']:
            raise UserError(f'{options.output}: no tile is left to train on')
    if not numbers['totals']['train']:
        advice = '. No box: try a lower --min_score, another --coco, or --boxes whole'
        raise UserError(f'{options.output}: no picture is left to train on; {options.output / "report.html"} says '
                        f'where they went{advice if numbers["no_box_by_reason"].keys() == {NONE_FOUND} else ""}')


def _warn_of_untested(numbers):
    """Warn of labels that no evaluation can measure."""
    if not numbers['totals']['test'] + numbers['totals']['validation']:
        console.warn('no picture is left for test or validation, so that an evaluation has nothing to measure')
        return
    untested = [row['label'] for row in numbers['labels']
                if row['train'] and not row['test'] + row['validation'] and row['label'] != stats.BACKGROUND_ROW]
    if untested:
        console.warn(f'no picture for test or validation shows {", ".join(untested[:8])}'
                     f'{" ..." if len(untested) > 8 else ""}: an evaluation cannot measure '
                     f'{"these labels" if len(untested) > 1 else "this label"}')
