"""Convert a traced detector (tflite_graph.py) to a .tflite file that carries its description, labels and metadata."""
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from object_detection import protos
from object_detection.export import (
    calibration,
    companions,
    describe,
    output_folder,
    saved_model,
    tflite_file,
    tflite_graph,
    tflite_metadata,
)
from object_detection.models.detector import Detector
from object_detection.utils import console

NAME = 'model.tflite'


@dataclasses.dataclass(frozen=True)
class Options:
    """What a .tflite shall be.

    Attributes:
        max_detections, regular_nms, keypoints, score_threshold: see tflite_graph.trace.
        quantize: one of export.QUANTIZATIONS. none: float32. float16: weights of 16 bits. dynamic: weights of 8 bits,
            computed with in 8 bits where the processor can. int8: weights and activations of 8 bits.
        input_type: of an int8 network's input, one of export.LITE_INPUTS.
        int8_heads: quantize also the last layer of an int8 network's heads, whose outputs 256 steps make coarse.
        calibration_pictures: how many training pictures set the ranges of an int8 network.
    """
    max_detections: int = 10
    regular_nms: bool = False
    keypoints: bool = False
    quantize: str = 'none'
    input_type: str = 'uint8'
    calibration_pictures: int = 200
    score_threshold: float | None = None
    int8_heads: bool = False


def write(model: Detector, config: protos.TrainEvalPipelineConfig, folder: str | Path, options: Options,
          source: companions.Source) -> Path:
    """Write model.tflite, the saved_model/ that TensorFlow's own converter takes, and its companions into `folder`, all
    of them or none.

    Args:
        model: with its weights.
        config: in which limits.lite finds nothing; int8 reads its training records.
        source: where the model comes from.
    Returns:
        The path of the .tflite.
    """
    int8 = options.quantize == 'int8'
    normalized = describe.normalization(model) is not None
    detect = tflite_graph.trace(model, options.max_detections, options.regular_nms, not normalized, options.keypoints,
                                options.score_threshold)
    dtype = options.input_type if int8 else 'float32'
    about = describe.describe(
        model, config, describe.describe_input(model, tflite_file.INPUT, dtype, normalized),
        {name: name for name in detect.structured_outputs}, source.names, str(source), first_class=0,
        regular_nms=options.regular_nms)
    content = convert(saved_model.freeze(detect, model.variables), options, lambda: calibration.images(
        config, model, options.calibration_pictures, normalized))
    with output_folder.atomic(folder) as partial:
        module = tf.Module()
        module.model, module.__call__ = model, detect
        tf.saved_model.save(module, str(partial / 'saved_model'), signatures=detect)
        (partial / NAME).write_bytes(tflite_metadata.add(content, about))
        companions.write(partial, config, source, NAME, about)
    return Path(folder, NAME)


def convert(detect: Any, options: Options, images: Callable[[], Iterable[np.ndarray]]) -> bytes:
    """Convert to LiteRT's built-in operators.

    Args:
        detect: from tflite_graph.trace, frozen: of 300 variables the converter makes constants in 2.5 s.
        options: what the file shall be.
        images: returns inputs, float32 [1, h, w, 3], whose activations set the ranges of an int8 network.
    Returns:
        The content of a .tflite file, with outputs in the order of tflite_graph.OUTPUTS, and under these names.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([detect], tf.Module())
    converter.allow_custom_ops = True  # tflite_graph.OPERATOR is one
    if options.quantize != 'none':
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if options.quantize == 'float16':
        converter.target_spec.supported_types = [tf.float16]
    with console.muffled():
        content = _int8(converter, options, images) if options.quantize == 'int8' else converter.convert()
    return tflite_file.with_named_outputs(content)


def _int8(converter: Any, options: Options, images: Callable[[], Iterable[np.ndarray]]) -> bytes:
    """Calibrate and quantize. These are the two steps of converter.convert(); between them the nodes that stay in
    floats can be chosen.
    """
    converter.representative_dataset = lambda: ([image] for image in images())
    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
    return mlir_quantize(calibrated, input_data_type=tf.uint8 if options.input_type == 'uint8' else tf.float32,
                         denylisted_nodes=None if options.int8_heads else tflite_file.heads(calibrated))
