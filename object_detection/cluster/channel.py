"""A connection between the parent processes of two machines: JSON messages, one a line, and a sign of life in between.

There is no password and no encryption, as with TensorFlow's own connections: use it in a network that you trust.
"""
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
_LARGEST = 1 << 28  # bytes of a message
_PARTING = 2.  # seconds


class Channel:
    """One end of a connection.

    Args:
        connection: connected.
        timeout: seconds without a message after which the other end counts as dead; this end sends a sign of life four
            times as often.
    """

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        self._socket, self._timeout, self._lock = connection, timeout, threading.Lock()
        self._received, self._closed = b'', threading.Event()
        self._listener: threading.Thread | None = None
        connection.settimeout(timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, kind: str, **values: Any) -> None:
        """Send a message; ConnectionError if the other end is gone."""
        data = json.dumps({'kind': kind, **values}).encode() + b'\n'
        with self._lock:
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise ConnectionError(str(error)) from error

    def receive(self) -> Message:
        """Return the next message that is more than a sign of life.

        Raises:
            ConnectionError: the other end is gone; the message says why.
        """
        while True:
            while b'\n' not in self._received:
                try:
                    data = self._socket.recv(1 << 16)
                except TimeoutError:
                    raise ConnectionError(f'was silent for {self._timeout:g} s (--barrier_timeout)') from None
                except OSError as error:
                    raise ConnectionError(f'the connection broke ({error.strerror or error})') from error
                if not data:
                    raise ConnectionError('its process ended')
                self._received += data
                if len(self._received) > _LARGEST:
                    raise ConnectionError('it sent what no machine of this cluster sends')
            line, _, self._received = self._received.partition(b'\n')
            try:
                message = json.loads(line)
                kind = message['kind']
            except (ValueError, TypeError, KeyError):
                raise ConnectionError('it sent what no machine of this cluster sends') from None
            if kind != 'alive':
                return message

    def start(self, on_message: Callable[[Message], object], on_gone: Callable[[str], object]) -> None:
        """Receive in a thread of its own from now on, and send signs of life in another.

        Args:
            on_message: called with each message.
            on_gone: called once with the reason when the other end is gone; not after `close`.
        """
        def listen():
            try:
                while True:
                    on_message(self.receive())
            except ConnectionError as error:
                if not self._closed.is_set():
                    on_gone(str(error))

        def live():
            while not self._closed.wait(min(self._timeout / 4, 5.)):
                try:
                    self.send('alive')
                except ConnectionError:  # listen() finds out why
                    return

        self._listener = threading.Thread(target=listen, daemon=True)
        self._listener.start()
        threading.Thread(target=live, daemon=True).start()

    def close(self) -> None:
        """Close this end. What was sent arrives: the other end has a moment to read it and to close, too."""
        self._closed.set()
        with contextlib.suppress(OSError):  # the other end was faster
            self._socket.shutdown(socket.SHUT_WR)
        if self._listener:
            self._listener.join(_PARTING)
        self._socket.close()


def connect(host: str, port: int, timeout: float, waiting: Callable[[], object]) -> socket.socket:
    """Return a connection to a machine that may start later; TimeoutError after `timeout` seconds.

    Args:
        waiting: called if it is not there at once.
    """
    end, told = time.monotonic() + timeout, False
    while True:
        try:
            return socket.create_connection((host, port), max(.1, min(5., end - time.monotonic())))
        except OSError as error:
            if time.monotonic() >= end:
                raise TimeoutError(str(error)) from error
        if not told:
            told = True
            waiting()
        time.sleep(.2)
