"""Schedules of the learning rate that disagree with num_steps, and the numbers that would agree."""
import math
from collections.abc import Iterator

from object_detection import protos
from object_detection.config.checks.findings import Finding, Fix, hint, warning

_WARMUP = 3  # a warmup of more than a third of num_steps is too long; a tenth is what is offered
_UNDONE = .05  # a cosine that ends above this fraction of its base is cut off in the middle
_VANISHED = 1e-3  # so small a fraction of the initial rate teaches nothing
_LAST_BOUNDARY = 6 / 7  # of num_steps, as in the zoo's CenterNet


def check(train: protos.TrainConfig, path: str) -> Iterator[Finding]:
    """Yield where the schedule of the learning rate and train_config.num_steps disagree.

    Args:
        path: of the learning_rate section.
    """
    optimizer = train.optimizer.WhichOneof('optimizer')
    rate = getattr(train.optimizer, optimizer).learning_rate
    kind = rate.WhichOneof('learning_rate')
    if kind in RULES and train.num_steps > 0:
        yield from RULES[kind](getattr(rate, kind), f'{path}.{kind}', train.num_steps)


def _cosine(rate: protos.CosineDecayLearningRate, path: str, steps: int) -> Iterator[Finding]:
    """Check a cosine decay. Its own contradictions (training.py) come first."""
    before = rate.warmup_steps + rate.hold_base_rate_steps
    if rate.total_steps < before:
        return
    to_the_end = Fix(f'{path}.total_steps', steps, f'num_steps is {steps}')
    warmup, hold = _shorter(rate.warmup_steps, steps), round(rate.hold_base_rate_steps * steps / rate.total_steps)
    fixes = [to_the_end]
    if warmup != rate.warmup_steps:
        fixes.append(Fix(f'{path}.warmup_steps', warmup, f'a tenth of num_steps {steps}'))
    if rate.hold_base_rate_steps and hold + warmup <= steps:
        fixes.append(Fix(f'{path}.hold_base_rate_steps', hold, 'in proportion to total_steps'))
    if rate.total_steps < steps:
        yield warning(f'{path}.total_steps', f'is {rate.total_steps}, but num_steps {steps}: the learning rate is 0 '
                      f'after step {rate.total_steps}; set total_steps: {steps}', *fixes)
    elif warmup != rate.warmup_steps:
        yield _long_warmup(path, 'warmup_steps', rate.warmup_steps, steps, fixes)
    elif rate.total_steps > steps:
        left = (steps - before) / (rate.total_steps - before)
        reached = .5 * (1 + math.cos(math.pi * max(left, 0)))
        found = warning if reached > _UNDONE else hint
        yield found(f'{path}.total_steps', f'is {rate.total_steps}, but num_steps {steps}: the training ends at '
                    f'{reached:.0%} of learning_rate_base instead of 0; set total_steps: {steps}', *fixes)


def _manual(rate: protos.ManualStepLearningRate, path: str, steps: int) -> Iterator[Finding]:
    boundaries = [entry.step for entry in rate.schedule]
    unreached = [boundary for boundary in boundaries if boundary >= steps]
    if not unreached or sorted(set(boundaries)) != boundaries:
        return
    fitting = [max(1, round(boundary * steps * _LAST_BOUNDARY / boundaries[-1])) for boundary in boundaries]
    fixes = [Fix(f'{path}.schedule[{index}].step', boundary, f'in proportion: the last is at 6/7 of num_steps {steps}')
             for index, boundary in enumerate(fitting)] if sorted(set(fitting)) == fitting else []
    yield warning(f'{path}.schedule[{boundaries.index(unreached[0])}].step', f'is {unreached[0]}, but num_steps is '
                  f'{steps}: the learning rate is never lowered to {rate.schedule[-1].learning_rate:g}'
                  + (f'; set the steps {", ".join(map(str, fitting))}' if fixes else '; lower the steps'), *fixes)


def _exponential(rate: protos.ExponentialDecayLearningRate, path: str, steps: int) -> Iterator[Finding]:
    burnin = _shorter(rate.burnin_steps, steps)
    if burnin != rate.burnin_steps:
        yield _long_warmup(path, 'burnin_steps', rate.burnin_steps, steps,
                           [Fix(f'{path}.burnin_steps', burnin, f'a tenth of num_steps {steps}')])
    if rate.decay_steps < 1 or not 0 < rate.decay_factor < 1:
        return  # ranges.py reports what is wrong with it
    times = steps // rate.decay_steps if rate.staircase else steps / rate.decay_steps
    if times < 1:
        yield hint(f'{path}.decay_steps', f'is {rate.decay_steps}, but num_steps {steps}: the learning rate '
                   + ('never changes' if rate.staircase else f'ends at {rate.decay_factor ** times:.0%} of the first'))
    elif max(rate.decay_factor ** times, rate.min_learning_rate / (rate.initial_learning_rate or 1)) < _VANISHED:
        slower = round(steps * math.log(rate.decay_factor) / math.log(_VANISHED))
        vanished = round(rate.decay_steps * math.log(_VANISHED) / math.log(rate.decay_factor))
        yield warning(f'{path}.decay_steps', f'is {rate.decay_steps}: after {vanished} of {steps} steps less than a '
                      f'thousandth of the learning rate is left; set decay_steps: {slower}',
                      Fix(f'{path}.decay_steps', slower, 'the rate falls to a thousandth at the end of num_steps'))


def _shorter(warmup: int, steps: int) -> int:
    """Return warmup, or a tenth of the steps if it takes too many of them."""
    return warmup if warmup * _WARMUP <= steps else max(1, steps // 10)


def _long_warmup(path: str, name: str, warmup: int, steps: int, fixes: list[Fix]) -> Finding:
    part = 'all' if warmup >= steps else f'{warmup / steps:.0%}'
    return warning(f'{path}.{name}', f'is {warmup}, {part} of num_steps {steps}; set {name}: {max(1, steps // 10)}',
                   *fixes)


RULES = {'cosine_decay_learning_rate': _cosine, 'manual_step_learning_rate': _manual,
         'exponential_decay_learning_rate': _exponential}
