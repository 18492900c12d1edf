"""The range of a detector's anchor sizes, which boxes are compared with."""
import dataclasses
from pathlib import Path

from object_detection.config import pipeline


@dataclasses.dataclass(frozen=True)
class AnchorRange:
    """smallest, largest: side of a square of the anchor's area, as a share of the input's longer side.

    said: whose anchors.
    """
    smallest: float
    largest: float
    said: str


# Of EfficientDet and RetinaNet.
USUAL = AnchorRange(4 * 2 ** 3 / 512, 4 * 2 ** 7 * 2 ** (2 / 3) / 512,
                    'the usual anchors (levels 3 to 7, anchor_scale 4, input of 512)')


def anchor_range(path):
    """The AnchorRange of a pipeline.config; USUAL for no path, None for a model without anchors or fixed input size.

    Raises UserError when the config cannot be read.
    """
    if path is None:
        return USUAL
    model = pipeline.read(path).model
    architecture = model.WhichOneof('model')
    if architecture not in GENERATORS:
        return None
    family = getattr(model, architecture)
    generator = getattr(family, GENERATORS[architecture])
    kind, sides = generator.WhichOneof('anchor_generator_oneof'), _sides(family.image_resizer)
    if not kind or not sides:
        return None
    sizes = SIZES[kind](getattr(generator, kind), min(sides))
    return AnchorRange(min(sizes) / max(sides), max(sizes) / max(sides),
                       f'the anchors of {Path(path).as_posix()} (input of {sides[0]} x {sides[1]})')


def _sides(resizer):
    """Height and width of the input in pixels, or the shorter and the longer side; None if it is the picture's."""
    if resizer.HasField('fixed_shape_resizer'):
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    if resizer.HasField('keep_aspect_ratio_resizer'):
        return resizer.keep_aspect_ratio_resizer.min_dimension, resizer.keep_aspect_ratio_resizer.max_dimension
    return None


def _multiscale(section, _):
    finest = 2 ** ((section.scales_per_octave - 1) / section.scales_per_octave)
    return [section.anchor_scale * 2 ** section.min_level, section.anchor_scale * 2 ** section.max_level * finest]


def _ssd(section, shorter):
    scales = [*section.scales] or [section.min_scale, section.max_scale]
    lowest = [.1] if section.reduce_boxes_in_lowest_layer else []
    base = (section.base_anchor_height * section.base_anchor_width) ** .5
    return [scale * base * shorter for scale in (*lowest, *scales)]


def _grid(section, _):
    return [scale * (section.height * section.width) ** .5 for scale in section.scales]


def _flexible(section, _):
    return [size for grid in section.anchor_grid for size in grid.base_sizes]


GENERATORS = {'ssd': 'anchor_generator', 'faster_rcnn': 'first_stage_anchor_generator'}
SIZES = {'multiscale_anchor_generator': _multiscale, 'ssd_anchor_generator': _ssd, 'grid_anchor_generator': _grid,
         'flexible_grid_anchor_generator': _flexible}
