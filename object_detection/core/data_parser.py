"""Base classes of parsers that read NumPy arrays from a tf.train.Example. Imports no TensorFlow."""
import abc
from typing import Any


class FieldParser(abc.ABC):
    """Reads one or some features of an example."""

    @abc.abstractmethod
    def parse(self, tf_example: Any) -> Any:
        """Return the value, or None if a tf.train.Example lacks it."""


class DataToNumpyParser(abc.ABC):
    """Reads an example as a dict."""

    @abc.abstractmethod
    def parse(self, input_data: Any) -> dict[str, Any] | None:
        """Return {name: value}, or None if the example lacks something that is needed."""
