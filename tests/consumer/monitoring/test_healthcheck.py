"""What a container's health check says of a consumer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from devservers.ports import free_port
from estela_pages.healthcheck import main
from tests.consumer.monitoring.watched import Watched


def test_it_says_what_the_consumer_says(capsys: pytest.CaptureFixture[str]) -> None:
    with Watched().served() as at:
        alive = main([], {"ESTELA_LISTEN": at})
        ready = main(["/readyz"], {"ESTELA_LISTEN": at})
        missing = main(["/nothing"], {"ESTELA_LISTEN": at})

    assert (alive, ready, missing) == (0, 1, 1)  # nothing has asked the store
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["200", "503", "404"]


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])
def test_it_asks_here_wherever_the_consumer_listens(host: str) -> None:
    port = free_port()
    with Watched().served(f"{host}:{port}"):
        assert main([], {"ESTELA_LISTEN": f"{host}:{port}"}) == 0


def test_without_an_address_there_is_nothing_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {}) == 0
    assert capsys.readouterr().out == "not asked: ESTELA_LISTEN is not set\n"


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:{free}"])
def test_nobody_there_is_unhealthy_and_one_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"ESTELA_LISTEN": address.replace("{free}", str(free_port()))}) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", 1),
        (b"\x1b]0;title\x07\n", 1),
        (b"HTTP/1.1 200 OK\r\n\r\n\x1b[2J", 0),
        (b"HTTP/1.1 503 \r\n\r\n\x1b[2Jx\ny", 1),
    ],
)
def test_what_somebody_else_answers_there_is_shown_and_not_obeyed(
    answer: bytes, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with somebody(answer) as at:
        assert main([], {"ESTELA_LISTEN": at}) == code

    [line] = capsys.readouterr().out.splitlines()
    assert line.isprintable()


@contextlib.contextmanager
def somebody(answer: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        serving.join()
