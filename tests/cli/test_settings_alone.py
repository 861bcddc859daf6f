"""Queue and store named in settings.py alone, or in a file: a crawl and every command find them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from estela_queue_adapter import open_platform
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA
from tests.cli.projects import make_project, run

pytestmark = pytest.mark.processes

EXTENSION = 'EXTENSIONS = {"estela_scrapy.QueueExtension": 500}\n'


def settings_of(kafka: str, mongodb: str, unique: str, client: str) -> str:
    return EXTENSION + "\n".join(
        f"{name} = {value!r}"
        for name, value in {
            "QUEUE_PLATFORM": "kafka",
            "QUEUE_PLATFORM_LISTENERS": kafka.split(","),
            "QUEUE_PLATFORM_CLIENT": client,
            "DB_CONNECTION": mongodb,
            "ESTELA_ITEMS_TOPIC": f"items_{unique}",
            "ESTELA_REQUESTS_TOPIC": f"requests_{unique}",
            "ESTELA_STATS_TOPIC": f"stats_{unique}",
            "ESTELA_JOBS_TOPIC": f"jobs_{unique}",
        }.items()
    )


@pytest.mark.parametrize("client", [KAFKA_PYTHON, LIBRDKAFKA])
def test_kafka_and_mongodb_in_settings_alone_serve_the_crawl_and_every_command(
    tmp_path: Path, kafka: str, mongodb: str, unique: str, client: str
) -> None:
    project = make_project(tmp_path / "project", unique, settings_of(kafka, mongodb, unique, client))

    crawled = run(project, "scrapy", "crawl", "things")
    [job] = re.findall(r"Publishing job (\S+) to Kafka", crawled.stderr)
    with open_platform("kafka", listeners=kafka, client=client).producer() as producer:
        producer.send(f"items_{unique}", b"not an envelope")
    consumed = run(project, "estela-consume", "--drain", "--json")
    verified = run(project, "estela-verify", job, "--json")
    listed = run(project, "estela-data", "list")
    lags = run(project, "estela-queue", "lag", f"items_{unique}", "--json")
    stands = run(project, "estela-status", "--json")
    letters = run(project, "estela-dead-letters", "list", f"items_{unique}", "--json")
    examined = run(project, "estela-scrapy", "doctor", "--json")
    replayed = run(project, "estela-dead-letters", "replay", f"items_{unique}")

    assert consumed.returncode == 3, consumed.stderr
    topics = json.loads(consumed.stdout)["topics"]
    assert {topic: counts["stored"] for topic, counts in topics.items()} == {
        f"items_{unique}": 20,
        f"requests_{unique}": 1,
        f"stats_{unique}": 1,
    }
    assert f"items_{unique} (ESTELA_ITEMS_TOPIC, from {unique}.settings)" in consumed.stderr
    assert verified.returncode == 0, verified.stdout
    assert f"{unique}/things " in listed.stdout
    assert json.loads(letters.stdout)["reason"] == "undecodable"
    assert replayed.returncode == 0, replayed.stderr
    assert [json.loads(line)["lag"] for line in lags.stdout.splitlines()] == [0] * 4, lags.stdout
    assert stands.returncode == 0, stands.stderr
    assert examined.returncode == 0, examined.stdout
    report = json.loads(examined.stdout)
    assert {"name": "QUEUE_PLATFORM_LISTENERS", "value": kafka, "from": f"{unique}.settings"} in report[
        "settings"
    ]
    told = {check["subject"]: check["told"] for check in report["checks"]}
    assert told[f"topic items_{unique}"].endswith("this login may read and write it")
    assert told[f"group group_items_{unique}"] == f"messages of items_{unique} that wait for it: 0"
    assert told["client"].startswith(f"messages are carried by {client} ")
    assert told["store"].endswith(" answers")
    assert not (project / ".estela").exists()


def test_options_win_over_the_environment_that_over_the_file_and_that_over_the_project(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path / "p", "market", f"{EXTENSION}DB_CONNECTION = 'sqlite:///settings.db'")
    (project / ".env").write_text("DB_CONNECTION=sqlite:///file.db\n")
    answers = [
        run(project, "estela-data", "list"),
        run(project, "estela-data", "--env-file", ".env", "list"),
        run(project, "estela-data", "--env-file", ".env", "list", DB_CONNECTION="sqlite:///variable.db"),
        run(project, "estela-data", "--env-file", ".env", "--store", "sqlite:///option.db", "list",
            DB_CONNECTION="sqlite:///variable.db"),
    ]  # fmt: skip

    assert [re.findall(r"(\w+)\.db", done.stdout) for done in answers] == [
        ["settings"], ["file"], ["variable"], ["option"],
    ]  # fmt: skip


def test_a_crawl_and_commands_in_two_folders_of_a_project_share_queue_store_and_outbox(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path / "p", "market", EXTENSION)
    crawl = "import sys; from scrapy.cmdline import execute; execute(['scrapy', 'crawl', 'things'])"
    subprocess.run([sys.executable, "-c", crawl], cwd=project / "market", check=True, capture_output=True)
    (project / "deep" / "er").mkdir(parents=True)

    drained = run(project, "estela-consume", "--drain", "--json")
    listed = run(project / "deep" / "er", "estela-data", "list", "--json")
    report = json.loads(run(project / "deep", "estela-scrapy", "doctor", "--json").stdout)

    assert drained.returncode == 0, drained.stderr
    assert "things" in listed.stdout
    assert sorted(path.parent for path in project.rglob(".estela")) == [project]
    shown = {each["name"]: each["value"] for each in report["settings"]}
    assert shown["QUEUE_PLATFORM_PATH"] == str(project / ".estela" / "queue.db")
    assert shown["ESTELA_OUTBOX_PATH"] == str(project / ".estela" / "outbox.db")
    assert str(project / ".estela" / "store.db") in shown["DB_CONNECTION"]


def test_a_project_may_list_the_topics_to_consume(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", "market", "QUEUE_PLATFORM_TOPIC = ['one', 'two']")

    done = run(project, "estela-consume", "--drain", "--json", "--max-wait", "0")

    assert list(json.loads(done.stdout)["topics"]) == ["one", "two"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("estela-consume", "--drain"),
        ("estela-verify", "job"),
        ("estela-data", "list"),
        ("estela-dead-letters", "list", "topic"),
        ("estela-outbox", "list"),
        ("estela-scrapy", "doctor"),
    ],
)
def test_every_command_says_in_one_line_what_is_wrong_with_a_project_or_a_file(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    project = make_project(tmp_path / "p", "market", "raise RuntimeError('\\x1b[31mno\\n')")
    command, *rest = arguments
    place = 1 if command == "estela-scrapy" else 0

    broken = run(project, command, *rest)
    missing = run(tmp_path, command, *rest[:place], "--env-file", "nothing", *rest[place:])

    assert (broken.returncode, missing.returncode) == (2, 2)
    for done, told in ((broken, "market.settings"), (missing, "--env-file nothing cannot be read")):
        [line] = done.stderr.splitlines()
        assert line.startswith("Error: ")
        assert told in line
        assert "\x1b" not in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_a_password_in_the_project_is_not_shown_by_the_doctor(tmp_path: Path) -> None:
    secret = "hunter2é"
    project = make_project(
        tmp_path / "p", "market",
        f"{EXTENSION}QUEUE_PLATFORM = 'kafka'\nQUEUE_PLATFORM_LISTENERS = '127.0.0.1:1'\n"
        f"QUEUE_PLATFORM_SECURITY_PROTOCOL = 'SASL_PLAINTEXT'\nQUEUE_PLATFORM_SASL_MECHANISM = 'PLAIN'\n"
        f"QUEUE_PLATFORM_SASL_USERNAME = 'me'\nQUEUE_PLATFORM_SASL_PASSWORD = {secret!r}\n"
        f"DB_CONNECTION = 'mongodb://me:{quote(secret)}@127.0.0.1:1/?serverSelectionTimeoutMS=500'\n",
    )  # fmt: skip

    table, lines = run(project, "estela-scrapy", "doctor"), run(project, "estela-scrapy", "doctor", "--json")

    for done in (table, lines):
        assert done.returncode == 15, done.stderr
        for text in (secret, quote(secret)):
            assert text not in done.stdout + done.stderr
    report = json.loads(lines.stdout)
    states = {check["subject"]: check["state"] for check in report["checks"]}
    assert (states["queue"], states["store"], states["extension"]) == ("problem", "problem", "ok")
    assert {
        "name": "QUEUE_PLATFORM_SASL_PASSWORD",
        "value": "(set, not shown)",
        "from": "market.settings",
    } in report["settings"]
