"""How the commands that run detectors load them."""
from pathlib import Path
from typing import Any

from object_detection.utils import files

COCO = 'coco'  # in place of a label map: the classes of the zoo's models


def load(path: str, config: Path | None, label_map: str, threads: int | None) -> Any:
    """Return the Runner of a model (inference.load), with the names of its classes.

    Args:
        config: pipeline.config of a checkpoint; None for the one beside it.
        label_map: a file, COCO, or '' for what lies beside the model.
        threads: of the processor, for .tflite and .onnx.
    """
    from object_detection.inference import load
    named = files.existing_file(label_map) if label_map not in ('', COCO) else None
    runner = load.load(path, config, named, threads)
    if label_map == COCO:
        from object_detection.preparation.detections import COCO_NAMES
        runner.labels = COCO_NAMES
    return runner
