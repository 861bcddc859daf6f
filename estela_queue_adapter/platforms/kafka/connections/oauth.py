"""Tokens for SASL OAUTHBEARER: from a provider that the user names, or from a client-credentials endpoint."""

from __future__ import annotations

import base64
import http.client
import importlib
import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from kafka.net.sasl.oauth import AbstractTokenProvider

from estela_queue_adapter.errors import AccessDenied, ConfigurationError, QueueError, QueueUnreachable
from estela_queue_adapter.lifecycle import watch
from estela_terminal.printable import printable

_TIMEOUT = 5.0  # seconds for the endpoint's answer; the client's connections wait meanwhile
_MAX_ANSWER = 1024 * 1024  # bytes
_LIFETIME = 300.0  # seconds that a token is used which does not say how long it is good
_USED = 0.8  # of its lifetime, after which a token is fetched again
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750


class NamedProvider(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """Tokens of an object that the user names as `module:attribute`.

    That is a function which returns a token, an object with such a method `token`, or a class of these. It
    keeps a token while it is good, and is called from the client's own thread. Raises ConfigurationError.
    """

    def __init__(self, setting: str, path: str) -> None:
        self._setting, self._path = setting, path
        self._provider = self._load()

    def token(self) -> str:
        call = getattr(self._provider, "token", self._provider)
        try:
            token = call()
        except Exception as error:  # noqa: BLE001  (what it says may hold a secret, so only its name is shown)
            name = type(error).__name__
            raise QueueUnreachable(f"the token provider {self._path} raised {name}") from None
        if not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise AccessDenied(f"the token provider {self._path} gave no token")
        return token

    def extensions(self) -> dict[str, str]:
        extensions = getattr(self._provider, "extensions", None)
        return dict(extensions()) if callable(extensions) else {}

    def _load(self) -> Any:
        module, _, attribute = self._path.partition(":")
        if not attribute:
            module, _, attribute = self._path.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
            found = found() if isinstance(found, type) else found
        except Exception as error:
            raise ConfigurationError(
                f"{self._setting}={self._path} cannot be loaded ({type(error).__name__}: {error}); "
                "write it as package.module:name"
            ) from error
        if not callable(getattr(found, "token", found)):
            raise ConfigurationError(
                f"{self._setting}={self._path} is neither a function nor an object with a method token"
            )
        return found


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]  # as above
    """Tokens by OAuth's client-credentials grant, each for most of its lifetime. Threads may share it."""

    def __init__(
        self,
        setting: str,
        url: str,
        client_id: str,
        client_secret: str,
        scope: str = "",
        cafile: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _checked(setting, url)
        self._credentials = _basic(client_id, client_secret)
        self._scope = scope
        self._clock = clock
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_trust(cafile)), _NoRedirects
        )
        self._lock = threading.Lock()  # guards the token; held while it is fetched
        self._kept: tuple[str, float] | None = None
        watch(self)

    def __repr__(self) -> str:
        return f"<ClientCredentials of {self._url}>"

    def token(self) -> str:
        with self._lock:
            if self._kept is None or self._clock() >= self._kept[1]:
                token, lifetime = self._fetch()
                self._kept = token, self._clock() + lifetime * _USED
            return self._kept[0]

    def end(self, timeout: float) -> None:
        """Nothing to do when the interpreter ends."""

    def forked(self) -> None:
        """This is a copy in a forked process: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def _fetch(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials", **({"scope": self._scope} if self._scope else {})}
        request = urllib.request.Request(
            self._url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": self._credentials, "Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                answer = response.read(_MAX_ANSWER)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise QueueUnreachable(
                f"the token endpoint {self._url} cannot be reached: {_why(error)}"
            ) from None
        return self._read(answer)

    def _read(self, answer: bytes) -> tuple[str, float]:
        try:
            fields = json.loads(answer)
            token, lifetime = fields["access_token"], float(fields.get("expires_in") or _LIFETIME)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise QueueUnreachable(f"the token endpoint {self._url} answers with no token") from None
        if not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise QueueUnreachable(f"the token endpoint {self._url} answers with no token")
        return token, max(0.0, lifetime)

    def _refused(self, error: urllib.error.HTTPError) -> QueueError:
        """By the status, and OAuth's own code for why, which names no secret."""
        with error:
            try:
                code = json.loads(error.read(_MAX_ANSWER))["error"]
            except (ValueError, LookupError, TypeError, OSError, http.client.HTTPException):
                code = ""
        why = f"{error.code} {printable(code)[:60]}".strip()
        text = f"the token endpoint {self._url} answers {why}"
        if error.code in (400, 401, 403):
            return AccessDenied(
                f"{text}; check QUEUE_PLATFORM_SASL_OAUTH_CLIENT_ID, _CLIENT_SECRET and _SCOPE"
            )
        return QueueUnreachable(text)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The credentials are for this one address."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _checked(setting: str, url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        usable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password:
        raise ConfigurationError(f"{setting} must be a URL such as https://host/token, without a login in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ConfigurationError(f"{setting} must begin with https://: a secret is sent there")
    return url


def _trust(cafile: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile or None)
    except OSError as error:
        raise ConfigurationError(
            f"QUEUE_PLATFORM_SASL_OAUTH_CAFILE={cafile} cannot be used: {error}"
        ) from error


def _basic(client_id: str, client_secret: str) -> str:
    pair = ":".join(urllib.parse.quote_plus(part) for part in (client_id, client_secret))
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({reason.verify_message}); set QUEUE_PLATFORM_SASL_OAUTH_CAFILE"
        )
    cause = reason if isinstance(reason, BaseException) else error
    return printable(getattr(cause, "strerror", None) or cause or type(cause).__name__)[:200]
