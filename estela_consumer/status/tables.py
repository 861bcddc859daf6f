"""The status as tables, for terminals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from rich.console import RenderableType

from estela_consumer.status.model import TROUBLED, OutageStatus, Status, TopicStatus
from estela_consumer.status.sentence import Level, duration, sentence, summary
from estela_terminal.output import DataTable, as_text, data_table

_STYLES = {Level.WELL: "bold green", Level.BUSY: "bold", Level.LOOK: "bold yellow", Level.TROUBLE: "bold red"}


def as_tables(status: Status) -> list[RenderableType]:
    """All of it, in the order of the page."""
    found = sentence(status)
    parts: list[RenderableType] = [as_text(f"{found.text}.", _STYLES[found.level])]
    parts += [as_text(text) for text in [summary(status)] if text]
    parts += [as_text(f"  {text}.") for text in found.more]
    for title, table in _tables(status):
        parts += ["", as_text(title, "bold"), table]
    return [*parts, "", as_text(f"Queue: {status.queue}. Store: {status.store}.")]


def _tables(status: Status) -> Iterator[tuple[str, DataTable]]:
    yield "Topics", _topics(status)
    if any(each.partitions for each in status.topics):
        yield "Partitions", _partitions(status)
    if outages := (*status.outages, *status.past_outages):
        yield "Outages", _outages(outages, status.time)
    if status.dead_letters:
        yield "Dead letters", _dead_letters(status)
    if status.jobs:
        yield "Jobs of the last day", _jobs(status)
    if status.datasets:
        yield f"Datasets ({status.datasets_of})", _datasets(status)


def _topics(status: Status) -> DataTable:
    table = data_table("topic", "group", "members", numbers=("lag", "done/s", "published/s", "time to go"))
    for each in status.topics:
        table.add_data_row(
            each.topic, each.group, members_text(each), lag_text(each), rate_text(each.rate),
            rate_text(each.incoming), to_go_text(each),
        )  # fmt: skip
    return table


def _partitions(status: Status) -> DataTable:
    table = data_table("topic", "told", numbers=("partition", "committed", "end", "lag"))
    for topic in status.topics:
        told = "" if topic.asked_at is None else f"{duration(status.time - topic.asked_at)} ago"
        for each in topic.partitions:
            table.add_data_row(
                topic.topic,
                told,
                each.partition,
                count_text(each.committed),
                count_text(each.end),
                f"{each.lag:,}",
            )  # fmt: skip
    return table


def _outages(outages: tuple[OutageStatus, ...], now: float) -> DataTable:
    table = data_table("part", "began", "for", "error")
    for each in outages:
        lasted = duration((each.ended or now) - each.began)
        table.add_data_row(
            f"{each.part} {each.topic}".strip(), time_text(each.began),
            f"{lasted}, over" if each.ended else lasted, each.error,
        )  # fmt: skip
    return table


def _dead_letters(status: Status) -> DataTable:
    table = _table("topic", "reason", "letters", "the latest", "to send them back")
    for each in status.dead_letters:
        letters = f"{each.letters:,}" + (" or more" if each.at_least else "")
        latest = f"{each.place} {each.error}: {each.sample}" if each.place else ""
        table.add_data_row(each.topic, each.reason, letters, latest, each.replay)
    return table


def _jobs(status: Status) -> DataTable:
    table = _table("job", "state", "published", "missing", "last heard of", "")
    for each in status.jobs:
        style = "yellow" if each.state in TROUBLED else ""
        table.add_row(
            as_text(each.jid), as_text(each.state.value, style), as_text(f"{each.published:,}"),
            as_text(f"{each.missing:,}" if each.missing else ""),
            as_text(f"{duration(status.time - each.time)} ago"), as_text(each.told),
        )  # fmt: skip
    if status.jobs_not_shown:
        table.add_data_row(f"and {status.jobs_not_shown:,} others", "", "", "", "", "estela-verify lists all")
    return table


def _table(*titles: str) -> DataTable:
    """One whose numbers stand among the texts."""
    table = data_table()
    for title in titles:
        table.add_data_column(title, number=title in ("letters", "published", "missing"))
    return table


def _datasets(status: Status) -> DataTable:
    table = data_table("dataset", "last write", numbers=("messages",))
    for each in status.datasets:
        ago = "" if each.time is None else f"{duration(status.time - each.time)} ago"
        table.add_data_row(each.dataset, ago, f"{each.documents:,}")
    return table


def members_text(topic: TopicStatus) -> str:
    """How many read the topic."""
    return "not known" if topic.members is None else f"{len(topic.members):,}"


def lag_text(topic: TopicStatus) -> str:
    """The lag, as far as it is known."""
    if topic.exists is False:
        return "no such topic"
    return "not known" if topic.lag is None else f"{topic.lag:,}"


def count_text(count: int | None) -> str:
    """Empty if it is not known."""
    return "" if count is None else f"{count:,}"


def rate_text(rate: float | None) -> str:
    """Messages a second."""
    return "" if rate is None else f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.1f}"


def to_go_text(topic: TopicStatus) -> str:
    """How long until nothing is left."""
    if not topic.lag:
        return ""
    seconds = topic.seconds_to_go
    return "" if seconds is None else duration(seconds)


def time_text(seconds: float) -> str:
    """In UTC, to the second."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%SZ}"
