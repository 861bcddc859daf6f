"""`estela-data rekey` as a user runs it, and the way back for what was refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.consumer.commands import drain, envelope, exported, publish, run

pytestmark = pytest.mark.processes


def keyed(payload: dict[str, Any], unique: str, dataset: str) -> dict[str, Any]:
    names = {"db_name": unique, "dataset_name": dataset}
    return envelope(payload, id="f" * 24, key=["sku"], on_existing="track", metadata={}, **names)


@pytest.mark.usefixtures("surroundings")
def test_a_plain_dataset_becomes_a_keyed_one_and_what_was_refused_is_replayed(unique: str) -> None:
    old, new = f"{unique}/products", f"{unique}/by_sku"
    plain = [{"sku": str(n % 3), "price": n} for n in range(6)]
    names = {"db_name": unique, "dataset_name": "products"}
    items = [*plain, {"price": 7}]
    publish(unique, [envelope(item, id=f"{number:024x}", **names) for number, item in enumerate(items)])
    first = drain(unique)
    publish(unique, [keyed({"sku": 0, "price": 9}, unique, "products")])
    refused = drain(unique)

    done = run("estela-data", "rekey", old, new, "--key", "sku", "--on-existing", "track")
    again = run("estela-data", "rekey", old, new, "--key", "sku", "--on-existing", "track")
    publish(unique, [keyed({"sku": 0, "price": 9}, unique, "by_sku")])
    on = drain(unique)

    assert first.code == on.code == 0
    assert refused.code == 3
    assert f"estela-data rekey {old} NEW --key sku" in refused.err
    assert (done.code, again.code) == (7, 7)
    assert "6 stored, 0 already there, 0 superseded, 1 left out" in done.out
    assert "0 stored, 6 already there, 0 superseded, 1 left out" in again.out
    assert "the key field 'sku' is missing" in done.out
    documents = exported(new)
    assert {item["sku"]: item["price"] for item in documents} == {0: 9, "1": 4, "2": 5}
    assert len(exported(f"{new}_changes")) == 4
    assert len(exported(old)) == 7


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("d/c", "d/c", "--key", "sku"), "another dataset"),
        (("d/c_changes", "d/c", "--key", "sku"), "another dataset"),
        (("d/c", "d/x", "--key", "sku"), "there is no dataset d/c"),
        (("d/c", "d/x", "--key", ","), "the key has 0 fields"),
        (("d/c", "d/x", "--key", "a,a"), "different ones"),
        (("d/c", "d/x"), "--key"),
        (("d", "d/x", "--key", "sku"), "DATABASE/COLLECTION"),
        (("d/c", "admin/x", "--key", "sku"), "belongs to the server"),
        (("d/c", "d/x", "--key", "sku", "--on-existing", "merge"), "merge"),
    ],
)
def test_a_users_mistake_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    result = run("estela-data", "rekey", *arguments)

    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err
