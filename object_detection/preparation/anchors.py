"""The range of a model's anchor sizes, to compare the boxes of a data set with."""
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from object_detection.config import pipeline


@dataclasses.dataclass(frozen=True)
class AnchorRange:
    """The sizes of a model's anchors.

    smallest, largest: side of a square of the anchor's area, as a fraction of the input's longer side.
    description: whose anchors these are, for the report.
    """
    smallest: float
    largest: float
    description: str


# EfficientDet and RetinaNet.
USUAL = AnchorRange(4 * 2 ** 3 / 512, 4 * 2 ** 7 * 2 ** (2 / 3) / 512,
                    'the usual anchors (levels 3 to 7, anchor_scale 4, input of 512)')


def anchor_range(path: Path | None) -> AnchorRange | None:
    """Return the AnchorRange of a pipeline.config, USUAL without a path; UserError if the config cannot be read.

    None if the model has no anchors or its input has no fixed size.
    """
    if path is None:
        return USUAL
    model = pipeline.read(path).model
    architecture = model.WhichOneof('model')
    if architecture not in GENERATORS:
        return None
    family = getattr(model, architecture)
    generator = getattr(family, GENERATORS[architecture])
    kind, sides = generator.WhichOneof('anchor_generator_oneof'), _input_sides(family.image_resizer)
    if not kind or not sides:
        return None
    sizes = SIZES[kind](getattr(generator, kind), min(sides))
    return AnchorRange(min(sizes) / max(sides), max(sizes) / max(sides),
                       f'the anchors of {Path(path).as_posix()} (input of {sides[0]} x {sides[1]})')


def _input_sides(resizer):
    """Return the input's (height, width) or (shorter side, longer side) in pixels; None if it depends on the image."""
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
# Sizes in pixels of some anchors, the smallest and the largest among them: f(section of the config, shorter side).
SIZES: dict[str, Callable[[Any, int], list[float]]] = {
    'multiscale_anchor_generator': _multiscale, 'ssd_anchor_generator': _ssd, 'grid_anchor_generator': _grid,
    'flexible_grid_anchor_generator': _flexible}
