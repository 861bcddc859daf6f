"""estela's own environment variables: those that still mean something, and those that do not."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from estela_consumer.errors import UsageError

_WITHOUT_EFFECT = {
    "QUEUE_BASE_TIMEOUT": "polling needs no pause",
    "QUEUE_MAX_TIMEOUT": "polling needs no pause",
    "MAX_RETRIES": "an outage is waited out, nothing is dropped",
}
_SMALLEST_CHUNK_BYTES = 64 * 1024

logger = logging.getLogger(__name__)


def warn_of_those_without_effect(environ: Mapping[str, str]) -> None:
    """One line that names every variable of estela's consumer that is set and does nothing here."""
    found = [f"{name} ({why})" for name, why in _WITHOUT_EFFECT.items() if environ.get(name)]
    if found:
        logger.warning("These variables have no effect any more: %s.", ", ".join(found))


def chunk_bytes(given: int | None, environ: Mapping[str, str]) -> int | None:
    """`given`, or BATCH_SIZE_THRESHOLD where it says enough.

    estela's consumer counted something other than bytes there, and its usual 4096 would make chunks of a
    few items.
    """
    threshold = environ.get("BATCH_SIZE_THRESHOLD")
    if given is not None or not threshold:
        return given
    if not threshold.isdecimal():
        raise UsageError(f"BATCH_SIZE_THRESHOLD={threshold} is not a number of bytes")
    if int(threshold) < _SMALLEST_CHUNK_BYTES:
        logger.warning(
            "BATCH_SIZE_THRESHOLD=%s is taken as %d: it is bytes here. --chunk-bytes sets any size.",
            threshold,
            _SMALLEST_CHUNK_BYTES,
        )
    return max(int(threshold), _SMALLEST_CHUNK_BYTES)


def wants_tls(environ: Mapping[str, str], certificate: str) -> bool:
    """PRODUCTION: anything but "False" means TLS; where it is unset, a certificate does."""
    production = environ.get("PRODUCTION")
    return production != "False" if production else bool(certificate)


def check_engine(environ: Mapping[str, str], url: str) -> None:
    """DB_ENGINE, where set, must agree with the store's URL; raises UsageError."""
    engine = environ.get("DB_ENGINE", "")
    if engine and not url.startswith(engine):
        raise UsageError(
            f"DB_ENGINE={engine}, but DB_CONNECTION (or --store) is not a {engine}:// URL; "
            "unset DB_ENGINE, the URL says it all"
        )
