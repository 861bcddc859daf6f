"""A newer CPython than this machine has, out of a Maven artefact; `scripts/test-matrix --fetch` calls it."""

from __future__ import annotations

import platform
import shutil
import sys
import zipfile
from pathlib import Path

VERSION = "3.14"
ARTIFACT = ("org.bytedeco", "cpython", "3.14.3-1.5.13")
_CLASSIFIERS = {("Linux", "x86_64"): "linux-x86_64", ("Linux", "aarch64"): "linux-arm64"}


def fetch(folder: Path) -> Path:
    """The interpreter, unpacked into `folder` if it is not there yet; a few seconds the first time.

    Raises LookupError if there is none for this machine, and what jgo raises if it cannot be fetched.
    """
    binary = folder / "bin" / f"python{VERSION}"
    if not binary.exists():
        unpacked = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(unpacked, ignore_errors=True)
        _unpack(_jar(), unpacked)
        for file in (unpacked / "bin").iterdir():
            file.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)
    return binary


def _jar() -> Path:
    from jgo.maven import MavenContext

    machine = platform.system(), platform.machine()
    if machine not in _CLASSIFIERS:
        raise LookupError(f"no CPython {VERSION} can be fetched for {' '.join(machine)}")
    group, name, version = ARTIFACT
    component = MavenContext().project(group, name).at_version(version)
    return Path(str(component.artifact(classifier=_CLASSIFIERS[machine]).resolve()))


def _unpack(jar: Path, folder: Path) -> None:
    """The installation that the jar holds somewhere within, with `bin` and `lib` at the top."""
    with zipfile.ZipFile(jar) as archive:
        names = archive.namelist()
        [binary] = [name for name in names if name.endswith(f"/bin/python{VERSION}")]
        root = binary.removesuffix(f"bin/python{VERSION}")
        archive.extractall(folder, [name for name in names if name.startswith(root)])
    for each in (folder / root).iterdir():
        each.rename(folder / each.name)


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1])))  # noqa: T201
