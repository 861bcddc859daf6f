"""A Scrapy that is too old, or that something is too new for, is told in one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import scrapy

from tests.scrapy_side.foreign import ADDON, EXTENSION, installed, start_project

pytestmark = pytest.mark.processes

TOO_OLD = scrapy.version_info < (2, 11)


@pytest.mark.skipif(not TOO_OLD, reason="scripts/test-scrapy-versions has one that is")
@pytest.mark.parametrize("line", [EXTENSION, ADDON], ids=["extension", "add-on"])
def test_a_crawl_on_a_scrapy_that_is_too_old_is_refused(workdir: Path, line: str) -> None:
    project = start_project(workdir, line)

    done = installed(project, "scrapy", "crawl", "things")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "item_scraped_count" not in done.stderr
    [told] = [text for text in done.stderr.splitlines() if text.startswith("estela-scrapy needs Scrapy ")]
    assert f"Scrapy {scrapy.__version__} is installed" in told
    assert 'pip install "scrapy>=2.11"' in told


def with_version(number: str, program: str) -> subprocess.CompletedProcess[str]:
    """A program that finds this version of Scrapy."""
    pretended = f"import scrapy; scrapy.__version__ = {number!r}; "
    pretended += f"scrapy.version_info = {tuple(map(int, number.split('.')))}; "
    return subprocess.run(
        [sys.executable, "-c", pretended + program], capture_output=True, text=True, timeout=60, check=False
    )


def test_an_import_beside_a_scrapy_that_is_too_old_ends_with_1_and_one_line() -> None:
    done = with_version("2.10.1", "import estela_scrapy")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "estela-scrapy needs Scrapy 2.11 or later, and Scrapy 2.10.1 is installed: nothing is crawled. "
        'To upgrade it: pip install "scrapy>=2.11"\n'
    )


@pytest.mark.skipif(TOO_OLD, reason="it cannot be imported")
def test_a_twisted_that_is_too_new_for_this_scrapy_is_told_with_what_to_install() -> None:
    from estela_scrapy import compat

    program = "from estela_scrapy import compat; print(compat.twisted_too_new(), end='')"
    old, new = with_version("2.13.0", program).stdout, with_version("2.16.0", program).stdout

    too_new = tuple(map(int, version("twisted").split(".")[:2])) > (25, 5)
    told = f"Scrapy 2.13.0 cannot run with Twisted {version('twisted')}. Install an older one: "
    assert old.startswith(told) if too_new else old == ""
    assert new == ""
    assert (compat.twisted_too_new() == "") or scrapy.version_info < (2, 16)
