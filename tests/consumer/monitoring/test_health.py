"""What the probes say of each state."""

from __future__ import annotations

import json

import pytest

from estela_consumer.errors import StoreLoginRefused, StoreUnreachable
from estela_consumer.monitoring.health import STALLED_AFTER, stalled, unready
from estela_consumer.monitoring.history import History
from estela_consumer.monitoring.status import status
from estela_consumer.pipeline.activity.topic_activity import TopicActivity
from estela_queue_adapter.errors import AccessDenied
from tests.consumer.monitoring.watched import Watched, get


class World(Watched):
    """One that is ready, at a time that stands still."""

    def __init__(self) -> None:
        self.now = 1_000.0
        super().__init__("t", clock=lambda: self.now)
        self.activity = TopicActivity(clock=lambda: self.now)
        self.progress.activities["t"] = self.activity
        self.observer.store_checked = True
        self.activity.rebalanced("assigned", [0])
        self.activity.turned()


def test_before_the_store_has_answered_and_the_group_is_joined_it_is_alive_and_not_ready() -> None:
    now = Watched("t").observer.observe()

    assert unready(now) == ["store: not checked yet", "t: group group_t not joined yet"]
    assert stalled(now) == []


def test_a_pipeline_that_has_stopped_going_round_is_dead_and_one_that_has_ended_is_not() -> None:
    world = World()
    with world.served() as at:
        assert [get(at, path)[0] for path in ("/livez", "/readyz")] == [200, 200]
        world.now += STALLED_AFTER
        status_code, body, _ = get(at, "/livez")
        assert (status_code, body) == (503, "t: no turn for 300 s\n")
        assert get(at, "/readyz")[0] == 503
        world.activity.turned()
        assert get(at, "/livez")[0] == 200
        world.activity.ended()
        world.now += STALLED_AFTER
        assert get(at, "/livez")[0] == 200


@pytest.mark.parametrize(
    ("server", "used_for", "error", "told"),
    [
        ("Store", "", StoreUnreachable("away"), "store: unavailable for 5 s: away"),
        ("Store", "", StoreLoginRefused("wrong"), "store: access refused for 5 s: wrong"),
        ("Queue", "t", AccessDenied("wrong"), "queue (t): access refused for 5 s: wrong"),
        ("Queue", "dead letters", OSError("no"), "dead_letters: unavailable for 5 s: no"),
    ],
)
def test_an_outage_makes_it_unready_and_not_dead(
    server: str, used_for: str, error: Exception, told: str
) -> None:
    world = World()
    world.retry.outage(server, used_for).failed(error)
    world.now += 5.0
    world.activity.turned()

    now = world.observer.observe()

    assert unready(now) == [told]
    assert stalled(now) == []


def test_the_state_is_json_with_a_sentence_and_holds_no_more_than_a_page_shows() -> None:
    world, history = World(), History()
    sentences = []

    def look() -> dict[str, object]:
        history.add(world.observer.observe())
        found = status(world.observer.observe(), history, {"drain": False}, "1.0")
        sentences.append(found["sentence"])
        return found

    look()
    outage = world.retry.outage("Store")
    outage.failed(StoreUnreachable("<script>alert(1)</script>"))
    world.now += 180.0
    during = look()
    outage.succeeded()
    after = json.loads(json.dumps(look()))
    world.observer.stopping = True
    look()

    assert sentences[1] == "Store unavailable for 3 min, nothing lost."
    assert sentences[3].startswith("Stopping")
    assert during["ready"] is False
    assert after["outages"]["now"] == []
    [past] = after["outages"]["latest"]
    assert (past["part"], past["error"]) == ("store", "<script>alert(1)</script>")
    assert len(after["topics"]["t"]["history"]) == 3


def test_history_is_bounded() -> None:
    world, history = World(), History()

    for _ in range(1_000):
        history.add(world.observer.observe())

    assert len(history.samples("t")) == 90
