"""The extension's settings, from Scrapy and from the environment."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scrapy.settings import BaseSettings, Settings

from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy import Addon
from estela_scrapy.job.identity import Job
from estela_scrapy.settings import ExtensionSettings

JOB = Job("1", "books", "shop")


def read(environ: dict[str, str] | None = None, /, **settings: Any) -> ExtensionSettings:
    return ExtensionSettings.from_scrapy(BaseSettings(settings), environ or {})


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("ESTELA_ITEMS_TOPIC", "job_items", "items_topic", "job_items"),
        ("ESTELA_ITEMS_TOPIC", "", "items_topic", ""),
        ("ESTELA_REQUESTS_TOPIC", "", "requests_topic", ""),
        ("ESTELA_STATS_TOPIC", "job_stats", "stats_topic", "job_stats"),
        ("ESTELA_LOGS_TOPIC", "job_logs", "logs_topic", "job_logs"),
        ("ESTELA_JOBS_TOPIC", "", "jobs_topic", ""),
        ("ESTELA_LOGS_LEVEL", "warning", "logs_level", logging.WARNING),
        ("ESTELA_LOGS_LEVEL", "10", "logs_level", logging.DEBUG),
        ("ESTELA_DATABASE", "{project}-data", "database", "{project}-data"),
        ("ESTELA_DATASET", "{topic}", "dataset", "{topic}"),
        ("ESTELA_UNIQUE", "yes", "unique", True),
        ("ESTELA_UNIQUE", "off", "unique", False),
        ("ESTELA_BUFFER_BYTES", "1000", "buffer_bytes", 1000),
        ("ESTELA_CLOSE_TIMEOUT", "2.5", "close_timeout", 2.5),
        ("ESTELA_CLOSE_TIMEOUT", "", "close_timeout", 30.0),
        ("ESTELA_OUTBOX_PATH", "/there/outbox.db", "outbox_path", Path("/there/outbox.db")),
        ("ESTELA_OUTBOX_MAX_BYTES", "5000", "outbox_max_bytes", 5000),
        ("ESTELA_OUTBOX_INTERVAL", "1", "outbox_interval", 1.0),
    ],
)
def test_a_setting_is_the_same_from_the_environment_as_from_scrapy(
    variable: str, value: str, field: str, expected: Any
) -> None:
    assert getattr(read({variable: value}), field) == expected
    assert getattr(read(**{variable: value}), field) == expected
    assert getattr(read({variable: "nonsense, for all that"}, **{variable: expected}), field) == expected


@pytest.mark.parametrize("off", [False, None, "", "False", "false", "None"])
def test_false_and_none_switch_a_stream_off(off: Any) -> None:
    """Also as the words that `-s` and the environment make of them."""
    assert read({"ESTELA_REQUESTS_TOPIC": "t"}, ESTELA_REQUESTS_TOPIC=off).requests_topic == ""
    assert read({"ESTELA_REQUESTS_TOPIC": str(off)}).requests_topic == ""


@pytest.mark.parametrize("on", [True, "True", "true"])
def test_true_is_no_topic(on: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"ESTELA_REQUESTS_TOPIC=[Tt]rue is not a topic"):
        read(ESTELA_REQUESTS_TOPIC=on)


@pytest.mark.parametrize(
    ("given", "unique"), [("True", True), ("False", False), ("", False), ("yes", None), ("true", None)]
)
def test_estelas_wish_for_a_unique_collection_is_read_as_estela_sets_it(
    given: str, unique: bool | None
) -> None:
    environ = {"ESTELA_UNIQUE_COLLECTION": given}

    assert read(environ, ESTELA_UNIQUE=True).unique is True
    if unique is None:
        with pytest.raises(ConfigurationError, match=f"ESTELA_UNIQUE_COLLECTION={given}: the valid"):
            read(environ)
    else:
        assert read(environ).unique is unique


@pytest.mark.parametrize("brokers", [["a:1", "b"], ("a:1", "b"), "a:1,b"])
def test_brokers_may_be_a_list_and_a_port_a_number(brokers: Any) -> None:
    environ = read(QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS=brokers, QUEUE_PLATFORM_PORT=7).environ

    assert open_platform(environ=environ).describe() == "Kafka at a:1,b:7"


def test_a_setting_of_scrapys_that_is_false_or_0_is_not_taken_for_unset() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_PLATFORM_PORT: '0' is not a port"):
        open_platform(
            environ=read(QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="a", QUEUE_PLATFORM_PORT=0).environ
        )


def test_a_secret_of_the_wrong_kind_is_not_told() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_PLATFORM_SASL_PASSWORD=a dict") as caught:
        read(QUEUE_PLATFORM_SASL_PASSWORD={"secret": 1})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["ESTELA_ITEM_TOPIC"], ["did you mean ESTELA_ITEMS_TOPIC?"]),
        (["ESTELA_OUTBOX_SIZE_IN_FURLONGS"], ["ESTELA_OUTBOX_SIZE_IN_FURLONGS has no effect"]),
        (["ESTELA_ENABLE", "ESTELA_LOG_TOPIC"], ["ESTELA_ENABLED?", "ESTELA_LOGS_TOPIC?"]),
        (["ESTELA_", "ESTELA_FOO"], ["ESTELA_ has no effect: no", "ESTELA_FOO has no effect: no setting"]),
        (["ESTELA_HOST"], ["ESTELA_HOST has no effect: no setting is called that"]),
        (["ESTLEA_ITEMS_TOPIC"], ["ESTLEA_ITEMS_TOPIC has no effect; did you mean ESTELA_ITEMS_TOPIC?"]),
        (["ESTELA_COLECTION"], ["did you mean ESTELA_COLLECTION?"]),
        (["ESTELAR_THINGS", "MY_ESTELA_TOPIC", "LANG", "QUEUE_LENGTH"], []),
        (["ESTELA_SPIDER_JOB", "ESTELA_SPIDER_NAME", "ESTELA_API_HOST", "ESTELA_AUTH_TOKEN"], []),
        (["ESTELA_COLLECTION", "ESTELA_UNIQUE_COLLECTION", "ESTELA_SPIDER_ARGS", "ESTELA_PROXY_URL"], []),
        (["ESTELA_CHUNK_COUNT", "ESTELA_DRAIN", "ESTELA_ITEMS_TOPIC", "ESTELA_ENABLED"], []),
    ],
)
def test_a_name_that_nobody_reads_is_told_with_the_nearest_and_never_one_of_others(
    names: list[str], told: list[str]
) -> None:
    given = dict.fromkeys(names, "1")

    for found in (
        ExtensionSettings.misspelt(BaseSettings(given), {}),
        ExtensionSettings.misspelt(BaseSettings(), given),
        ExtensionSettings.misspelt(BaseSettings(given), given),
    ):
        assert len(found) == len(told)
        assert all(part in line for part, line in zip(told, found, strict=True))


def test_a_setting_of_scrapys_that_is_almost_the_queues_is_told() -> None:
    settings = Settings({"QUEUE_PLATFROM": "kafka", "QUEUE_PLATFORM_PATH": "q.db"})

    assert ExtensionSettings.misspelt(settings, {}) == [
        "QUEUE_PLATFROM has no effect; did you mean QUEUE_PLATFORM?"
    ]


@pytest.mark.parametrize(
    ("job", "settings", "told"),
    [
        (JOB, {"ESTELA_DATASET": "{spider}"}, "items and request records would share the collection"),
        (JOB, {"ESTELA_REQUESTS_TOPIC": "items_topic", "ESTELA_LAYOUT": "job"},
         "share the collection shop/books-1-items_topic"),
        (JOB, {"ESTELA_LOGS_TOPIC": "items_topic", "ESTELA_LAYOUT": "job"}, "items and log lines would"),
        (JOB, {"ESTELA_STATS_TOPIC": "job_stats", "ESTELA_DATASET": "job_stats", "ESTELA_REQUESTS_TOPIC": ""},
         "items and stats would share the collection shop/job_stats"),
        (JOB, {"ESTELA_JOBS_TOPIC": "requests_topic"}, "is the topic of another stream"),
        (JOB, {"ESTELA_DATABASE": "{project}.db"}, "the database name 'shop.db' contains '.'"),
        (JOB, {"ESTELA_DATABASE": "local"}, "the database local belongs to the server"),
        (JOB, {"ESTELA_DATASET": "system.{topic}"}, "is not a user's"),
        (Job("1", "s", "p" * 64), {}, "is over 63 bytes"),
        (Job("1", "s" * 250, "p"), {}, "is over 255 bytes"),
        (Job("1", "s", "admin"), {}, "the database admin belongs to the server"),
    ],
)  # fmt: skip
def test_names_that_the_consumer_could_not_store_by_are_refused(
    job: Job, settings: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**settings).targets(job).check()

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("job", "settings"),
    [
        (JOB, {}),
        (JOB, {"ESTELA_DATASET": "{spider}", "ESTELA_REQUESTS_TOPIC": ""}),
        (JOB, {"ESTELA_DATASET": "{topic}", "ESTELA_JOBS_TOPIC": ""}),
        (Job("1", "s", "p", items_jid="scj3.s.p"), {"ESTELA_REQUESTS_TOPIC": "items_topic"}),
        (Job("1", "s", "admin"), {"ESTELA_DATABASE": "shop"}),
        (JOB, {f"ESTELA_{name}_TOPIC": "" for name in ("ITEMS", "REQUESTS", "STATS", "LOGS", "JOBS")}),
    ],
)
def test_names_that_keep_streams_apart_are_not(job: Job, settings: dict[str, str]) -> None:
    read(**settings).targets(job).check()


def test_the_add_on_leaves_the_last_word_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTELA_STATS_TOPIC", "my_stats")
    monkeypatch.setenv("ESTELA_LOGS_TOPIC", "")

    settings = Settings()
    Addon().update_settings(settings)

    found = ExtensionSettings.from_scrapy(settings)
    assert (found.stats_topic, found.logs_topic) == ("my_stats", "")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/", "is a directory"),
        ("/dev/null/outbox.db", "/dev/null is not a directory"),
        ("~nobody-of-that-name/outbox.db", "names no file"),
        ("a\0b", "names no file"),
        ("x" * 300, "names no file"),
    ],
)
def test_a_path_that_no_outbox_can_have_is_refused(path: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ESTELA_OUTBOX_PATH.*{told}"):
        read(ESTELA_OUTBOX_PATH=path)


_HOSTILE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)


@example({"ESTELA_DATASET": "\n"})
@given(st.dictionaries(st.sampled_from(sorted(ExtensionSettings.variables())), _HOSTILE, max_size=3))
def test_whatever_a_setting_holds_it_is_read_or_refused_in_one_line(settings: dict[str, Any]) -> None:
    told = refusal(settings)

    assert "\n" not in told
    assert not told or any(name in told for name in settings)


def refusal(settings: dict[str, Any]) -> str:
    """Why they are refused; empty if they are not."""
    try:
        read(**settings).targets(JOB).check()
    except ConfigurationError as error:
        return str(error)
    return ""
