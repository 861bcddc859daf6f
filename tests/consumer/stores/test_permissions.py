"""A MongoDB that asks who one is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from devservers.mongodb import MongoStandalone
from estela_consumer.adoption import adopt
from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable, UsageError
from estela_consumer.stores import Outcome, StoreAccess, StoreSettings, open_store
from estela_consumer.stores.mongodb import MongoStore
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from tests.conftest import or_skip
from tests.consumer.stores.contract import document

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a mongod on which `crawler` may write to the database `mine` alone."""
    with or_skip("mongod"):
        server = MongoStandalone(tmp_path_factory.mktemp("guarded"), "--auth")
        server.start()
    with MongoClient[dict[str, object]](f"mongodb://{server.address}") as client:
        client.admin.command("createUser", "root", pwd="root", roles=["root"])
    with MongoClient[dict[str, object]](f"mongodb://root:root@{server.address}") as client:
        roles = [{"role": "readWrite", "db": "mine"}]
        client.admin.command("createUser", "crawler", pwd="secret", roles=roles)
        privilege = {"resource": {"db": "mine", "collection": ""}, "actions": ["find", "insert"]}
        client.admin.command("createRole", "inserts", privileges=[privilege], roles=[])
        roles.append({"role": "dbAdmin", "db": "mine"})
        client.admin.command("createUser", "adopter", pwd="secret", roles=roles)
        client.admin.command("createUser", "inserter", pwd="secret", roles=["inserts"])
    yield server.address
    server.stop()


def keyed_document(dataset: Dataset, number: int) -> Document:
    envelope = {
        "jid": "1.s.p", "db_name": dataset.database, "dataset_name": dataset.collection,
        "id": f"{number:024x}", "key": ["n"], "on_existing": "replace", "payload": {"n": number},
    }  # fmt: skip
    decoded = decode(Message("t", 0, number, 0.0, None, json.dumps(envelope).encode(), ()))
    assert decoded is not None
    return decoded


def test_without_permission_on_one_database_its_messages_are_bad_and_the_others_are_stored(
    guarded: str,
) -> None:
    store = open_store(StoreSettings(url=f"mongodb://crawler:secret@{guarded}"))
    mine, theirs = Dataset("mine", "items"), Dataset("theirs", "items")

    [stored] = store.write(mine, [document(mine, {"n": 1})])
    refused = store.write(theirs, [document(theirs, {"n": n}) for n in range(2)])
    keyed = store.write_keyed(theirs, [keyed_document(theirs, n) for n in range(2)])

    assert stored is Outcome.STORED
    for verdict in refused + keyed:
        assert isinstance(verdict, BadMessage)
        assert verdict.reason is Reason.NOT_PERMITTED
    store.close()


def test_what_a_login_may_do_is_found_out_without_writing(guarded: str) -> None:
    def examined(login: str) -> StoreAccess:
        with contextlib.closing(open_store(StoreSettings(url=f"mongodb://{login}{guarded}"))) as store:
            return store.examine()

    assert examined("root:root@") == StoreAccess("root@admin")
    assert examined("crawler:secret@") == StoreAccess("crawler@admin", ("mine",))
    assert examined("inserter:secret@") == StoreAccess("inserter@admin", ("mine",))
    with pytest.raises(StoreUnreachable):
        examined("crawler:wrong@")
    with pytest.raises(StoreUnreachable):
        examined("")


@pytest.mark.parametrize("user", ["crawler", "inserter"])
def test_to_insert_is_permission_enough_for_a_clustered_collection(guarded: str, user: str) -> None:
    store = open_store(StoreSettings(url=f"mongodb://{user}:secret@{guarded}"))
    dataset = Dataset("mine", f"of-{user}")

    [stored] = store.write(dataset, [document(dataset, {"n": 1})])

    assert stored is Outcome.STORED
    with MongoClient[dict[str, Any]](f"mongodb://root:root@{guarded}") as client:
        [created] = client["mine"].list_collections(filter={"name": dataset.collection})
    assert "clusteredIndex" in created["options"]
    store.close()


@pytest.mark.parametrize("user", ["crawler", "inserter"])
def test_an_adoption_that_is_not_permitted_says_which_roles_it_needs(guarded: str, user: str) -> None:
    dataset = Dataset("mine", f"s-scj1-{user}")
    store = MongoStore(StoreSettings(url=f"mongodb://{user}:secret@{guarded}"))
    store.write(dataset, [document(dataset, {"n": 1})])

    with pytest.raises(UsageError, match=r"code 13.*roles readWrite and dbAdmin on the database mine"):
        adopt(store.replacement(dataset), lambda _: None)

    assert len(list(store.read(dataset))) == 1
    store.close()


def test_with_these_roles_it_is_permitted(guarded: str) -> None:
    dataset = Dataset("mine", "s-scj1-items")
    store = MongoStore(StoreSettings(url=f"mongodb://adopter:secret@{guarded}"))
    store.write(dataset, [document(dataset, {"n": 1}), document(dataset, {"n": 1})])

    report = adopt(store.replacement(dataset), lambda _: None)

    assert (report.adopted, report.merged, report.clustered) == (2, 1, True)
    assert len(list(store.read(dataset))) == 1
    store.close()


@pytest.mark.parametrize("login", ["", "crawler:wrong@"])
def test_without_a_login_or_with_a_wrong_one_the_store_is_away(guarded: str, login: str) -> None:
    store = open_store(StoreSettings(url=f"mongodb://{login}{guarded}"))
    mine = Dataset("mine", "items")

    with pytest.raises(StoreUnreachable):
        store.write(mine, [document(mine, {"n": 1})])

    store.close()
