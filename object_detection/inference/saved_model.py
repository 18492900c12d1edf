"""Run a SavedModel, or a model in memory, in TensorFlow."""
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection.inference.detections import Detections, from_outputs

INPUTS = (tf.uint8, tf.float32)
OUTPUTS = ('detection_boxes', 'detection_scores', 'detection_classes')
_ALL = (*OUTPUTS, 'num_detections', 'detection_masks', 'detection_keypoints', 'detection_keypoint_scores')


class Unfit(Exception):
    """A SavedModel that cannot be used, with the reason."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """The serving signature of a detector.

    Attributes:
        call: takes images [B, H, W, 3], returns tensors under the reference's names.
        dtype: of the images, uint8 or float32.
        size: (H, W) that it takes; None where it takes any.
        takes_batches: whether it takes several images of one size at once.
    """
    call: Callable[[tf.Tensor], Mapping[str, tf.Tensor]]
    dtype: tf.DType
    size: tuple[int | None, int | None]
    takes_batches: bool


def signature(folder: str) -> Signature:
    """Load the detector in a folder; Unfit if that fails or its signature is not that of the reference's exports."""
    try:
        loaded = tf.saved_model.load(folder)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise Unfit(f'TensorFlow cannot load it: {str(error).splitlines()[0]}') from error
    if 'serving_default' not in loaded.signatures:
        raise Unfit(f'has no signature serving_default (it has {", ".join(loaded.signatures) or "none"})')
    serving = loaded.signatures['serving_default']
    inputs = serving.structured_input_signature[1]
    missing = [name for name in OUTPUTS if name not in serving.structured_outputs]
    if missing:
        raise Unfit(f'is not a detector: it does not return {", ".join(missing)} '
                    f'but {", ".join(sorted(serving.structured_outputs))}')
    spec = next(iter(inputs.values()), None)
    if (spec is None or len(inputs) != 1 or spec.dtype not in INPUTS or spec.shape.rank != 4
            or spec.shape[3] not in (3, None)):
        taken = ', '.join(f'{name}: {spec.dtype.name} {spec.shape}' for name, spec in inputs.items())
        raise Unfit(f'takes {taken}; pictures are given as uint8 or float32 [batch, height, width, 3] '
                    '(exporter_main_v2.py --input_type image_tensor)')
    if spec.shape[0] not in (None, 1):
        raise Unfit(f'takes exactly {spec.shape[0]} pictures at a time; export it for any batch size, or for 1')
    name = next(iter(inputs))

    def call(images: tf.Tensor, owner: Any = loaded) -> Mapping[str, tf.Tensor]:  # the owner of the variables
        return serving(**{name: images})

    height, width = spec.shape[1:3].as_list()
    return Signature(call, spec.dtype, (height, width), spec.shape[0] is None)


class TensorFlowRunner:
    """A Runner (inference/detections.py) of a Signature."""

    def __init__(self, name: str, serving: Signature, labels: dict[int, str]) -> None:
        self.name, self.labels = name, labels
        self.batch = None if serving.takes_batches else 1
        self._serving = serving

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As Runner.detect. Pictures of one size that follow each other are one call of the network."""
        found: list[Detections] = []
        while len(found) < len(images):
            first = images[len(found)]
            same = [first]
            for image in images[len(found) + 1:] if self.batch is None else ():
                if image.shape != first.shape:
                    break
                same.append(image)
            found += self._run(np.stack(same))
        return found

    def _run(self, batch: np.ndarray) -> list[Detections]:
        images = tf.constant(batch)
        if None not in self._serving.size and tuple(batch.shape[1:3]) != self._serving.size:
            images = tf.round(tf.image.resize(images, self._serving.size))
        outputs = self._serving.call(tf.cast(images, self._serving.dtype))
        arrays = {name: outputs[name].numpy() for name in _ALL if name in outputs}
        return [from_outputs(arrays, i) for i in range(len(batch))]
