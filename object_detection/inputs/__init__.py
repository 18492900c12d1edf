"""Records -> augmented, resized, padded batches, in an order that depends only on the seed and the step.

order.py: which record comes when. decode.py: bytes of a record -> sample (sample.py). augmentation/: changes of a
sample. dataset.py: all of that as a tf.data.Dataset.
"""
from object_detection.inputs.dataset import eval_dataset, naming_broken_records, train_dataset

__all__ = ['eval_dataset', 'naming_broken_records', 'train_dataset']
