"""Scrapy's own commands show something; they publish only if they are told to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.scrapy_side.crawls import site
from tests.scrapy_side.projects import make_project, scrapy

pytestmark = pytest.mark.processes

PAGE = "the page"  # of the local site, which has a port only when it runs
COMMANDS = {
    "check": ["check"],
    "fetch": ["fetch", PAGE],
    "parse": ["parse", "--spider", "shop", "-a", "x=1", PAGE],
    "bench": ["bench", "-s", "CLOSESPIDER_TIMEOUT=1"],
    "shell": ["shell", PAGE, "-c", "response.status"],
}
TOLD = {
    "crawl": (["crawl", "shop"], {}),
    "fetch -s": (["fetch", PAGE, "-s", "ESTELA_ENABLED=yes"], {}),
    "check by the environment": (["check"], {"ESTELA_ENABLED": "on"}),
}
_AT_ONCE = 3


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[CompletedProcess[str]]]]:
    """Each command in a project of its own, where ESTELA_ENABLED is True as in any."""
    runs = {**{name: (arguments, {}) for name, arguments in COMMANDS.items()}, **TOLD}
    with site() as url, ThreadPoolExecutor(_AT_ONCE) as pool:
        page = f"{url}/page"
        yield {
            name: pool.submit(
                run,
                tmp_path_factory.mktemp("project"),
                [page if part == PAGE else part for part in arguments],
                environ,
            )
            for name, (arguments, environ) in runs.items()
        }


def run(folder: Path, arguments: list[str], environ: dict[str, str]) -> CompletedProcess[str]:
    make_project(folder, "ESTELA_ENABLED = True\n")
    done = scrapy(folder, *arguments, environ=environ)
    return CompletedProcess(str(folder), done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_shows_something_publishes_nothing(
    ran: dict[str, Future[CompletedProcess[str]]], command: str
) -> None:
    done = ran[command].result()

    assert done.returncode == 0, done.stderr
    assert "Publishing job" not in done.stderr
    assert not (Path(done.args) / ".estela").exists()


@pytest.mark.parametrize("command", TOLD)
def test_a_crawl_does_and_so_does_a_command_that_is_told_to(
    ran: dict[str, Future[CompletedProcess[str]]], command: str
) -> None:
    done = ran[command].result()

    assert done.returncode == 0, done.stderr
    assert (Path(done.args) / ".estela" / "queue.db").exists()
