"""What a login needs before any broker is asked, and tokens from where they are had."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devservers.certificates import make_certificate
from devservers.token_endpoint import CLIENT, SECRET, TokenEndpoint
from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import AccessDenied, ConfigurationError, QueueError, QueueUnreachable
from estela_queue_adapter.platforms.kafka.connections.oauth import ClientCredentials
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

SASL = {"listeners": "host", "security_protocol": "SASL_SSL"}
OAUTH: dict[str, Any] = {**SASL, "sasl_mechanism": "OAUTHBEARER"}
CLIENT_CREDENTIALS = {
    **OAUTH, "sasl_oauth_token_url": "https://host/token", "sasl_oauth_client_id": CLIENT,
    "sasl_oauth_client_secret": SECRET,
}  # fmt: skip


class Tokens:
    """A token provider as a user writes one."""

    def token(self) -> str:
        return "a.token"


def token() -> str:
    return "a.token.of.a.function"


def raises() -> str:
    raise ValueError("Mellon-7")


def no_token() -> str:
    return "a token\x01auth=other"


no_provider = 7


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    server = TokenEndpoint()
    server.start()
    yield server
    server.stop()


def client(endpoint: TokenEndpoint, **more: Any) -> ClientCredentials:
    return ClientCredentials("URL", endpoint.url, **{"client_id": CLIENT, "client_secret": SECRET, **more})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            SASL,
            "SASL_SSL needs QUEUE_PLATFORM_SASL_MECHANISM, one of: PLAIN, .*OAUTHBEARER",
        ),
        ({**SASL, "sasl_mechanism": "PLAIN"}, "needs QUEUE_PLATFORM_SASL_USERNAME and .*_PASSWORD"),
        ({**SASL, "sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "me"}, "_SASL_PASSWORD"),
        ({**SASL, "sasl_mechanism": "NTLM"}, "NTLM is not known; the valid choices are: PLAIN"),
        (OAUTH, "needs tokens: set .*TOKEN_PROVIDER, or .*TOKEN_URL, .*CLIENT_ID and .*CLIENT_SECRET"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_client_secret": ""}, "TOKEN_URL needs .*CLIENT_SECRET"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_token_url": "http://host/token"}, "must begin with https://"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_token_url": "file:///etc/passwd"}, "must be a URL|https"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_token_url": "https://me:pw@host/"}, "without a login in it"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_token_provider": f"{__name__}:Tokens"}, "are both set"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_cafile": "/no/such"}, "SASL_OAUTH_CAFILE=/no/such"),
        ({**CLIENT_CREDENTIALS, "sasl_oauth_cafile": __file__}, "SASL_OAUTH_CAFILE=.*cannot be used"),
        ({**OAUTH, "sasl_oauth_token_provider": "no.such:thing"}, "no.such:thing cannot be loaded"),
        ({**OAUTH, "sasl_oauth_token_provider": "nothing"}, "write it as package.module:name"),
        ({**OAUTH, "sasl_oauth_token_provider": f"{__name__}:no_provider"}, "neither a function"),
    ],
)
def test_a_login_that_cannot_work_is_told_at_once(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_platform("kafka", environ={}, **arguments)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("mechanism", "package"), [("GSSAPI", "gssapi"), ("AWS_MSK_IAM", "botocore")])
def test_a_mechanism_is_offered_if_its_package_is_there_and_else_names_it(
    mechanism: str, package: str
) -> None:
    arguments = {**SASL, "sasl_mechanism": mechanism}

    if importlib.util.find_spec(package) is not None:
        open_platform("kafka", environ={}, **arguments)
        return
    with pytest.raises(ConfigurationError, match=f"pip install {package}"):
        open_platform("kafka", environ={}, **arguments)
    with pytest.raises(ConfigurationError) as caught:
        open_platform("kafka", environ={}, **SASL)
    assert mechanism not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Tokens", "a.token"), ("token", "a.token.of.a.function")],
)
@pytest.mark.parametrize("separator", [":", "."])
def test_tokens_come_from_a_provider_by_its_name(name: str, expected: str, separator: str) -> None:
    given_settings = KafkaSettings(**OAUTH, sasl_oauth_token_provider=f"{__name__}{separator}{name}")

    provider = given_settings.client_options()["sasl_oauth_token_provider"]

    assert provider.token() == expected
    assert given_settings.client_options()["sasl_oauth_token_provider"] is provider  # it keeps its token


@pytest.mark.parametrize(("name", "told"), [("raises", "raised ValueError"), ("no_token", "gave no token")])
def test_a_provider_that_fails_is_told_without_what_it_says(name: str, told: str) -> None:
    provider = KafkaSettings(**OAUTH, sasl_oauth_token_provider=f"{__name__}:{name}").token_provider

    with pytest.raises(QueueError, match=told) as caught:
        provider.token()

    assert "Mellon" not in f"{caught.value} {caught.value.__cause__}"


def test_a_token_is_fetched_once_and_again_before_it_expires(endpoint: TokenEndpoint) -> None:
    now = [0.0]
    provider = client(endpoint, scope="kafka", clock=lambda: now[0])
    endpoint.lifetime = 100.0

    threads = [threading.Thread(target=provider.token) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now[0] = 79.0
    provider.token()
    assert endpoint.asked == [{"grant_type": "client_credentials", "scope": "kafka"}]

    now[0] = 81.0
    provider.token()
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ((503, {}, b"busy"), QueueUnreachable, "answers 503"),
        ((200, {}, b"<html>"), QueueUnreachable, "answers with no token"),
        ((200, {}, b'{"access_token": 1}'), QueueUnreachable, "answers with no token"),
        ((200, {}, b'{"access_token": "a b"}'), QueueUnreachable, "answers with no token"),
        ((200, {}, b"[]"), QueueUnreachable, "answers with no token"),
        ((400, {}, b'{"error": "invalid_scope\\u001b[2J"}'), AccessDenied, r"400 invalid_scope\\x1b"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), QueueUnreachable, "answers 302"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_told_as_what_it_is(
    endpoint: TokenEndpoint, answer: tuple[int, dict[str, str], bytes], error: type[Exception], told: str
) -> None:
    endpoint.answer = answer

    with pytest.raises(error, match=told) as caught:
        client(endpoint).token()

    assert endpoint.url in str(caught.value)


def test_a_wrong_secret_is_told_without_it(endpoint: TokenEndpoint) -> None:
    with pytest.raises(AccessDenied, match=r"401 invalid_client; check .*CLIENT_SECRET") as caught:
        client(endpoint, client_secret="Mellon-7").token()

    assert "Mellon-7" not in f"{caught.value!r} {client(endpoint)!r}"
    assert SECRET not in str(caught.value)


def test_an_endpoint_is_trusted_only_by_its_certificate(tmp_path: Path) -> None:
    authority, certificate = make_certificate(tmp_path)
    server = TokenEndpoint(certificate)
    server.start()
    try:
        assert client(server, cafile=str(authority)).token()
        with pytest.raises(QueueUnreachable, match=r"certificate is not trusted.*OAUTH_CAFILE"):
            client(server).token()
    finally:
        server.stop()
    with pytest.raises(QueueUnreachable, match="cannot be reached: Connection refused"):
        client(server, cafile=str(authority)).token()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(status=st.sampled_from([200, 400, 401, 500]), body=st.binary(max_size=60))
def test_whatever_an_endpoint_answers_is_a_token_or_an_error_of_ours(
    endpoint: TokenEndpoint, status: int, body: bytes
) -> None:
    endpoint.answer = (status, {}, body)

    with pytest.raises(QueueError):
        client(endpoint).token()


def test_a_key_that_is_encrypted_needs_its_password(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, password="Mellon-7")
    pair: dict[str, Any] = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key), "listeners": "host"}

    for wrong in ("", "Mellon-8"):
        with pytest.raises(ConfigurationError, match="QUEUE_PLATFORM_SSL_PASSWORD") as caught:
            KafkaSettings(**pair, ssl_password=wrong)
        assert "Mellon" not in str(caught.value)

    right = KafkaSettings(**pair, ssl_password="Mellon-7")
    assert right.client_options()["ssl_password"] == "Mellon-7"
    assert "Mellon" not in repr(right)
