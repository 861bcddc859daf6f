"""Programs of Debian's packages: those of this machine, else fetched by apt and unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock


def program(name: str, package: str) -> Path:
    """The program of that name, of the PATH or of the package; some seconds and 20 MB the first time.

    Needs no root unless apt does not know its packages yet. Raises FileNotFoundError if it cannot be had.
    """
    if found := shutil.which(name):
        return Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "estela-devservers"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / package
    with FileLock(cache / "lock"):  # several test processes want it at once
        if not folder.is_dir():
            _fetch(package, folder)
    for place in ("usr/bin", "usr/sbin", "bin"):
        if (binary := folder / place / name).is_file():
            return binary
    raise FileNotFoundError(f"Debian's package {package} has no program {name}")


def _fetch(package: str, folder: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise FileNotFoundError(f"this is no Debian, whose package {package} is wanted; install it by hand")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        downloaded = _apt("download", package, cwd=work)
        if downloaded.returncode:
            _apt("update", cwd=work)  # a machine that was just made knows no packages
            downloaded = _apt("download", package, cwd=work)
        archives = list(Path(work).glob("*.deb"))
        if downloaded.returncode or not archives:
            raise FileNotFoundError(f"apt-get download {package}: {downloaded.stderr[-300:]}")
        unpacked = Path(work) / "unpacked"
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), str(unpacked)], check=True, capture_output=True)
        unpacked.rename(folder)


def _apt(*arguments: str, cwd: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["apt-get", "-q", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)
