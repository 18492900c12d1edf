"""The one exception a user's mistake raises, and how a script ends on it."""
import os
import sys


class UserError(Exception):
    """Something the user can put right: what came, what is allowed, where, what to do.

    `findings` is a list of such messages, so that everything wrong is reported at once.
    """

    def __init__(self, findings):
        self.findings = [findings] if isinstance(findings, str) else list(findings)
        super().__init__('\n'.join(self.findings))


def run_main(main, argv=None):
    """Run a script's main(argv) and leave with its exit code.

    A UserError becomes plain lines on stderr and code 1, Ctrl-C code 130, a full disk (OSError 28) and a package that
    is not installed a message. Any other exception is a bug and keeps its traceback.
    """
    try:
        code = main(argv)
    except UserError as error:
        for finding in error.findings:
            print(f'error: {finding}', file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader (head, a closed pager) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] == 'object_detection':  # a bug of ours
            raise
        print(f'error: {sys.executable} lacks the packages of requirements.txt ({error!s}). Once: make setup; in '
              'every new terminal: . .venv/bin/activate (README.md says what it is on Windows)', file=sys.stderr)
        code = 1
    except OSError as error:
        if error.errno != 28:
            raise
        print(f'error: no space left on the device while writing {error.filename or "a file"}; '
              'free some and run the same command again', file=sys.stderr)
        code = 1
    sys.exit(code or 0)
