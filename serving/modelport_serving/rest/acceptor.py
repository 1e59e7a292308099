"""Takes the connections of a listening socket: survives a lack of descriptors, and ends without losing one.

The event loop's own server closes its socket for good when it finds no free descriptor, and at its end resets the
connections that wait to be taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass

_AT_ONCE = 64  # connections that are taken before the event loop gets its turn
_PAUSE_S = 0.1  # before the next try, where there is no descriptor and nothing that could be closed for one
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_SO_ATTACH_FILTER = 26  # of Linux's asm-generic/socket.h; Python has no name for it
_RETURN_0 = struct.pack("HBBI", 0x06, 0, 0, 0)  # a BPF program of one instruction: of every packet, keep 0 bytes


@dataclass(frozen=True)
class Tls:
    """What a connection has to do before it is one."""

    context: ssl.SSLContext
    handshake_s: float


class Acceptor:
    """Belongs to the event loop.

    Args:
        bound: the socket; is closed at the end.
        backlog: connections that the kernel keeps until they are taken.
        protocol: makes the protocol of one.
        make_room: called when there is no descriptor, with a text that says so; whether it has freed one.
        tls: None for plain connections.
    """

    def __init__(
        self,
        bound: socket.socket,
        backlog: int,
        protocol: Callable[[], asyncio.Protocol],
        make_room: Callable[[str], bool],
        tls: Tls | None = None,
    ) -> None:
        self._socket = bound
        self._protocol = protocol
        self._make_room = make_room
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[None]] = set()
        self._is_open = True
        bound.setblocking(False)
        bound.listen(backlog)
        self._loop.add_reader(bound, self._take)

    @property
    def beginning(self) -> bool:
        """Whether a connection was taken that no protocol knows of yet."""
        return bool(self._begun)

    def close(self) -> None:
        """Take what waits, and nothing more: whoever comes later is refused by the system."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            _let_nobody_in(self._socket)
            while self._take_one():
                pass
            self._socket.close()

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._is_open or not self._take_one():
                return

    def _take_one(self) -> bool:
        """Take the next connection; False where none waits, or none can be had."""
        try:
            taken, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno not in _SCARCE:
                return True  # that connection went before it was taken
            if not self._make_room(f"No REST connection can be taken ({os.strerror(error.errno)})") and self._is_open:
                self._loop.remove_reader(self._socket)
                self._loop.call_later(_PAUSE_S, self._resume)
            return False
        taken.setblocking(False)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._begin(taken))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return True

    def _resume(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._socket, self._take)

    async def _begin(self, taken: socket.socket) -> None:
        tls = self._tls
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                taken,
                ssl=None if tls is None else tls.context,
                ssl_handshake_timeout=None if tls is None else tls.handshake_s,
            )
        except OSError:  # it went, or does not speak TLS
            taken.close()


def _let_nobody_in(listening: socket.socket) -> None:
    """Have the kernel drop what comes to a socket, as if it were lost on the way; whoever connects tries again.

    Without it a connection could come between the last one that is taken and the close, and would be reset.
    """
    drop_all = ctypes.create_string_buffer(_RETURN_0)
    program = struct.pack("HP", len(_RETURN_0) // 8, ctypes.addressof(drop_all))
    with contextlib.suppress(OSError):  # another kernel than Linux: the moment is short
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
