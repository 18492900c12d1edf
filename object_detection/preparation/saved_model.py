"""Run a detector's SavedModel on JPEG files, in the detector's process; the only module of preparation/ that imports
TensorFlow."""
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from object_detection.inference.saved_model import OUTPUTS, Signature, signature


def load(folder: str) -> 'Model':
    """Load the detector in a folder; inference.saved_model.Unfit if that is not possible."""
    return Model(signature(folder))


class Model:
    """A detector. takes_batches: whether it takes several images of one size at once."""

    def __init__(self, serving: Signature) -> None:
        self._serving, self.takes_batches = serving, serving.takes_batches

    def decode(self, files: Sequence[str], shape: tuple[int, int] | None) -> tf.Tensor:
        """Read JPEG files.

        Args:
            files: their paths.
            shape: (H, W) to resize to if the model's input has no fixed size; None to keep their size.
        Returns:
            [len(files), H, W, 3], uint8 or float32 as the model takes it, 0 to 255.
        """
        fixed = shape if None in self._serving.size else self._serving.size
        with tf.device('CPU'):
            images = [tf.io.decode_jpeg(tf.io.read_file(file), channels=3) for file in files]
            if fixed:
                images = [tf.image.resize(image, fixed) for image in images]
            return tf.cast(tf.round(tf.stack(images)) if fixed else tf.stack(images), self._serving.dtype)

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
        outputs = {name: value.numpy() for name, value in self._serving.call(images).items()
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
