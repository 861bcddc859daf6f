"""`estela-scrapy doctor`: each thing that is wrong is named, with what to do; nothing is written."""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.projects import make_project, run

pytestmark = pytest.mark.processes

EXTENSION = 'EXTENSIONS = {"estela_scrapy.QueueExtension": 500}\n'


def doctor(folder: Path, *arguments: str, **environ: str) -> tuple[int, dict[str, Any]]:
    done = run(folder, "estela-scrapy", "doctor", "--json", *arguments, **environ)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def problems(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        check["subject"]: (check["told"], check["advice"])
        for check in report["checks"]
        if check["state"] == "problem"
    }


def test_a_new_project_is_well_and_nothing_is_created(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", "market", EXTENSION + "JOBDIR = 'jobs/1'\n")

    code, report = doctor(project)

    assert (code, problems(report)) == (0, {})
    assert report["next"][0].startswith("scrapy crawl ")
    values = {setting["name"]: (setting["value"], setting["from"]) for setting in report["settings"]}
    assert values["QUEUE_PLATFORM"] == ("embedded", "default")
    assert values["JOBDIR"] == ("jobs/1", "market.settings")
    assert values["ESTELA_OUTBOX_PATH"] == (str(project / ".estela" / "outbox.db"), "default")
    assert not (project / ".estela").exists()


def test_messages_that_wait_make_the_next_command_and_the_addon_counts_too(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", "market", 'ADDONS = {"estela_scrapy.Addon": 0}\n')
    crawled = run(project, "scrapy", "crawl", "things")
    assert crawled.returncode == 0, crawled.stderr

    code, report = doctor(project)

    assert (code, problems(report)) == (0, {})
    assert report["next"][0] == "estela-scrapy consume --drain"
    told = {check["subject"]: check["told"] for check in report["checks"]}
    assert told["group group_items_topic"] == "messages of items_topic that wait for it: 20"
    # Which the add-on publishes to:
    assert told["group group_job_stats"] == "messages of job_stats that wait for it: 1"
    assert "group group_job_logs" in told


def test_whatever_is_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    project = make_project(
        tmp_path / "p", "market",
        "ESTELA_ITMES_TOPIC = 'x'\nESTELA_STATS_TOPIC = 'stats'\nESTELA_CLOSE_TIMEOUT = -1\n"
        "QUEUE_PLATFORM_PATH = 'settings.db'\n",
    )  # fmt: skip
    (project / ".env").write_text("QUEUE_PLATFORM_PATH=file.db\nQUEUE_PLATFORM_SASL_PASSWORD=x\n")
    (project / ".env").chmod(0o644)
    (project / "store.db").touch(0o666)
    (project / "store.db").chmod(0o666)

    code, report = doctor(
        project, "--env-file", ".env", "--store", "sqlite:///store.db", "--group", "mine",
        ESTELA_STATS_TOPIC="other",
    )  # fmt: skip

    found = problems(report)
    assert code == report["exit_code"] == 15
    assert "crawls publish nothing" in found["extension"][0]
    assert EXTENSION.strip() in found["extension"][1]
    assert "did you mean ESTELA_ITEMS_TOPIC?" in found["ESTELA_ITMES_TOPIC"][0]
    assert "ESTELA_CLOSE_TIMEOUT" in found["crawl"][0]
    assert found["ESTELA_STATS_TOPIC"][0] == "commands use other, from the environment; the crawl uses stats"
    assert found["QUEUE_PLATFORM_PATH"][0] == "commands use file.db, from .env; the crawl uses settings.db"
    assert f"chmod 600 {project / 'store.db'}" == found["file of the store"][1]
    assert all(advice for _, advice in found.values())
    assert any("chmod 600 .env" in check["told"] for check in report["checks"])
    values = {setting["name"]: (setting["value"], setting["from"]) for setting in report["settings"]}
    assert values["QUEUE_PLATFORM_GROUP"] == ("mine", "--group")
    assert values["DB_CONNECTION"][1] == "--store"


def test_servers_that_do_not_answer_are_given_up_in_time(tmp_path: Path) -> None:
    code, report = doctor(
        tmp_path, "--timeout", "2", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        DB_CONNECTION="mongodb://127.0.0.1:1/",
    )  # fmt: skip

    assert code == 15
    assert {"queue", "store"} <= problems(report).keys()


def test_the_client_of_kafka_is_told_with_its_version_and_what_it_lacks_with_how_to_install_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "confluent_kafka.py").write_text("raise ModuleNotFoundError(__name__)")
    kafka = {
        "QUEUE_PLATFORM": "kafka", "QUEUE_PLATFORM_LISTENERS": "127.0.0.1:1",
        "QUEUE_PLATFORM_CLIENT": "librdkafka",
    }  # fmt: skip

    _, there = doctor(tmp_path, "--timeout", "1", **kafka)
    code, not_there = doctor(tmp_path, PYTHONPATH=str(tmp_path / "without"), **kafka)

    told = {check["subject"]: check["told"] for check in there["checks"]}
    version = metadata.version("confluent-kafka")
    assert re.fullmatch(
        rf"messages are carried by librdkafka [\d.]+ \(confluent-kafka {version}\)", told["client"]
    )
    assert code == 15
    assert problems(not_there)["queue"][1] == "pip install 'estela-scrapy[librdkafka]'"
    values = {setting["name"]: setting["value"] for setting in not_there["settings"]}
    assert values.items() >= kafka.items()


def test_the_advice_for_a_refused_login_is_not_that_of_a_server_that_is_down(
    tmp_path: Path, mongodb: str
) -> None:
    _, report = doctor(tmp_path, DB_CONNECTION=mongodb.replace("://", "://nobody:wrong@", 1))

    told, advice = problems(report)["store"]
    assert "login is refused" in told
    assert "running" not in advice


def test_settings_that_nobody_could_use_are_told(tmp_path: Path) -> None:
    code, report = doctor(
        tmp_path, QUEUE_PLATFORM="rabbit", DB_CONNECTION="nonsense", ESTELA_ITEMS_TOPIC="no topic"
    )

    found = problems(report)
    assert code == 15
    assert "QUEUE_PLATFORM=rabbit" in found["queue"][0]
    assert "the store's URL" in found["store"][0]
    assert "ESTELA_ITEMS_TOPIC" in found["topics"][0]


def test_what_the_consumer_would_end_for_and_a_misspelt_name_of_the_store_are_told(tmp_path: Path) -> None:
    project = make_project(
        tmp_path / "p", "market", f"{EXTENSION}DB_CONECTION = 'mongodb://host/'\nESTELA_WRITERS = 'many'"
    )

    code, report = doctor(project, ESTELA_CHUNK_AGE="-1", DB_HOST="of somebody else", ESTELA_JSON="1")

    found = problems(report)
    assert code == 15
    assert found.keys() == {"DB_CONECTION", "ESTELA_WRITERS", "ESTELA_CHUNK_AGE"}
    assert "did you mean DB_CONNECTION?" in found["DB_CONECTION"][0]
    assert found["ESTELA_WRITERS"][1] == "correct it in market.settings"
    assert found["ESTELA_CHUNK_AGE"][1] == "correct it in the environment"


def test_the_table_fits_sixty_columns_and_obeys_nothing_from_outside(tmp_path: Path) -> None:
    evil = "\x1b[31mred\x9b5m\u202e[bold]x"
    project = make_project(
        tmp_path / "p", "market", f"{EXTENSION}QUEUE_PLATFORM_PATH = {evil!r}\nESTELA_X = 1\n"
    )

    done = run(project, "estela-scrapy", "doctor", COLUMNS="60", PYTHONIOENCODING="utf-8")

    assert done.returncode == 15, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert not {"\x1b", "\x9b", "\u202e"} & set(done.stdout)
    assert "[bold]" in done.stdout


def test_a_folder_that_may_not_be_written_is_told_by_every_command_with_what_to_do(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Given a plain user, or root without the power over what its permissions forbid."""
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    if os.geteuid() != 0:
        powerless = []
    elif shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv here")
    request.addfinalizer(lambda: project.chmod(0o755))
    project = make_project(tmp_path / "p", "market", EXTENSION)
    project.chmod(0o555)
    for arguments, code in (
        ("consume --drain --max-wait 1", 5), ("verify job", 4), ("data list", 5), ("dead-letters list t", 4),
        ("doctor", 15),
    ):  # fmt: skip
        done = run(project, "estela-scrapy", *arguments.split(), powerless=powerless)
        assert done.returncode == code, done.stderr
        told = " ".join((done.stdout + done.stderr).split())
        assert "work in a folder that you may write to, or name another file" in told
        assert "Traceback" not in told
