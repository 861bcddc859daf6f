"""What a number of items a day needs, from the CPU that was measured for one."""

from __future__ import annotations

import math

from bench.messages import SIZE
from bench.outcome import Outcome

_DAY = 86_400  # seconds
_PEAK = 3  # times the day's average
_FULL = 0.7  # of a core is as busy as it should get
_SHARD_CORES = 8
_SHARD_BYTES = 50e6  # a second that one shard should be asked to take
_MIN_PARTITIONS = 4
ITEMS_A_DAY = (1_000_000, 100_000_000, 10_000_000_000)


def markdown(drain: Outcome) -> str:
    """The table, with the formula above it."""
    ours, server = drain.facts["client_cpu"], drain.facts["server_cpu"]
    rows = [
        f"With {ours:.1f} µs of CPU for a document in `estela-consume` and {server:.1f} µs in mongod (the "
        f"medians of the drain above, {SIZE} bytes a message):",
        "",
        "```",
        f"rate       = items a day / {_DAY:,} s * {_PEAK}      the peak is {_PEAK} times the average",
        f"consumers  = rate * {ours:.1f} µs / {_FULL}            one core each, {_FULL:.0%} busy",
        f"partitions = 2 * consumers, at least {_MIN_PARTITIONS}     so that consumers can be added",
        f"shards     = the larger of rate * {server:.1f} µs / {_FULL} / {_SHARD_CORES} cores",
        f"             and rate * {SIZE} bytes / {_SHARD_BYTES / 1e6:.0f} MB/s",
        "```",
        "",
        "| items a day | at the peak, a second | consumers | partitions | shards | raw data a day |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*rows, *(_row(items, ours, server) for items in ITEMS_A_DAY)])


def _row(items: int, ours: float, server: float) -> str:
    rate = items / _DAY * _PEAK
    consumers = math.ceil(rate * ours / 1e6 / _FULL)
    partitions = max(_MIN_PARTITIONS, 2 * consumers)
    by_cpu, by_bytes = rate * server / 1e6 / _FULL / _SHARD_CORES, rate * SIZE / _SHARD_BYTES
    shards = math.ceil(max(by_cpu, by_bytes))
    data = items * SIZE / 1e9
    size = f"{data / 1000:,.1f} TB" if data >= 1000 else f"{data:,.1f} GB"
    return f"| {items:,} | {rate:,.0f} | {consumers} | {partitions} | {shards} | {size} |"
