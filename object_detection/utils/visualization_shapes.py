"""Draw one box, set of keypoints, or mask in a given color; visualization_utils offers these functions, too.

Functions on arrays draw into the array they are given. Boxes are (ymin, xmin, ymax, xmax), keypoints (y, x).
"""
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

Edges = Sequence[tuple[int, int]]  # pairs of keypoints that a line joins


def draw_bounding_box_on_image(image: Image.Image, ymin: float, xmin: float, ymax: float, xmax: float,
                               color: str = 'red', thickness: int = 4, display_str_list: Sequence[str] = (),
                               use_normalized_coordinates: bool = True) -> None:
    """Draw a box and lines of text into a picture.

    The text is black on the color of the box: above it, or below it where there is no room above. It is set in Arial if
    that is installed, else in Pillow's bitmap font.

    Args:
        ymin, xmin, ymax, xmax: 0..1, or in pixels if use_normalized_coordinates is False.
        thickness: 0 for the text alone.
    """
    draw = ImageDraw.Draw(image)
    width, height = image.size if use_normalized_coordinates else (1, 1)
    left, right, top, bottom = xmin * width, xmax * width, ymin * height, ymax * height
    if thickness > 0:
        draw.line([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], color, thickness)
    lines = []
    for text in display_str_list:
        font = _font(all(ord(letter) < 256 for letter in text))
        start, _, end, text_height = font.getbbox(text)
        lines.append((text, font, end - start, text_height))
    total = 1.1 * sum(text_height for *_, text_height in lines)  # a margin of 5 % at both ends
    text_bottom = top if top > total else bottom + total
    for text, font, text_width, text_height in reversed(lines):
        margin = np.ceil(.05 * text_height)
        draw.rectangle([(left, text_bottom - text_height - 2 * margin), (left + text_width, text_bottom)], color)
        draw.text((left + margin, text_bottom - text_height - margin), text, 'black', font)
        text_bottom -= text_height - 2 * margin


@functools.cache
def _font(latin: bool) -> Any:
    try:
        return ImageFont.truetype('arial.ttf', 24)
    except OSError:  # the bitmap font has no letters beyond Latin-1
        return ImageFont.load_default_imagefont() if latin else ImageFont.load_default(10)


def draw_bounding_box_on_image_array(image: np.ndarray, ymin: float, xmin: float, ymax: float, xmax: float,
                                     color: str = 'red', thickness: int = 4, display_str_list: Sequence[str] = (),
                                     use_normalized_coordinates: bool = True) -> None:
    """Like draw_bounding_box_on_image, into an array [H, W, 3]."""
    _draw_into(image, draw_bounding_box_on_image, ymin, xmin, ymax, xmax, color, thickness, display_str_list,
               use_normalized_coordinates)


def draw_bounding_boxes_on_image(image: Image.Image, boxes: np.ndarray, color: str = 'red', thickness: int = 4,
                                 display_str_list_list: Sequence[Sequence[str]] = ()) -> None:
    """Draw N boxes into a picture.

    Args:
        boxes: [N, 4], 0..1.
        display_str_list_list: for each box its lines of text, or nothing.
    Raises:
        ValueError: boxes are not [N, 4].
    """
    if not boxes.shape:
        return
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f'Input must be of size [N, 4], not {boxes.shape}')
    for (ymin, xmin, ymax, xmax), lines in zip(boxes, display_str_list_list or [()] * len(boxes)):
        draw_bounding_box_on_image(image, ymin, xmin, ymax, xmax, color, thickness, lines)


def draw_bounding_boxes_on_image_array(image: np.ndarray, boxes: np.ndarray, color: str = 'red', thickness: int = 4,
                                       display_str_list_list: Sequence[Sequence[str]] = ()) -> None:
    """Like draw_bounding_boxes_on_image, into an array [H, W, 3]."""
    _draw_into(image, draw_bounding_boxes_on_image, boxes, color, thickness, display_str_list_list)


def draw_keypoints_on_image(image: Image.Image, keypoints: Any, keypoint_scores: Any = None,
                            min_score_thresh: float = .5, color: str = 'red', radius: float = 2,
                            use_normalized_coordinates: bool = True, keypoint_edges: Edges | None = None,
                            keypoint_edge_color: str = 'green', keypoint_edge_width: int = 2) -> None:
    """Draw keypoints as dots into a picture, and lines between them.

    Args:
        keypoints: [K, 2], 0..1, or in pixels if use_normalized_coordinates is False.
        keypoint_scores: [K]; keypoints with min_score_thresh or less are left out. Without it, those with NaN are.
        keypoint_edges: indices of the keypoints that a line joins.
    """
    draw = ImageDraw.Draw(image)
    points = np.array(keypoints)[:, ::-1] * (image.size if use_normalized_coordinates else (1, 1))
    visible = np.asarray(np.array(keypoint_scores) > min_score_thresh if keypoint_scores is not None
                         else ~np.isnan(points).any(1))
    for x, y in points[visible]:
        draw.ellipse([(x - radius, y - radius), (x + radius, y + radius)], color, color)
    for start, end in keypoint_edges or ():
        if min(start, end) >= 0 and max(start, end) < len(points) and visible[start] and visible[end]:
            draw.line([*points[start], *points[end]], keypoint_edge_color, keypoint_edge_width)


def draw_keypoints_on_image_array(image: np.ndarray, keypoints: Any, keypoint_scores: Any = None,
                                  min_score_thresh: float = .5, color: str = 'red', radius: float = 2,
                                  use_normalized_coordinates: bool = True, keypoint_edges: Edges | None = None,
                                  keypoint_edge_color: str = 'green', keypoint_edge_width: int = 2) -> None:
    """Like draw_keypoints_on_image, into an array [H, W, 3]."""
    _draw_into(image, draw_keypoints_on_image, keypoints, keypoint_scores, min_score_thresh, color, radius,
               use_normalized_coordinates, keypoint_edges, keypoint_edge_color, keypoint_edge_width)


def draw_mask_on_image_array(image: np.ndarray, mask: np.ndarray, color: str = 'red', alpha: float = .4) -> None:
    """Tint the part of an image where a mask is nonzero.

    Args:
        image: uint8 [H, W, 3].
        mask: uint8 [H, W].
        alpha: opacity, 0..1.
    Raises:
        ValueError: an array is not uint8, or the sizes differ.
    """
    check_mask(image, mask)
    blend(image, Image.new('RGB', image.shape[1::-1], ImageColor.getrgb(color)), mask, alpha)


def check_mask(image: np.ndarray, mask: np.ndarray, *channels: np.ndarray) -> None:
    for name, array in (('image', image), ('mask', mask)):
        if array.dtype != np.uint8:
            raise ValueError(f'`{name}` not of type np.uint8 but {array.dtype}')
    for array in (mask, *channels):
        if image.shape[:2] != array.shape:
            raise ValueError(f'The image has spatial dimensions {image.shape[:2]} but the mask has dimensions '
                             f'{array.shape}')


def blend(image: np.ndarray, colors: Image.Image, mask: np.ndarray, alpha: float) -> None:
    """Lay colors over the part of an array where the mask is nonzero."""
    opacity = Image.fromarray(np.uint8(255. * alpha * (mask > 0)))
    np.copyto(image, np.asarray(Image.composite(colors, Image.fromarray(image), opacity)))


def _draw_into(image: np.ndarray, draw: Callable[..., None], *args: Any) -> None:
    """Draw into an array [H, W, 3] by way of a picture."""
    picture = Image.fromarray(np.uint8(image)).convert('RGB')
    draw(picture, *args)
    np.copyto(image, np.asarray(picture))
