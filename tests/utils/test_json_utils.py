import io
import json

from object_detection.utils import json_utils


def test_decimals():
    assert json_utils.Dumps({'a': [1.23456, 2, 1.0]}) == '{"a": [1.23456, 2, 1.0]}'
    assert json_utils.Dumps({'a': [1.23456, 2, 1.0]}, float_digits=2) == '{"a": [1.23, 2, 1.00]}'


def test_pretty_file():
    file = io.StringIO()
    json_utils.Dump({'b': 1.5, 'a': 'x'}, file, **json_utils.PrettyParams(allow_nan=False))
    assert file.getvalue() == '{\n  "a": "x",\n  "b": 1.5000\n}'
    assert json.loads(file.getvalue()) == {'a': 'x', 'b': 1.5}
