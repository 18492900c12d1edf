"""Configs of the reference with changes, and what the checks find in them."""
from pathlib import Path

from object_detection.config import checks, pipeline
from object_detection.config.unread_fields import entries, walk

GOLDEN = Path(__file__).parents[1] / 'golden'


def changed(name, changes):
    """The config tests/golden/NAME.config with a piece of pipeline.config laid over it."""
    return pipeline.override(pipeline.read(GOLDEN / f'{name}.config'), changes)


def errors(config, check, folder):
    """[(field, message)] of the errors that a check finds, each of which must name the line of its field.

    The config is written to a file, a field on each line. A field that is not in it has the line of its section.
    """
    path = folder / 'pipeline.config'
    pipeline.write(config, path)
    lines = path.read_text(encoding='utf-8').splitlines()
    there = {name for place, _, _, value in walk(config) for name, _ in entries(place, value)}
    there |= {place for place, *_ in walk(config)}
    found = []
    for finding in checks.located(check(config), path):
        if finding.severity != 'error':
            continue
        found.append((finding.field, finding.message))
        place = finding.field
        while place not in there:
            place = place.rpartition('.')[0]
        line = int(finding.where.removeprefix(f'{path}:').rstrip(': '))
        assert lines[line - 1].split()[0].rstrip(':') == place.rpartition('.')[2].partition('[')[0]
    return found
