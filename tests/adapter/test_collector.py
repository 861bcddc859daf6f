"""Python's collector has one owner in a process, who counts its users."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import gc, sys
from estela_queue_adapter.collector import COLLECTOR, collect_failed_connections, settle_into_consuming
{}
"""


def told(program: str) -> list[str]:
    """What a process of its own prints: frozen objects stay frozen for the tests behind this one."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_what_is_frozen_for_several_users_is_thawed_by_the_last() -> None:
    assert told(
        "for step in (COLLECTOR.spare, COLLECTOR.spare, COLLECTOR.release, COLLECTOR.release):\n"
        "    step(); print(gc.get_freeze_count() > 0)"
    ) == ["True", "True", "True", "False"]


def test_what_the_host_has_frozen_is_neither_added_to_nor_thawed() -> None:
    [before, meanwhile, after] = told(
        "gc.freeze(); print(gc.get_freeze_count()); kept = [[] for _ in range(1000)]\n"
        "for step in (COLLECTOR.spare, COLLECTOR.release):\n"
        "    step(); print(gc.get_freeze_count())"
    )

    assert int(before) >= int(meanwhile) >= int(after) > 0  # objects that die are no longer counted


def test_a_crawl_in_a_consumers_process_leaves_its_collector_as_it_is() -> None:
    assert told(
        "settle_into_consuming(); COLLECTOR.spare(); COLLECTOR.release()\n"
        "print(gc.get_freeze_count() > 0, gc.get_threshold()[0])"
    ) == ["True 50000"]


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_failed_connection_is_closed_though_it_hangs_in_a_cycle(everywhere: bool) -> None:
    assert told(
        "class Connection:\n"
        "    def __init__(self): self.itself = self\n"
        "    def __del__(self): print('closed')\n"
        f"gc.disable(); Connection(); collect_failed_connections(everywhere={everywhere}); print('after')"
    ) == ["closed", "after"]
