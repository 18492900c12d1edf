"""Run an .onnx file in ONNX Runtime."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from object_detection.export import description
from object_detection.inference import images as pixels
from object_detection.inference.detections import Detections, from_outputs
from object_detection.utils import errors

_MISSING = '.onnx files run in ONNX Runtime: pip install "object-detection[onnx]", or in a checkout pip install ' \
           'onnxruntime'


class OnnxRunner:
    """A Runner (inference/detections.py) of an .onnx file that describes itself (export/description.py).

    Attributes:
        description: what the file says of itself.
    """

    def __init__(self, path: Path, labels: dict[int, str], threads: int | None = None) -> None:
        """Load the file; UserError if it does not describe itself, has no NMS, or ONNX Runtime refuses it.

        Args:
            labels: {label id: name}; empty for those in the file.
            threads: None for all cores.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise errors.UserError(f'{_MISSING} ({error})') from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Threads that wait for each other would take the cores from those that decode and draw.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = onnxruntime.InferenceSession(str(path), options,
                                                         providers=onnxruntime.get_available_providers())
        except Exception as error:  # its exceptions have no class in common
            raise errors.UserError(f'{path}: ONNX Runtime cannot load it: {str(error).splitlines()[0]}') from error
        known = self._session.get_modelmeta().custom_metadata_map
        if description.FILE not in known:
            raise errors.UserError(f'{path}: holds no {description.FILE}, which says how pictures become its input; '
                                   'export it with export_onnx.py')
        self.name, self.description = str(path), description.from_json(known[description.FILE], str(path))
        if 'detection_boxes' not in self.description.outputs:
            raise errors.UserError(f'{path}: was exported with --nms none, for runtimes with an NMS of their own; '
                                   'export it with --nms class')
        self.labels = labels or self.description.labels
        batch = self._session.get_inputs()[0].shape[0]
        self.batch = batch if isinstance(batch, int) else None

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As Runner.detect. Pictures of one size that follow each other are one call of the network."""
        spec = self.description.input
        prepared = [pixels.prepare(image, spec) for image in images]
        found: list[Detections] = []
        while len(found) < len(prepared):
            first = prepared[len(found)][0]
            same = [first]
            for values, _ in prepared[len(found) + 1:]:
                if values.shape != first.shape or len(same) == self.batch:
                    break
                same.append(values)
            found += self._run(np.stack(same))
        return [pixels.restore(each, share) for each, (_, share) in zip(found, prepared)]

    def _run(self, batch: np.ndarray) -> list[Detections]:
        count = len(batch)
        if self.batch and count < self.batch:  # fill up a batch of fixed size
            batch = np.concatenate([batch, np.repeat(batch[-1:], self.batch - count, 0)])
        names = self.description.outputs
        values = self._session.run(list(names.values()), {self.description.input.name: batch})
        outputs = dict(zip(names, values))
        return [from_outputs(outputs, i, self.description.first_class) for i in range(count)]
