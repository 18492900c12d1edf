"""A model as the folder the reference's exporter writes: saved_model/, checkpoint/, pipeline.config."""
import contextlib
import errno

import numpy as np
import tensorflow as tf

from object_detection.config import pipeline
from object_detection.export import output_folder

TOLERANCE = 1e-4  # of the largest value; the same graph on the same machine, so in practice 0


def trace(model, input_type):
    """The concrete function from pictures to detections, on the model's variables.

    Args:
        model: from models/build.py.
        input_type: what its one argument `input_tensor` is. image_tensor: uint8 [batch, height, width, 3].
            float_image_tensor: the same in float32, 0..255. encoded_image_string_tensor: string [batch], the bytes of
            JPEG, PNG, GIF or BMP files. tf_example: string [batch], each a tf.train.Example with `image/encoded`. Batch
            and picture size are free at each call; encoded pictures of one batch may differ in size if image_resizer
            makes them one size.
    Returns:
        A function whose result is a dict of float32 tensors as the reference's: detection_boxes [batch, n, 4] (ymin,
        xmin, ymax, xmax, 0..1), detection_scores [batch, n], detection_classes [batch, n] (label ids, from 1),
        num_detections [batch], raw_detection_boxes, and whatever else the model's `postprocess` has.
    """
    dtype = {'image_tensor': tf.uint8, 'float_image_tensor': tf.float32}.get(input_type, tf.string)
    shape = [None] if dtype == tf.string else [None, None, None, 3]

    def detect(input_tensor):
        if input_type == 'tf_example':
            features = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}
            input_tensor = tf.io.parse_example(input_tensor, features)['image/encoded']
        prepare = _from_encoded if dtype == tf.string else _from_images
        inputs, true_shapes = prepare(model, input_tensor)
        detections = model.postprocess(model.predict(inputs, true_shapes), true_shapes)
        detections['detection_classes'] += 1.  # the model counts classes from 0, label maps from 1
        return {name: tf.cast(tensor, tf.float32) for name, tensor in detections.items()}

    signature = [tf.TensorSpec(shape, dtype, 'input_tensor')]
    return tf.function(detect, input_signature=signature, autograph=False).get_concrete_function()


def _from_images(model, images):
    return model.preprocess(tf.cast(images, tf.float32))


def _from_encoded(model, pictures):
    """Each picture is decoded and resized for itself: sizes differ."""
    def prepare(encoded):
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        inputs, true_shapes = _from_images(model, image[tf.newaxis])
        return inputs[0], true_shapes[0]
    return tf.map_fn(prepare, pictures, fn_output_signature=(tf.float32, tf.int32))


def frozen(detect, variables):
    """The concrete function `detect` with the values of its variables as constants of the graph.

    With constants a detector of 700 variables loads in a quarter of the time and answers faster (TensorFlow folds the
    normalizations into the convolutions), and variables that it does not use stay behind.
    """
    variable_of = {id(variable.handle): variable for variable in variables}
    captures = {inner.op.name: outer for outer, inner in detect.graph.captures}
    handles = {name: variable_of[id(outer)] for name, outer in captures.items() if id(outer) in variable_of}
    graph, source = detect.graph.as_graph_def(), detect.inputs[0]
    kept = [_constant(node.name, handles[node.input[0]]) if node.op == 'ReadVariableOp' else
            _constant(node.name, captures[node.name]) if node.name in captures else node
            for node in graph.node if node.name != source.op.name and node.name not in handles]
    kept = type(graph)(node=kept, versions=graph.versions, library=graph.library)
    results = {name: tensor.name for name, tensor in detect.graph.structured_outputs.items()}

    def run(input_tensor):
        found = tf.graph_util.import_graph_def(kept, {source.name: input_tensor}, list(results.values()), name='')
        return dict(zip(results, found))

    signature = [tf.TensorSpec(source.shape, source.dtype, source.op.name)]
    return tf.function(run, input_signature=signature, autograph=False).get_concrete_function()


def _constant(name, tensor):
    value = tf.compat.v1.AttrValue(tensor=tf.make_tensor_proto(tensor.numpy()))
    dtype = tf.compat.v1.AttrValue(type=tensor.dtype.as_datatype_enum)
    return tf.compat.v1.NodeDef(name=name, op='Const', attr={'value': value, 'dtype': dtype})


def write(model, input_type, config, folder):
    """Write saved_model/, checkpoint/ckpt-0 and pipeline.config into `folder`, all of it or nothing.

    Before it appears in the folder, the SavedModel is loaded again and compared with the model in memory.

    Args:
        model, input_type: see `trace`.
        config: TrainEvalPipelineConfig, kept beside the model.
    Returns:
        The largest difference the comparison found, relative to the largest value of the tensor.
    Raises:
        UserError: `folder` is not empty, or cannot be written to.
        OSError: the disk is full (ENOSPC).
        RuntimeError: the comparison failed.
    """
    with output_folder.atomic(folder) as partial:
        with _full_disk(folder):
            detect, module = trace(model, input_type), tf.Module()
            module.__call__ = frozen(detect, model.variables)
            tf.saved_model.save(module, str(partial / 'saved_model'), signatures=module.__call__)
            checkpoint = tf.train.Checkpoint(model=model)
            tf.train.CheckpointManager(checkpoint, str(partial / 'checkpoint'), 1).save(checkpoint_number=0)
        pipeline.write(config, partial / 'pipeline.config')
        return compare(detect, partial / 'saved_model', sample(input_type))


def sample(input_type, height=120, width=160):
    """Two pictures of noise as a model of this input type takes them."""
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    if input_type in ('image_tensor', 'float_image_tensor'):
        return tf.constant(images, tf.uint8 if input_type == 'image_tensor' else tf.float32)
    encoded = [tf.io.encode_png(image) for image in images]
    return tf.stack([_example(png.numpy()) for png in encoded] if input_type == 'tf_example' else encoded)


def _example(encoded):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    return tf.train.Example(features=tf.train.Features(feature={'image/encoded': feature})).SerializeToString()


def compare(detect, folder, pictures):
    """Load the SavedModel in `folder` and hold its answer for `pictures` against that of the function `detect`.

    Returns:
        The largest difference of any tensor, relative to its largest value.
    Raises:
        RuntimeError: it is above TOLERANCE, or the two give different tensors.
    """
    with _as_it_stands():
        expected, found = detect(pictures), tf.saved_model.load(str(folder)).signatures['serving_default'](pictures)
    if expected.keys() != found.keys():
        raise RuntimeError(f'the exported model gives {sorted(found)}, the one in memory {sorted(expected)}')
    differences = {name: _difference(expected[name].numpy(), found[name].numpy()) for name in expected}
    worst = max(differences, key=differences.get)
    if differences[worst] > TOLERANCE:
        raise RuntimeError(f'the exported model and the one in memory disagree: {worst} by {differences[worst]:.1e} of '
                           f'its largest value, more than {TOLERANCE:.0e}')
    return differences[worst]


@contextlib.contextmanager
def _as_it_stands():
    """Graphs run without being optimized first, which takes longer than two pictures do."""
    before = tf.config.optimizer.get_experimental_options().get('disable_meta_optimizer', False)
    tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': before})


def _difference(expected, found):
    difference = np.abs(expected - found).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-6)
    return float(np.nan_to_num(difference, nan=np.inf))


@contextlib.contextmanager
def _full_disk(folder):
    """TensorFlow's words for a full disk become Python's."""
    try:
        yield
    except tf.errors.OpError as error:
        if 'No space left' not in str(error):
            raise
        raise OSError(errno.ENOSPC, 'No space left on device', str(folder)) from error
