"""Which machines train together: from --workers, TF_CONFIG, or the environment of a SLURM step."""
import argparse
import dataclasses
import json
import re
from collections.abc import Mapping

from object_detection.utils import args
from object_detection.utils.errors import UserError

_EXAMPLE = '{"cluster": {"worker": ["gpu1:2222", "gpu2:2222"]}, "task": {"type": "worker", "index": 0}}'
SLURM_PORT = 8888  # as TensorFlow's SlurmClusterResolver; a second task on the same node has the next one


@dataclasses.dataclass(frozen=True)
class Members:
    """The machines of a cluster.

    Attributes:
        addresses: host:port of each. At its port the parent process of machine 0, the chief, meets the others.
        index: of this machine.
        source: where this was read: --workers, TF_CONFIG or SLURM.
    """
    addresses: tuple[str, ...]
    index: int
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.index < len(self.addresses):
            raise UserError(f'{self.source}: this machine has index {self.index}, but there are {len(self.addresses)} '
                            f'workers; allowed: 0 to {len(self.addresses) - 1}')
        for address in self.addresses:
            if not re.fullmatch(r'(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):\d+', address) or not 0 < port(address) < 65536:
                raise UserError(f'{self.source}: {address!r} is no address; give host:port, such as gpu1:2222, the '
                                'port from 1 to 65535')
        if len(set(self.addresses)) < len(self.addresses):
            twice = next(address for address in self.addresses if self.addresses.count(address) > 1)
            raise UserError(f'{self.source}: {twice} is there twice; each machine needs an address of its own')

    def name(self, index: int) -> str:
        """Name a machine for the user: machine 1 (gpu2:2222)."""
        return f'{"the chief, " if not index else ""}machine {index} ({self.addresses[index]})'


def host(address: str) -> str:
    return address.rpartition(':')[0].strip('[]')


def port(address: str) -> int:
    return int(address.rpartition(':')[2])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a cluster."""
    group = parser.add_argument_group('several machines', 'start the same command on each; docs/cluster.md')
    group.add_argument('--workers', metavar='HOST:PORT,...', help='the machines, the first of which writes the files '
                       '(default: TF_CONFIG, else the tasks of a SLURM step, else this machine alone)')
    group.add_argument('--worker_index', type=int, metavar='N', help='which of --workers this machine is, from 0')
    group.add_argument('--barrier_timeout', type=args.positive_int, default=60, metavar='SECONDS',
                       help='how long the machines wait for each other, and after how long a silent one counts as dead')


def find(workers: str | None, index: int | None, environment: Mapping[str, str]) -> Members | None:
    """Return the cluster that the options or the environment describe; None for a single machine.

    Raises:
        UserError: the description is wrong.
    """
    if workers is not None:
        addresses = tuple(address.strip() for address in workers.split(',') if address.strip())
        if index is None:
            raise UserError('--workers: needs --worker_index, which of them this machine is, from 0')
        found: Members | None = Members(addresses, index, '--workers')
    elif index is not None:
        raise UserError('--worker_index: needs --workers, the host:port of all machines')
    else:
        found = _tf_config(environment.get('TF_CONFIG', '')) or _slurm(environment)
    return found if found and len(found.addresses) > 1 else None


def _tf_config(text: str) -> Members | None:
    """Read TF_CONFIG: {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}. A job
    `chief` is worker 0, as in TensorFlow; parameter servers and evaluators are refused."""
    if not text.strip():
        return None
    try:
        content = json.loads(text)
        cluster, task = content.get('cluster') or {}, content.get('task') or {}
        if not cluster:
            return None
        chiefs, workers = list(cluster.get('chief', [])), list(cluster.get('worker', []))
        kind, index = task['type'], int(task['index'])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f'TF_CONFIG: is not what TensorFlow documents ({error!r}); it must be JSON such as {_EXAMPLE}, '
                        'or not be set') from error
    if unknown := sorted({*cluster, kind} - {'chief', 'worker'}):
        raise UserError(f'TF_CONFIG: has {", ".join(unknown)}; allowed: chief and worker. There are no parameter '
                        'servers, and the workers evaluate, too')
    return Members(tuple(map(str, chiefs + workers)), index if kind == 'chief' else len(chiefs) + index, 'TF_CONFIG')


def _slurm(environment: Mapping[str, str]) -> Members | None:
    """Read the variables of a SLURM step with several tasks (srun), which SlurmClusterResolver reads."""
    tasks = environment.get('SLURM_STEP_NUM_TASKS', '1')
    if not tasks.isdigit() or int(tasks) < 2:
        return None
    try:
        nodes = expand_hostlist(environment['SLURM_STEP_NODELIST'])
        counts = _expand_counts(environment['SLURM_STEP_TASKS_PER_NODE'])
        rank = int(environment['SLURM_PROCID'])
    except (KeyError, ValueError) as error:
        raise UserError(f'SLURM: the environment of this step is not as srun sets it ({error!s}); give the machines '
                        'with --workers') from error
    addresses = tuple(f'{node}:{SLURM_PORT + i}' for node, count in zip(nodes, counts) for i in range(count))
    if len(addresses) != int(tasks):
        raise UserError(f'SLURM: {tasks} tasks (SLURM_STEP_NUM_TASKS), but {len(addresses)} places for them '
                        '(SLURM_STEP_NODELIST, SLURM_STEP_TASKS_PER_NODE); give the machines with --workers')
    return Members(addresses, rank, 'SLURM')


def expand_hostlist(text: str) -> list[str]:
    """Expand SLURM's notation: n[1-2,07],m5 is n1, n2, n07, m5. ValueError if it is not such a list."""
    found: list[str] = []
    for part in re.findall(r'(?:[^,\[\]]|\[[^\]]*\])+', text):
        names = ['']
        for plain, ranges in re.findall(r'([^\[\]]+)|\[([^\]]+)\]', part):
            ends = [plain] if plain else [number for piece in ranges.split(',') for number in _range(piece)]
            names = [name + end for name in names for end in ends]
        found += names
    if not found:
        raise ValueError(f'{text!r} lists no node')
    return found


def _range(text: str) -> list[str]:
    first, _, last = text.partition('-')
    return [str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)]


def _expand_counts(text: str) -> list[int]:
    """Expand 3(x2),1 to 3, 3, 1."""
    counts: list[int] = []
    for part in text.split(','):
        match = re.fullmatch(r'(\d+)(?:\(x(\d+)\))?', part)
        if not match:
            raise ValueError(f'SLURM_STEP_TASKS_PER_NODE is {text!r}')
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
