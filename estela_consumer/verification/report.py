"""What `estela-verify` says of a job: a table, and a sentence with what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType

from estela_consumer.verification.verification import FINISHED, StreamCount, Verification
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import as_text, data_table

_TITLES = {
    "scraped": "scraped",
    "published": "published",
    "stored": "stored",
    "dead_letters": "dead letters",
    "failed": "failed",
    "filtered": "filtered",
    "missing": "missing",
    "too_many": "too many",
    "unaccounted": "unaccounted",
    "unscraped": "never scraped",
}
_IF_ANY = frozenset(
    {"scraped", "filtered", "too_many", "unaccounted", "unscraped"}
)  # columns that most tables spare
_OF_THESE = {"missing": "missing", "dead_letters": "dead-lettered"}
_BESIDE_THESE = {
    "failed": "more could not be published",
    "too_many": "stored beyond what was published",
    "unaccounted": "scraped but neither published nor counted as failed",
    "unscraped": "published but not among what Scrapy counted as scraped",
}
_ONCE = "once each"  # in the place of a count


def as_table(found: Verification) -> list[RenderableType]:
    """The table, the sentence, and what to check next."""
    names = [name for name in _TITLES if name not in _IF_ANY or found.total(name)]
    table = data_table("stream", "topic", numbers=tuple(_TITLES[name] for name in names))
    for stream in found.streams:
        table.add_data_row(stream.stream, stream.topic, *(_cell(stream, name) for name in names))
    if not table.fits:  # then a column for each stream, of which there are fewer
        table = data_table("", numbers=tuple(stream.stream for stream in found.streams))
        for name in names:
            table.add_data_row(_TITLES[name], *(_cell(stream, name) for stream in found.streams))
    style = "green" if found.code is ExitCode.OK else "red"
    return [table, "", as_text(sentence(found), style), *(as_text(f"  {line}") for line in advice(found))]


def as_json(found: Verification) -> dict[str, Any]:
    """The same for machines; what nobody has counted is None."""
    return {
        **found.as_json(),
        **{name: found.known_total(name) for name in _TITLES},
        "told": sentence(found),
        "advice": list(advice(found)),
        "exit": found.code.name,
        "exit_code": int(found.code),
    }


def _cell(stream: StreamCount, name: str) -> str:
    count = getattr(stream, name)
    if count is None:
        return _ONCE if name == "stored" else ""
    return f"{count:,}"


def sentence(found: Verification) -> str:
    """What became of the job, in one sentence."""
    published, job = found.total("published"), found.jid
    if found.code is ExitCode.OK:
        shared = [stream for stream in found.streams if stream.stored is None]
        once = ", equal items once" if any(not stream.on_existing for stream in shared) else ""
        keyed = ", one document for each key" if any(stream.on_existing for stream in shared) else ""
        return f"complete: all {published:,} messages of job {job} are stored{once}{keyed}"
    of_these = ", ".join(_counted(found, _OF_THESE)) or "none is missing"
    account = f"of the {published:,} messages that job {job} published, {of_these}"
    if found.code is ExitCode.DEAD_LETTERS:
        return f"nothing is missing, but {account}"
    if found.code is ExitCode.CUT_SHORT:
        return f"cut short: the crawl ended with {found.finish_reason}; {account}"
    runs = f"{found.unrecorded_runs:,} run(s) left no closing record" if found.unrecorded_runs else ""
    cut = f"the crawl was cut short: {found.finish_reason}" if found.cut_short else ""
    return "; ".join(filter(None, [f"incomplete: {account}", *_counted(found, _BESIDE_THESE), runs, cut]))


def _counted(found: Verification, names: dict[str, str]) -> Iterator[str]:
    for name, meaning in names.items():
        if count := found.total(name):
            yield f"{count:,} {meaning}"


def advice(found: Verification) -> Iterator[str]:
    """What to check next, and how far the counts can be trusted."""
    for stream in found.streams:
        yield from _about(stream)
    if found.cut_short:
        yield (
            f"the last run ended with finish_reason {found.finish_reason}, not {FINISHED}: what it had not "
            "scraped by then is missing; a crawl with JOBDIR goes on if it is started again"
        )
    if found.unrecorded_runs:
        yield (
            f"{found.unrecorded_runs:,} run(s) of this job left no closing record: killed, or the record "
            "waits in an outbox (estela-outbox list); how much was published is not known"
        )
    if found.not_published:
        yield f"{found.not_published:,} items were scraped by a crawl whose ESTELA_ITEMS_TOPIC is empty"


def _about(stream: StreamCount) -> Iterator[str]:
    topic = stream.topic or stream.stream
    if not stream.topic and stream.filtered:
        yield (
            f"{stream.filtered:,} items went nowhere: no entry of ESTELA_ITEMS takes them, and "
            "ESTELA_ITEMS_TOPIC is empty"
        )
    if stream.stored is None and stream.on_existing:
        yield (
            f"{topic}: {stream.dataset} has one document for each key ({stream.on_existing}), so they are not"
            f" counted; each message that {stream.group} has consumed was looked up by its key"
        )
    elif stream.stored is None:
        yield (
            f"{topic}: equal items are stored once in {stream.dataset}, so they are not counted there; "
            f"what {stream.group} has consumed is stored or a dead letter"
        )
    if stream.dead_letters:
        yield f"{topic}: estela-dead-letters list {topic} shows the dead letters, or with --discarded"
    if stream.failed:
        yield f"{topic}: what could not be published is named in the crawl's log"
    if stream.missing and stream.lag:
        yield f"{topic}: {stream.lag:,} still to be consumed by {stream.group}; is estela-consume running?"
    elif stream.missing:
        yield (
            f"{topic}: nothing remains to be consumed; estela-outbox list shows what could not be delivered. "
            f"If nothing waits there, documents were removed from {stream.dataset}"
        )
    if stream.unaccounted or stream.unscraped:
        yield f"{topic}: Scrapy counted {stream.scraped:,} items as scraped; see the crawl's log for errors"
    if stream.is_items and stream.scraped is None:
        yield f"{topic}: a closing record does not say how many items were scraped, so that is not compared"
    if stream.too_many:
        yield f"{topic}: more is stored in {stream.dataset} than its closing record knows of"
