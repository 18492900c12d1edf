"""What a program must know of an exported detector to call it: detector.json. This module imports no TensorFlow.

A SavedModel takes pictures as they are. The networks of the other formats take an input of one size, and whoever calls
them resizes and normalizes the picture first and brings the boxes back to it. The description says how; it lies inside
a .tflite and an .onnx file, so that the file alone is enough.
"""
import dataclasses
import json
from typing import Any

from object_detection.utils.errors import UserError

FILE = 'detector.json'
STRETCH, FIT = 'stretch', 'fit'
METHODS = ('bilinear', 'nearest')
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Input:
    """The input tensor, [B, height, width, 3], RGB.

    A picture becomes it in three steps: resize (as TensorFlow 1 does: without antialiasing, pixel (0, 0) on pixel
    (0, 0)), pad at the bottom and right, and normalize: (pixel - mean) / std.

    Attributes:
        name: of the tensor.
        height, width: in pixels; 0 and 0 for pictures of any size, which are given as they are.
        dtype: float32, or uint8, which is not normalized.
        resize: stretch (to height x width), or fit: scaled so that it fits, the aspect ratio kept, then padded.
        method: of resizing, one of METHODS.
        pad: the color of the padding, 3 numbers, before the normalization.
        mean, std: of the normalization, 3 numbers each; 0 and 1 where the network normalizes.
    """
    name: str
    height: int
    width: int
    dtype: str = 'float32'
    resize: str = STRETCH
    method: str = 'bilinear'
    pad: tuple[float, ...] = (0., 0., 0.)
    mean: tuple[float, ...] = (0., 0., 0.)
    std: tuple[float, ...] = (1., 1., 1.)


@dataclasses.dataclass(frozen=True)
class Description:
    """An exported detector.

    Attributes:
        architecture: ssd, faster_rcnn or center_net.
        input: the input tensor.
        outputs: {meaning: name of the tensor}; the meanings are the SavedModel's names of outputs (detection_boxes,
            detection_scores, ...). Boxes and keypoints are normalized to the input, padding included.
        first_class: what the detection_classes count from, 0 or 1; label ids count from 1.
        labels: {label id: name}.
        regular_nms: the .tflite runs NMS class by class; LiteRT's operator loses classes with more than one thread
            (https://github.com/tensorflow/tensorflow/issues/56058).
        source: the checkpoint and its step, for people.
    """
    architecture: str
    input: Input
    outputs: dict[str, str]
    first_class: int
    labels: dict[int, str]
    regular_nms: bool = False
    source: str = ''

    def to_json(self) -> str:
        return json.dumps({'version': _VERSION, **dataclasses.asdict(self)}, indent=2, ensure_ascii=False) + '\n'


def from_json(text: str, where: str) -> Description:
    """Return the description that `to_json` wrote; UserError if it is none.

    Args:
        where: the file, for the message.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        version = content.pop('version')
        if version != _VERSION:
            raise UserError(f'{where}: {FILE} inside has version {version!r}, and this version of the package reads '
                            f'{_VERSION}; export the model again, or install the package that wrote it')
        given: dict[str, Any] = content.pop('input')
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in given.items()}
        labels = {int(number): name for number, name in content.pop('labels').items()}
        return Description(input=Input(**values), labels=labels, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{where}: {FILE} inside is damaged ({error}); export the model again') from error
