"""Batches in parts with accumulated gradients: what is equal to the whole batch, and what batch norm makes of parts."""
import re

import numpy as np
import pytest

from object_detection import checkpoints
from object_detection.layers import core
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import tiny, toy_backbone
from tests.support.phase_runs import Log, run
from tests.training import test_center_net_keypoints, test_mask_rcnn

FROZEN = ('ssd {', 'ssd { freeze_batchnorm: true')
BATCH = ('batch_size: 4', 'batch_size: 8')
UNNORMALIZED = ('normalize_loss_by_num_matches: true', 'normalize_loss_by_num_matches: false')
SLOW = ('learning_rate_base: 0.05', 'learning_rate_base: 0.001')  # a large rate amplifies the rounding of sums
SLOW_WARMUP = ('warmup_learning_rate: 0.01', 'warmup_learning_rate: 0.0001')


def write(folder, *changes, toy=False):
    folder.mkdir(exist_ok=True)
    config = toy_backbone.ssd(folder) if toy else tiny.write(folder).read_text()
    for old, new in changes:
        assert old in config
        config = config.replace(old, new)
    return config


def weights(folder):
    """The values of the newest checkpoint, without those that count saves."""
    values = checkpoints.load(folder).values
    return {key: value for key, value in values.items() if 'save_counter' not in key and value.dtype != object}


def compare(folder, config, steps, tolerance, accumulate=4, **arguments):
    """Train the whole batch and its parts; return the largest difference of any weight."""
    whole, _ = run(folder / 'whole', config, steps)
    in_parts, _ = run(folder / 'parts', config, steps, accumulate=accumulate, **arguments)
    for step, loss in whole.losses().items():
        assert in_parts.losses()[step] == pytest.approx(loss, rel=tolerance), step
    one, other = weights(folder / 'whole'), weights(folder / 'parts')
    assert one.keys() == other.keys()
    assert any(not np.array_equal(value, weights_of_start[key]) for weights_of_start in
               [checkpoints.load(folder / 'whole' / 'ckpt-1').values] for key, value in one.items())
    for key, value in one.items():
        np.testing.assert_allclose(other[key], value, rtol=0, atol=tolerance, err_msg=key)


@pytest.mark.parametrize('changes, toy', [([], False), ([UNNORMALIZED, SLOW, SLOW_WARMUP], True)],
                         ids=['normalized', 'sum'])
def test_four_parts_of_two_are_a_batch_of_eight(changes, toy, toys, tmp_path):
    compare(tmp_path, write(tmp_path, FROZEN, BATCH, *changes, toy=toy), 10, 1e-5)


def test_samples_and_dropout_of_faster_rcnn_are_those_of_the_batch(toys, tmp_path):
    """Anchors, proposals and dropped values are drawn at random, for the whole batch whatever parts it comes in."""
    config = toy_backbone.faster_rcnn(tmp_path, batch_size=4)
    config = config.replace('use_dropout: false', 'use_dropout: true').replace(
        'dropout_keep_probability: 1.0', 'dropout_keep_probability: 0.6')
    config = re.sub(r'warmup_learning_rate: [\d.]+', 'warmup_learning_rate: 0.0001', config)  # see SLOW
    assert 'use_dropout: true' in config and 'probability: 0.6' in config and 'rate: 0.0001' in config
    compare(tmp_path, config, 4, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('which', ['masks', 'center_net'])
def test_losses_that_count_for_themselves(which, tmp_path, monkeypatch):
    """The mask loss is divided by the pixels of the sampled proposals, CenterNet's terms by boxes and by keypoints."""
    normalize = core.BatchNorm.__call__
    monkeypatch.setattr(core.BatchNorm, '__call__', lambda self, x, training=False: normalize(self, x))  # all frozen
    if which == 'masks':
        config = test_mask_rcnn.write(tmp_path)
    else:
        config = test_center_net_keypoints.write(tmp_path).read_text()
    whole, _ = run(tmp_path / 'whole', config, 1)
    in_parts, _ = run(tmp_path / 'parts', config, 1, accumulate=2)
    expected, values = (log.of('log')[0]['values'] for log in (whole, in_parts))
    assert expected.keys() == values.keys() and len(values) > 5
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_parts_on_two_devices(toys, tmp_path):
    """A process of its own, since logical devices must be set up before TensorFlow starts."""
    config = write(tmp_path, FROZEN, BATCH, SLOW, SLOW_WARMUP, toy=True)
    whole, _ = run(tmp_path / 'whole', config, 4)
    log = Log()
    with phases.Worker() as worker:
        outcome = worker.run(toy_backbone.train_phase, {
            'config_text': config, 'model_dir': str(tmp_path / 'parts'), 'num_steps': 4, 'log_every_n': 1, 'cpus': 2,
            'accumulate': 2}, tmp_path / 'outcome.json', log)
    assert outcome.kind == phases.DONE, outcome.message
    assert log.losses() == pytest.approx(whole.losses(), rel=1e-5)
    for key, value in weights(tmp_path / 'whole').items():
        np.testing.assert_allclose(weights(tmp_path / 'parts')[key], value, rtol=0, atol=1e-5, err_msg=key)


def test_moving_moments_follow_the_mean_of_the_parts(tmp_path):
    """Two steps on one image each, against one step on both: the moving means of the first layer, which are linear,
    move as far."""
    config = write(tmp_path, BATCH)
    run(tmp_path / 'whole', config, 1)
    run(tmp_path / 'parts', config, 1, accumulate=8)
    one, other = weights(tmp_path / 'whole'), weights(tmp_path / 'parts')
    start = checkpoints.load(tmp_path / 'whole' / 'ckpt-1').values
    first = next(key for key in one if 'layer_with_weights-1/moving_mean' in key)
    moved = np.abs(one[first] - start[first]).max()
    assert moved > 1e-3
    np.testing.assert_allclose(other[first], one[first], rtol=0, atol=1e-4 * moved)


def test_a_resumed_run_in_parts_is_the_same_run(toys, tmp_path):
    config = write(tmp_path, toy=True)
    straight, _ = run(tmp_path / 'straight', config, 6, accumulate=2)
    first, _ = run(tmp_path / 'resumed', config, 3, accumulate=2)
    second, _ = run(tmp_path / 'resumed', config, 6, accumulate=2)
    assert {**first.losses(), **second.losses()} == straight.losses()
    for key, value in weights(tmp_path / 'straight').items():
        np.testing.assert_array_equal(weights(tmp_path / 'resumed')[key], value, key)


def test_batches_that_cannot_be_divided(toys, tmp_path):
    with pytest.raises(UserError, match=r'--accumulate 3: a batch of 4 pictures .*allowed: 1, 2, 4$'):
        run(tmp_path / 'model', write(tmp_path, toy=True), 1, accumulate=3)
