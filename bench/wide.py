"""wide: 1,000 datasets interleaved, against the same messages in one dataset."""

from __future__ import annotations

from bench import drains
from bench.messages import DATABASE, envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World
from estela_consumer.stores.mongodb.clustering import CLUSTERED_ON_ID
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA

_DATASETS = 1_000
_SMALL = 512 * 1024  # bytes of a chunk, a quarter of the default
_WHY = "an insert of a few documents costs what one of 100 does; before MongoDB 8.0 it has one collection"


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
    rates: dict[str, list[float]] = {side: [] for side in sides}
    cpu: dict[str, list[float]] = {f"{side}: client CPU": [] for side in sides}
    peaks: dict[str, list[float]] = {f"{side}: memory": [] for side in sides}
    for _ in range(rounds):
        for side, (client, topic, arguments) in sides.items():
            world.empty(DATABASE)
            measured = drains.drain(world, topic, messages, clean=False, arguments=arguments, client=client)
            rates[side].append(measured.rate)
            cpu[f"{side}: client CPU"].append(measured.cpu)
            peaks[f"{side}: memory"].append(measured.peak)
    found = rounds_of(rates, "documents a second")
    wide_rd, one_rd, wide_py, one_py, _ = found
    return Outcome(
        "wide",
        messages,
        [*found, *rounds_of(cpu, "µs a document"), *rounds_of(peaks, "MB")],
        [
            Ratio(f"{many} against one, librdkafka", quotient(wide_rd, one_rd), 0.6, why=_WHY),
            Ratio(f"{many} against one, kafka-python", quotient(wide_py, one_py), 0.6, why=_WHY),
        ],
    )
