"""Variables and gradients chosen by name, under the reference's names. Imports no TensorFlow."""
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from object_detection import absent

_ABSENT = {
    'get_variables_available_in_checkpoint':
        'it is for checkpoints of TensorFlow 1; tf.train.Checkpoint(model=...) restores those of TensorFlow 2',
    'get_global_variables_safely': 'it is for graphs of TensorFlow 1; a model has its variables in `variables`'}


def filter_variables(variables: Iterable[Any], filter_regex_list: Iterable[str], invert: bool = False) -> list[Any]:
    """Return the variables whose name no pattern matches from its beginning; with `invert` those that one matches."""
    patterns = [pattern for pattern in filter_regex_list if pattern]
    return [variable for variable in variables
            if any(re.match(pattern, variable.name.partition(':')[0]) for pattern in patterns) == invert]


def multiply_gradients_matching_regex(grads_and_vars: Iterable[tuple[Any, Any]], regex_list: Iterable[str],
                                      multiplier: float) -> list[tuple[Any, Any]]:
    """Return (gradient, variable) pairs, with the gradients multiplied whose variable's name a pattern matches."""
    patterns = list(regex_list)
    return [(gradient * multiplier if filter_variables([variable], patterns, invert=True) else gradient, variable)
            for gradient, variable in grads_and_vars]


def freeze_gradients_matching_regex(grads_and_vars: Iterable[tuple[Any, Any]], regex_list: Iterable[str]
                                    ) -> list[tuple[Any, Any]]:
    """Return the (gradient, variable) pairs whose variable's name no pattern matches."""
    kept, patterns = [], list(regex_list)
    for gradient, variable in grads_and_vars:
        if filter_variables([variable], patterns):
            kept.append((gradient, variable))
        else:
            logging.info('Freezing variable [%s]', variable.name)
    return kept


def ensure_checkpoint_supported(checkpoint_path: str | Path, checkpoint_type: str, model_dir: str | Path) -> None:
    """Raise RuntimeError if a fine_tune_checkpoint lies in the model_dir, whose checkpoints would be mixed with it.

    Args:
        checkpoint_path: a prefix, such as .../ckpt-0.
        checkpoint_type: accepted; old forms of checkpoints are refused where they are read.
    """
    del checkpoint_type
    if Path(checkpoint_path).resolve().parent == Path(model_dir).resolve():
        raise RuntimeError(f'Checkpoint dir ({checkpoint_path}) and model_dir ({model_dir}) cannot be same. '
                           'Please set model_dir to a different path.')


def __getattr__(name: str) -> NoReturn:
    absent.explain_name(__name__, name, _ABSENT)
