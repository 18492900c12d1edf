"""Schedules against num_steps; expected numbers by hand."""
import pytest

from object_detection.config import pipeline
from object_detection.config.checks import schedules

PATH = 'train_config.optimizer.adam_optimizer.learning_rate'


def found(rate, steps):
    config = pipeline.parse(f'train_config {{ num_steps: {steps} optimizer {{ adam_optimizer {{ learning_rate {{ '
                            f'{rate} }} }} }} }}')
    return [(finding.severity, finding.field.removeprefix(f'{PATH}.'), finding.message,
             {fix.field.rpartition('learning_rate.')[2]: fix.value for fix in finding.fixes})
            for finding in schedules.check(config.train_config, PATH)]


@pytest.mark.parametrize(('rate', 'steps', 'severity', 'text', 'fixes'), [
    ('total_steps: 500 warmup_steps: 10', 1000, 'warning',
     'the learning rate is 0 after step 500; set total_steps: 1000', {'total_steps': 1000}),
    # half of the way down: (1 + cos(pi / 2)) / 2
    ('total_steps: 1900 warmup_steps: 100', 1000, 'warning', 'ends at 50% of learning_rate_base instead of 0',
     {'total_steps': 1000}),
    # (1 + cos(pi * 900 / 1000)) / 2 = 0.0245
    ('total_steps: 1100 warmup_steps: 100', 1000, 'hint', 'ends at 2% of learning_rate_base', {'total_steps': 1000}),
    ('total_steps: 1000 warmup_steps: 1000', 1000, 'warning', 'is 1000, all of num_steps 1000; set warmup_steps: 100',
     {'total_steps': 1000, 'warmup_steps': 100}),
    ('total_steps: 4000 warmup_steps: 400 hold_base_rate_steps: 800', 1000, 'warning', 'is 400, 40% of num_steps 1000',
     {'total_steps': 1000, 'warmup_steps': 100, 'hold_base_rate_steps': 200}),
])
def test_cosine(rate, steps, severity, text, fixes):
    (finding,) = found(f'cosine_decay_learning_rate {{ {rate} }}', steps)
    assert finding[0] == severity and text in finding[2]
    assert {name.rpartition('.')[2]: value for name, value in finding[3].items()} == fixes


def test_boundaries_that_are_never_reached_are_moved_in_proportion():
    (finding,) = found('manual_step_learning_rate { schedule { step: 90000 learning_rate: .1 } '
                       'schedule { step: 120000 learning_rate: .01 } }', 7000)
    assert finding[:2] == ('warning', 'manual_step_learning_rate.schedule[0].step')
    assert 'is 90000, but num_steps is 7000: the learning rate is never lowered to 0.01; set the steps 4500, 6000' \
        in finding[2]  # 7000 * 6 / 7 = 6000, and three quarters of that
    assert list(finding[3].values()) == [4500, 6000]


def test_exponential_decay_that_does_nothing_or_too_much():
    (finding,) = found('exponential_decay_learning_rate { decay_steps: 2000 }', 1000)
    assert finding[0] == 'hint' and 'the learning rate never changes' in finding[2]
    # .1 ** (step / 100) is a thousandth at 300; to reach it at 1000 takes decay_steps 1000 / 3
    (finding,) = found('exponential_decay_learning_rate { decay_steps: 100 decay_factor: .1 }', 1000)
    assert 'after 300 of 1000 steps less than a thousandth' in finding[2]
    assert list(finding[3].values()) == [333]
    assert found('exponential_decay_learning_rate { decay_steps: 100 decay_factor: .1 burnin_steps: 500 '
                 'min_learning_rate: 0.001 }', 1000)[0][1] == 'exponential_decay_learning_rate.burnin_steps'


@pytest.mark.parametrize('rate', [
    'cosine_decay_learning_rate { total_steps: 1000 warmup_steps: 100 }', 'constant_learning_rate { learning_rate: 1 }',
    'manual_step_learning_rate { schedule { step: 600 } schedule { step: 800 } }',
    'exponential_decay_learning_rate { decay_steps: 100 decay_factor: .9 }'])
def test_schedules_that_agree(rate):
    assert found(rate, 1000) == []
