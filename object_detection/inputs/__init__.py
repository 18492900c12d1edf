"""Records -> augmented, resized, padded batches, in an order that depends only on the seed and the step.

order.py: which record comes when. decode.py: bytes of a record -> sample (sample.py). augmentation/: changes of a
sample. dataset.py: all of that as a tf.data.Dataset.

The TF2 Object Detection API has a module of this name, whose train_input, eval_input, ... people's programs import from
here. They are in builders/input_functions.py, above this package.
"""
import importlib
from typing import Any

from object_detection.inputs.dataset import BrokenRecords, eval_dataset, naming_broken_records, train_dataset

__all__ = ['BrokenRecords', 'eval_dataset', 'naming_broken_records', 'train_dataset']


def __getattr__(name: str) -> Any:
    """Return what the TF2 Object Detection API's module `inputs` has under this name."""
    if name in ('HASH_BINS', 'HASH_KEY', 'augment_input_data', 'create_eval_input_fn', 'create_train_input_fn',
                'eval_input', 'train_input', 'transform_input_data', 'pad_input_data_to_static_shapes',
                'convert_labeled_classes_to_k_hot', 'assert_or_prune_invalid_boxes'):
        return getattr(importlib.import_module('object_detection.builders.input_functions'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
