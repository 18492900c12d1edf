"""The description of a model's input and outputs (description.py), from its config and its network."""
import numpy as np
import tensorflow as tf

from object_detection import protos
from object_detection.export.description import FIT, STRETCH, Description, Input
from object_detection.models import resizers
from object_detection.models.detector import Detector

_EVEN = 1e-3  # in pixels


def describe_input(model: Detector, name: str, dtype: str, normalized: bool) -> Input:
    """Describe an input of the size that the image_resizer makes.

    Args:
        model: the detector, in whose config limits.one_size finds nothing.
        name: of the input tensor.
        dtype: of the input tensor, float32 or uint8.
        normalized: the network is given without its normalization.
    """
    resizer = model.resizer
    assert resizer.size and isinstance(resizer, resizers.FixedShape | resizers.KeepAspectRatio)  # limits.one_size
    zeros, ones = (0., 0., 0.), (1., 1., 1.)
    mean, std = (normalization(model) or (zeros, ones)) if normalized else (zeros, ones)
    return Input(name, *resizer.size, dtype, FIT if resizer.pad_value else STRETCH, resizer.method,
                 padding(model), mean, std)


def padding(model: Detector) -> tuple[float, ...]:
    """Return the color of padding before the normalization, 0..255, 3 numbers; of models that pad normalized images the
    one that becomes their pad value."""
    color = model.resizer.pad_value
    if color is None:
        return 0., 0., 0.
    wanted = _normalize(model, np.array(color), padded=True)
    if np.allclose(wanted, _normalize(model, np.array(color))):
        return tuple(float(value) for value in color)  # pads first
    black, white = (_normalize(model, np.full(3, value)) for value in (0., 255.))
    return tuple(round(float(value), 4) for value in (wanted - black) / (white - black) * 255.)


def normalization(model: Detector) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return (mean, std), 3 equal numbers each, if pixels are normalized as (pixel - mean) / std; else None.

    These are what programs on phones apply to the picture by themselves. Other normalizations stay in the network.
    """
    black, white = (_normalize(model, np.full(3, value)) for value in (0., 255.))
    if np.ptp(black) or np.ptp(white):
        return None
    std = 255. / (white[0] - black[0])
    mean = -black[0] * std
    probe = np.array([10., 100., 200.])  # a change in the order of the channels
    if np.abs(_normalize(model, probe) * std + mean - probe).max() > _EVEN:
        return None
    return (round(float(mean), 4),) * 3, (round(float(std), 4),) * 3


def _normalize(model, pixel, padded=False):
    """Normalize an image of one color [3]; with `padded`, return what becomes of its padding."""
    height, width = model.resizer.size
    image = tf.fill([1, height, width, 1], 1.) * tf.constant(pixel, tf.float32)
    shape = [[0, 0, 3]] if padded else [[height, width, 3]]
    return model.normalize(image, tf.constant(shape))[0, 0, 0].numpy().astype(np.float64)


def describe(model: Detector, config: protos.TrainEvalPipelineConfig, given: Input, outputs: dict[str, str],
             labels: dict[int, str], source: str, first_class: int, regular_nms: bool = False) -> Description:
    """Return the Description of a model; the arguments are its fields."""
    architecture = config.model.WhichOneof('model')
    names = {number: labels.get(number, f'category_{number}') for number in range(1, model.num_classes + 1)}
    return Description(architecture, given, outputs, first_class, labels or names, regular_nms, source)
