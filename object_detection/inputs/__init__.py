"""Records -> augmented, resized, padded batches, in an order that depends on the seed and the step alone."""
from object_detection.inputs.dataset import blame, eval_dataset, train_dataset

__all__ = ['blame', 'eval_dataset', 'train_dataset']
