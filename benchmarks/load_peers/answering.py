"""A server that answers every gRPC call at once with the same few bytes: the least that HTTP/2 takes, on uvloop.

It reads the heads of frames, nothing in them, and writes an answer for each stream that ends.

    python benchmarks/load_peers/answering.py PORT
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

import uvloop

DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE_SIZE = 24
HEAD = struct.Struct(">HBBBL")
WINDOW = 2**30


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2."""
    return HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """One header that no table keeps."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


# A PredictResponse of model "echo", version 1, without outputs.
MESSAGE = bytes([0x12, 10, 0x0A, 4]) + b"echo" + bytes([0x12, 2, 0x08, 1])
FIRST = frame(HEADERS, END_HEADERS, 0, b"\x20\x88" + literal(b"content-type", b"application/grpc"))
PARTS = (
    frame(HEADERS, END_HEADERS, 0, b"\x88" + literal(b"content-type", b"application/grpc")),
    frame(DATA, 0, 0, struct.pack(">BL", 0, len(MESSAGE)) + MESSAGE),
    frame(HEADERS, END_HEADERS | END_STREAM, 0, literal(b"grpc-status", b"0")),
)
# Each part around the number of its stream.
PIECES = [(part[:5], part[9:]) for part in PARTS]
FIRST_PIECES = [(FIRST[:5], FIRST[9:]), *PIECES[1:]]  # says that no table of headers is kept


class Answering(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take what comes, as much as comes."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # of TCP, which is one
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.begun = self.answered = False
        self.consumed = 0
        settings = struct.pack(">HL", 4, WINDOW)  # INITIAL_WINDOW_SIZE
        self.transport.write(frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", WINDOW)))

    def data_received(self, data: bytes) -> None:
        """Answer each stream that ends."""
        data = self.rest + data
        position, size, out = 0, len(data), []
        if not self.begun:
            self.begun, position = True, PREFACE_SIZE  # a client writes it in one piece with what follows
        while size - position >= HEAD.size:
            high, low, kind, flags, stream = HEAD.unpack_from(data, position)
            end = position + HEAD.size + (high << 8 | low)
            if end > size:
                break
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                name = stream.to_bytes(4, "big")
                for before, after in PIECES if self.answered else FIRST_PIECES:
                    out += (before, name, after)
                self.answered = True
                self.consumed += end - position
            elif kind == SETTINGS and not flags & ACK:
                out.append(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                out.append(frame(PING, ACK, 0, data[position + HEAD.size : end]))
            position = end
        self.rest = data[position:]
        if self.consumed > WINDOW // 2:
            out.append(frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", self.consumed)))
            self.consumed = 0
        self.transport.write(b"".join(out))


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
