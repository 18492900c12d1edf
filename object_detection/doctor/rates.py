"""Whether batch size, learning rate and number of steps go together, and with the machine."""
import dataclasses
from collections.abc import Iterator
from typing import Any

from object_detection.config.checks import Finding, Fix, error, hint, warning
from object_detection.zoo import rates, schedule

_FAR, _ABOVE = 4., 2.  # so many times the scaled rate is a warning, a hint
_BELOW, _TINY = 1 / 10, 1 / 100  # fine-tuning with a lower rate is nothing unusual
_MOST_OF_ADAM = .01  # Adam's steps have the size of the rate, whatever the gradient


def check(config: Any, devices: int, num_records: int | None) -> list[Finding]:
    """Return findings about a config without errors in train_config and model.

    Args:
        config: TrainEvalPipelineConfig.
        devices: GPUs among which a batch is divided; 0 or 1: none.
        num_records: to train on; None: unknown.
    """
    return [*_replicas(config, devices), *_rate(config), *_epochs(config, num_records)]


def _replicas(config: Any, devices: int) -> Iterator[Finding]:
    batch_size = config.train_config.batch_size
    if devices < 2 or batch_size % devices == 0:
        return
    fitting = max(batch_size // devices, 1) * devices
    found = error('train_config.batch_size', f'is {batch_size}, which cannot be divided among {devices} GPUs; set '
                  f'batch_size: {fitting}, or choose GPUs with CUDA_VISIBLE_DEVICES')
    yield dataclasses.replace(found, fixes=(
        Fix('train_config.batch_size', fitting, f'a multiple of the {devices} GPUs'),
        *_scaled(config, fitting / batch_size, f'in proportion to batch_size ({fitting}/{batch_size})')))


def _rate(config: Any) -> Iterator[Finding]:
    """Compare the highest learning rate with that of the zoo's model, scaled to the batch size."""
    train, known = config.train_config, rates.released(config)
    current = schedule.rates(train)
    if known is None or not current or not train.batch_size:
        return
    field, rate = max(current.items(), key=lambda item: item[1])
    whose = 'the zoo trained this feature extractor'
    if train.optimizer.WhichOneof('optimizer') != known.optimizer:
        if not train.optimizer.HasField('adam_optimizer') or rate <= _MOST_OF_ADAM:
            return
        known, whose = rates.ADAM, 'Adam takes less than momentum: the zoo trained its models with Adam'
    expected = known.scaled(train.batch_size)
    ratio = rate / expected
    if _BELOW < ratio < _ABOVE or rate <= 0 or rates.is_released(config, rate):
        return
    name, times = field.rpartition('.')[2], ratio if ratio > 1 else 1 / ratio
    message = (f'is {rate:g}, {times:.3g} times {"more" if ratio > 1 else "less"} than batch_size {train.batch_size} '
               f'suggests: {whose} with {known.rate:g} for batches of {known.batch_size}, which scales to '
               f'{expected:g}; set {name}: {expected:g}' + (', and the other rates by this factor'
                                                          if len(current) > 1 else ''))
    larger = round(known.batch_size * rate / known.rate)  # the batch that this rate is for
    parts = larger // train.batch_size
    if ratio > 1 and parts > 1 and larger % train.batch_size == 0:
        message += (f', or train with batch_size: {larger} and --accumulate {parts}, which takes the memory of '
                    f'{train.batch_size}')
    found = warning if ratio >= _FAR or ratio <= _TINY else hint
    yield found(field, message, *_scaled(config, 1 / ratio, f'the rate of the zoo in proportion to batch_size '
                                         f'({train.batch_size}/{known.batch_size})'))


def _scaled(config: Any, factor: float, why: str) -> Iterator[Fix]:
    for field, value in schedule.rates(config.train_config).items():
        if value:
            yield Fix(field, schedule.rounded(value * factor), why)


def _epochs(config: Any, num_records: int | None) -> Iterator[Finding]:
    steps, batch_size = config.train_config.num_steps, config.train_config.batch_size
    if num_records and 0 < steps * batch_size < num_records:
        yield warning('train_config.num_steps', f'is {steps}: with batch_size {batch_size} the training sees '
                      f'{steps * batch_size} of {num_records} pictures; once through all takes '
                      f'{-(-num_records // batch_size)} steps')
