"""report.html: the numbers of stats.json and the pictures behind them, in one file that needs nothing else."""
import base64
import io
import itertools
import string
from html import escape
from pathlib import Path

from object_detection.preparation.decode import Unusable, decode
from object_detection.preparation.options import SIDES
from object_detection.preparation.split import lot
from object_detection.preparation.stats import STEPS
from object_detection.utils import files

THUMBNAIL = 150  # pixels of the shorter side
SAMPLES, LABELS, REVIEWED, GROUPS, MEMBERS, ROWS = 8, 40, 60, 15, 6, 200  # how much of each is shown
HISTOGRAMS = {
    'shorter side': ('Shorter side of the source pictures, pixels', lambda edge: f'{edge:g}'),
    'aspect': ('Width / height', lambda edge: f'{edge:g}'),
    'score': ('Score of the boxes', lambda edge: f'{min(edge, 1):g}'),
    'box size': ('Size of the boxes, share of the picture\'s longer side', lambda edge: f'{min(edge, 1):.1%}'),
}


def write(numbers, pictures, sources, options):
    """Write OUTPUT/report.html. numbers: of stats.collect. sources: {path: file}, to show what was left out."""
    album = Album(pictures, sources, options.output)
    sections = [('Labels', _labels(numbers)), ('Sizes', _histograms(numbers)),
                ('Samples', _samples(numbers, pictures, album, options.seed)),
                ('To review', _review(numbers, album)), ('Conflicts', _groups(numbers['conflicts'], CONFLICTS, album)),
                ('Duplicates', _groups(numbers['duplicates'], DUPLICATES, album)), ('Skipped', _skipped(numbers))]
    sections = [(title, body) for title, body in sections if body]
    anchor = {title: title.lower().replace(' ', '-') for title, _ in sections}
    template = string.Template(Path(__file__).with_name('report_template.html').read_text(encoding='utf-8'))
    files.write_text(options.output / 'report.html', template.substitute(
        title=f'Data set {escape(options.dataset.resolve().name)}', subtitle=_subtitle(numbers['options']),
        nav=''.join(f'<a href="#{anchor[title]}">{title}</a>' for title, _ in sections),
        body=_tiles(numbers) + ''.join(f'<h2 id="{anchor[title]}">{title}</h2>\n{body}\n' for title, body in sections)))


class Album:
    """Pictures by path, as figures with their boxes."""

    def __init__(self, pictures, sources, output):
        self._pictures = {picture.path: picture for picture in pictures}
        self._sources, self._output = sources, output

    def figure(self, path, caption):
        """HTML of one picture. caption: HTML."""
        picture = self._pictures[path]
        image = self._thumbnail(picture)
        boxes = ''.join(_box(box) for box in picture.boxes)
        shown = f'<img alt="" src="data:image/jpeg;base64,{image}">' if image else ''
        return f'<figure><div class="pic">{shown}{boxes}</div><figcaption>{caption}</figcaption></figure>\n'

    def _thumbnail(self, picture):
        """Base64 of a small JPEG, from our jpg or, where that was left out, from the source."""
        for file in (self._output / picture.jpg, Path(self._sources[picture.path])):
            try:
                image = decode(file.read_bytes(), THUMBNAIL).image
            except (OSError, Unusable):
                continue
            stream = io.BytesIO()
            image.save(stream, 'JPEG', quality=80)
            return base64.b64encode(stream.getvalue()).decode()
        return None


def _box(box):
    kind = {'model': 'model', 'whole': 'whole'}.get(box.origin, 'hand')
    return (f'<i class="{kind}" style="left:{box.xmin:.2%};top:{box.ymin:.2%};width:{box.xmax - box.xmin:.2%};'
            f'height:{box.ymax - box.ymin:.2%}"></i>')


def _subtitle(options):
    words = {name: ' '.join(map(str, value)) if isinstance(value, list) else value for name, value in options.items()}
    return escape(', '.join(f'{name} {value}' for name, value in words.items() if value not in (None, False, '')))


def _tiles(numbers):
    after = numbers['totals']['after']
    tiles = [('files', after['files']), ('taken', after['taken']), ('boxes', numbers['boxes']['count']),
             *((side, numbers['totals'][side]) for side in SIDES if numbers['totals'][side]),
             ('to review', len(numbers['review'])), ('conflicts', len(numbers['conflicts'])),
             ('skipped', len(numbers['skipped']))]
    cells = ''.join(f'<div class="tile"><b>{count:,}</b>{name}</div>' for name, count in tiles)
    return f'<div class="tiles">{cells}</div>\n'


def _labels(numbers):
    sides = [side for side in SIDES if numbers['totals'][side]]
    extra = [*sides, *(['negatives'] if numbers['totals']['negatives'] else [])]
    rows = [[row['label'], *row['after'].values(), *(row[name] for name in extra)] for row in numbers['labels']]
    total = ['all', *numbers['totals']['after'].values(), *(numbers['totals'][name] for name in extra)]
    return (f'<p class="soft">How many pictures of each label are left after each step.</p><div class="card">'
            f'{_table(["label", *STEPS, *extra], rows, total)}</div>')


def _table(columns, rows, total=None):
    """HTML table; numbers to the right. total: a last row."""
    def cells(row, tag='td'):
        return ''.join(f'<{tag} class="n">{value:,}</{tag}>' if isinstance(value, int)
                       else f'<{tag} class="path">{escape(str(value))}</{tag}>' for value in row)
    numeric = [isinstance(value, int) for value in (rows or [columns])[0]]
    head = ''.join(f'<th{" class=n" if n else ""}>{escape(name)}</th>' for name, n in zip(columns, numeric))
    body = ''.join(f'<tr>{cells(row)}</tr>\n' for row in rows)
    last = f'<tr class="total">{cells(total)}</tr>' if total else ''
    return f'<table><tr>{head}</tr>\n{body}{last}</table>'


def _histograms(numbers):
    cards = [f'<div class="card"><h3>{title}</h3>{_bars(numbers["histograms"][name], say, _within(name, numbers))}'
             f'{_anchor_note(numbers) if name == "box size" else ""}</div>'
             for name, (title, say) in HISTOGRAMS.items() if sum(numbers['histograms'][name]['counts'])]
    formats = sorted(numbers['formats'].items(), key=lambda item: -item[1])
    cards.append(f'<div class="card"><h3>File formats</h3>{_bar_rows(formats)}</div>')
    return f'<div class="cards">{"".join(cards)}</div>'


def _within(name, numbers):
    """Whether a bin of this histogram is of use: boxes outside the anchors' range are drawn paler."""
    anchors = numbers['anchors']
    if name != 'box size' or not anchors:
        return lambda low, high: True
    return lambda low, high: high > anchors['smallest'] and low < anchors['largest']


def _bars(histogram, say, within):
    edges, counts = histogram['edges'], histogram['counts']
    used = [i for i, count in enumerate(counts) if count]
    names = [f'{say(low)} to {say(high)}' if high < 1e6 else f'{say(low)} and more'
             for low, high in itertools.pairwise(edges)]
    return _bar_rows([(names[i], counts[i]) for i in range(used[0], used[-1] + 1)],
                     [within(edges[i], edges[i + 1]) for i in range(used[0], used[-1] + 1)])


def _bar_rows(rows, within=None):
    rows = list(rows)
    most = max((count for _, count in rows), default=1)
    return '<div class="hist">' + ''.join(
        f'<span>{escape(name)}</span><i{"" if ok else " class=off"} style="width:{count / most:.1%}"></i>'
        f'<span>{count:,}</span>\n' for (name, count), ok in zip(rows, within or [True] * len(rows))) + '</div>'


def _anchor_note(numbers):
    anchors = numbers['anchors']
    if not anchors:
        return '<p class="note">This model has no anchors that boxes would have to fit.</p>'
    said = (f'{anchors["said"][0].upper()}{anchors["said"][1:]} go from {anchors["smallest"]:.1%} to '
            f'{anchors["largest"]:.0%}: paler bars lie outside.')
    if anchors['boxes_below']:
        said += (f' {anchors["boxes_below"]:,} boxes are too small to overlap the smallest anchor by half; a larger '
                 'input or a smaller anchor_scale helps them.')
    if anchors['boxes_above']:
        said += f' {anchors["boxes_above"]:,} boxes are too large to overlap the largest anchor by half.'
    return f'<p class="note">{escape(said)}</p>'


def _samples(numbers, pictures, album, seed):
    shown = []
    for row in numbers['labels'][:LABELS]:
        members = sorted((p for p in pictures if p.label == row['label'] and not p.verdict),
                         key=lambda p: lot(seed, 'show', p.sha256))[:SAMPLES]
        if members:
            figures = ''.join(album.figure(p.path, _caption(p)) for p in members)
            shown.append(f'<h3>{escape(row["label"])}</h3><div class="strip">{figures}</div>')
    if not shown:
        return ''
    return ('<p class="soft">Drawn by lot.<span class="key"></span>box of the model, with its score'
            '<span class="key hand"></span>drawn by hand<span class="key whole"></span>the whole picture</p>'
            + ''.join(shown) + _more(len(numbers['labels']) - LABELS, 'labels'))


def _caption(picture):
    boxes = ', '.join(f'{box.label + " " if box.label != picture.label else ""}'
                      f'{box.origin if box.score is None else format(box.score, ".2f")}' for box in picture.boxes[:6])
    return f'{escape(picture.path.rpartition("/")[2])}<br>{escape(picture.side or "")} · {escape(boxes or "no box")}'


def _review(numbers, album):
    entries = numbers['review']
    if not entries:
        return ''
    figures = ''.join(album.figure(e['path'], f'{escape(e["path"])}<br><span class="out">'
                                   f'{escape("; ".join(e["reasons"]))}</span>') for e in entries[:REVIEWED])
    return ('<p class="soft">Draw the boxes of these with LabelImg or the like, save them as Pascal VOC or YOLO beside '
            'the picture (or in the folder given with --annotations), and run again: only they are done anew.</p>'
            f'<div class="strip">{figures}</div>{_more(len(entries) - REVIEWED, "pictures")}')


CONFLICTS = 'The same picture under several labels: all of it is left out until the wrong ones are deleted.'
DUPLICATES = 'The same picture, exactly or nearly, several times under one label; the largest is kept.'


def _groups(groups, explanation, album):
    if not groups:
        return ''
    shown = [f'<div class="group strip">{"".join(_member(entry, album) for entry in members[:MEMBERS])}'
             f'{_more(len(members) - MEMBERS, "copies")}</div>' for members in groups[:GROUPS]]
    return f'<p class="soft">{explanation}</p>{"".join(shown)}{_more(len(groups) - GROUPS, "groups")}'


def _member(entry, album):
    state = 'kept' if entry['verdict'] == 'in' else f'<span class="out">{escape(entry["verdict"])}</span>'
    return album.figure(entry['path'], f'{escape(entry["path"])}<br>{state}')


def _skipped(numbers):
    rows = [[entry['path'], entry['reason']] for entry in numbers['skipped'][:ROWS]]
    if not rows:
        return ''
    reasons = _bar_rows(numbers['skipped_by_reason'].items())
    return (f'<div class="card">{reasons}</div><br><div class="card">{_table(["file", "reason"], rows)}</div>'
            f'{_more(len(numbers["skipped"]) - ROWS, "files")}')


def _more(count, what):
    return f'<p class="soft">... and {count:,} more {what}, listed in stats.json.</p>' if count > 0 else ''
