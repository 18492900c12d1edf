"""Does an .onnx file run in ONNX Runtime, OpenVINO and OpenCV's DNN, and find the same?

    pip install onnxruntime openvino opencv-python-headless
    python -m benchmarks.onnx_runtimes --pipeline_config_path CONFIG --checkpoint CKPT --pictures FOLDER

Exports the model three times: as it is; for pictures of the network's own size; and without NMS. Each file goes through
each runtime, and what comes out is compared with the SavedModel: detections for the first two, all boxes and scores
before NMS for the third.
"""
import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.utils import console, environment

Call = Callable[[np.ndarray], dict[str, np.ndarray]]
MIN_SCORE = .3


def onnx_runtime(path: Path, names: list[str]) -> Call:
    """Return a function from an input to the outputs of the file."""
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda values: dict(zip(names, session.run(names, {'input_tensor': values})))


def openvino(path: Path, names: list[str]) -> Call:
    """As onnx_runtime."""
    import openvino as runtime
    compiled = runtime.Core().compile_model(str(path), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})

    def call(values: np.ndarray) -> dict[str, np.ndarray]:
        results = compiled({'input_tensor': values})
        return {name: results[name] for name in names}
    return call


def opencv(path: Path, names: list[str]) -> Call:
    """As onnx_runtime."""
    import cv2
    network = cv2.dnn.readNetFromONNX(str(path))

    def call(values: np.ndarray) -> dict[str, np.ndarray]:
        network.setInput(values, 'input_tensor')
        return dict(zip(names, network.forward(names)))
    return call


RUNTIMES = {'ONNX Runtime': onnx_runtime, 'OpenVINO': openvino, 'OpenCV': opencv}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pipeline_config_path', required=True)
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--pictures', default='', metavar='FOLDER', help='drawn ones unless given')
    parser.add_argument('--count', type=int, default=20, help='pictures')
    options = parser.parse_args()
    environment.prepare_tensorflow()

    from benchmarks.formats import pictures
    from object_detection import checkpoints
    from object_detection.config import pipeline
    from object_detection.export import companions, onnx_file
    from object_detection.inference import checkpoint
    from object_detection.models import build
    config = pipeline.read(options.pipeline_config_path)
    model = build.build(config.model)
    checkpoints.restore_model(model, checkpoints.load(options.checkpoint), config.eval_config.use_moving_averages)
    images = pictures(options.pictures, options.count)
    expected = checkpoint.runner_of(model, 'SavedModel', {}).detect(images)
    cases = {'pictures': onnx_file.Options(), 'network\'s size': onnx_file.Options('float_image_tensor', False, 1),
             'no NMS': onnx_file.Options('float_image_tensor', False, 1, 'none')}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case, wanted in cases.items():
            path = onnx_file.write(model, config, Path(folder, case.replace(' ', '_')), wanted, companions.Source())
            reference = _raw(model, images) if wanted.nms == 'none' else expected
            for runtime, open_file in RUNTIMES.items():
                rows.append((case, runtime, *_try(open_file, path, images, reference)))
    console.table(['input', 'runtime', 'works', 'boxes, px', 'scores', 'ms'], rows)


def _raw(model: Any, images: list[np.ndarray]) -> list[Any]:
    """Return the boxes and scores before NMS of each picture."""
    import tensorflow as tf
    found = []
    for image in images:
        inputs, shapes = model.preprocess(tf.constant(image[np.newaxis], tf.float32))
        detections = model.postprocess(model.predict(inputs, shapes), shapes)
        found.append((detections['raw_detection_boxes'].numpy(),
                      detections['raw_detection_scores'].numpy()[..., -model.num_classes:]))
    return found


def _try(open_file, path, images, expected):
    """Return whether a runtime runs a file, the largest differences, and the median time in milliseconds."""
    import onnx

    from object_detection.export import description
    from object_detection.inference import images as pixels
    from object_detection.inference.agreement import agreement
    from object_detection.inference.detections import from_outputs
    proto = onnx.load(path)
    about = description.from_json({entry.key: entry.value for entry in proto.metadata_props}[description.FILE], '')
    names = list(about.outputs)
    try:
        call = open_file(path, names)
        found, times, boxes, scores = [], [], [0.], [0.]
        for number, image in enumerate(images):
            values, share = pixels.prepare(image, about.input)
            start = time.perf_counter()
            outputs = call(values[np.newaxis])
            times.append(time.perf_counter() - start)
            if 'detection_boxes' in outputs:
                found.append(pixels.restore(from_outputs(outputs, 0), share))
            else:
                size = np.tile(np.array(image.shape[:2]) / share, 2)
                boxes.append(float(np.abs((outputs['raw_detection_boxes'] - expected[number][0]) * size).max()))
                scores.append(float(np.abs(outputs['raw_detection_scores'] - expected[number][1]).max()))
    except Exception as error:  # what a runtime raises is the result
        return str(error).strip().replace('\n', ' ')[:100], '', '', ''
    milliseconds = f'{np.median(times) * 1000:.1f}'
    if not found:
        return 'yes', f'{max(boxes):.4f}', f'{max(scores):.0e}', milliseconds
    agreed = agreement(expected, found, [image.shape for image in images], MIN_SCORE)
    works = f'{agreed.detections - agreed.lost} of {agreed.detections} found'
    return works, f'{agreed.pixels:.4f}', f'{agreed.score:.0e}', milliseconds


if __name__ == '__main__':
    main()
