"""Why a process ended that could not say so itself: whether memory ran out, and how long it has been silent."""
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from object_detection.utils import machine

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# What C++ libraries write or say when an allocation fails; some of them then end the whole process (SIGABRT).
# 'Status: 1' is oneDNN's out_of_memory; 'Dst tensor' is what TensorFlow says of a copy that found no GPU memory.
ALLOCATION_FAILED = re.compile(
    r'bad_alloc|length_error|bad_array_new_length|[Oo]ut of memory|OUT_OF_MEMORY|OOM when allocating|'
    r'[Ff]ailed to allocate|[Cc]ould not allocate|[Cc]annot allocate memory|ALLOC_FAILED|Dst tensor is not initialized|'
    r'could not create a memory|exception:\s*Status: 1,|pthread_create.*failed|Thread creation via pthread_create')


def memory_ran_out(code: int | None, written: Iterable[bytes], kills_before: int) -> str:
    """Return how memory ran out, if that is how a process ended; otherwise ''.

    Args:
        code: its exit code, the negative number of a signal.
        written: the last lines that it wrote to stderr.
        kills_before: oom_kills() when it started.
    """
    if code == -getattr(signal, 'SIGKILL', 9) and oom_kills() > kills_before:
        return ('the operating system ended the process (SIGKILL), probably because main memory ran out: its count of '
                'such ends has grown')
    if code in (-getattr(signal, 'SIGABRT', 6), -getattr(signal, 'SIGSEGV', 11)):
        lines = [line.decode('utf-8', 'replace').strip() for line in written]
        reason = next((line for line in lines if ALLOCATION_FAILED.search(line)), '')
        if reason:
            return f'main memory ran out, and the library that asked for it ended the process ({reason[:160]})'
    if code == -getattr(signal, 'SIGSEGV', 11) and (limit := memory_limit()):
        return (f'the process crashed (SIGSEGV) under a memory limit of {limit / 1e9:.2f} GB (ulimit), as libraries do '
                'that take no notice of a failed allocation')
    return ''


def memory_limit() -> int | None:
    """Return the bytes of memory that the system allows a process of ours (ulimit -d, -v); None for no limit."""
    if resource is None:
        return None
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)


def oom_kills(root: Path = Path('/')) -> int:
    """Return how many processes Linux has killed so far because memory ran out; 0 where it is unknown.

    The count is that of our control group (a container, a job of a cluster), where it can be read, otherwise that of
    the whole machine.

    Args:
        root: of the file system.
    """
    files = [folder / ('memory.events' if version == 2 else 'memory.oom_control')
             for folder, version in machine.control_groups(root)]
    counts = [machine.numbers(file).get('oom_kill') for file in (*files, root / 'proc/vmstat')]
    return next((count for count in counts if count is not None), 0)


def stopped(pid: int) -> bool:
    """Return whether a process is stopped (SIGSTOP, Ctrl-Z); False where it is unknown."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8', errors='replace').rpartition(')')[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in 'Tt'


class Watchdog:
    """Notices that a phase has come no further for too long.

    Until its first step or picture a phase may take as long as STARTING: building and tracing a large model is silent.

    Args:
        seconds: the longest time from one event to the next; None: forever.
    """

    STARTING = 1800.
    WORK = ('progress', 'evaluated')  # events of a phase that has begun its work
    _LEAP = 5.  # of two looks further apart, we were stopped ourselves, or the computer slept

    def __init__(self, seconds: float | None) -> None:
        self._seconds, self._working = seconds, False
        self.silent, self._looked = 0., time.monotonic()

    @property
    def limit(self) -> float:
        """How many seconds of silence are too many now."""
        if self._seconds is None:
            return float('inf')
        return self._seconds if self._working else max(self._seconds, self.STARTING)

    def event(self, name: str) -> None:
        """Note an event of the phase."""
        self._working, self.silent = self._working or name in self.WORK, 0.

    def bites(self) -> bool:
        """Return whether the silence has become too long; to be asked every second or so."""
        now = time.monotonic()
        self.silent += min(now - self._looked, self._LEAP)
        self._looked = now
        return self.silent > self.limit
