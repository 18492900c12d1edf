"""Phases for test_phases.py; a module of its own, because the fresh process must be able to import them."""
import errno
import os
import signal
import time

from object_detection.utils.errors import UserError
from object_detection.utils.phases import Interrupted, NotFinite


def count(report, stopping, to):
    for i in range(to):
        report('counted', number=i)
    return {'last': to - 1, 'pid': os.getpid(), 'keras': os.environ['TF_USE_LEGACY_KERAS']}


def wait_for_stop(report, stopping):
    report('waiting', pid=os.getpid())
    while not stopping():
        time.sleep(.01)
    raise Interrupted('stopped as asked', step=7)


def never_stops(report, stopping):
    report('waiting', pid=os.getpid())
    time.sleep(60)


def bad_input(report, stopping):
    raise UserError(['no such file', 'no such label'])


def not_finite(report, stopping):
    raise NotFinite('the loss is nan', step=3)


def out_of_memory(report, stopping):
    raise MemoryError


def disk_full(report, stopping):
    raise OSError(errno.ENOSPC, 'No space left on device', 'ckpt-3')


def bug(report, stopping):
    raise ZeroDivisionError('a mistake in the program')


def killed(report, stopping):
    os.kill(os.getpid(), signal.SIGKILL)


def noisy(report, stopping, lines):
    """Writes to stderr as C++ libraries do."""
    for line in lines:
        os.write(2, line)
    return {}
