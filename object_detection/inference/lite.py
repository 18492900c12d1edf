"""Run a .tflite file in LiteRT."""
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.export import description
from object_detection.inference import images as pixels
from object_detection.inference.detections import Detections, from_outputs
from object_detection.utils import console, environment, errors


class LiteRunner:
    """A Runner (inference/detections.py) of a .tflite file that describes itself (export/description.py).

    Attributes:
        description: what the file says of itself.
    """

    batch: int | None = 1

    def __init__(self, path: Path, labels: dict[int, str], threads: int | None = None) -> None:
        """Load the file; UserError if it does not describe itself, or LiteRT refuses it.

        Args:
            labels: {label id: name}; empty for those in the file.
            threads: None for all cores.
        """
        self.name, self.description = str(path), _description(path)
        self.labels = labels or self.description.labels
        threads = 1 if self.description.regular_nms else threads or os.cpu_count() or 1
        try:
            with console.muffled():
                self._interpreter = interpreter(path, threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise errors.UserError(f'{path}: LiteRT cannot load it: {str(error).splitlines()[0]}') from error
        self._input = self._interpreter.get_input_details()[0]
        indices = {detail['name']: detail['index'] for detail in self._interpreter.get_output_details()}
        self._outputs = {meaning: indices[name] for meaning, name in self.description.outputs.items()}

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As Runner.detect, one picture after the other."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> Detections:
        values, share = pixels.prepare(image, self.description.input)
        outputs = self.run(self.quantized(values))
        return pixels.restore(from_outputs(outputs, 0, self.description.first_class), share)

    def quantized(self, values: np.ndarray) -> np.ndarray:
        """Turn an input [height, width, 3] (images.prepare) into what the network takes.

        A uint8 network takes pixels 0..255 as they are: its quantization contains the normalization.
        """
        return values.astype(self._input['dtype'], copy=False)

    def run(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network on one input [height, width, 3]; return arrays [1, ...] under the SavedModel's names."""
        self._interpreter.set_tensor(self._input['index'], values[np.newaxis])
        self._interpreter.invoke()
        return {meaning: self._interpreter.get_tensor(index) for meaning, index in self._outputs.items()}


def interpreter(path: Path, threads: int) -> Any:
    """Return LiteRT's interpreter of a file; the one in TensorFlow where the package ai-edge-litert is missing."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        environment.prepare_tensorflow()
        import tensorflow as tf
        Interpreter = tf.lite.Interpreter
    return Interpreter(model_path=str(path), num_threads=threads)


def _description(path: Path) -> description.Description:
    try:
        with zipfile.ZipFile(path) as inside:
            text = inside.read(description.FILE).decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise errors.UserError(f'{path}: holds no {description.FILE}, which says how pictures become its input; '
                               'export it with export_tflite_graph_tf2.py') from error
    return description.from_json(text, str(path))
