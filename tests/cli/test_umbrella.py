"""`estela-scrapy`: the same commands under one name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from estela_queue_adapter import __version__
from estela_scrapy.cli.outbox import outbox as outbox_command
from tests.cli.projects import make_project, run

pytestmark = pytest.mark.processes

WITHOUT_SCRAPY = """
import sys

sys.modules["scrapy"] = sys.modules["itemadapter"] = None
from estela_cli.main import main, outbox
"""


def test_it_shows_its_version_and_each_command_that_has_a_script_of_its_own(tmp_path: Path) -> None:
    version, told = run(tmp_path, "estela-scrapy", "--version"), run(tmp_path, "estela-scrapy", "--help")

    assert version.stdout == f"estela-scrapy {__version__}\n"
    scripts = {
        script.name for script in entry_points(group="console_scripts") if script.name.startswith("estela-")
    }
    for script in scripts - {"estela-scrapy"}:
        assert f"\n  {script.removeprefix('estela-')} " in told.stdout


@pytest.mark.parametrize("name", ["demo", "doctor", "consume", "verify", "queue"])
def test_each_command_has_its_version_under_both_names(tmp_path: Path, name: str) -> None:
    called: list[tuple[str, ...]] = [("estela-scrapy", name)]
    if name not in ("demo", "doctor"):
        called.append((f"estela-{name}",))

    for words in called:
        told = run(tmp_path, words[0], *words[1:], "--version")

        assert (told.returncode, told.stdout) == (0, f"{' '.join(words)} {__version__}\n"), told.stderr


@pytest.mark.parametrize("name", ["data", "dead-letters", "outbox"])
def test_each_group_of_commands_has_its_version(name: str) -> None:
    [script] = entry_points(group="console_scripts", name=f"estela-{name}")
    command = script.load().__globals__[name.replace("-", "_")] if name != "outbox" else outbox_command

    assert "--version" in [option for each in command.params for option in each.opts]


@pytest.mark.parametrize(
    ("script", "words", "offered"),
    [
        ("estela-queue", ["re"], {"reset"}),
        ("estela-scrapy", ["d"], {"demo", "doctor", "data", "dead-letters"}),
        ("estela-consume", ["--reten"], {"--retention"}),
        ("estela-dead-letters", ["discard", "--be"], {"--because"}),
    ],
)
def test_bash_completes_as_the_documents_say(
    tmp_path: Path, script: str, words: list[str], offered: set[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    [line] = re.findall(r"^eval .*bash_source estela-scrapy\)\"", page, re.MULTILINE)
    line = line.replace("ESTELA_SCRAPY", script.upper().replace("-", "_")).replace("estela-scrapy", script)
    function = f"_{script.replace('-', '_')}_completion"
    program = (
        f"{line}\nCOMP_WORDS=({script} {' '.join(words)}); COMP_CWORD={len(words)}; "
        f"{function} {script}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )

    done = subprocess.run(
        ["bash", "-c", program],
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (("consume", "--chunk-count", "x"), "Usage: estela-scrapy consume [OPTIONS] [TOPIC]..."),
        (("data", "show"), "Usage: estela-scrapy data show [OPTIONS] DATABASE/COLLECTION"),
        (("outbox", "send"), "Usage: estela-scrapy outbox send [OPTIONS]"),
        (("nonsense",), "Usage: estela-scrapy [OPTIONS] COMMAND [ARGS]..."),
    ],
)
def test_usage_shows_the_name_as_called(tmp_path: Path, arguments: tuple[str, ...], usage: str) -> None:
    done = run(tmp_path, "estela-scrapy", *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith(usage)
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (("estela-data", "list", "--help"), "Usage: estela-data list [OPTIONS]"),
        (("estela-scrapy", "data", "show", "-h"), "Usage: estela-scrapy data show [OPTIONS]"),
        (
            ("estela-scrapy", "data", "--env-file", "none", "show", "-n", "3", "-h"),
            "Usage: estela-scrapy data",
        ),
        (("estela-dead-letters", "replay", "--help"), "Usage: estela-dead-letters replay [OPTIONS]"),
        (("estela-outbox", "send", "--help"), "Usage: estela-outbox send [OPTIONS]"),
        (("estela-scrapy", "outbox", "list", "--help"), "Usage: estela-scrapy outbox list [OPTIONS]"),
    ],
)
def test_help_is_shown_whatever_is_wrong_with_the_settings(
    tmp_path: Path, arguments: tuple[str, ...], usage: str
) -> None:
    project = make_project(tmp_path / "p", "market", "raise RuntimeError('no')")

    done = run(project, *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(usage)


def test_what_follows_two_dashes_is_no_question_for_help(tmp_path: Path) -> None:
    done = run(tmp_path, "estela-scrapy", "data", "show", "--", "--help")

    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(("mechanism", "package"), [("AWS_MSK_IAM", "botocore"), ("GSSAPI", "gssapi")])
def test_an_extra_that_is_missing_is_one_line_of_every_command_that_needs_it(
    tmp_path: Path, mechanism: str, package: str
) -> None:
    """Given that none of them is among the packages of the tests."""
    settings = {
        "QUEUE_PLATFORM": "kafka", "QUEUE_PLATFORM_LISTENERS": "127.0.0.1:1",
        "QUEUE_PLATFORM_SECURITY_PROTOCOL": "SASL_SSL", "QUEUE_PLATFORM_SASL_MECHANISM": mechanism,
    }  # fmt: skip
    for arguments, code in (
        ("consume topic --drain", 2), ("verify job", 2), ("dead-letters list topic", 2), ("doctor", 15),
    ):  # fmt: skip
        done = run(tmp_path, "estela-scrapy", *arguments.split(), COLUMNS="200", **settings)

        assert done.returncode == code, done.stderr
        told = [line for line in (done.stdout + done.stderr).splitlines() if f"pip install {package}" in line]
        assert len(told) == 1
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("consume", "topic"), ("data", "list"), ("doctor",)])
def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    gone = ["sh", "-c", f'rmdir {folder}; exec "$@"', "sh"]

    done = run(folder, "estela-scrapy", *arguments, powerless=gone)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: the working directory cannot be used: ")
    assert "Traceback" not in done.stderr


def without_scrapy(folder: Path, call: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"{WITHOUT_SCRAPY}\n{call}()", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_without_scrapy_what_crawls_says_what_to_install_and_the_rest_works(workdir: Path) -> None:
    for call, arguments in (("main", ["outbox", "list"]), ("main", ["demo"]), ("outbox", ["list"])):
        refused = without_scrapy(workdir, call, *arguments)

        assert refused.returncode == 2, refused.stderr
        [line] = [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]
        assert "`pip install estela-scrapy`" in line
        assert "Traceback" not in refused.stderr
    listed = without_scrapy(workdir, "main", "data", "list")
    examined = without_scrapy(workdir, "main", "doctor")
    assert listed.returncode == 0, listed.stderr
    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert "estela-scrapy consume TOPIC --drain" in examined.stdout
    assert "demo" not in examined.stdout
    assert "Scrapy (not installed)" in examined.stdout or "that needs Scrapy" in examined.stdout
