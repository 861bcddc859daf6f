"""What Windows and macOS do not have, taken away here: the embedded queue and store work without it.

This is a double for what cannot be had on this system. docs/compatibility.md says what was tried.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALLED = sorted(path.parent.name for path in ROOT.glob("*/py.typed"))
MODULES = [
    "crypt", "fcntl", "grp", "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty",
]  # fmt: skip
NAMES = {
    "os": [
        "WNOHANG", "chown", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid",
        "getpgrp", "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "pread", "pwrite",
        "register_at_fork", "sched_getaffinity", "sched_yield", "setsid", "statvfs", "sysconf", "uname",
        "wait",
    ],
    "signal": [
        "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP",
        "SIGUSR1", "SIGUSR2", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer",
        "siginterrupt", "sigpending", "sigwait",
    ],
    "select": ["poll", "epoll"],
    "time": ["tzset"],
    "errno": ["EDQUOT"],
}  # fmt: skip
"""What Python does not have on Windows, and other packages do without here."""
ALSO = {"os": ["fchmod", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"], "socket": ["AF_UNIX"]}
"""The same, but packages that we use need it on this system."""

_WITHOUT = """
import importlib, json, sys
modules, names, program = json.loads(sys.argv.pop(1))
# What is not ours brings its own ways of other systems; here it is imported as on this one.
import asyncio, multiprocessing, subprocess, tempfile, uuid
import bson, click, filelock, itemadapter, kafka, kafka.cli, lz4.frame, msgspec, orjson, pymongo, rich.logging
import rich.progress, scrapy.cmdline, snappy, sqlite3, twisted.internet.asyncioreactor, zstandard
from scrapy.crawler import CrawlerProcess
from scrapy.settings import default_settings
from scrapy.utils.misc import load_object
from scrapy.utils.project import get_project_settings
for extension in default_settings.EXTENSIONS_BASE:
    load_object(extension)
for module in modules:
    sys.modules[module] = None
for module, absent in names.items():
    for name in absent:
        vars(importlib.import_module(module)).pop(name, None)
import os
if hasattr(os, "process_cpu_count"):  # from Python 3.13 on, made for what the system has as it is imported
    os.process_cpu_count = os.cpu_count
exec(program)
"""


def without_posix(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    given = json.dumps([MODULES, NAMES, program])
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, given, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def commands() -> dict[str, str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    return {name.strip(): entry.strip() for name, _, entry in (line.partition("=") for line in lines)}


def call(entry: str) -> str:
    module, _, function = entry.partition(":")
    return f"from {module} import {function}; {function}()"


@pytest.mark.processes
def test_messages_travel_from_the_embedded_queue_into_the_embedded_store(workdir: Path) -> None:
    publish = """
from estela_queue_adapter import open_platform
with open_platform(platform="embedded").producer() as producer:
    for number in range(3):
        producer.send("job_items", {"jid": "1.s.p", "payload": {"n": number}, "unique": "False"})
    producer.flush()
"""
    done = without_posix(publish, folder=workdir)
    assert done.returncode == 0, done.stderr

    done = without_posix(call(commands()["estela-consume"]), "job_items", "--drain", "--json", folder=workdir)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["topics"]["job_items"]["stored"] == 3


@pytest.mark.processes
def test_a_crawl_publishes_into_the_embedded_queue(workdir: Path) -> None:
    crawl = """
import scrapy
from scrapy.crawler import CrawlerProcess

class Spider(scrapy.Spider):
    name = "s"
    start_urls = ["data:,"]
    def parse(self, response):
        for number in range(3):
            yield {"n": number}

process = CrawlerProcess({
    "EXTENSIONS": {"estela_scrapy.QueueExtension": 0}, "ESTELA_ITEMS_TOPIC": "job_items",
    "LOG_LEVEL": "WARNING", "TELNETCONSOLE_ENABLED": False,
})
process.crawl(Spider)
process.start(install_signal_handlers=False)
assert not process.bootstrap_failed
"""
    done = without_posix(crawl, folder=workdir)
    assert done.returncode == 0, done.stderr

    done = without_posix(call(commands()["estela-consume"]), "job_items", "--drain", "--json", folder=workdir)

    assert json.loads(done.stdout)["topics"]["job_items"]["stored"] == 3


@pytest.mark.processes
@pytest.mark.parametrize("name", sorted(commands()))
def test_each_command_can_be_asked_for_help(name: str, workdir: Path) -> None:
    done = without_posix(call(commands()[name]), "--help", folder=workdir)

    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    "path",
    sorted(path for package in INSTALLED for path in (ROOT / package).rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_other_systems_lack_is_asked_for_before_it_is_used(path: Path) -> None:
    """Whatever is not there is guarded where it is used: by `hasattr`, or by an error that is awaited."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & set(MODULES)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            absent = NAMES.get(node.value.id, []) + ALSO.get(node.value.id, [])
            guarded = (
                f'hasattr({node.value.id}, "{node.attr}")' in source or "except (AttributeError" in source
            )
            assert node.attr not in absent or guarded, f"line {node.lineno}: {node.value.id}.{node.attr}"
