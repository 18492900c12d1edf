"""What is wrong with the content of a pipeline.config: all of it at once, without TensorFlow.

Builders and layers take a config that has passed. An export needs check_model only; training and evaluation
need check. In a program of your own, checks.demand(checks.check_model(config)) raises one ConfigError with all errors.
"""
import itertools
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import Message

from object_detection.config import paths, unread_fields
from object_detection.config.checks import augmentation, evaluation, model, ranges, readers, training
from object_detection.config.checks.findings import Finding, Fix, demand, error, hint, located, merged, warning
from object_detection.config.checks.readers import label_map_of
from object_detection.config.checks.rules import apply, chooses
from object_detection.config.checks.training import RULES_OF_MODEL as rules_of_training
from object_detection.config.pipeline import Config

__all__ = ['Finding', 'Fix', 'check', 'check_evaluation', 'check_fields', 'check_inputs', 'check_model',
           'check_model_dir', 'check_part', 'check_training', 'demand', 'error', 'hint', 'label_map_of', 'located',
           'merged', 'warning']
_UNREAD = {'NO_EFFECT': ('hint', 'has no effect'), 'IGNORED': ('warning', 'is ignored'),
           'REFUSED': ('error', 'is not supported')}


def check(config: Config, path: str | Path | None = None, eval_on_train_data: bool = False) -> list[Finding]:
    """Return all findings about a config for training and evaluation.

    Args:
        path: the file that the config was read from, to give findings its lines; None for no lines.
        eval_on_train_data: see check_training.
    """
    findings = merged([*check_model(config), *check_training(config, eval_on_train_data), *check_evaluation(config)])
    return located(findings, path) if path else findings


def check_model(config: Config, training: bool = False) -> list[Finding]:
    """Return findings about the model section, which is all that an export needs.

    Args:
        training: also about what only training needs of it, as check_training.
    """
    rules = [model.RULES, rules_of_training] if training else [model.RULES]
    return _in_range([*(finding for table in rules for finding in apply(table, config.model, 'model')),
                      *model.assumed(config.model), *check_fields(config, 'model')],
                     [*ranges.faults(config.model, 'model'), *ranges.crowded(config.model, 'model')])


def check_training(config: Config, eval_on_train_data: bool = False) -> list[Finding]:
    """Return findings about train_config, train_input_reader, and what only training needs of the model section.

    Args:
        eval_on_train_data: the training pictures are evaluated too (--eval_on_train_data).
    """
    if not config.HasField('train_config'):
        return [error('train_config', 'is missing; training needs it')]
    return _in_range([*training.check(config, eval_on_train_data), *check_fields(config, 'train', 'graph_rewriter')],
                     [*ranges.faults(config.train_config, 'train_config'), *ranges.images(config, 'train_config'),
                      *ranges.faults(config.train_input_reader, 'train_input_reader')])


def check_evaluation(config: Config, on_train_data: bool = False) -> list[Finding]:
    """Return findings about eval_config and every eval_input_reader.

    Args:
        on_train_data: also about train_input_reader, for an evaluation on its records without training.
    """
    trained = readers.check(config, config.train_input_reader, 'train_input_reader', True) if on_train_data else ()
    wrong = [fault for index, reader in enumerate(config.eval_input_reader)
             for fault in ranges.faults(reader, f'eval_input_reader[{index}]')]
    return _in_range([*evaluation.check(config), *trained, *check_fields(config, 'eval')],
                     [*ranges.faults(config.eval_config, 'eval_config'), *ranges.images(config, 'eval_config'), *wrong])


def check_inputs(config: Config) -> list[Finding]:
    """Return findings about the data sets alone: every input_reader, and the augmentations."""
    readers_of = {'train_input_reader': [config.train_input_reader] if config.HasField('train_input_reader') else [],
                  'eval_input_reader': config.eval_input_reader}
    options = config.train_config.data_augmentation_options
    findings = [finding for path, sections in readers_of.items() for reader in sections
                for finding in _in_range([*readers.check(config, reader, path, evaluated=False),
                                          *_unread(reader, path)], ranges.faults(reader, path))]
    for index, step in enumerate(options):
        findings += check_part(step, f'train_config.data_augmentation_options[{index}]')
    return [*findings, *augmentation.check(options, config.train_input_reader)]


def check_part(section: Message, path: str) -> list[Finding]:
    """Return findings about one section by itself that chooses between kinds: image_resizer, optimizer, ...

    Args:
        path: what to call the section.
    """
    rules = {section.DESCRIPTOR.name: [chooses('')], **model.RULES, **training.RULES}
    return _in_range([*apply(rules, section, path), *_unread(section, path)],
                     [*ranges.faults(section, path), *ranges.crowded(section, path)])


def _in_range(findings: list[Finding], faults: Iterable[tuple[str, str]]) -> list[Finding]:
    """Add what is out of its range to findings, unless they have an error about that field already.

    An error about its section is enough where the numbers are missing.
    """
    known = {finding.field for finding in findings if finding.severity == 'error'}
    return findings + [error(field, text) for field, text in faults if field not in known and not (
        text.startswith(ranges.MISSING) and known.intersection(itertools.accumulate(field.split('.'), '{}.{}'.format)))]


def check_fields(config: Config, *sections: str) -> list[Finding]:
    """Return findings about fields that are set and not read (config/unread_fields.py).

    Args:
        sections: how the names of the top-level sections to look at begin; none: all of them.
    """
    return [finding for finding in _unread(config) if not sections or finding.field.startswith(sections)]


def _unread(section: Message, path: str = '') -> list[Finding]:
    return [Finding(_UNREAD[kind][0], place, f'{_UNREAD[kind][1]}: {reason}')
            for place, _, kind, reason in unread_fields.unread(section, path)]


def check_model_dir(model_dir: str | Path) -> list[Finding]:
    """Return findings about the folder that checkpoints are to be written to; it need not exist."""
    folder = Path(model_dir)
    if folder.exists() and not folder.is_dir():
        return [error('model_dir', f'{folder} is a file; give a folder')]
    if (folder / 'checkpoint').is_dir():
        inside = paths.prefixes(folder / 'checkpoint')
        start = f', with fine_tune_checkpoint: "{inside[0].as_posix()}"' if inside else ''
        return [error('model_dir', f'{folder} is an unpacked zoo model or an export, not a folder to train in; make '
                      f'another one, copy pipeline.config there and train from it{start}')]
    return []
