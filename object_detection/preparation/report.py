"""report.html: the numbers of stats.json and the pictures behind them, in one file that needs nothing else."""
import base64
import bisect
import heapq
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from object_detection.preparation.columns import Index
from object_detection.preparation.decode import Unusable, decode
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.scan import Files
from object_detection.preparation.split import stable_random
from object_detection.utils import files, pages

HAND, SHADE, DOT = (23, 178, 106), 110, 6  # color and opacity of masks drawn by hand; pixels of a keypoint
LABELS, SAMPLES, TILES = 40, 8, 16  # labels shown, pictures of each, and tiles; the template holds the other limits
ERRORS = 60  # findings of --check that are shown of each kind
HISTOGRAMS = {
    'shorter side': ('Shorter side of the source pictures, pixels', '{:g}'.format),
    'aspect': ('Width / height', '{:g}'.format),
    'score': ('Score of the boxes', lambda edge: f'{min(edge, 1):g}'),
    'box size': ('Size of the boxes, share of the picture\'s longer side', lambda edge: f'{min(edge, 1):.1%}'),
}
ERROR_KINDS = (
    ('overlooked', 'The detector is sure of an object where there is no box.'),
    ('swapped', 'The detector sees an object of another label in the box.'),
    ('badly placed', 'The detector sees the object of the box, but its edges elsewhere.'))


def write(numbers: dict[str, Any], pictures: Sequence[Picture], examples: Sequence[Picture], sources: Files,
          options: Options) -> None:
    """Write OUTPUT/report.html, which shows samples: a million pictures make no longer a page than a thousand.

    numbers: from stats.collect. examples: tiles or pictures that become records. sources: the files of `pictures`, to
    show those left out.
    """
    index = Index(len(pictures), lambda i: pictures[i].path)

    def picture(path):
        return pictures[index.rows(path)[0]]

    def show(shown, side):
        rows = index.rows(shown.path)
        return _thumbnail(shown, sources[rows[0]].file if rows else None, options.output, side)
    samples = list(_samples(numbers, pictures, options.seed))
    cut = heapq.nsmallest(TILES, examples if options.tile else (),
                          key=lambda p: stable_random(options.seed, 'show', p.sha256))
    drawn = numbers['annotations']
    sections = {'Labels': True, 'Annotations': drawn['files'] or drawn['broken'] or drawn['unread'], 'Sizes': True,
                'Samples': samples, 'Tiles': cut, 'Dynamic range': numbers['dynamic_range'],
                'To review': numbers['review'], 'Label errors': 'label_errors' in numbers,
                'Across the split': numbers['across'], 'Conflicts': numbers['conflicts'],
                'Duplicates': numbers['duplicates'], 'Skipped': numbers['skipped']}
    page = pages.render(
        Path(__file__).parent, 'report_template.html', title=f'Data set {options.dataset.resolve().name}',
        sections=[title for title in sections if sections[title]],
        numbers=numbers, subsets=[subset for subset in SUBSETS if numbers['totals'][subset]],
        histograms=list(_histograms(numbers)), samples=samples, hidden_labels=len(numbers['labels']) - LABELS,
        reasons=[(reason, count, True) for reason, count in numbers['skipped_by_reason'].items()],
        picture=picture, cut=cut, error_kinds=ERROR_KINDS, errors_of=lambda kind: _errors(numbers, kind),
        error_outlines=lambda entry: _outlines(entry, picture(entry['path'])), thumbnail=show)
    files.write_text(options.output / 'report.html', page)


def _errors(numbers, kind):
    """Return the first findings of a kind; they stand kind by kind."""
    counts = numbers['label_errors']['counts']
    start = sum(counts[kinds] for kinds in itertools.takewhile(lambda other: other != kind, counts))
    return numbers['label_errors']['findings'][start:start + min(counts[kind], ERRORS)]


def _histograms(numbers) -> Iterator[tuple[str, str, list[tuple[str, int, bool]]]]:
    """Yield (name, title, rows), a row being (label of the bin, count, whether the bin lies in the anchors' range)."""
    anchors = numbers['anchors']
    for name, (title, text) in HISTOGRAMS.items():
        counts, edges = numbers['histograms'][name]['counts'], numbers['histograms'][name]['edges']
        used = [i for i, count in enumerate(counts) if count]
        rows = [(f'{text(low)} to {text(high)}' if high < 1e6 else f'{text(low)} and more', count,
                 name != 'box size' or not anchors or (high > anchors['smallest'] and low < anchors['largest']))
                for (low, high), count in zip(itertools.pairwise(edges), counts)]
        if used:
            yield name, title, rows[used[0]:used[-1] + 1]
    formats = sorted(numbers['formats'].items(), key=lambda item: -item[1])
    yield 'formats', 'File formats', [(name, count, True) for name, count in formats]


def _samples(numbers, pictures, seed) -> Iterator[tuple[str, list[Picture]]]:
    """Yield (label, some of its pictures that are in) for the first labels."""
    of_label: dict[str, list[tuple[float, int]]] = {row['label']: [] for row in numbers['labels'][:LABELS]}
    for i, picture in enumerate(pictures):
        if picture.verdict:
            continue
        key = stable_random(seed, 'show', picture.sha256), i
        for label in {picture.label, *(box.label for box in picture.boxes)} & of_label.keys():
            bisect.insort(of_label[label], key)
            del of_label[label][SAMPLES:]
    for label, members in of_label.items():
        if members:
            yield label, [pictures[i] for _, i in members]


def _outlines(entry, picture):
    """Return (corners, kind) of what a finding of --check is about and of the picture's other boxes."""
    others = [(box.corners, 'other') for box in picture.boxes if [*box.corners] != entry['box']]
    return [*others, *([(entry['box'], 'hand')] if entry['box'] else []), (entry['detection'], 'model')]


def _thumbnail(picture: Picture, source: str | None, output: Path, side: int) -> str | None:
    """Return a small JPEG as base64, of the jpg or, where that was left out, of the source; None if neither decodes."""
    for file in (output / str(picture.jpg), *([Path(source)] if source else [])):
        try:
            image = decode(file.read_bytes(), side).image
        except (OSError, Unusable):
            continue
        _paint(image, picture.boxes)
        stream = io.BytesIO()
        image.save(stream, 'JPEG', quality=80)
        return base64.b64encode(stream.getvalue()).decode()
    return None


def _paint(image: Image.Image, boxes: Sequence[Box]) -> None:
    """Tint the masks and dot the keypoints of boxes, in place."""
    for box in boxes:
        if box.mask:
            shade = Image.fromarray(box.mask.pixels(*image.size).astype(np.uint8) * SHADE)
            image.paste(HAND, mask=shade)
        for y, x, visible in box.keypoints:
            left, top = x * image.width - DOT / 2, y * image.height - DOT / 2
            if visible:
                ImageDraw.Draw(image).ellipse((left, top, left + DOT, top + DOT), HAND, 'white')
