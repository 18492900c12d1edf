"""Write a model as the reference's exporter does: saved_model/, checkpoint/ and pipeline.config in one folder."""
import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection import checkpoints, protos
from object_detection.export import companions, output_folder
from object_detection.models.detector import Detector, Tensors
from object_detection.utils.errors import UserError

TOLERANCE = 1e-4  # relative to the largest value; in practice 0, as it is the same graph on the same machine


def trace(model: Detector, input_type: str) -> Any:
    """Trace the function from pictures to detections, on the model's variables.

    Args:
        input_type: what its argument `input_tensor` is, one of export.INPUT_TYPES.
            image_tensor: uint8 [B, H, W, 3].
            float_image_tensor: float32 [B, H, W, 3], 0..255.
            encoded_image_string_tensor: string [B], contents of JPEG, PNG, GIF or BMP files.
            tf_example: string [B], serialized tf.train.Examples with `image/encoded`.
            B, H and W may change from call to call. Encoded pictures of a batch may differ in size if the image_resizer
            makes them one size.
    Returns:
        A concrete function with a dict of float32 tensors as result:
            detection_boxes: [B, D, 4] (ymin, xmin, ymax, xmax), normalized to the image.
            detection_scores: [B, D].
            detection_classes: [B, D], label ids, from 1.
            num_detections: [B].
            and what else the model's `postprocess` returns.
    """
    dtype = {'image_tensor': tf.uint8, 'float_image_tensor': tf.float32}.get(input_type, tf.string)
    shape = [None] if dtype == tf.string else [None, None, None, 3]

    def detect(input_tensor: tf.Tensor) -> Tensors:
        if input_type == 'tf_example':
            features = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}
            input_tensor = tf.io.parse_example(input_tensor, features)['image/encoded']
        inputs, true_shapes = (_preprocess_encoded(model, input_tensor) if dtype == tf.string else
                               model.preprocess(tf.cast(input_tensor, tf.float32)))
        detections = model.postprocess(model.predict(inputs, true_shapes), true_shapes)
        detections['detection_classes'] += 1.  # the model counts classes from 0, label maps from 1
        return {name: tf.cast(tensor, tf.float32) for name, tensor in detections.items()}

    signature = [tf.TensorSpec(shape, dtype, 'input_tensor')]
    return tf.function(detect, input_signature=signature, autograph=False).get_concrete_function()


def _preprocess_encoded(model: Detector, pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Preprocess encoded pictures, string [B], one by one, because their sizes may differ."""
    def prepare(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        inputs, true_shapes = model.preprocess(tf.cast(image[tf.newaxis], tf.float32))
        return inputs[0], true_shapes[0]
    return tf.map_fn(prepare, pictures, fn_output_signature=(tf.float32, tf.int32))


def freeze(detect: Any, variables: Iterable[tf.Variable]) -> Any:
    """Return a copy of the concrete function `detect` with its variables as constants of the graph.

    With constants a detector of 700 variables loads in a quarter of the time and runs faster (TensorFlow folds the
    normalizations into the convolutions). Variables that it does not use are left out.
    """
    variable_of = {id(variable.handle): variable for variable in variables}
    captures = {inner.op.name: outer for outer, inner in detect.graph.captures}
    handles = {name: variable_of[id(outer)] for name, outer in captures.items() if id(outer) in variable_of}
    graph, source = detect.graph.as_graph_def(), detect.inputs[0]
    nodes = [_constant(node.name, handles[node.input[0]]) if node.op == 'ReadVariableOp' else
             _constant(node.name, captures[node.name]) if node.name in captures else node
             for node in graph.node if node.name != source.op.name and node.name not in handles]
    frozen = type(graph)(node=nodes, versions=graph.versions, library=graph.library)
    results = {name: tensor.name for name, tensor in detect.graph.structured_outputs.items()}

    def run(input_tensor: tf.Tensor) -> Tensors:
        tensors = tf.graph_util.import_graph_def(frozen, {source.name: input_tensor}, list(results.values()), name='')
        return dict(zip(results, tensors))

    signature = [tf.TensorSpec(source.shape, source.dtype, source.op.name)]
    copy = tf.function(run, input_signature=signature, autograph=False).get_concrete_function()
    copy.source = detect  # the copy calls its loops by name; TensorFlow forgets them when their owner is collected
    return copy


def _constant(name: str, tensor: tf.Tensor) -> tf.compat.v1.NodeDef:
    value = tf.compat.v1.AttrValue(tensor=tf.make_tensor_proto(tensor.numpy()))
    dtype = tf.compat.v1.AttrValue(type=tensor.dtype.as_datatype_enum)
    return tf.compat.v1.NodeDef(name=name, op='Const', attr={'value': value, 'dtype': dtype})


def write(model: Detector, input_type: str, config: protos.TrainEvalPipelineConfig, folder: str | Path,
          source: companions.Source | None = None) -> float:
    """Write saved_model/, checkpoint/ckpt-0 and their companions into `folder`, all of them or none.

    Before they appear in the folder, the SavedModel is loaded again and compared with the model in memory.

    Args:
        model, input_type: see `trace`.
        config: is kept beside the model.
        source: where the model comes from, for its card and label map.
    Returns:
        The largest difference found by `compare`.
    Raises:
        UserError: a weight is NaN, the comparison failed, or `folder` is not empty or cannot be written to.
        OSError: the disk is full (ENOSPC).
    """
    if broken := [key for key, variable in checkpoints.keys(model).items() if np.isnan(variable.numpy()).any()]:
        raise UserError(f'{len(broken)} variables of the model hold NaN, such as {broken[0]}: training went wrong; '
                        'export an earlier checkpoint')
    with output_folder.atomic(folder) as partial:
        with _full_disk(folder):
            detect, module = trace(model, input_type), tf.Module()
            module.__call__ = freeze(detect, model.variables)
            tf.saved_model.save(module, str(partial / 'saved_model'), signatures=module.__call__)
            checkpoint = tf.train.Checkpoint(model=model)
            tf.train.CheckpointManager(checkpoint, str(partial / 'checkpoint'), 1).save(checkpoint_number=0)
        companions.write(partial, config, source or companions.Source(), 'saved_model')
        return compare(detect, partial / 'saved_model', noise(input_type))


def noise(input_type: str, height: int = 120, width: int = 160) -> tf.Tensor:
    """Return two pictures of noise as an `input_tensor` of this type (see `trace`)."""
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    if input_type in ('image_tensor', 'float_image_tensor'):
        return tf.constant(images, tf.uint8 if input_type == 'image_tensor' else tf.float32)
    encoded = [tf.io.encode_png(image) for image in images]
    return tf.stack([_example(png.numpy()) for png in encoded] if input_type == 'tf_example' else encoded)


def _example(encoded: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    return tf.train.Example(features=tf.train.Features(feature={'image/encoded': feature})).SerializeToString()


def compare(detect: Callable[[tf.Tensor], Tensors], folder: Path, pictures: tf.Tensor) -> float:
    """Compare what the SavedModel in `folder` and the function `detect` return for the same pictures.

    Args:
        pictures: an `input_tensor`, see `trace`.
    Returns:
        The largest difference in any tensor, relative to its largest finite value.
    Raises:
        UserError: it is above TOLERANCE, or the tensors differ in name, in shape, or in where they are not finite.
    """
    with _without_graph_optimizer():
        expected, exported = detect(pictures), tf.saved_model.load(str(folder)).signatures['serving_default'](pictures)
    if expected.keys() != exported.keys():
        raise UserError(f'the exported model returns {sorted(exported)}, the one in memory {sorted(expected)}; nothing '
                        'is written. This is a bug; please report it')
    differences = {name: _difference(expected[name].numpy(), exported[name].numpy()) for name in expected}
    worst = max(differences, key=lambda name: differences[name])
    if differences[worst] > TOLERANCE:
        raise UserError(f'the exported model and the one in memory disagree: {worst} by {differences[worst]:.1e} of '
                        f'its largest value, more than {TOLERANCE:.0e}; nothing is written. This is a bug of the '
                        'exporter or of TensorFlow; please report it')
    return differences[worst]


@contextlib.contextmanager
def _without_graph_optimizer() -> Iterator[None]:
    """Run graphs as they are: to optimize them takes longer than to run two pictures."""
    before = tf.config.optimizer.get_experimental_options().get('disable_meta_optimizer', False)
    tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': before})


def _difference(expected: np.ndarray, exported: np.ndarray) -> float:
    """Return the largest difference relative to the largest finite value; infinities and NaNs must be the same.

    Boxes of good weights can overflow on a picture of noise, so equal infinities are no difference.
    """
    if expected.shape != exported.shape:
        return np.inf
    finite = np.isfinite(expected) & np.isfinite(exported)
    if not np.array_equal(expected[~finite], exported[~finite], equal_nan=True):
        return np.inf
    difference = np.abs(expected[finite] - exported[finite]).max(initial=0)
    return float(difference / max(np.abs(expected[finite]).max(initial=0), 1e-6))


@contextlib.contextmanager
def _full_disk(folder: str | Path) -> Iterator[None]:
    """Turn TensorFlow's error for a full disk into Python's."""
    try:
        yield
    except tf.errors.OpError as error:
        if 'No space left' not in str(error):
            raise
        raise OSError(errno.ENOSPC, 'No space left on device', str(folder)) from error
