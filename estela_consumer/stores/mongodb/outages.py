"""Why a MongoDB deployment cannot be used now: what it is, and what to do, without secrets."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

_MOST_SERVERS = 3  # servers that a text names at most
_PROBE_TIMEOUT = 3.0  # seconds
_APPENDED = re.compile(
    r", full error: |, lsid: | \(configured timeouts|, Timeout: |, Topology Description|"
    r" \(generic driver error\)"
)
_CODES = {
    13: "it refuses the command ({}); log in, or have the login given the permission",
    18: "the login is refused ({}); check user, password and authSource in DB_CONNECTION",
    14031: "its disk is full ({})",
    8000: "it refuses the login or the write ({}); check DB_CONNECTION and the quota",
}
_ENDED_HANDSHAKE = "it ends the TLS handshake; does it speak TLS? Check tls in DB_CONNECTION, and PRODUCTION"
# What the drivers, the system and OpenSSL say, in the order in which they are looked for; lower case.
_REASONS = {
    "connection refused": "it refuses the connection; nothing listens there",
    "name or service not known": "the host's name cannot be resolved",
    "nodename nor servname": "the host's name cannot be resolved",
    "no address associated": "the host's name cannot be resolved",
    "temporary failure in name resolution": "the host's name cannot be resolved now",
    "no route to host": "there is no way to the host",
    "network is unreachable": "there is no way to the host",
    "timed out": "it does not answer in time; is it there, and does a firewall let us through?",
    "alert": "it refuses our certificate, or wants one; set tlsCertificateKeyFile in DB_CONNECTION",
    "wrong version number": "it does not speak TLS; check tls in DB_CONNECTION, and PRODUCTION",
    "ssl handshake failed": _ENDED_HANDSHAKE,
    "connection closed": "it hangs up at the first request; does it want TLS (tls=true in DB_CONNECTION)?",
    "connection reset": "it hangs up at the first request; does it want TLS (tls=true in DB_CONNECTION)?",
    "got response id": "it does not speak MongoDB's protocol; check DB_CONNECTION",
    "message length": "it does not speak MongoDB's protocol; check DB_CONNECTION",
}
_UNTRUSTED = (
    "its certificate is not trusted{}; "
    "set --tls-ca-file (DB_CERTIFICATE_PATH) to the authority that signed it"
)
_CERTIFICATE_WORDS = ("certificate verify failed", "verificationerror", "doesn't match", "mismatch")
_CERTIFICATES = {  # OpenSSL's codes of verification
    9: "its certificate is not valid yet; is the clock right?",
    10: "its certificate has expired; the server needs a new one",
    62: "its certificate is for another host; use a name that is in it",
    64: "its certificate is for another host; use a name that is in it",
}


def reason(client: MongoClient[Any], hosts: str, ca_file: str, error: PyMongoError) -> str:
    """One sentence for `error`; may ask a server for its certificate, for three seconds at most."""
    if isinstance(error, ServerSelectionTimeoutError):
        return _of_deployment(client, hosts, ca_file) or f"no server can be used: {_plain(error)}"
    if isinstance(error, OperationFailure):
        return _of_command(error)
    if isinstance(error, AutoReconnect):
        return _of_connection(_plain(error), None, ca_file)
    if isinstance(error, ConfigurationError):
        return _of_configuration(error)
    return _plain(error)


def met_by_servers(client: MongoClient[Any], error: PyMongoError) -> list[PyMongoError]:
    """Why each server cannot be used, if `error` is that none can: a refused login is such a reason."""
    if not isinstance(error, ServerSelectionTimeoutError):
        return []
    servers = client.topology_description.server_descriptions().values()
    return [server.error for server in servers if isinstance(server.error, PyMongoError)]


def plain_text(error: PyMongoError) -> str:
    """What it says, without the raw answer, the settings and the deployment that pymongo appends."""
    if isinstance(error, BulkWriteError) and (failed := (error.details or {}).get("writeConcernErrors")):
        return str(failed[0].get("errmsg"))
    return _APPENDED.split(str(error))[0]


def _plain(error: BaseException) -> str:
    return _APPENDED.split(str(error))[0][:300]


def _of_configuration(error: ConfigurationError) -> str:
    """A URL of mongodb+srv is looked up when it is first used."""
    said = _plain(error)
    lower = said.lower()
    if "does not exist" in lower or "no answer" in lower or "does not contain an answer" in lower:
        return f"no mongodb+srv host of this name is in the DNS ({said}); check DB_CONNECTION"
    if "nameserver" in lower or "dns" in lower or "resolution" in lower:
        return f"the DNS does not tell the servers of mongodb+srv ({said}); check DB_CONNECTION and the DNS"
    return f"DB_CONNECTION cannot be used: {said}"


def _of_command(error: OperationFailure) -> str:
    said = plain_text(error)[:300]
    known = _CODES.get(error.code or 0)
    return known.format(said.rstrip(".")) if known else f"it cannot take it now: {said}"


def _of_deployment(client: MongoClient[Any], hosts: str, ca_file: str) -> str:
    """Why no server could be chosen, by what the client knows of each."""
    topology = client.topology_description
    servers = topology.server_descriptions()
    failed = {at: server.error for at, server in sorted(servers.items()) if server.error is not None}
    sentences = [
        _of_server(_address(at), hosts, _of_error(server_error, at, ca_file))
        for at, server_error in list(failed.items())[:_MOST_SERVERS]
    ]
    if len(failed) > _MOST_SERVERS:
        sentences.append(f"And {len(failed) - _MOST_SERVERS} more")
    if topology.replica_set_name and not servers:
        sentences.append(
            f"none of the servers is in a replica set named {topology.replica_set_name}; "
            "check replicaSet in DB_CONNECTION"
        )
    elif topology.replica_set_name and len(failed) < len(servers):
        sentences.insert(
            0, "there is no primary; an election is under way, or a majority of members is missing"
        )
    return ". ".join(sentences)


def _of_server(address: str, hosts: str, why: str) -> str:
    if address == hosts or f"{hosts}:27017" == address:
        return why
    if address in hosts or address.removesuffix(":27017") in hosts.split(","):
        return f"{address}: {why}"
    return f"it says that a member is at {address}, and from here: {why}"


def _of_error(error: BaseException, at: tuple[str, int | None], ca_file: str) -> str:
    if isinstance(error, OperationFailure):
        return _of_command(error)
    return _of_connection(_plain(error), at, ca_file)


def _of_connection(said: str, at: tuple[str, int | None] | None, ca_file: str) -> str:
    lower = said.lower()
    if any(words in lower for words in _CERTIFICATE_WORDS):
        return _of_certificate(at, ca_file)
    for words, meaning in _REASONS.items():
        if words in lower:
            return meaning
    return said


def _of_certificate(at: tuple[str, int | None] | None, ca_file: str) -> str:
    """What is wrong with it; pymongo may be on a library that does not say."""
    host, port = at or ("", None)
    error = None if port is None else _shake_hands(host, port, ca_file)
    if error is None:
        return _UNTRUSTED.format("")
    return _CERTIFICATES.get(error.verify_code, _UNTRUSTED.format(f" ({error.verify_message})"))


def _shake_hands(host: str, port: int, ca_file: str) -> ssl.SSLCertVerificationError | None:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        with (
            socket.create_connection((host, port), _PROBE_TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return error
    except OSError:
        return None


def _address(at: tuple[str, int | None]) -> str:
    return at[0] if at[1] is None else f"{at[0]}:{at[1]}"
