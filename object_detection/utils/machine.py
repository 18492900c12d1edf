"""What this machine is, and the memory that processes take. Asks the system and nvidia-smi, never TensorFlow."""
import csv
import os
import platform
import subprocess
import sys
from pathlib import Path, PurePosixPath


def gpus() -> list[tuple[str, float]]:
    """Return name and GB of the GPUs that CUDA_VISIBLE_DEVICES lets TensorFlow use."""
    try:
        done = subprocess.run(['nvidia-smi', '--query-gpu=name,memory.total', '--format=csv,noheader,nounits'],
                              capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    found = [(name, int(memory) * 2 ** 20 / 1e9) for name, memory in csv.reader(done.stdout.splitlines(),
                                                                               skipinitialspace=True)
             if memory.isdigit()]
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if visible is None:
        return found
    chosen = [entry.strip() for entry in visible.split(',') if entry.strip()]
    if all(entry.isdigit() for entry in chosen):
        return [found[int(entry)] for entry in chosen if int(entry) < len(found)]
    return [] if chosen[0].startswith('-') else found[:len(chosen)]  # named by UUID


def cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor, or at least of its kind."""
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        lines = []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(filter(None, names), None) or platform.processor() or platform.machine()


def has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16; False where the system does not tell."""
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return False
    flags = next((line.partition(':')[2].split() for line in text.splitlines()
                  if line.partition(':')[0].strip() in ('flags', 'Features')), [])  # Features: on ARM
    return not {'avx512_bf16', 'amx_bf16', 'bf16'}.isdisjoint(flags)


def main_memory() -> float | None:
    """Return the GB of main memory; None where the system does not tell."""
    if sys.platform == 'win32':
        return _windows_memory('ullTotalPhys')
    try:
        return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9
    except (AttributeError, ValueError, OSError):
        return None


def free_memory(root: Path = Path('/')) -> float | None:
    """Return the GB of main memory that new processes could take; None where the system does not tell.

    Under a limit for a container or a job it is what that leaves. Files that the system only keeps in memory until it
    needs the room do not count as taken.

    Args:
        root: of the file system.
    """
    if sys.platform == 'win32':
        return _windows_memory('ullAvailPhys')
    available = numbers(root / 'proc/meminfo').get('MemAvailable:')
    left = [] if available is None else [available * 1024]
    for folder, version in control_groups(root):
        limit, taken, cached = ('memory.max', 'memory.current', 'inactive_file') if version == 2 else (
            'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
        try:
            most, used = (int((folder / name).read_text(encoding='ascii')) for name in (limit, taken))
        except (OSError, ValueError):  # not there, or 'max': no limit
            continue
        left.append(most - used + numbers(folder / 'memory.stat').get(cached, 0))
    return min(left) / 1e9 if left else None


def control_groups(root: Path = Path('/')) -> list[tuple[Path, int]]:
    """Return the folders of Linux's control groups (a container, a job of a cluster) whose memory limits hold for this
    process, and the version of their files: of version 2, then of version 1, each from the inside out.

    Args:
        root: of the file system.
    """
    try:
        lines = (root / 'proc/self/cgroup').read_text(encoding='utf-8').splitlines()
    except OSError:
        return []
    groups = {controllers: path for _, controllers, path in (line.split(':', 2) for line in lines)}
    found = []
    for controllers, top, version in (('', 'sys/fs/cgroup', 2), ('memory', 'sys/fs/cgroup/memory', 1)):
        if controllers in groups or version == 2:
            inner = PurePosixPath(groups.get(controllers, '/'))
            # Inside a container our group may be the root that we see, though it has a longer name.
            found += [(root / top / str(path).lstrip('/'), version) for path in (inner, *inner.parents)]
    return found


def numbers(file: Path) -> dict[str, int]:
    """Read lines of a name and a number, such as /proc/meminfo; without those that are otherwise, empty if unreadable.
    """
    try:
        lines = file.read_text(encoding='ascii').splitlines()
    except (OSError, ValueError):
        return {}
    return {parts[0]: int(parts[1]) for parts in map(str.split, lines) if len(parts) > 1 and parts[1].isdigit()}


def peak_memory(process: int | None = None) -> int | None:
    """Return the most main memory in bytes that a process has had so far; None where the system does not tell.

    Args:
        process: number of a running process; None for this one, which works everywhere.
    """
    if sys.platform == 'win32':
        return _windows_peak(process or os.getpid())
    try:
        lines = Path(f'/proc/{process or "self"}/status').read_text(encoding='ascii', errors='replace').splitlines()
    except OSError:  # it has ended, or this is macOS
        lines = []
    if found := next((int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM:')), None):
        return found
    if process is not None:
        return None
    import resource  # on Linux, it would count what the parent had when it started this process
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def runs(process: int) -> bool:
    """Return whether a process of this number runs on this machine."""
    if sys.platform == 'win32':  # where os.kill(process, 0) would end it
        return _windows_peak(process) is not None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


if sys.platform == 'win32':
    import ctypes
    from ctypes import wintypes

    class _Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of the Windows API."""

        _fields_ = [('cb', wintypes.DWORD), ('PageFaultCount', wintypes.DWORD),
                    *((name, ctypes.c_size_t) for name in (
                        'PeakWorkingSetSize', 'WorkingSetSize', 'QuotaPeakPagedPoolUsage', 'QuotaPagedPoolUsage',
                        'QuotaPeakNonPagedPoolUsage', 'QuotaNonPagedPoolUsage', 'PagefileUsage', 'PeakPagefileUsage'))]

    class _Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = [('dwLength', wintypes.DWORD), ('dwMemoryLoad', wintypes.DWORD),
                    *((name, ctypes.c_uint64) for name in (
                        'ullTotalPhys', 'ullAvailPhys', 'ullTotalPageFile', 'ullAvailPageFile', 'ullTotalVirtual',
                        'ullAvailVirtual', 'ullAvailExtendedVirtual'))]

    _kernel = ctypes.WinDLL('kernel32', use_last_error=True)
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.OpenProcess.argtypes = wintypes.DWORD, wintypes.BOOL, wintypes.DWORD
    _kernel.K32GetProcessMemoryInfo.argtypes = wintypes.HANDLE, ctypes.POINTER(_Counters), wintypes.DWORD
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)

    def _windows_peak(process: int) -> int | None:
        handle = _kernel.OpenProcess(0x1000, False, process)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return None
        try:
            counters = _Counters(cb=ctypes.sizeof(_Counters))
            done = _kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.cb)
            return counters.PeakWorkingSetSize if done else None
        finally:
            _kernel.CloseHandle(handle)

    def _windows_memory(field: str) -> float | None:
        status = _Status(dwLength=ctypes.sizeof(_Status))
        return getattr(status, field) / 1e9 if _kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None
