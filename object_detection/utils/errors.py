"""UserError, the exception for a user's mistake, and how a command ends on it."""
import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from object_detection.utils import stop

# Why a system refuses a path: permissions, a file system that cannot be written to, names that are too long, ...
REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)


class UserError(Exception):
    """A mistake that the user can correct.

    Args:
        findings: one or more messages, each of which says what came, what is allowed, where, and what to do.
    """

    def __init__(self, findings: str | Iterable[str]) -> None:
        self.findings = [findings] if isinstance(findings, str) else list(findings)
        super().__init__('\n'.join(self.findings))


class ConfigError(UserError, ValueError):
    """A UserError about what a config says; also a ValueError, which the TF2 Object Detection API raises there."""


def run_main(main: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command's main(argv) and exit with the code it returns.

    A UserError, a full disk, a path that the system refuses (REFUSALS), and a package that is not installed become
    messages on stderr and code 1; Ctrl-C and SIGTERM code 130, even where main was done before it noticed. Any other
    exception is a bug and keeps its traceback.
    """
    with stop.command() as requests:
        try:
            code = _code(main, argv)
            interrupted = requests.count > 0
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        print('interrupted', file=sys.stderr)
        code = 130
    sys.exit(code)


def _code(main: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None) -> int:
    """Call main(argv), print a message about each mistake, and return the exit code."""
    try:
        return main(argv) or 0
    except UserError as error:
        for finding in error.findings:
            print(f'error: {finding}', file=sys.stderr)
    except BrokenPipeError:  # the reader (head, a closed pager) is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] == 'object_detection':  # a bug of ours
            raise
        print(f'error: {sys.executable} lacks the packages of requirements.txt ({error!s}). Run make setup once, and '
              '. .venv/bin/activate in every new terminal (Windows: see README.md)', file=sys.stderr)
    except OSError as error:
        if error.errno in REFUSALS and error.filename:
            print(f'error: {error.filename}: {error.strerror}; check the path, and what you may do there',
                  file=sys.stderr)
            return 1
        if error.errno != errno.ENOSPC:
            raise
        print(f'error: no space left on the device while writing {error.filename or "a file"}; '
              'free some and run the same command again', file=sys.stderr)
    return 1
