"""Starts of runs: what a command decides from what the model_dir knows."""
from types import SimpleNamespace

import pytest

from object_detection.commands import runs, train_and_eval_tf2
from object_detection.config import pipeline
from object_detection.runs.record import Record


@pytest.fixture
def begin(tmp_path):
    def begin(seed=None, trains=True):
        options = SimpleNamespace(model_dir=tmp_path, seed=seed)
        runs.begin(pipeline.parse('train_config { num_steps: 1 }'), {'data': {}, 'warnings': []}, options, trains)
        return options.seed
    return begin


def test_a_run_keeps_its_seed(begin, tmp_path, capsys):
    assert begin() == 0 and begin(7) == 7 and begin() == 7  # no checkpoint yet: nothing is continued
    assert begin(trains=False) is None
    assert [start.get('seed') for start in Record(tmp_path).content['starts']] == [0, 7, 7, None]
    assert '--seed' not in capsys.readouterr().out
    (tmp_path / 'ckpt-1.index').touch()
    assert begin() == 7 and begin(7) == 7 and '--seed' not in capsys.readouterr().out
    assert begin(8) == 8 and '--seed 8: this run began with 7' in capsys.readouterr().out
    assert begin() == 8


@pytest.mark.parametrize('seed', ['-1', '2147483648', '1.5', 'x'])
def test_seeds_out_of_range(seed, tmp_path, capsys):
    config = tmp_path / 'pipeline.config'
    config.touch()
    with pytest.raises(SystemExit):
        train_and_eval_tf2.parse(['--model_dir', str(tmp_path), '--pipeline_config_path', str(config), '--seed', seed],
                                 '')
    assert f"'{seed}' is not a whole number from 0 to 2147483647" in capsys.readouterr().err
