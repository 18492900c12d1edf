"""Learning rates for another batch size, and their schedule for another number of steps."""
from object_detection import protos
from object_detection.zoo.edit import Edit

# Schedule -> its fields that are learning rates, and those that are numbers of steps, without warmup_steps.
_RATES = {'constant_learning_rate': ('learning_rate',),
          'exponential_decay_learning_rate': ('initial_learning_rate', 'burnin_learning_rate', 'min_learning_rate'),
          'manual_step_learning_rate': ('initial_learning_rate',),
          'cosine_decay_learning_rate': ('learning_rate_base', 'warmup_learning_rate')}
_STEPS = {'exponential_decay_learning_rate': ('decay_steps', 'burnin_steps'),
          'cosine_decay_learning_rate': ('hold_base_rate_steps', 'total_steps')}


def scale(edit: Edit, batch_before: int, steps_before: int) -> None:
    """Scale the learning rate of a config to its new batch_size and num_steps.

    Rates change in proportion to the batch size (Goyal et al. 2017, Accurate, Large Minibatch SGD), steps in proportion
    to num_steps. The warm-up keeps its length, but is cut to a tenth of num_steps.

    Args:
        edit: of the config, which has the new numbers.
        batch_before, steps_before: the old numbers; 0: not set.
    """
    train = edit.config.train_config
    optimizer = train.optimizer.WhichOneof('optimizer')
    rate = getattr(train.optimizer, optimizer or 'momentum_optimizer').learning_rate
    kind = rate.WhichOneof('learning_rate')
    if kind is None:
        return  # config.checks reports it
    section, path = getattr(rate, kind), f'train_config.optimizer.{optimizer}.learning_rate.{kind}'
    batch_ratio = train.batch_size / batch_before if batch_before else 1
    steps_ratio = train.num_steps / steps_before if steps_before else 1
    if batch_ratio != 1:
        why = f'in proportion to batch_size ({train.batch_size}/{batch_before})'
        for field, value in rates(train).items():
            edit.set(field, rounded(value * batch_ratio), why)
    if steps_ratio == 1:
        return
    why = f'in proportion to num_steps ({train.num_steps}/{steps_before})'
    for name in _STEPS.get(kind, ()):
        if getattr(section, name):
            edit.set(f'{path}.{name}', max(1, round(getattr(section, name) * steps_ratio)), why)
    last = 0
    for index, entry in enumerate(getattr(section, 'schedule', ())):
        last = max(last + 1, round(entry.step * steps_ratio))
        edit.set(f'{path}.schedule[{index}].step', last, why)
    tenth = max(1, train.num_steps // 10)
    if getattr(section, 'warmup_steps', 0) > tenth:
        edit.set(f'{path}.warmup_steps', tenth, 'a tenth of num_steps')


def rates(train: protos.TrainConfig) -> dict[str, float]:
    """Return {path of the field in a config: value} of all learning rates of the schedule; none without one."""
    optimizer = train.optimizer.WhichOneof('optimizer')
    rate = getattr(train.optimizer, optimizer or 'momentum_optimizer').learning_rate
    kind = rate.WhichOneof('learning_rate')
    if optimizer is None or kind is None:
        return {}
    section, path = getattr(rate, kind), f'train_config.optimizer.{optimizer}.learning_rate.{kind}'
    return {f'{path}.{name}': getattr(section, name) for name in _RATES[kind]} | {
        f'{path}.schedule[{index}].learning_rate': entry.learning_rate
        for index, entry in enumerate(getattr(section, 'schedule', ()))}


def rounded(rate: float) -> float:
    """Return a learning rate to four digits."""
    return float(f'{rate:.4g}')
