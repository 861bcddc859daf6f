"""Whoever looks gets an answer, and nobody can do more than look."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estela_pages.address import ListenAddress, ListenError
from estela_pages.server import bind
from tests.consumer.monitoring.watched import Watched, get

PATHS = ("/livez", "/readyz", "/metrics", "/status.json")


@pytest.fixture(scope="module")
def at() -> Iterator[str]:
    with Watched().served(names="consumer,Consumer.example") as where:
        yield where


def raw(at: str, sent: bytes, *, wait: float = 10.0) -> bytes:
    """All that comes back; whatever is sent, the connection ends."""
    host, port = at.rsplit(":", 1)
    with socket.create_connection((host, int(port)), wait) as connection:
        with contextlib.suppress(OSError):  # it may be closed before all of it is sent
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65_536):
                received += data
        return received


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_of_get_and_no_body(at: str, path: str) -> None:
    status, body, headers = get(at, path)
    head_status, head_body, head_headers = get(at, path, "HEAD")

    assert (head_status, head_body) == (status, "")
    assert head_headers.keys() == headers.keys()
    assert body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_nothing_but_get_and_head_is_allowed(at: str, method: str) -> None:
    status, body, headers = get(at, "/metrics", method)

    assert status == 405
    assert headers["Allow"] == "GET, HEAD"
    assert "GET and HEAD only" in body


def test_a_large_body_that_nobody_wants_does_not_keep_the_answer_from_its_sender(at: str) -> None:
    request = b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000

    assert raw(at, request).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("10.1.2.3", 200),
        ("[::1]:8080", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("consumer:8080", 200),
        ("consumer.EXAMPLE", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("[::1].evil.example", 421),
        ("[evil.example]", 421),
        ("", 421),
    ],
)
def test_only_who_calls_us_by_our_name_is_answered(at: str, host: str, status: int) -> None:
    assert get(at, "/livez", Host=host)[0] == status


def test_every_response_forbids_browsers_to_do_anything_with_it(at: str) -> None:
    for path in (*PATHS, "/nothing"):
        headers = get(at, path)[2]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("length", "status"),
    [(1_000, b"404"), (2_000, b"414"), (20_000, b"4[13][14]"), (2_000_000, b"4[13][14]")],
)
def test_a_huge_url_has_an_answer_that_says_so(at: str, length: int, status: bytes) -> None:
    request = b"GET /" + b"a" * length + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"

    answer = raw(at, request)

    # The answer to what is no end may come while it is still being sent, and be lost with the connection.
    assert re.match(b"HTTP/1.1 " + status, answer) or (length > 100_000 and answer == b"")


requests = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda method, path, version, headers: b" ".join([method, path, version]) + b"\r\n" + headers,
        st.sampled_from([b"GET", b"HEAD", b"", b"G\x00T", b"get"]),
        st.one_of(
            st.sampled_from([b"/livez", b"*", b"http://evil/livez", b"//", b"/%2e%2e/"]),
            st.binary(max_size=50),
        ),
        st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"", b"\xff"]),
        st.sampled_from(
            [
                b"\r\n",
                b"Host: localhost\r\n\r\n",
                b"Host: a\r\nHost: b\r\n\r\n",
                b"Content-Length: -1\r\n\r\n",
                b"Host: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                b": x\r\n\r\n",
                b"Host: localhost\r\n folded\r\n\r\n",
            ]
        ),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests)
def test_whatever_is_sent_the_next_request_is_answered(at: str, sent: bytes) -> None:
    answer = raw(at, sent)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 500" not in answer
    assert get(at, "/livez")[0] == 200


def test_a_thousand_slow_connections_keep_no_probe_waiting_and_are_closed() -> None:
    with Watched().served() as at, contextlib.ExitStack() as opened:
        host, port = at.rsplit(":", 1)
        slow = []
        for _ in range(1_000):
            with contextlib.suppress(OSError):
                connection = opened.enter_context(socket.create_connection((host, int(port)), 5.0))
                slow.append(connection)
                connection.sendall(b"GET /livez HT")
        took = []
        for _ in range(5):
            began = time.monotonic()
            assert get(at, "/livez")[0] == 200
            took.append(time.monotonic() - began)
        for connection in slow:
            connection.settimeout(60.0)
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""

        assert min(took) < 2.0
        assert len(slow) > 900


def test_a_page_with_a_fault_is_told_in_the_log_and_the_next_request_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = Watched()
    with watched.served() as at:
        good, watched.observer.groups = watched.observer.groups, {}

        assert get(at, "/metrics")[0] == 500
        assert "The page /metrics has a fault" in caplog.text
        watched.observer.groups = good
        assert get(at, "/metrics")[0] == 200


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ("192.0.2.1:8080", "no such address"),
        ("no-such-host.invalid:8080", "cannot be resolved"),
    ],
)
def test_an_address_that_is_not_ours_is_said_to_be_so(listen: str, told: str) -> None:
    with pytest.raises(ListenError, match=told):
        bind(ListenAddress.parse(listen))


def test_a_port_in_use_is_said_to_be_so() -> None:
    with Watched().served() as at, pytest.raises(ListenError, match="another process listens there"):
        bind(ListenAddress.parse(at))


@pytest.mark.parametrize(
    "listen", ["", "8080", "localhost", "localhost:", "a b:1", "[::1]", "x:70000", "x:-1"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(ListenError, match="such as 127"):
        ListenAddress.parse(listen)


@pytest.mark.parametrize("listen", [":0", "[::1]:0", "localhost:0", "0.0.0.0:0"])
def test_every_form_of_an_address_is_listened_to(listen: str) -> None:
    try:
        with Watched().served(listen) as at:
            port = at.rsplit(":", 1)[1]
            assert get(f"{'[::1]' if '::1' in listen else '127.0.0.1'}:{port}", "/livez")[0] == 200
    except ListenError as error:
        if "::1" not in listen:
            raise
        pytest.skip(f"no IPv6 here: {error}")


@given(st.text(max_size=40))
def test_no_host_of_somebody_else_passes_for_ours(host: str) -> None:
    address = ListenAddress.parse("127.0.0.1:1")

    assert not address.may_be_called(f"{host}.evil.example")
    assert not address.may_be_called(f"{host}.evil.example:80")
