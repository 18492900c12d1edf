"""Public functions and methods have types for every argument and, except for constructors, for the return.

`python tests/test_types.py` counts them in every room.
"""
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'object_detection'
ALL = sorted(path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file())
# With complete types; other rooms join when they are done.
ROOMS = ('boxes', 'builders', 'checkpoints', 'core', 'data_decoders', 'dataset_tools', 'inputs', 'layers',
         'meta_architectures', 'metrics', 'preparation', 'protos', 'records', 'utils', 'zoo')


def untyped(room):
    """Yield (file:line name, what has no type) for the public functions of a room; '' for those with all types."""
    for path in sorted((PACKAGE / room).rglob('*.py')):
        for name, function in _public(ast.parse(path.read_text(encoding='utf-8')).body):
            arguments = function.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
                     *filter(None, (arguments.vararg, arguments.kwarg))]
            bare = [argument.arg for argument in every if argument.annotation is None]
            if '.' in name and bare[:1] in (['self'], ['cls']):
                del bare[0]
            bare += ['return'] if function.returns is None and function.name != '__init__' else []
            yield f'{path.relative_to(PACKAGE).as_posix()}:{function.lineno} {name}', ', '.join(bare)


def _public(body, prefix=''):
    """Yield (name, node) of public functions, and of the methods of public classes, special ones included."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith('_') or node.name.startswith('__')):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            yield from _public(node.body, f'{prefix}{node.name}.')


@pytest.mark.parametrize('room', ROOMS)
def test_public_functions_have_types(room):
    assert [f'{where}: no type for {bare}' for where, bare in untyped(room) if bare] == []


def test_a_function_without_types_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), 'PACKAGE', tmp_path)
    (tmp_path / 'room').mkdir()
    (tmp_path / 'room' / 'a.py').write_text('class A:\n    def f(self, a, *b: int, c=1) -> int: ...\n'
                                            '    def _g(self, a): ...\nclass _B:\n    def f(self): ...\n'
                                            'def f(a: int): ...\ndef g() -> int: ...\n')
    assert list(untyped('room')) == [('room/a.py:2 A.f', 'a, c'), ('room/a.py:6 f', 'return'), ('room/a.py:7 g', '')]


if __name__ == '__main__':
    for name in ALL:
        found = [bare for _, bare in untyped(name)]
        print(f'{name:12s} {found.count(""):4d} of {len(found):4d} public functions have types')
