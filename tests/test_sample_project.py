"""The sample project: the shop is what it says, and the demo shows the whole flow and checks itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from estela_consumer.stores import StoreSettings, open_store
from estela_demo.comparison import compare
from estela_demo.shop.catalogue import PAGES, PRODUCTS, on_page, product, repriced
from estela_demo.shop.server import FLAKY, ShopServer
from estela_wire.dataset import Dataset

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
THIRTY_CHANGES = "30 prices changed, each a document in"


@pytest.fixture
def shop() -> Iterator[str]:
    with ShopServer() as served:
        yield served.url


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_catalogue_is_the_same_every_time() -> None:
    assert product(7) == product(7)
    assert sum(len(list(on_page(page))) for page in range(1, PAGES + 1)) == PRODUCTS


def test_thirty_prices_and_nothing_else_change_with_the_day() -> None:
    pairs = [(product(number, 1), product(number, 2)) for number in range(1, PRODUCTS + 1)]

    assert all(replace(one, price=other.price) == other for one, other in pairs)
    assert sum(one.price != other.price for one, other in pairs) == repriced() == 30


def test_the_shop_has_what_real_sites_have(shop: str) -> None:
    assert status(shop) == 200
    assert status(f"{shop}page/{PAGES}") == 200
    assert status(f"{shop}page/{PAGES + 1}") == 404
    assert status(f"{shop}missing") == 404
    assert status(f"{shop}old/50") == 200  # urllib follows the redirect
    assert [status(f"{shop}product/{FLAKY}") for _ in range(2)] == [503, 200]
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"{shop}slow", timeout=0.3)


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The demo, in a folder of its own and in this very environment."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from sample_project.demo import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demo was run, and what it has printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_demo_finds_stored_what_the_spider_scraped(ran: tuple[Path, str]) -> None:
    _, printed = ran

    assert "1,000 items by 1,073 requests" in printed
    assert "complete: all 2,073 messages of job demo.shop.shop are stored" in printed
    assert printed.splitlines()[-1].startswith("Complete")


def test_of_a_shop_that_is_crawled_twice_each_change_is_tracked_and_nothing_else(
    ran: tuple[Path, str],
) -> None:
    folder, printed = ran

    assert THIRTY_CHANGES in " ".join(printed.split())
    with contextlib.closing(
        open_store(StoreSettings(url=f"sqlite:///{folder}/.estela-demo/store.db"))
    ) as store:
        changes = list(store.read(Dataset("shop", "prices_changes")))
        prices = list(store.read(Dataset("shop", "prices")))
    expected = {
        one.sku: (one.price, other.price)
        for one, other in ((product(number, 1), product(number, 2)) for number in range(1, PRODUCTS + 1))
        if one.price != other.price
    }
    tracked = {
        change["key"]["sku"]: tuple(Decimal(str(change[side]["price"])) for side in ("before", "after"))
        for change in changes
    }
    assert tracked == expected
    assert len(changes) == 30
    assert {change["job"] for change in changes} == {"day-2"}
    assert all(set(change["before"]) == set(change["after"]) == {"price"} for change in changes)
    assert len(prices) == PRODUCTS
    seen = [each["_estela"] for each in prices if each["sku"] not in expected]
    assert len(seen) == 970
    assert all(each["first_seen"] < each["last_seen"] for each in seen)


def test_what_the_demo_says_to_look_at_next_can_be_looked_at(
    ran: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, printed = ran
    monkeypatch.chdir(folder)
    hints = [line for line in printed.splitlines() if ".venv/bin/estela-" in line]

    assert len(hints) == 5
    for hint in hints:
        command = hint.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        looked = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
        assert looked.stdout.strip()


@pytest.mark.usefixtures("workdir")
def test_the_demo_does_the_same_on_kafka_and_mongodb(
    tmp_path: Path, kafka: str, mongodb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("MONGODB_URI", mongodb)

    done = demo(tmp_path, "--kafka")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Apache Kafka at" in done.stdout
    assert THIRTY_CHANGES in " ".join(done.stdout.split())


def bundled_demo(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`estela-scrapy demo`, in this folder."""
    return subprocess.run(
        [sys.executable, "-c", "from estela_cli.main import main; main()", "demo", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=150, check=False,
        env={**os.environ, **environ},
    )  # fmt: skip


def test_the_installed_demo_needs_nothing_and_leaves_nothing_whatever_is_configured_around_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "scrapy.cfg").write_text("[settings]\ndefault = nothing.of_the_kind\n")

    done = bundled_demo(
        tmp_path, QUEUE_PLATFORM="kafka", DB_CONNECTION="mongodb://nowhere/", ESTELA_ITEMS_TOPIC="x",
        COLUMNS="100",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 items by 216 requests" in done.stdout
    assert "SKU-00" in done.stdout  # a document as a table
    assert "complete: all 416 messages of job demo.shop.shop are stored" in done.stdout
    assert 'EXTENSIONS = {"estela_scrapy.QueueExtension": 500}' in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Complete, in ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scrapy.cfg"]


def test_the_installed_demo_says_that_its_output_was_not_taken(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from estela_cli.main import main; main()", "demo"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert done.returncode == 13
    assert len(done.stderr.splitlines()) == 1


def test_the_installed_demo_keeps_its_files_in_a_new_folder_alone(tmp_path: Path) -> None:
    kept, used = tmp_path / "kept", tmp_path / "used"
    used.mkdir()
    (used / "mine").touch()

    done, refused = bundled_demo(tmp_path, "--folder", "kept"), bundled_demo(tmp_path, "--folder", "used")
    impossible = bundled_demo(tmp_path, "--folder", "used/mine/x")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {"queue.db", "store.db"} <= {path.name for path in kept.iterdir()}
    assert "is not empty; name a new one" in refused.stderr
    assert "cannot be used: Not a directory" in impossible.stderr
    assert (refused.returncode, impossible.returncode) == (2, 2)


def test_an_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    assert demo(tmp_path, "--rabbit").returncode == 2


def test_the_comparison_sees_what_is_missing_what_is_too_many_and_what_is_changed() -> None:
    items = [{"n": 1}, {"n": 2}, {"n": 2}]
    same = {"requests_made": 1, "requests_stored": [{}], "dead_letters": 0}

    assert compare(scraped=items, stored=items[::-1], **same).complete  # type: ignore[arg-type]
    lost = compare(scraped=items, stored=items[:2], **same)  # type: ignore[arg-type]
    twice = compare(scraped=items, stored=[*items, {"n": 1}], **same)  # type: ignore[arg-type]
    changed = compare(scraped=items, stored=[*items[:2], {"n": 3}], **same)  # type: ignore[arg-type]

    assert (lost.missing, lost.surplus, lost.complete) == (1, 0, False)
    assert (twice.missing, twice.surplus, twice.complete) == (0, 1, False)
    assert (changed.missing, changed.surplus, changed.complete) == (1, 1, False)
    assert not compare(
        scraped=items, stored=items, requests_made=2, requests_stored=[{}], dead_letters=0
    ).complete
    assert not compare(
        scraped=items, stored=items, requests_made=1, requests_stored=[{}], dead_letters=1
    ).complete
    assert not compare(scraped=[], stored=[], requests_made=0, requests_stored=[], dead_letters=0).complete
