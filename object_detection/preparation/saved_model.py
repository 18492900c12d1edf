"""Run a detector's SavedModel, in the detector's process; the only module of preparation/ that imports TensorFlow."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

INPUTS = (tf.uint8, tf.float32)
OUTPUTS = ('detection_boxes', 'detection_scores', 'detection_classes')


class Unfit(Exception):
    """A SavedModel that cannot be used, with the reason."""


def load(folder: str) -> 'Model':
    """Load the detector in a folder; Unfit if that fails or its signature is not that of the reference's exports."""
    try:
        loaded = tf.saved_model.load(folder)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise Unfit(f'TensorFlow cannot load it: {str(error).splitlines()[0]}') from error
    if 'serving_default' not in loaded.signatures:
        raise Unfit(f'has no signature serving_default (it has {", ".join(loaded.signatures) or "none"})')
    signature = loaded.signatures['serving_default']
    inputs = signature.structured_input_signature[1]
    missing = [name for name in OUTPUTS if name not in signature.structured_outputs]
    if missing:
        raise Unfit(f'is not a detector: it does not return {", ".join(missing)} '
                    f'but {", ".join(sorted(signature.structured_outputs))}')
    spec = next(iter(inputs.values()), None)
    if (spec is None or len(inputs) != 1 or spec.dtype not in INPUTS or spec.shape.rank != 4
            or spec.shape[3] not in (3, None)):
        taken = ', '.join(f'{name}: {spec.dtype.name} {spec.shape}' for name, spec in inputs.items())
        raise Unfit(f'takes {taken}; pictures are given as uint8 or float32 [batch, height, width, 3] '
                    '(exporter_main_v2.py --input_type image_tensor)')
    if spec.shape[0] not in (None, 1):
        raise Unfit(f'takes exactly {spec.shape[0]} pictures at a time; export it for any batch size, or for 1')
    return Model(loaded, signature, next(iter(inputs)), spec)


class Model:
    """A detector. takes_batches: whether it takes several images of one size at once."""

    def __init__(self, loaded: Any, signature: Any, name: str, spec: tf.TensorSpec) -> None:
        self._loaded = loaded  # owns the variables that the signature uses
        self._signature, self._name, self._dtype = signature, name, spec.dtype
        self._size = spec.shape[1:3].as_list()
        self.takes_batches = spec.shape[0] is None

    def decode(self, files: Sequence[str], shape: tuple[int, int] | None) -> tf.Tensor:
        """Read JPEG files.

        Args:
            files: their paths.
            shape: (H, W) to resize to if the model's input has no fixed size; None to keep their size.
        Returns:
            [len(files), H, W, 3], uint8 or float32 as the model takes it, 0 to 255.
        """
        fixed = tuple(self._size) if None not in self._size else shape
        with tf.device('CPU'):
            images = [tf.io.decode_jpeg(tf.io.read_file(file), channels=3) for file in files]
            if fixed:
                images = [tf.image.resize(image, fixed) for image in images]
            return tf.cast(tf.round(tf.stack(images)) if fixed else tf.stack(images), self._dtype)

    def detect(self, images: tf.Tensor, most: int, least_score: float) -> list[list[list[float]]]:
        """Run the detector.

        Args:
            images: [B, H, W, 3], see decode.
            most: detections kept of each image.
            least_score: of the detections kept.
        Returns:
            For each image a list of [ymin, xmin, ymax, xmax, score, class id], best first, boxes normalized to 0..1.
            Rounded to four digits: beyond them, machines and batch sizes differ.
        """
        outputs = {name: value.numpy() for name, value in self._signature(**{self._name: images}).items()
                   if name in OUTPUTS or name == 'num_detections'}
        boxes, scores, classes = (outputs[name] for name in OUTPUTS)
        counts = outputs.get('num_detections', np.full(len(scores), scores.shape[1]))
        return [_best(boxes[i], scores[i], classes[i], int(counts[i]), most, least_score) for i in range(len(scores))]


def _best(boxes, scores, classes, count, most, least_score):
    scores = np.round(scores[:count].astype(np.float64), 4)
    boxes = np.round(np.clip(boxes[:count].astype(np.float64), 0.0, 1.0), 4)
    order = [i for i in np.argsort(-scores, kind='stable')[:most] if scores[i] >= least_score]
    return [[*boxes[i].tolist(), float(scores[i]), round(float(classes[i]))] for i in order
            if boxes[i][2] > boxes[i][0] and boxes[i][3] > boxes[i][1]]
