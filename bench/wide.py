"""wide: 1,000 datasets interleaved, against the same messages in one dataset."""

from __future__ import annotations

from collections.abc import Callable

from bench import drains
from bench.messages import DATABASE, envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Measured
from bench.world import World
from estela_consumer.stores.mongodb.clustering import CLUSTERED_ON_ID
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA

_DATASETS = 1_000
_SMALL = 512 * 1024  # bytes of a chunk, a quarter of the default


def run(world: World, messages: int, rounds: int) -> Outcome:
    """With the default settings, and with small chunks, which take less memory.

    Making the collections is not measured.
    """
    datasets = max(2, min(_DATASETS, messages // 100))
    wide, one = world.topic(), world.topic()
    fill(world, wide, envelopes(messages, datasets=datasets))
    fill(world, one, envelopes(messages))
    for number in range(datasets):
        world.client[DATABASE].create_collection(f"shop-{number}-{wide}", clusteredIndex=CLUSTERED_ON_ID)
    many = f"{datasets:,} datasets"
    small = ("--chunk-bytes", str(_SMALL))
    sides: dict[str, tuple[str, str, tuple[str, ...]]] = {
        f"{many}, librdkafka": (LIBRDKAFKA, wide, ()),
        "one dataset, librdkafka": (LIBRDKAFKA, one, ()),
        f"{many}, kafka-python": (KAFKA_PYTHON, wide, ()),
        "one dataset, kafka-python": (KAFKA_PYTHON, one, ()),
        f"{many}, librdkafka, chunks of {_SMALL >> 10} KiB": (LIBRDKAFKA, wide, small),
    }
    measured: dict[str, list[Measured]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, (client, topic, arguments) in sides.items():
            world.empty(DATABASE)
            measured[side].append(
                drains.drain(world, topic, messages, clean=False, arguments=arguments, client=client)
            )
    rates = rounds_of(_each(measured, "", lambda one: one.rate), "documents a second")
    client_cpu = rounds_of(_each(measured, ": client CPU", lambda one: one.cpu), "µs a document")
    server_cpu = rounds_of(_each(measured, ": mongod's CPU", lambda one: one.server_cpu), "µs a document")
    peaks = rounds_of(_each(measured, ": memory", lambda one: one.peak), "MB")
    goals = []
    for client, at in ((LIBRDKAFKA, 0), (KAFKA_PYTHON, 2)):
        wide_cpu, one_cpu = (client_cpu[side].median + server_cpu[side].median for side in (at, at + 1))
        why = (
            f"client and mongod take {client_cpu[at].median:.1f} + {server_cpu[at].median:.1f} µs of CPU for "
            f"a document, most of it for each insert, against {client_cpu[at + 1].median:.1f} + "
            f"{server_cpu[at + 1].median:.1f}: that allows {one_cpu / wide_cpu:.2f}"
        )
        ratio = quotient(rates[at], rates[at + 1])
        goals.append(Ratio(f"{many} against one, {client}", ratio, 0.6, why=why))
    return Outcome("wide", messages, [*rates, *client_cpu, *server_cpu, *peaks], goals)


def _each(
    measured: dict[str, list[Measured]], what: str, value: Callable[[Measured], float]
) -> dict[str, list[float]]:
    return {f"{side}{what}": [value(one) for one in found] for side, found in measured.items()}
