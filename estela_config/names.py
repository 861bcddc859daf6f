"""What commands read from a Scrapy project's settings and a `.env` file: the variables' own names."""

from __future__ import annotations

from estela_queue_adapter.files.values import SUFFIX
from estela_queue_adapter.settings import PREFIX as QUEUE_PREFIX

STORE = "DB_CONNECTION"
OURS = "ESTELA_"

# Of estela's consumer, but for those that no longer have an effect.
_ESTELAS = (
    "DB_CERTIFICATE_PATH",
    "DB_ENGINE",
    "PRODUCTION",
    "BATCH_SIZE_THRESHOLD",
    "INSERT_TIME_THRESHOLD",
    "WORKER_POOL",
)
_WHOLE_NAMES = frozenset({QUEUE_PREFIX, STORE, f"{STORE}{SUFFIX}", *_ESTELAS})
_PREFIXES = (f"{QUEUE_PREFIX}_", OURS)
_ADDRESSES = (STORE, f"{QUEUE_PREFIX}_LISTENERS")
_SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN")


def is_read(name: str) -> bool:
    """Whether some command may read a setting of that name."""
    return name in _WHOLE_NAMES or name.startswith(_PREFIXES)


def is_secret(name: str, value: str) -> bool:
    """Whether the value is not for everybody's eyes: of a password, or a URL with a login in it."""
    if name.endswith(SUFFIX):
        return False  # the path of a file
    return any(word in name for word in _SECRET_WORDS) or (name in _ADDRESSES and "@" in value)
