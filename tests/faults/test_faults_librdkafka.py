"""A small version of the rows in which the client of the queue matters, with librdkafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from estela_queue_adapter.platforms.kafka.settings import LIBRDKAFKA
from tests.conftest import or_skip
from tests.faults.crawl_rows import CRAWL_FAULTS
from tests.faults.servers import Servers, servers
from tests.faults.test_faults import check_row

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def one_of_each() -> Iterator[Servers]:
    with or_skip("Apache Kafka or mongod"), servers(1) as started:
        yield started


NAMES = [
    "consumer-killed",
    "consumer-terminated",
    "members-come-and-go",
    "only-broker",
    "broker-frozen",
    "retention",
    *CRAWL_FAULTS,
]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_missing_and_nothing_is_there_twice(
    name: str, one_of_each: Servers, workdir: Path
) -> None:
    check_row(name, LIBRDKAFKA, one_of_each, workdir)


def test_the_other_brokers_go_on_while_one_is_away(workdir: Path) -> None:
    with or_skip("Apache Kafka or mongod"), servers(3) as three_of_each:
        check_row("one-of-three-brokers", LIBRDKAFKA, three_of_each, workdir)
