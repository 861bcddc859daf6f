"""Which layer a setting comes from."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_config.configuration import Configuration, Layer, load
from estela_config.names import is_read
from estela_config.scrapy_project import MODULE_VARIABLE, NamedModule, load_project, named_module
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.values import value_of
from estela_queue_adapter.settings import overlaid
from estela_wire.published import PREFIX, published_topics

NAMES = ("QUEUE_PLATFORM_SASL_PASSWORD", "DB_CONNECTION", "ESTELA_RATE")
LAYER = st.dictionaries(
    st.sampled_from([*NAMES, *(f"{name}_FILE" for name in NAMES)]), st.sampled_from(["", "a", "b"])
)


def is_set(layer: dict[str, str], name: str) -> bool:
    return bool(layer.get(name) or layer.get(f"{name}_FILE"))


@given(st.lists(LAYER, min_size=1, max_size=4))
def test_the_first_layer_that_sets_a_name_or_its_file_counts_alone(layers: list[dict[str, str]]) -> None:
    configuration = Configuration(tuple(Layer(str(n), layer) for n, layer in enumerate(layers)))

    for name in NAMES:
        first = next((n for n, layer in enumerate(layers) if is_set(layer, name)), None)
        expected = {} if first is None else layers[first]
        for each in (name, f"{name}_FILE"):
            assert (configuration.environ.get(each) or "") == (expected.get(each) or "")
        assert configuration.origin(name) == ("" if first is None else str(first))


def test_a_file_of_the_lower_layer_does_not_stand_against_a_value_of_the_upper() -> None:
    merged = overlaid({"DB_CONNECTION_FILE": "/run/x"}, {"DB_CONNECTION": "sqlite:///x"})

    assert value_of("DB_CONNECTION", merged) == "sqlite:///x"


class Project:
    """A Scrapy project in the working directory."""

    def __init__(self, folder: Path, settings: str, name: str = "around") -> None:
        package = folder / name
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "settings.py").write_text(settings)
        (folder / "scrapy.cfg").write_text(f"[settings]\ndefault = {name}.settings\nother = nothing.here\n")
        (folder / "below").mkdir()


def loaded(folder: Path, **environ: str) -> Configuration:
    """In a process of its own, as Scrapy changes the one it is imported in; pickled, without the project."""
    program = (
        "import os, pickle, sys; from dataclasses import replace; from estela_config.configuration import *;"
        "found = load(os.environ); sys.stdout.buffer.write(pickle.dumps("
        "(replace(found, project=None), found.project and found.project.module, 'scrapy' in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, check=False,
        env={"PATH": "", "HOME": str(folder), **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    configuration, module, has_scrapy = pickle.loads(done.stdout)
    assert has_scrapy is (module is not None)
    assert isinstance(configuration, Configuration)
    return configuration


@pytest.mark.processes
def test_the_settings_of_the_project_are_found_from_a_folder_within_it(tmp_path: Path) -> None:
    Project(
        tmp_path,
        "print('to nobody')\nQUEUE_PLATFORM_LISTENERS = ['a', 'b']\nQUEUE_PLATFORM_PORT = 9093\n"
        "ESTELA_LOGS_TOPIC = None\nESTELA_STATS_TOPIC = 'stats'\nESTELA_ITEMS_TOPIC = False\n"
        "ESTELA_SERIALIZER = print\nPASSWORD = 'not ours'\nDB_CONNECTION = 'sqlite:///x.db'\n",
    )

    configuration = loaded(tmp_path / "below", DB_CONNECTION="sqlite:///y.db")

    assert configuration.layers[1].values == {
        "QUEUE_PLATFORM_LISTENERS": "a,b",
        "QUEUE_PLATFORM_PORT": "9093",
        "ESTELA_LOGS_TOPIC": "",
        "ESTELA_STATS_TOPIC": "stats",
        "ESTELA_ITEMS_TOPIC": "False",
        "DB_CONNECTION": "sqlite:///x.db",
    }
    assert configuration.environ["DB_CONNECTION"] == "sqlite:///y.db"
    assert configuration.origin("DB_CONNECTION") == "the environment"
    assert configuration.origin("QUEUE_PLATFORM_PORT") == "around.settings"
    assert [tuple(topic) for topic in published_topics(configuration.sources(PREFIX))] == [
        ("requests_topic", "ESTELA_REQUESTS_TOPIC", ""),
        ("stats", "ESTELA_STATS_TOPIC", "around.settings"),
    ]


@pytest.mark.processes
def test_scrapys_own_variables_name_the_project_too(tmp_path: Path) -> None:
    Project(tmp_path, "ESTELA_RATE = 5\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "scrapy.cfg").write_text("[settings]\nmine = around.settings\n")

    by_name = loaded(tmp_path, SCRAPY_PROJECT="mine")
    by_module = loaded(elsewhere, SCRAPY_SETTINGS_MODULE="around.settings", PYTHONPATH=str(tmp_path))
    by_none = loaded(tmp_path)

    assert by_name.environ["ESTELA_RATE"] == by_module.environ["ESTELA_RATE"] == "5"
    assert "ESTELA_RATE" not in by_none.environ


def test_without_a_project_nothing_is_searched_for_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert named_module({"HOME": str(tmp_path)}) is None


def test_without_scrapy_the_project_is_passed_over_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project(tmp_path, "ESTELA_RATE = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("estela_config.configuration.has_scrapy", lambda: False)

    configuration = load({})

    assert configuration.environ == {}
    [note] = configuration.notes
    assert "pip install scrapy" in note.text
    assert "scrapy.cfg" in note.text


@given(st.text(max_size=100))
def test_any_scrapy_cfg_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("project")
    (folder / "scrapy.cfg").write_text(text, errors="surrogateescape")
    told = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        try:
            named_module({"HOME": str(folder)})
        except ConfigurationError as error:
            told = str(error)
    assert "\n" not in told


def test_a_scrapy_cfg_that_cannot_be_opened_is_told_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scrapy.cfg").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match=r"scrapy\.cfg cannot be read: .*irectory"):
        named_module({"HOME": str(tmp_path)})


def test_a_scrapy_that_cannot_be_imported_is_not_the_projects_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scrapy.utils.project", None)

    with pytest.raises(ConfigurationError, match=r"^Scrapy cannot be imported: .*w3lib") as caught:
        load_project(NamedModule("market.settings", "scrapy.cfg"))
    assert "market" not in str(caught.value)


def test_a_module_variable_counts_before_any_file() -> None:
    named = named_module({MODULE_VARIABLE: "x.y"})

    assert named is not None
    assert (named.module, named.named_by) == ("x.y", MODULE_VARIABLE)


def test_every_variable_that_a_command_reads_may_stand_in_a_project() -> None:
    from tests.test_documents import COMMANDS, variables_of

    names = {name for command, _ in COMMANDS.values() for name in variables_of(command)}
    assert len(names) > 12
    assert [name for name in names if not is_read(name)] == []
