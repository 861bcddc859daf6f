"""Whether librdkafka is installed, in a version that works. Imported without it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution, version

from estela_queue_adapter.errors import PackageNeeded
from estela_queue_adapter.platforms.kafka.settings import LIBRDKAFKA

LOWEST, BELOW = (2, 12, 1), (2, 16)  # of confluent-kafka, as in setup.cfg; see docs/architecture.md
_PACKAGE = "confluent-kafka"


def check_installation() -> None:
    """Raise PackageNeeded if it is not."""
    needs = f"QUEUE_PLATFORM_CLIENT={LIBRDKAFKA} needs {_PACKAGE}"
    try:
        import confluent_kafka  # noqa: F401

        found = version(_PACKAGE)
    except PackageNotFoundError:
        return  # it is here all the same, put there by somebody who knows why
    except ModuleNotFoundError as error:
        raise PackageNeeded(f"{needs}, which is not installed", _install()) from error
    except ImportError as error:
        raise PackageNeeded(
            f"{needs}, and the one that is installed cannot be loaded ({error})", _install()
        ) from error
    if not LOWEST <= _numbers(found) < BELOW:
        raise PackageNeeded(
            f"{needs} from {_told(LOWEST)} on and below {_told(BELOW)}, and {found} is installed",
            _install(),
        )


def installed() -> str:
    """The versions, for people, once it is checked."""
    import confluent_kafka

    return f"librdkafka {confluent_kafka.libversion()[0]} ({_PACKAGE} {confluent_kafka.__version__})"


def _install() -> str:
    try:
        distribution("estela-consumer")
    except PackageNotFoundError:
        return f"pip install 'estela-scrapy[{LIBRDKAFKA}]'"
    return f"pip install 'estela-consumer[{LIBRDKAFKA}]'"


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, such as 2.12.1rc1."""
    return tuple(map(int, re.findall(r"\d+", re.split(r"[^\d.]", version)[0])))


def _told(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
