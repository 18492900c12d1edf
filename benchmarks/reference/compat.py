"""What the reference needs to run on TensorFlow 2.15: tf_slim looks for three names where they no longer are."""
import tensorflow as tf
from tensorflow.python.ops import control_flow_ops

for name in ('case', 'cond', 'while_loop'):
    if not hasattr(control_flow_ops, name):
        setattr(control_flow_ops, name, getattr(tf.compat.v1, name))
