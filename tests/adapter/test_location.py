"""Where a relative name of a file counts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from estela_queue_adapter.files.location import located


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, two folders below that of a project."""
    folder = tmp_path / "project" / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "project" / "scrapy.cfg").touch()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", [".estela/queue.db", "./.estela/queue.db", ".estela/deep/er.db"])
def test_the_folder_of_ours_is_beside_the_nearest_scrapy_cfg(below: Path, name: str) -> None:
    assert located(name) == below.parents[1] / name


@pytest.mark.parametrize("name", ["queue.db", ".estela.db", "x/.estela/queue.db", "../.estela/queue.db"])
def test_other_relative_names_count_from_the_working_directory(below: Path, name: str) -> None:
    assert located(name) == below / name


def test_an_absolute_name_is_what_it_is(below: Path) -> None:
    assert located(below / ".estela" / "queue.db") == below / ".estela" / "queue.db"


def test_outside_of_a_project_all_count_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert located(".estela/queue.db") == tmp_path / ".estela" / "queue.db"


def test_a_user_that_nobody_is_names_no_file() -> None:
    with pytest.raises(RuntimeError):
        located("~nobody-of-that-name/queue.db")
