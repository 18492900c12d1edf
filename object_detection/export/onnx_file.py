"""Write a detector as an .onnx file that carries its description, and check that all of it was converted."""
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from object_detection import protos
from object_detection.export import OPSETS, companions, describe, description, output_folder, saved_model
from object_detection.models.detector import Detector, Tensors
from object_detection.utils import tracing
from object_detection.utils.errors import UserError

NAME = 'model.onnx'
INPUT = 'input_tensor'
OUTPUTS = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections', 'detection_masks',
           'detection_keypoints', 'detection_keypoint_scores')
RAW = ('raw_detection_boxes', 'raw_detection_scores')
_MISSING = 'export to ONNX needs onnx and tf2onnx: pip install "object-detection[onnx]", or in a checkout ' \
           'pip install onnx tf2onnx onnxruntime'


@dataclasses.dataclass(frozen=True)
class Options:
    """What an .onnx file shall be.

    Attributes:
        input_type: image_tensor (uint8) or float_image_tensor (float32, 0..255).
        any_size: the input is pictures of any size, as a SavedModel takes them; False: of the size that the
            image_resizer makes, resized and padded already.
        batch: number of pictures; None for any.
        nms: class: detections, as a SavedModel returns them; none: the boxes and scores before NMS.
        opset: of export.OPSETS.
    """
    input_type: str = 'image_tensor'
    any_size: bool = True
    batch: int | None = None
    nms: str = 'class'
    opset: int = 17


def write(model: Detector, config: protos.TrainEvalPipelineConfig, folder: str | Path, options: Options,
          source: companions.Source) -> Path:
    """Write model.onnx and its companions into `folder`, all of them or none.

    Args:
        model: with its weights.
        config: in which limits.onnx finds nothing.
        source: where the model comes from.
    Returns:
        The path of the .onnx.
    Raises:
        UserError: onnx or tf2onnx are missing, or an operator has no counterpart in ONNX.
    """
    try:
        import onnx
        import tf2onnx  # noqa: F401  # runs in a process of its own
    except ImportError as error:
        raise UserError(f'{_MISSING} ({error})') from error
    with tracing.portable_ops():
        detect = saved_model.freeze(trace(model, options), model.variables)
    given = dataclasses.replace(
        describe.describe_input(model, INPUT, 'uint8' if options.input_type == 'image_tensor' else 'float32', False)
        if not options.any_size else description.Input(INPUT, 0, 0), dtype=detect.inputs[0].dtype.name)
    about = describe.describe(model, config, given, {name: name for name in detect.structured_outputs}, source.names,
                              str(source), first_class=1)
    with output_folder.atomic(folder) as partial:
        proto = onnx.load(_convert(detect, partial / NAME, options.opset))
        if foreign := _foreign(proto):
            raise UserError(f'{len(foreign)} operators have no counterpart in ONNX: {", ".join(foreign)}; nothing is '
                            f'written. Try another --opset ({OPSETS[0]} to {OPSETS[-1]})')
        onnx.checker.check_model(proto)
        onnx.helper.set_model_props(proto, {description.FILE: about.to_json()})
        onnx.save(proto, partial / NAME)
        companions.write(partial, config, source, NAME, about)
    return Path(folder, NAME)


def trace(model: Detector, options: Options) -> Any:
    """Trace the function from pictures to detections.

    Returns:
        A concrete function of `input_tensor` [B, H, W, 3] that returns a dict of OUTPUTS, as far as the model has them,
        as saved_model.trace does; or of RAW: float32 [B, A, 4] and [B, A, C], without background.
    """
    height, width = (None, None) if options.any_size else model.resizer.size or (0, 0)
    dtype = tf.uint8 if options.input_type == 'image_tensor' else tf.float32

    def detect(input_tensor: tf.Tensor) -> Tensors:
        images = tf.cast(input_tensor, tf.float32)
        if options.any_size:
            inputs, shapes = model.preprocess(images)
        else:
            shapes = tf.tile([[height, width, 3]], [tf.shape(images)[0], 1])
            inputs = model.normalize(images, shapes)
        found = model.postprocess(model.predict(inputs, shapes), shapes)
        if options.nms == 'none':
            boxes, scores = (found[name] for name in RAW)
            return dict(zip(RAW, (boxes, scores[..., -model.num_classes:])))
        found['detection_classes'] += 1.
        return {name: tf.cast(found[name], tf.float32) for name in OUTPUTS if name in found}

    signature = [tf.TensorSpec([options.batch, height, width, 3], dtype, INPUT)]
    return tf.function(detect, input_signature=signature, autograph=False).get_concrete_function()


def _convert(detect: Any, path: Path, opset: int) -> Path:
    """Convert in a process of its own: the converter leaves TensorFlow without the functions that it had."""
    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.__call__ = detect
        tf.saved_model.save(module, folder, signatures=detect)
        command = [sys.executable, '-m', 'tf2onnx.convert', '--saved-model', folder, '--output', str(path),
                   '--opset', str(opset)]
        done = subprocess.run(command, capture_output=True, text=True, errors='replace',
                              env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'})
    if done.returncode or not path.is_file():
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise UserError(f'tf2onnx could not convert the model: {last}; nothing is written')
    return path


def _foreign(proto: Any) -> list[str]:
    """Return the names of operators that are not ONNX's: what the converter could not convert."""
    import onnx
    versions = {entry.domain: entry.version for entry in proto.opset_import}

    def search(graph: Any) -> Iterator[str]:
        for node in graph.node:
            if node.domain or not onnx.defs.has(node.op_type, versions[''], ''):
                yield f'{node.domain}.{node.op_type}'.lstrip('.')
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    yield from search(inner)
    return sorted(set(search(proto.graph)))
