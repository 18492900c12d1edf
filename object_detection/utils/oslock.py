"""The operating system's lock on a file: a process that dies releases it."""
import contextlib
import errno
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from object_detection.utils.errors import UserError

HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # another process has it; any other errno: there are no locks here

if sys.platform == 'win32':
    import msvcrt

    def take(file: IO[bytes]) -> None:
        """Lock one byte far past the end of the text, so that others can read the text."""
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def take(file: IO[bytes]) -> None:
        """Lock an open file; OSError with one of HELD if another process has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def turn(path: str | Path, seconds: float = 20.) -> Iterator[None]:
    """Hold the lock on a small file while the block reads and rewrites another one.

    Args:
        path: the lock file; it stays and means nothing by itself. On a file system without locks nothing is locked.
        seconds: how long to wait for another process.
    """
    end = time.monotonic() + seconds
    with Path(path).open('a+b') as file:
        while True:
            try:
                take(file)
                break
            except OSError as error:
                if error.errno not in HELD:
                    break
            if time.monotonic() > end:
                raise UserError(f'{path}: another process has held this lock for {seconds:g} s; end it')
            time.sleep(.01)
        yield
