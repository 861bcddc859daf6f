"""Headless Chromium, and what it shows of a page."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

_TIMEOUT = 120.0  # seconds
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-extensions", "--disable-dev-shm-usage", "--virtual-time-budget=1000",
)  # fmt: skip


def chromium() -> str | None:
    """Where it is; None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def screenshot(url: str, to: Path, *, width: int = 1_180, height: int = 1_100, dark: bool = False) -> None:
    """A picture of the page as a browser of that width draws it."""
    flags = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    run(url, f"--screenshot={to}", f"--window-size={width},{height}", *flags)


def dom(url: str) -> str:
    """The page's document once the browser has done with it all that it would do."""
    return run(url, "--dump-dom")


def run(url: str, *flags: str) -> str:
    """Start a browser of its own for this one page. Returns its standard output."""
    program = chromium()
    assert program is not None
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [program, *_FLAGS, f"--user-data-dir={profile}", *flags, url],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
    return done.stdout
