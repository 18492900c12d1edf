"""Phases for test_phases.py; a module of its own, because the fresh process must be able to import them."""
import ctypes
import ctypes.util
import errno
import os
import signal
import time

try:
    import resource
except ImportError:  # Windows
    resource = None

from object_detection.utils.errors import UserError
from object_detection.utils.phases import Interrupted, NotFinite

remembered = []


def count(report, stopping, to):
    for i in range(to):
        report('counted', number=i)
    return {'last': to - 1, 'pid': os.getpid(), 'keras': os.environ['TF_USE_LEGACY_KERAS']}


def remember(value):
    remembered.append(value)
    raise ValueError('which stays in the process')


def recall(report, stopping):
    return {'remembered': remembered}


def wait_for_stop(report, stopping):
    report('waiting', pid=os.getpid())
    while not stopping():
        time.sleep(.01)
    raise Interrupted('stopped as asked', step=7)


def stopped_at_its_end(report, stopping):
    """Looks for a request for the last time, and then one comes."""
    stopping()
    report('ending', pid=os.getpid())
    time.sleep(.5)
    return {'step': 7}


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


def hangs(report, stopping, where):
    """Works, and then hangs: in C code that never lets Python run, in Python, or stopped from outside."""
    report('progress', step=1)
    if where == 'C':
        ctypes.PyDLL(None).sleep(60)
    elif where == 'stopped':
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def takes_its_time(report, stopping):
    time.sleep(1.5)
    for step in range(3):
        report('progress', step=step)
        time.sleep(.6)
    return {}


def bad_alloc(report, stopping):
    """C++'s operator new throws std::bad_alloc, which nobody catches."""
    name = ctypes.util.find_library('stdc++')
    new = ctypes.CDLL(name)._Znwm
    new.argtypes, new.restype = [ctypes.c_size_t], ctypes.c_void_p
    resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
    new(1 << 40)


def takes_memory(report, stopping):
    kept = []
    while True:
        kept.append(b'x' * (1 << 24))


def noisy(report, stopping, lines):
    """Writes to stderr as C++ libraries do."""
    for line in lines:
        os.write(2, line)
    return {}


def holds_memory(report, stopping, megabytes, seconds=0., killed=False):
    """Hold memory for some seconds, and perhaps be killed then."""
    held = bytearray(megabytes * 1_000_000)
    held[::4096] = b'x' * len(held[::4096])
    time.sleep(seconds)
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
