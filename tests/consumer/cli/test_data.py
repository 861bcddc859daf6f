"""`estela-data` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import bson
import pymongo
import pytest
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from tests.consumer.commands import drain, envelope, exported, publish, run

pytestmark = pytest.mark.processes


class TestData:
    @pytest.fixture(autouse=True)
    def stored(self, surroundings: None, unique: str) -> str:
        payloads = [{"name": "ünï", "a.b": {"c.d": n}, "_id": n, "tags": ["x"]} for n in range(3)]
        publish(unique, [envelope(payload, jid=f"1.s.{unique}") for payload in payloads])
        drain(unique)
        return f"{unique}/s-1-{unique}"

    def test_list_shows_every_dataset_with_its_count(self, stored: str) -> None:
        table = run("estela-data", "list")
        lines = run("estela-data", "list", "--json")

        assert stored in table.out
        database, _, collection = stored.partition("/")
        expected = {"database": database, "collection": collection, "documents": 3}
        assert expected in [json.loads(line) for line in lines.out.splitlines()]

    def test_show_is_a_table_of_the_first_documents(self, stored: str) -> None:
        result = run("estela-data", "show", stored, "-n", "2")

        assert result.code == 0
        assert result.out.count("ünï") == 2
        assert "a.b" in result.out

    def test_export_is_what_was_scraped(self, stored: str) -> None:
        documents = sorted(exported(stored), key=lambda document: int(document["_id"]))

        assert documents == [{"name": "ünï", "a.b": {"c.d": n}, "_id": n, "tags": ["x"]} for n in range(3)]

    def test_export_raw_is_what_is_stored(self, stored: str) -> None:
        documents = exported(stored, "--raw")

        assert {"_id", "a\\u002eb", "\\u005fid"} <= set(documents[0])

    def test_a_scraped_field_called_as_ours_is_shown_beside_it(self, unique: str) -> None:
        data = {"payload": {"_estela": "scraped"}, "metadata": {"url": "http://a.example/"}}
        publish(f"{unique}b", [json.dumps({"jid": f"1.s.{unique}", **data}).encode()])
        drain(f"{unique}b")
        dataset = f"{unique}/s-1-{unique}b"

        [document] = exported(dataset)

        assert document.pop("\\u005festela") == "scraped"
        assert document.pop("_estela")["url"] == "http://a.example/"
        assert document == {}
        assert "\\u005festela" in run("estela-data", "show", dataset).out


@pytest.mark.usefixtures("on_servers")
def test_what_others_have_written_is_shown_and_exported_though_python_has_no_value_for_it(
    mongodb: str, unique: str
) -> None:
    beyond = {"_id": ObjectId(), "date": DatetimeMS(2**53), "text": "b\x9b\x1b[31mad", "not_utf_8": "ab"}
    encoded = bson.encode(beyond).replace(b"ab", b"\xff\xfe")
    client: pymongo.MongoClient[RawBSONDocument] = pymongo.MongoClient(mongodb)
    client[unique]["foreign"].insert_one(RawBSONDocument(encoded))

    exported = run("estela-data", "export", f"{unique}/foreign")
    shown = run("estela-data", "show", f"{unique}/foreign")
    client.drop_database(unique)
    client.close()

    assert (exported.code, shown.code) == (0, 0)
    assert json.loads(exported.out) == {
        "date": {"$date": {"$numberLong": str(2**53)}},
        "text": "b\x9b\x1b[31mad",
        "not_utf_8": "\\xff\\xfe",
    }
    assert "b\\x9b\\x1b[31mad" in shown.out
    assert "\x9b" not in exported.out + shown.out


@pytest.mark.usefixtures("workdir")
class TestBadInput:
    def test_a_name_without_a_slash_is_a_usage_error(self) -> None:
        result = run("estela-data", "show", "books")

        assert result.code == 2
        assert "DATABASE/COLLECTION" in result.err

    def test_a_dataset_that_is_not_there_is_told(self) -> None:
        for verb in ("show", "export"):
            result = run("estela-data", verb, "no/such")

            assert result.code == 2
            assert "no/such" in result.err

    def test_an_empty_store_says_so(self) -> None:
        result = run("estela-data", "list")

        assert result.code == 0
        assert "Nothing is stored yet" in result.out

    def test_a_store_that_is_away_is_one_line(self) -> None:
        result = run(
            "estela-data",
            "list",
            DB_CONNECTION="mongodb://u:secret@127.0.0.1:1/?serverSelectionTimeoutMS=500",
        )

        assert result.code == 5
        assert "127.0.0.1:1" in result.err
        assert "secret" not in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize("subcommand", ["list", "show", "export", "adopt"])
@pytest.mark.parametrize("url", ["nonsense", "mongodb://127.0.0.1:1/?ssl=perhaps", "mongodb://h:port"])
def test_the_help_of_a_subcommand_asks_nothing_of_the_store(subcommand: str, url: str) -> None:
    result = run("estela-data", subcommand, "--help", DB_CONNECTION=url)

    assert (result.code, result.err) == (0, "")
    assert "Usage: " in result.out


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize(
    "value",
    [
        "Mellon-7",
        "Mellon-7://h",
        "sqlite://Mellon-7",
        "mongodb://u:Mellon-7@h:Mellon-7/",
        "mongodb://h/?readPreference=Mellon-7",
        "mongodb://h/?authMechanism=Mellon-7",
        "mongodb://h/?w=1&journal=Mellon-7",
        "mongodb://h/?tlsCAFile=/no/Mellon-7",
    ],
)
def test_a_url_that_came_from_a_file_is_not_quoted(value: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(value)

    for arguments in (["estela-data", "list"], ["estela-consume", "topic", "--drain"]):
        result = run(*arguments, DB_CONNECTION_FILE=str(tmp_path / "url"))

        assert result.code == 2
        assert "Mellon" not in result.err
        assert "DB_CONNECTION" in result.err or "sqlite:///" in result.err
