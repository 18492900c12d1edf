"""Learning rates for another batch size, and their schedule for another number of steps."""

# Of each schedule: the fields that are rates, and those that are numbers of steps but for the warm-up.
_RATES = {'constant_learning_rate': ('learning_rate',),
          'exponential_decay_learning_rate': ('initial_learning_rate', 'burnin_learning_rate', 'min_learning_rate'),
          'manual_step_learning_rate': ('initial_learning_rate',),
          'cosine_decay_learning_rate': ('learning_rate_base', 'warmup_learning_rate')}
_STEPS = {'exponential_decay_learning_rate': ('decay_steps', 'burnin_steps'),
          'cosine_decay_learning_rate': ('hold_base_rate_steps', 'total_steps')}


def scale(edit, batch_before, steps_before):
    """Change the learning rate of edit.config (edit.Edit) by the change of batch_size and num_steps since then.

    Rates go with the batch size (Goyal et al. 2017, Accurate, Large Minibatch SGD), steps with num_steps; the warm-up
    keeps its length where that is a tenth of the run at most.
    """
    train = edit.config.train_config
    optimizer = train.optimizer.WhichOneof('optimizer')
    rate = getattr(train.optimizer, optimizer or 'momentum_optimizer').learning_rate
    kind = rate.WhichOneof('learning_rate')
    if kind is None:
        return  # the checks of the config say so
    section, path = getattr(rate, kind), f'train_config.optimizer.{optimizer}.learning_rate.{kind}'
    share = train.batch_size / batch_before if batch_before else 1
    length = train.num_steps / steps_before if steps_before else 1
    if share != 1:
        why = f'in proportion to batch_size ({train.batch_size}/{batch_before})'
        for name in _RATES[kind]:
            edit.set(f'{path}.{name}', _rounded(getattr(section, name) * share), why)
        for index, entry in enumerate(getattr(section, 'schedule', ())):
            edit.set(f'{path}.schedule[{index}].learning_rate', _rounded(entry.learning_rate * share), why)
    if length == 1:
        return
    why = f'in proportion to num_steps ({train.num_steps}/{steps_before})'
    for name in _STEPS.get(kind, ()):
        if getattr(section, name):
            edit.set(f'{path}.{name}', max(1, round(getattr(section, name) * length)), why)
    last = 0
    for index, entry in enumerate(getattr(section, 'schedule', ())):
        last = max(last + 1, round(entry.step * length))
        edit.set(f'{path}.schedule[{index}].step', last, why)
    tenth = max(1, train.num_steps // 10)
    if getattr(section, 'warmup_steps', 0) > tenth:
        edit.set(f'{path}.warmup_steps', tenth, 'a tenth of num_steps')


def _rounded(rate):
    return float(f'{rate:.4g}')
