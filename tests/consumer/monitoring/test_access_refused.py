"""A password that is rotated while a consumer runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from devservers.mongodb import MongoStandalone
from devservers.ports import wait_until
from tests.conftest import or_skip
from tests.consumer.commands import envelope, publish
from tests.consumer.monitoring.view import seen
from tests.consumer.monitoring.watched import get

pytestmark = [pytest.mark.processes, pytest.mark.servers]


class LockedStore:
    """A mongod with one user, whose password can be rotated."""

    def __init__(self, folder: Path) -> None:
        self._server = MongoStandalone(folder, "--auth")
        self._server.start()
        with self._server.client() as client:  # the first user may be created by anybody
            client.admin.command("createUser", "crawler", pwd="one", roles=["root"])

    def uri(self, password: str = "one") -> str:
        return f"mongodb://crawler:{password}@{self._server.address}/?serverSelectionTimeoutMS=800"

    def rotate(self, old: str, new: str) -> None:
        """Change the password; who has logged in before has to do it again."""
        with MongoClient[dict[str, object]](self.uri(old)) as client:
            client.admin.command("updateUser", "crawler", pwd=new, writeConcern={"w": 1, "j": True})
        self._server.kill()
        self._server.start()

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[LockedStore]:
    with or_skip("mongod"):
        store = LockedStore(tmp_path / "mongod")
    yield store
    store.stop()


def test_a_password_that_is_rotated_at_run_time_is_seen_and_ends_only_who_was_told_to_end(
    unique: str, workdir: Path, locked: LockedStore
) -> None:
    publish(unique, [envelope({"n": 0}, jid=f"1.s.{unique}")])
    store = ("--store", locked.uri())
    others = ("--group", "others", "--auth-max-wait", "1")
    with seen(unique, workdir, *store) as patient, seen(unique, workdir / "2", *store, *others) as other:
        for view in (patient, other):
            wait_until(view.is_ready, "the consumer to be ready")
            wait_until(lambda v=view: v.metric("messages_done_total") == 1.0, "its message")  # type: ignore[misc]

        locked.rotate("one", "two")
        publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])

        wait_until(lambda: patient.metric("access_refused", part="store") == 1.0, "the refusal to be seen")
        assert patient.code("/readyz") == 503
        assert "store: access refused" in get(patient.at, "/readyz")[1]
        assert patient.code("/livez") == 200
        assert other.consumer.process.wait(30.0) == 16
        assert patient.consumer.process.poll() is None
        assert " ERROR Store " in (workdir / "log").read_text()

        locked.rotate("two", "one")

        wait_until(patient.is_ready, "the consumer to be ready again")
        wait_until(lambda: patient.metric("messages_done_total") == 2.0, "its second message")
        assert patient.metric("access_refused") == 0.0
