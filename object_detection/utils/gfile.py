"""Open what the reference's functions take as a path: a local file, or gs:// and the like through tf.io.gfile."""
import os
import re
from pathlib import Path
from typing import IO

from object_detection.config import textproto
from object_detection.utils import files


def is_remote(path: str | os.PathLike) -> bool:
    """Return whether the path has a scheme, as gs://bucket/file has."""
    return re.match(r'[a-z][a-z0-9+.-]*://', os.fspath(path)) is not None


def read_text(path: str | os.PathLike) -> str:
    """Return the text of a file.

    Raises:
        FileNotFoundError: with similar names.
        UserError: the file is not UTF-8.
    """
    if is_remote(path):
        return _open_remote(path, 'r').read()
    if not Path(path).exists():
        raise FileNotFoundError(files.missing(path))
    return textproto.read_text(Path(path))


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a file, whole or not at all, and make its missing parent folders."""
    if is_remote(path):
        with _open_remote(path, 'w') as file:
            file.write(text)
    else:
        files.write_text(path, text)


def open_to_write(path: str | os.PathLike) -> IO[bytes]:
    """Open a file to write bytes."""
    return _open_remote(path, 'wb') if is_remote(path) else Path(path).open('wb')


def _open_remote(path: str | os.PathLike, mode: str) -> IO:
    import tensorflow as tf
    return tf.io.gfile.GFile(os.fspath(path), mode)
