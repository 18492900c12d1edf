"""Draw boxes, masks, and keypoints as the reference does, under its names.

    visualization_utils.visualize_boxes_and_labels_on_image_array(
        image, boxes, classes, scores, category_index, use_normalized_coordinates=True, min_score_thresh=.3)

Functions on arrays draw into the array they are given. Boxes are (ymin, xmin, ymax, xmax), keypoints (y, x). TensorFlow
is imported by the functions on tensors only, matplotlib by those that plot. Our own pictures for TensorBoard are drawn
by evaluation.drawing.

visualization_shapes draws one shape in a given color; here is what chooses the colors.
"""
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from object_detection import absent
from object_detection.core.standard_fields import DetectionResultFields, InputDataFields
from object_detection.utils import gfile
from object_detection.utils.visualization_plots import (  # noqa: F401, some of them for our callers
    add_cdf_image_summary,
    add_hist_image_summary,
    load_matplotlib,
)
from object_detection.utils.visualization_shapes import (  # noqa: F401
    Edges,
    blend,
    check_mask,
    draw_bounding_box_on_image,
    draw_bounding_box_on_image_array,
    draw_bounding_boxes_on_image,
    draw_bounding_boxes_on_image_array,
    draw_keypoints_on_image,
    draw_keypoints_on_image_array,
    draw_mask_on_image_array,
)

if TYPE_CHECKING:
    import tensorflow as tf

CategoryIndex = Mapping[int, Mapping[str, Any]]  # {class id: {'id': class id, 'name': name}}

# In the order of the reference, so that each class has the same color.
STANDARD_COLORS = [
    'AliceBlue', 'Chartreuse', 'Aqua', 'Aquamarine', 'Azure', 'Beige', 'Bisque', 'BlanchedAlmond', 'BlueViolet',
    'BurlyWood', 'CadetBlue', 'AntiqueWhite', 'Chocolate', 'Coral', 'CornflowerBlue', 'Cornsilk', 'Crimson', 'Cyan',
    'DarkCyan', 'DarkGoldenRod', 'DarkGrey', 'DarkKhaki', 'DarkOrange', 'DarkOrchid', 'DarkSalmon', 'DarkSeaGreen',
    'DarkTurquoise', 'DarkViolet', 'DeepPink', 'DeepSkyBlue', 'DodgerBlue', 'FireBrick', 'FloralWhite',
    'ForestGreen', 'Fuchsia', 'Gainsboro', 'GhostWhite', 'Gold', 'GoldenRod', 'Salmon', 'Tan', 'HoneyDew',
    'HotPink', 'IndianRed', 'Ivory', 'Khaki', 'Lavender', 'LavenderBlush', 'LawnGreen', 'LemonChiffon', 'LightBlue',
    'LightCoral', 'LightCyan', 'LightGoldenRodYellow', 'LightGray', 'LightGrey', 'LightGreen', 'LightPink',
    'LightSalmon', 'LightSeaGreen', 'LightSkyBlue', 'LightSlateGray', 'LightSlateGrey', 'LightSteelBlue',
    'LightYellow', 'Lime', 'LimeGreen', 'Linen', 'Magenta', 'MediumAquaMarine', 'MediumOrchid', 'MediumPurple',
    'MediumSeaGreen', 'MediumSlateBlue', 'MediumSpringGreen', 'MediumTurquoise', 'MediumVioletRed', 'MintCream',
    'MistyRose', 'Moccasin', 'NavajoWhite', 'OldLace', 'Olive', 'OliveDrab', 'Orange', 'OrangeRed', 'Orchid',
    'PaleGoldenRod', 'PaleGreen', 'PaleTurquoise', 'PaleVioletRed', 'PapayaWhip', 'PeachPuff', 'Peru', 'Pink',
    'Plum', 'PowderBlue', 'Purple', 'Red', 'RosyBrown', 'RoyalBlue', 'SaddleBrown', 'Green', 'SandyBrown',
    'SeaGreen', 'SeaShell', 'Sienna', 'Silver', 'SkyBlue', 'SlateBlue', 'SlateGray', 'SlateGrey', 'Snow',
    'SpringGreen', 'SteelBlue', 'GreenYellow', 'Teal', 'Thistle', 'Tomato', 'Turquoise', 'Violet', 'Wheat', 'White',
    'WhiteSmoke', 'Yellow', 'YellowGreen']


@dataclass
class _Object:
    """What is drawn for one box, which several detections may share."""

    color: str = ''
    lines: list[str] = field(default_factory=list)
    mask: np.ndarray | None = None
    boundary: np.ndarray | None = None
    keypoints: list[np.ndarray] = field(default_factory=list)
    keypoint_scores: list[float] = field(default_factory=list)


def visualize_boxes_and_labels_on_image_array(
        image: np.ndarray, boxes: np.ndarray, classes: np.ndarray | None, scores: np.ndarray | None,
        category_index: CategoryIndex, instance_masks: np.ndarray | None = None,
        instance_boundaries: np.ndarray | None = None, keypoints: np.ndarray | None = None,
        keypoint_scores: np.ndarray | None = None, keypoint_edges: Edges | None = None,
        track_ids: np.ndarray | None = None, use_normalized_coordinates: bool = False,
        max_boxes_to_draw: int | None = 20, min_score_thresh: float = .5, agnostic_mode: bool = False,
        line_thickness: int = 4, mask_alpha: float = .4, groundtruth_box_visualization_color: str = 'black',
        skip_boxes: bool = False, skip_scores: bool = False, skip_labels: bool = False, skip_track_ids: bool = False
        ) -> np.ndarray:
    """Draw boxes with name and score, masks, and keypoints into an image.

    Detections with the same box are drawn as one, with a line of text each.

    Args:
        image: uint8 [H, W, 3]; it is changed.
        boxes: [N, 4], in pixels, or 0..1 with use_normalized_coordinates.
        classes: int [N], class ids, which also select the color.
        scores: [N]; None to draw all boxes in groundtruth_box_visualization_color, without text.
        category_index: from label_map_util.create_category_index_from_labelmap.
        instance_masks: uint8 [N, H, W], nonzero where the object is.
        instance_boundaries: uint8 [N, H, W], drawn in solid red.
        keypoints: [N, K, 2].
        keypoint_scores: [N, K]; keypoints with min_score_thresh or less are not drawn. Without it, those with NaN are
            not.
        track_ids: int [N], which select the color instead of the classes, and are part of the text.
        max_boxes_to_draw: most boxes; None or 0 for all.
        min_score_thresh: detections with this score or less are not drawn.
        agnostic_mode: one color for all classes, and no names.
        mask_alpha: opacity of masks, 0..1.
    Returns:
        image.
    Raises:
        ValueError: image or masks are not uint8, or not of one size.
    """
    objects: dict[tuple[float, float, float, float], _Object] = {}
    for i in range(len(boxes)):
        if max_boxes_to_draw and len(objects) == max_boxes_to_draw:
            break
        if scores is not None and not scores[i] > min_score_thresh:
            continue
        ymin, xmin, ymax, xmax = np.asarray(boxes[i]).tolist()
        drawn = objects.setdefault((ymin, xmin, ymax, xmax), _Object())
        if instance_masks is not None:
            drawn.mask = instance_masks[i]
        if instance_boundaries is not None:
            drawn.boundary = instance_boundaries[i]
        if keypoints is not None:
            drawn.keypoints.extend(keypoints[i])
        if keypoint_scores is not None:
            drawn.keypoint_scores.extend(keypoint_scores[i])
        if scores is None or classes is None:
            drawn.color = groundtruth_box_visualization_color
            continue
        name = '' if skip_labels or agnostic_mode else str(category_index.get(classes[i], {'name': 'N/A'})['name'])
        texts = (name, '' if skip_scores else f'{round(100 * scores[i])}%',
                 '' if skip_track_ids or track_ids is None else f'ID {track_ids[i]}')
        drawn.lines.append(': '.join(text for text in texts if text))
        if agnostic_mode:
            drawn.color = 'DarkOrange'
        elif track_ids is not None:
            color = _get_multiplier_for_color_randomness() * track_ids[i]
            drawn.color = STANDARD_COLORS[color % len(STANDARD_COLORS)]
        else:
            drawn.color = STANDARD_COLORS[int(classes[i]) % len(STANDARD_COLORS)]
    for box, drawn in objects.items():
        if drawn.mask is not None:
            draw_mask_on_image_array(image, drawn.mask, drawn.color, mask_alpha)
        if drawn.boundary is not None:
            draw_mask_on_image_array(image, drawn.boundary, 'red', 1.)
        draw_bounding_box_on_image_array(image, *box, color=drawn.color, thickness=0 if skip_boxes else line_thickness,
                                         display_str_list=drawn.lines,
                                         use_normalized_coordinates=use_normalized_coordinates)
        if drawn.keypoints:
            draw_keypoints_on_image_array(
                image, drawn.keypoints, drawn.keypoint_scores if keypoint_scores is not None else None,
                min_score_thresh, drawn.color, line_thickness / 2, use_normalized_coordinates, keypoint_edges,
                drawn.color, line_thickness // 2)
    return image


def draw_part_mask_on_image_array(image: np.ndarray, mask: np.ndarray, alpha: float = .4, num_parts: int = 24) -> None:
    """Like draw_mask_on_image_array, with the i-th of STANDARD_COLORS where the mask is i, from 1 to num_parts."""
    check_mask(image, mask)
    colors = np.zeros([256, 3], np.uint8)
    colors[1:num_parts + 1] = [ImageColor.getrgb(color) for color in STANDARD_COLORS[:num_parts]]
    blend(image, Image.fromarray(colors[mask]), mask, alpha)


def draw_float_channel_on_image_array(image: np.ndarray, channel: np.ndarray, mask: np.ndarray, alpha: float = .9,
                                      cmap: str = 'YlGn') -> None:
    """Like draw_mask_on_image_array, with the colors that a colormap of matplotlib gives to a channel.

    Args:
        channel: float32 [H, W], 0..1.
    """
    if channel.dtype != np.float32:
        raise ValueError(f'`channel` not of type np.float32 but {channel.dtype}')
    check_mask(image, mask, channel)
    colors = load_matplotlib().colormaps[cmap](channel)[:, :, :3]
    blend(image, Image.fromarray(np.uint8(colors * 255)), mask, alpha)


def draw_heatmaps_on_image(image: Image.Image, heatmaps: np.ndarray) -> None:
    """Draw heatmaps [H, W, C], 0..1, into a picture, each channel in one of STANDARD_COLORS."""
    draw = ImageDraw.Draw(image)
    for channel, color in zip(np.moveaxis(heatmaps, -1, 0), STANDARD_COLORS):
        draw.bitmap((0, 0), Image.fromarray((channel * 255).astype(np.uint8)), color)


def draw_heatmaps_on_image_array(image: Any, heatmaps: Any) -> np.ndarray:
    """Return an image [H, W, 3] with heatmaps [H, W, C] drawn on it, both arrays or eager tensors."""
    picture = Image.fromarray(np.uint8(image)).convert('RGB')
    draw_heatmaps_on_image(picture, np.asarray(heatmaps))
    return np.array(picture)


def save_image_array_as_png(image: np.ndarray, output_path: str | os.PathLike) -> None:
    """Write an image [H, W, 3] as a PNG file."""
    with gfile.open_to_write(output_path) as file:
        Image.fromarray(np.uint8(image)).convert('RGB').save(file, 'PNG')


def encode_image_array_as_png_str(image: np.ndarray) -> bytes:
    """Return an image [H, W, 3] as the bytes of a PNG file."""
    output = io.BytesIO()
    Image.fromarray(np.uint8(image)).save(output, 'PNG')
    return output.getvalue()


def create_visualization_fn(category_index: CategoryIndex, include_masks: bool = False,
                            include_keypoints: bool = False, include_keypoint_scores: bool = False,
                            include_track_ids: bool = False, **kwargs: Any) -> Callable[..., np.ndarray]:
    """Return visualize_boxes_and_labels_on_image_array with positional arguments only, for tf.numpy_function.

    Args:
        kwargs: other arguments of it.
    Returns:
        fn(image, boxes, classes, scores[, masks][, keypoints][, keypoint_scores][, track_ids]).
    """
    included = {'instance_masks': include_masks, 'keypoints': include_keypoints,
                'keypoint_scores': include_keypoint_scores, 'track_ids': include_track_ids}
    names = [name for name, include in included.items() if include]
    draw: Callable[..., np.ndarray] = visualize_boxes_and_labels_on_image_array

    def visualize(image: np.ndarray, boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray | None,
                  *optional: np.ndarray) -> np.ndarray:
        return draw(image, boxes, classes, scores, category_index, **dict(zip(names, optional)), **kwargs)
    return visualize


def draw_bounding_boxes_on_image_tensors(
        images: 'tf.Tensor', boxes: 'tf.Tensor', classes: 'tf.Tensor', scores: 'tf.Tensor',
        category_index: CategoryIndex, original_image_spatial_shape: 'tf.Tensor | None' = None,
        true_image_shape: 'tf.Tensor | None' = None, instance_masks: 'tf.Tensor | None' = None,
        keypoints: 'tf.Tensor | None' = None, keypoint_scores: 'tf.Tensor | None' = None,
        keypoint_edges: Edges | None = None, track_ids: 'tf.Tensor | None' = None,
        max_boxes_to_draw: int | None = 20, min_score_thresh: float = .2, use_normalized_coordinates: bool = True
        ) -> 'tf.Tensor':
    """Return a batch of images with the detections of each drawn on it.

    Args:
        images: uint8 [B, H, W, C]; of more than three channels the first three are drawn on, of one a gray image.
        boxes: float32 [B, N, 4].
        classes: int [B, N], class ids.
        scores: float32 [B, N].
        original_image_spatial_shape: int32 [B, 2], to which each image is resized; all have to be the same.
        true_image_shape: int32 [B, 2 or 3], the part of each image that is resized.
        instance_masks: uint8 [B, N, H, W].
        keypoints: float32 [B, N, K, 2].
        keypoint_scores: float32 [B, N, K].
        track_ids: int32 [B, N].
    Returns:
        uint8 [B, H, W, 3].
    """
    import tensorflow as tf
    images = _three_channels(images)
    optional = (instance_masks, keypoints, keypoint_scores, track_ids)
    visualize = create_visualization_fn(
        category_index, *(tensor is not None for tensor in optional), max_boxes_to_draw=max_boxes_to_draw,
        min_score_thresh=min_score_thresh, use_normalized_coordinates=use_normalized_coordinates,
        keypoint_edges=keypoint_edges)
    sizes = [size for size in (original_image_spatial_shape, true_image_shape) if size is not None]

    def draw(elements: Any) -> 'tf.Tensor':
        (image, *detections), size = elements
        if original_image_spatial_shape is not None:
            image = _resized(image, *size)
        return tf.numpy_function(lambda image, *arrays: visualize(np.array(image), *arrays), [image, *detections],
                                 tf.uint8)

    tensors = [images, boxes, classes, scores, *(tensor for tensor in optional if tensor is not None)]
    return tf.map_fn(draw, (tensors, sizes), fn_output_signature=tf.uint8)


def draw_side_by_side_evaluation_image(eval_dict: Mapping[str, 'tf.Tensor'], category_index: CategoryIndex,
                                       max_boxes_to_draw: int | None = 20, min_score_thresh: float = .2,
                                       use_normalized_coordinates: bool = True, keypoint_edges: Edges | None = None
                                       ) -> list['tf.Tensor']:
    """Draw images twice: their detections on the left, their groundtruth on the right.

    Args:
        eval_dict: batched tensors by the names of standard_fields: original_image uint8 [B, H, W, C],
            original_image_spatial_shape, true_image_shape, and groundtruth and detections of each image; or those of
            one image without the first dimension (but original_image has it).
    Returns:
        uint8 [1, H, 2 W, 3] of each image.
    """
    import tensorflow as tf
    detection, groundtruth = DetectionResultFields, InputDataFields
    whole = {groundtruth.original_image, groundtruth.image_additional_channels}
    if eval_dict[detection.detection_classes].shape.rank == 1:
        eval_dict = {name: value if name in whole else value[tf.newaxis] for name, value in eval_dict.items()}

    def side(i: int, image: str, prefix: str, count: Any, visibility: str, **options: Any) -> 'tf.Tensor':
        def get(name: str) -> 'tf.Tensor | None':
            return eval_dict[name][i:i + 1, :count] if name in eval_dict else None

        masks, keypoints, visible = get(prefix + masks_of[prefix]), get(f'{prefix}keypoints'), get(visibility)
        if keypoints is not None and visible is None:
            visible = ~tf.reduce_any(tf.math.is_nan(keypoints), -1)
        scores = get('detection_scores') if prefix == 'detection_' else tf.ones_like(get(f'{prefix}classes'),
                                                                                      tf.float32)
        return draw_bounding_boxes_on_image_tensors(
            eval_dict[image][i:i + 1], get(f'{prefix}boxes'), get(f'{prefix}classes'), scores, category_index,
            eval_dict[groundtruth.original_image_spatial_shape][i:i + 1],
            eval_dict[groundtruth.true_image_shape][i:i + 1],
            instance_masks=None if masks is None else tf.cast(masks, tf.uint8), keypoints=keypoints,
            keypoint_scores=None if visible is None else tf.cast(visible, tf.float32), keypoint_edges=keypoint_edges,
            use_normalized_coordinates=use_normalized_coordinates, **options)

    masks_of = {'detection_': 'masks', 'groundtruth_': 'instance_masks'}
    pictures = []
    for i in range(eval_dict[groundtruth.original_image].shape[0]):
        count = eval_dict[groundtruth.num_groundtruth_boxes][i] if (
            groundtruth.num_groundtruth_boxes in eval_dict) else None
        sides = [side(i, groundtruth.original_image, 'detection_', None, detection.detection_keypoint_scores,
                      max_boxes_to_draw=max_boxes_to_draw, min_score_thresh=min_score_thresh)]
        sides += [side(i, image, 'groundtruth_', count, groundtruth.groundtruth_keypoint_visibilities,
                       max_boxes_to_draw=None, min_score_thresh=0.)
                  for image in (groundtruth.original_image, groundtruth.image_additional_channels)
                  if image in eval_dict]
        pictures.append(tf.concat(sides, 2))
    return pictures


def draw_heatmaps_on_image_tensors(images: 'tf.Tensor', heatmaps: 'tf.Tensor', apply_sigmoid: bool = False
                                   ) -> 'tf.Tensor':
    """Return a batch of images with heatmaps drawn on it.

    Args:
        images: uint8 [B, H, W, C], see draw_bounding_boxes_on_image_tensors.
        heatmaps: float32 [B, h, w, channels], 0..1, or logits with apply_sigmoid.
    Returns:
        uint8 [B, H, W, 3].
    """
    import tensorflow as tf
    images = _three_channels(images)
    heatmaps = tf.image.resize(tf.sigmoid(heatmaps) if apply_sigmoid else heatmaps, tf.shape(images)[1:3])
    return tf.map_fn(lambda pair: tf.numpy_function(draw_heatmaps_on_image_array, pair, tf.uint8), [images, heatmaps],
                     fn_output_signature=tf.uint8)


def _get_multiplier_for_color_randomness() -> int:
    """Return a factor that spreads consecutive track ids over STANDARD_COLORS.

    It is the prime from 5 to 17 that is nearest to a tenth of their number and does not divide it, or 1.
    """
    count = len(STANDARD_COLORS)
    primes = [prime for prime in (5, 7, 11, 13, 17) if count % prime]
    return min(primes, key=lambda prime: abs(count / 10 - prime), default=1)


def _three_channels(images: 'tf.Tensor') -> 'tf.Tensor':
    import tensorflow as tf
    return tf.image.grayscale_to_rgb(images) if images.shape[3] == 1 else images[..., :3]


def _resized(image: 'tf.Tensor', size: 'tf.Tensor', true_shape: 'tf.Tensor | None' = None) -> 'tf.Tensor':
    """Resize an image [H, W, 3] by nearest neighbor, after its part `true_shape` (height, width, ...) is cut out."""
    import tensorflow as tf
    if true_shape is not None:
        missing = tf.maximum(true_shape[:2] - tf.shape(image)[:2], 0)
        image = tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]])[:true_shape[0], :true_shape[1]]
    return tf.raw_ops.ResizeNearestNeighbor(images=image[tf.newaxis], size=size, align_corners=True)[0]


_ESTIMATOR = 'it serves tf.estimator; draw_side_by_side_evaluation_image draws its pictures'
_ABSENT = {'EvalMetricOpsVisualization': _ESTIMATOR, 'VisualizeSingleFrameDetections': _ESTIMATOR,
           'draw_densepose_visualizations': 'DensePose is not supported'}


def __getattr__(name: str) -> NoReturn:
    absent.explain_name(__name__, name, _ABSENT)
