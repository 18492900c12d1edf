"""Pictures of an analysis, drawn by matplotlib. Imports no TensorFlow."""
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from object_detection.config.label_map import LabelMap
from object_detection.evaluation import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from object_detection.evaluation.samples import Sample

MOST_CLASSES = 25  # of a confusion matrix that can be read; those with the most errors
_DPI = 100
_SHOWN = 6  # worst pictures
_WIDTH = 480  # of a worst picture


def confusion(content: dict[str, Any]) -> np.ndarray:
    """Draw the confusion matrix of an analysis: shares of each row, and numbers. uint8 [H, W, 3]."""
    labels, matrix = content['confusion']['labels'], np.array(content['confusion']['matrix'])
    kept = _most_confused(matrix)
    labels, matrix = [labels[i] for i in kept], matrix[np.ix_(kept, kept)]
    size = min(4. + .45 * len(labels), 14.)
    figure = _figure(size + 1., size)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap='Blues', vmin=0., vmax=1.)
    for row, column in zip(*np.nonzero(matrix)):
        axes.text(column, row, str(matrix[row, column]), ha='center', va='center', fontsize=9,
                  color='white' if shares[row, column] > .6 else 'black')
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha='right')
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel('detected')
    axes.set_ylabel('groundtruth')
    threshold = content['threshold']
    axes.set_title('Nothing right was found' if threshold is None else f'Scores from {threshold:.2f}, IoU 0.5')
    figure.colorbar(image, label='share of the row', shrink=.8)
    return _pixels(figure)


def _most_confused(matrix: np.ndarray) -> list[int]:
    """Return the indices of at most MOST_CLASSES classes, and of the background, which is last."""
    last = len(matrix) - 1
    if last <= MOST_CLASSES:
        return list(range(last + 1))
    errors = matrix.sum(0) + matrix.sum(1) - 2 * matrix.diagonal()
    return [*sorted(np.argsort(-errors[:last], kind='stable')[:MOST_CLASSES].tolist()), last]


def curves(content: dict[str, Any]) -> np.ndarray:
    """Draw precision over recall, and F1 over the score, of all classes together and of each. uint8 [H, W, 3]."""
    figure = _figure(11., 4.6)
    left, right = figure.subplots(1, 2)
    few = len(content['curves']) <= 11
    for name, line in content['curves'].items():
        style = {'color': 'black', 'linewidth': 2.2, 'label': name} if name == 'all classes' else {
            'linewidth': 1., 'alpha': .8, **({'label': name} if few else {'color': '0.7'})}
        left.plot(line['recall'], line['precision'], **style)
        right.plot(line['score'], line['f1'], **style)
    if content['threshold'] is not None:
        right.axvline(content['threshold'], color='black', linestyle=':', linewidth=1.)
    for axes, x, y in ((left, 'recall', 'precision'), (right, 'score threshold', 'F1')):
        axes.set(xlabel=x, ylabel=y, xlim=(0., 1.), ylim=(0., 1.02))
        axes.grid(alpha=.3)
    if content['curves']:
        left.legend(frameon=False, fontsize=8)
    return _pixels(figure)


def calibration(content: dict[str, Any]) -> np.ndarray:
    """Draw the share of right detections over their score. uint8 [H, W, 3]."""
    bins, error = content['calibration']['bins'], content['calibration']['error']
    figure = _figure(5.4, 4.6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color='0.6', linestyle='--', linewidth=1., label='scores are probabilities')
    axes.bar([(entry['low'] + entry['high']) / 2 for entry in bins], [entry['right'] for entry in bins], width=.09,
             color='tab:blue', alpha=.75, label='right at IoU 0.5')
    for entry in bins:
        axes.text((entry['low'] + entry['high']) / 2, entry['right'] + .01, str(entry['count']), ha='center',
                  fontsize=8)
    axes.set(xlabel='score', ylabel='share of right detections', xlim=(0., 1.), ylim=(0., 1.2))
    axes.set_title('No detection' if error is None else f'Calibration error {error:.3f}')
    axes.legend(frameon=False, fontsize=8, loc='upper left')
    return _pixels(figure)


def worst(pictures: Sequence[tuple[str, 'Sample', list[str], list[bool]]], labels: LabelMap, least: float
          ) -> np.ndarray | None:
    """Draw the pictures with the most errors, detections on the left, groundtruth on the right. uint8 [H, W, 3].

    Args:
        pictures: see mistakes.Worst.
        least: score of the detections that are drawn.
    """
    rows = [_worst(*entry, labels, least) for entry in pictures[:_SHOWN]]
    if not rows:
        return None
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 8), (0, width - row.shape[1]), (0, 0)), constant_values=255)
                           for row in rows])


def _worst(name: str, sample: 'Sample', kinds: list[str], missed: list[bool], labels: LabelMap, least: float
           ) -> np.ndarray:
    scale = _WIDTH / max(sample.size)
    size = max(round(sample.size[1] * scale), 1), max(round(sample.size[0] * scale), 1)
    image = np.asarray(Image.fromarray(sample.image).resize(size, Image.Resampling.BILINEAR))
    order = np.argsort(-np.asarray(sample.detections['scores']), kind='stable')
    scores = np.asarray(sample.detections['scores'])[order]
    chosen = order[scores >= least]
    found = {key: np.asarray(sample.detections[key])[chosen] for key in ('boxes', 'classes', 'scores')}
    regular = ~np.asarray(sample.groundtruth['is_crowd'], bool)
    objects = {key: np.asarray(sample.groundtruth[key])[regular] for key in ('boxes', 'classes')}
    # What is right says only its class, so that errors stand out.
    captions = [f'{labels.name_of(int(cls))} {score:.0%}' + (f': {kind}' if kind not in ('right', '') else '')
                for cls, score, kind in zip(found['classes'], found['scores'], kinds)]
    sides = [drawing.draw_objects(image, found['boxes'] * scale, captions, found['classes']),
             drawing.draw_objects(image, objects['boxes'] * scale, [
                 labels.name_of(int(cls)) + (': missed' if lost else '')
                 for cls, lost in zip(objects['classes'], missed)], objects['classes'])]
    gap = np.full((image.shape[0], 6, 3), 255, np.uint8)
    pair = np.concatenate([sides[0], gap, sides[1]], 1)
    errors = [kind for kind in kinds if kind not in ('right', '')]
    counts = [f'{errors.count(kind)} {kind}' for kind in dict.fromkeys(errors)]
    counts += [f'{sum(missed)} missed'] if any(missed) else []
    title = Image.new('RGB', (pair.shape[1], 22), 'white')
    ImageDraw.Draw(title).text((2, 3), f'{name}: {", ".join(counts)}', fill='black', font=ImageFont.load_default(13))
    return np.concatenate([np.asarray(title), pair])


def _figure(width: float, height: float) -> 'Figure':
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure((width, height), dpi=_DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _pixels(figure: Any) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
