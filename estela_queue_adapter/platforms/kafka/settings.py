"""The settings of the Kafka platform, and what they are for the client."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.platforms.kafka.connections.logins import LoginSettings, check_login, login_options

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s/:@\[\]]+")  # a name, an address, or IPv6 in brackets
_RECONNECT_MS = 2_000  # the longest pause between two tries to reach a broker
FETCH_LEAST = 64 * 1024  # bytes for each reader; less would be a request for a few messages
_FETCH_MOST = 1024**3  # bytes, which Kafka counts in 32 bits
_PARTITION_FETCH = 1024**2  # bytes of one partition in a fetch, as both clients have it by default
_PARTITION_LEAST = 32 * 1024
KAFKA_PYTHON, LIBRDKAFKA = "kafka-python", "librdkafka"
_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


@dataclass(frozen=True, kw_only=True)
class KafkaSettings(LoginSettings):
    """The brokers, and how to log in. Empty means the client's own default."""

    listeners: str = field(metadata={"example": " the brokers, as host1,host2 or host1:9092,host2:9093"})
    port: int = 9092
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_password: str = field(default="", repr=False)
    """What our key is encrypted with."""
    compression_type: str = ""
    partition_assignment: str = "range"
    """How a group shares its partitions; every member of a group must say the same."""
    session_timeout: float = 10.0
    """Seconds that the partitions of a reader which was killed wait for the next one."""
    max_request_size: int = 1_048_576
    """Bytes of the largest message to send: what the brokers and the topic allow, less is fine."""

    fetch_max_bytes: int = 16 * 1024 * 1024
    """Bytes that all readers of a process together may have fetched and not handed out."""
    client: str = KAFKA_PYTHON
    """What carries messages: kafka-python, or librdkafka if its extra is installed."""
    public_interface: bool = False
    """For diagnosis: do without the parts of kafka-python that are not public."""

    def __post_init__(self) -> None:
        _one_of("security_protocol", self.security_protocol, _PROTOCOLS)
        _one_of("client", self.client, (KAFKA_PYTHON, LIBRDKAFKA))
        _one_of("compression_type", self.compression_type, _COMPRESSIONS)
        _one_of("partition_assignment", self.partition_assignment, tuple(_ASSIGNORS))
        if not 1.0 <= self.session_timeout <= 86_400.0:
            raise ConfigurationError("QUEUE_PLATFORM_SESSION_TIMEOUT must be between 1 and 86400 seconds")
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "sasl_oauth_cafile"):
            _readable(name, getattr(self, name))
        self._check_certificates()
        if self.max_request_size < 1:
            raise ConfigurationError(
                f"QUEUE_PLATFORM_MAX_REQUEST_SIZE={self.max_request_size} is less than one byte"
            )
        if not FETCH_LEAST <= self.fetch_max_bytes <= _FETCH_MOST:
            raise ConfigurationError(
                f"QUEUE_PLATFORM_FETCH_MAX_BYTES={self.fetch_max_bytes} must be between {FETCH_LEAST} and "
                f"{_FETCH_MOST} bytes"
            )
        check_login(self)
        self.token_provider  # noqa: B018  (raises for one that cannot be had)
        self.bootstrap_servers  # noqa: B018  (raises for a list that names no broker)

    @property
    def bootstrap_servers(self) -> list[str]:
        """`host:port` of every listener; the common port if a listener names none."""
        servers = []
        for listener in filter(None, (part.strip() for part in self.listeners.split(","))):
            host, colon, port = listener.rpartition(":")
            bare = not colon or listener.endswith("]")  # an IPv6 address in brackets has colons of its own
            host, port = (listener, str(self.port)) if bare else (host, port)
            if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
                variable = "QUEUE_PLATFORM_PORT" if bare else f"QUEUE_PLATFORM_LISTENERS: in {listener!r}"
                raise ConfigurationError(f"{variable}: {port!r} is not a port")
            if not _HOST.fullmatch(host):
                raise ConfigurationError(
                    f"QUEUE_PLATFORM_LISTENERS: {host!r} in {listener!r} is not a host; "
                    "write host1,host2 or host1:9092,host2:9093"
                )
            servers.append(f"{host}:{port}")
        if not servers:
            raise ConfigurationError("QUEUE_PLATFORM_LISTENERS names no broker")
        return servers

    @property
    def compression(self) -> str | None:
        """The compression as the client's producer takes it."""
        return None if self.compression_type in ("", "none") else self.compression_type

    @property
    def partition_fetch_bytes(self) -> int:
        """What a fetch may bring of one partition, at most."""
        return min(_PARTITION_FETCH, max(_PARTITION_LEAST, self.fetch_max_bytes // 8))

    @property
    def assignors(self) -> tuple[type[Any], ...]:
        """The assignment as the client's consumer takes it."""
        return (_ASSIGNORS[self.partition_assignment],)

    def _check_certificates(self) -> None:
        """What is in the files, now: the client would only say that no broker answers."""
        if not (self.ssl_cafile or self.ssl_certfile):
            return
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile or None)
            if self.ssl_certfile:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile or None, self.ssl_password)
        except OSError as error:
            names = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
            files = ", ".join(
                f"QUEUE_PLATFORM_{name.upper()}={getattr(self, name)}"
                for name in names
                if getattr(self, name)
            )
            raise ConfigurationError(
                f"{files}: no certificates in PEM, not a pair, or QUEUE_PLATFORM_SSL_PASSWORD is wrong or "
                f"missing: {error}"
            ) from error

    def client_options(self) -> dict[str, Any]:
        """What every client of kafka-python takes: the brokers, and how to log in."""
        options = {
            "security_protocol": self.security_protocol or ("SSL" if self.ssl_cafile else ""),
            "ssl_cafile": self.ssl_cafile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
            "ssl_password": self.ssl_password,
        }
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "reconnect_backoff_max_ms": _RECONNECT_MS,
            **{name: value for name, value in options.items() if value},
            **login_options(self),
        }


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value and value not in choices:
        raise ConfigurationError(
            f"QUEUE_PLATFORM_{name.upper()}={value} is not known; the valid choices are: {', '.join(choices)}"
        )


def _readable(name: str, path: str) -> None:
    if not path:
        return
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise ConfigurationError(
            f"QUEUE_PLATFORM_{name.upper()}={path} cannot be read: {error.strerror}"
        ) from error
