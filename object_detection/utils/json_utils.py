"""JSON with a fixed number of decimals, under the reference's names."""
import json
import re
from typing import IO, Any


def FormatFloat(json_str: str, float_digits: int) -> str:
    """Return JSON text with its fractional numbers rounded to a number of decimals."""
    return re.sub(r'\d+\.\d+', lambda match: f'{float(match[0]):.{float_digits}f}', json_str)


def Dump(obj: Any, fid: IO[str], float_digits: int = -1, **params: Any) -> None:
    """Write an object to an open file as JSON; see Dumps."""
    fid.write(Dumps(obj, float_digits, **params))


def Dumps(obj: Any, float_digits: int = -1, **params: Any) -> str:
    """Return an object as JSON.

    Args:
        float_digits: number of decimals; -1 for as many as needed.
        params: of json.dumps.
    """
    text = json.dumps(obj, **params)
    return FormatFloat(text, float_digits) if float_digits > -1 else text


def PrettyParams(**params: Any) -> dict[str, Any]:
    """Return arguments of Dump and Dumps for text that people read, and those that are given."""
    return {**params, 'float_digits': 4, 'sort_keys': True, 'indent': 2, 'separators': (',', ': ')}
