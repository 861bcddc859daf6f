"""Ours run with a read-only root and without any right, as the manifests have it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from devservers.ports import free_port, wait_until
from tests.consumer.commands import command, envelope, publish
from tests.consumer.monitoring.watched import get
from tests.deploy.prometheus_rule import ROOT
from tests.scrapy_side.crawls import EXTENSION, SPIDER, site

pytestmark = [pytest.mark.processes]

# In a mount namespace of its own: each file system is read-only, but for one folder, and all rights are gone.
LOCKED = """
set -e
writable=$1; shift
mount --make-rprivate /
mount --bind "$writable" "$writable"
cut -d' ' -f2 /proc/self/mounts | sort -u | while read -r place; do
    [ "$place" = "$writable" ] || mount -o remount,bind,ro "$place" 2>/dev/null || true
done
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
TRIED = """
for place in . "$HOME" /tmp; do
    if touch "$place/estela-test" 2>/dev/null; then echo "$place can be written to"; exit 1; fi
done
touch "$0/estela-test" && rm "$0/estela-test"
grep '^Cap.*:.*[1-9a-f]' /proc/self/status && exit 1
exit 0
"""
POD = ROOT / "deploy" / "kubernetes" / "base"


@pytest.fixture
def volume(workdir: Path) -> Path:
    """The one folder that can be written to."""
    folder = workdir / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def locked(volume: Path) -> list[str]:
    """What comes before a command, so that it runs as in a pod."""
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs unshare and setpriv of util-linux")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    prefix = ["unshare", *user, "--mount", "sh", "-c", LOCKED, "locked", str(volume)]
    done = subprocess.run(
        [*prefix, "sh", "-c", TRIED, volume], capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        pytest.skip(f"no read-only mount namespace can be had here: {(done.stdout + done.stderr).strip()}")
    return prefix


@pytest.fixture
def environ(kafka: str, mongodb: str, unique: str, volume: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "QUEUE_PLATFORM": "kafka",
        "QUEUE_PLATFORM_LISTENERS": kafka,
        "DB_CONNECTION": mongodb,
        "ESTELA_ITEMS_TOPIC": unique,
        "ESTELA_REQUESTS_TOPIC": "",
        "ESTELA_JOBS_TOPIC": f"{unique}_jobs",
        "ESTELA_OUTBOX": "always",
        "ESTELA_OUTBOX_PATH": str(volume / "outbox.db"),
        "ESTELA_DATABASE": unique,
        "XDG_STATE_HOME": str(volume),  # Scrapy's own file, which the manifest has in /tmp
    }


def test_a_crawl_its_outbox_and_a_consumer_need_no_folder_but_the_outboxs(
    locked: list[str], environ: dict[str, str], unique: str, workdir: Path, volume: Path
) -> None:
    """The crawl finds no Kafka; what sends the outbox is run as the manifest has it, before and after."""
    (workdir / "spider.py").write_text(textwrap.dedent(SPIDER))
    send = container("send-outbox.yaml")
    sending = [*locked, *send["command"], *send["args"]]

    nothing = ran(sending, environ)
    with site() as base:
        options = [f"base={base}", "-s", f"EXTENSIONS={EXTENSION}", "-s", "ESTELA_CLOSE_TIMEOUT=1"]
        crawled = ran(
            [*locked, "scrapy", "runspider", "spider.py", "-a", *options],
            {**environ, "QUEUE_PLATFORM_LISTENERS": f"127.0.0.1:{free_port()}"},
        )
    sent = ran(sending, environ)
    consumed = ran([*locked, *command("estela-consume"), unique, "--drain", "--json"], environ)

    assert nothing.returncode == 0, nothing.stderr
    assert crawled.returncode == 0, crawled.stderr
    assert "estela/items/published" in crawled.stderr
    assert sent.returncode == 0, sent.stderr
    assert consumed.returncode == 0, consumed.stderr
    assert json.loads(consumed.stdout)["topics"][unique]["stored"] == 3
    for one in (nothing, crawled, sent, consumed):
        assert "Read-only file system" not in one.stderr
    assert {path.name for path in volume.iterdir()} >= {"outbox.db"}


def test_a_consumer_with_its_server_needs_no_folder_at_all(
    locked: list[str], environ: dict[str, str], unique: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QUEUE_PLATFORM", "QUEUE_PLATFORM_LISTENERS"):
        monkeypatch.setenv(name, environ[name])
    publish(unique, [envelope({"n": n}, jid=f"1.s.{unique}") for n in range(3)])
    at = f"127.0.0.1:{free_port()}"

    with (workdir / "log").open("w") as log:
        process = subprocess.Popen(
            [*locked, *command("estela-consume"), unique],
            env={**environ, "ESTELA_LISTEN": at, "ESTELA_LOG_FORMAT": "json"},
            stderr=log,
        )
    try:
        wait_until(lambda: stored(at) == 3.0, "what was published to be stored")
        assert get(at, "/readyz")[0] == get(at, "/livez")[0] == 200
        process.terminate()
        assert process.wait(45) == 0
    finally:
        process.kill()
        process.wait()
    assert "Read-only file system" not in (workdir / "log").read_text()


def stored(at: str) -> float:
    try:
        text = get(at, "/metrics")[1]
    except OSError:
        return 0.0
    [value] = re.findall(
        r'^estela_consumer_messages_done_total\{outcome="stored",.*\} (\S+)$', text, re.MULTILINE
    )
    return float(value)


def container(name: str) -> dict[str, Any]:
    job = yaml.safe_load((POD / name).read_text())["spec"]["jobTemplate"]
    [found] = job["spec"]["template"]["spec"]["containers"]
    return dict(found)


def ran(command_line: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command_line, env=environ, capture_output=True, text=True, timeout=120, check=False)
