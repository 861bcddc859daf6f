"""An outage of MongoDB is told as what it is, in one sentence, with the address that failed."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import ConfigurationError

from devservers.certificates import make_certificate
from devservers.mongodb import MongoReplicaSet, MongoStandalone
from devservers.ports import wait_until
from devservers.token_endpoint import TokenEndpoint
from estela_consumer.errors import StoreUnreachable
from estela_consumer.stores import Outcome, StoreSettings, open_store
from estela_consumer.stores.mongodb.outages import reason
from estela_wire.dataset import Dataset
from tests.consumer.stores.contract import document

pytestmark = pytest.mark.servers

PASSWORD = "Mellon-7"
DATASET = Dataset("test_outages", "items")
QUICK = "serverSelectionTimeoutMS=2000&connectTimeoutMS=1000"


class Servers:
    """A mongod without TLS, one with; servers of certificates that mongod would not start with; and HTTP."""

    def __init__(self, folder: Path, plain: str) -> None:
        self.plain = plain
        self.authorities: dict[str, Path] = {}
        self.authorities["tls"], key = make_certificate(folder, "tls-")
        self._mongod = MongoStandalone(
            folder / "tls", "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(key)
        )
        self._addresses = {"tls": f"localhost:{self._mongod.port}"}
        self._others = {"http": TokenEndpoint()}
        for name, expired, host in (("expired", True, "localhost"), ("misnamed", False, "elsewhere.example")):
            self.authorities[name], key = make_certificate(folder, f"{name}-", expired=expired, host=host)
            self._others[name] = TokenEndpoint(key)
        for name, server in self._others.items():
            self._addresses[name] = server.url.split("/")[2]

    def start(self) -> None:
        """Start them; return when they answer."""
        self._mongod.launch()
        for server in self._others.values():
            server.start()
        wait_until(lambda: listens(self._mongod.port), "mongod with TLS")

    def stop(self) -> None:
        """Stop all."""
        self._mongod.kill()
        for server in self._others.values():
            server.stop()

    def url(self, name: str, *, tls: bool = True, trusted: bool = True) -> str:
        """The URL of one of them."""
        authority = f"&tlsCAFile={self.authorities[name]}" if tls and trusted else ""
        return f"mongodb://{self._addresses[name]}/?{QUICK}" + (f"&tls=true{authority}" if tls else "")


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


CASES: dict[str, tuple[Callable[[Servers], str], str]] = {
    "nothing listens": (lambda _: f"mongodb://127.0.0.1:1/?{QUICK}", "MongoDB at 127.0.0.1:1: it refuses"),
    "two that refuse": (
        lambda _: f"mongodb://127.0.0.1:1,127.0.0.1:2/?{QUICK}",
        "127.0.0.1:1: it refuses .*127.0.0.1:2: it refuses",
    ),
    "no such name": (lambda _: f"mongodb://no-such-host.invalid/?{QUICK}", "name cannot be resolved"),
    "HTTP": (lambda servers: servers.url("http", tls=False), "MongoDB's protocol|hangs up"),
    "it wants TLS": (lambda servers: servers.url("tls", tls=False), "does it want TLS"),
    "it has no TLS": (
        lambda servers: f"mongodb://{servers.plain}/?{QUICK}&tls=true&directConnection=true",
        "does it speak TLS",
    ),
    "nobody vouches for it": (
        lambda servers: servers.url("tls", trusted=False), "not trusted .*DB_CERTIFICATE_PATH",
    ),
    "its certificate has expired": (lambda servers: servers.url("expired"), "certificate has expired"),
    "its certificate is another's": (lambda servers: servers.url("misnamed"), "is for another host"),
    "wrong password": (
        lambda servers: f"mongodb://me:{PASSWORD}@{servers.plain}/?{QUICK}&directConnection=true",
        "login is refused .*DB_CONNECTION",
    ),
    "another replica set": (
        lambda servers: f"mongodb://{servers.plain}/?{QUICK}&replicaSet=other", "replica set named other",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, mongodb: str) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("tls"), mongodb.partition("//")[2].partition("/")[0])
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture(scope="module")
def told(servers: Servers) -> dict[str, str]:
    """What a store says in each case; all at once, as each waits for some seconds."""

    def check(case: str) -> str:
        with contextlib.closing(open_store(StoreSettings(url=CASES[case][0](servers)))) as store:
            with pytest.raises(StoreUnreachable) as error:
                store.check()
            return str(error.value)

    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(check, CASES), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_an_outage_is_told_as_what_it_is(told: dict[str, str], case: str) -> None:
    with pytest.raises(StoreUnreachable, match=CASES[case][1]):
        raise StoreUnreachable(told[case])

    assert told[case].startswith("MongoDB at ")
    assert PASSWORD not in told[case]
    for noise in ("Topology", "configured timeouts", "ServerDescription", "full error", "\n"):
        assert noise not in told[case]
    assert len(told[case]) < 300


def test_a_set_without_a_primary_says_so_and_which_members_are_missing(tmp_path: Path) -> None:
    replica_set, said = MongoReplicaSet(tmp_path, size=3), list[str]()
    replica_set.start()
    try:
        with contextlib.closing(open_store(StoreSettings(url=f"{replica_set.uri}&{QUICK}"))) as store:
            store.check()
            missing = [member for member in replica_set.members if member is not replica_set.members[0]]
            for member in missing:
                member.kill()

            def is_gone() -> bool:
                try:
                    store.check()
                except StoreUnreachable as error:
                    said.append(str(error))
                return bool(said)

            wait_until(is_gone, "the end of the last primary")
        assert "there is no primary" in said[0]
        assert all(member.address in said[0] for member in missing)
    finally:
        replica_set.stop()


def test_a_write_waits_for_a_server_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mongod = MongoStandalone(tmp_path)
    mongod.launch()
    try:
        mongod.wait_ready()
        url = f"mongodb://127.0.0.1:{mongod.port}/?{QUICK}&directConnection=true"
        with contextlib.closing(open_store(StoreSettings(url=url))) as store:
            assert store.write(DATASET, [document(DATASET, {"n": 0})]) == [Outcome.STORED]
            mongod.kill()
            with pytest.raises(StoreUnreachable):  # and the connections are known to be gone
                store.check()
            with caplog.at_level(logging.DEBUG, "pymongo.serverSelection"), pytest.raises(StoreUnreachable):
                store.write(DATASET, [document(DATASET, {"n": 1})])
    finally:
        mongod.kill()

    selections = [
        record.getMessage() for record in caplog.records if record.name == "pymongo.serverSelection"
    ]
    assert sum("Server selection failed" in said for said in selections) == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The DNS query name does not exist: _mongodb._tcp.h.example.", "no mongodb+srv host of this name"),
        ("All nameservers failed to answer the query", "the DNS does not tell the servers"),
        ("something else", "DB_CONNECTION cannot be used: something else"),
    ],
)
def test_a_host_of_mongodb_srv_that_is_not_found_is_told_in_words(said: str, told: str) -> None:
    client: MongoClient[Any] = MongoClient(connect=False)

    text = reason(client, "h.example", "", ConfigurationError(said))

    assert told in text
    assert "ConfigurationError" not in text
    client.close()
