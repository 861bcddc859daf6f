"""listen: a drain that is scraped, or kept busy by a thousand slow connections, against one that is not."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import threading
from collections.abc import Callable, Iterator

from bench import drains
from bench.messages import envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Measured
from bench.world import World
from devservers.ports import free_port

ALONE = "estela-consume --drain"
SCRAPED = "with --listen and a scrape each second"
BESIEGED = "with --listen and 1,000 slow connections"

_SLOW = 1_000


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Each drains the same topic, in turns."""
    topic = world.topic()
    fill(world, topic, envelopes(messages))
    ways: dict[str, Callable[[str], contextlib.AbstractContextManager[None]] | None] = {
        ALONE: None,
        SCRAPED: lambda at: _every_second(lambda: _scrape(at)),
        BESIEGED: lambda at: _every_second(_Siege(at).keep_up),
    }
    measured: dict[str, list[Measured]] = {side: [] for side in ways}
    order = itertools.cycle([list(ways), list(ways)[::-1]])  # so that none always has the warmer caches
    for _ in range(rounds):
        for side in next(order):
            measured[side].append(_drain(world, topic, messages, ways[side]))
    rates = {side: [one.rate for one in found] for side, found in measured.items()}
    cpu = {f"{side}: CPU": [one.cpu for one in found] for side, found in measured.items()}
    sides = rounds_of(rates, "documents a second")
    alone, scraped, besieged = sides
    costs = rounds_of(cpu, "µs a document")
    cheapest = [min(cost.values) for cost in costs]
    return Outcome(
        "listen",
        messages,
        [*sides, *costs],
        [
            Ratio(
                "scraped each second, against nobody listening",
                quotient(scraped, alone),
                0.97,
                why=f"the client's CPU allows {cheapest[0] / cheapest[1]:.2f} in the quietest rounds; "
                "the rest is what else ran meanwhile",
            ),
            Ratio("1,000 slow connections, against nobody listening", quotient(besieged, alone), 0.9),
        ],
    )


def _drain(
    world: World,
    topic: str,
    messages: int,
    watched: Callable[[str], contextlib.AbstractContextManager[None]] | None,
) -> Measured:
    if watched is None:
        return drains.drain(world, topic, messages)
    at = f"127.0.0.1:{free_port()}"
    with watched(at):
        return drains.drain(world, topic, messages, arguments=["--listen", at])


@contextlib.contextmanager
def _every_second(do: Callable[[], None]) -> Iterator[None]:
    """Do it on a thread beside, whether or not anybody listens already."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            with contextlib.suppress(OSError, http.client.HTTPException):
                do()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _scrape(at: str) -> None:
    connection = http.client.HTTPConnection(at, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        connection.getresponse().read()


class _Siege:
    """Connections that send half a request, and come again as soon as they are closed."""

    def __init__(self, at: str) -> None:
        host, port = at.split(":")
        self._address = host, int(port)
        self._open: list[socket.socket] = []

    def keep_up(self) -> None:
        """Open so many anew; those of the last time are closed."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        for _ in range(_SLOW):
            connection = socket.create_connection(self._address, timeout=1)
            self._open.append(connection)
            connection.sendall(b"GET /metrics HT")
