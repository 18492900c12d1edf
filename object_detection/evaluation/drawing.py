"""Draw boxes, masks and keypoints on images. Imports no TensorFlow."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from object_detection import protos
from object_detection.config.label_map import LabelMap

if TYPE_CHECKING:
    from object_detection.evaluation.samples import Sample

LONGER_SIDE = 480, 1024  # least and most pixels of an image in TensorBoard, so that captions can be read
COLORS = ('#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#008080', '#9a6324', '#e032c6', '#808000', '#000075')
LEAST_FONT, FONT_SHARE, LINE_SHARE = 11, 28, 160  # pixels; shares of the shorter side of an image
_MASK_OPACITY = 110  # of 255

Edges = Sequence[tuple[int, int]]


def side_by_side(sample: Sample, labels: LabelMap, options: protos.EvalConfig) -> np.ndarray:
    """Draw an image twice: its detections on the left, its groundtruth on the right.

    Args:
        options: eval_config, of which min_score_threshold (of detections and of their keypoints),
            max_num_boxes_to_visualize and keypoint_edge count.
    Returns:
        uint8 [H, 2 * W + gap, 3], H and W in the aspect ratio of the original picture, the longer within LONGER_SIDE.
    """
    scale = float(np.clip(max(sample.size), *LONGER_SIDE)) / max(sample.size)
    height, width = (max(1, round(float(side) * scale)) for side in sample.size)
    image = np.asarray(Image.fromarray(sample.image).resize((width, height), Image.Resampling.BILINEAR))
    edges = [(edge.start, edge.end) for edge in options.keypoint_edge]
    detections = confident(sample.detections, options.min_score_threshold, options.max_num_boxes_to_visualize)
    sides = []
    for objects in (detections, sample.groundtruth):
        captions = [labels.name_of(int(class_id)) for class_id in objects['classes']]
        if 'scores' in objects:
            captions = [f'{name} {score:.0%}' for name, score in zip(captions, objects['scores'])]
        keypoints = objects['keypoints'] * scale if 'keypoints' in objects else None
        sides.append(draw_objects(image, objects['boxes'] * scale, captions, objects['classes'], objects.get('masks'),
                                  keypoints, edges))
    gap = np.full((height, max(4, width // 80), 3), 255, np.uint8)
    return np.concatenate([sides[0], gap, sides[1]], 1)


def confident(detections: dict[str, np.ndarray], min_score: float, max_number: int) -> dict[str, np.ndarray]:
    """Keep at most `max_number` detections, with a score of at least `min_score`; keypoints below it become NaN.

    Args:
        detections: see samples.Sample.
    """
    kept = np.flatnonzero(np.asarray(detections['scores']) >= min_score)[:max_number]
    detections = {name: np.asarray(values)[kept] for name, values in detections.items()}
    if 'keypoints' in detections:
        visible = detections['keypoint_scores'][..., np.newaxis] >= min_score
        detections['keypoints'] = np.where(visible, detections['keypoints'], np.nan)
    return detections


def draw_objects(image: np.ndarray, boxes: Any, captions: Sequence[str], classes: Iterable[int],
                 masks: Iterable[np.ndarray] | None = None, keypoints: Any = None, edges: Edges = (),
                 font_size: int | None = None) -> np.ndarray:
    """Return a copy of an image with N boxes, each with a caption, and their masks and keypoints.

    Args:
        image: uint8 [H, W, 3].
        boxes: [N, 4] (ymin, xmin, ymax, xmax) in pixels; the first is drawn on top.
        captions: N texts.
        classes: N class ids, which select the colors.
        masks: N masks, bool [h, w] of the whole image in any size; the objects are tinted.
        keypoints: [N, K, 2] (y, x) in pixels; those with NaN are not drawn.
        edges: pairs of keypoints (indices below K) that are joined by a line.
        font_size: of the captions in pixels, to which lines are in proportion; None for that of the image.
    Returns:
        uint8 [H, W, 3].
    """
    colors = [COLORS[(int(class_id) - 1) % len(COLORS)] for class_id in classes]
    canvas = Image.fromarray(image)
    for mask, color in zip(() if masks is None else masks, colors):
        opacity = Image.fromarray(np.where(mask, np.uint8(_MASK_OPACITY), np.uint8(0)))
        canvas.paste(color, (0, 0), opacity.resize(canvas.size, Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(canvas)
    size = font_size or font_size_of(image)
    line = max(2, round(size * FONT_SHARE / LINE_SHARE))
    font = ImageFont.load_default(size)
    for box, caption, color in reversed(list(zip(boxes, captions, colors))):
        ymin, xmin, ymax, xmax = (float(v) for v in box)
        draw.rectangle((xmin, ymin, max(xmin, xmax), max(ymin, ymax)), outline=color, width=line)
        _, _, width, height = draw.textbbox((0, 0), caption, font=font)
        x = min(max(0, xmin), max(0, canvas.width - width - 4))
        above = ymin - height - 4
        y = above if above >= 0 else min(max(ymin, 0), canvas.height - height - 4)
        draw.rectangle((x, y, x + width + 4, y + height + 4), fill=color)
        draw.text((x + 2, y + 1), caption, fill='white', font=font)
    for points, color in zip(() if keypoints is None else keypoints, colors):
        _draw_keypoints(draw, np.asarray(points)[:, ::-1], color, line, edges)
    return np.asarray(canvas)


def font_size_of(image: np.ndarray) -> int:
    """Return the font size, in pixels, that an image is big enough for."""
    return max(LEAST_FONT, round(min(image.shape[:2]) / FONT_SHARE))


def _draw_keypoints(draw: ImageDraw.ImageDraw, points: np.ndarray, color: str, line: int, edges: Edges) -> None:
    """Draw a dot at each point of [K, 2] (x, y), and lines between those that are not NaN."""
    visible = ~np.isnan(points).any(-1)
    for start, end in edges:
        if max(start, end) < len(points) and visible[start] and visible[end]:
            draw.line((*points[start], *points[end]), fill=color, width=line)
    for x, y in points[visible]:
        draw.ellipse((x - 2 * line, y - 2 * line, x + 2 * line, y + 2 * line), fill=color, outline='white')
