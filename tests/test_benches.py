"""The benches run, in miniature, and docs/performance.md has a row for each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from bench import typed
from bench.__main__ import BENCHES
from bench.document import ORDER, recorded, section
from bench.outcome import Outcome, Ratio, Side
from bench.sizing import ITEMS_A_DAY, markdown
from bench.table import goals
from bench.world import World
from estela_scrapy.payloads import ItemSerializer

pytestmark = pytest.mark.together  # each drops the database of benches

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "performance.md").read_text()
MESSAGES = 1_200
# These start Java or many processes, or tell small differences of large figures; scripts/bench runs them.
ELSEWHERE = {"drain", "extension", "listen", "profile", "typed", "keyed"}


@pytest.fixture
def world(workdir: Path, kafka: str, mongodb: str) -> Iterator[World]:
    with MongoClient[dict[str, object]](mongodb) as client:
        yield World(kafka, mongodb, workdir, client)


@pytest.mark.parametrize("name", sorted(set(BENCHES) - ELSEWHERE))
def test_a_bench_measures_both_of_its_sides(name: str, world: World) -> None:
    outcome = BENCHES[name](world, MESSAGES, 1)

    assert outcome.bench == name
    assert all(value > 0 for side in outcome.sides for value in side.values)
    assert outcome.ratios
    assert Outcome.from_json(json.loads(json.dumps(outcome.as_json()))) == outcome


@pytest.mark.parametrize("name", BENCHES)
def test_the_page_has_the_rows_of_every_bench(name: str) -> None:
    [content] = re.findall(rf"<!-- bench {name} -->\n(.*?)<!-- /bench {name} -->", PAGE, re.DOTALL)
    [outcome] = [outcome for outcome in recorded() if outcome.bench == name]

    assert all(f"| {side.name} |" in content for side in outcome.sides)
    assert all(f"| {name} | {ratio.told} |" in PAGE for ratio in outcome.ratios)


def test_the_page_is_in_the_order_of_the_benches() -> None:
    assert list(BENCHES) == list(ORDER)


def test_a_row_says_by_how_much_its_goal_is_missed() -> None:
    outcome = Outcome(
        "b",
        1,
        [],
        [Ratio("x", 0.4, 0.5, why="so it is"), Ratio("y", 1.2, 1.0, at_least=False), Ratio("z", 3, 3)],
    )

    rows = goals([outcome]).splitlines()[2:]

    assert [row.split("|")[-2].strip() for row in rows] == ["missed by 20%: so it is", "missed by 20%", "met"]


def test_the_sizing_follows_from_the_cpu_for_a_document() -> None:
    drain = Outcome("drain", 1, [Side("s", "u", [1.0])], [], {"client_cpu": 20.0, "server_cpu": 10.0})

    rows = markdown(drain).splitlines()[-len(ITEMS_A_DAY) :]

    assert rows[-1] == "| 10,000,000,000 | 347,222 | 10 | 20 | 4 | 4.8 TB |"


@pytest.mark.parametrize(("types", "sent"), [("bson", typed.typed), ("json", typed.as_text)])
def test_what_the_bench_of_types_sends_is_what_the_extension_writes(
    types: str, sent: Callable[[int], dict[str, object]]
) -> None:
    written = ItemSerializer(None, types).serialize(typed.item(1_234))

    assert json.loads(written) == sent(1_234)


def test_a_section_is_replaced_and_a_missing_one_is_told() -> None:
    text = "a\n<!-- bench x -->\nold\n<!-- /bench x -->\nb"

    assert section(text, "x", "new") == "a\n<!-- bench x -->\nnew\n<!-- /bench x -->\nb"
    with pytest.raises(ValueError, match="no markers for y"):
        section(text, "y", "new")
