"""Losses of CenterNet do not depend on the number of devices. In a process of its own: devices are configured once."""
import subprocess
import sys

SCRIPT = '''
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from google.protobuf import text_format
from object_detection import protos
from object_detection.models import build
from tests.golden import make_center_net as made

def model(labels):
    text = made.model_text('hourglass_10', *made.MODES['single_class'], labels)
    return build.build(text_format.Parse(text, protos.DetectionModel()))

def batch():
    boxes, classes, weights, keypoints = made.groundtruth(1)
    maps = {name: tf.constant(value) for name, value in made.maps({
        'object_center': (2, 16, 12, 1), 'box/scale': (2, 16, 12, 2), 'box/offset': (2, 16, 12, 2),
        'pose/keypoint/heatmap': (2, 16, 12, 3), 'pose/keypoint/regression': (2, 16, 12, 6),
        'pose/keypoint/offset': (2, 16, 12, 6)}).items()}
    groundtruth = {'groundtruth_boxes': tf.constant(boxes), 'groundtruth_classes': tf.one_hot(classes, 1),
                   'groundtruth_weights': tf.constant(weights), 'groundtruth_keypoints': tf.constant(keypoints),
                   'num_groundtruth_boxes': tf.constant([4, 2])}
    return maps, tf.constant(made.SHAPES), groundtruth

def loss(maps, shapes, groundtruth):
    return net.loss({name: [value] for name, value in maps.items()}, shapes, groundtruth)

import pathlib, tempfile
labels = pathlib.Path(tempfile.mkdtemp()) / 'labels.pbtxt'
labels.write_text(made.LABELS)
strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
with strategy.scope():
    net = model(labels)
whole = loss(*batch())
def part(context):
    index = context.replica_id_in_sync_group
    return tf.nest.map_structure(lambda value: value[index:index + 1], batch())
halves = strategy.experimental_distribute_values_from_function(part)
parts = tf.function(lambda values: strategy.run(loss, values), autograph=False)(halves)
for name, value in whole.items():
    mean = float(strategy.reduce('MEAN', parts[name], axis=None))
    assert abs(mean - float(value)) < 1e-5 * abs(float(value)), (name, mean, float(value))
print('equal', len(whole))
'''


def test_two_devices_have_the_losses_of_one():
    done = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == 'equal 6', done.stderr[-2000:]
