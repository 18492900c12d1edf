"""Learning rate, batch size, GPUs and epochs; expected numbers by hand from the zoo's 0.08 for batches of 128."""
from pathlib import Path

import pytest

from object_detection.config import checks, pipeline
from object_detection.doctor import rates

GOLDEN = Path(__file__).resolve().parents[1] / 'golden' / 'configs'
KIT = Path(__file__).resolve().parents[3] / 'shared' / 'parity' / 'configs'
RELEASED = sorted(path for path in [*GOLDEN.glob('*.config'), *KIT.rglob('*.config')]
                  if 'PATH_TO_BE_CONFIGURED"s' not in path.read_text(encoding='utf-8'))  # Mask R-CNN's has a typo
RATE = 'train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate'


def config(batch_size, rate, optimizer='momentum_optimizer', steps=1000):
    return pipeline.parse(f'''
        model {{ ssd {{ feature_extractor {{ type: "ssd_mobilenet_v2_fpn_keras" }} }} }}
        train_config {{ batch_size: {batch_size} num_steps: {steps} optimizer {{ {optimizer} {{ learning_rate {{
            cosine_decay_learning_rate {{ learning_rate_base: {rate} warmup_learning_rate: {rate / 4} }} }} }} }} }}''')


def values(finding):
    return {fix.field.rpartition('.')[2]: fix.value for fix in finding.fixes}


def test_a_rate_for_a_larger_batch_comes_with_the_scaled_one_and_accumulation():
    (finding,) = rates.check(config(8, .08), 1, None)
    assert finding.severity == 'warning' and finding.field == f'{RATE}.learning_rate_base'
    assert 'is 0.08, 16 times more than batch_size 8 suggests' in finding.message
    assert 'with 0.08 for batches of 128, which scales to 0.005; set learning_rate_base: 0.005' in finding.message
    assert 'batch_size: 128 and --accumulate 16, which takes the memory of 8' in finding.message
    assert values(finding) == {'learning_rate_base': pytest.approx(.005), 'warmup_learning_rate': pytest.approx(.00125)}


def test_grades_follow_the_distance():
    assert rates.check(config(8, .005), 1, None) == []
    assert rates.check(config(8, .005 / 9), 1, None) == []  # fine-tuning
    assert [finding.severity for finding in rates.check(config(8, .005 * 3), 1, None)] == ['hint']
    assert [finding.severity for finding in rates.check(config(8, .005 / 50), 1, None)] == ['hint']
    assert [finding.severity for finding in rates.check(config(8, .005 / 200), 1, None)] == ['warning']


def test_adam_with_the_rate_of_momentum():
    (finding,) = rates.check(config(64, .04, 'adam_optimizer'), 1, None)
    assert 'Adam takes less than momentum' in finding.message
    assert values(finding)['learning_rate_base'] == pytest.approx(.0005)  # 0.001 for 128
    assert rates.check(config(64, .001, 'adam_optimizer'), 1, None) == []


def test_a_batch_that_cannot_be_divided_among_the_gpus():
    (finding,) = rates.check(config(16, .01), 3, None)
    assert finding.severity == 'error' and 'is 16, which cannot be divided among 3 GPUs; set batch_size: 15' \
        in finding.message
    assert values(finding) == {'batch_size': 15, 'learning_rate_base': pytest.approx(.009375),
                               'warmup_learning_rate': pytest.approx(.002344)}
    assert rates.check(config(16, .01), 4, None) == []


def test_a_training_that_does_not_see_all_pictures():
    (finding,) = rates.check(config(8, .005, steps=100), 1, 1001)
    assert 'sees 800 of 1001 pictures; once through all takes 126 steps' in finding.message
    assert rates.check(config(8, .005, steps=126), 1, 1001) == []


def test_released_configs_raise_no_alarm():
    assert len(RELEASED) >= 8
    for released in map(pipeline.read, RELEASED):
        assert rates.check(released, 8, 118_287) == []
        found = [finding for finding in checks.check_training(released) if 'learning_rate' in finding.field]
        assert found == []


def test_unknown_feature_extractors_are_not_compared():
    changed = config(8, 1.)
    changed.model.ssd.feature_extractor.type = 'my_own'
    assert rates.check(changed, 1, None) == []
    narrow = config(8, 1.)
    narrow.model.ssd.feature_extractor.depth_multiplier = .25
    assert rates.check(narrow, 1, None) == []
