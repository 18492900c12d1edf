"""Where the parent processes of the machines meet: at the address of machine 0, the chief, for the whole command.

    chief                                  each other machine
                    <- hello(index)        as soon as it starts
                    <- facts               when it has checked config and records
    order(phase)    ->                     the chief alone decides what comes next
                    <- port                of the TensorFlow server of its phase
    go(addresses)   ->
                    <- outcome             of its phase; `stop` if that of another machine failed
    end             ->

A connection that breaks or is silent for --barrier_timeout ends the phase on all machines.
"""
import collections
import contextlib
import functools
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from object_detection.cluster.channel import Channel, Message, connect
from object_detection.cluster.members import Members, host, port
from object_detection.utils import console, phases
from object_detection.utils.errors import UserError

AGAIN = 'Run the same command on all machines to continue from the last checkpoint'
CLOCK_SECONDS = 5.  # a machine whose clock differs by more is named
_GRACE = 2.  # seconds for the cause, after a phase that has only noticed that another one failed
_LOOK = .2  # seconds; short waits let Ctrl-C in


class Chief:
    """The meeting, seen from machine 0. A context manager: its end tells the others to end, too."""

    def __init__(self, members: Members, timeout: float) -> None:
        self.members, self.timeout = members, timeout
        self._channels: dict[int, Channel] = {}
        self._inbox: dict[int, collections.deque[Message]] = {i: collections.deque()
                                                              for i in range(1, len(members.addresses))}
        self._gone: dict[int, str] = {}
        self._left: dict[int, float] = {}  # when those went
        self._changed = threading.Condition()
        self._on_failure: Callable[[str], object] | None = None
        address = members.addresses[0]
        try:
            self._server = _listen(port(address))
        except OSError as error:
            raise UserError(f'{members.source}: cannot meet the other machines at port {port(address)} '
                            f'({error.strerror}); give the chief a port that is free') from error
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> 'Chief':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._server.close()
        if kind is None:
            self._tell_all('end')
        elif kind is KeyboardInterrupt:
            self._tell_all('end', interrupted=True)
        else:
            self._tell_all('end', error=str(error) if isinstance(error, UserError) else f'the chief failed: {error!r}')
        for channel in list(self._channels.values()):
            channel.close()

    def gather(self, kind: str) -> dict[int, Message]:
        """Wait for a message of this kind from each other machine.

        Raises:
            UserError: a machine is gone, or sent none within the timeout.
        """
        end = time.monotonic() + self.timeout
        found: dict[int, Message] = {}
        told = time.monotonic() + 5.
        with self._changed:
            while True:
                for i, inbox in self._inbox.items():
                    if i in self._gone:
                        raise UserError(f'{self.members.name(i)}: {self._gone[i]}. {AGAIN}')
                    while inbox and i not in found:
                        message = inbox.popleft()
                        if message['kind'] == kind:
                            found[i] = message
                if len(found) == len(self._inbox):
                    return found
                missing = ', '.join(self.members.name(i) for i in self._inbox if i not in found)
                if time.monotonic() >= end:
                    raise UserError(f'{missing}: no word for {self.timeout:g} s (--barrier_timeout); the others are '
                                    f'there. {AGAIN}')
                if time.monotonic() >= told:
                    console.log(f'waiting for {missing}', 'soft')
                    told += 10.
                self._changed.wait(_LOOK)

    def agree(self, facts: dict[str, Any]) -> None:
        """Wait for the facts of all machines; UserError that names each machine whose facts differ from the chief's.

        Args:
            facts: {'config': text, 'data': {input_reader: digest}, 'versions': {name: version}, 'gpus': number}.
        """
        findings = []
        for i, message in self.gather('facts').items():
            findings += [f'{self.members.name(i)}: {line}' for line in differences(facts, message['facts'])]
            if abs(message['late']) > CLOCK_SECONDS:
                console.warn(f'{self.members.name(i)}: its clock is {abs(message["late"]):.0f} s '
                             f'{"behind" if message["late"] > 0 else "ahead of"} that of the chief; times in logs and '
                             'TensorBoard are the chief\'s')
        if findings:
            raise UserError(findings)
        console.log(f'{len(self.members.addresses)} machines are here ({self.members.source}): '
                    f'{", ".join(self.members.addresses)}')

    def order(self, phase: str, arguments: dict[str, Any]) -> list[str]:
        """Tell all machines the next phase; return the address of the TensorFlow server of each."""
        for i in self._inbox:
            if i in self._gone:
                raise UserError(f'{self.members.name(i)}: {self._gone[i]}. {AGAIN}')
        self._tell_all('order', phase=phase, arguments=arguments)
        ports = {i: message['port'] for i, message in self.gather('port').items()} | {0: free_port()}
        hosts = [address.rpartition(':')[0] for address in self.members.addresses]
        addresses = [f'{name}:{ports[i]}' for i, name in enumerate(hosts)]
        self._tell_all('go', addresses=addresses)
        return addresses

    @contextlib.contextmanager
    def failures(self, on_failure: Callable[[str], object]) -> Iterator[None]:
        """Inside the block, call on_failure(reason) when the phase of another machine fails or a machine goes."""
        with self._changed:
            self._on_failure = on_failure
            for i, reason in self._gone.items():
                on_failure(f'{self.members.name(i)}: {reason}')
        try:
            yield
        finally:
            self._on_failure = None

    def outcomes(self, own: str) -> dict[int, Message | str]:
        """Return the outcome of each other machine's phase, or why there is none, in the order in which they came.

        Args:
            own: the kind of the chief's own outcome. If it failed, the others end their phases.
        """
        end = time.monotonic() + self.timeout
        stop = end if own == phases.DONE else time.monotonic() + (_GRACE if own == phases.LOST else 0.)
        found: dict[int, Message | str] = {}
        with self._changed:
            while True:
                for i, inbox in self._inbox.items():
                    while inbox and i not in found:
                        message = inbox.popleft()
                        if message['kind'] == 'outcome':
                            found[i] = message
                    if i not in found and (reason := self._gone.get(i)):
                        found[i] = reason
                if len(found) == len(self._inbox):
                    break
                if time.monotonic() >= stop:
                    stop = float('inf')
                    self._tell_all('stop', reason=f'the phase of the chief ended: {own}')
                if time.monotonic() >= end:
                    found |= {i: f'did not end its phase within {self.timeout:g} s (--barrier_timeout)'
                              for i in self._inbox if i not in found}
                    break
                self._changed.wait(_LOOK)
        times = {i: message['time'] if isinstance(message, dict) else self._left.get(i, time.monotonic())
                 for i, message in found.items()}
        return {i: found[i] for i in sorted(found, key=lambda i: times[i])}

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._welcome, args=(connection,), daemon=True).start()

    def _welcome(self, connection: socket.socket) -> None:
        channel = Channel(connection, self.timeout)
        try:
            hello = channel.receive()
            index, addresses = int(hello['index']), hello['addresses']
        except (ConnectionError, KeyError, TypeError, ValueError):  # a port scanner, a browser
            connection.close()
            return
        problem = ''
        with self._changed:
            if tuple(addresses) != self.members.addresses:
                problem = f'it was given the machines {", ".join(map(str, addresses))}; the chief has ' \
                          f'{", ".join(self.members.addresses)}'
            elif index not in self._inbox:
                problem = f'there is no machine {index} besides the chief'
            elif index in self._channels:
                problem = f'another process is machine {index} already'
            else:
                self._channels[index] = channel
        if problem:
            console.warn(f'{connection.getpeername()[0]}: {problem}')
            with contextlib.suppress(ConnectionError):
                channel.send('end', error=problem)
            connection.close()
            return
        channel.start(lambda message: self._receive(index, message), lambda reason: self._lose(index, reason))

    def _receive(self, index: int, message: Message) -> None:
        message['time'] = time.monotonic()
        if message['kind'] == 'facts':
            message['late'] = time.time() - message['clock']
        if message['kind'] == 'bye':
            self._lose(index, message['reason'])
            return
        with self._changed:
            self._inbox[index].append(message)
            self._changed.notify_all()
        if message['kind'] == 'outcome' and (kind := message['outcome']['kind']) != phases.DONE:
            fail = functools.partial(self._fail, f'{self.members.name(index)}: {kind}', self._on_failure)
            if kind == phases.LOST:
                threading.Timer(_GRACE, fail).start()
            else:
                fail()

    def _lose(self, index: int, reason: str) -> None:
        with self._changed:
            if index in self._gone:
                return
            self._gone[index] = reason
            self._left[index] = time.monotonic()
            self._changed.notify_all()
        self._fail(f'{self.members.name(index)}: {reason}', self._on_failure)

    def _fail(self, reason: str, on_failure: Callable[[str], object] | None) -> None:
        """End a phase here and on the other machines, unless it is over."""
        if on_failure and on_failure is self._on_failure:
            on_failure(reason)
            self._tell_all('stop', reason=reason)

    def _tell_all(self, kind: str, **values: Any) -> None:
        for index, channel in list(self._channels.items()):
            if index not in self._gone:
                try:
                    channel.send(kind, **values)
                except ConnectionError as error:
                    self._lose(index, str(error))


class Follower:
    """The meeting, seen from any machine but the chief. A context manager: its end tells the chief why.

    Raises:
        UserError: the chief did not answer within the timeout.
    """

    def __init__(self, members: Members, timeout: float) -> None:
        self.members, self.timeout = members, timeout
        address = members.addresses[0]
        try:
            connection = connect(host(address), port(address), timeout,
                                 lambda: console.log(f'waiting for {members.name(0)}', 'soft'))
        except TimeoutError as error:
            raise UserError(f'{members.name(0)}: no answer for {timeout:g} s (--barrier_timeout; {error}); start the '
                            'same command there') from error
        self._channel = Channel(connection, timeout)
        self._inbox: collections.deque[Message] = collections.deque()
        self._changed = threading.Condition()
        self._gone = ''
        self._on_stop: Callable[[str], object] | None = None
        self._channel.send('hello', index=members.index, addresses=members.addresses)
        self._channel.start(self._receive, self._lose)

    def __enter__(self) -> 'Follower':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        reason = 'interrupted' if kind is KeyboardInterrupt else str(error) if isinstance(error, UserError) else \
            f'failed: {error!r}' if error else 'done'
        with contextlib.suppress(ConnectionError):
            self._channel.send('bye', reason=reason)
        self._channel.close()

    def agree(self, facts: dict[str, Any]) -> None:
        """Tell the chief what must be the same on all machines; see Chief.agree."""
        self.send('facts', facts=facts, clock=time.time())

    def send(self, kind: str, **values: Any) -> None:
        """Send a message to the chief; if it is gone, the next `wait` says so."""
        with contextlib.suppress(ConnectionError):
            self._channel.send(kind, **values)

    def wait(self, *kinds: str) -> Message:
        """Wait for a message of one of these kinds.

        Raises:
            UserError: the chief ended the command with an error, or is gone.
            KeyboardInterrupt: somebody interrupted the chief.
        """
        with self._changed:
            while True:
                while self._inbox:
                    message = self._inbox.popleft()
                    if message['kind'] == 'end':
                        if message.get('interrupted'):
                            print(f'{self.members.name(0)} was interrupted', file=sys.stderr)
                            raise KeyboardInterrupt
                        if message.get('error'):
                            raise UserError(f'{self.members.name(0)} ended: {message["error"]}')
                    if message['kind'] in (*kinds, 'end'):
                        return message
                if self._gone:
                    raise UserError(f'{self.members.name(0)}: {self._gone}. {AGAIN}')
                self._changed.wait(_LOOK)

    @contextlib.contextmanager
    def stops(self, on_stop: Callable[[str], object]) -> Iterator[None]:
        """Inside the block, call on_stop(reason) when the chief says so, or is gone."""
        self._on_stop = on_stop
        if self._gone:
            on_stop(f'{self.members.name(0)}: {self._gone}')
        try:
            yield
        finally:
            self._on_stop = None

    def _receive(self, message: Message) -> None:
        with self._changed:
            self._inbox.append(message)
            self._changed.notify_all()
        if message['kind'] in ('stop', 'end') and (on_stop := self._on_stop):
            on_stop(message.get('reason') or message.get('error') or 'the chief ended')

    def _lose(self, reason: str) -> None:
        with self._changed:
            self._gone = reason
            self._changed.notify_all()
        if on_stop := self._on_stop:
            on_stop(f'{self.members.name(0)}: {reason}')


def differences(chief: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Say in a line each what of a machine's facts differs from those of the chief; see Chief.agree."""
    lines = [f'has {name} {other["versions"].get(name, "none")}, the chief {version}; install the same version'
             for name, version in chief['versions'].items() if other['versions'].get(name) != version]
    if chief['config'] != other['config']:
        ours, theirs = chief['config'].splitlines(), other['config'].splitlines()
        pairs = [(a.strip(), b.strip()) for a, b in zip([*ours, ''], [*theirs, '']) if a != b]
        line, its = pairs[0] if pairs else ('', '')
        lines.append(f'its config differs: {its!r}, the chief\'s {line!r}; give the same pipeline.config and options')
    lines += [f'its records of {name} differ from the chief\'s; the paths must lead to the same files'
              for name, digest in chief['data'].items() if other['data'].get(name) != digest]
    if chief['gpus'] != other['gpus']:
        lines.append(f'has {other["gpus"]} GPUs, the chief {chief["gpus"]}; all machines need the same number: set '
                     'CUDA_VISIBLE_DEVICES')
    return lines


def free_port() -> int:
    """Return a port that is free now."""
    with _listen(0) as server:
        return server.getsockname()[1]


def _listen(number: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(('', number), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(('', number))
