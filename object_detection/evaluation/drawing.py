"""Boxes, masks and keypoints drawn on pictures."""
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLORS = ('#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#008080', '#9a6324', '#e032c6', '#808000', '#000075')
_TINT = 110  # of 255, how opaque masks are


def draw_objects(picture, boxes, captions, colors, masks=None, keypoints=None, edges=()):
    """A copy of `picture` with boxes and a caption on each.

    Args:
        picture: uint8 [H, W, 3].
        boxes: [N, 4] ymin, xmin, ymax, xmax in pixels; the first is drawn on top.
        captions: N texts. colors: N class ids; the same id has the same color.
        masks: N arrays bool [h, w] of the whole picture in any size; the objects are tinted.
        keypoints: [N, K, 2] y, x in pixels; with NaN they are left out. edges: pairs of places in K, joined by lines.
    """
    colors = [_COLORS[(int(color) - 1) % len(_COLORS)] for color in colors]
    image = Image.fromarray(picture)
    for mask, color in zip(() if masks is None else masks, colors):
        opacity = Image.fromarray(np.where(mask, np.uint8(_TINT), np.uint8(0)))
        image.paste(color, (0, 0), opacity.resize(image.size, Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(image)
    line = max(2, round(min(image.size) / 160))
    font = ImageFont.load_default(max(11, round(min(image.size) / 28)))
    for box, caption, color in reversed(list(zip(boxes, captions, colors))):
        top, left, bottom, right = (float(v) for v in box)
        bottom, right = max(top, bottom), max(left, right)
        draw.rectangle((left, top, right, bottom), outline=color, width=line)
        _, _, width, height = draw.textbbox((0, 0), caption, font=font)
        x = min(max(0, left), max(0, image.width - width - 4))
        y = top - height - 4 if top - height - 4 >= 0 else min(max(top, 0), image.height - height - 4)
        draw.rectangle((x, y, x + width + 4, y + height + 4), fill=color)
        draw.text((x + 2, y + 1), caption, fill='white', font=font)
    for points, color in zip(() if keypoints is None else keypoints, colors):
        _draw_keypoints(draw, np.asarray(points)[:, ::-1], color, line, edges)
    return np.asarray(image)


def _draw_keypoints(draw, points, color, line, edges):
    """Dots at points [K, 2] (x, y) and lines between those of them that are there."""
    there = ~np.isnan(points).any(-1)
    for start, end in edges:
        if max(start, end) < len(points) and there[start] and there[end]:
            draw.line((*points[start], *points[end]), fill=color, width=line)
    for x, y in points[there]:
        draw.ellipse((x - 2 * line, y - 2 * line, x + 2 * line, y + 2 * line), fill=color, outline='white')


def side_by_side(picture, found, truth, name_of, min_score, most, edges=()):
    """Detections on the left, groundtruth on the right: uint8 [H, 2 * W + gap, 3].

    Args:
        picture: uint8 [H, W, 3].
        found: boxes [N, 4] in pixels, classes (ids), scores, the best first; perhaps masks, keypoints [N, K, 2] with
            keypoint_scores [N, K]. truth: boxes, classes; perhaps masks, keypoints (NaN where there is none).
        name_of: fn(class id) -> name.
        min_score, most: which detections to draw; min_score also, which of their keypoints.
        edges: pairs of keypoints to join.
    """
    kept = [i for i in range(len(found['scores'])) if found['scores'][i] >= min_score][:most]
    found = {name: np.asarray(values)[kept] for name, values in found.items()}
    if 'keypoints' in found:
        sure = found['keypoint_scores'][..., np.newaxis] >= min_score
        found['keypoints'] = np.where(sure, found['keypoints'], np.nan)
    captions = [f'{name_of(int(c))} {score:.0%}' for c, score in zip(found['classes'], found['scores'])]
    left, right = (draw_objects(picture, objects['boxes'], texts, objects['classes'], objects.get('masks'),
                                objects.get('keypoints'), edges)
                   for objects, texts in ((found, captions), (truth, [name_of(int(c)) for c in truth['classes']])))
    gap = np.full((picture.shape[0], max(4, picture.shape[1] // 80), 3), 255, np.uint8)
    return np.concatenate([left, gap, right], 1)
