"""estela's own environment variables: those that still mean something, and those that do not."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from estela_consumer.errors import UsageError
from estela_consumer.stores.opening import DEFAULT_URL

_WITHOUT_EFFECT = {
    "QUEUE_BASE_TIMEOUT": "polling needs no pause",
    "QUEUE_MAX_TIMEOUT": "polling needs no pause",
    "MAX_RETRIES": "an outage is waited out, nothing is dropped",
    "HEARTBEAT_TICK": "the log has a line for each batch, and an outage one a minute",
    "ACTIVITY_TIME_THRESHOLD": "nothing is kept for a dataset that has to be closed",
}
_SMALLEST_CHUNK_BYTES = 64 * 1024
MAX_WRITERS = 32

logger = logging.getLogger(__name__)


def warn_of_those_without_effect(environ: Mapping[str, str]) -> None:
    """One line that names every variable of estela's consumer that is set and does nothing here."""
    found = [f"{name} ({why})" for name, why in _WITHOUT_EFFECT.items() if environ.get(name)]
    if found:
        logger.warning("These variables no longer have an effect: %s. Unset them.", ", ".join(found))


def chunk_bytes(given: int | None, environ: Mapping[str, str]) -> int | None:
    """`given`, or BATCH_SIZE_THRESHOLD if it says enough; raises UsageError.

    estela's consumer counted something other than bytes there, and its usual 4096 would make chunks of a
    few items.
    """
    if given is not None or not environ.get("BATCH_SIZE_THRESHOLD"):
        return given
    threshold = _whole_number("BATCH_SIZE_THRESHOLD", environ, "a number of bytes")
    if threshold < _SMALLEST_CHUNK_BYTES:
        logger.warning(
            "BATCH_SIZE_THRESHOLD=%d is taken as %d: it is bytes here. --chunk-bytes sets any size.",
            threshold,
            _SMALLEST_CHUNK_BYTES,
        )
    return max(threshold, _SMALLEST_CHUNK_BYTES)


def writers(given: int | None, environ: Mapping[str, str]) -> int | None:
    """`given`, or WORKER_POOL, which is 32 at most; raises UsageError."""
    if given is not None or not environ.get("WORKER_POOL"):
        return given
    workers = _whole_number("WORKER_POOL", environ, "a number of writers, 1 or more")
    if not workers:
        raise _not_a("WORKER_POOL", environ, "a number of writers, 1 or more")
    if workers > MAX_WRITERS:
        logger.warning(
            "WORKER_POOL is taken as %d, the most writers of one process for a topic. "
            "Start more processes for more.",
            MAX_WRITERS,
        )
    return min(workers, MAX_WRITERS)


def wants_tls(environ: Mapping[str, str], certificate: str) -> bool:
    """PRODUCTION: anything but "False" means TLS, also nothing, as estela's chart sets it.

    If it is unset, a certificate means it.
    """
    production = environ.get("PRODUCTION")
    return bool(certificate) if production is None else production != "False"


def check_engine(environ: Mapping[str, str], url: str) -> None:
    """DB_ENGINE, if set, must agree with the store's URL; raises UsageError."""
    engine = environ.get("DB_ENGINE", "").strip().lower().partition("+")[0]
    scheme = (url or DEFAULT_URL).partition("://")[0].partition("+")[0]
    if not engine or engine == scheme:
        return
    if engine == "sqlserver":
        raise UsageError(
            "DB_ENGINE=sqlserver: this consumer cannot store in SQL Server. Keep estela's own consumer for "
            "it, or set DB_ENGINE=mongodb and DB_CONNECTION=mongodb://..."
        )
    stated = f"is a {scheme}:// URL" if url else "is not set"
    raise UsageError(
        f"DB_ENGINE={_shown(engine)}, but DB_CONNECTION (or --store) {stated}. Set DB_CONNECTION to the URL "
        "of the store, such as mongodb://..., and unset DB_ENGINE: the URL says it all"
    )


def _whole_number(name: str, environ: Mapping[str, str], what: str) -> int:
    text = environ[name].strip()
    try:
        if text.isdecimal():
            return int(text)
    except ValueError:  # more digits than Python takes
        pass
    raise _not_a(name, environ, what)


def _not_a(name: str, environ: Mapping[str, str], what: str) -> UsageError:
    return UsageError(f"{name}={_shown(environ[name])} is not {what}")


def _shown(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:37]}..."
