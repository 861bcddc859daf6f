"""Bytes to a broker that call themselves a batch: no client between them."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from typing_extensions import Self

_PRODUCE, _VERSION = 0, 7
_TIMEOUT_MS = 20_000


class Answer(NamedTuple):
    """What the broker says to a batch."""

    error: int
    """0 if it is in the topic now."""
    base_offset: int


class RawProducer:
    """A connection to the one broker, which leads every partition."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=2 * _TIMEOUT_MS / 1000)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, topic: str, partition: int, batch: bytes) -> Answer:
        """Have the broker append the batch, acknowledged by all replicas. Raises OSError if it hangs up."""
        self._number += 1
        head = struct.pack(">hhih", _PRODUCE, _VERSION, self._number, -1)
        body = struct.pack(">hhii", -1, -1, _TIMEOUT_MS, 1) + _text(topic)
        body += struct.pack(">iii", 1, partition, len(batch)) + batch
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        answer = self._receive(*struct.unpack(">i", self._receive(4)))
        at = 4 + 4 + len(_text(topic)) + 4 + 4  # the number, one topic, its name, one partition, its number
        return Answer(*struct.unpack_from(">hq", answer, at))

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            piece = self._socket.recv(size - len(received))
            if not piece:
                raise ConnectionError("the broker hung up")
            received += piece
        return received


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">h", len(encoded)) + encoded
