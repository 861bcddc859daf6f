"""The embedded store when processes that write to its file are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from estela_consumer.stores import StoreSettings, open_store
from tests.consumer.keyed.model import expected
from tests.consumer.keyed.test_keyed_stores import stored_in
from tests.consumer.keyed.writing import DATASET, MESSAGES

pytestmark = pytest.mark.processes

_CHUNKS = len(MESSAGES) // 3


def test_two_processes_of_which_one_is_killed_again_and_again_leave_what_the_model_says(
    tmp_path: Path,
) -> None:
    url, chance = f"sqlite:///{tmp_path}/store.db", random.Random()

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.consumer.keyed.writing", url, str(chance.randrange(1 << 30))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    for _ in range(2):
        one, other = begin(), begin()
        assert one.stdout is not None
        for _ in range(chance.randrange(1, _CHUNKS)):
            one.stdout.readline()
        one.kill()
        one.communicate()
        assert len(other.communicate()[0].splitlines()) == _CHUNKS
        assert other.returncode == 0

    store = open_store(StoreSettings(url=url))
    found = stored_in(store, DATASET)
    store.close()
    assert found == expected("track", MESSAGES)
