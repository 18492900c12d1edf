"""Variables and gradients chosen by name."""
from types import SimpleNamespace

import pytest

from object_detection.utils import variables_helper

BACKBONE, HEAD = SimpleNamespace(name='Backbone/conv/kernel:0'), SimpleNamespace(name='Head/bias:0')


def test_filter_variables():
    filter_variables = variables_helper.filter_variables
    assert filter_variables([BACKBONE, HEAD], ['Backbone/']) == [HEAD]
    assert filter_variables([BACKBONE, HEAD], ['Backbone/'], invert=True) == [BACKBONE]
    assert filter_variables([BACKBONE, HEAD], ['', 'conv']) == [BACKBONE, HEAD]  # patterns match from the beginning
    assert filter_variables([BACKBONE, HEAD], ['.*kernel$', '.*bias$']) == []


def test_gradients():
    pairs = [(2., BACKBONE), (3., HEAD)]
    assert variables_helper.freeze_gradients_matching_regex(pairs, ['Head']) == [(2., BACKBONE)]
    assert variables_helper.multiply_gradients_matching_regex(pairs, ['Head'], 10) == [(2., BACKBONE), (30., HEAD)]


def test_fine_tune_checkpoint_in_the_model_dir(tmp_path):
    variables_helper.ensure_checkpoint_supported(tmp_path / 'zoo' / 'ckpt-0', 'detection', tmp_path)
    with pytest.raises(RuntimeError, match='cannot be same'):
        variables_helper.ensure_checkpoint_supported(tmp_path / 'ckpt-0', 'detection', tmp_path)
