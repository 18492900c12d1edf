"""Drawn pictures as records, any pipeline.config pointed at them, and its training step."""
import inspect

from demo import make_records, shapes
from object_detection.config import pipeline as config
from object_detection.utils import files


def records(folder, train, test):
    """Write train.tfrecords and test.tfrecords, of so many pictures, and label_map.pbtxt."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate({'train': train, 'test': test}.items()):
        shapes.draw(folder / f'{name}_boxes.tfrecords', count, seed)
        shapes.complete(folder / f'{name}_boxes.tfrecords', folder / f'{name}.tfrecords')
    files.write_text(folder / 'label_map.pbtxt', shapes.label_map())


def scenes(folder, train, test):
    """As `records`, of scenes of 640 x 640 pixels, without masks."""
    folder.mkdir(parents=True, exist_ok=True)
    make_records.write_data_set(folder, train=train, test=test, seed=0, size=640)


def adapted(path, data, size, batch_size, steps, num_classes=None, max_boxes=None):
    """Return the text of a pipeline.config that trains on `data`; what is None stays as it is.

    size: height and width of the input.
    """
    pipeline = config.read(path)
    training = pipeline.train_config
    training.batch_size, training.num_steps = batch_size, steps
    for field in ('fine_tune_checkpoint', 'fine_tune_checkpoint_type', 'sync_replicas', 'replicas_to_aggregate',
                  'use_bfloat16'):
        training.ClearField(field)
    _, model = config.architecture(pipeline)
    if num_classes:
        model.num_classes = num_classes
    if max_boxes:
        training.max_number_of_boxes = max_boxes
    if size:
        model.image_resizer.Clear()
        model.image_resizer.fixed_shape_resizer.height = model.image_resizer.fixed_shape_resizer.width = size
    del pipeline.eval_input_reader[1:]
    for reader, name in zip((pipeline.train_input_reader, pipeline.eval_input_reader[0]), ('train', 'test')):
        reader.ClearField('num_keypoints')  # the drawn records have none
        reader.label_map_path = f'{data.as_posix()}/label_map.pbtxt'
        reader.tf_record_input_reader.input_path[:] = [f'{data.as_posix()}/{name}.tfrecords']
    return config.to_text(pipeline)


def steps(path, folder, size, batch_size, **changes):
    """Build the model of a pipeline.config for the records in `folder`, and the means to trace its training step.

    Args:
        size, batch_size, changes: of `adapted`.
    Returns:
        The batches, a dataset; and trace(**options of trace_step) -> the ConcreteFunction of the step.
    """
    import tensorflow as tf

    from object_detection import inputs
    from object_detection.config import label_map
    from object_detection.models import build
    from object_detection.training import optimizer
    from object_detection.training.step import trace_step, trainable

    pipeline = config.parse(adapted(path, folder, size, batch_size, 100, **changes))
    model = build.build(pipeline.model, seed=0)
    updates = optimizer.build(pipeline.train_config.optimizer, list(model.trainable_variables))
    count = tf.Variable(0, dtype=tf.int64)
    dataset = inputs.train_dataset(pipeline, model.resizer, label_map.load(pipeline.train_input_reader.label_map_path))

    def trace(**options):
        step = trace_step(model, trainable(model, pipeline.train_config), updates, count, pipeline.train_config,
                          tf.distribute.get_strategy(), dataset.element_spec, **options)
        return inspect.getclosurevars(step).nonlocals['whole']
    return dataset, trace
