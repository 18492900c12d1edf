"""Let the reference run on TensorFlow 2.15: put back three names that tf_slim imports from their old place."""
import tensorflow as tf
from tensorflow.python.ops import control_flow_ops

for name in ('case', 'cond', 'while_loop'):
    if not hasattr(control_flow_ops, name):
        setattr(control_flow_ops, name, getattr(tf.compat.v1, name))
