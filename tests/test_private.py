"""What we write is our owner's alone, and secrets that come from files are shown nowhere."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumer.commands import command, publish, run
from tests.scrapy_side.crawls import SPIDER, crawl, site

pytestmark = pytest.mark.processes

SECRET = "Mellon-7"
BITS_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Watch:
    """Looks at the files below a folder all the time, and keeps which of them others could use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = threading.Event()
        self.seen: set[str] = set()
        self.open_to_others: set[str] = set()

    def look(self) -> None:
        """Look at each once."""
        for path in [self._folder, *self._folder.rglob("*")]:
            with contextlib.suppress(FileNotFoundError):  # gone again
                mode = path.lstat().st_mode
                self.seen.add(path.name)
                if mode & BITS_OF_OTHERS:
                    self.open_to_others.add(f"{path} {stat.filemode(mode)}")

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look_on)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            self.look()

    def _look_on(self) -> None:
        while not self._ended.wait(0.002):
            if self._folder.exists():
                with contextlib.suppress(FileNotFoundError):
                    self.look()


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_no_file_of_ours_is_ever_open_to_others_whatever_command_is_run(workdir: Path) -> None:
    watch = Watch(workdir / ".estela")
    with watch(), site() as base:
        done = crawl(SPIDER, "-a", f"base={base}", JOBDIR="jobs/one", ESTELA_OUTBOX="always")
        publish("items_topic", [{"jid": "1.s.p", "payload": "no object"}])
        job = (workdir / "jobs" / "one" / "estela-job-id").read_text().strip()
        results = [
            run("estela-consume", "items_topic", "requests_topic", "--drain"),
            run("estela-verify", job),
            run("estela-data", "list"),
            run("estela-dead-letters", "list", "items_topic"),
            run("estela-dead-letters", "export", "items_topic"),
            run("estela-dead-letters", "replay", "items_topic"),
            run("estela-outbox", "list"),
            run("estela-outbox", "send"),
            run("estela-outbox", "export"),
        ]

    assert done.code == 0, done.log
    # The one dead letter is told by the drain; the same message is one again when it is replayed.
    assert [result.code for result in results] == [3, *[0] * 8], results
    assert {"queue.db", "queue.db-wal", "store.db", "outbox.db"} <= watch.seen
    assert any(name.endswith(".lock") for name in watch.seen)
    assert watch.open_to_others == set()
    kept = workdir / "jobs" / "one" / "estela-job-id"
    assert not kept.stat().st_mode & BITS_OF_OTHERS


def test_a_secret_from_a_file_is_in_no_output_and_in_no_list_of_processes(workdir: Path) -> None:
    (workdir / "password").write_text(f"{SECRET}\n")
    (workdir / "store").write_text(f"mongodb://me:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS=500\n")
    environ = {
        **os.environ,
        "QUEUE_PLATFORM": "kafka",
        "QUEUE_PLATFORM_LISTENERS": "127.0.0.1:1",
        "QUEUE_PLATFORM_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "QUEUE_PLATFORM_SASL_MECHANISM": "PLAIN",
        "QUEUE_PLATFORM_SASL_USERNAME": "me",
        "QUEUE_PLATFORM_SASL_PASSWORD_FILE": str(workdir / "password"),
        "DB_CONNECTION_FILE": str(workdir / "store"),
    }
    commands = [
        ["estela-consume", "t", "--drain", "--max-wait", "1", "--verbose"],
        ["estela-verify", "1.s.p"],
        ["estela-data", "list"],
        ["estela-dead-letters", "list", "t"],
    ]

    running = [
        subprocess.Popen(
            [*command(name), *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, *arguments in commands
    ]
    listed = "".join(Path(f"/proc/{one.pid}/cmdline").read_text() for one in running)
    outputs = [one.communicate(timeout=90)[0] for one in running]

    assert all(one.returncode not in (0, 1) for one in running), outputs
    assert "127.0.0.1:1" in outputs[0]
    assert SECRET not in "".join([listed, *outputs])
