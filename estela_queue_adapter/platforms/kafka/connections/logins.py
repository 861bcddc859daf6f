"""How to log in: which SASL mechanisms there are here, what each needs, and what that is for the client."""

from __future__ import annotations

import functools
import importlib.util
import logging
from dataclasses import dataclass, field
from typing import Any

from estela_queue_adapter.errors import ConfigurationError, PackageNeeded
from estela_queue_adapter.platforms.kafka.connections.oauth import ClientCredentials, NamedProvider

_WITH_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_WITH_PACKAGE = {"GSSAPI": "gssapi", "AWS_MSK_IAM": "botocore"}
_LOGS_OF_BYTES = ("kafka.net.connection", "kafka.protocol.parser")
_TOKEN = "QUEUE_PLATFORM_SASL_OAUTH_"


@dataclass(frozen=True, kw_only=True)  # without slots, as `token_provider` is kept
class LoginSettings:
    """How to log in. Empty means the client's own default."""

    security_protocol: str = ""
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    sasl_oauth_token_provider: str = ""
    """What gives tokens, as `package.module:name`: a function, or what has a method `token`, or its class."""
    sasl_oauth_token_url: str = ""
    """Where tokens are had for `sasl_oauth_client_id` and its secret."""
    sasl_oauth_client_id: str = ""
    sasl_oauth_client_secret: str = field(default="", repr=False)
    sasl_oauth_scope: str = ""
    sasl_oauth_cafile: str = ""
    """Who signs the certificate of `sasl_oauth_token_url`; the system's authorities if empty."""
    sasl_kerberos_service_name: str = ""
    sasl_kerberos_domain_name: str = ""

    @functools.cached_property
    def token_provider(self) -> Any:
        """What gives tokens to every client of these settings; None if they need none."""
        return token_provider(self)


def mechanisms() -> list[str]:
    """Those that can work here."""
    return [*_WITH_PASSWORD, "OAUTHBEARER", *filter(_is_installed, _WITH_PACKAGE)]


def check_login(settings: LoginSettings) -> None:
    """Raise ConfigurationError if the login cannot work, whatever the brokers say."""
    mechanism, protocol = settings.sasl_mechanism, settings.security_protocol
    if not mechanism:
        if protocol.startswith("SASL"):
            raise ConfigurationError(
                f"QUEUE_PLATFORM_SECURITY_PROTOCOL={protocol} needs QUEUE_PLATFORM_SASL_MECHANISM, "
                f"one of: {', '.join(mechanisms())}"
            )
        return
    if mechanism in _WITH_PACKAGE and not _is_installed(mechanism):
        raise PackageNeeded(
            f"QUEUE_PLATFORM_SASL_MECHANISM={mechanism} needs a package that is not installed",
            f"pip install {_WITH_PACKAGE[mechanism]}",
        )
    if mechanism not in mechanisms():
        raise ConfigurationError(
            f"QUEUE_PLATFORM_SASL_MECHANISM={mechanism} is not known; "
            f"the valid choices are: {', '.join(mechanisms())}"
        )
    if not protocol.startswith("SASL"):
        raise ConfigurationError(
            "QUEUE_PLATFORM_SASL_MECHANISM is set, so QUEUE_PLATFORM_SECURITY_PROTOCOL must be "
            "SASL_SSL or SASL_PLAINTEXT"
        )
    if mechanism == "AWS_MSK_IAM" and protocol != "SASL_SSL":
        raise ConfigurationError(
            "QUEUE_PLATFORM_SASL_MECHANISM=AWS_MSK_IAM needs QUEUE_PLATFORM_SECURITY_PROTOCOL=SASL_SSL"
        )
    if mechanism in _WITH_PASSWORD and not (settings.sasl_username and settings.sasl_password):
        raise ConfigurationError(
            f"QUEUE_PLATFORM_SASL_MECHANISM={mechanism} needs QUEUE_PLATFORM_SASL_USERNAME and "
            "QUEUE_PLATFORM_SASL_PASSWORD"
        )


def token_provider(settings: LoginSettings) -> Any:
    """What gives the client tokens; None unless the mechanism is OAUTHBEARER. Raises ConfigurationError."""
    if settings.sasl_mechanism != "OAUTHBEARER":
        return None
    credentials = {
        "CLIENT_ID": settings.sasl_oauth_client_id,
        "CLIENT_SECRET": settings.sasl_oauth_client_secret,
    }
    if settings.sasl_oauth_token_provider and settings.sasl_oauth_token_url:
        raise ConfigurationError(
            f"{_TOKEN}TOKEN_PROVIDER and {_TOKEN}TOKEN_URL are both set; set one of them"
        )
    if settings.sasl_oauth_token_provider:
        return NamedProvider(f"{_TOKEN}TOKEN_PROVIDER", settings.sasl_oauth_token_provider)
    if not settings.sasl_oauth_token_url:
        raise ConfigurationError(
            "QUEUE_PLATFORM_SASL_MECHANISM=OAUTHBEARER needs tokens: set "
            f"{_TOKEN}TOKEN_PROVIDER, or {_TOKEN}TOKEN_URL, {_TOKEN}CLIENT_ID and {_TOKEN}CLIENT_SECRET"
        )
    if missing := [f"{_TOKEN}{name}" for name, value in credentials.items() if not value]:
        raise ConfigurationError(f"{_TOKEN}TOKEN_URL needs {' and '.join(missing)}")
    return ClientCredentials(
        f"{_TOKEN}TOKEN_URL",
        settings.sasl_oauth_token_url,
        settings.sasl_oauth_client_id,
        settings.sasl_oauth_client_secret,
        settings.sasl_oauth_scope,
        settings.sasl_oauth_cafile,
    )


def login_options(settings: LoginSettings) -> dict[str, Any]:
    """The login as kafka-python's clients take it; what is empty is omitted."""
    options = {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password,
        "sasl_oauth_token_provider": settings.token_provider,
        "sasl_kerberos_service_name": settings.sasl_kerberos_service_name,
        "sasl_kerberos_domain_name": settings.sasl_kerberos_domain_name,
    }
    return {name: value for name, value in options.items() if value}


def keep_out_of_logs() -> None:
    """Have kafka-python not log the bytes of logins: at DEBUG it writes all that it sends, passwords too."""
    for name in _LOGS_OF_BYTES:
        log = logging.getLogger(name)
        if log.getEffectiveLevel() < logging.INFO:
            log.setLevel(logging.INFO)


def _is_installed(mechanism: str) -> bool:
    return importlib.util.find_spec(_WITH_PACKAGE[mechanism]) is not None
