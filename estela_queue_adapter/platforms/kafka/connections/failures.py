"""Why a connection to a broker failed: what it is, and what to do, in words and without secrets."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from kafka import errors as kafka_errors

from estela_queue_adapter.errors import AccessDenied, QueueError

LOGINS = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
_PROTOCOL = "QUEUE_PLATFORM_SECURITY_PROTOCOL"
_UNTRUSTED = (
    "its certificate is not trusted ({}); set QUEUE_PLATFORM_SSL_CAFILE to the authority that signed it"
)
_MISNAMED = (
    "its certificate is for another host ({}); "
    "QUEUE_PLATFORM_LISTENERS and the broker's advertised.listeners must use a name that is in it"
)
_CERTIFICATES = {  # OpenSSL's codes of verification
    9: "its certificate is not valid yet; is the clock right?",
    10: "its certificate has expired; the broker needs a new one",
    62: _MISNAMED,
    64: _MISNAMED,
}
_OUR_CERTIFICATE = (
    "it refuses our certificate, or wants one and got none ({}); check QUEUE_PLATFORM_SSL_CERTFILE"
)
_NO_TLS = f"it does not speak TLS; {_PROTOCOL} is for another listener"
_ENDED_HANDSHAKE = f"it ends the TLS handshake; is it a listener without TLS? Check {_PROTOCOL}"
_TLS = f"it speaks TLS; set {_PROTOCOL} to SSL or SASL_SSL"
_HUNG_UP = f"it hangs up at the first request; is it a listener with TLS or a login? Check {_PROTOCOL}"
_HTTP = "it is an HTTP server; check QUEUE_PLATFORM_LISTENERS"
_NOT_KAFKA = "it does not speak Kafka's protocol; check QUEUE_PLATFORM_LISTENERS"
_REFUSED = "it refuses the connection; nothing listens there"
_NO_NAME = "the host's name cannot be resolved"
_TIMEOUT = "it does not answer in time; is it there, and does a firewall let us through?"
_SILENT = "it accepts the connection and does not answer; is it a broker, and is it well?"
_ERRNO = re.compile(r"(\d+) E[A-Z]+$")
_TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one address gave no connection."""

    reason: str
    denied: bool = False
    """Whether the broker answers, and refuses the login."""


def failure(error: BaseException, received: bytes) -> Failure:
    """What to say of `error`, if `received` is how the answer of the address began."""
    if isinstance(error, (kafka_errors.KafkaTimeoutError, kafka_errors.RequestTimedOutError)):
        return Failure(_SILENT)
    for cause in _causes(error):
        if isinstance(cause, QueueError):
            return Failure(str(cause), denied=isinstance(cause, AccessDenied))
        if isinstance(cause, LOGINS):
            return Failure(_login_reason(cause), denied=True)
        if isinstance(cause, ssl.SSLError):
            return Failure(_tls_reason(cause))
    if reason := _other_protocol(received):
        return Failure(reason)
    return Failure(_network_reason(error))


def _login_reason(error: BaseException) -> str:
    answer = str(error).rpartition("Error: ")[2]
    if isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
        return "it does not take this mechanism; set QUEUE_PLATFORM_SASL_MECHANISM to one that it offers"
    if isinstance(error, kafka_errors.IllegalSaslStateError):
        return f"it expects no login; check {_PROTOCOL}"
    return (
        f"the login is refused ({answer}); check QUEUE_PLATFORM_SASL_USERNAME and "
        "QUEUE_PLATFORM_SASL_PASSWORD"
    )


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, _UNTRUSTED).format(error.verify_message)
    message = f"{error.reason or ''} {error}".upper()
    if "ALERT" in message and ("CERTIFICATE" in message or "UNKNOWN_CA" in message or "HANDSHAKE" in message):
        return _OUR_CERTIFICATE.format((error.reason or str(error)).lower().replace("_", " "))
    if any(
        part in message
        for part in ("WRONG_VERSION", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER", "PACKET_LENGTH")
    ):
        return _NO_TLS
    if "EOF" in message:
        return _ENDED_HANDSHAKE
    return f"TLS fails ({error.reason or error})"


def _other_protocol(received: bytes) -> str | None:
    """Who it is that answers, if it is no broker."""
    if received.startswith((b"HTTP/", b"<html", b"<!DOC")):
        return _HTTP
    if _TLS_RECORD.match(received):
        return _TLS
    return _NOT_KAFKA if received else None


def _network_reason(error: BaseException) -> str:
    message = str(error)
    if isinstance(error, AttributeError) and "get_frozen_credentials" in message:
        return "botocore finds no AWS credentials to log in with"  # kafka-python does not ask whether it did
    if "Handshake failed" in message:
        return _ENDED_HANDSHAKE
    if "disconnected" in message or isinstance(error, ConnectionResetError) or "reset by peer" in message:
        return _HUNG_UP
    if "DNS" in message or isinstance(error, socket.gaierror):
        return _NO_NAME
    if "timed out" in message:
        return _TIMEOUT
    found = _ERRNO.search(message)
    number = int(found.group(1)) if found else error.errno if isinstance(error, OSError) else None
    if number:
        return _REFUSED if number == errno.ECONNREFUSED else os.strerror(number).lower()
    return message.removeprefix(f"{type(error).__name__}: ") or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from: kafka-python puts that into its own, or handles it when it raises."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [found.__cause__, found.__context__]
            waiting += [argument for argument in found.args if isinstance(argument, BaseException)]
