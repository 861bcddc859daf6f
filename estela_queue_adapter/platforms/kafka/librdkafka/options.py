"""The settings as librdkafka takes them, and those that it cannot follow."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import confluent_kafka

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.platforms.kafka.settings import LIBRDKAFKA, KafkaSettings
from estela_queue_adapter.subscription import Subscription

_RECONNECT_MS = 2_000  # the longest pause between two tries to reach a broker
_SOCKET_TIMEOUT_MS = 10_000  # for the answer to a request
_TOKEN_LIFETIME = 300.0  # seconds after which a token is asked for again; ours are good while they are used
_METADATA_AGE_MS = 15_000  # after which partitions that were added are seen
_DEFAULT_MAX_TIMEOUT = 300.0  # seconds, as kafka-python's
_FETCH_WAIT_MS = 500  # that a broker waits for messages
_FETCH_AHEAD = 100_000  # messages; the bytes are the bound
_LONGEST_ANSWER = 2**31 - 1  # bytes; a single message may be longer than a fetch
_HEARTBEAT = 3.0  # seconds at most; the brokers want three of them in a session
_FULL_WAIT_MS = 10  # until the next fetch if so much waits here; librdkafka idles a second if not told
_MESSAGE_BYTES = 1_000_000  # as by default, which a fetch must not be below; longer ones are read
_UNKNOWN_MECHANISMS = ("AWS_MSK_IAM",)
_FEATURES = {  # what a build of librdkafka may lack, by the setting that needs it
    "compression_type": {"gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"},
    "sasl_mechanism": {
        "GSSAPI": "sasl_gssapi",
        "PLAIN": "sasl_plain",
        "SCRAM-SHA-256": "sasl_scram",
        "SCRAM-SHA-512": "sasl_scram",
        "OAUTHBEARER": "sasl_oauthbearer",
    },
    "security_protocol": {"SSL": "ssl", "SASL_SSL": "ssl"},
}


def check_settings(settings: KafkaSettings) -> None:
    """Raise ConfigurationError for what this librdkafka cannot do, by the name of its setting.

    Asks librdkafka itself, without a connection.
    """
    if settings.sasl_mechanism in _UNKNOWN_MECHANISMS:
        raise _cannot("sasl_mechanism", settings.sasl_mechanism, "it has no such mechanism")
    if domain := settings.sasl_kerberos_domain_name:
        raise _cannot("sasl_kerberos_domain_name", domain, "it has no such option")
    for name, features in _FEATURES.items():
        value = getattr(settings, name)
        if value in features and (why := _refusal({"builtin.features": features[value]})):
            raise _cannot(name, value, why)
    options = client_options(settings)
    for name in ("bootstrap.servers", "oauth_cb"):  # so that it connects to nobody, and asks for no token
        options.pop(name, None)
    if why := _refusal(options):
        raise ConfigurationError(f"{_version()} cannot follow the settings: {why}")


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every client of librdkafka takes: the brokers, how to log in, and how long to wait."""
    login = {
        "ssl.ca.location": settings.ssl_cafile,
        "ssl.certificate.location": settings.ssl_certfile,
        "ssl.key.location": settings.ssl_keyfile,
        "ssl.key.password": settings.ssl_password,
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password,
        "sasl.kerberos.service.name": settings.sasl_kerberos_service_name,
        "security.protocol": settings.security_protocol or ("SSL" if settings.ssl_cafile else ""),
    }
    return {
        "bootstrap.servers": ",".join(settings.bootstrap_servers),
        "reconnect.backoff.max.ms": _RECONNECT_MS,
        "socket.timeout.ms": _SOCKET_TIMEOUT_MS,
        "socket.nagle.disable": True,
        "topic.metadata.refresh.interval.ms": _METADATA_AGE_MS,
        "log.connection.close": False,
        **{name: value for name, value in login.items() if value},
        **_tokens(settings),
    }


def consumer_options(settings: KafkaSettings, subscription: Subscription, session: float) -> dict[str, Any]:
    """What a member of the group takes besides: `session` in seconds."""
    seconds = _DEFAULT_MAX_TIMEOUT if subscription.max_timeout is None else subscription.max_timeout
    longest = max(seconds, session)  # librdkafka takes no less
    # A fetch is sent while the queue is not full, so what is fetched is a full queue and that. And it counts
    # the messages alone: what it holds beside each is as much for one of some hundred bytes.
    queue = fetch = settings.fetch_max_bytes // 4
    return {
        **client_options(settings),
        "group.id": subscription.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # so that we see, and can say, which messages are gone
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        "partition.assignment.strategy": settings.partition_assignment,
        "enable.partition.eof": True,  # the only way to learn of positions behind the marks of transactions
        "check.crcs": True,
        "fetch.wait.max.ms": _FETCH_WAIT_MS,
        "fetch.max.bytes": fetch,
        "fetch.message.max.bytes": min(fetch, settings.partition_fetch_bytes),
        "message.max.bytes": min(fetch, _MESSAGE_BYTES),
        "queued.max.messages.kbytes": queue // 1024,
        "queued.min.messages": _FETCH_AHEAD,
        "fetch.queue.backoff.ms": _FULL_WAIT_MS,
        "receive.message.max.bytes": _LONGEST_ANSWER,
        "session.timeout.ms": round(session * 1000),
        "heartbeat.interval.ms": round(min(_HEARTBEAT, session / 3) * 1000),
        "max.poll.interval.ms": math.ceil(longest * 1000),
    }


def _tokens(settings: KafkaSettings) -> Mapping[str, Any]:
    provider = settings.token_provider
    if provider is None:
        return {}

    def token(_: str) -> tuple[str, float, str, dict[str, str]]:
        return provider.token(), time.time() + _TOKEN_LIFETIME, "", provider.extensions()

    return {"oauth_cb": token}


def _refusal(options: Mapping[str, Any]) -> str:
    """What librdkafka says of these options; empty if it takes them."""
    try:
        confluent_kafka.Producer({"log_level": 0, **options})
    except confluent_kafka.KafkaException as error:
        return str(error.args[0].str())
    return ""


def _cannot(name: str, value: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"QUEUE_PLATFORM_{name.upper()}={value} cannot be had with QUEUE_PLATFORM_CLIENT={LIBRDKAFKA} "
        f"({_version()}): {why}; unset QUEUE_PLATFORM_CLIENT for kafka-python, which knows it"
    )


def _version() -> str:
    return f"librdkafka {confluent_kafka.libversion()[0]}"
