"""JSON files that the suite wrote itself: what is damaged or was edited wrongly is one line that says where."""
import json
from pathlib import Path
from typing import Any

from object_detection.utils import files
from object_detection.utils.errors import UserError

MOST_BYTES = 256 << 20  # far above what a run writes; a file of this size takes some GB of memory when it is read
NUMBER = (int, float)
TEXT_OR_NONE, NUMBER_OR_NONE = (str, type(None)), (int, float, type(None))
_NAMES = {dict: 'an object', list: 'a list', str: 'text', int: 'a whole number', float: 'a number',
          bool: 'true or false', type(None): 'null'}


def read(path: str | Path, shape: Any, advice: str) -> Any:
    """Return the content of a JSON file.

    Args:
        shape: what it must be: a type or a tuple of types; [shape] for a list; {'*': shape} for an object with any
            keys; {'key': shape, 'other?': shape} for one with these keys, where `other` may be missing, and further
            ones may be there.
        advice: what to do about a damaged file, the end of the message.
    Raises:
        UserError: there is no such file, or it is damaged.
    """
    path = files.existing_file(path)
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f'{path}: has {path.stat().st_size / 1e6:.0f} MB, and at most {MOST_BYTES / 1e6:.0f} MB are '
                        f'read; {advice}')
    return parse(files.read_bytes(path), shape, str(path), advice)


def parse(data: bytes | str, shape: Any, where: str, advice: str) -> Any:
    """As `read`, of what was in a file.

    Args:
        where: what messages call it.
    """
    try:
        content = json.loads(data.decode('utf-8') if isinstance(data, bytes) else data)
    except json.JSONDecodeError as error:
        raise UserError(f'{where}:{error.lineno}:{error.colno}: is not JSON ({error.msg}); {advice}') from error
    except (ValueError, RecursionError) as error:  # of text that is not UTF-8, of numbers with thousands of digits
        raise UserError(f'{where}: is not JSON ({error}); {advice}') from error
    if fault := _fault(content, shape, ''):
        raise UserError(f'{where}: {fault}; {advice}')
    return content


def _fault(value: Any, shape: Any, place: str) -> str:
    """Return what is wrong with a value, '' if it has the shape."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _must_be(place, (list,), value)
        return next(filter(None, (_fault(item, shape[0], f'{place}[{i}]') for i, item in enumerate(value))), '')
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return _must_be(place, (dict,), value)
        if '*' in shape:
            faults = (_fault(item, shape['*'], _inside(place, key)) for key, item in value.items())
            return next(filter(None, faults), '')
        for name, inner in shape.items():
            key = name.removesuffix('?')
            if key in value:
                if fault := _fault(value[key], inner, _inside(place, key)):
                    return fault
            elif key == name:
                return f'{_inside(place, key)} is missing'
        return ''
    kinds = shape if isinstance(shape, tuple) else (shape,)
    fits = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    return '' if fits else _must_be(place, kinds, value)


def _inside(place: str, key: str) -> str:
    return f'{place}.{key}' if place else key


def _must_be(place: str, kinds: tuple[type, ...], value: Any) -> str:
    allowed = ' or '.join(_NAMES[kind] for kind in kinds if kind is not float or int not in kinds)
    if int in kinds and float in kinds:
        allowed = allowed.replace('a whole number', 'a number')
    shown = json.dumps(value, ensure_ascii=False)
    return f'{place or "the content"} must be {allowed}, not {shown[:60]}{"..." * (len(shown) > 60)}'
