"""The engine: detection models, their inputs, training and export, on the files of the TF2 Object Detection API."""
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent:
    """The last finder of imports: for a module of the reference that is not here, it says what takes its place."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.startswith('object_detection.'):
            from object_detection.absent import explain_module
            explain_module(name.removeprefix('object_detection.'))
        return None


sys.meta_path.append(_Absent)
