"""Change values in a pipeline.config as text: its comments and layout stay, and each change has its reason above it."""
import json
from collections.abc import Iterable, Sequence
from typing import Any

from object_detection.config import pipeline, textproto
from object_detection.config.checks.findings import Fix

_INDENT = '  '


def corrected(text: str, fixes: Iterable[Fix]) -> str:
    """Return the text of a config with all fixes; of several for the same field, the first counts.

    Each value that is replaced has a comment above it, with the old value and the reason. A field that is not there
    goes into its section. What cannot be edited in the text as it is, is edited in a text with one field on each line.
    """
    chosen = list({fix.field: fix for fix in reversed(list(fixes))}.values())[::-1]
    wanted = pipeline.parse(text)
    for fix in chosen:
        _set(wanted, fix)
    for source in (text, pipeline.to_text(pipeline.parse(text))):
        edited = source
        for fix in chosen:
            edited = _edited(edited, fix)
        if pipeline.parse(edited) == wanted:
            return edited
    raise AssertionError(f'cannot write {", ".join(fix.field for fix in chosen)}')


def _set(config: Any, fix: Fix) -> None:
    """Set the field of a config, in place."""
    key = textproto.key_of(fix.field)
    for name, index in zip(key[:-2:2], key[1:-2:2]):
        section = getattr(config, name)
        config = section[index] if hasattr(section, '__getitem__') else section
    if isinstance(fix.value, list):
        getattr(config, key[-2])[:] = map(_stored, fix.value)
    else:
        setattr(config, key[-2], _stored(fix.value))


def _edited(text: str, fix: Fix) -> str:
    there, key = textproto.places(text), textproto.key_of(fix.field)
    name = key[-2]
    values = fix.value if isinstance(fix.value, list) else [fix.value]
    new = [_text(value) for value in values]
    if key not in there:
        return _inserted(text, there, key, [f'{name}: {value}' for value in new], fix.why)
    if not isinstance(fix.value, list):
        first, after = there[key].inside
        return _with_comment(text, there[key].start, [(first, after, new[0])], text[first:after], fix.why)
    old = [there[found] for found in there if found[:-1] == key[:-1]]
    shown = ', '.join(text[slice(*place.inside)] for place in old)
    if old[0].brackets:
        return _with_comment(text, text.rindex(name, 0, old[0].brackets[0]),
                             [(*old[0].brackets, f'[{", ".join(new)}]')], shown, fix.why)
    return _with_comment(text, old[0].start, [
        (old[0].start, old[0].inside[1], ' '.join(f'{name}: {value}' for value in new)),
        *((place.start, place.inside[1], '') for place in old[1:])], shown, fix.why)


def _with_comment(text: str, at: int, changes: Sequence[tuple[int, int, str]], old: str, why: str) -> str:
    """Replace the spans of `changes`, (first, after, new), and put a comment above the line that `at` is in."""
    for first, after, new in sorted(changes, reverse=True):
        line = text[text.rfind('\n', 0, first) + 1:first], text[after:].partition('\n')[0]
        if not new and not ''.join(line).strip():  # nothing else was in this line
            first, after = first - len(line[0]) - 1, after + len(line[1])
        text = text[:first] + new + text[after:]
    start = text.rfind('\n', 0, at) + 1
    indent = text[start:][:len(text[start:]) - len(text[start:].lstrip(' \t'))]
    was = ' '.join(old.split())
    return f'{text[:start]}{indent}# was {was}; {_one_line(why)}\n{text[start:]}'


def _inserted(text: str, there: dict[tuple, textproto.Place], key: tuple, lines: list[str], why: str) -> str:
    """Add a field to its section, with the sections above that are missing."""
    above = key[:-2]
    while above and above not in there:
        above = above[:-2]
    depth = len(above) // 2
    lines = [f'# added; {_one_line(why)}', *lines]
    for name in reversed(key[len(above):-2:2]):
        lines = [f'{name} {{', *(_INDENT + line for line in lines), '}']
    block = ''.join(f'{_INDENT * depth}{line}\n' for line in lines)
    if not above:
        return text + ('' if not text or text.endswith('\n') else '\n') + block
    end = there[above].inside[1]
    start = text.rfind('\n', 0, end) + 1
    if not text[start:end].strip() and start >= there[above].inside[0]:  # the brace that closes begins a line
        return text[:start] + block + text[start:]
    return f'{text[:end].rstrip(" ")}\n{block}{_INDENT * (depth - 1)}{text[end:]}'


def _text(value: Any) -> str:
    """Return a value as a pipeline.config has it."""
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f'{value:.6g}' if isinstance(value, float) else str(value)


def _stored(value: Any) -> Any:
    """Return a value as its text will be read."""
    return float(_text(value)) if isinstance(value, float) else value


def _one_line(text: str) -> str:
    return ' '.join(text.split())
