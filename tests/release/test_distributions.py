"""The two distributions are made of one setup.cfg, and the second works where there is no Scrapy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.checkout import files_of
from release.consumer import derived, write_tree
from release.contents import difference, sdist_files, wheel_files
from release.metadata import invented_addresses, metadata_of, relative_links
from release.project import ROOT, Project, distribution_of, lines, package_of
from tests.consumer.commands import publish

PROJECT = Project.read()


def test_the_consumer_is_all_but_what_setup_cfg_names() -> None:
    whole, part = PROJECT, Project(ROOT, derived(PROJECT))

    assert set(whole.packages()) - set(part.packages()) == {"estela_scrapy", "estela_demo"}
    assert set(whole.requirements()) > set(part.requirements())
    left_out = {distribution_of(one) for one in set(whole.requirements()) - set(part.requirements())}
    assert left_out == {"scrapy", "twisted", "itemadapter"}
    assert {package_of(point) for points in part.entry_points().values() for point in points} <= set(
        part.packages()
    )
    left_out = {
        point.partition(" ")[0]
        for group, points in whole.entry_points().items()
        for point in set(points) - set(part.entry_points()[group])
    }
    assert left_out == {"estela-outbox"}
    assert part.version == whole.version
    assert part.config["options"]["python_requires"] == whole.config["options"]["python_requires"]


@pytest.mark.parametrize("key", ["packages", "commands", "requirements", "extras", "classifiers", "keywords"])
def test_what_is_left_out_must_be_there(key: str) -> None:
    project = Project.read()
    project.config["estela:consumer"][f"without_{key}"] += "\nnothing-of-the-kind"

    with pytest.raises(ValueError, match="leaves out nothing-of-the-kind, which is not there"):
        derived(project)


def with_url(url: str) -> Project:
    project = Project.read()
    project.config["estela:project"]["url"] = url
    return project


def test_each_address_is_made_of_the_one_setting(tmp_path: Path) -> None:
    project = with_url("https://forge.example/o/p/")

    part = write_tree(tmp_path / "consumer", project)

    assert project.urls()["Homepage"] == "https://forge.example/o/p"
    assert all(url.startswith("https://forge.example/o/p") for url in project.urls().values())
    assert lines(part.config["metadata"]["project_urls"]) == [f"{k} = {v}" for k, v in project.urls().items()]
    assert "https://forge.example/o/p/blob/" in (part.root / "README.md").read_text()
    assert with_url("").urls() == {}


@pytest.mark.parametrize(
    "url", ["forge.example/o/p", "http://forge.example/o/p", "https://forge.example", "soon"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no address like https://host/owner/name"):
        with_url(url).urls()


def test_no_document_names_a_repository_that_is_not_there(tmp_path: Path) -> None:
    assert invented_addresses(PROJECT) == []

    (tmp_path / "docs").mkdir()
    (tmp_path / "setup.cfg").write_text("[estela:project]\nurl =\n")
    (tmp_path / "README.md").write_text(
        "https://github.com/somebody/estela-scrapy and https://x.readthedocs.io/en/"
    )
    assert invented_addresses(Project.read(tmp_path)) == [
        "README.md: https://github.com/somebody/estela-scrapy",
        "README.md: https://x.readthedocs.io/en/",
    ]


def test_a_folder_that_has_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    done = subprocess.run(
        [sys.executable, "-m", "release.consumer", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == f"Error: {tmp_path} is not empty\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of both, by their names up to the version; built with the setuptools of this environment."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    source.mkdir()
    for path in files_of(ROOT):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes((ROOT / path).read_bytes())
    write_tree(folder / "consumer", Project.read(source))
    for place in (source, folder / "consumer"):
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "out", place],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
    return {
        f"{path.name.partition('-')[0]}{'.whl' if path.suffix == '.whl' else ''}": path
        for path in (folder / "out").iterdir()
    }


@pytest.mark.processes
@pytest.mark.parametrize("name", ["estela_scrapy", "estela_consumer"])
def test_its_files_pass_twine_and_carry_the_version(built: dict[str, Path], name: str) -> None:
    wheel, sdist = built[f"{name}.whl"], built[name]

    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel, sdist],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert sdist.name == f"{name}-{PROJECT.version}.tar.gz"
    metadata = metadata_of(wheel)
    assert metadata["Version"] == PROJECT.version
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Home-page"] is None
    assert relative_links(str(metadata.get_payload())) == []
    assert bool(metadata.get_all("Project-URL")) == bool(PROJECT.url)


@pytest.mark.processes
def test_the_sdist_has_what_git_knows(built: dict[str, Path]) -> None:
    assert difference(sdist_files(built["estela_scrapy"]), files_of(ROOT)) == ([], [])
    known = files_of(ROOT)
    with tarfile.open(built["estela_scrapy"]) as tar:
        for member in tar:
            name = member.name.partition("/")[2]
            if member.isfile() and name in known:
                file = tar.extractfile(member)
                assert file is not None
                assert file.read() == (ROOT / name).read_bytes(), name
    left_out = ("estela_scrapy/", "estela_demo/")
    assert wheel_files(built["estela_consumer.whl"]) == {
        name for name in wheel_files(built["estela_scrapy.whl"]) if not name.startswith(left_out)
    }


def needed_by(requirements: list[str]) -> Iterator[str]:
    """The distributions that these need, and those need, of what is installed here."""
    waiting, seen = [(Requirement(one), "") for one in requirements], set()
    while waiting:
        required, extra = waiting.pop()
        if required.marker is not None and not required.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(required.name)
        for wanted in {"", *required.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(one), wanted) for one in distribution(name).requires or []]
    yield from sorted({name for name, _ in seen})


class Lean:
    """An environment with what estela-consumer needs, linked from this one, and the wheel that was built."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False, symlinks=True)
        [self.site] = folder.glob("lib/python*/site-packages")
        for name in needed_by(Project(ROOT, derived(PROJECT)).requirements()):
            self._link(name)
        self.install(wheel)

    def install(self, wheel: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.folder), "install", "--quiet"]
        options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
        subprocess.run([*pip, *options, str(wheel)], check=True, timeout=300)

    def _link(self, name: str) -> None:
        here = distribution(name)
        for top in {file.parts[0] for file in here.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            if not (self.site / top).exists():
                (self.site / top).symlink_to(Path(str(here.locate_file(top))))

    def run(self, name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            [self.folder / "bin" / name, *arguments],
            cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def lean(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Lean:
    return Lean(tmp_path_factory.mktemp("lean") / "venv", built["estela_consumer.whl"])


@pytest.mark.processes
@pytest.mark.usefixtures("workdir")
def test_each_command_of_the_consumer_works_where_there_is_no_scrapy(lean: Lean, tmp_path: Path) -> None:
    here = Path.cwd()
    publish("items", [{"jid": "1.s.p", "payload": {"n": n}, "unique": "False"} for n in range(3)])
    publish("items", [b"not JSON"])

    drain = lean.run("estela-consume", "items", "--drain", "--json", cwd=here)
    shown = lean.run("estela-data", "list", cwd=here)
    letters = lean.run("estela-dead-letters", "list", "items", cwd=here)
    verify = lean.run("estela-verify", "1.s.p", cwd=here)

    assert drain.returncode == 3, drain.stderr  # DEAD_LETTERS
    assert json.loads(drain.stdout)["topics"]["items"]["stored"] == 3
    assert shown.returncode == 0, shown.stderr
    assert letters.returncode == 0, letters.stderr
    assert verify.returncode == 8, verify.stderr  # NO_CLOSING_RECORD: nobody has crawled
    installed = sorted(path.name for path in (lean.folder / "bin").glob("estela-*"))
    assert installed == [point.partition(" ")[0] for point in sorted(_scripts())]
    for module in ("scrapy", "twisted", "itemadapter", "estela_scrapy"):
        assert lean.run("python", "-c", f"import {module}", cwd=here).returncode == 1


def _scripts() -> list[str]:
    return Project(ROOT, derived(PROJECT)).entry_points()["console_scripts"]


@pytest.mark.processes
@pytest.mark.usefixtures("workdir")
def test_a_command_that_needs_scrapy_says_so_and_the_others_stand_under_the_one_name(lean: Lean) -> None:
    here = Path.cwd()
    (here / "scrapy.cfg").write_text("[settings]\ndefault = library.settings\n")

    for name in ("demo", "outbox"):
        told = lean.run("estela-scrapy", name, cwd=here)
        assert told.returncode == 2
        assert "`pip uninstall estela-consumer`, then `pip install estela-scrapy`" in told.stderr
        assert "Traceback" not in told.stderr
    for name in ("consume", "verify", "data", "dead-letters", "doctor"):
        assert lean.run("estela-scrapy", name, "--help", cwd=here).returncode == 0
    publish("items", [{"jid": "1.s.p", "payload": {"n": 1}, "unique": "False"}])
    drain = lean.run("estela-scrapy", "consume", "items", "--drain", cwd=here)
    assert drain.returncode == 0, drain.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("consume topic --drain", 2),
        ("verify job", 2),
        ("status topic", 2),
        ("dead-letters list topic", 2),
        ("queue topics", 2),
        ("doctor", 15),
    ],
)
def test_each_command_says_how_to_install_librdkafka_where_it_is_not(
    lean: Lean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", "127.0.0.1:1")
    monkeypatch.setenv("QUEUE_PLATFORM_CLIENT", "librdkafka")

    done = lean.run("estela-scrapy", *command.split(), cwd=tmp_path)

    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, told
    assert "QUEUE_PLATFORM_CLIENT=librdkafka needs confluent-kafka, which is not installed" in told
    assert "pip install 'estela-consumer[librdkafka]'" in told
    assert "Traceback" not in told


@pytest.mark.processes
def test_each_module_of_the_consumer_is_imported_where_there_is_no_scrapy(lean: Lean, tmp_path: Path) -> None:
    packages = Project(ROOT, derived(PROJECT)).packages()
    code = (
        "import importlib, pkgutil, sys\n"
        "for name in sys.argv[1:]:\n"
        "    package = importlib.import_module(name)\n"
        "    for module in pkgutil.walk_packages(package.__path__, name + '.'):\n"
        "        if module.name.endswith('.__main__'):\n"
        "            continue\n"
        "        try:\n"
        "            importlib.import_module(module.name)\n"
        "        except ModuleNotFoundError as error:  # an extra, which is not there either\n"
        "            if (error.name, '.librdkafka.' in module.name) != ('confluent_kafka', True):\n"
        "                raise\n"
        "print(len([name for name in sys.modules if name.startswith('estela_')]))\n"
    )

    done = lean.run("python", "-c", code, *packages, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 80


@pytest.mark.processes
def test_both_in_one_environment_is_told_in_a_line(built: dict[str, Path], tmp_path: Path) -> None:
    both = Lean(tmp_path / "venv", built["estela_consumer.whl"])
    both.install(built["estela_scrapy.whl"])

    consume = both.run("estela-consume", "--help", cwd=tmp_path)
    crawl = both.run("python", "-c", "import estela_scrapy", cwd=tmp_path)

    assert consume.returncode == 2
    [line] = consume.stderr.splitlines()
    version = PROJECT.version
    assert line.startswith(
        f"Error: estela-scrapy {version} and estela-consumer {version} are installed together"
    )
    assert (
        "`pip uninstall estela-consumer`, then install estela-scrapy with --force-reinstall --no-deps" in line
    )
    assert crawl.returncode == 1
    assert re.search(r"PackageConflict: estela-scrapy .*`pip uninstall estela-consumer`", crawl.stderr)
